//! Default values of Connect schemas as JSON, and Avro's opinion of them.

use std::sync::Arc;

use java_idioms::{Json, Number, Object, java_f32, java_f64};
use millrace_api::data::{Kind as ConnectKind, Schema, Value};
use registry_avro::{AvroBuilder, AvroSchema, Kind, Type, TypeId};

use crate::config::Options;
use crate::fault::Fault;
use crate::logical_types::check_scale;
use crate::names;
use crate::terms;

/// A default as it stands in an Avro schema.
pub(crate) fn default_json(
    schema: &Schema,
    value: &Value,
    options: Options,
) -> Result<Json, Fault> {
    let mismatch = || {
        Fault::data(format!(
            "Invalid type used for default value of {} field: {}",
            schema.kind().name(),
            schema.default().unwrap_or(value).java_class()
        ))
    };
    Ok(match (schema.kind(), value) {
        (_, Value::Null) => Json::Null,
        (ConnectKind::Int8, Value::Int8(v)) => i64::from(*v).into(),
        (ConnectKind::Int16, Value::Int16(v)) => i64::from(*v).into(),
        (ConnectKind::Int32, Value::Int32(v)) => i64::from(*v).into(),
        (ConnectKind::Int64, Value::Int64(v)) => (*v).into(),
        (ConnectKind::Float32, Value::Float32(v)) => match whole_digits(f64::from(*v), 24) {
            Some(text) => floating(|out| out.extend_from_slice(text.as_bytes())),
            None => floating(|out| java_f32(*v, out)),
        },
        (ConnectKind::Float64, Value::Float64(v)) => match whole_digits(*v, 53) {
            Some(text) => floating(|out| out.extend_from_slice(text.as_bytes())),
            None => floating(|out| java_f64(*v, out)),
        },
        (ConnectKind::Boolean, Value::Boolean(v)) => (*v).into(),
        (ConnectKind::String, Value::String(v)) => v.as_str().into(),
        (ConnectKind::Bytes, Value::Bytes(v)) => latin1(v),
        (ConnectKind::Bytes, Value::Decimal(v)) => {
            check_scale(schema, v)?;
            let mut bytes = Vec::new();
            v.write_be_bytes(&mut bytes);
            latin1(&bytes)
        }
        (ConnectKind::Array, Value::Array(values)) => {
            let of = schema.value_schema().ok_or_else(mismatch)?;
            let values: Result<Vec<Json>, Fault> = values
                .iter()
                .map(|v| default_json(of, v, options))
                .collect();
            values?.into()
        }
        (ConnectKind::Map, Value::Map(entries)) => {
            let (Some(key), Some(of)) = (schema.key_schema(), schema.value_schema()) else {
                return Err(mismatch());
            };
            if options.is_string_map(schema) {
                let mut members = Object::new();
                for (k, v) in entries.iter() {
                    let name: Arc<str> = k.as_str().ok_or_else(mismatch)?.into();
                    members.insert(name, default_json(of, v, options)?);
                }
                members.into()
            } else {
                let mut pairs = Vec::with_capacity(entries.len());
                for (k, v) in entries.iter() {
                    let pair = vec![
                        default_json(key, k, options)?,
                        default_json(of, v, options)?,
                    ];
                    pairs.push(Json::Array(pair));
                }
                pairs.into()
            }
        }
        (ConnectKind::Struct, Value::Struct(of)) => {
            let is_union = terms::is_union(schema);
            let mut members = Object::new();
            for field in schema.fields() {
                let value = of.get_or_default(&field.name).unwrap_or(&Value::Null);
                let json = default_json(&field.schema, value, options)?;
                if is_union {
                    return Ok(json);
                }
                members.insert(
                    names::field(&field.name, options.scrub).as_ref().into(),
                    json,
                );
            }
            members.into()
        }
        _ => return Err(mismatch()),
    })
}

/// Java's digits; what JSON cannot say as a number is text.
fn floating(write: impl Fn(&mut Vec<u8>)) -> Json {
    let mut out = Vec::new();
    write(&mut out);
    let text = String::from_utf8_lossy(&out).into_owned();
    match Number::parse(&text) {
        Some(number) => Json::Number(number),
        None => text.into(),
    }
}

/// Digits of a large whole number as Java prints them up to release 18, which existing registrations show: all that are exact, not as few as will do. `bits` is the
/// precision of its type. `None` where later releases print the same.
fn whole_digits(value: f64, bits: i32) -> Option<String> {
    let size = value.abs();
    if !(size >= (1u64 << 25) as f64 && size < (1u64 << 63) as f64) || size.fract() != 0.0 {
        return None;
    }
    let mut whole = size as u64;
    let exponent = 63 - whole.leading_zeros() as i32;
    let beyond = exponent - bits - 1;
    if beyond < 0 {
        return None;
    }
    let dropped = if beyond > 1 {
        (f64::from(beyond) * 2f64.log10()).floor() as u32
    } else {
        0
    };
    let unit = 10u64.pow(dropped);
    whole = whole / unit + u64::from(whole % unit >= unit / 2 && dropped > 0);
    let digits = whole.to_string();
    let exponent = digits.len() as u32 - 1 + dropped;
    let (first, rest) = digits.split_at(1);
    let rest = match rest.trim_end_matches('0') {
        "" => "0",
        rest => rest,
    };
    let sign = if value < 0.0 { "-" } else { "" };
    Some(format!("{sign}{first}.{rest}E{exponent}"))
}

fn latin1(bytes: &[u8]) -> Json {
    bytes
        .iter()
        .map(|b| char::from(*b))
        .collect::<String>()
        .into()
}

/// Where types are found: in a schema, or in one that is being made.
pub(crate) trait Types {
    fn of(&self, id: TypeId) -> &Type;
}

impl Types for AvroBuilder {
    fn of(&self, id: TypeId) -> &Type {
        self.get(id)
    }
}

impl Types for AvroSchema {
    fn of(&self, id: TypeId) -> &Type {
        self.get(id)
    }
}

/// Whether Java's library takes `json` as a default of this type; of a union any member will do.
pub(crate) fn is_valid_default(types: &impl Types, id: TypeId, json: &Json, depth: usize) -> bool {
    if depth > crate::fault::MAX_SCHEMA_DEPTH {
        return false;
    }
    let valid = |id: TypeId, json: &Json| is_valid_default(types, id, json, depth + 1);
    match &types.of(id).kind {
        Kind::Null => json.is_null(),
        Kind::Boolean => json.as_bool().is_some(),
        Kind::Int => json.as_i64().is_some_and(|v| i32::try_from(v).is_ok()),
        Kind::Long => json.as_i64().is_some(),
        Kind::Float | Kind::Double => match json {
            Json::Number(_) => true,
            Json::String(text) => matches!(&**text, "NaN" | "Infinity" | "-Infinity"),
            _ => false,
        },
        Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Fixed(_) => json.as_str().is_some(),
        Kind::Array(item) => json
            .as_array()
            .is_some_and(|values| values.iter().all(|v| valid(*item, v))),
        Kind::Map(value) => json
            .as_object()
            .is_some_and(|members| members.values().all(|v| valid(*value, v))),
        Kind::Union(branches) => branches.iter().any(|branch| valid(*branch, json)),
        Kind::Record(record) => json.as_object().is_some_and(|members| {
            record.fields.iter().all(|field| {
                members
                    .get(&*field.name)
                    .or(field.default.as_ref())
                    .is_some_and(|v| valid(field.schema, v))
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_in_java_17() {
        let print = |value: Value| {
            let kind = value.kind().expect("a kind");
            let schema = millrace_api::data::SchemaBuilder::new(kind).build_valid();
            let options =
                (&crate::AvroConverterConfig::parse(&Props::new()).expect("defaults")).into();
            default_json(&schema, &value, options)
                .expect("a default")
                .to_text()
        };
        for (value, text) in [
            (1.1, "1.1"),
            (0.25, "0.25"),
            (1e10, "1.0E10"),
            (123_456_789.0, "1.23456792E8"),
            (-123_456_789.0, "-1.23456792E8"),
            (f32::INFINITY, "\"Infinity\""),
        ] {
            assert_eq!(print(Value::Float32(value)), text);
        }
        for (value, text) in [
            (100.0, "100.0"),
            (1e16, "1.0E16"),
            (123_456_789.125, "1.23456789125E8"),
            (1e-5, "1.0E-5"),
            (f64::NAN, "\"NaN\""),
        ] {
            assert_eq!(print(Value::Float64(value)), text);
        }
    }

    use millrace_api::config::{ConnectConfig, Props};
}
