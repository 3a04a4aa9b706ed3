use std::sync::Arc;

use millrace_api::config::{ConfigDef, Props};
use millrace_api::data::Record;
use millrace_api::plugin::{DataError, PluginInfo, Predicate, PredicatePlugin, TaskError};

use crate::registration::KAFKA_VERSION;

const INFO: PluginInfo = PluginInfo {
    class: "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone",
    version: KAFKA_VERSION,
};

/// Holds for records whose value is null, with a schema or without.
struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn test(&mut self, record: &Record) -> Result<bool, DataError> {
        Ok(record.value.value.is_null())
    }
}

#[derive(Debug)]
pub(crate) struct RecordIsTombstonePlugin;

impl PredicatePlugin for RecordIsTombstonePlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(ConfigDef::new())
    }

    fn create(&self, _props: &Props) -> Result<Box<dyn Predicate>, TaskError> {
        Ok(Box::new(RecordIsTombstone))
    }
}
