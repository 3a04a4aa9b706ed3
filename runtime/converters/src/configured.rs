//! Reading of a converter's configuration.

use millrace_api::config::{ConnectConfig, Props};
use millrace_api::plugin::TaskError;

/// The Kafka release whose converters these are: what `/connector-plugins` shows.
pub(crate) const KAFKA_VERSION: &str = "4.3.1";

/// What a converter is used for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    Key,
    Value,
    Header,
}

impl Role {
    pub(crate) fn of(is_key: bool) -> Self {
        if is_key { Self::Key } else { Self::Value }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::Header => "header",
        }
    }
}

/// Reads `props`, with `converter.type` set to the role as the framework does. The error lists all that is wrong.
pub(crate) fn configured<C: ConnectConfig>(props: &Props, role: Role) -> Result<C, TaskError> {
    let mut props = props.clone();
    props.insert("converter.type", role.name());
    C::parse(&props).map_err(|errors| TaskError::config("converter.config", errors.to_string()))
}
