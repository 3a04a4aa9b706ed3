//! The converter: what was learned and compiled for each schema, and the questions to the registry.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use java_idioms::Json;
use millrace_api::data::{Blob, Data, Headers, Schema, SchemaId};
use millrace_api::plugin::{Converter, DataError, Decoded, Encoded, NeedsSchema};
use registry_client::serde::{Memo, PayloadSchema, SchemaSerde, failure};
use registry_client::{NewSchema, RegisteredSchema, SchemaType};
use registry_json_schema::{Direction, JsonSchema, Policy, SchemaTree, Strictness};

use crate::config::{JsonSchemaConverterConfig, Options};
use crate::fault::{Fault, SERIALIZATION, VALIDATION};
use crate::indent::indent;
use crate::non_numbers;
use crate::read::{body_options, read};
use crate::read_plan::ReadPlan;
use crate::schema_text::schema_text;
use crate::stream;
use crate::to_connect::to_connect;
use crate::write::write;
use crate::write_plan::WritePlan;

/// Keys and values as JSON behind the id of their schema.
///
/// With the default settings encoding does not allocate once a schema has been registered, provided that `out` has room; variants and very large decimals do.
#[derive(Debug)]
pub struct JsonSchemaConverter {
    options: Options,
    classic_only: bool,
    validates: bool,
    indents: bool,
    capacity: usize,
    serde: SchemaSerde,
    translated: HashMap<SchemaId, Arc<Translated>>,
    writes: Memo<SchemaId, Write>,
    reads: Memo<PayloadSchema, Read>,
}

/// A Connect schema as JSON schema, and how its values are written.
#[derive(Debug)]
struct Translated {
    /// Keeps the id from being given to another schema.
    schema: Schema,
    text: Arc<str>,
    title: Option<Arc<str>>,
    plan: WritePlan,
}

/// Writes values of one schema to one topic.
#[derive(Debug)]
struct Write {
    translated: Arc<Translated>,
    registered: Arc<RegisteredSchema>,
    /// What stands before each payload, when it is always the same and no header is added.
    prefix: Option<Box<[u8]>>,
    /// What values must fit.
    validator: Option<SchemaTree>,
}

/// Reads payloads of one schema from one topic.
#[derive(Debug)]
struct Read {
    plan: Result<ReadPlan, Fault>,
    /// What values must fit.
    validator: Option<SchemaTree>,
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

impl JsonSchemaConverter {
    /// A converter with this configuration that asks `serde`'s registry.
    pub fn new(config: &JsonSchemaConverterConfig, serde: SchemaSerde) -> Self {
        let capacity = usize::try_from(config.schemas_cache_config).unwrap_or(0);
        Self {
            options: config.into(),
            classic_only: config.ignore_modern_dialects,
            validates: config.json_fail_invalid_schema,
            indents: config.json_indent_output,
            capacity,
            translated: HashMap::new(),
            writes: Memo::new(capacity, serde.lifetime()),
            reads: Memo::new(capacity, serde.lifetime()),
            serde,
        }
    }

    fn translate(&mut self, schema: &Schema) -> Result<Arc<Translated>, DataError> {
        if let Some(known) = self.translated.get(&schema.id()) {
            return Ok(Arc::clone(known));
        }
        let (text, title) = schema_text(schema, self.options)?;
        let translated = Arc::new(Translated {
            schema: schema.clone(),
            text: text.into(),
            title,
            plan: WritePlan::new(schema, self.options)?,
        });
        if self.translated.len() >= self.capacity.max(1) {
            self.translated.clear();
        }
        self.translated.insert(schema.id(), Arc::clone(&translated));
        Ok(translated)
    }

    /// A value of a schema that is not registered yet: refused when Java would refuse it before it asks the registry.
    fn first(
        &mut self,
        topic: &str,
        schema: &Schema,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError> {
        let translated = self.translate(schema)?;
        let start = out.len();
        let written = write(&translated.plan, 0, &data.value, out);
        out.truncate(start);
        if !written? {
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
            .subject(&topic, translated.title.as_deref())
            .await
            .map_err(failed)?;
        let new = NewSchema {
            schema_type: SchemaType::Json,
            text: Arc::clone(&translated.text),
            references: Vec::new(),
        };
        let answer = self
            .serde
            .writer_schema(&subject, &new)
            .await
            .map_err(failed)?;
        if let Some(setting) = answer.strict {
            let own = parse_text(&translated.text, &[], "the translated schema").map_err(failed)?;
            let writer = self.parse(&answer.registered).await.map_err(failed)?;
            let found = JsonSchema::check(&writer, &own, Direction::Backward, Policy::Strict);
            let incompatible = match found {
                Ok(found) => found.first().map(|f| f.message.clone()),
                Err(text) => Some(text),
            };
            if let Some(why) = incompatible {
                tracing::warn!(%subject, id = answer.registered.id, %why, "incompatible schema");
                return Err(failed(serializing(self.serde.incompatible(setting))));
            }
        }
        let validator = if self.validates {
            let schema = self.parse(&answer.registered).await.map_err(failed)?;
            Some(tree(&schema, false, &answer.registered).map_err(|f| failed(f.into()))?)
        } else {
            None
        };
        let prefix = self.serde.prefix(&answer.registered, None);
        let key = translated.schema.id();
        let entry = Write {
            translated,
            prefix: prefix.map_err(failed)?,
            registered: answer.registered,
            validator,
        };
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
            .payload_schema(&topic, schema, &title_of)
            .await
            .map_err(failed)?;
        let mut registered = Arc::clone(&written);
        if self.serde.has_reader_schema() {
            let title = title_of(&written);
            let subject = self
                .serde
                .subject(&topic, title.as_deref())
                .await
                .map_err(failed)?;
            let found = self.serde.reader_schema(&written, &subject).await;
            if let Some(found) = found.map_err(failed)? {
                registered = found;
            }
        }
        let parsed = self.parse(&registered).await.map_err(failed)?;
        let version = Some(registered.version).filter(|version| *version > 0);
        let plan = tree(&parsed, self.classic_only, &registered)
            .and_then(|tree| to_connect(&tree, version, self.options))
            .and_then(ReadPlan::new);
        let validator = if self.validates {
            Some(tree(&parsed, false, &registered).map_err(|f| failed(f.into()))?)
        } else {
            None
        };
        let entry = Read {
            plan,
            validator,
            id: schema.java_text(SchemaType::Json, None),
        };
        self.reads.insert(&topic, schema, entry);
        Ok(())
    }

    /// The schema of a registered text, with everything it refers to.
    async fn parse(&self, registered: &RegisteredSchema) -> Result<JsonSchema, DataError> {
        let references = if registered.references.is_empty() {
            Vec::new()
        } else {
            self.serde.references(registered).await?
        };
        parse_text(
            &registered.text,
            &references,
            &format!("schema {} of the registry", registered.id),
        )
    }
}

fn parse_text(
    text: &str,
    references: &[(Arc<str>, Arc<str>)],
    what: &str,
) -> Result<JsonSchema, DataError> {
    JsonSchema::parse(text, references, Strictness::Stored).map_err(|error| {
        DataError::new(format!("{what} is no JSON schema: {error}")).with_java_class(SERIALIZATION)
    })
}

fn tree(
    schema: &JsonSchema,
    classic_only: bool,
    registered: &RegisteredSchema,
) -> Result<SchemaTree, Fault> {
    schema.tree(classic_only).map_err(|why| {
        Fault::new(
            crate::fault::ILLEGAL_ARGUMENT,
            format!("schema {} of the registry: {why}", registered.id),
        )
    })
}

/// The title of a registered schema: the name by which record strategies call it.
fn title_of(registered: &RegisteredSchema) -> Option<String> {
    let schema = JsonSchema::parse(&registered.text, &[], Strictness::Stored).ok()?;
    schema.title().map(str::to_owned)
}

#[cold]
fn cannot_serialize(topic: &str, cause: DataError) -> DataError {
    failure(
        format!(
            "Converting Kafka Connect data to byte[] failed due to serialization error of topic {topic}: "
        ),
        cause,
    )
}

#[cold]
fn cannot_deserialize(topic: &str, cause: DataError) -> DataError {
    failure(
        format!(
            "Converting byte[] to Kafka Connect data failed due to serialization error of topic {topic}: "
        ),
        cause,
    )
}

fn serializing(cause: DataError) -> DataError {
    DataError::new("Error serializing JSON message")
        .with_java_class(SERIALIZATION)
        .with_source(cause)
}

fn deserializing(id: &str, cause: DataError) -> DataError {
    DataError::new(format!("Error deserializing JSON message for id {id}"))
        .with_java_class(SERIALIZATION)
        .with_source(cause)
}

/// Text without a schema cannot be written: there would be nothing to register.
#[cold]
fn schemaless(topic: &str) -> DataError {
    cannot_serialize(
        topic,
        serializing(
            DataError::new(
                "the data has no schema; the JSON schema converter writes data with a schema only",
            )
            .with_java_class("java.lang.NullPointerException"),
        ),
    )
}

fn validated(validator: &SchemaTree, json: &Json) -> Result<(), DataError> {
    validator.validate(json).map_err(|violation| {
        DataError::new("JSON does not match schema of type JSON")
            .with_java_class(SERIALIZATION)
            .with_source(DataError::new(violation.to_string()).with_java_class(VALIDATION))
    })
}

impl Converter for JsonSchemaConverter {
    fn encode(
        &mut self,
        topic: &str,
        headers: &mut Headers,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError> {
        let Some(schema) = &data.schema else {
            return if data.value.is_null() {
                Ok(Encoded::Null)
            } else {
                Err(schemaless(topic))
            };
        };
        let entry = self.writes.find(topic, schema.id());
        let Some(entry) = entry else {
            return self.first(topic, schema, data, out);
        };
        let start = out.len();
        if let Some(prefix) = &entry.prefix {
            out.extend_from_slice(prefix);
        }
        let body = out.len();
        if !write(&entry.translated.plan, 0, &data.value, out)? {
            out.truncate(start);
            return Ok(Encoded::Null);
        }
        if let Some(validator) = &entry.validator {
            let text = std::str::from_utf8(&out[body..]).unwrap_or_default();
            let checked = Json::read(text, body_options())
                .map_err(|error| DataError::new(error.to_string()))
                .and_then(|json| validated(validator, &json));
            if let Err(error) = checked {
                out.truncate(start);
                return Err(cannot_serialize(topic, serializing(error)));
            }
        }
        if self.indents {
            let compact = out.split_off(body);
            indent(&compact, out);
        }
        if entry.prefix.is_none() {
            // The schema goes into a header, which stands beside the payload: nothing to insert before the body.
            let mut none = Vec::new();
            self.serde
                .write_frame(&entry.registered, None, headers, &mut none)
                .map_err(|error| cannot_serialize(topic, error))?;
        }
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
        let frame = self.serde.read_frame(headers, payload).map_err(|error| {
            let id = "SchemaId{schemaType='JSON', id=null, guid='null', messageIndexes=null}";
            cannot_deserialize(topic, deserializing(id, error))
        })?;
        let entry = self.reads.find(topic, frame.schema);
        let Some(entry) = entry else {
            return Ok(Decoded::NeedsSchema(NeedsSchema(Box::new(Need::Read {
                topic: topic.into(),
                schema: frame.schema,
            }))));
        };
        let unreadable = |message: String, class| {
            let cause = DataError::new(message).with_java_class(class);
            cannot_deserialize(topic, deserializing(&entry.id, cause))
        };
        let body = payload.get(frame.body..).unwrap_or_default();
        let text = std::str::from_utf8(body).map_err(|error| {
            unreadable(
                format!("Invalid UTF-8 at byte {} of the body", error.valid_up_to()),
                "com.fasterxml.jackson.core.JsonParseException",
            )
        })?;
        if let (Ok(plan), None) = (&entry.plan, &entry.validator)
            && let Some(value) = stream::read(plan, payload, frame.body, text)
        {
            return Ok(Decoded::Data(Data {
                schema: Some(plan.schema.clone()),
                value,
            }));
        }
        // Whatever is not plainly right, or has to be checked against its schema.
        let json = if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
            None
        } else {
            let read = Json::read_first(text, body_options()).or_else(|error| {
                match non_numbers::marked(text) {
                    Some(marked) => Json::read_first(&marked, body_options()),
                    None => Err(error),
                }
            });
            let (json, _) = read.map_err(|error| {
                unreadable(
                    error.to_string(),
                    "com.fasterxml.jackson.core.JsonParseException",
                )
            })?;
            Some(json)
        };
        if let (Some(validator), Some(json)) = (&entry.validator, &json) {
            validated(validator, json)
                .map_err(|error| cannot_deserialize(topic, deserializing(&entry.id, error)))?;
        }
        let plan = entry
            .plan
            .as_ref()
            .map_err(|fault| DataError::from(fault.clone()))?;
        let value = read(plan, json.as_ref())?;
        Ok(Decoded::Data(Data {
            schema: Some(plan.schema.clone()),
            value,
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
                    "a question of another converter was handed to the JSON schema converter",
                )),
            }
        })
    }
}
