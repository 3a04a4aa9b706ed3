use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, Props, Validator};
use millrace_api::data::Record;
use millrace_api::plugin::{DataError, PluginInfo, Predicate, PredicatePlugin, TaskError};

use crate::registration::{KAFKA_VERSION, configured};

const INFO: PluginInfo = PluginInfo {
    class: "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
    version: KAFKA_VERSION,
};

#[derive(Debug, ConnectConfig)]
struct HasHeaderKeyConfig {
    /// Name of the header.
    #[config(name = "name", required, importance = "medium", validate = Validator::non_empty())]
    name: String,
}

/// Holds for records with a header of this name.
struct HasHeaderKey {
    name: String,
}

impl Predicate for HasHeaderKey {
    fn test(&mut self, record: &Record) -> Result<bool, DataError> {
        Ok(record.headers.last(&self.name).is_some())
    }
}

#[derive(Debug)]
pub(crate) struct HasHeaderKeyPlugin;

impl PredicatePlugin for HasHeaderKeyPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(HasHeaderKeyConfig::definition().clone())
    }

    fn create(&self, props: &Props) -> Result<Box<dyn Predicate>, TaskError> {
        let config: HasHeaderKeyConfig = configured(props)?;
        Ok(Box::new(HasHeaderKey { name: config.name }))
    }
}
