//! Starting and stopping a registry.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use millrace_log::Log;
use parking_lot::Mutex;
use registry_client::SchemaRegistry;
use registry_core::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::StartError;
use crate::changes::{ChangeQueue, Changes};
use crate::cluster::election::{Election, Leadership};
use crate::cluster::identity::Identity;
use crate::http::client::HttpClient;
use crate::http::connection::{ConnectionLimits, Phase, Service, accept};
use crate::http::handler::Api;
use crate::http::listener::{ListenerUri, Scheme, url};
use crate::http::respond::Reply;
use crate::local::LocalRegistry;
use crate::metrics::Metrics;
use crate::node::{Node, Patience};
use crate::options::RegistryOptions;
use crate::topic::follower::Follower;
use crate::topic::validation;
use crate::topic::writer::{CatchUp, TopicWriter};

/// How long connections get to notice that the server no longer waits for them.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// Conflicting records that wait to be put right.
const CORRECTIONS: usize = 64;

/// A running registry. Dropping it stops it too, without waiting for calls under way and without leaving the group.
#[derive(Debug)]
pub struct RegistryServer {
    url: String,
    addresses: Vec<SocketAddr>,
    metrics_addresses: Vec<SocketAddr>,
    local: Arc<dyn SchemaRegistry>,
    leadership: watch::Receiver<Leadership>,
    phase: watch::Sender<Phase>,
    leaving: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    election: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
    stop_timeout: Duration,
}

impl RegistryServer {
    /// Starts a registry on `log`: reads the topic to its end, takes part in an election, and listens.
    ///
    /// # Errors
    /// An address that cannot be listened on, a topic that is unfit or cannot be reached, a group that cannot be joined, or a step that takes longer than
    /// `kafkastore.init.timeout.ms`.
    pub async fn start(log: Arc<dyn Log>, options: RegistryOptions) -> Result<Self, StartError> {
        let acceptor = if options
            .listeners
            .iter()
            .chain(&options.metrics_listeners)
            .any(|listener| listener.scheme == Scheme::Https)
        {
            Some(options.tls.acceptor()?)
        } else {
            None
        };
        let connector = options.tls.connector()?;
        let bound = bind("listeners", &options.listeners).await?;
        let metrics_bound = bind(
            "millrace.registry.metrics.listeners",
            &options.metrics_listeners,
        )
        .await?;
        let identity = identity(&options, &bound)?;
        let url = identity.url();

        let cluster_id = validation::cluster_id(&log, options.init_timeout).await?;
        let table = validation::open(&log, &options.topic, options.init_timeout).await?;
        let mut settings = options.settings.clone();
        settings.cluster_id = cluster_id;
        let associations = settings.associations;
        let registry = Arc::new(Registry::new(settings));

        let metrics = Arc::new(Metrics::default());
        let (applied, applied_seen) = watch::channel(-1);
        let (corrections, corrections_seen) = mpsc::channel(CORRECTIONS);
        let topic = Arc::new(TopicWriter::new(
            Arc::clone(&log),
            options.topic.clone(),
            table.as_ref(),
            applied_seen,
        ));
        let follower = Follower {
            log: Arc::clone(&log),
            options: options.topic.clone(),
            registry: Arc::clone(&registry),
            applied,
            corrections,
            metrics: Arc::clone(&metrics),
        };
        let mut background = Tasks(vec![tokio::spawn(follower.run(table))]);
        if options.wait_for_reader {
            topic.read_to_end(options.init_timeout).await.map_err(|error| {
                StartError::Timeout(format!(
                    "the schemas topic '{}' could not be read to its end within 'kafkastore.init.timeout.ms' ({} ms): {error}",
                    options.topic.name,
                    options.init_timeout.as_millis()
                ))
            })?;
        }

        let (leadership, leadership_seen) =
            watch::channel(Leadership::unknown("no election has taken place yet"));
        let (queue, queue_seen) = ChangeQueue::new(options.waiting_changes);
        let changes = Changes {
            registry: Arc::clone(&registry),
            topic: Arc::clone(&topic),
            leadership: leadership_seen.clone(),
            queue: queue_seen,
            corrections: corrections_seen,
            timeout: options.timeout,
            most_conflicts: options.write_retries,
            margin: options.timeout.min(options.group.session_timeout / 4),
        };
        background.0.push(tokio::spawn(changes.run()));
        let node = Arc::new(Node {
            registry,
            leadership: leadership_seen.clone(),
            changes: queue,
            leader_client: HttpClient::new(
                options.leader_connect_timeout,
                options.leader_read_timeout,
                connector,
            ),
            forwarded_headers: options.forwarded_headers.clone(),
            patience: Patience {
                leader: options.timeout,
                call: options.http.request_timeout,
            },
            workers: Arc::new(Semaphore::new(workers())),
            complained: Mutex::default(),
        });
        let api = Arc::new(Api {
            node,
            metrics: Arc::clone(&metrics),
            access: options.http.access.clone(),
            cross_origin: options.http.cross_origin.clone(),
            options_skip_access: options.http.options_skip_access,
            reject_options: options.http.reject_options,
            response_headers: options.http.response_headers.clone(),
            leader_credentials: options.leader_credentials.clone(),
            associations,
            body_limit: options.http.body_limit,
            compression: options.http.compression,
        });

        let (leaving, leaving_seen) = watch::channel(false);
        let election = Election {
            log,
            options: options.group.clone(),
            identity,
            leadership,
            catch_up: CatchUp {
                topic,
                timeout: options.init_timeout,
            },
            metrics: Arc::clone(&metrics),
        };
        let (first, elected) = oneshot::channel();
        let (phase, _) = watch::channel(Phase::Serving);
        let mut server = Self {
            url,
            addresses: addresses(&bound),
            metrics_addresses: addresses(&metrics_bound),
            local: LocalRegistry::new(Arc::clone(&api)).cached(),
            leadership: leadership_seen,
            phase,
            leaving,
            listeners: Vec::new(),
            election: tokio::spawn(election.run(first, leaving_seen)),
            background: std::mem::take(&mut background.0),
            stop_timeout: options.http.stop_timeout,
        };
        if options.group.delay {
            server.listen(
                &options,
                bound,
                metrics_bound,
                acceptor.as_ref(),
                &api,
                &metrics,
            );
        } else {
            let result = tokio::time::timeout(options.init_timeout, elected).await;
            let problem = match result {
                Ok(Ok(Ok(()))) => None,
                Ok(Ok(Err(problem))) => Some(StartError::Election(problem)),
                Ok(Err(_)) => Some(StartError::Election("the election broke down".to_owned())),
                Err(_) => Some(StartError::Timeout(format!(
                    "no leader was elected in the group '{}' within 'kafkastore.init.timeout.ms'",
                    options.group.group_id
                ))),
            };
            if let Some(problem) = problem {
                server.stop().await;
                return Err(problem);
            }
            server.listen(
                &options,
                bound,
                metrics_bound,
                acceptor.as_ref(),
                &api,
                &metrics,
            );
        }
        Ok(server)
    }

    fn listen(
        &mut self,
        options: &RegistryOptions,
        bound: Vec<(ListenerUri, TcpListener)>,
        metrics_bound: Vec<(ListenerUri, TcpListener)>,
        acceptor: Option<&TlsAcceptor>,
        api: &Arc<Api>,
        metrics: &Arc<Metrics>,
    ) {
        let limits = ConnectionLimits {
            permits: Arc::new(Semaphore::new(
                options.http.connections.min(Semaphore::MAX_PERMITS),
            )),
            idle: options.http.idle_timeout,
        };
        let tls = |listener: &ListenerUri| {
            acceptor
                .filter(|_| listener.scheme == Scheme::Https)
                .cloned()
        };
        for (listener, socket) in bound {
            let phase = self.phase.subscribe();
            let task = accept(
                socket,
                tls(&listener),
                Arc::clone(api),
                limits.clone(),
                phase,
            );
            self.listeners.push(tokio::spawn(task));
        }
        for (listener, socket) in metrics_bound {
            let phase = self.phase.subscribe();
            let page = Arc::new(MetricsPage(Arc::clone(metrics)));
            self.listeners.push(tokio::spawn(accept(
                socket,
                tls(&listener),
                page,
                limits.clone(),
                phase,
            )));
        }
        for address in &self.addresses {
            tracing::info!(%address, "the schema registry listens");
        }
        tracing::info!(url = self.url, "the schema registry is ready");
        // The first registration in a long subject should not wait for thousands of parses.
        let registry = Arc::clone(&api.node.registry);
        tokio::task::spawn_blocking(move || {
            let versions = registry.warm_up();
            tracing::debug!(versions, "versions of long subjects are parsed");
        });
    }

    /// `scheme://host:port` under which other registries and clients reach this one.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The addresses really listened on, in the order of `listeners`: with the port that was taken for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Those of `millrace.registry.metrics.listeners`.
    pub fn metrics_addresses(&self) -> &[SocketAddr] {
        &self.metrics_addresses
    }

    /// Whether this registry leads at present: whether it writes, or passes changes on.
    pub fn is_leader(&self) -> bool {
        matches!(*self.leadership.borrow(), Leadership::Me { .. })
    }

    /// The registry for callers of this process: the same answers without HTTP.
    pub fn local(&self) -> Arc<dyn SchemaRegistry> {
        Arc::clone(&self.local)
    }

    /// Takes no more calls, waits for those under way (at most `shutdown.graceful.ms`), and leaves the group.
    pub async fn stop(mut self) {
        self.phase.send_replace(Phase::Stopping);
        let mut listeners = std::mem::take(&mut self.listeners);
        if tokio::time::timeout(self.stop_timeout, join_all(&mut listeners))
            .await
            .is_err()
        {
            self.phase.send_replace(Phase::Closing);
            if tokio::time::timeout(CLOSING_TIME, join_all(&mut listeners))
                .await
                .is_err()
            {
                listeners.iter().for_each(JoinHandle::abort);
            }
        }
        self.leaving.send_replace(true);
        let election = &mut self.election;
        if tokio::time::timeout(Duration::from_secs(10), election)
            .await
            .is_err()
        {
            tracing::warn!(
                "leaving the group of schema registries takes too long, it will notice by itself"
            );
        }
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        for task in self
            .listeners
            .iter()
            .chain(&self.background)
            .chain([&self.election])
        {
            task.abort();
        }
    }
}

/// Tasks that end with their owner.
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn join_all(tasks: &mut Vec<JoinHandle<()>>) {
    while let Some(task) = tasks.last_mut() {
        if let Err(error) = task.await {
            tracing::error!(%error, "a listener ended unexpectedly");
        }
        tasks.pop();
    }
}

/// `GET /metrics`.
struct MetricsPage(Arc<Metrics>);

impl Service for MetricsPage {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let found = matches!(*request.method(), Method::GET | Method::HEAD)
            && request.uri().path().trim_end_matches('/') == "/metrics";
        let (status, text) = if found {
            (StatusCode::OK, self.0.text())
        } else {
            (
                StatusCode::NOT_FOUND,
                "only GET /metrics is answered here\n".to_owned(),
            )
        };
        let mut response = Response::new(text.into());
        *response.status_mut() = status;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        );
        response
    }
}

async fn bind(
    key: &'static str,
    listeners: &[ListenerUri],
) -> Result<Vec<(ListenerUri, TcpListener)>, StartError> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let socket = listener.bind(key).await?;
        let address = socket.local_addr().map_err(|source| StartError::Listen {
            key,
            address: listener.to_string(),
            source,
        })?;
        let mut listener = listener.clone();
        listener.port = address.port();
        bound.push((listener, socket));
    }
    Ok(bound)
}

fn addresses(bound: &[(ListenerUri, TcpListener)]) -> Vec<SocketAddr> {
    bound
        .iter()
        .filter_map(|(_, socket)| socket.local_addr().ok())
        .collect()
}

/// Under what others reach this registry.
fn identity(
    options: &RegistryOptions,
    bound: &[(ListenerUri, TcpListener)],
) -> Result<Identity, StartError> {
    /// Registries without a listener are told apart by a number: nobody can call them, but each needs a URL of its own.
    static UNREACHABLE: AtomicU32 = AtomicU32::new(0);

    let listener = match (
        &options.inter_instance_listener,
        options.inter_instance_scheme,
    ) {
        (Some(name), _) => {
            let found = bound.iter().find(|(listener, _)| {
                listener
                    .name
                    .as_ref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(name))
            });
            Some(found.ok_or_else(|| {
                StartError::setting(
                    "inter.instance.listener.name",
                    name,
                    "no listener has this name ('listeners', 'listener.protocol.map')",
                )
            })?)
        }
        (None, Some(scheme)) => {
            let found = bound.iter().find(|(listener, _)| listener.scheme == scheme);
            if found.is_none() && !bound.is_empty() {
                return Err(StartError::setting(
                    "inter.instance.protocol",
                    scheme.name(),
                    "no listener of 'listeners' speaks it",
                ));
            }
            found
        }
        (None, None) => bound
            .iter()
            .find(|(listener, _)| listener.scheme == Scheme::Http)
            .or(bound.first()),
    };
    let eligible = options.group.eligible;
    let Some((listener, _)) = listener else {
        let number = UNREACHABLE.fetch_add(1, Ordering::Relaxed);
        return Ok(Identity {
            host: options
                .host_name
                .clone()
                .unwrap_or_else(|| format!("in-process-{}-{number}", std::process::id())),
            port: options.host_port.unwrap_or(0),
            scheme: Scheme::Http,
            eligible,
            leader: false,
        });
    };
    let host = match &options.host_name {
        Some(host) => host.clone(),
        None if listener.listens_everywhere() => own_address().to_string(),
        None => listener.host.clone(),
    };
    let identity = Identity {
        host,
        port: options.host_port.unwrap_or(listener.port),
        scheme: listener.scheme,
        eligible,
        leader: false,
    };
    tracing::debug!(
        url = url(identity.scheme, &identity.host, identity.port),
        "others reach this registry under its URL"
    );
    Ok(identity)
}

/// The address under which others reach this machine: that of the interface that leads out. Connecting a datagram socket sends nothing.
fn own_address() -> IpAddr {
    let outward = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Reserved for documentation (RFC 5737), so it lies behind the default route.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr().map(|address| address.ip())
    };
    outward().unwrap_or_else(|_: std::io::Error| Ipv4Addr::LOCALHOST.into())
}

/// Threads for dear answers: as many as the machine runs at once, and some more, so that one long answer does not hold up all others.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from) + 2
}
