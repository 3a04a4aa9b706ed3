//! Schemas, values and records.
//!
//! The expensive thing in a pipeline is never the codec, it is per-record trees and names. So a [`Schema`] is interned and compared by pointer, a [`Value`] is 24
//! bytes and owns no names, text and bytes are slices of the network frame they arrived in ([`Text`], [`Blob`]), and everything that depends on a schema is
//! computed once per [`SchemaId`] by whoever needs it ([`SchemaMemo`]).

mod decimal;
mod frame;
mod header;
pub mod logical;
mod memo;
mod record;
mod schema;
mod structure;
mod value;

pub use decimal::{Decimal, DecimalParseError};
pub use frame::{Blob, Frame, Text};
pub use header::{Header, Headers};
pub use java_idioms::{java_f32, java_f64};
pub use memo::SchemaMemo;
pub use record::{
    Data, OffsetMap, OffsetValue, Record, SinkRecord, SourceOffset, SourceRecord, TimestampType,
};
pub use schema::{Field, Kind, Schema, SchemaBuilder, SchemaError, SchemaId};
pub use structure::Struct;
pub use value::Value;
