//! The three schema formats behind one type, and the identity hash that all of them share.
//!
//! No I/O and no clock. What each format does is in its own crate: `registry-avro`, `registry-json-schema`, `registry-protobuf`.

mod fields;
mod identity;
mod parsed;
mod tags;

use std::fmt;
use std::sync::Arc;

pub use identity::{Identity, IdentityParts};
pub use registry_json_schema::JsonSchemaError;
pub use registry_protobuf::ProtobufError;

pub use parsed::{Difference, Direction, ParseError, ParsedSchema, Policy, Strictness};
pub use tags::TaggedEntity;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaType {
    /// `AVRO`, what an absent `schemaType` means.
    Avro,
    /// `JSON`
    Json,
    /// `PROTOBUF`
    Protobuf,
}

impl SchemaType {
    /// As it is written in requests and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }

    /// By name, upper case as the registry wants it; `None` for an unknown one.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "AVRO" => Self::Avro,
            "JSON" => Self::Json,
            "PROTOBUF" => Self::Protobuf,
            _ => return None,
        })
    }
}

impl fmt::Display for SchemaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A mention of another registered schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Avro: full type name; JSON Schema: text of the `$ref`; Protobuf: import path.
    pub name: Arc<str>,
    /// Subject, unqualified where it is in the context of the schema that refers.
    pub subject: Arc<str>,
    /// Version; -1 is the latest.
    pub version: i32,
}

/// The text of a referenced schema, under the name by which it is mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedReference {
    /// As in [`Reference::name`].
    pub name: Arc<str>,
    /// Canonical text.
    pub text: Arc<str>,
}
