//! What Confluent's serializers and deserializers of all formats share.

mod frame;
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
use frame::{IdReader, IdWriter};
use settings::SerdeConfig;
use subject::Subjects;

pub use frame::{Frame, PayloadSchema};
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
    header: Arc<str>,
    header_schema: Schema,
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
