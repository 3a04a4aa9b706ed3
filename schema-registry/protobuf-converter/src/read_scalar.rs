//! Reading of scalars and enums.

use millrace_api::data::{Blob, Value};
use registry_protobuf::Scalar;
use registry_protobuf::wire::{WireError, WireReader, WireValue, unzigzag};

use crate::fault::{Fault, INVALID_PROTOCOL_BUFFER};
use crate::read_plan::{Becomes, EnumReader, ScalarReader};

pub(crate) fn wire(error: WireError) -> Fault {
    Fault::new(INVALID_PROTOCOL_BUFFER, error.to_string())
}

/// The part of `payload` that `bytes` is, without copying.
pub(crate) fn slice(payload: &Blob, bytes: &[u8]) -> Blob {
    let start = (bytes.as_ptr() as usize).wrapping_sub(payload.as_ptr() as usize);
    match (u32::try_from(start), u32::try_from(bytes.len())) {
        (Ok(start), Ok(length)) => payload
            .slice(start, length)
            .unwrap_or_else(|| Blob::new(bytes.to_vec())),
        _ => Blob::new(bytes.to_vec()),
    }
}

/// `None`: the encoding is that of another type.
pub(crate) fn read_scalar(
    reader: ScalarReader,
    payload: &Blob,
    value: WireValue<'_>,
) -> Result<Option<Value>, Fault> {
    Ok(Some(match (reader.scalar, value) {
        (Scalar::String, WireValue::Bytes(bytes)) => match slice(payload, bytes).into_text() {
            Some(text) => Value::String(text),
            None if reader.check_utf8 => return Err(wire(WireError::Utf8)),
            None => Value::string(&*String::from_utf8_lossy(bytes)),
        },
        (Scalar::Bytes, WireValue::Bytes(bytes)) => Value::Bytes(slice(payload, bytes)),
        (_, WireValue::Varint(_) | WireValue::Fixed32(_) | WireValue::Fixed64(_)) => {
            return Ok(number(reader, value));
        }
        _ => return Ok(None),
    }))
}

fn number(reader: ScalarReader, value: WireValue<'_>) -> Option<Value> {
    Some(match (reader.scalar, value) {
        (Scalar::Int32, WireValue::Varint(v)) => narrow(v as i32, reader.becomes),
        (Scalar::Sint32, WireValue::Varint(v)) => {
            narrow(unzigzag(u64::from(v as u32)) as i32, reader.becomes)
        }
        (Scalar::Sfixed32, WireValue::Fixed32(v)) => narrow(v as i32, reader.becomes),
        (Scalar::Uint32, WireValue::Varint(v)) => Value::Int64(i64::from(v as u32)),
        (Scalar::Fixed32, WireValue::Fixed32(v)) => Value::Int64(i64::from(v)),
        (Scalar::Int64 | Scalar::Uint64, WireValue::Varint(v)) => Value::Int64(v as i64),
        (Scalar::Sint64, WireValue::Varint(v)) => Value::Int64(unzigzag(v)),
        (Scalar::Fixed64 | Scalar::Sfixed64, WireValue::Fixed64(v)) => Value::Int64(v as i64),
        (Scalar::Float, WireValue::Fixed32(v)) => Value::Float32(f32::from_bits(v)),
        (Scalar::Double, WireValue::Fixed64(v)) => Value::Float64(f64::from_bits(v)),
        (Scalar::Bool, WireValue::Varint(v)) => Value::Boolean(v != 0),
        _ => return None,
    })
}

pub(crate) fn read_packed(
    reader: ScalarReader,
    bytes: &[u8],
    list: &mut Vec<Value>,
) -> Result<(), Fault> {
    let mut packed = WireReader::new(bytes);
    while !packed.is_empty() {
        let value = match reader.scalar.wire_type() {
            1 => WireValue::Fixed64(packed.fixed64().map_err(wire)?),
            5 => WireValue::Fixed32(packed.fixed32().map_err(wire)?),
            _ => WireValue::Varint(packed.varint().map_err(wire)?),
        };
        list.extend(number(reader, value));
    }
    Ok(())
}

/// An `int32` as the integer that the field is in Connect.
pub(crate) fn narrow(value: i32, becomes: Becomes) -> Value {
    match becomes {
        Becomes::Int8 => Value::Int8(value as i8),
        Becomes::Int16 => Value::Int16(value as i16),
        Becomes::Same => Value::Int32(value),
    }
}

/// Zero, the empty text, false.
pub(crate) fn scalar_default(reader: ScalarReader) -> Value {
    match reader.scalar {
        Scalar::String => Value::string(""),
        Scalar::Bytes => Value::Bytes(Blob::new(Vec::new())),
        scalar => {
            let zero = match scalar.wire_type() {
                1 => WireValue::Fixed64(0),
                5 => WireValue::Fixed32(0),
                _ => WireValue::Varint(0),
            };
            number(reader, zero).unwrap_or_default()
        }
    }
}

impl EnumReader {
    /// The value of a number; `None` for one that a closed enum does not have.
    pub(crate) fn read(&self, number: i32) -> Option<Value> {
        let known = self.values.binary_search_by_key(&number, |value| value.0);
        match known {
            Ok(at) => Some(self.values[at].1.clone()),
            Err(_) if self.closed => None,
            Err(_) => Some(self.value(number)),
        }
    }

    /// The value of a number, also of one without a symbol.
    pub(crate) fn value(&self, number: i32) -> Value {
        match self.values.binary_search_by_key(&number, |value| value.0) {
            Ok(at) => self.values[at].1.clone(),
            Err(_) if self.as_number => Value::Int32(number),
            Err(_) => Value::string(format!("UNKNOWN_ENUM_VALUE_{}_{number}", self.name)),
        }
    }
}
