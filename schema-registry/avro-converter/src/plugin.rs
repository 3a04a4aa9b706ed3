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
        let registry = self.registries.client(props)?;
        let serde = SchemaSerde::new(registry, props, is_key, SchemaType::Avro)?;
        Ok(Box::new(AvroConverter::new(&config, serde)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_for_java_objects_are_taken_as_they_come() {
        for key in [
            "avro.use.logical.type.converters",
            "avro.reflection.allow.null",
            "avro.remove.java.properties",
        ] {
            let create = |value: &str| {
                let props =
                    Props::from_iter([("schema.registry.url", "http://r:8081"), (key, value)]);
                AvroConverterPlugin::new(Registries::new()).create(&props, false)
            };
            assert!(create("true").is_ok(), "{key}");
            let refused = create("perhaps").err().expect("no boolean");
            assert!(refused.message.contains(key), "{}", refused.message);
        }
    }
    #[test]
    fn a_cache_of_less_than_nothing_is_refused() {
        let create = |size: &str| {
            let props = Props::from_iter([
                ("schema.registry.url", "http://r:8081"),
                ("schemas.cache.config", size),
            ]);
            AvroConverterPlugin::new(Registries::new()).create(&props, false)
        };
        assert!(create("0").is_ok());
        let refused = create("-1").err().expect("negative");
        assert!(
            refused.message.contains("schemas.cache.config"),
            "{}",
            refused.message
        );
    }
}
