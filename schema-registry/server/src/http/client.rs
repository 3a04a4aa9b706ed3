//! Calls to another registry: a follower's to its leader.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::listener::Scheme;

/// Connections that are kept for the next call.
const KEPT: usize = 16;

/// An answer of the leader is never longer than this.
const LARGEST_ANSWER: usize = 64 << 20;

/// Where a registry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// A call to make.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

/// A client with a few idle connections to one destination.
pub(crate) struct HttpClient {
    connect_timeout: Duration,
    read_timeout: Duration,
    tls: Option<TlsConnector>,
    idle: Mutex<Idle>,
}

/// Connections that wait for the next call.
#[derive(Default)]
struct Idle {
    to: Option<Destination>,
    connections: Vec<SendRequest<Full<Bytes>>>,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient")
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl HttpClient {
    pub(crate) fn new(
        connect_timeout: Duration,
        read_timeout: Duration,
        tls: Option<TlsConnector>,
    ) -> Self {
        Self {
            connect_timeout,
            read_timeout,
            tls,
            idle: Mutex::default(),
        }
    }

    /// Makes the call. An error says nothing of whether it took effect.
    pub(crate) async fn call(&self, to: &Destination, call: &Outgoing) -> io::Result<Answered> {
        let mut request = request(to, call)?;
        while let Some(mut kept) = self.take(to) {
            if kept.ready().await.is_err() {
                continue;
            }
            match self.exchange(&mut kept, request).await {
                Ok(answer) => {
                    self.keep(to, kept);
                    return Ok(answer);
                }
                // The other side closed the connection before it saw anything of the request.
                Err(Failed::NotSent(again)) => request = *again,
                Err(Failed::Unknown(error)) => return Err(error),
            }
        }
        let mut fresh = tokio::time::timeout(self.connect_timeout, self.connect(to))
            .await
            .map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, "the connection took too long")
            })??;
        match self.exchange(&mut fresh, request).await {
            Ok(answer) => {
                self.keep(to, fresh);
                Ok(answer)
            }
            Err(Failed::NotSent(_)) => Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the connection was closed",
            )),
            Err(Failed::Unknown(error)) => Err(error),
        }
    }

    async fn exchange(
        &self,
        connection: &mut SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Answered, Failed> {
        let slow = || {
            Failed::Unknown(io::Error::new(
                io::ErrorKind::TimedOut,
                "the answer took too long",
            ))
        };
        let response =
            match tokio::time::timeout(self.read_timeout, connection.try_send_request(request))
                .await
            {
                Err(_) => return Err(slow()),
                Ok(Ok(response)) => response,
                Ok(Err(mut error)) => {
                    return Err(match error.take_message() {
                        Some(request) => Failed::NotSent(Box::new(request)),
                        None => Failed::Unknown(io::Error::other(error.into_error())),
                    });
                }
            };
        let status = response.status();
        let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER);
        let body = tokio::time::timeout(self.read_timeout, body.collect())
            .await
            .map_err(|_| slow())?
            .map_err(|error| Failed::Unknown(io::Error::other(error)))?
            .to_bytes();
        Ok(Answered {
            status,
            content_type,
            body,
        })
    }

    async fn connect(&self, to: &Destination) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
        let _ = stream.set_nodelay(true);
        match to.scheme {
            Scheme::Http => handshake(stream).await,
            Scheme::Https => {
                let connector = self.tls.as_ref().ok_or_else(|| {
                    io::Error::other("the leader speaks TLS, but 'ssl.truststore.location' is not set, so its certificate cannot be checked")
                })?;
                let name = ServerName::try_from(to.host.clone()).map_err(io::Error::other)?;
                handshake(connector.connect(name, stream).await?).await
            }
        }
    }

    fn take(&self, to: &Destination) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock();
        if idle.to.as_ref() != Some(to) {
            *idle = Idle {
                to: Some(to.clone()),
                connections: Vec::new(),
            };
        }
        idle.connections.pop()
    }

    fn keep(&self, to: &Destination, connection: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock();
        if idle.to.as_ref() == Some(to) && idle.connections.len() < KEPT && !connection.is_closed()
        {
            idle.connections.push(connection);
        }
    }
}

/// Why an exchange did not end in an answer.
enum Failed {
    NotSent(Box<Request<Full<Bytes>>>),
    Unknown(io::Error),
}

async fn handshake<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: T,
) -> io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // Ends with the sender, or when the other side closes.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "a connection to the leader ended");
        }
    });
    Ok(sender)
}

fn request(to: &Destination, call: &Outgoing) -> io::Result<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(&call.target)
        .body(Full::new(call.body.clone()))
        .map_err(io::Error::other)?;
    *request.headers_mut() = call.headers.clone();
    let host = if to.host.contains(':') {
        format!("[{}]:{}", to.host, to.port)
    } else {
        format!("{}:{}", to.host, to.port)
    };
    request.headers_mut().insert(
        header::HOST,
        HeaderValue::from_str(&host).map_err(io::Error::other)?,
    );
    Ok(request)
}
