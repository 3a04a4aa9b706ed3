//! The converter: what was learned and compiled for each schema, and the questions to the registry.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use millrace_api::data::{Blob, Data, Headers, Schema, SchemaId};
use millrace_api::plugin::{Converter, DataError, Decoded, Encoded, NeedsSchema};
use registry_client::serde::{Memo, MessageIndexes, PayloadSchema, SchemaSerde, failure};
use registry_client::{NewSchema, RegisteredSchema, SchemaType};
use registry_protobuf::{Direction, ProtobufSchema, Strictness};

use crate::config::{Options, ProtobufConverterConfig};
use crate::fault::{Fault, ILLEGAL_ARGUMENT, INVALID_PROTOCOL_BUFFER, NULL_POINTER, SERIALIZATION};
use crate::read_plan::ReadPlan;
use crate::references::References;
use crate::to_connect::to_connect;
use crate::to_protobuf::to_protobuf;
use crate::write_plan::{Foreign, WritePlan};

/// Keys and values as Protobuf behind the id of their schema and the indexes of their message.
///
/// Encoding does not allocate once a schema has been registered, provided that `out` has room.
#[derive(Debug)]
pub struct ProtobufConverter {
    options: Options,
    capacity: usize,
    serde: SchemaSerde,
    references: References,
    translated: HashMap<SchemaId, Arc<Translated>>,
    writes: Memo<SchemaId, Write>,
    reads: Memo<(PayloadSchema, MessageIndexes), Read>,
}

/// A Connect schema as Protobuf.
#[derive(Debug)]
struct Translated {
    /// Keeps the id from being given to another schema.
    schema: Schema,
    protobuf: ProtobufSchema,
    text: Arc<str>,
    /// Full name of the message that values are.
    message: String,
    /// Writes values with the schema itself: tells what can be converted before anything is registered.
    plan: WritePlan,
}

/// Writes values of one schema to one topic.
#[derive(Debug)]
struct Write {
    /// Keeps the id from being given to another schema.
    translated: Arc<Translated>,
    registered: Arc<RegisteredSchema>,
    /// For another schema than the data's own.
    foreign: Option<WritePlan>,
    indexes: Vec<i32>,
    /// What stands before each payload, when it is always the same and no header is added.
    prefix: Option<Box<[u8]>>,
}

/// Reads payloads of one message from one topic.
#[derive(Debug)]
struct Read {
    plan: Result<ReadPlan, Fault>,
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
        indexes: MessageIndexes,
    },
}

impl ProtobufConverter {
    pub(crate) fn new(
        config: &ProtobufConverterConfig,
        serde: SchemaSerde,
        references: References,
    ) -> Self {
        let capacity = usize::try_from(config.schemas_cache_config).unwrap_or(0);
        Self {
            options: config.into(),
            capacity,
            references,
            translated: HashMap::new(),
            writes: Memo::new(capacity, serde.lifetime()),
            reads: Memo::new(capacity, serde.lifetime()),
            serde,
        }
    }

    fn translate(&mut self, schema: &Schema) -> Result<Arc<Translated>, Fault> {
        if let Some(known) = self.translated.get(&schema.id()) {
            return Ok(Arc::clone(known));
        }
        let translation = to_protobuf(schema, self.options)?;
        let protobuf = ProtobufSchema::from_file(translation.file, Vec::new());
        let mut message = translation.message;
        let plan = if translation.is_wrapper {
            let plan = WritePlan::scalar(schema, self.options);
            if let Some(wrapper) = plan.wrapper() {
                wrapper.clone_into(&mut message);
            }
            plan
        } else {
            let types = protobuf.descriptors().map_err(|error| {
                Fault::illegal(format!("Invalid protobuf schema definition: {error}"))
            })?;
            let place = types
                .find_message(&message)
                .ok_or_else(|| Fault::illegal(format!("Invalid message name: {message}")))?;
            WritePlan::structure(schema, &types, place, None, self.options)?
        };
        let translated = Arc::new(Translated {
            schema: schema.clone(),
            text: protobuf.canonical().into(),
            protobuf,
            message,
            plan,
        });
        if self.translated.len() >= self.capacity.max(1) {
            self.translated.clear();
        }
        self.translated.insert(schema.id(), Arc::clone(&translated));
        Ok(translated)
    }

    /// A value of a schema that is not registered yet: refused when it cannot be written, before the registry is asked.
    fn first(
        &mut self,
        topic: &str,
        schema: &Schema,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError> {
        let translated = self.translate(schema)?;
        if data.value.is_null() {
            return Ok(Encoded::Null);
        }
        let start = out.len();
        let written = translated.plan.write(&data.value, out);
        out.truncate(start);
        written?;
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
            .subject(&topic, Some(&translated.message))
            .await
            .map_err(failed)?;
        let imports = &translated.protobuf.file().imports;
        let new = NewSchema {
            schema_type: SchemaType::Protobuf,
            text: Arc::clone(&translated.text),
            references: self
                .references
                .of(&self.serde, imports)
                .await
                .map_err(failed)?,
        };
        let answer = self
            .serde
            .writer_schema(&subject, &new)
            .await
            .map_err(failed)?;
        let registered = if answer.foreign || *answer.registered.text != *translated.text {
            Some(self.parse(&answer.registered).await.map_err(failed)?)
        } else {
            None
        };
        if let (Some(setting), Some(latest)) = (answer.strict, &registered) {
            let found = ProtobufSchema::check(latest, &translated.protobuf, Direction::Backward);
            let incompatible = match found {
                Ok(found) => found.first().map(|found| found.message.clone()),
                Err(text) => Some(text),
            };
            if let Some(why) = incompatible {
                tracing::warn!(%subject, id = answer.registered.id, %why, "incompatible schema");
                return Err(failed(not_serialized(self.serde.incompatible(setting))));
            }
        }
        let schema = registered.as_ref().unwrap_or(&translated.protobuf);
        let indexes = schema.message_indexes(&translated.message).ok_or_else(|| {
            failed(not_serialized(Fault::new(
                ILLEGAL_ARGUMENT,
                format!(
                    "schema {} of the registry has no message {}",
                    answer.registered.id, translated.message
                ),
            )))
        })?;
        let foreign = match registered.as_ref().filter(|_| answer.foreign) {
            Some(schema) => foreign_plan(schema, &translated, self.options)
                .map_err(|fault| failed(not_serialized(fault)))?,
            None => None,
        };
        let prefix = self.serde.prefix(&answer.registered, Some(&indexes));
        let entry = Write {
            prefix: prefix.map_err(failed)?,
            registered: answer.registered,
            foreign,
            indexes,
            translated: Arc::clone(&translated),
        };
        self.writes.insert(&topic, translated.schema.id(), entry);
        Ok(())
    }

    async fn prepare_read(
        &mut self,
        topic: Arc<str>,
        schema: PayloadSchema,
        indexes: MessageIndexes,
    ) -> Result<(), DataError> {
        let failed = |error: DataError| cannot_deserialize(&topic, error);
        let path = indexes.path().to_vec();
        let record_name = |schema: &RegisteredSchema| name_in_text(&schema.text, &path);
        let written = self
            .serde
            .payload_schema(&topic, schema, &record_name)
            .await
            .map_err(failed)?;
        let writer = self.parse(&written).await.map_err(failed)?;
        let mut plan = Err(Fault::illegal(format!("Invalid message indexes: {path:?}")));
        if let Some(name) = writer.message_name(&path) {
            let mut reader = None;
            if self.serde.has_reader_schema() {
                let subject = self
                    .serde
                    .subject(&topic, Some(&name))
                    .await
                    .map_err(failed)?;
                let found = self.serde.reader_schema(&written, &subject).await;
                if let Some(found) = found.map_err(failed)? {
                    reader = Some((self.parse(&found).await.map_err(failed)?, found.version));
                }
            }
            let (read_as, version) = match &reader {
                Some((reader, version)) => (reader, *version),
                None => (&writer, written.version),
            };
            let version = Some(version).filter(|version| *version > 0);
            plan = read_plan(read_as, &name, version, self.options);
        }
        let entry = Read { plan };
        self.reads.insert(&topic, (schema, indexes), entry);
        Ok(())
    }

    /// The schema of a registered text, with everything it refers to.
    async fn parse(&self, registered: &RegisteredSchema) -> Result<ProtobufSchema, DataError> {
        let references = if registered.references.is_empty() {
            Vec::new()
        } else {
            self.serde.references(registered).await?
        };
        ProtobufSchema::parse(&registered.text, &references, Strictness::Stored).map_err(|error| {
            DataError::new(format!(
                "schema {} of the registry is no Protobuf schema: {error}",
                registered.id
            ))
            .with_java_class(SERIALIZATION)
        })
    }
}

/// Reads the message of this name; where the schema does not have it, its first one, as the original does.
fn read_plan(
    schema: &ProtobufSchema,
    name: &str,
    version: Option<i32>,
    options: Options,
) -> Result<ReadPlan, Fault> {
    let types = schema
        .descriptors()
        .map_err(|error| Fault::illegal(format!("Invalid protobuf schema definition: {error}")))?;
    let place = types
        .find_message(name)
        .or_else(|| types.find_message(&schema.name()?))
        .ok_or_else(|| {
            Fault::new(
                SERIALIZATION,
                format!("Could not find descriptor with name {name}"),
            )
        })?;
    to_connect(&types, place, version, options)
}

/// Writes with the numbers of another schema; `None` for a scalar, which has only one.
fn foreign_plan(
    schema: &ProtobufSchema,
    translated: &Translated,
    options: Options,
) -> Result<Option<WritePlan>, Fault> {
    if translated.plan.wrapper().is_some() {
        return Ok(None);
    }
    let invalid = |error| Fault::illegal(format!("Invalid protobuf schema definition: {error}"));
    let own = translated.protobuf.descriptors().map_err(invalid)?;
    let types = schema.descriptors().map_err(invalid)?;
    let (Some(place), Some(message)) = (
        own.find_message(&translated.message),
        types.find_message(&translated.message),
    ) else {
        return Ok(None);
    };
    let foreign = Foreign {
        types: &types,
        message,
    };
    WritePlan::structure(&translated.schema, &own, place, Some(foreign), options).map(Some)
}

/// The name of a message in a text whose references are not at hand: they do not matter for it.
fn name_in_text(text: &str, path: &[i32]) -> Option<String> {
    ProtobufSchema::parse(text, &[], Strictness::Stored)
        .ok()?
        .message_name(path)
}

#[cold]
fn cannot_serialize(topic: &str, cause: DataError) -> DataError {
    failure(
        format!("Failed to serialize Protobuf data from topic {topic}:"),
        cause,
    )
}

#[cold]
fn cannot_deserialize(topic: &str, cause: DataError) -> DataError {
    failure(
        format!("Failed to deserialize data for topic {topic} to Protobuf:"),
        cause,
    )
}

fn not_serialized(cause: impl Into<DataError>) -> DataError {
    DataError::new("Error serializing Protobuf message")
        .with_java_class(SERIALIZATION)
        .with_source(cause.into())
}

/// The error of a payload with Java's chain of causes.
#[cold]
fn cannot_read(
    topic: &str,
    schema: PayloadSchema,
    indexes: &MessageIndexes,
    fault: Fault,
) -> DataError {
    let id = schema.java_text(SchemaType::Protobuf, Some(indexes));
    cannot_deserialize(
        topic,
        DataError::new(format!("Error deserializing Protobuf message for id {id}"))
            .with_java_class(SERIALIZATION)
            .with_source(DataError::from(fault)),
    )
}

impl Converter for ProtobufConverter {
    fn encode(
        &mut self,
        topic: &str,
        headers: &mut Headers,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError> {
        let Some(schema) = &data.schema else {
            if data.value.is_null() {
                return Ok(Encoded::Null);
            }
            return Err(DataError::new(
                "Protobuf needs a schema, and the record has none: set it with a transform, or use a converter for schemaless data",
            )
            .with_java_class(NULL_POINTER));
        };
        let entry = self.writes.find(topic, schema.id());
        let Some(entry) = entry else {
            return self.first(topic, schema, data, out);
        };
        if data.value.is_null() {
            return Ok(Encoded::Null);
        }
        match &entry.prefix {
            Some(prefix) => out.extend_from_slice(prefix),
            None => self
                .serde
                .write_frame(&entry.registered, Some(&entry.indexes), headers, out)
                .map_err(|error| cannot_serialize(topic, error))?,
        }
        let plan = entry.foreign.as_ref().unwrap_or(&entry.translated.plan);
        plan.write(&data.value, out)?;
        Ok(Encoded::Written)
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
        let (frame, indexes) = self
            .serde
            .read_message_frame(headers, payload)
            .map_err(|error| cannot_deserialize(topic, error))?;
        let entry = self.reads.find(topic, (frame.schema, indexes));
        let Some(entry) = entry else {
            return Ok(Decoded::NeedsSchema(NeedsSchema(Box::new(Need::Read {
                topic: topic.into(),
                schema: frame.schema,
                indexes,
            }))));
        };
        let plan = match &entry.plan {
            Ok(plan) => plan,
            Err(fault) => return Err(cannot_read(topic, frame.schema, &indexes, fault.clone())),
        };
        match plan.read(payload, frame.body) {
            Ok(value) => Ok(Decoded::Data(Data::new(plan.schema.clone(), value))),
            // Bytes that are no message are the deserializer's to refuse, values that Connect does not have are not.
            Err(fault) if fault.class == INVALID_PROTOCOL_BUFFER => {
                Err(cannot_read(topic, frame.schema, &indexes, fault))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    fn prepare<'a>(&'a mut self, need: NeedsSchema) -> BoxFuture<'a, Result<(), DataError>> {
        Box::pin(async move {
            match need.0.downcast::<Need>().map(|need| *need) {
                Ok(Need::Write { topic, translated }) => {
                    self.prepare_write(topic, translated).await
                }
                Ok(Need::Read {
                    topic,
                    schema,
                    indexes,
                }) => self.prepare_read(topic, schema, indexes).await,
                Err(_) => Err(DataError::new(
                    "a question of another converter was handed to the Protobuf converter",
                )),
            }
        })
    }
}
