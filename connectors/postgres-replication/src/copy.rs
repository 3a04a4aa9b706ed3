//! `COPY … TO STDOUT`: many rows per wake-up, in one shared buffer.

use bytes::{Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tokio::io::AsyncReadExt as _;

use crate::auth;
use crate::connection::ReplicationConnection;
use crate::error::ReplicationError;
use crate::frame::PayloadRange;
use crate::session::{Session, log_notice, read_error, unexpected};
use crate::wire;

/// Room for one read.
const CHUNK: usize = 256 * 1024;

/// A running `COPY … TO STDOUT`. Dropping it closes the connection.
#[derive(Debug)]
pub struct CopyOut {
    session: Session,
    failure: Option<ReplicationError>,
    ended: bool,
}

impl ReplicationConnection {
    /// Starts `COPY … TO STDOUT`. Rows are read faster over a connection that was made with the start-up parameter `replication=false`, because it needs no walsender,
    /// but any will do.
    ///
    /// # Errors
    /// `Server` when the statement is refused; the connection is closed then.
    pub async fn copy_out(mut self, sql: &str) -> Result<CopyOut, ReplicationError> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out).map_err(auth::message_error)?;
        self.session.send(&out).await?;
        match self.session.receive().await? {
            (b'H', _) => Ok(CopyOut {
                session: self.session,
                failure: None,
                ended: false,
            }),
            (b'E', body) => Err(wire::server_error(&body).into()),
            (tag, _) => Err(unexpected(tag, "in the answer to COPY")),
        }
    }
}

impl CopyOut {
    /// Waits for rows and hands out all that have arrived: `rows` is cleared and filled with their places in the returned buffer, in text format each with its line
    /// feed. `None`: there are no more. Cancel-safe.
    ///
    /// # Errors
    /// `Server` when the statement failed on the way, `Io`, `Closed`, `Protocol`. Rows that came before are handed out first.
    pub async fn next_batch(
        &mut self,
        rows: &mut Vec<PayloadRange>,
    ) -> Result<Option<Bytes>, ReplicationError> {
        rows.clear();
        loop {
            let buffer = self.take(rows);
            if !rows.is_empty() {
                return Ok(Some(buffer));
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if self.ended {
                return Ok(None);
            }
            let input = &mut self.session.input;
            if input.capacity() - input.len() < CHUNK / 2 {
                input.reserve(CHUNK);
            }
            match self.session.transport.read_buf(input).await {
                Ok(0) => return Err(ReplicationError::Closed("in the middle of a COPY")),
                Ok(_) => {}
                Err(error) => return Err(read_error(error)),
            }
        }
    }

    /// The connection, for the next statement.
    ///
    /// # Errors
    /// `Protocol` when rows are left.
    pub fn finish(self) -> Result<ReplicationConnection, ReplicationError> {
        if self.ended && self.failure.is_none() {
            return Ok(ReplicationConnection::from_session(self.session));
        }
        Err(ReplicationError::Protocol(
            "a COPY was finished before its last row was read".to_owned(),
        ))
    }

    /// Cuts all complete messages off the input.
    fn take(&mut self, rows: &mut Vec<PayloadRange>) -> Bytes {
        let input = &self.session.input;
        let mut end = 0;
        while self.failure.is_none() && !self.ended {
            let rest = &input[end..];
            let length = match wire::message_length(rest) {
                Ok(Some(length)) if rest.len() >= length => length,
                Ok(_) => break,
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            };
            let body = &rest[wire::HEADER..length];
            match rest[0] {
                b'd' => match (u32::try_from(end + wire::HEADER), u32::try_from(body.len())) {
                    (Ok(offset), Ok(len)) => rows.push(PayloadRange { offset, len }),
                    _ => {
                        self.failure = Some(ReplicationError::Protocol(
                            "a batch of more than 4 GiB".to_owned(),
                        ));
                    }
                },
                // CopyDone, CommandComplete, ParameterStatus, NotificationResponse.
                b'c' | b'C' | b'S' | b'A' => {}
                b'N' => log_notice(body),
                b'Z' => self.ended = true,
                b'E' => self.failure = Some(wire::server_error(body).into()),
                tag => self.failure = Some(unexpected(tag, "in a COPY")),
            }
            end += length;
        }
        self.session.input.split_to(end).freeze()
    }
}
