//! What stands around a payload: the schema's id before it, or its guid in a header.

use millrace_api::data::{Blob, Data, Headers, Value};
use millrace_api::plugin::DataError;

use super::{MessageIndexes, SchemaSerde};
use crate::{RegisteredSchema, SchemaType};

/// First byte before an id.
const ID: u8 = 0;
/// First byte before a guid.
const GUID: u8 = 1;

/// Where the id of a schema is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdWriter {
    Prefix,
    Header,
}

/// Where the id of a schema is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdReader {
    Dual,
    Prefix,
    Header,
}

/// Identifies the schema of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadSchema {
    /// By id, from the prefix.
    Id(i32),
    /// By guid, from the prefix or a header.
    Guid([u8; 16]),
}

/// A payload taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Its schema.
    pub schema: PayloadSchema,
    /// Message indexes, Protobuf only; at most 16 levels.
    pub indexes: MessageIndexes,
    /// Where the body begins in the payload.
    pub body: usize,
}

impl SchemaSerde {
    /// Appends what stands before the body (magic byte and id, message indexes), or adds the header, as `key.schema.id.serializer` / `value.schema.id.serializer` say.
    /// `indexes` for Protobuf only.
    ///
    /// # Errors
    /// A guid is wanted and the registry sends none.
    pub fn write_frame(
        &self,
        schema: &RegisteredSchema,
        indexes: Option<&[i32]>,
        headers: &mut Headers,
        out: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        match self.id_writer {
            IdWriter::Prefix => {
                out.push(ID);
                out.extend_from_slice(&schema.id.to_be_bytes());
                if let Some(path) = indexes {
                    MessageIndexes::write(path, out);
                }
            }
            IdWriter::Header => {
                let guid = schema.guid.ok_or_else(|| self.no_guid(schema))?;
                let mut value = Vec::with_capacity(24);
                value.push(GUID);
                value.extend_from_slice(&guid);
                if let Some(path) = indexes {
                    MessageIndexes::write(path, &mut value);
                }
                headers.push(
                    self.header.clone(),
                    Data {
                        schema: Some(self.header_schema.clone()),
                        value: Value::Bytes(Blob::new(value)),
                    },
                );
            }
        }
        Ok(())
    }

    fn no_guid(&self, schema: &RegisteredSchema) -> DataError {
        let role = if self.is_key { "key" } else { "value" };
        DataError::new(format!(
            "the schema registry sends no guid for schema {}, as registries before release 8.0 do not: remove `{role}.schema.id.serializer`, so that the id goes before the payload",
            schema.id
        ))
        .with_java_class("org.apache.kafka.common.errors.SerializationException")
    }

    /// Takes a payload apart: the header first, then the prefix. Cheap; called for every record.
    ///
    /// # Errors
    /// `Unknown magic byte!`, a payload that is too short.
    pub fn read_frame(&self, headers: &Headers, payload: &Blob) -> Result<Frame, DataError> {
        let has_indexes = self.schema_type == SchemaType::Protobuf;
        if self.id_reader != IdReader::Prefix
            && let Some(header) = headers.last(&self.header)
        {
            let bytes: &[u8] = match &header.data.value {
                Value::Bytes(bytes) => bytes,
                Value::String(text) => text.as_bytes(),
                _ => {
                    return Err(self.malformed(
                        "java.lang.IllegalArgumentException",
                        "the header is not bytes",
                    ));
                }
            };
            let (schema, indexes, _) = self.read_id(bytes, has_indexes)?;
            return Ok(Frame {
                schema,
                indexes,
                body: 0,
            });
        }
        if self.id_reader == IdReader::Header {
            let why = format!("the record has no header {}", self.header);
            return Err(self.malformed(
                "org.apache.kafka.common.errors.SerializationException",
                &why,
            ));
        }
        let (schema, indexes, body) = self.read_id(payload, has_indexes)?;
        Ok(Frame {
            schema,
            indexes,
            body,
        })
    }

    fn read_id(
        &self,
        bytes: &[u8],
        has_indexes: bool,
    ) -> Result<(PayloadSchema, MessageIndexes, usize), DataError> {
        let too_short = || {
            self.malformed(
                "java.nio.BufferUnderflowException",
                "the payload ends inside the schema id",
            )
        };
        let (schema, at) = match bytes.split_first() {
            Some((&ID, rest)) => {
                let id = rest.first_chunk().ok_or_else(too_short)?;
                (PayloadSchema::Id(i32::from_be_bytes(*id)), 5)
            }
            Some((&GUID, rest)) => {
                let guid = rest.first_chunk().ok_or_else(too_short)?;
                (PayloadSchema::Guid(*guid), 17)
            }
            Some(_) => {
                return Err(
                    self.malformed("java.lang.IllegalArgumentException", "Unknown magic byte!")
                );
            }
            None => return Err(too_short()),
        };
        if !has_indexes {
            return Ok((schema, MessageIndexes::NONE, at));
        }
        let (indexes, size) = MessageIndexes::read(&bytes[at..])
            .map_err(|why| self.malformed("java.lang.IllegalArgumentException", why))?;
        Ok((schema, indexes, at + size))
    }

    fn malformed(&self, class: &'static str, why: &str) -> DataError {
        DataError::new("Error deserializing schema ID")
            .with_java_class("org.apache.kafka.common.errors.SerializationException")
            .with_source(DataError::new(why.to_owned()).with_java_class(class))
    }
}
