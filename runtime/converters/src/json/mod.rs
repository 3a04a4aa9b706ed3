//! `org.apache.kafka.connect.json.JsonConverter`.

mod config;
mod escape;
mod plan;
mod plugin;
mod read;
mod reader;
mod schema_reader;
mod schema_text;
mod write;

use std::sync::Arc;

use millrace_api::data::{Blob, Data, Headers, Schema, SchemaMemo, Value};
use millrace_api::plugin::{Converter, DataError, Decoded, Encoded, HeaderConverter};

pub use config::{DecimalFormat, JsonConverterConfig};
pub use plugin::JsonConverterPlugin;

use plan::ReadPlan;
use read::ValueReader;
use reader::{Fault, Reader};
use schema_reader::{SchemaCache, read_schema};
use write::{WriteOptions, WritePlan, write_schemaless};

const NO_ENVELOPE: &str = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain additional fields. \
                           If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration.";

/// Keys, values and headers as JSON, with or without an envelope that carries the schema.
///
/// Encoding does not allocate once a schema has been seen, provided that `out` has room.
#[derive(Debug)]
pub struct JsonConverter {
    schemas_enable: bool,
    options: WriteOptions,
    written: SchemaMemo<Compiled>,
    read: SchemaCache,
    /// The schema of everything that is read, from `schema.content`.
    fixed: Option<Arc<ReadPlan>>,
    scratch: Vec<u8>,
}

/// A schema ready for writing.
#[derive(Debug)]
struct Compiled {
    /// `{"schema":…,"payload":`, or nothing without envelopes.
    prefix: Vec<u8>,
    plan: WritePlan,
}

impl JsonConverter {
    /// A converter with this configuration. Fails when `schema.content` is not a schema.
    pub fn new(config: &JsonConverterConfig) -> Result<Self, DataError> {
        let capacity = usize::try_from(config.schemas_cache_size).unwrap_or(0);
        let options = WriteOptions {
            decimal_format: config.decimal_format,
            replace_null_with_default: config.replace_null_with_default,
        };
        let fixed = match config
            .schema_content
            .as_deref()
            .filter(|text| !text.trim().is_empty())
        {
            None => None,
            Some(text) => {
                let document = Blob::new(text.as_bytes().to_vec());
                let schema = Reader::new(&document, 0)
                    .skip()
                    .and_then(|()| read_schema(&document, 0));
                let schema = schema.map_err(|fault| {
                    failed(
                        *fault,
                        &document,
                        "Failed to parse schema in converter config due to serialization error: ",
                    )
                })?;
                Some(Arc::new(ReadPlan::new(&schema)))
            }
        };
        Ok(Self {
            schemas_enable: config.schemas_enable,
            options,
            written: SchemaMemo::new(capacity),
            read: SchemaCache::new(capacity),
            fixed,
            scratch: Vec::new(),
        })
    }

    fn write(&mut self, data: &Data, out: &mut Vec<u8>) -> Result<bool, DataError> {
        let Some(schema) = &data.schema else {
            if data.value.is_null() {
                return Ok(false);
            }
            if self.schemas_enable {
                out.extend_from_slice(b"{\"schema\":null,\"payload\":");
            }
            write_schemaless(&data.value, out)?;
            if self.schemas_enable {
                out.push(b'}');
            }
            return Ok(true);
        };
        let (schemas_enable, options) = (self.schemas_enable, self.options);
        let compiled = self
            .written
            .get_or_try_insert(schema, |schema| compile(schema, schemas_enable, options))?;
        out.extend_from_slice(&compiled.prefix);
        compiled.plan.write(&data.value, out, &mut self.scratch)?;
        if schemas_enable {
            out.push(b'}');
        }
        Ok(true)
    }

    fn read(&mut self, bytes: Option<&Blob>) -> Result<Data, DataError> {
        let Some(document) = bytes else {
            return Ok(Data::NONE);
        };
        let result = if !self.schemas_enable {
            self.read_plain(document)
        } else if let Some(plan) = self.fixed.clone() {
            self.read_fixed(document, &plan)
        } else {
            // The straight way reads each byte once. Whatever it does not like is looked at again by the way that finds Java's reason.
            self.read_envelope_straight(document)
                .or_else(|_| self.read_envelope(document))
        };
        result.map_err(|fault| {
            failed(
                *fault,
                document,
                "Converting byte[] to Kafka Connect data failed due to serialization error: ",
            )
        })
    }

    fn values<'a>(&self, document: &'a Blob, at: usize) -> ValueReader<'a> {
        ValueReader::new(document, at, self.options.replace_null_with_default)
    }

    fn read_plain(&self, document: &Blob) -> Result<Data, Box<Fault>> {
        let mut values = self.values(document, 0);
        Ok(if values.reader.more() {
            Data::schemaless(values.schemaless()?)
        } else {
            Data::NONE
        })
    }

    fn read_fixed(&self, document: &Blob, plan: &ReadPlan) -> Result<Data, Box<Fault>> {
        let mut values = self.values(document, 0);
        Ok(Data::new(plan.schema.clone(), values.value(plan)?))
    }

    /// Reads an envelope whose members come in the order in which every writer puts them.
    fn read_envelope_straight(&mut self, document: &Blob) -> Result<Data, Box<Fault>> {
        let unusual = || Box::new(Fault::Data(DataError::new(NO_ENVELOPE)));
        let mut values = self.values(document, 0);
        if !values.reader.more() || document.get(values.reader.position()) != Some(&b'{') {
            return Err(unusual());
        }
        values.reader.enter()?;
        match values.reader.next_member(true)? {
            Some(name) if values.reader.content(name) == b"schema" => {}
            _ => return Err(unusual()),
        }
        let plan = self.read.read(document, &mut values.reader)?;
        match values.reader.next_member(false)? {
            Some(name) if values.reader.content(name) == b"payload" => {}
            _ => return Err(unusual()),
        }
        let value = payload(&mut values, plan.as_deref())?;
        match values.reader.next_member(false)? {
            None => Ok(Data {
                schema: plan.map(|plan| plan.schema.clone()),
                value,
            }),
            Some(_) => Err(unusual()),
        }
    }

    /// Reads an envelope in Java's order: all of the document must be JSON, then it must be an envelope, then the schema counts, then the payload.
    fn read_envelope(&mut self, document: &Blob) -> Result<Data, Box<Fault>> {
        let mut reader = Reader::new(document, 0);
        let (mut schema, mut payload_at, mut others) = (None, None, false);
        if reader.more() {
            let start = reader.position();
            reader.skip()?;
            reader.seek(start);
            if document.get(start) == Some(&b'{') {
                reader.enter()?;
                let mut first = true;
                while let Some(name) = reader.next_member(first)? {
                    first = false;
                    match reader.text(name)?.as_str() {
                        "schema" => schema = Some(reader.position()),
                        "payload" => payload_at = Some(reader.position()),
                        _ => others = true,
                    }
                    reader.skip()?;
                }
            }
        }
        let (Some(schema), Some(payload_at), false) = (schema, payload_at, others) else {
            return Err(DataError::new(NO_ENVELOPE).into());
        };
        // One level deep, as in the document.
        let plan = self
            .read
            .read(document, &mut Reader::new(document, schema))?;
        let mut values = self.values(document, payload_at);
        let value = payload(&mut values, plan.as_deref())?;
        Ok(Data {
            schema: plan.map(|plan| plan.schema.clone()),
            value,
        })
    }
}

fn payload(values: &mut ValueReader<'_>, plan: Option<&ReadPlan>) -> Result<Value, Box<Fault>> {
    match plan {
        Some(plan) => values.value(plan),
        None => values.schemaless(),
    }
}

fn compile(
    schema: &Schema,
    schemas_enable: bool,
    options: WriteOptions,
) -> Result<Compiled, DataError> {
    let mut prefix = Vec::new();
    if schemas_enable {
        prefix.extend_from_slice(b"{\"schema\":");
        schema_text::write_schema(schema, None, options, &mut prefix)?;
        prefix.extend_from_slice(b",\"payload\":");
    }
    Ok(Compiled {
        prefix,
        plan: WritePlan::new(schema, options)?,
    })
}

/// The error of a document that was not read, with Java's chain of causes. Positions are counted in characters of the line, from 1.
fn failed(fault: Fault, document: &[u8], message: &'static str) -> DataError {
    match fault {
        Fault::Data(error) => error,
        Fault::Syntax {
            message: detail,
            at,
            class,
        } => {
            let before = &document[..at.min(document.len())];
            let line = before.iter().filter(|b| **b == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
            DataError::new(message).with_source(
                DataError::new(format!(
                    "{class}: {detail} at line: {line}, column: {column}"
                ))
                .with_java_class("org.apache.kafka.common.errors.SerializationException"),
            )
        }
    }
}

impl Converter for JsonConverter {
    fn encode(
        &mut self,
        _topic: &str,
        _headers: &mut Headers,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, DataError> {
        self.write(data, out).map(|written| {
            if written {
                Encoded::Written
            } else {
                Encoded::Null
            }
        })
    }

    fn decode(
        &mut self,
        _topic: &str,
        _headers: &Headers,
        bytes: Option<&Blob>,
    ) -> Result<Decoded, DataError> {
        self.read(bytes).map(Decoded::Data)
    }
}

impl HeaderConverter for JsonConverter {
    fn encode(
        &mut self,
        _topic: &str,
        _name: &str,
        data: &Data,
        out: &mut Vec<u8>,
    ) -> Result<bool, DataError> {
        self.write(data, out)
    }

    fn decode(
        &mut self,
        _topic: &str,
        _name: &str,
        bytes: Option<&Blob>,
    ) -> Result<Data, DataError> {
        self.read(bytes)
    }
}
