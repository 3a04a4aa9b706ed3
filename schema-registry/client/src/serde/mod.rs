//! What Confluent's serializers and deserializers of all formats share.
//!
//! Further settings of theirs change nothing here, as they change nothing in their Connect converters, which write and read no objects of Java classes:
//! `specific.avro.key.type`, `specific.avro.value.type`, `specific.protobuf.key.type`, `specific.protobuf.value.type`, `json.key.type`, `json.value.type`,
//! `json.fail.unknown.properties`, `json.write.dates.iso8601`, `json.schema.spec.version`, `json.schema.scan.packages`, `json.envelope.detection`,
//! `json.oneof.for.nullables`, `json.default.property.inclusion`; without rules, `json.validate.before.domain.rules`. Errors are not remembered, so it makes no difference for
//! how long they would be: `missing.cache.size`, `missing.id.cache.ttl.sec`, `missing.schema.cache.ttl.sec`, `missing.version.cache.ttl.sec`.

mod contract;
mod failure;
mod frame;
mod java_only;
mod memo;
mod message_indexes;
mod metadata;
mod reader;
mod rest_failure;
mod settings;
mod subject;
mod writer;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use millrace_api::config::{ConfigDef, ConnectConfig as _, Props};
use millrace_api::data::Schema;
use millrace_api::plugin::TaskError;

use crate::settings::{ClientConfig, invalid, own};
use crate::{RegisteredSchema, SchemaRegistry, SchemaType};
use contract::Contract;
use frame::{IdReader, IdWriter};
use settings::SerdeConfig;
use subject::Subjects;

pub use failure::failure;
pub use frame::{Frame, PayloadSchema};
pub use memo::Memo;
pub use message_indexes::MessageIndexes;

/// Name of the header that carries a key's schema guid.
pub const KEY_SCHEMA_ID_HEADER: &str = "__key_schema_id";
/// Name of the header that carries a value's schema guid.
pub const VALUE_SCHEMA_ID_HEADER: &str = "__value_schema_id";

/// One serializer and deserializer of keys or of values: settings, subject names, and the questions to the registry.
#[derive(Debug)]
pub struct SchemaSerde {
    registry: Arc<dyn SchemaRegistry>,
    schema_type: SchemaType,
    is_key: bool,
    config: SerdeConfig,
    /// `use.latest.with.metadata`; empty: not set.
    metadata: Vec<(String, String)>,
    subjects: Subjects,
    lifetime: Option<Duration>,
    id_writer: IdWriter,
    id_reader: IdReader,
    /// `use.schema.guid`.
    guid: Option<[u8; 16]>,
    /// What `use.schema.id` and its kin say about every payload, as a header would, for the reader that takes it from there.
    configured: Option<Box<[u8]>>,
    header: Arc<str>,
    header_schema: Schema,
    contract: Contract,
}

/// What a payload is written with: learned once per subject and schema, and valid for [`SchemaSerde::lifetime`].
#[derive(Debug, Clone)]
pub struct WriterSchema {
    /// The schema whose id goes before the payload. Under `use.latest.version` and its kin it is another one than the data's.
    pub registered: Arc<RegisteredSchema>,
    /// Whether the payload must be written with the text of `registered` instead of with the data's own schema.
    pub foreign: bool,
    /// Set when `registered` must be able to read what is written with the data's own schema, and the converter has to see to it: the name of the setting that asks for
    /// it (`latest.compatibility.strict` or `id.compatibility.strict`), for the message.
    pub strict: Option<&'static str>,
}

/// The configuration keys of all formats' serializers, to be merged into a converter's own. Classes are strings here: they are names of what is built in, not of
/// installed plugins.
pub fn serde_config() -> Arc<ConfigDef> {
    static DEFINITION: LazyLock<Arc<ConfigDef>> = LazyLock::new(|| {
        Arc::new(
            ConfigDef::new()
                .merge(ClientConfig::definition())
                .merge(SerdeConfig::definition()),
        )
    });
    Arc::clone(&DEFINITION)
}

impl SchemaSerde {
    /// Reads the settings (without `key.converter.` or `value.converter.` prefix).
    ///
    /// # Errors
    /// A setting that cannot be obeyed, by name.
    pub fn new(
        registry: Arc<dyn SchemaRegistry>,
        props: &Props,
        is_key: bool,
        schema_type: SchemaType,
    ) -> Result<Self, TaskError> {
        let config = SerdeConfig::parse(&own(props)).map_err(|errors| invalid(&errors))?;
        config.refuse_what_cannot_be_obeyed()?;
        java_only::refuse(props, schema_type)?;
        let metadata = metadata::parse(
            config
                .use_latest_with_metadata
                .as_deref()
                .unwrap_or_default(),
        )?;
        let roles = config.roles()?;
        let role = if is_key { roles.key } else { roles.value };
        let subjects = Subjects::new(role.strategy, is_key, &config);
        Ok(Self {
            schema_type,
            is_key,
            metadata,
            lifetime: [config.latest_lifetime(), subjects.lifetime()]
                .into_iter()
                .flatten()
                .min(),
            subjects,
            id_writer: role.writer,
            id_reader: role.reader,
            guid: config.guid()?,
            configured: config.configured(props, schema_type)?,
            contract: Contract::new(props, config.environment()?),
            header: Arc::from(if is_key {
                KEY_SCHEMA_ID_HEADER
            } else {
                VALUE_SCHEMA_ID_HEADER
            }),
            header_schema: Schema::bytes(),
            config,
            registry,
        })
    }

    /// The registry behind.
    pub fn registry(&self) -> &Arc<dyn SchemaRegistry> {
        &self.registry
    }

    /// For how long answers of [`subject`](Self::subject), [`writer_schema`](Self::writer_schema) and [`reader_schema`](Self::reader_schema) may be kept, and plans made
    /// from them. `None`, the default, is without end: then nothing has to look at the clock.
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// Whether data is read with another schema than the one it was written with: whether [`reader_schema`](Self::reader_schema) can answer one.
    pub fn has_reader_schema(&self) -> bool {
        self.config.use_latest_version || !self.metadata.is_empty()
    }
}
