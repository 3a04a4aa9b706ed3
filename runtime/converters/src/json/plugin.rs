//! Registration of the JSON converter.

use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, Props};
use millrace_api::plugin::{
    Converter, ConverterPlugin, HeaderConverter, HeaderConverterPlugin, PluginInfo, TaskError,
};

use super::{JsonConverter, JsonConverterConfig};
use crate::configured::{KAFKA_VERSION, Role, configured};

const INFO: PluginInfo = PluginInfo {
    class: "org.apache.kafka.connect.json.JsonConverter",
    version: KAFKA_VERSION,
};

/// The JSON converter, for keys, values and headers.
#[derive(Debug)]
pub struct JsonConverterPlugin;

fn create(props: &Props, role: Role) -> Result<JsonConverter, TaskError> {
    let config: JsonConverterConfig = configured(props, role)?;
    JsonConverter::new(&config).map_err(|e| {
        TaskError::config(
            "converter.schema-content",
            format!("schema.content is not a schema: {e}"),
        )
        .with_source(e)
    })
}

impl ConverterPlugin for JsonConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(JsonConverterConfig::definition().clone())
    }

    fn create(&self, props: &Props, is_key: bool) -> Result<Box<dyn Converter>, TaskError> {
        Ok(Box::new(create(props, Role::of(is_key))?))
    }
}

impl HeaderConverterPlugin for JsonConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(JsonConverterConfig::definition().clone())
    }

    fn create(&self, props: &Props) -> Result<Box<dyn HeaderConverter>, TaskError> {
        Ok(Box::new(create(props, Role::Header)?))
    }
}
