//! Streaming: batches of frames in, confirmed positions out.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWrite};

use crate::connection::ReplicationConnection;
use crate::error::ReplicationError;
use crate::frame::{self, Frame, Scanned};
use crate::options::LowWater;
use crate::session::{Session, log_notice, read_error, unexpected, write_error};
use crate::{Lsn, wire};

/// Size of the buffers that are read into, and about the size from which on a batch is handed out without looking
/// for more.
const CHUNK: usize = 256 * 1024;

/// Reports the last given positions at least this often, unless set otherwise.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// 2000-01-01 00:00:00 UTC in seconds since 1970.
const POSTGRES_EPOCH_SECONDS: i64 = 946_684_800;

/// How far a consumer has come, as told to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Positions {
    /// Received.
    pub written: Lsn,
    /// Durable: the server forgets what is before it and never sends it again.
    pub flushed: Lsn,
    /// Visible at the destination; only shown in `pg_stat_replication`.
    pub applied: Lsn,
}

/// A running `START_REPLICATION`.
///
/// Pull-based: nothing is read, answered or confirmed but inside of a call of the owner; there is no task behind it. So a
/// slow owner slows the server down through TCP. An owner that does not call [`next_batch`](Self::next_batch) for
/// longer than half of the server's `wal_sender_timeout` (60 s by default) has to call
/// [`standby_status`](Self::standby_status) in the meantime, or the server ends the session.
#[derive(Debug)]
pub struct ReplicationStream {
    session: Session,
    /// What is being written.
    output: BytesMut,
    /// A status message is due once `output` is empty; with whether it asks for an answer.
    status_due: Option<bool>,
    /// Bytes may still be inside the TLS session.
    flush_due: bool,
    positions: Positions,
    status_interval: Duration,
    last_status: Instant,
    /// Found behind frames that had to be handed out first.
    failure: Option<ReplicationError>,
    /// Nothing more can be read, for this reason.
    closed: Option<ReplicationError>,
    /// An error was handed out: there is nothing more to come.
    ended: bool,
}

impl ReplicationStream {
    pub(crate) fn new(session: Session) -> Self {
        ReplicationStream {
            session,
            output: BytesMut::with_capacity(64),
            status_due: None,
            flush_due: false,
            positions: Positions::default(),
            status_interval: STATUS_INTERVAL,
            last_status: Instant::now(),
            failure: None,
            closed: None,
            ended: false,
        }
    }

    /// How often [`next_batch`](Self::next_batch) repeats the last given positions by itself (10 s unless set).
    pub fn set_status_interval(&mut self, interval: Duration) {
        // Zero would mean to do nothing else.
        self.status_interval = interval.max(Duration::from_millis(1));
    }

    /// The positions that were last given to [`standby_status`](Self::standby_status).
    pub fn positions(&self) -> Positions {
        self.positions
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.session.transport.is_encrypted()
    }

    /// Waits for data and hands out all that has arrived: `frames` is cleared and filled, the payload ranges in it point
    /// into the returned buffer. After `timeout` without data both are empty.
    ///
    /// The buffer is read into once and never copied; slices of it keep it (up to 256 KiB, or one message if that is
    /// larger) in memory. Keep-alives that ask for an answer are answered here, and the last given positions are
    /// repeated every [status interval](Self::set_status_interval); neither ever confirms more than was given.
    ///
    /// Cancel-safe: dropping the future loses nothing, the next call goes on.
    ///
    /// # Errors
    /// `Server` when the server ended the stream with an error, `Closed` when it ended without one (shutdown), `Io`,
    /// `Protocol`. Frames that came before an error are handed out first. After an error the stream is over and each call
    /// gives `Closed`.
    pub async fn next_batch(
        &mut self,
        frames: &mut Vec<Frame>,
        timeout: Duration,
    ) -> Result<Bytes, ReplicationError> {
        frames.clear();
        if self.ended {
            return Err(ReplicationError::Closed("earlier"));
        }
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let batch = self.take_frames(frames);
            if !frames.is_empty() {
                self.drive_output().await;
                return Ok(batch);
            }
            if let Some(failure) = self.failure.take().or_else(|| self.closed.take()) {
                self.ended = true;
                return Err(failure);
            }
            let status_in = self
                .status_interval
                .saturating_sub(self.last_status.elapsed());
            let next_status = if status_in.is_zero() {
                // Goes out with the next read.
                self.status_due.get_or_insert(false);
                self.last_status = Instant::now();
                self.status_interval
            } else {
                status_in
            };
            let wake = deadline.min(tokio::time::Instant::now() + next_status);
            match tokio::time::timeout_at(wake, self.fill()).await {
                Ok(()) => {}
                Err(_) if tokio::time::Instant::now() >= deadline => {
                    self.drive_output().await;
                    return Ok(Bytes::new());
                }
                Err(_) => {}
            }
        }
    }

    /// Takes over how far the consumer has come and tells the server. Positions never go back: a lower one than
    /// before is ignored. `0/0` means "nothing yet".
    ///
    /// `flushed` is what the slot is moved to: everything before it will not be sent again. Does not wait for the
    /// server; if the socket is full, the message is sent by the next call of this or
    /// [`next_batch`](Self::next_batch) (then with the newest positions).
    ///
    /// # Errors
    /// `Closed` after the stream has ended. Failing to write is reported by [`next_batch`](Self::next_batch), which may
    /// know the server's reason.
    pub async fn standby_status(
        &mut self,
        written: Lsn,
        flushed: Lsn,
        applied: Lsn,
        reply_requested: bool,
    ) -> Result<(), ReplicationError> {
        if self.ended {
            return Err(ReplicationError::Closed("earlier"));
        }
        let positions = &mut self.positions;
        positions.written = positions.written.max(written);
        positions.flushed = positions.flushed.max(flushed);
        positions.applied = positions.applied.max(applied);
        self.status_due = Some(reply_requested || self.status_due == Some(true));
        self.last_status = Instant::now();
        self.drive_output().await;
        Ok(())
    }

    /// Ends the stream: sends the positions once more and CopyDone, reads on until the server has agreed, and gives the
    /// connection back for further commands. Data that arrives meanwhile is thrown away; it was not confirmed, so the
    /// slot still has it.
    ///
    /// # Errors
    /// `Timeout` when the server does not end within `limit` (it finishes sending the transaction it is at first): the
    /// connection is closed then. `Server`, `Io`, `Closed`, `Protocol` as in [`next_batch`](Self::next_batch).
    pub async fn stop(
        mut self,
        limit: Duration,
    ) -> Result<ReplicationConnection, ReplicationError> {
        if let Some(failure) = self.failure.take().or_else(|| self.closed.take()) {
            return Err(failure);
        }
        if self.ended {
            return Err(ReplicationError::Closed("earlier"));
        }
        match tokio::time::timeout(limit, self.finish()).await {
            Ok(Ok(())) => Ok(ReplicationConnection::from_session(self.session)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ReplicationError::Timeout {
                during: "ending the replication stream",
                limit,
            }),
        }
    }

    async fn finish(&mut self) -> Result<(), ReplicationError> {
        self.status_due = Some(false);
        poll_fn(|cx| self.poll_output(cx))
            .await
            .map_err(write_error)?;
        let mut done = BytesMut::new();
        frontend::copy_done(&mut done);
        self.session.send(&done).await?;
        self.session.transport.set_batching(LowWater::OFF)?;
        loop {
            match self.session.receive().await? {
                (b'Z', _) => return Ok(()),
                (b'E', body) => return Err(wire::server_error(&body).into()),
                // CopyData, CopyDone, CommandComplete (twice: of the copy and of the command).
                (b'd' | b'c' | b'C' | b'A', _) => {}
                (tag, _) => return Err(unexpected(tag, "at the end of a replication stream")),
            }
        }
    }

    /// Cuts all complete messages off the input.
    fn take_frames(&mut self, frames: &mut Vec<Frame>) -> Bytes {
        let mut end = 0;
        while self.failure.is_none() {
            let (scanned, next) = match frame::scan(&self.session.input, end) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            };
            let body = &self.session.input[end + wire::HEADER..next];
            match scanned {
                Scanned::Frame(frame) => {
                    if let Frame::KeepAlive {
                        reply_requested: true,
                        ..
                    } = frame
                    {
                        self.status_due.get_or_insert(false);
                    }
                    frames.push(frame);
                }
                Scanned::Notice => log_notice(body),
                Scanned::Other => {}
                Scanned::End => {
                    self.failure = Some(ReplicationError::Closed(
                        "at the end of the stream (shutdown?)",
                    ));
                }
                Scanned::Error => self.failure = Some(wire::server_error(body).into()),
            }
            end = next;
        }
        self.session.input.split_to(end).freeze()
    }

    /// Makes room for the next reads: a chunk, or more when a larger message has begun.
    fn reserve(&mut self) {
        let input = &mut self.session.input;
        let missing = match wire::message_length(input) {
            Ok(Some(length)) => length.saturating_sub(input.len()),
            _ => 0,
        };
        // Not all at once: memory follows what has really arrived.
        let wanted = missing.min(input.len().max(CHUNK));
        if input.capacity() - input.len() < wanted.max(CHUNK / 2) {
            input.reserve(wanted.max(CHUNK));
        }
    }

    /// Waits until something has arrived (or the connection has ended), then reads what else is there.
    async fn fill(&mut self) {
        self.reserve();
        let mut read = poll_fn(|cx| self.poll_fill(cx)).await;
        while self.keep(read) && self.session.input.len() < CHUNK {
            match poll_fn(|cx| Poll::Ready(self.poll_fill(cx))).await {
                Poll::Ready(more) => read = more,
                Poll::Pending => break,
            }
        }
    }

    /// Notes how a read ended; whether it is worthwhile to read on.
    fn keep(&mut self, read: std::io::Result<usize>) -> bool {
        self.closed = match read {
            Ok(0) => Some(ReplicationError::Closed("without a word")),
            Ok(_) => return true,
            Err(error) => Some(read_error(error)),
        };
        false
    }

    /// Reads once; writes what is due while at it.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        self.poll_output_leniently(cx);
        let Session {
            transport, input, ..
        } = &mut self.session;
        // `read_buf` keeps no state between polls.
        pin!(transport.read_buf(input)).poll(cx)
    }

    /// Writes what can be written without waiting.
    async fn drive_output(&mut self) {
        poll_fn(|cx| {
            self.poll_output_leniently(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// A failure to write is left to the next read to report, which may find the server's reason in front of it.
    fn poll_output_leniently(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(Err(error)) = self.poll_output(cx) {
            tracing::debug!(%error, "cannot send a status update");
            self.output.clear();
            self.status_due = None;
            self.flush_due = false;
        }
    }

    /// Writes the message at hand, then a status update if one is due, then flushes.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        loop {
            if !self.output.is_empty() {
                let transport = Pin::new(&mut self.session.transport);
                let count = std::task::ready!(transport.poll_write(cx, &self.output))?;
                if count == 0 {
                    return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
                }
                bytes::Buf::advance(&mut self.output, count);
                self.flush_due = true;
            } else if let Some(reply_requested) = self.status_due.take() {
                self.last_status = Instant::now();
                encode_status(self.positions, reply_requested, now_us(), &mut self.output);
            } else if self.flush_due {
                std::task::ready!(Pin::new(&mut self.session.transport).poll_flush(cx))?;
                self.flush_due = false;
            } else {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// A `StandbyStatusUpdate` inside of CopyData.
fn encode_status(positions: Positions, reply_requested: bool, now_us: i64, out: &mut BytesMut) {
    const BODY: u32 = 1 + 8 + 8 + 8 + 8 + 1;
    out.put_u8(b'd');
    out.put_u32(4 + BODY);
    out.put_u8(b'r');
    out.put_u64(positions.written.0);
    out.put_u64(positions.flushed.0);
    out.put_u64(positions.applied.0);
    out.put_i64(now_us);
    out.put_u8(reply_requested.into());
}

/// Microseconds since 2000-01-01 00:00:00 UTC; the server only shows it.
fn now_us() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
        });
    since_1970.saturating_sub(POSTGRES_EPOCH_SECONDS * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_update_layout() {
        let mut out = BytesMut::new();
        let positions = Positions {
            written: Lsn(3),
            flushed: Lsn(2),
            applied: Lsn(1),
        };
        encode_status(positions, true, -1, &mut out);
        let mut expected = b"d\0\0\0\x26r".to_vec();
        for position in [3u64, 2, 1] {
            expected.extend_from_slice(&position.to_be_bytes());
        }
        expected.extend_from_slice(&[0xff; 8]);
        expected.push(1);
        assert_eq!(out, expected);
        assert_eq!(
            wire::message_length(&out).expect("well-formed"),
            Some(out.len())
        );
    }
}
