//! Defaults of proto2.

use millrace_api::data::{Blob, Kind, Value};

use crate::connect_types::scalar_kind;
use crate::fault::{Fault, ILLEGAL_ARGUMENT};
use crate::read_plan::ScalarReader;

/// A default as it is written in proto2.
pub(crate) fn parse_default(reader: ScalarReader, text: &str) -> Result<Value, Fault> {
    let wrong = || {
        Fault::new(
            ILLEGAL_ARGUMENT,
            format!(
                "Invalid protobuf schema definition: Could not parse default value: \"{text}\""
            ),
        )
    };
    let integer = || -> Option<i64> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let hex = digits
            .strip_prefix("0x")
            .or_else(|| digits.strip_prefix("0X"));
        let octal = digits.strip_prefix('0').filter(|rest| !rest.is_empty());
        let value = match (hex, octal) {
            (Some(hex), _) => u64::from_str_radix(hex, 16).ok()?,
            (None, Some(octal)) => u64::from_str_radix(octal, 8).ok()?,
            (None, None) => digits.parse::<u64>().ok()?,
        };
        Some(if negative {
            (value as i64).wrapping_neg()
        } else {
            value as i64
        })
    };
    let float = || -> Option<f64> {
        match text {
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            "nan" => Some(f64::NAN),
            number => number.parse().ok(),
        }
    };
    Ok(match scalar_kind(reader.scalar) {
        Kind::Int32 => {
            crate::read_scalar::narrow(integer().ok_or_else(wrong)? as i32, reader.becomes)
        }
        Kind::Int64 => Value::Int64(integer().ok_or_else(wrong)?),
        Kind::Float32 => Value::Float32(float().ok_or_else(wrong)? as f32),
        Kind::Float64 => Value::Float64(float().ok_or_else(wrong)?),
        Kind::Boolean => Value::Boolean(text.parse().map_err(|_| wrong())?),
        Kind::String => Value::string(text),
        _ => Value::Bytes(Blob::new(text.as_bytes().to_vec())),
    })
}
