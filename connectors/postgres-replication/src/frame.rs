//! Splitting the bytes of a stream into replication messages.

use crate::Lsn;
use crate::error::ReplicationError;
use crate::wire;

/// Where the payload of an [`XLogData`] lies in the buffer of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadRange {
    /// Bytes from the start of the buffer.
    pub offset: u32,
    /// Bytes of the payload.
    pub len: u32,
}

impl PayloadRange {
    /// The range inside the batch's buffer.
    pub fn as_range(self) -> std::ops::Range<usize> {
        let start = self.offset as usize;
        start..start + self.len as usize
    }
}

/// A message of the output plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XLogData {
    /// Position of the change (0/0 for relation, type and origin messages; behind the record for commits).
    pub wal_start: Lsn,
    /// The server's end of WAL at the time; for logical replication the same as `wal_start`.
    pub wal_end: Lsn,
    /// When it was sent, in microseconds since 2000-01-01 00:00:00 UTC.
    pub send_time_us: i64,
    /// The message itself, for [`Decoder::decode`](crate::pgoutput::Decoder::decode).
    pub payload: PayloadRange,
}

/// One message of a replication stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Data of the output plugin.
    XLogData(XLogData),
    /// A sign of life.
    KeepAlive {
        /// Everything up to here has been decoded and, if it was to be sent, sent.
        wal_end: Lsn,
        /// When it was sent, in microseconds since 2000-01-01 00:00:00 UTC.
        send_time_us: i64,
        /// The server wanted an answer. It was given already.
        reply_requested: bool,
    },
}

/// What else may stand between the data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scanned {
    Frame(Frame),
    Notice,
    Other,
    /// The server ends the stream.
    End,
    Error,
}

const XLOG_DATA_HEADER: usize = 25;
const KEEP_ALIVE: usize = 18;

/// Reads the message at `offset`: what it is and where the next begins. `None` when it is not complete yet.
///
/// The message's body is `buf[offset + wire::HEADER..next]`.
#[inline]
pub(crate) fn scan(
    buf: &[u8],
    offset: usize,
) -> Result<Option<(Scanned, usize)>, ReplicationError> {
    let rest = buf.get(offset..).unwrap_or_default();
    let Some(length) = wire::message_length(rest)? else {
        return Ok(None);
    };
    let Some(message) = rest.get(..length) else {
        return Ok(None);
    };
    let scanned = match message[0] {
        b'd' => Scanned::Frame(copy_data(&message[wire::HEADER..], offset + wire::HEADER)?),
        b'N' => Scanned::Notice,
        // ParameterStatus, NotificationResponse.
        b'S' | b'A' => Scanned::Other,
        // CopyDone, CommandComplete.
        b'c' | b'C' => Scanned::End,
        b'E' => Scanned::Error,
        tag => return Err(crate::session::unexpected(tag, "in a replication stream")),
    };
    Ok(Some((scanned, offset + length)))
}

fn u64_at(body: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    if let Some(bytes) = body.get(at..at + 8) {
        number.copy_from_slice(bytes);
    }
    u64::from_be_bytes(number)
}

#[inline]
fn copy_data(body: &[u8], offset: usize) -> Result<Frame, ReplicationError> {
    match body.first() {
        Some(b'w') if body.len() >= XLOG_DATA_HEADER => {
            let range = |number: usize| {
                u32::try_from(number).map_err(|_| {
                    ReplicationError::Protocol("a batch of more than 4 GiB".to_owned())
                })
            };
            Ok(Frame::XLogData(XLogData {
                wal_start: Lsn(u64_at(body, 1)),
                wal_end: Lsn(u64_at(body, 9)),
                send_time_us: u64_at(body, 17) as i64,
                payload: PayloadRange {
                    offset: range(offset + XLOG_DATA_HEADER)?,
                    len: range(body.len() - XLOG_DATA_HEADER)?,
                },
            }))
        }
        Some(b'k') if body.len() >= KEEP_ALIVE => Ok(Frame::KeepAlive {
            wal_end: Lsn(u64_at(body, 1)),
            send_time_us: u64_at(body, 9) as i64,
            reply_requested: body[17] != 0,
        }),
        Some(b'w' | b'k') => Err(ReplicationError::Protocol(format!(
            "a replication message is cut short after {} bytes",
            body.len()
        ))),
        Some(other) => Err(ReplicationError::Protocol(format!(
            "unknown replication message '{}'",
            other.escape_ascii()
        ))),
        None => Err(ReplicationError::Protocol("empty CopyData".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![tag];
        message.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        message.extend_from_slice(body);
        message
    }

    fn xlog_data(payload: &[u8]) -> Vec<u8> {
        let mut body = vec![b'w'];
        body.extend_from_slice(&1u64.to_be_bytes());
        body.extend_from_slice(&2u64.to_be_bytes());
        body.extend_from_slice(&(-3i64).to_be_bytes());
        body.extend_from_slice(payload);
        message(b'd', &body)
    }

    #[test]
    fn ranges_point_into_the_whole_buffer() {
        let mut buf = xlog_data(b"first");
        let second = buf.len();
        buf.extend(xlog_data(b""));
        let third = buf.len();
        buf.extend(xlog_data(b"third"));
        for (start, text) in [(0, "first"), (second, ""), (third, "third")] {
            let Ok(Some((Scanned::Frame(Frame::XLogData(data)), _))) = scan(&buf, start) else {
                panic!("data");
            };
            assert_eq!(&buf[data.payload.as_range()], text.as_bytes());
            assert_eq!(
                (data.wal_start, data.wal_end, data.send_time_us),
                (Lsn(1), Lsn(2), -3)
            );
        }
    }

    #[test]
    fn incomplete_messages_wait() {
        let whole = xlog_data(b"payload");
        for end in 0..whole.len() {
            assert_eq!(scan(&whole[..end], 0).expect("no error"), None, "{end}");
        }
        assert!(scan(&whole, 0).expect("no error").is_some());
        assert_eq!(scan(&whole, whole.len()).expect("no error"), None);
    }

    #[test]
    fn keep_alive() {
        let mut body = vec![b'k'];
        body.extend_from_slice(&7u64.to_be_bytes());
        body.extend_from_slice(&8i64.to_be_bytes());
        body.push(1);
        let expected = Frame::KeepAlive {
            wal_end: Lsn(7),
            send_time_us: 8,
            reply_requested: true,
        };
        let buf = message(b'd', &body);
        let end = buf.len();
        assert_eq!(
            scan(&buf, 0).expect("no error"),
            Some((Scanned::Frame(expected), end))
        );
    }

    #[test]
    fn what_is_no_replication_message_is_refused() {
        for body in [&b""[..], b"w123", b"k123", b"x"] {
            scan(&message(b'd', body), 0).expect_err("refused");
        }
        scan(&message(b'Q', b""), 0).expect_err("refused");
    }
}
