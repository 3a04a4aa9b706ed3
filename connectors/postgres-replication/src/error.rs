//! What can go wrong on a replication connection.

use std::fmt;
use std::io;
use std::time::Duration;

/// An ErrorResponse of the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`, not localised.
    pub severity: String,
    /// SQLSTATE, five characters.
    pub code: String,
    /// The primary message.
    pub message: String,
    /// The secondary message.
    pub detail: Option<String>,
    /// What the server suggests.
    pub hint: Option<String>,
}

impl ServerError {
    /// Whether the session ended with this error.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// Whether the SQLSTATE belongs to a class, given as its first two characters (`"28"`: authorization).
    pub fn is_class(&self, class: &str) -> bool {
        self.code.get(..2) == Some(class)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} (SQLSTATE {})",
            self.severity, self.message, self.code
        )?;
        if let Some(detail) = &self.detail {
            write!(f, "; detail: {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; hint: {hint}")?;
        }
        Ok(())
    }
}

/// Why a call on a replication connection failed.
///
/// The variants say what happened, not whether to try again: that is the caller's policy. Usually `Io`, `Closed` and
/// `Timeout` are worth a reconnect, `Server` depends on [`ServerError::code`], the others need a human.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicationError {
    /// The network failed.
    #[error("{during}: {source}")]
    Io {
        /// What was being done, with the address.
        during: String,
        /// The cause.
        source: io::Error,
    },
    /// No secure connection of the requested kind could be made.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server and this client could not agree on how to authenticate, or the server failed to prove itself.
    /// A refused password is a [`ReplicationError::Server`] with SQLSTATE class 28.
    #[error("authentication: {0}")]
    Auth(String),
    /// The server answered with an error.
    #[error("{0}")]
    Server(Box<ServerError>),
    /// The server sent something that its protocol does not allow in this place.
    #[error("protocol violation: {0}")]
    Protocol(String),
    /// The server ended the connection or the stream.
    #[error("connection closed by the server {0}")]
    Closed(&'static str),
    /// Something took longer than allowed.
    #[error("{during} took longer than {limit:?}")]
    Timeout {
        /// What was being done.
        during: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// An option or argument cannot be used.
    #[error("{0}")]
    Options(String),
}

impl ReplicationError {
    /// The server's error, if it is one.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            ReplicationError::Server(error) => Some(error),
            _ => None,
        }
    }

    /// The SQLSTATE, if the server sent one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.server().map(|error| error.code.as_str())
    }

    pub(crate) fn io(during: impl Into<String>) -> impl FnOnce(io::Error) -> ReplicationError {
        let during = during.into();
        |source| ReplicationError::Io { during, source }
    }
}

impl From<ServerError> for ReplicationError {
    fn from(error: ServerError) -> Self {
        ReplicationError::Server(Box::new(error))
    }
}
