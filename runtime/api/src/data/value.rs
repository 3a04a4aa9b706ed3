use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Blob, Decimal, Kind, Struct, Text};

/// A value. At most 24 bytes; cloning never copies more than a reference count.
///
/// Logical types keep the base type of their schema (a timestamp is an [`Int64`](Self::Int64) under a schema with the timestamp's name), with one exception:
/// `org.apache.kafka.connect.data.Decimal` values are [`Decimal`](Self::Decimal), because converters write them in two ways.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// `BOOLEAN`
    Boolean(bool),
    /// `INT8`
    Int8(i8),
    /// `INT16`
    Int16(i16),
    /// `INT32`
    Int32(i32),
    /// `INT64`
    Int64(i64),
    /// `FLOAT32`
    Float32(f32),
    /// `FLOAT64`
    Float64(f64),
    /// `STRING`
    String(Text),
    /// `BYTES`
    Bytes(Blob),
    /// `BYTES` with the name `org.apache.kafka.connect.data.Decimal`
    Decimal(Box<Decimal>),
    /// `ARRAY`
    Array(Arc<Vec<Value>>),
    /// `MAP`, in insertion order
    Map(Arc<Vec<(Value, Value)>>),
    /// `STRUCT`
    Struct(Struct),
}

impl Value {
    /// Whether this is [`Null`](Self::Null).
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The kind a value of this form has without a schema; `None` for null.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(_) => Kind::Boolean,
            Self::Int8(_) => Kind::Int8,
            Self::Int16(_) => Kind::Int16,
            Self::Int32(_) => Kind::Int32,
            Self::Int64(_) => Kind::Int64,
            Self::Float32(_) => Kind::Float32,
            Self::Float64(_) => Kind::Float64,
            Self::String(_) => Kind::String,
            Self::Bytes(_) | Self::Decimal(_) => Kind::Bytes,
            Self::Array(_) => Kind::Array,
            Self::Map(_) => Kind::Map,
            Self::Struct(_) => Kind::Struct,
        })
    }

    /// Text of a new string value.
    pub fn string(text: impl Into<Text>) -> Self {
        Self::String(text.into())
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Any integer, widened.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Int8(v) => Some(v.into()),
            Self::Int16(v) => Some(v.into()),
            Self::Int32(v) => Some(v.into()),
            Self::Int64(v) => Some(v),
            _ => None,
        }
    }

    /// The struct.
    pub fn as_struct(&self) -> Option<&Struct> {
        match self {
            Self::Struct(v) => Some(v),
            _ => None,
        }
    }

    /// Java's class name of this value, for messages that name it.
    pub fn java_class(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "class java.lang.Boolean",
            Self::Int8(_) => "class java.lang.Byte",
            Self::Int16(_) => "class java.lang.Short",
            Self::Int32(_) => "class java.lang.Integer",
            Self::Int64(_) => "class java.lang.Long",
            Self::Float32(_) => "class java.lang.Float",
            Self::Float64(_) => "class java.lang.Double",
            Self::String(_) => "class java.lang.String",
            Self::Bytes(_) => "class [B",
            Self::Decimal(_) => "class java.math.BigDecimal",
            Self::Array(_) => "class java.util.ArrayList",
            Self::Map(_) => "class java.util.HashMap",
            Self::Struct(_) => "class org.apache.kafka.connect.data.Struct",
        }
    }
}

/// Floats are compared by their bits, so that equality is an equivalence (Java's `Double.equals`).
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Int8(a), Self::Int8(b)) => a == b,
            (Self::Int16(a), Self::Int16(b)) => a == b,
            (Self::Int32(a), Self::Int32(b)) => a == b,
            (Self::Int64(a), Self::Int64(b)) => a == b,
            (Self::Float32(a), Self::Float32(b)) => a.to_bits() == b.to_bits(),
            (Self::Float64(a), Self::Float64(b)) => a.to_bits() == b.to_bits(),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Struct(a), Self::Struct(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Boolean(v) => v.hash(state),
            Self::Int8(v) => v.hash(state),
            Self::Int16(v) => v.hash(state),
            Self::Int32(v) => v.hash(state),
            Self::Int64(v) => v.hash(state),
            Self::Float32(v) => v.to_bits().hash(state),
            Self::Float64(v) => v.to_bits().hash(state),
            Self::String(v) => v.hash(state),
            Self::Bytes(v) => v.hash(state),
            Self::Decimal(v) => v.hash(state),
            Self::Array(v) => v.hash(state),
            Self::Map(v) => v.hash(state),
            Self::Struct(v) => v.hash(state),
        }
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Boolean(v)
    }
}

impl From<i32> for Value {
    fn from(v: i32) -> Self {
        Self::Int32(v)
    }
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int64(v)
    }
}

impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Float64(v)
    }
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::String(v.into())
    }
}

impl From<Text> for Value {
    fn from(v: Text) -> Self {
        Self::String(v)
    }
}

impl From<Blob> for Value {
    fn from(v: Blob) -> Self {
        Self::Bytes(v)
    }
}

impl From<Struct> for Value {
    fn from(v: Struct) -> Self {
        Self::Struct(v)
    }
}

impl From<Decimal> for Value {
    fn from(v: Decimal) -> Self {
        Self::Decimal(Box::new(v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_at_most_24_bytes() {
        assert!(size_of::<Value>() <= 24, "{}", size_of::<Value>());
    }
}
