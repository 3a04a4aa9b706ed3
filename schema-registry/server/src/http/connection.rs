//! Accepting connections, and serving each until it ends, idles or the server stops.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;

use super::respond::Reply;

/// Headers of a request may take this many bytes together with its first line.
const LARGEST_HEAD: usize = 64 << 10;

/// What a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// No new requests; those under way finish.
    Stopping,
    /// Those under way are given up.
    Closing,
}

/// How connections are treated.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    /// Shared by all listeners: so many connections at once.
    pub(crate) permits: Arc<Semaphore>,
    /// A connection that says nothing for so long is closed.
    pub(crate) idle: Duration,
}

/// Answers the requests of all connections of a listener.
pub(crate) trait Service: Send + Sync + 'static {
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;
}

/// Accepts connections until the phase is not `Serving`, then waits for those that are open.
pub(crate) async fn accept<S: Service>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<S>,
    limits: ConnectionLimits,
    mut phase: watch::Receiver<Phase>,
) {
    let mut connections = JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&limits.permits).acquire_owned() => permit,
            () = stopping(&mut phase) => break,
        };
        // Nothing closes the semaphore.
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping(&mut phase) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small: waiting for more to send costs up to 40 ms. A socket that refuses the option works without it.
                let _ = stream.set_nodelay(true);
                connections.spawn(connection(
                    stream,
                    tls.clone(),
                    Arc::clone(&service),
                    limits.idle,
                    permit,
                    phase.clone(),
                ));
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted (too many open files?); the next attempt is in a second");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns when the server stops, or is gone.
async fn stopping(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase != Phase::Serving).await;
}

async fn connection<S: Service>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    service: Arc<S>,
    idle: Duration,
    permit: OwnedSemaphorePermit,
    phase: watch::Receiver<Phase>,
) {
    let _permit = permit;
    match tls {
        None => serve(stream, service, idle, phase).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Box::pin(serve(stream, service, idle, phase)).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

async fn serve<S: Service, T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: T,
    service: Arc<S>,
    idle: Duration,
    mut phase: watch::Receiver<Phase>,
) {
    let busy = Arc::new(AtomicBool::new(false));
    let watched = WatchedIo::new(stream, idle, Arc::clone(&busy));
    let answer = service_fn(move |request| {
        let (service, busy) = (Arc::clone(&service), Arc::clone(&busy));
        async move {
            busy.store(true, Ordering::Relaxed);
            let reply = service.answer(request).await;
            busy.store(false, Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(reply)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(watched), answer)
    );
    let mut graceful = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::trace!(%error, "a connection ended");
                }
                return;
            }
            () = beyond(&mut phase, graceful) => {
                if graceful {
                    return;
                }
                graceful = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Returns when the server stops; once that is known, when it gives up what is under way.
async fn beyond(phase: &mut watch::Receiver<Phase>, graceful: bool) {
    let _ = phase
        .wait_for(|phase| match phase {
            Phase::Serving => false,
            Phase::Stopping => !graceful,
            Phase::Closing => true,
        })
        .await;
}

/// A stream that breaks when nothing was read or written for too long while no request was being answered.
#[derive(Debug)]
struct WatchedIo<T> {
    stream: T,
    idle: Duration,
    /// Looked at only when it fires: on progress just the time is noted, which is cheaper than moving a timer.
    alarm: Pin<Box<Sleep>>,
    last: Instant,
    busy: Arc<AtomicBool>,
}

impl<T> WatchedIo<T> {
    fn new(stream: T, idle: Duration, busy: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            idle,
            alarm: Box::pin(tokio::time::sleep(idle)),
            last: Instant::now(),
            busy,
        }
    }

    fn watch<R>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if progress.is_ready() {
            self.last = Instant::now();
            return progress;
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let end = if self.busy.load(Ordering::Relaxed) {
                now
            } else {
                self.last
            } + self.idle;
            if end <= now {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "nothing came over this connection for too long",
                )));
            }
            self.alarm.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch(context, progress)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WatchedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(context, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
