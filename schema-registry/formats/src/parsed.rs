//! One parsed schema of any format.

use std::sync::Arc;

use registry_avro::{AvroError, AvroSchema};
use registry_json_schema::{JsonSchema, JsonSchemaError};
use registry_protobuf::{ProtobufError, ProtobufSchema};

use crate::{ResolvedReference, SchemaType};

/// How strictly a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// A new schema: everything is checked.
    New,
    /// Lookups, schemas that come with an id, what is stored already.
    Stored,
}

/// Which side of a comparison is the new schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The new schema reads what the old one wrote.
    Backward,
    /// The old schema reads what the new one wrote.
    Forward,
}

/// Which differences of JSON schemas are compatible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// The default.
    #[default]
    Strict,
    /// Content models may be opened and closed.
    Lenient,
}

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// From the Avro parser.
    #[error(transparent)]
    Avro(#[from] AvroError),
    /// From the JSON Schema parser.
    #[error(transparent)]
    Json(#[from] JsonSchemaError),
    /// From the Protobuf parser.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
}

/// A parsed schema; cloning copies a pointer.
#[derive(Debug, Clone)]
pub enum ParsedSchema {
    /// Avro
    Avro(Arc<AvroSchema>),
    /// JSON Schema
    Json(Arc<JsonSchema>),
    /// Protobuf
    Protobuf(Arc<ProtobufSchema>),
}

impl ParsedSchema {
    /// Parses `text`; `references` in the order in which they must be read, dependencies first.
    ///
    /// # Errors
    /// The verdict of the format's parser.
    pub fn parse(
        schema_type: SchemaType,
        text: &str,
        references: &[ResolvedReference],
        strictness: Strictness,
    ) -> Result<Self, ParseError> {
        let new = strictness == Strictness::New;
        let named = || -> Vec<(Arc<str>, Arc<str>)> {
            references
                .iter()
                .map(|r| (Arc::clone(&r.name), Arc::clone(&r.text)))
                .collect()
        };
        Ok(match schema_type {
            SchemaType::Avro => {
                let texts: Vec<Arc<str>> = references.iter().map(|r| Arc::clone(&r.text)).collect();
                let strictness = if new {
                    registry_avro::Strictness::New
                } else {
                    registry_avro::Strictness::Stored
                };
                Self::Avro(Arc::new(AvroSchema::parse(text, &texts, strictness)?))
            }
            SchemaType::Json => {
                let strictness = if new {
                    registry_json_schema::Strictness::New
                } else {
                    registry_json_schema::Strictness::Stored
                };
                Self::Json(Arc::new(JsonSchema::parse(text, &named(), strictness)?))
            }
            SchemaType::Protobuf => {
                let strictness = if new {
                    registry_protobuf::Strictness::New
                } else {
                    registry_protobuf::Strictness::Stored
                };
                Self::Protobuf(Arc::new(ProtobufSchema::parse(text, &named(), strictness)?))
            }
        })
    }

    /// Its format.
    pub fn schema_type(&self) -> SchemaType {
        match self {
            Self::Avro(_) => SchemaType::Avro,
            Self::Json(_) => SchemaType::Json,
            Self::Protobuf(_) => SchemaType::Protobuf,
        }
    }

    /// About how many bytes of memory the schema takes, for caches that are bounded by memory.
    pub fn size_hint(&self) -> usize {
        match self {
            Self::Avro(schema) => schema.size_hint(),
            Self::Json(schema) => schema.size_hint(),
            Self::Protobuf(schema) => schema.size_hint(),
        }
    }

    /// The text that is stored.
    pub fn canonical(&self) -> String {
        match self {
            Self::Avro(schema) => schema.canonical(),
            Self::Json(schema) => schema.canonical(),
            Self::Protobuf(schema) => schema.canonical(),
        }
    }

    /// The text that is stored under `normalize=true`.
    ///
    /// # Errors
    /// A Protobuf text that was parsed without checks uses a type that is nowhere.
    pub fn normalized(&self) -> Result<String, ParseError> {
        Ok(match self {
            Self::Avro(schema) => schema.normalized(),
            Self::Json(schema) => schema.normalized(),
            Self::Protobuf(schema) => schema.try_normalized()?,
        })
    }

    /// The text in the form of a `format` parameter; `None` when the format has no meaning here and is to be ignored.
    pub fn formatted(&self, format: &str) -> Option<String> {
        match self {
            Self::Avro(schema) => (format == "resolved").then(|| schema.resolved()),
            Self::Json(_) => None,
            Self::Protobuf(schema) => schema.formatted(format),
        }
    }

    /// Whether two schemas are the same after parsing: the looser test of lookups. Schemas of two formats never are.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Avro(a), Self::Avro(b)) => a.is_equivalent(b),
            (Self::Json(a), Self::Json(b)) => a.is_equivalent(b),
            (Self::Protobuf(a), Self::Protobuf(b)) => a.is_equivalent(b),
            _ => false,
        }
    }

    /// What `reader` cannot read of what `writer` wrote, as the registry's messages; empty when it can read all. The two must have one format.
    ///
    /// # Errors
    /// The text of what stopped the comparison.
    pub fn check(
        reader: &Self,
        writer: &Self,
        direction: Direction,
        policy: Policy,
    ) -> Result<Vec<String>, String> {
        let found = Self::differences(reader, writer, direction, policy)?;
        Ok(found.into_iter().map(|found| found.message).collect())
    }

    /// The same with kind and path of each difference.
    ///
    /// # Errors
    /// The text of what stopped the comparison.
    pub fn differences(
        reader: &Self,
        writer: &Self,
        direction: Direction,
        policy: Policy,
    ) -> Result<Vec<Difference>, String> {
        let backward = direction == Direction::Backward;
        match (reader, writer) {
            (Self::Avro(reader), Self::Avro(writer)) => {
                let direction = if backward {
                    registry_avro::Direction::Backward
                } else {
                    registry_avro::Direction::Forward
                };
                let found = AvroSchema::check(reader, writer, direction)?;
                Ok(found
                    .into_iter()
                    .map(|f| Difference::new(f.kind, f.path, f.message))
                    .collect())
            }
            (Self::Json(reader), Self::Json(writer)) => {
                let direction = if backward {
                    registry_json_schema::Direction::Backward
                } else {
                    registry_json_schema::Direction::Forward
                };
                let policy = match policy {
                    Policy::Strict => registry_json_schema::Policy::Strict,
                    Policy::Lenient => registry_json_schema::Policy::Lenient,
                };
                let found = JsonSchema::check(reader, writer, direction, policy)?;
                Ok(found
                    .into_iter()
                    .map(|f| Difference::new(f.kind, f.path, f.message))
                    .collect())
            }
            (Self::Protobuf(reader), Self::Protobuf(writer)) => {
                let direction = if backward {
                    registry_protobuf::Direction::Backward
                } else {
                    registry_protobuf::Direction::Forward
                };
                let found = ProtobufSchema::check(reader, writer, direction)?;
                Ok(found
                    .into_iter()
                    .map(|f| Difference::new(f.kind, f.path, f.message))
                    .collect())
            }
            _ => Ok(vec![Difference::new(
                "SCHEMA_TYPE_CHANGED",
                "/".to_owned(),
                "Incompatible because of different schema type".to_owned(),
            )]),
        }
    }
}

/// One way in which a reader cannot read a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `TYPE_MISMATCH` and the like; each format has its own.
    pub kind: &'static str,
    /// Where, in the format's own notation.
    pub path: String,
    /// The registry's message.
    pub message: String,
}

impl Difference {
    fn new(kind: &'static str, path: String, message: String) -> Self {
        Self {
            kind,
            path,
            message,
        }
    }
}
