use std::sync::Arc;

use indexmap::IndexMap;

use super::{Headers, Schema, Value};

/// A value with its schema. No schema: schemaless data, or nothing at all when the value is null too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// Schema, if there is one.
    pub schema: Option<Schema>,
    /// Value.
    pub value: Value,
}

impl Data {
    /// Neither schema nor value: a tombstone's value, a missing key.
    pub const NONE: Self = Self {
        schema: None,
        value: Value::Null,
    };

    /// A value of `schema`.
    pub fn new(schema: Schema, value: impl Into<Value>) -> Self {
        Self {
            schema: Some(schema),
            value: value.into(),
        }
    }

    /// A value without a schema.
    pub fn schemaless(value: impl Into<Value>) -> Self {
        Self {
            schema: None,
            value: value.into(),
        }
    }

    /// Whether there is neither schema nor value.
    pub fn is_none(&self) -> bool {
        self.schema.is_none() && self.value.is_null()
    }
}

/// What transforms and converters see: a record without where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition; `None`: chosen from the key.
    pub partition: Option<i32>,
    /// Milliseconds since the epoch; `None`: when it is written.
    pub timestamp: Option<i64>,
    /// Key.
    pub key: Data,
    /// Value; [`Data::NONE`] is a tombstone.
    pub value: Data,
    /// Headers.
    pub headers: Headers,
}

/// One member of a source partition or offset: Connect allows primitives only.
#[derive(Debug, Clone, PartialEq)]
pub enum OffsetValue {
    /// null
    Null,
    /// boolean
    Boolean(bool),
    /// any integer
    Int(i64),
    /// any float
    Float(f64),
    /// text
    String(String),
}

impl From<i64> for OffsetValue {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}

impl From<bool> for OffsetValue {
    fn from(v: bool) -> Self {
        Self::Boolean(v)
    }
}

impl From<&str> for OffsetValue {
    fn from(v: &str) -> Self {
        Self::String(v.to_owned())
    }
}

impl From<String> for OffsetValue {
    fn from(v: String) -> Self {
        Self::String(v)
    }
}

impl OffsetValue {
    /// An integer, or a float without a fraction (offsets written by other tools).
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Int(v) => Some(v),
            Self::Float(v) if v.fract() == 0.0 && v.abs() < 9.0e15 => Some(v as i64),
            _ => None,
        }
    }

    /// Text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(v) => Some(v),
            _ => None,
        }
    }

    /// A boolean, also when it was written as text.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(v) => Some(*v),
            Self::String(v) => v.parse().ok(),
            _ => None,
        }
    }
}

/// A source partition or a source offset, in the order in which its members are written. Equality does not look at the order.
pub type OffsetMap = IndexMap<String, OffsetValue>;

/// Where a source stood after a record.
///
/// A connector that emits many records gives five packed numbers instead of a map, and renders the one that becomes the watermark
/// ([`SourceTask::render_offset`](crate::plugin::SourceTask::render_offset)).
#[derive(Debug, Clone, PartialEq)]
pub enum SourceOffset {
    /// Numbers whose meaning only the task knows.
    Packed([u64; 5]),
    /// The map as it is stored.
    Map(Arc<OffsetMap>),
}

/// A record from a source, with the position to resume at once it is durable.
#[derive(Debug, Clone)]
pub struct SourceRecord {
    /// The record.
    pub record: Record,
    /// Source partition: an index from [`SourceBatch::partition`](crate::plugin::SourceBatch::partition).
    pub source_partition: u32,
    /// Position after this record.
    pub source_offset: SourceOffset,
}

/// Whose clock a sink record's timestamp is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// No timestamp.
    None,
    /// The producer's.
    CreateTime,
    /// The log's.
    LogAppendTime,
}

/// A record for a sink, with where it was consumed. Transforms may change the record's topic and partition, never these coordinates.
#[derive(Debug, Clone)]
pub struct SinkRecord {
    /// The record after transforms.
    pub record: Record,
    /// Topic it was consumed from.
    pub original_topic: Arc<str>,
    /// Partition it was consumed from.
    pub original_partition: i32,
    /// Offset it was consumed at.
    pub offset: i64,
    /// Whose clock the timestamp is from.
    pub timestamp_type: TimestampType,
}
