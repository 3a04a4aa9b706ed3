//! In which format the demo's records are, and how they are read back.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use millrace_api::config::Props;
use millrace_api::data::{Blob, Headers, Value};
use millrace_api::plugin::{Converter, Decoded};
use registry_client::Registries;
use serde_json::Value as Json;

use crate::builtin;

/// A format of keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON with its schema in every record: no registry.
    Json,
    /// Avro, schemas in the registry inside the worker.
    Avro,
    /// Protobuf, likewise.
    Protobuf,
    /// JSON with its schema in the registry.
    JsonSchema,
}

impl Format {
    fn class(self) -> &'static str {
        match self {
            Self::Json => "org.apache.kafka.connect.json.JsonConverter",
            Self::Avro => "io.confluent.connect.avro.AvroConverter",
            Self::Protobuf => "io.confluent.connect.protobuf.ProtobufConverter",
            Self::JsonSchema => "io.confluent.connect.json.JsonSchemaConverter",
        }
    }

    /// Whether schemas are in a registry.
    pub(crate) fn needs_registry(self) -> bool {
        self != Self::Json
    }

    /// The converter's settings. Without the second and third a null in a column would come back as its default or as zero;
    /// without the fourth an envelope would come back without the full name by which it is known.
    pub(crate) fn settings(self, registry_url: &str) -> Vec<(&'static str, String)> {
        let mut settings = Vec::new();
        if self.needs_registry() {
            settings.push(("schema.registry.url", registry_url.to_owned()));
            settings.push(("ignore.default.for.nullables", "true".to_owned()));
        }
        if self == Self::Protobuf {
            settings.push(("optional.for.nullables", "true".to_owned()));
            settings.push(("enhanced.protobuf.schema.support", "true".to_owned()));
        }
        settings
    }

    /// Gives a connector's JSON the converters of this format instead of its own.
    pub(crate) fn put_into(self, connector: &mut Json, registry_url: &str) {
        let config = &mut connector["config"];
        for role in ["key", "value"] {
            config[format!("{role}.converter")] = self.class().into();
            for (name, value) in self.settings(registry_url) {
                config[format!("{role}.converter.{name}")] = value.into();
            }
        }
    }

    /// The lines of a worker's properties that choose this format for keys and values.
    pub(crate) fn worker_properties(self, registry_url: &str) -> String {
        let mut lines = String::new();
        for role in ["key", "value"] {
            lines.push_str(&format!("{role}.converter={}\n", self.class()));
            for (name, value) in self.settings(registry_url) {
                lines.push_str(&format!("{role}.converter.{name}={value}\n"));
            }
        }
        lines
    }
}

/// Reads keys and values back.
pub(crate) struct EventDecoder {
    key: Box<dyn Converter>,
    value: Box<dyn Converter>,
}

impl std::fmt::Debug for EventDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventDecoder")
    }
}

impl EventDecoder {
    /// With the converter of `format`, and schemas from the registry at `registry_url`.
    pub(crate) fn new(format: Format, registry_url: &str) -> Result<Self> {
        let plugins = builtin::plugins(&Registries::new());
        let plugin = plugins
            .find_converter(format.class())
            .context("the converter is built in")?;
        let props = Props::from_iter(format.settings(registry_url));
        let create = |is_key| {
            plugin
                .create(&props, is_key)
                .map_err(|e| anyhow::anyhow!("{e}"))
        };
        Ok(Self {
            key: create(true)?,
            value: create(false)?,
        })
    }

    pub(crate) async fn key(&mut self, topic: &str, bytes: Option<&[u8]>) -> Result<Json> {
        decode(&mut *self.key, topic, bytes).await
    }

    pub(crate) async fn value(&mut self, topic: &str, bytes: Option<&[u8]>) -> Result<Json> {
        decode(&mut *self.value, topic, bytes).await
    }
}

async fn decode(converter: &mut dyn Converter, topic: &str, bytes: Option<&[u8]>) -> Result<Json> {
    let blob = bytes.map(|bytes| Blob::from(bytes.to_vec()));
    // A schema and the ones it refers to may each be asked for once.
    for _ in 0..8 {
        match converter.decode(topic, &Headers::new(), blob.as_ref()) {
            Ok(Decoded::Data(data)) => return Ok(plain(&data.value)),
            Ok(Decoded::NeedsSchema(need)) => converter
                .prepare(need)
                .await
                .map_err(|e| anyhow::anyhow!("{e}"))?,
            Err(error) => bail!("a record of {topic} cannot be read: {error}"),
        }
    }
    bail!("a record of {topic} cannot be read: its schema is asked for again and again")
}

/// A value as one looks at it: structs as objects, decimals as text.
fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(v) => Json::from(*v),
        Value::Int8(v) => Json::from(*v),
        Value::Int16(v) => Json::from(*v),
        Value::Int32(v) => Json::from(*v),
        Value::Int64(v) => Json::from(*v),
        Value::Float32(v) => Json::from(*v),
        Value::Float64(v) => Json::from(*v),
        Value::String(v) => Json::from(&**v),
        Value::Bytes(v) => Json::from(v.iter().map(|b| format!("{b:02x}")).collect::<String>()),
        Value::Decimal(v) => Json::from(v.to_string()),
        Value::Array(v) => v.iter().map(plain).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(k, v)| {
                let key = plain(k);
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                (key, plain(v))
            })
            .collect(),
        Value::Struct(value) => value
            .schema()
            .fields()
            .iter()
            .zip(value.values())
            .map(|(field, value)| (field.name.to_string(), plain(value)))
            .collect(),
    }
}
