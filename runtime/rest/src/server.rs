//! Binding, serving, stopping.

use std::future::IntoFuture;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use millrace_worker::herder::Herder;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::{BoundedListener, Peer};
use crate::dispatch::{self, Shared};
use crate::error::RestError;
use crate::listener_uri::{ListenerUri, bracketed};
use crate::options::{AdminListeners, RestOptions};
use crate::resource::Scope;

/// How long connections get to notice that the server no longer waits for them.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// A connection that says nothing outlives the slowest request by this much.
const IDLE_BEYOND_REQUEST: Duration = Duration::from_secs(30);

/// What the server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// No new requests; those under way finish.
    Stopping,
    /// Those under way are given up.
    Closing,
}

/// A server that listens but does not answer yet: what a worker needs to know its own `worker_id` before it has a herder. Requests wait in the meantime.
#[derive(Debug)]
pub struct BoundServer {
    options: RestOptions,
    regular: Vec<TcpListener>,
    admin: Vec<TcpListener>,
    addresses: Addresses,
}

#[derive(Debug, Clone)]
struct Addresses {
    regular: Vec<SocketAddr>,
    admin: Vec<SocketAddr>,
    advertised_url: String,
    worker_id: String,
}

impl BoundServer {
    /// Binds all listeners.
    ///
    /// # Errors
    /// An address that cannot be listened on: taken, not allowed, or not this machine's.
    pub async fn bind(options: RestOptions) -> Result<Self, RestError> {
        let regular = bind_all("listeners", &options.listeners).await?;
        let admin = match &options.admin {
            AdminListeners::Separate(listeners) => bind_all("admin.listeners", listeners).await?,
            AdminListeners::Shared | AdminListeners::Disabled => Vec::new(),
        };
        let addresses_of = |key, sockets: &[TcpListener]| {
            sockets
                .iter()
                .map(|socket| {
                    socket
                        .local_addr()
                        .map_err(|e| RestError::bind(key, "a bound listener", e))
                })
                .collect::<Result<Vec<_>, _>>()
        };
        let (regular_addresses, admin_addresses) = (
            addresses_of("listeners", &regular)?,
            addresses_of("admin.listeners", &admin)?,
        );
        let (Some(first), Some(address)) = (options.listeners.first(), regular_addresses.first())
        else {
            return Err(RestError::invalid(
                "listeners",
                "",
                "at least one listener is needed, for example http://127.0.0.1:8083",
            ));
        };
        let host = match (&options.advertised_host, first.host.as_str()) {
            (Some(host), _) => host.clone(),
            (None, "") => own_address().to_string(),
            (None, host) => host.to_owned(),
        };
        let worker_id = format!(
            "{}:{}",
            bracketed(&host),
            options.advertised_port.unwrap_or(address.port())
        );
        let addresses = Addresses {
            advertised_url: format!("http://{worker_id}/"),
            worker_id,
            regular: regular_addresses,
            admin: admin_addresses,
        };
        Ok(Self {
            options,
            regular,
            admin,
            addresses,
        })
    }

    /// `host:port` under which this worker appears in statuses: the advertised host and port, or the first listener's.
    pub fn worker_id(&self) -> &str {
        &self.addresses.worker_id
    }

    /// `http://host:port/` under which other workers and users reach this one.
    pub fn advertised_url(&self) -> &str {
        &self.addresses.advertised_url
    }

    /// The addresses really listened on, in the order of `listeners`: with the port that was taken for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses.regular
    }

    /// Those of `admin.listeners`.
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        &self.addresses.admin
    }

    /// Begins to answer. Must be called inside a tokio runtime.
    pub fn serve(self, herder: Arc<dyn Herder>) -> RestServer {
        let (phase, _) = watch::channel(Phase::Serving);
        let scope = if self.options.admin == AdminListeners::Shared {
            Scope::All
        } else {
            Scope::WithoutAdmin
        };
        let mut tasks = Vec::new();
        for (sockets, scope) in [(self.regular, scope), (self.admin, Scope::AdminOnly)] {
            for socket in sockets {
                tasks.push(serve_one(
                    socket,
                    scope,
                    &self.options,
                    Arc::clone(&herder),
                    &phase,
                ));
            }
        }
        for address in self.addresses.regular.iter().chain(&self.addresses.admin) {
            tracing::info!("REST server listens on http://{address}/");
        }
        tracing::info!("REST server advertises {}", self.addresses.advertised_url);
        RestServer {
            addresses: self.addresses,
            phase,
            tasks,
            stop_timeout: self.options.stop_timeout,
        }
    }
}

/// A running server. Dropping it stops it too, without waiting for requests under way.
#[derive(Debug)]
pub struct RestServer {
    addresses: Addresses,
    phase: watch::Sender<Phase>,
    tasks: Vec<JoinHandle<()>>,
    stop_timeout: Duration,
}

impl RestServer {
    /// Binds and serves at once.
    ///
    /// # Errors
    /// Those of [`BoundServer::bind`].
    pub async fn start(options: RestOptions, herder: Arc<dyn Herder>) -> Result<Self, RestError> {
        Ok(BoundServer::bind(options).await?.serve(herder))
    }

    /// As [`BoundServer::worker_id`].
    pub fn worker_id(&self) -> &str {
        &self.addresses.worker_id
    }

    /// As [`BoundServer::advertised_url`].
    pub fn advertised_url(&self) -> &str {
        &self.addresses.advertised_url
    }

    /// As [`BoundServer::addresses`].
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses.regular
    }

    /// As [`BoundServer::admin_addresses`].
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        &self.addresses.admin
    }

    /// Takes no more requests and waits for those under way, at most [`RestOptions::stop_timeout`]; what is not answered by then gets 503.
    pub async fn stop(self) {
        self.phase.send_replace(Phase::Stopping);
        let mut tasks = self.tasks;
        if tokio::time::timeout(self.stop_timeout, join_all(&mut tasks))
            .await
            .is_ok()
        {
            return;
        }
        tracing::warn!(
            "requests are still under way after {:?}: they are given up",
            self.stop_timeout
        );
        self.phase.send_replace(Phase::Closing);
        if tokio::time::timeout(CLOSING_TIME, join_all(&mut tasks))
            .await
            .is_err()
        {
            for task in tasks {
                task.abort();
            }
        }
    }
}

async fn join_all(tasks: &mut Vec<JoinHandle<()>>) {
    while let Some(task) = tasks.last_mut() {
        if let Err(error) = task.await {
            tracing::error!(%error, "a REST listener ended unexpectedly");
        }
        tasks.pop();
    }
}

fn serve_one(
    socket: TcpListener,
    scope: Scope,
    options: &RestOptions,
    herder: Arc<dyn Herder>,
    phase: &watch::Sender<Phase>,
) -> JoinHandle<()> {
    let admin = scope == Scope::AdminOnly;
    let shared = Arc::new(Shared {
        herder,
        scope,
        // The admin listeners are a context of their own, to which these two do not apply.
        cross_origin: options.cross_origin.clone().filter(|_| !admin),
        response_headers: if admin {
            Default::default()
        } else {
            options.response_headers.clone()
        },
        request_timeout: options.request_timeout,
        phase: phase.subscribe(),
    });
    let router = Router::new()
        .fallback(dispatch::handle)
        .layer(DefaultBodyLimit::max(options.body_limit))
        .with_state(shared);
    let listener = BoundedListener::new(
        socket,
        options.max_connections,
        options.request_timeout + IDLE_BEYOND_REQUEST,
    );
    let mut stopping = phase.subscribe();
    let serve = axum::serve(
        listener,
        router.into_make_service_with_connect_info::<Peer>(),
    )
    .with_graceful_shutdown(async move {
        // A dropped sender means that the server was dropped.
        let _ = stopping.wait_for(|phase| *phase != Phase::Serving).await;
    });
    tokio::spawn(async move {
        if let Err(error) = serve.into_future().await {
            tracing::error!(%error, "a REST listener failed");
        }
    })
}

async fn bind_all(
    key: &'static str,
    listeners: &[ListenerUri],
) -> Result<Vec<TcpListener>, RestError> {
    let mut sockets = Vec::with_capacity(listeners.len());
    for listener in listeners {
        sockets.push(
            bind_one(listener)
                .await
                .map_err(|e| RestError::bind(key, listener.to_string(), e))?,
        );
    }
    Ok(sockets)
}

async fn bind_one(listener: &ListenerUri) -> io::Result<TcpListener> {
    if !listener.host.is_empty() {
        return TcpListener::bind((listener.host.as_str(), listener.port)).await;
    }
    match TcpListener::bind(("::", listener.port)).await {
        // A machine without IPv6.
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
            ) =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, listener.port)).await
        }
        bound => bound,
    }
}

/// The address under which others reach this machine: that of the interface that leads out. Connecting a datagram socket sends nothing.
fn own_address() -> IpAddr {
    let outward = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Reserved for documentation (RFC 5737), so it lies behind the default route.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr().map(|address| address.ip())
    };
    outward().unwrap_or_else(|_: io::Error| Ipv4Addr::LOCALHOST.into())
}
