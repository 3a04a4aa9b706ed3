//! What stands around a payload: the schema's id before it, or its guid in a header.

use millrace_api::data::{Blob, Data, Headers, Value};
use millrace_api::plugin::DataError;

use super::{MessageIndexes, SchemaSerde};
use crate::RegisteredSchema;

/// First byte before an id.
pub(super) const ID: u8 = 0;
/// First byte before a guid.
pub(super) const GUID: u8 = 1;

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
    /// Nowhere: the settings say it, and the whole payload is the body.
    Config,
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

    /// What stands before each payload of a schema when it is always the same; `None` where a header is added to each record instead.
    ///
    /// # Errors
    /// As [`write_frame`](Self::write_frame).
    pub fn prefix(
        &self,
        schema: &RegisteredSchema,
        indexes: Option<&[i32]>,
    ) -> Result<Option<Box<[u8]>>, DataError> {
        let (mut headers, mut prefix) = (Headers::new(), Vec::new());
        self.write_frame(schema, indexes, &mut headers, &mut prefix)?;
        Ok(headers.is_empty().then(|| prefix.into()))
    }

    /// Takes a payload apart: the header first, then the prefix. Cheap; called for every record.
    ///
    /// # Errors
    /// `Unknown magic byte!`, a payload that is too short.
    #[inline]
    pub fn read_frame(&self, headers: &Headers, payload: &Blob) -> Result<Frame, DataError> {
        let (bytes, in_header) = self.frame_bytes(headers, payload)?;
        // Nearly all payloads are framed so.
        if let Some((&[ID, a, b, c, d], _)) = bytes.split_first_chunk() {
            return Ok(Frame {
                schema: PayloadSchema::Id(i32::from_be_bytes([a, b, c, d])),
                body: if in_header { 0 } else { 5 },
            });
        }
        let (schema, end) = self.read_schema(bytes)?;
        Ok(Frame {
            schema,
            body: if in_header { 0 } else { end },
        })
    }

    /// The same for Protobuf, whose message indexes stand behind the schema; at most 16 levels.
    ///
    /// # Errors
    /// As [`read_frame`](Self::read_frame), and indexes that cannot be.
    pub fn read_message_frame(
        &self,
        headers: &Headers,
        payload: &Blob,
    ) -> Result<(Frame, MessageIndexes), DataError> {
        let (bytes, in_header) = self.frame_bytes(headers, payload)?;
        let (schema, end) = self.read_schema(bytes)?;
        let (indexes, size) = MessageIndexes::read(&bytes[end..])
            .map_err(|why| self.malformed("java.lang.IllegalArgumentException", why))?;
        let body = if in_header { 0 } else { end + size };
        Ok((Frame { schema, body }, indexes))
    }

    /// The bytes that begin with the schema, and whether they are a header's.
    fn frame_bytes<'a>(
        &'a self,
        headers: &'a Headers,
        payload: &'a Blob,
    ) -> Result<(&'a [u8], bool), DataError> {
        if matches!(self.id_reader, IdReader::Dual | IdReader::Header)
            && let Some(header) = headers.last(&self.header)
        {
            return match &header.data.value {
                Value::Bytes(bytes) => Ok((bytes, true)),
                Value::String(text) => Ok((text.as_bytes(), true)),
                _ => Err(self.malformed(
                    "java.lang.IllegalArgumentException",
                    "the header is not bytes",
                )),
            };
        }
        if self.id_reader == IdReader::Config {
            return match &self.configured {
                Some(bytes) => Ok((bytes, true)),
                None => Err(self.malformed(
                    "org.apache.kafka.common.errors.SerializationException",
                    "neither use.schema.id nor use.schema.guid is set",
                )),
            };
        }
        if self.id_reader == IdReader::Header {
            let why = format!("the record has no header {}", self.header);
            return Err(self.malformed(
                "org.apache.kafka.common.errors.SerializationException",
                &why,
            ));
        }
        Ok((payload, false))
    }

    fn read_schema(&self, bytes: &[u8]) -> Result<(PayloadSchema, usize), DataError> {
        let too_short = || {
            self.malformed(
                "java.nio.BufferUnderflowException",
                "the payload ends inside the schema id",
            )
        };
        match bytes.split_first() {
            Some((&ID, rest)) => {
                let id = rest.first_chunk().ok_or_else(too_short)?;
                Ok((PayloadSchema::Id(i32::from_be_bytes(*id)), 5))
            }
            Some((&GUID, rest)) => {
                let guid = rest.first_chunk().ok_or_else(too_short)?;
                Ok((PayloadSchema::Guid(*guid), 17))
            }
            Some(_) => {
                Err(self.malformed("java.lang.IllegalArgumentException", "Unknown magic byte!"))
            }
            None => Err(too_short()),
        }
    }

    #[cold]
    fn malformed(&self, class: &'static str, why: &str) -> DataError {
        DataError::new("Error deserializing schema ID")
            .with_java_class("org.apache.kafka.common.errors.SerializationException")
            .with_source(DataError::new(why.to_owned()).with_java_class(class))
    }
}
