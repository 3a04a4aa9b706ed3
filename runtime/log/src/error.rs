use std::sync::Arc;

/// Why a call on the log failed. Cloneable, because one failure can concern many records.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// May succeed when tried again: a broker is away, a queue is full, the disk is full, the database is busy.
    #[error("{message}")]
    Retriable {
        /// What failed and what to do.
        message: String,
        /// The client's or the library's own error.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// The call did not finish in its time; whether it took effect is unknown.
    #[error("{0}")]
    Timeout(String),
    /// A newer producer with the same transactional id, or a newer generation of the group, has taken over.
    #[error("fenced: {0}")]
    Fenced(String),
    /// Topic or partition does not exist.
    #[error("unknown topic or partition {0}")]
    UnknownTopic(String),
    /// The topic is there already.
    #[error("topic '{0}' already exists")]
    TopicExists(String),
    /// The record is larger than the log takes.
    #[error("record of {size} bytes for topic '{topic}' is larger than the {limit} bytes allowed")]
    RecordTooLarge {
        /// Where it should have gone.
        topic: String,
        /// Its size in bytes.
        size: usize,
        /// The most that is allowed, in bytes.
        limit: usize,
    },
    /// Not authenticated or not allowed.
    #[error("not authorized: {0}")]
    Authorization(String),
    /// A setting is unknown in a way that matters, or has a value that is not allowed.
    #[error("{0}")]
    Config(String),
    /// The log cannot go on (I/O error, corruption, fatal client error): stop the worker and look.
    #[error("{message}")]
    Fatal {
        /// What failed and what to do.
        message: String,
        /// The client's or the library's own error.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// The log or this client was closed.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    /// A retriable failure without a cause of its own.
    pub fn retriable(message: impl Into<String>) -> Self {
        Self::Retriable {
            message: message.into(),
            source: None,
        }
    }

    /// A fatal failure without a cause of its own.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self::Fatal {
            message: message.into(),
            source: None,
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Retriable { .. } | Self::Timeout(_))
    }
}
