//! Connections that are kept open between requests.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::url::Origin;

/// Idle connections per origin; more are closed when their request is done.
const MAX_IDLE: usize = 8;
/// Servers close idle connections, Jetty after 30 s: one that rested as long is not used again.
const MAX_REST: Duration = Duration::from_secs(25);
/// No schema is larger; an answer that is, is not read on.
const MAX_ANSWER: usize = 128 << 20;

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// A connection and since when it rests.
type Idle = (SendRequest<Full<Bytes>>, Instant);

/// How connections are made.
#[derive(Debug)]
pub(crate) struct Pool {
    tls: Option<Arc<rustls::ClientConfig>>,
    proxy: Option<Proxy>,
    connect_timeout: Duration,
    read_timeout: Duration,
    idle: Mutex<HashMap<Origin, Vec<Idle>>>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

impl Pool {
    /// `tls` is needed for https URLs only. A time-out of 0 is none.
    pub(crate) fn new(
        tls: Option<Arc<rustls::ClientConfig>>,
        proxy: Option<Proxy>,
        connect_timeout: Duration,
        read_timeout: Duration,
    ) -> Self {
        Self {
            tls,
            proxy,
            connect_timeout,
            read_timeout,
            idle: Mutex::default(),
        }
    }

    /// Sends a request whose URI is a path with a query, and reads the whole answer. The error says what happened and names no URL.
    pub(crate) async fn send(
        &self,
        origin: &Origin,
        request: Request<Full<Bytes>>,
    ) -> Result<Received, String> {
        if let Some(mut connection) = self.rested(origin) {
            // The server may have closed it in the meantime: then nothing was processed, and a new connection is made.
            let again = copy(&request);
            match self.exchange(origin, &mut connection, request).await {
                Err(Failed::Unsent) => return self.send_anew(origin, again).await,
                Err(Failed::Sent(text)) => return Err(text),
                Ok(received) => {
                    self.rest(origin, connection);
                    return Ok(received);
                }
            }
        }
        self.send_anew(origin, request).await
    }

    async fn send_anew(
        &self,
        origin: &Origin,
        request: Request<Full<Bytes>>,
    ) -> Result<Received, String> {
        let mut connection = limited(
            self.connect_timeout,
            "no connection",
            Box::pin(self.connect(origin)),
        )
        .await?;
        let received = self
            .exchange(origin, &mut connection, request)
            .await
            .map_err(|failed| match failed {
                Failed::Unsent => {
                    "the connection was closed before the request was sent".to_owned()
                }
                Failed::Sent(text) => text,
            })?;
        self.rest(origin, connection);
        Ok(received)
    }

    fn rested(&self, origin: &Origin) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock();
        let connections = idle.get_mut(origin)?;
        while let Some((connection, since)) = connections.pop() {
            if since.elapsed() < MAX_REST && !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn rest(&self, origin: &Origin, connection: SendRequest<Full<Bytes>>) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.idle.lock();
        let connections = idle.entry(origin.clone()).or_default();
        if connections.len() < MAX_IDLE {
            connections.push((connection, Instant::now()));
        }
    }

    async fn exchange(
        &self,
        origin: &Origin,
        connection: &mut SendRequest<Full<Bytes>>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Received, Failed> {
        connection.ready().await.map_err(|_| Failed::Unsent)?;
        // A proxy for plain HTTP wants the whole URL; behind one, TLS goes through a tunnel.
        if self.proxy.is_some() && !origin.tls {
            let uri = format!("http://{}{}", origin.authority(), request.uri());
            *request.uri_mut() = uri
                .parse()
                .map_err(|_| Failed::Sent("the URL cannot be sent to a proxy".to_owned()))?;
        }
        let answer = async {
            let response = match connection.try_send_request(request).await {
                Ok(response) => response,
                Err(mut error) => {
                    let unsent = error.take_message().is_some();
                    let why = format!("the connection broke: {}", deepest(&error.into_error()));
                    return Err(if unsent {
                        Failed::Unsent
                    } else {
                        Failed::Sent(why)
                    });
                }
            };
            read(response).await.map_err(Failed::Sent)
        };
        if self.read_timeout.is_zero() {
            return answer.await;
        }
        tokio::time::timeout(self.read_timeout, answer)
            .await
            .unwrap_or_else(|_| {
                Err(Failed::Sent(format!(
                    "no answer within {} ms",
                    self.read_timeout.as_millis()
                )))
            })
    }

    async fn connect(&self, origin: &Origin) -> Result<SendRequest<Full<Bytes>>, String> {
        let (host, port) = self
            .proxy
            .as_ref()
            .map_or((origin.host.as_str(), origin.port), |proxy| {
                (proxy.host.as_str(), proxy.port)
            });
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|e| match &self.proxy {
                Some(_) => format!("no connection to the proxy {host}:{port}: {e}"),
                None => format!("no connection: {e}"),
            })?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        if !origin.tls {
            return handshake(stream).await;
        }
        let stream = if self.proxy.is_some() {
            tunnel(stream, origin).await?
        } else {
            stream
        };
        let config = self.tls.clone().ok_or("TLS is not configured")?;
        let name = ServerName::try_from(origin.host.clone())
            .map_err(|_| "the host's name is not valid for TLS".to_owned())?;
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|e| format!("TLS failed: {e}"))?;
        handshake(stream).await
    }
}

enum Failed {
    /// The server cannot have seen the request.
    Unsent,
    Sent(String),
}

fn copy(request: &Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let mut again = Request::new(request.body().clone());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    again.headers_mut().clone_from(request.headers());
    again
}

async fn limited<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    if limit.is_zero() {
        return work.await;
    }
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(format!("{what} within {} ms", limit.as_millis())))
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| deepest(&e))?;
    // Ends when the sender is dropped or the server closes.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the schema registry ended");
        }
    });
    Ok(sender)
}

/// Asks a proxy for a tunnel.
async fn tunnel(stream: TcpStream, origin: &Origin) -> Result<TcpStream, String> {
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|e| deepest(&e))?;
    let connection = tokio::spawn(connection.without_shutdown());
    let host = if origin.host.contains(':') {
        format!("[{}]", origin.host)
    } else {
        origin.host.clone()
    };
    let target = format!("{host}:{}", origin.port);
    let request = Request::connect(&target)
        .header(http::header::HOST, &target)
        .body(Empty::new())
        .map_err(|e| e.to_string())?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|e| format!("the proxy did not answer: {}", deepest(&e)))?;
    if !response.status().is_success() {
        return Err(format!(
            "the proxy refused to connect: HTTP {}",
            response.status().as_u16()
        ));
    }
    drop((response, sender));
    match connection.await {
        Ok(Ok(parts)) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
        Ok(Ok(_)) => Err("the proxy sent something before the tunnel was used".to_owned()),
        Ok(Err(error)) => Err(deepest(&error)),
        Err(_) => Err("the tunnel was abandoned".to_owned()),
    }
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Received, String> {
    let status = response.status().as_u16();
    let location = response
        .headers()
        .get(http::header::LOCATION)
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|e| {
            if e.downcast_ref::<LengthLimitError>().is_some() {
                format!("the answer is larger than {} MB", MAX_ANSWER >> 20)
            } else {
                format!("the connection broke in the middle of the answer: {e}")
            }
        })?;
    let body = String::from_utf8(body.to_bytes().into())
        .map_err(|_| "the answer is not UTF-8".to_owned())?;
    Ok(Received {
        status,
        location,
        body,
    })
}

/// What is behind hyper's error, which by itself says little.
fn deepest(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}
