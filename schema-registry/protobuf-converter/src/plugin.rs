//! Registration of the Protobuf converter.

use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, Props};
use millrace_api::plugin::{Converter, ConverterPlugin, PluginInfo, TaskError};
use registry_client::serde::{SchemaSerde, serde_config};
use registry_client::{Registries, SchemaType};

use crate::references::References;
use crate::{ProtobufConverter, ProtobufConverterConfig};

const INFO: PluginInfo = PluginInfo {
    class: "io.confluent.connect.protobuf.ProtobufConverter",
    version: "8.3.1",
};

/// The Protobuf converter, for keys and values.
#[derive(Debug, Clone)]
pub struct ProtobufConverterPlugin {
    registries: Registries,
}

impl ProtobufConverterPlugin {
    /// A plugin whose converters reach their registries through `registries`.
    pub fn new(registries: Registries) -> Self {
        Self { registries }
    }
}

impl From<Registries> for ProtobufConverterPlugin {
    fn from(registries: Registries) -> Self {
        Self::new(registries)
    }
}

impl ConverterPlugin for ProtobufConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(
            ProtobufConverterConfig::definition()
                .clone()
                .merge(&serde_config()),
        )
    }

    fn create(&self, props: &Props, is_key: bool) -> Result<Box<dyn Converter>, TaskError> {
        let config = ProtobufConverterConfig::parse(props)
            .map_err(|errors| TaskError::config("converter.config", errors.to_string()))?;
        let registry = self.registries.client(props)?;
        let serde = SchemaSerde::new(registry, props, is_key, SchemaType::Protobuf)?;
        // The serializer reads these itself and does not show them; they say what is done with imported files, too.
        let flag = |key: &str, default: bool| {
            props
                .get(key)
                .map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
        };
        let references = References::new(
            &config,
            flag("auto.register.schemas", true),
            flag("use.latest.version", false),
            flag("normalize.schemas", false),
        )?;
        Ok(Box::new(ProtobufConverter::new(&config, serde, references)))
    }
}
