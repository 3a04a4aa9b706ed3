//! Avro schemas as Java's library (1.12) and the Confluent registry see them: parsed with their verdicts, printed with their bytes, compared with their texts.
//!
//! No I/O. Every property and its order survive; a registry that lost one would answer another text than it was given.

mod builder;
mod check;
pub mod datum;
mod defaults;
mod equality;
mod fingerprint;
#[cfg(feature = "generate")]
pub mod generate;
mod link;
mod logical;
mod names;
mod normalize;
mod parse;
mod print;
mod schema;

pub use builder::AvroBuilder;
pub use fingerprint::rabin;
pub use schema::{AvroSchema, Enum, Field, Fixed, Kind, Name, Order, Record, Type, TypeId};

/// Why a text is no Avro schema. `message` is Java's, `class` the exception's class where the registry shows it (`com.fasterxml.jackson.core.JsonParseException`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", class.map(|c| format!("{c}: ")).unwrap_or_default())]
pub struct AvroError {
    /// Shown before the message, with a colon.
    pub class: Option<&'static str>,
    /// What is wrong.
    pub message: String,
}

/// How strictly a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Names, namespaces and defaults are checked: a new schema.
    New,
    /// Defaults and namespaces are not: lookups, schemas that come with an id, what is stored already.
    Stored,
}

/// One way in which a reader cannot read a writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// `TYPE_MISMATCH` and the like.
    pub kind: &'static str,
    /// JSON pointer into the reader.
    pub path: String,
    /// The whole text as the registry sends it: `{errorType:'…', description:'…', additionalInfo:'…'}`.
    pub message: String,
}

/// Which side of a comparison is the new schema; the texts say "new" and "old".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The new schema reads what the old one wrote.
    Backward,
    /// The old schema reads what the new one wrote.
    Forward,
}
