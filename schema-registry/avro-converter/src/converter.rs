//! The converter: what was learned and compiled for each schema, and the questions to the registry.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use millrace_api::data::{Blob, Data, Headers, Schema, SchemaId, Value};
use millrace_api::plugin::{Converter, DataError, Decoded, Encoded, NeedsSchema};
use registry_avro::{AvroSchema, Direction, Kind, Strictness};
use registry_client::serde::{Memo, PayloadSchema, SchemaSerde, failure};
use registry_client::{NewSchema, RegisteredSchema, SchemaType};

use crate::anything;
use crate::avro_types::is_always_null;
use crate::config::{AvroConverterConfig, Options};
use crate::fault::{Fault, SERIALIZATION};
use crate::read::Reader;
use crate::read_plan::ReadPlan;
use crate::to_avro::to_avro;
use crate::to_connect::to_connect;
use crate::write::{Scratch, Written, write};
use crate::write_plan::WritePlan;

/// Keys and values as Avro behind the id of their schema.
///
/// Encoding does not allocate once a schema has been registered, provided that `out` has room.
#[derive(Debug)]
pub struct AvroConverter {
    options: Options,
    fail_on_trailing_data: bool,
    capacity: usize,
    serde: SchemaSerde,
    translated: HashMap<Option<SchemaId>, Arc<Translated>>,
    writes: Memo<Option<SchemaId>, Write>,
    reads: Memo<PayloadSchema, Read>,
    /// Connect schemas by Avro text and version: under generalized support each translation names its unions anew.
    connect_schemas: HashMap<(Arc<str>, Option<i32>), Schema>,
    /// How many unions were named after their number.
    unions: u32,
    scratch: Scratch,
}

/// A Connect schema as Avro.
#[derive(Debug)]
struct Translated {
    /// Keeps the id from being given to another schema.
    schema: Option<Schema>,
    avro: AvroSchema,
    text: Arc<str>,
    /// Full name when it is a record.
    record_name: Option<String>,
    /// Writes values with the schema itself: tells what can be converted before anything is registered.
    plan: WritePlan,
}

/// Writes values of one schema to one topic.
#[derive(Debug)]
struct Write {
    /// Keeps the id from being given to another schema.
    _translated: Arc<Translated>,
    registered: Arc<RegisteredSchema>,
    plan: WritePlan,
    /// What stands before each payload, when it is always the same and no header is added.
    prefix: Option<Box<[u8]>>,
}

/// Reads payloads of one schema from one topic.
#[derive(Debug)]
struct Read {
    plan: Result<ReadPlan, Fault>,
    /// The schema for messages, as Java prints it.
    id: String,
}

/// What [`Converter::prepare`] is asked to find out.
enum Need {
    Write {
        topic: Arc<str>,
        translated: Arc<Translated>,
    },
    Read {
        topic: Arc<str>,
        schema: PayloadSchema,
    },
}

impl AvroConverter {
    /// A converter with this configuration that asks `serde`'s registry.
    pub fn new(config: &AvroConverterConfig, serde: SchemaSerde) -> Self {
        let capacity = usize::try_from(config.schemas_cache_config).unwrap_or(0);
        Self {
            options: config.into(),
            fail_on_trailing_data: config.avro_fail_on_trailing_data,
            capacity,
            translated: HashMap::new(),
            writes: Memo::new(capacity, serde.lifetime()),
            reads: Memo::new(capacity, serde.lifetime()),
            serde,
            connect_schemas: HashMap::new(),
            unions: 0,
            scratch: Scratch::default(),
        }
    }

    fn translate(&mut self, schema: Option<&Schema>) -> Result<Arc<Translated>, DataError> {
        let key = schema.map(Schema::id);
        if let Some(known) = self.translated.get(&key) {
            return Ok(Arc::clone(known));
        }
        let avro = to_avro(schema, self.options)?;
        let plan = WritePlan::new(schema, &avro, false, self.options)?;
        let translated = Arc::new(Translated {
            schema: schema.cloned(),
            text: avro.canonical().into(),
            record_name: record_name(&avro),
            avro,
            plan,
        });
        if self.translated.len() >= self.capacity.max(1) {
            self.translated.clear();
        }
        self.translated.insert(key, Arc::clone(&translated));
        Ok(translated)
    }

    /// A value of a schema that is not registered yet: refused when Java would refuse it before it asks the registry.
    fn first(&mut self, topic: &str, data: &Data, out: &mut Vec<u8>) -> Result<Encoded, DataError> {
        let translated = self.translate(data.schema.as_ref())?;
        let start = out.len();
        let written = write(&translated.plan, &data.value, &mut self.scratch, out);
        out.truncate(start);
        if written? == Written::Null {
            return Ok(Encoded::Null);
        }
        Ok(Encoded::NeedsSchema(NeedsSchema(Box::new(Need::Write {
            topic: topic.into(),
            translated,
        }))))
    }

    async fn prepare_write(
        &mut self,
        topic: Arc<str>,
        translated: Arc<Translated>,
    ) -> Result<(), DataError> {
        let failed = |error: DataError| cannot_serialize(&topic, error);
        let subject = self
            .serde
            .subject(&topic, translated.record_name.as_deref())
            .await
            .map_err(failed)?;
        let new = NewSchema {
            schema_type: SchemaType::Avro,
            text: Arc::clone(&translated.text),
            references: Vec::new(),
        };
        let answer = self
            .serde
            .writer_schema(&subject, &new)
            .await
            .map_err(failed)?;
        let writer = self.parse(&answer.registered).await.map_err(failed)?;
        if let Some(setting) = answer.strict {
            let found = AvroSchema::check(&writer, &translated.avro, Direction::Backward);
            let incompatible = match found {
                Ok(found) => found.first().map(|f| f.message.clone()),
                Err(text) => Some(text),
            };
            if let Some(why) = incompatible {
                tracing::warn!(%subject, id = answer.registered.id, %why, "incompatible schema");
                return Err(failed(
                    DataError::new("Error serializing Avro message")
                        .with_java_class(SERIALIZATION)
                        .with_source(self.serde.incompatible(setting)),
                ));
            }
        }
        let schema = translated.schema.as_ref();
        let plan = WritePlan::new(schema, &writer, answer.foreign, self.options)?;
        let prefix = self.serde.prefix(&answer.registered, None);
        let entry = Write {
            prefix: prefix.map_err(failed)?,
            registered: answer.registered,
            plan,
            _translated: Arc::clone(&translated),
        };
        let key = schema.map(Schema::id);
        self.writes.insert(&topic, key, entry);
        Ok(())
    }

    async fn prepare_read(
        &mut self,
        topic: Arc<str>,
        schema: PayloadSchema,
    ) -> Result<(), DataError> {
        let failed = |error: DataError| cannot_deserialize(&topic, error);
        let written = self
            .serde
            .payload_schema(&topic, schema, &name_of_record)
            .await
            .map_err(failed)?;
        if written.schema_type != SchemaType::Avro {
            return Err(failed(
                DataError::new(format!("Invalid schema type {:?}", written.schema_type))
                    .with_java_class("java.lang.IllegalArgumentException"),
            ));
        }
        let writer = self.parse(&written).await.map_err(failed)?;
        let mut reader = None;
        let mut text = Arc::clone(&written.text);
        if self.serde.has_reader_schema() {
            let record = record_name(&writer);
            let subject = self
                .serde
                .subject(&topic, record.as_deref())
                .await
                .map_err(failed)?;
            let found = self.serde.reader_schema(&written, &subject).await;
            if let Some(found) = found.map_err(failed)? {
                reader = Some(self.parse(&found).await.map_err(failed)?);
                text = Arc::clone(&found.text);
            }
        }
        let version = Some(written.version).filter(|v| *v > 0);
        let read_as = reader.as_ref().unwrap_or(&writer);
        let schema_of = if anything::fits(read_as, read_as.root()) || is_always_null(read_as) {
            Ok(None)
        } else {
            self.connect_schema(read_as, text, version).map(Some)
        };
        let plan = schema_of
            .and_then(|schema| ReadPlan::new(&writer, reader.as_ref(), schema, self.options));
        let entry = Read {
            plan,
            id: schema.java_text(SchemaType::Avro, None),
        };
        self.reads.insert(&topic, schema, entry);
        Ok(())
    }

    fn connect_schema(
        &mut self,
        avro: &AvroSchema,
        text: Arc<str>,
        version: Option<i32>,
    ) -> Result<Schema, Fault> {
        let key = (text, version);
        if let Some(known) = self.connect_schemas.get(&key) {
            return Ok(known.clone());
        }
        let schema = to_connect(avro, version, self.options, &mut self.unions)?;
        if self.connect_schemas.len() >= self.capacity.max(1) {
            self.connect_schemas.clear();
        }
        self.connect_schemas.insert(key, schema.clone());
        Ok(schema)
    }

    /// The schema of a registered text, with everything it refers to.
    async fn parse(&self, registered: &RegisteredSchema) -> Result<AvroSchema, DataError> {
        let references: Vec<Arc<str>> = if registered.references.is_empty() {
            Vec::new()
        } else {
            let found = self.serde.references(registered).await?;
            found.into_iter().map(|(_, text)| text).collect()
        };
        AvroSchema::parse(&registered.text, &references, Strictness::Stored).map_err(|error| {
            DataError::new(format!(
                "schema {} of the registry is no Avro schema: {error}",
                registered.id
            ))
            .with_java_class(SERIALIZATION)
        })
    }
}

fn record_name(avro: &AvroSchema) -> Option<String> {
    match &avro.get(avro.root()).kind {
        Kind::Record(of) => Some(of.name.full()),
        _ => None,
    }
}

/// The name of the record that a registered text is, for subjects named after records.
fn name_of_record(registered: &RegisteredSchema) -> Option<String> {
    // What the schema refers to does not matter for its own name; where it keeps the text from being parsed, the text itself says it.
    match AvroSchema::parse(&registered.text, &[], Strictness::Stored) {
        Ok(avro) => record_name(&avro),
        Err(_) => {
            let json = java_idioms::Json::read(&registered.text, Default::default()).ok()?;
            if !matches!(json.get("type")?.as_str()?, "record" | "error") {
                return None;
            }
            let name = json.get("name")?.as_str()?;
            match json.get("namespace").and_then(|n| n.as_str()) {
                Some(namespace) if !namespace.is_empty() && !name.contains('.') => {
                    Some(format!("{namespace}.{name}"))
                }
                _ => Some(name.to_owned()),
            }
        }
    }
}

#[cold]
fn cannot_serialize(topic: &str, cause: DataError) -> DataError {
    failure(
        format!("Failed to serialize Avro data from topic {topic}:"),
        cause,
    )
}

#[cold]
fn cannot_deserialize(topic: &str, cause: DataError) -> DataError {
    failure(
        format!("Failed to deserialize data for topic {topic} to Avro:"),
        cause,
    )
}

impl Converter for AvroConverter {
    fn encode(
        &mut self,
        topic: &str,
        headers: &mut Headers,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError> {
        if data.is_none() {
            return Ok(Encoded::Null);
        }
        let key = data.schema.as_ref().map(Schema::id);
        let Some(entry) = self.writes.find(topic, key) else {
            return self.first(topic, data, out);
        };
        let start = out.len();
        match &entry.prefix {
            Some(prefix) => out.extend_from_slice(prefix),
            None if data.value.is_null() => {}
            None => self
                .serde
                .write_frame(&entry.registered, None, headers, out)
                .map_err(|error| cannot_serialize(topic, error))?,
        }
        match write(&entry.plan, &data.value, &mut self.scratch, out)? {
            Written::Bytes => Ok(Encoded::Written),
            Written::Null => {
                out.truncate(start);
                Ok(Encoded::Null)
            }
            Written::Unwritable(fault) => Err(cannot_serialize(
                topic,
                DataError::new("Error serializing Avro message")
                    .with_java_class(SERIALIZATION)
                    .with_source(DataError::from(fault)),
            )),
        }
    }

    fn decode(
        &mut self,
        topic: &str,
        headers: &Headers,
        bytes: Option<&Blob>,
    ) -> Result<Decoded, DataError> {
        let Some(payload) = bytes else {
            return Ok(Decoded::Data(Data::NONE));
        };
        let frame = self
            .serde
            .read_frame(headers, payload)
            .map_err(|error| cannot_deserialize(topic, error))?;
        let entry = self.reads.find(topic, frame.schema);
        let Some(entry) = entry else {
            return Ok(Decoded::NeedsSchema(NeedsSchema(Box::new(Need::Read {
                topic: topic.into(),
                schema: frame.schema,
            }))));
        };
        let plan = match &entry.plan {
            Ok(plan) => plan,
            Err(fault) => return Err(fault.clone().into()),
        };
        let mut value = Value::Null;
        let trailing = Reader::read(plan, payload, frame.body, &mut value)
            .map_err(|fault| cannot_read(topic, &entry.id, *fault))?;
        if trailing > 0 && self.fail_on_trailing_data && !plan.bare_bytes {
            let message = format!(
                "Trailing data found after deserializing Avro  message for id {}",
                entry.id
            );
            return Err(cannot_read(
                topic,
                &entry.id,
                Fault::new(SERIALIZATION, message),
            ));
        }
        // The original has neither schema nor value for a null that is not a tombstone.
        Ok(Decoded::Data(if value.is_null() {
            Data::NONE
        } else {
            Data {
                schema: plan.schema.clone(),
                value,
            }
        }))
    }

    fn prepare<'a>(&'a mut self, need: NeedsSchema) -> BoxFuture<'a, Result<(), DataError>> {
        Box::pin(async move {
            match need.0.downcast::<Need>().map(|need| *need) {
                Ok(Need::Write { topic, translated }) => {
                    self.prepare_write(topic, translated).await
                }
                Ok(Need::Read { topic, schema }) => self.prepare_read(topic, schema).await,
                Err(_) => Err(DataError::new(
                    "a question of another converter was handed to the Avro converter",
                )),
            }
        })
    }
}

/// The error of a payload: one of Connect's own as it is, others with Java's chain of causes.
#[cold]
fn cannot_read(topic: &str, id: &str, fault: Fault) -> DataError {
    if fault.class == crate::fault::DATA {
        return fault.into();
    }
    cannot_deserialize(
        topic,
        DataError::new(format!("Error deserializing Avro message for id {id}"))
            .with_java_class(SERIALIZATION)
            .with_source(DataError::from(fault)),
    )
}
