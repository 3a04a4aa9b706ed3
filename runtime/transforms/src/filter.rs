use millrace_api::config::ConnectConfig;
use millrace_api::data::Record;
use millrace_api::plugin::{DataError, TaskError, Transform, Verdict};

use crate::registration::Configured;
use crate::side::Side;

#[derive(Debug, ConnectConfig)]
pub(crate) struct FilterConfig {}

/// Drops every record that it sees: of use with a predicate.
#[derive(Debug)]
pub(crate) struct Filter;

impl Configured for Filter {
    type Config = FilterConfig;

    fn new(_config: FilterConfig, _side: Side) -> Result<Self, TaskError> {
        Ok(Self)
    }
}

impl Transform for Filter {
    fn apply(&mut self, _record: &mut Record) -> Result<Verdict, DataError> {
        Ok(Verdict::Drop)
    }
}
