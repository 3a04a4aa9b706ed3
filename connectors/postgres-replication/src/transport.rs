//! The byte stream under a session: a socket, with or without TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};
use tokio_rustls::client::TlsStream;

use crate::error::ReplicationError;
use crate::low_water::{LowWaterStream, Socket};
use crate::options::{ConnectOptions, LowWater, SslMode};
use crate::tls;

#[derive(Debug)]
pub(crate) enum Transport {
    Plain(LowWaterStream),
    /// Boxed: a TLS session is ten times larger than a socket.
    Tls(Box<TlsStream<LowWaterStream>>),
}

impl Transport {
    /// Connects and, if `encrypt`, does what `sslmode` says about TLS.
    pub(crate) async fn connect(
        options: &ConnectOptions,
        encrypt: bool,
    ) -> Result<Self, ReplicationError> {
        let mut socket = LowWaterStream::new(open(options).await?);
        if !encrypt {
            return Ok(Transport::Plain(socket));
        }
        let mut request = bytes::BytesMut::new();
        postgres_protocol::message::frontend::ssl_request(&mut request);
        let failed = || ReplicationError::io(format!("asking {} for TLS", options.address()));
        socket.write_all(&request).await.map_err(failed())?;
        // Exactly one byte: anything that follows it unencrypted was not sent by the server.
        match socket.read_u8().await.map_err(failed())? {
            b'S' => tls::handshake(socket, options).await.map(Transport::Tls),
            b'N' if options.ssl_mode == SslMode::Prefer => Ok(Transport::Plain(socket)),
            b'N' => Err(ReplicationError::Tls(format!(
                "{} does not offer TLS and sslmode={} demands it: set `ssl = on` on the server or use another sslmode",
                options.address(),
                options.ssl_mode.as_str()
            ))),
            other => Err(ReplicationError::Protocol(format!(
                "{} answered the request for TLS with '{}'; is this a PostgreSQL server?",
                options.address(),
                other.escape_ascii()
            ))),
        }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Transport::Tls(_))
    }

    /// Batches reads from now on, or no longer.
    pub(crate) fn set_batching(&mut self, config: LowWater) -> Result<(), ReplicationError> {
        let socket = match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(stream) => stream.get_mut().0,
        };
        let set = socket.set_batching(config);
        set.map_err(ReplicationError::io("setting SO_RCVLOWAT"))
    }

    /// The channel binding data, on an encrypted connection that has any.
    pub(crate) fn server_end_point(&self) -> Option<Vec<u8>> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => tls::server_end_point(stream),
        }
    }
}

async fn open(options: &ConnectOptions) -> Result<Socket, ReplicationError> {
    if let Some(path) = options.unix_socket() {
        return UnixStream::connect(&path)
            .await
            .map(Socket::Unix)
            .map_err(ReplicationError::io(format!(
                "connecting to {}",
                path.display()
            )));
    }
    let addresses: Vec<_> = lookup_host((options.host.as_str(), options.port))
        .await
        .map_err(ReplicationError::io(format!(
            "looking up host `{}`",
            options.host
        )))?
        .collect();
    // An address that swallows packets must not use up the time of the others.
    let share = options.connect_timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in addresses {
        match tokio::time::timeout(share, open_tcp(address, options)).await {
            Ok(Ok(socket)) => return Ok(Socket::Tcp(socket)),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(ReplicationError::Io {
        during: format!("connecting to {}", options.address()),
        source: failure,
    })
}

async fn open_tcp(
    address: std::net::SocketAddr,
    options: &ConnectOptions,
) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_keepalive(options.tcp_keep_alive)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
