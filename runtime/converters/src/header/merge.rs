use millrace_api::data::{Kind, Schema, Value};

use super::infer::NotThis;

/// The schema that the elements of a list, or the keys or values of a map, have in common.
#[derive(Debug, Default)]
pub(super) enum Common {
    /// Only nulls so far.
    #[default]
    Unknown,
    Is(Schema),
    /// There is none, and there will be none.
    Incompatible,
}

impl Common {
    /// Takes one more into account; `None` is null.
    pub(super) fn merge(&mut self, latest: Option<&Schema>) {
        let Some(latest) = latest else { return };
        *self = match std::mem::take(self) {
            Self::Unknown => Self::Is(latest.clone()),
            Self::Is(previous) => common_of(&previous, latest).map_or(Self::Incompatible, Self::Is),
            Self::Incompatible => Self::Incompatible,
        };
    }

    pub(super) fn schema(self) -> Option<Schema> {
        match self {
            Self::Is(schema) => Some(schema),
            _ => None,
        }
    }
}

/// Place in the order in which numbers widen.
fn rank(kind: Kind) -> Option<u8> {
    Some(match kind {
        Kind::Int8 => 0,
        Kind::Int16 => 1,
        Kind::Int32 => 2,
        Kind::Int64 => 3,
        Kind::Float32 => 4,
        Kind::Float64 => 5,
        _ => return None,
    })
}

fn common_of(previous: &Schema, latest: &Schema) -> Option<Schema> {
    if previous.kind() == latest.kind() {
        // A date beside a time, or a date beside a number of its base type, has nothing in common with it.
        return (previous.name() == latest.name()).then(|| latest.clone());
    }
    let (a, b) = rank(previous.kind()).zip(rank(latest.kind()))?;
    Some(if a < b {
        latest.clone()
    } else {
        previous.clone()
    })
}

/// The value widened to the common schema. A null fits none, because what is inferred is never optional.
pub(super) fn widen(schema: &Schema, value: Value) -> Result<Value, NotThis> {
    let as_double = match &value {
        Value::Null => return Err(NotThis),
        Value::Float32(v) => f64::from(*v),
        other => match other.as_i64() {
            Some(v) => v as f64,
            None => return Ok(value),
        },
    };
    Ok(match (schema.kind(), value.as_i64()) {
        (Kind::Int16, Some(v)) => Value::Int16(v as i16),
        (Kind::Int32, Some(v)) => Value::Int32(v as i32),
        (Kind::Int64, Some(v)) => Value::Int64(v),
        (Kind::Float32, Some(v)) => Value::Float32(v as f32),
        (Kind::Float64, _) => Value::Float64(as_double),
        _ => value,
    })
}
