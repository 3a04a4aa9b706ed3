//! Registration of the Avro converter.

use std::sync::Arc;

use millrace_api::config::{ConfigDef, ConnectConfig, Props};
use millrace_api::plugin::{Converter, ConverterPlugin, PluginInfo, TaskError};
use registry_client::serde::{SchemaSerde, serde_config};
use registry_client::{Registries, SchemaType};

use crate::{AvroConverter, AvroConverterConfig};

const INFO: PluginInfo = PluginInfo {
    class: "io.confluent.connect.avro.AvroConverter",
    version: "8.3.1",
};

/// The Avro converter, for keys and values.
#[derive(Debug, Clone)]
pub struct AvroConverterPlugin {
    registries: Registries,
}

impl AvroConverterPlugin {
    /// A plugin whose converters reach their registries through `registries`.
    pub fn new(registries: Registries) -> Self {
        Self { registries }
    }
}

impl From<Registries> for AvroConverterPlugin {
    fn from(registries: Registries) -> Self {
        Self::new(registries)
    }
}

impl ConverterPlugin for AvroConverterPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::new(
            AvroConverterConfig::definition()
                .clone()
                .merge(&serde_config()),
        )
    }

    fn create(&self, props: &Props, is_key: bool) -> Result<Box<dyn Converter>, TaskError> {
        let config = AvroConverterConfig::parse(props)
            .map_err(|errors| TaskError::config("converter.config", errors.to_string()))?;
        if config.avro_use_logical_type_converters {
            return Err(TaskError::config(
                "converter.config",
                "Invalid value true for configuration avro.use.logical.type.converters: there are no Java classes here that could convert values; Connect's logical types are \
                 converted without it; set it to false",
            ));
        }
        let registry = self.registries.client(props)?;
        let serde = SchemaSerde::new(registry, props, is_key, SchemaType::Avro)?;
        Ok(Box::new(AvroConverter::new(&config, serde)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_obeyed_is_refused_by_name() {
        let create = |key: &str| {
            let props = Props::from_iter([("schema.registry.url", "http://r:8081"), (key, "true")]);
            AvroConverterPlugin::new(Registries::new()).create(&props, false)
        };
        let refused = create("avro.use.logical.type.converters");
        let message = refused.err().expect("refused").message;
        assert!(
            message.contains("avro.use.logical.type.converters"),
            "{message}"
        );
        for harmless in ["avro.reflection.allow.null", "avro.remove.java.properties"] {
            assert!(create(harmless).is_ok(), "{harmless}");
        }
    }
}
