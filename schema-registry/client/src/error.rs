use std::fmt;

/// A call to the registry that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    /// HTTP status; 0 when there was no answer.
    pub status: u16,
    /// `error_code` of the answer; 50005 when the answer was not the registry's JSON, 0 when there was none.
    pub code: i32,
    /// `message` of the answer, or what went wrong on the way, naming the URL without credentials.
    pub message: String,
    /// Whether trying again later may help: no connection, 408, 429, 5xx.
    pub retriable: bool,
}

/// `error_code` for an answer that is not what a registry sends.
pub(crate) const NOT_UNDERSTOOD: i32 = 50005;

impl ClientError {
    /// No answer: nothing listens, the connection broke, it took too long.
    pub(crate) fn no_answer(message: impl Into<String>) -> Self {
        Self {
            status: 0,
            code: 0,
            message: message.into(),
            retriable: true,
        }
    }

    /// An answer that a registry would not send.
    pub(crate) fn not_understood(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            code: NOT_UNDERSTOOD,
            message: message.into(),
            retriable: is_retriable(status),
        }
    }
}

/// Whether the same request may succeed later.
pub(crate) fn is_retriable(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.status != 0 {
            write!(f, "; error code: {}", self.code)?;
        }
        Ok(())
    }
}

impl std::error::Error for ClientError {}
