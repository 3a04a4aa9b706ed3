//! Connect's own logical types: decimals, dates, times and timestamps, what they are in Avro, and what they refuse.

use std::sync::Arc;

use millrace_api::data::{Decimal, Kind as ConnectKind, Schema, Value, logical};
use registry_avro::Kind;

use crate::fault::{AVRO_RUNTIME, Fault, ILLEGAL_ARGUMENT, NULL_POINTER, NUMBER_FORMAT};
use crate::terms::{DECIMAL_PRECISION, DEFAULT_PRECISION, FIXED_SIZE};

/// Bytes of a fixed, from its parameter.
pub(crate) fn fixed_size(schema: &Schema) -> Result<usize, Fault> {
    let size = parse_int(schema.parameter(FIXED_SIZE))?;
    usize::try_from(size).map_err(|_| {
        Fault::new(
            AVRO_RUNTIME,
            format!("Malformed data. Length is negative: {size}"),
        )
    })
}

/// The `logicalType` of a schema by its name, checked against the type that carries it.
pub(crate) fn logical_type(schema: &Schema, kind: &Kind) -> Result<Option<&'static str>, Fault> {
    let refuse = |text: &'static str| Err(Fault::new(ILLEGAL_ARGUMENT, text));
    if named(schema, logical::DECIMAL) {
        let scale = match parameter_of_decimal(schema, logical::SCALE)? {
            Some(text) => parse_int(Some(text))?,
            None => 0,
        };
        let precision = match schema.parameter(DECIMAL_PRECISION) {
            Some(text) => parse_int(Some(text))?,
            None => DEFAULT_PRECISION,
        };
        // Outside of what Avro allows, the type is written all the same, unchecked.
        if scale >= 0 && scale <= precision {
            if precision <= 0 {
                return Err(Fault::new(
                    ILLEGAL_ARGUMENT,
                    format!("Invalid decimal precision: {precision} (must be positive)"),
                ));
            }
            match kind {
                Kind::Bytes => {}
                Kind::Fixed(fixed) => {
                    let bits = (8 * fixed.size as u64).saturating_sub(1);
                    let digits = (2f64.log10() * bits as f64).floor();
                    if f64::from(precision) > digits {
                        return Err(Fault::new(
                            ILLEGAL_ARGUMENT,
                            format!(
                                "fixed({}) cannot store {precision} digits (max {digits})",
                                fixed.size
                            ),
                        ));
                    }
                }
                _ => return refuse("Logical type decimal must be backed by fixed or bytes"),
            }
        }
        return Ok(Some("decimal"));
    }
    Ok(if named(schema, logical::TIME) {
        if !matches!(kind, Kind::Int) {
            return refuse("Time (millis) can only be used with an underlying int type");
        }
        Some("time-millis")
    } else if named(schema, logical::TIMESTAMP) {
        if !matches!(kind, Kind::Long) {
            return refuse("Timestamp (millis) can only be used with an underlying long type");
        }
        Some("timestamp-millis")
    } else if named(schema, logical::DATE) {
        if !matches!(kind, Kind::Int) {
            return refuse("Date can only be used with an underlying int type");
        }
        Some("date")
    } else {
        None
    })
}

pub(crate) fn named(schema: &Schema, name: &str) -> bool {
    schema.name().is_some_and(|n| n.eq_ignore_ascii_case(name))
}

pub(crate) fn parameter_of_decimal<'a>(
    schema: &'a Schema,
    key: &str,
) -> Result<Option<&'a str>, Fault> {
    if schema.parameters().is_empty() {
        return Err(Fault::new(
            NULL_POINTER,
            "Cannot invoke \"java.util.Map.get(Object)\" because the return value of \"org.apache.kafka.connect.data.Schema.parameters()\" is null",
        ));
    }
    Ok(schema.parameter(key))
}

/// `Integer.parseInt`.
pub(crate) fn parse_int(text: Option<&str>) -> Result<i32, Fault> {
    let text = text.ok_or_else(|| Fault::new(NUMBER_FORMAT, "Cannot parse null string: null"))?;
    text.parse()
        .map_err(|_| Fault::new(NUMBER_FORMAT, format!("For input string: \"{text}\"")))
}

/// Refuses a decimal whose scale is not its schema's.
pub(crate) fn check_scale(schema: &Schema, value: &Decimal) -> Result<(), Fault> {
    let scale = logical::decimal_scale(schema).unwrap_or(0);
    if value.scale() == scale {
        Ok(())
    } else {
        Err(mismatching_scale(scale, value.scale()))
    }
}

/// The refusal of a decimal with another scale than its schema's.
pub(crate) fn mismatching_scale(schema: i32, value: i32) -> Fault {
    Fault::data(format!(
        "Decimal value has mismatching scale for given Decimal schema. Schema has scale {schema}, value has scale {value}."
    ))
}

/// A decimal from its unscaled value, of which there must be a byte at least.
#[inline]
pub(crate) fn decimal(unscaled: &[u8], scale: i32) -> Result<Decimal, Fault> {
    if unscaled.is_empty() {
        return Err(Fault::new(
            NUMBER_FORMAT,
            "Zero length BigInteger: a decimal has no bytes, and even 0 takes one",
        ));
    }
    Ok(Decimal::from_be_bytes(unscaled, scale))
}

/// Raw values of Connect's own logical types in their own form.
pub(crate) fn to_logical(schema: &Schema, value: Value) -> Result<Value, Fault> {
    match (schema.name(), value) {
        (Some(logical::DECIMAL), Value::Bytes(bytes)) => {
            let scale = decimal_scale(schema)?;
            Ok(decimal(&bytes, scale)?.into())
        }
        (
            Some(name @ (logical::DECIMAL | logical::DATE | logical::TIME | logical::TIMESTAMP)),
            value,
        ) => {
            let fits = match name {
                logical::DECIMAL => false,
                logical::TIMESTAMP => matches!(value, Value::Int64(_)),
                _ => matches!(value, Value::Int32(_)),
            };
            match (fits, &value) {
                (_, Value::Null) => Ok(value),
                (true, Value::Int32(v))
                    if name == logical::TIME && !(0..=86_400_000).contains(v) =>
                {
                    Err(time_out_of_range())
                }
                (true, _) => Ok(value),
                (false, _) => Err(underlying_mismatch(name, &value)),
            }
        }
        (_, value) => Ok(value),
    }
}

/// The scale of a decimal's schema, refused as Java does when there is none.
pub(crate) fn decimal_scale(schema: &Schema) -> Result<i32, Fault> {
    match schema.parameter(logical::SCALE) {
        None => Err(Fault::data(
            "Invalid Decimal schema: scale parameter not found.",
        )),
        Some(text) => text
            .parse()
            .map_err(|_| Fault::data("Invalid scale parameter found in Decimal schema: ")),
    }
}

/// The refusal of a time of day of less than none or more than a day.
pub(crate) fn time_out_of_range() -> Fault {
    Fault::data("Time values must use number of milliseconds greater than 0 and less than 86400000")
}

/// The refusal of a logical type over another base type than its own.
pub(crate) fn underlying_mismatch(name: &str, value: &Value) -> Fault {
    let (simple, base) = match name {
        logical::DECIMAL => ("Decimal", "bytes"),
        logical::DATE => ("Date", "int32"),
        logical::TIME => ("Time", "int32"),
        _ => ("Timestamp", "int64"),
    };
    Fault::data(format!(
        "Invalid type for {simple}, underlying representation should be {base} but was {}",
        value.java_class()
    ))
}

/// Why no value can be one of Connect's own logical types over another base type than theirs.
pub(crate) fn refused_logical(schema: &Schema) -> Option<Fault> {
    let name = schema.name()?;
    let base = match name {
        logical::DECIMAL => ConnectKind::Bytes,
        logical::DATE | logical::TIME => ConnectKind::Int32,
        logical::TIMESTAMP => ConnectKind::Int64,
        _ => return None,
    };
    let example = match schema.kind() {
        kind if kind == base => return None,
        ConnectKind::Boolean => Value::Boolean(false),
        ConnectKind::Int8 => Value::Int8(0),
        ConnectKind::Int16 => Value::Int16(0),
        ConnectKind::Int32 => Value::Int32(0),
        ConnectKind::Int64 => Value::Int64(0),
        ConnectKind::Float32 => Value::Float32(0.0),
        ConnectKind::Float64 => Value::Float64(0.0),
        ConnectKind::String => Value::from(""),
        ConnectKind::Array => Value::Array(Arc::default()),
        ConnectKind::Map => Value::Map(Arc::default()),
        ConnectKind::Bytes | ConnectKind::Struct => {
            return Some(Fault::data(format!(
                "{name} cannot be the name of {} schema",
                schema.kind().name()
            )));
        }
    };
    Some(underlying_mismatch(name, &example))
}
