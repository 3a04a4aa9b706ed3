use millrace_api::config::{ConnectConfig, Validator};
use millrace_api::data::Record;
use millrace_api::plugin::{DataError, TaskError, Transform, Verdict};

use crate::registration::Configured;
use crate::side::Side;

#[derive(Debug, ConnectConfig)]
pub(crate) struct DropHeadersConfig {
    /// Names of the headers to drop.
    #[config(name = "headers", required, importance = "high", validate = Validator::non_empty_list())]
    headers: Vec<String>,
}

/// Drops headers by name; the others keep their order.
#[derive(Debug)]
pub(crate) struct DropHeaders {
    headers: Vec<String>,
}

impl Configured for DropHeaders {
    type Config = DropHeadersConfig;

    fn new(config: DropHeadersConfig, _side: Side) -> Result<Self, TaskError> {
        Ok(Self {
            headers: config.headers,
        })
    }
}

impl Transform for DropHeaders {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, DataError> {
        let dropped = |name: &str| self.headers.iter().any(|header| header == name);
        // Headers that records share are copied only when something changes.
        if record.headers.iter().any(|header| dropped(&header.name)) {
            record.headers.retain(|header| !dropped(&header.name));
        }
        Ok(Verdict::Keep)
    }
}
