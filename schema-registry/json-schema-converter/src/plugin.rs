//! Registration of the JSON Schema converter.

use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, Props};
use millrace_api::plugin::{Converter, ConverterPlugin, PluginInfo, TaskError};
use registry_client::serde::{SchemaSerde, serde_config};
use registry_client::{Registries, SchemaType};

use crate::{JsonSchemaConverter, JsonSchemaConverterConfig};

const INFO: PluginInfo = PluginInfo {
    class: "io.confluent.connect.json.JsonSchemaConverter",
    version: "8.3.1",
};

/// The JSON Schema converter, for keys and values.
#[derive(Debug, Clone)]
pub struct JsonSchemaConverterPlugin {
    registries: Registries,
}

impl JsonSchemaConverterPlugin {
    /// A plugin whose converters reach their registries through `registries`.
    pub fn new(registries: Registries) -> Self {
        Self { registries }
    }
}

impl From<Registries> for JsonSchemaConverterPlugin {
    fn from(registries: Registries) -> Self {
        Self::new(registries)
    }
}

impl ConverterPlugin for JsonSchemaConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(
            JsonSchemaConverterConfig::definition()
                .clone()
                .merge(&serde_config()),
        )
    }

    fn create(&self, props: &Props, is_key: bool) -> Result<Box<dyn Converter>, TaskError> {
        let config = JsonSchemaConverterConfig::parse(props)
            .map_err(|errors| TaskError::config("converter.config", errors.to_string()))?;
        let registry = self.registries.client(props)?;
        let serde = SchemaSerde::new(registry, props, is_key, SchemaType::Json)?;
        Ok(Box::new(JsonSchemaConverter::new(&config, serde)))
    }
}
