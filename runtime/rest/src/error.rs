use std::io;

/// Why the REST server does not start.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// A worker key has a value that cannot be obeyed.
    #[error("Invalid value {value} for configuration {key}: {problem}")]
    Invalid {
        /// The worker's key.
        key: &'static str,
        /// Its value, or the part of it that is wrong.
        value: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (configuration {key}): {remedy}")]
    Bind {
        /// `listeners` or `admin.listeners`
        key: &'static str,
        /// The listener as configured.
        address: String,
        /// What to do.
        remedy: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl RestError {
    pub(crate) fn invalid(
        key: &'static str,
        value: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            key,
            value: value.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn bind(key: &'static str, address: impl Into<String>, source: io::Error) -> Self {
        let remedy = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "another process has this port: stop it, or configure another port (0 takes a free one)"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need root or CAP_NET_BIND_SERVICE: configure a higher port"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address: configure one of its own, or an empty host for all of them"
            }
            _ => "configure a host name or address of this machine",
        };
        Self::Bind {
            key,
            address: address.into(),
            remedy,
            source,
        }
    }
}
