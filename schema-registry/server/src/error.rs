use millrace_log::LogError;

/// Why a registry could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is missing, malformed, or asks for what cannot be done here; the text names its key.
    #[error("{0}")]
    Config(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ('{key}'): {source}")]
    Listen {
        /// The setting that names the address.
        key: &'static str,
        /// The address.
        address: String,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The schemas topic is not fit for a registry, or cannot be reached.
    #[error("{doing}: {source}")]
    Topic {
        /// What was being done, naming the topic.
        doing: String,
        /// The log's own error.
        source: LogError,
    },
    /// Something did not happen within `kafkastore.init.timeout.ms`.
    #[error("{0}")]
    Timeout(String),
    /// The group of registries cannot work with this member.
    #[error("{0}")]
    Election(String),
}

impl StartError {
    /// A refused setting: `problem` says what is allowed and what to do.
    pub(crate) fn setting(key: &str, value: &str, problem: impl std::fmt::Display) -> Self {
        if value.is_empty() {
            Self::Config(format!("Invalid configuration '{key}': {problem}"))
        } else {
            Self::Config(format!(
                "Invalid value '{value}' for configuration '{key}': {problem}"
            ))
        }
    }
}
