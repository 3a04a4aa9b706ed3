//! Protobuf schemas as the Confluent registry sees them: a file parsed with the verdicts of its parser, printed with its bytes, compared with its texts, and resolved
//! into message types for a codec.
//!
//! No I/O: imports come from the caller or are built in.

pub mod ast;
mod descriptor;
mod diff;
mod error;
mod known;
mod meta;
mod names;
mod number;
mod print;
mod resolved;
mod scalar;
mod schema;
mod scope;
mod syntax;
mod tags;
pub mod wire;

pub use diff::{Direction, Incompatibility};
pub use error::ProtobufError;
pub use known::known_file;
pub use meta::Meta;
pub use names::{map_entry_name, map_field_name};
pub use resolved::{
    Descriptors, EnumDescriptor, FieldDescriptor, FieldKind, MessageDescriptor, OneofDescriptor,
};
pub use scalar::Scalar;
pub use schema::ProtobufSchema;
pub use tags::TaggedEntity;

/// How strictly a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// All used types must resolve.
    New,
    /// Only parsed.
    Stored,
}
