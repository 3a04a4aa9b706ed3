//! A session before streaming: sends and awaits whole messages.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::ReplicationError;
use crate::options::LowWater;
use crate::transport::Transport;
use crate::wire;

/// The state that a connection and a stream share.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) transport: Transport,
    /// What was received and not yet consumed.
    pub(crate) input: BytesMut,
    /// `server_version` as the server reports it, such as `15.14 (Debian 15.14-0+deb12u1)`.
    pub(crate) server_version: String,
    /// How reads are batched while streaming.
    pub(crate) low_water: LowWater,
}

/// What a read error means: an end without goodbye is the server's doing, not the network's.
pub(crate) fn read_error(error: std::io::Error) -> ReplicationError {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        ReplicationError::Closed("without a word")
    } else {
        ReplicationError::Io {
            during: "reading from the server".to_owned(),
            source: error,
        }
    }
}

pub(crate) fn write_error(source: std::io::Error) -> ReplicationError {
    ReplicationError::Io {
        during: "writing to the server".to_owned(),
        source,
    }
}

impl Session {
    pub(crate) fn new(transport: Transport, low_water: LowWater) -> Self {
        Session {
            transport,
            input: BytesMut::with_capacity(8 * 1024),
            server_version: String::new(),
            low_water,
        }
    }

    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<(), ReplicationError> {
        self.transport
            .write_all(message)
            .await
            .map_err(write_error)?;
        self.transport.flush().await.map_err(write_error)
    }

    /// The next message that is not about the session itself: notices are logged, parameters noted.
    /// Cancel-safe: an incomplete message stays in `input`.
    pub(crate) async fn receive(&mut self) -> Result<(u8, Bytes), ReplicationError> {
        loop {
            match wire::take_message(&mut self.input)? {
                Some((b'N', body)) => log_notice(&body),
                Some((b'S', body)) => self.note_parameter(&body)?,
                Some(message) => return Ok(message),
                None => {
                    let count = self
                        .transport
                        .read_buf(&mut self.input)
                        .await
                        .map_err(read_error)?;
                    if count == 0 {
                        return Err(ReplicationError::Closed("without a word"));
                    }
                }
            }
        }
    }

    fn note_parameter(&mut self, body: &[u8]) -> Result<(), ReplicationError> {
        let mut body = wire::Body::new(body, "ParameterStatus");
        if body.text()? == "server_version" {
            self.server_version = body.text()?;
        }
        Ok(())
    }

    /// The number before the first dot, 0 when the server did not tell.
    pub(crate) fn server_major(&self) -> u32 {
        let digits = self
            .server_version
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        self.server_version[..digits].parse().unwrap_or(0)
    }
}

pub(crate) fn log_notice(body: &[u8]) {
    let notice = wire::server_error(body);
    tracing::info!(severity = %notice.severity, code = %notice.code, "server notice: {}", notice.message);
}

/// An error for a message that has no place where it came.
pub(crate) fn unexpected(tag: u8, during: &str) -> ReplicationError {
    ReplicationError::Protocol(format!("message '{}' {during}", tag.escape_ascii()))
}
