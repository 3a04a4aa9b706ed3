//! Default values of Avro schemas as Connect values.

use std::sync::Arc;

use java_idioms::Json;
use millrace_api::data::{Blob, Kind as ConnectKind, Schema, Struct, Text, Value, logical};
use registry_avro::{AvroSchema, Kind, TypeId};

use crate::avro_types::{member_name, schema_member_name};
use crate::config::Options;
use crate::fault::{Fault, MAX_SCHEMA_DEPTH};
use crate::java_object::{JavaObject, latin1};
use crate::logical_types::to_logical;
use crate::names;
use crate::terms;

fn refused() -> Fault {
    Fault::data("a value of another type")
}

/// A field's default. `None` is null.
pub(crate) fn from_object(
    schema: &Schema,
    object: Option<&JavaObject>,
    options: Options,
) -> Result<Value, Fault> {
    let Some(object) = object.filter(|o| **o != JavaObject::Null) else {
        return match object.is_some() || schema.optional() {
            true => Ok(Value::Null),
            false => Err(Fault::data("Found null value for non-optional schema")),
        };
    };
    let value = match (schema.kind(), object) {
        (ConnectKind::Int8, JavaObject::Int(v)) => Value::Int8(*v as i8),
        (ConnectKind::Int16, JavaObject::Int(v)) => Value::Int16(*v as i16),
        (ConnectKind::Int32, JavaObject::Int(v)) => Value::Int32(*v),
        (ConnectKind::Int64, JavaObject::Long(v)) => Value::Int64(*v),
        (ConnectKind::Float32, JavaObject::Float(v)) => Value::Float32(*v),
        (ConnectKind::Float64, JavaObject::Double(v)) => Value::Float64(*v),
        (ConnectKind::Boolean, JavaObject::Boolean(v)) => Value::Boolean(*v),
        (ConnectKind::String, JavaObject::Text(v)) => Value::String(Text::from(&**v)),
        (ConnectKind::Bytes, JavaObject::Bytes(v)) => Value::Bytes(Blob::from(v.clone())),
        (ConnectKind::Array, JavaObject::List(values)) => {
            let of = schema.value_schema().ok_or_else(refused)?;
            let values: Result<Vec<_>, _> = values
                .iter()
                .map(|v| from_object(of, v.as_ref(), options))
                .collect();
            Value::Array(Arc::new(values?))
        }
        (ConnectKind::Map, JavaObject::Map(members)) => {
            let (Some(key), Some(of)) = (schema.key_schema(), schema.value_schema()) else {
                return Err(refused());
            };
            if key.kind() != ConnectKind::String || key.optional() {
                return Err(refused());
            }
            let mut entries = Vec::with_capacity(members.len());
            for (key, value) in members {
                let key = Value::String(Text::from(&**key));
                entries.push((key, from_object(of, value.as_ref(), options)?));
            }
            Value::Map(Arc::new(entries))
        }
        // Entries of maps with other keys than text would be records, which stand in no default.
        (ConnectKind::Map, JavaObject::List(values)) if values.is_empty() => {
            let key = schema.key_schema().ok_or_else(refused)?;
            if key.kind() == ConnectKind::String && !key.optional() {
                return Err(refused());
            }
            Value::Map(Arc::default())
        }
        (ConnectKind::Struct, _) if terms::is_union(schema) => {
            return union_member(schema, object, options);
        }
        (ConnectKind::Struct, JavaObject::Map(members)) => {
            let mut values = Vec::with_capacity(schema.fields().len());
            for field in schema.fields() {
                let name = names::field(&field.name, options.scrub);
                values.push(match members.iter().find(|(key, _)| **key == *name) {
                    Some((_, object)) => from_object(&field.schema, object.as_ref(), options)?,
                    None => own_default(&field.schema)?,
                });
            }
            Value::Struct(Struct::new(schema.clone(), values))
        }
        _ => return Err(refused()),
    };
    to_logical(schema, value)
}

/// The default that the field's own schema has, where the record's default lacks the field.
fn own_default(schema: &Schema) -> Result<Value, Fault> {
    match schema.default() {
        None if schema.optional() => Ok(Value::Null),
        None => Err(Fault::data("Found null value for non-optional schema")),
        Some(value) if is_raw(schema, value) => Ok(value.clone()),
        Some(_) => Err(refused()),
    }
}

/// Whether a value of Connect is one of Avro's library as well: the original hands such a default to its converter of raw values a second time, which takes no others.
fn is_raw(schema: &Schema, value: &Value) -> bool {
    let is_time = || {
        matches!(
            schema.name(),
            Some(logical::DATE | logical::TIME | logical::TIMESTAMP)
        )
    };
    match (schema.kind(), value) {
        (_, Value::Null) => schema.optional(),
        (ConnectKind::Int32, Value::Int32(_)) | (ConnectKind::Int64, Value::Int64(_)) => !is_time(),
        (ConnectKind::Boolean, Value::Boolean(_))
        | (ConnectKind::Float32, Value::Float32(_))
        | (ConnectKind::Float64, Value::Float64(_))
        | (ConnectKind::String, Value::String(_))
        | (ConnectKind::Bytes, Value::Bytes(_)) => true,
        (ConnectKind::Array, Value::Array(values)) => schema
            .value_schema()
            .is_some_and(|of| values.iter().all(|v| is_raw(of, v))),
        (ConnectKind::Map, Value::Map(entries)) => {
            match (schema.key_schema(), schema.value_schema()) {
                (Some(key), Some(of)) if key.kind() == ConnectKind::String && !key.optional() => {
                    entries.iter().all(|(_, v)| is_raw(of, v))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// A struct with the first field set that can hold the object.
fn union_member(schema: &Schema, object: &JavaObject, options: Options) -> Result<Value, Fault> {
    let found = schema.fields().iter().position(|field| {
        let of = &field.schema;
        match (of.kind(), object) {
            (ConnectKind::Int32, JavaObject::Int(_))
            | (ConnectKind::Int64, JavaObject::Long(_))
            | (ConnectKind::Float32, JavaObject::Float(_))
            | (ConnectKind::Float64, JavaObject::Double(_))
            | (ConnectKind::Boolean, JavaObject::Boolean(_))
            | (ConnectKind::Array, JavaObject::List(_))
            | (ConnectKind::Map, JavaObject::Map(_)) => true,
            (ConnectKind::String, JavaObject::Text(_)) => !terms::is_enum(of),
            (ConnectKind::Bytes, JavaObject::Bytes(bytes)) => {
                !terms::is_fixed(of)
                    || of.parameter(terms::FIXED_SIZE) == Some(bytes.len().to_string().as_str())
            }
            _ => false,
        }
    });
    let at = found.ok_or_else(|| Fault::data("Did not find matching union field for data"))?;
    // A decimal in a fixed, for one, is called otherwise by its schema than by its type.
    let name = schema_member_name(&schema.fields()[at].schema, at, options)?;
    if name != *schema.fields()[at].name {
        return Err(Fault::data(format!("{name} is not a valid field name")));
    }
    let mut values = vec![Value::Null; schema.fields().len()];
    values[at] = from_object(&schema.fields()[at].schema, Some(object), options)?;
    Ok(Value::Struct(Struct::new(schema.clone(), values)))
}

/// A default from the property `connect.default`.
pub(crate) fn from_json(
    avro: &AvroSchema,
    id: TypeId,
    schema: &Schema,
    json: &Json,
    options: Options,
    depth: usize,
) -> Result<Value, Fault> {
    if depth > MAX_SCHEMA_DEPTH {
        return Err(refused());
    }
    let next =
        |id, schema: &Schema, json: &Json| from_json(avro, id, schema, json, options, depth + 1);
    let integer = match json {
        Json::Number(number) => number.as_i64().unwrap_or(number.as_f64() as i64),
        _ => 0,
    };
    // Text is none: as in the original, an infinite default survives only where the Avro field has it too.
    let double = match json {
        Json::Number(number) => number.as_f64(),
        _ => 0.0,
    };
    let value = match &avro.get(id).kind {
        Kind::Int => match schema.kind() {
            ConnectKind::Int8 => Value::Int8(integer as i8),
            ConnectKind::Int16 => Value::Int16(integer as i16),
            ConnectKind::Int32 => Value::Int32(integer as i32),
            _ => Value::Null,
        },
        Kind::Long => Value::Int64(integer),
        Kind::Float => Value::Float32(double as f32),
        Kind::Double => Value::Float64(double),
        Kind::Boolean => Value::Boolean(match json {
            Json::Bool(value) => *value,
            Json::String(text) => &**text == "true",
            Json::Number(number) => number.as_i64().is_some_and(|v| v != 0),
            _ => false,
        }),
        Kind::Null => Value::Null,
        Kind::String | Kind::Enum(_) => Value::String(match json {
            Json::String(text) => Text::from(&**text),
            Json::Array(_) | Json::Object(_) => Text::from(""),
            other => Text::new(other.to_text_styled(java_idioms::json::NumberStyle::Double)),
        }),
        Kind::Bytes | Kind::Fixed(_) => match json {
            Json::String(text) => Value::Bytes(Blob::from(latin1(text))),
            _ => Value::Null,
        },
        Kind::Array(item) => {
            let values = json
                .as_array()
                .ok_or_else(|| Fault::data("Invalid JSON for array default value"))?;
            if schema.kind() == ConnectKind::Map {
                return Err(refused());
            }
            let of = schema.value_schema().ok_or_else(refused)?;
            let values: Result<Vec<_>, _> = values.iter().map(|v| next(*item, of, v)).collect();
            Value::Array(Arc::new(values?))
        }
        Kind::Map(value) => {
            let members = json
                .as_object()
                .ok_or_else(|| Fault::data("Invalid JSON for map default value"))?;
            let of = schema.value_schema().ok_or_else(refused)?;
            let mut entries = Vec::with_capacity(members.len());
            for (key, json) in members {
                entries.push((Value::String(Text::from(&**key)), next(*value, of, json)?));
            }
            Value::Map(Arc::new(entries))
        }
        Kind::Record(record) => {
            let members = json
                .as_object()
                .ok_or_else(|| Fault::data("Invalid JSON for record default value"))?;
            let mut values = Vec::with_capacity(record.fields.len());
            for field in &record.fields {
                let (_, of) = schema.field(&field.name).ok_or_else(refused)?;
                let value = match members.get(&*field.name) {
                    Some(json) => next(field.schema, &of.schema, json)?,
                    None => Value::Null,
                };
                // No struct takes it, whether the field has a default or not.
                if value.is_null() && !of.schema.optional() {
                    return Err(refused());
                }
                values.push(value);
            }
            if schema.fields().len() != values.len() {
                return Err(refused());
            }
            Value::Struct(Struct::new(schema.clone(), values))
        }
        Kind::Union(branches) => {
            let first = *branches.first().ok_or_else(refused)?;
            let kind = &avro.get(first).kind;
            if matches!(kind, Kind::Null) {
                return Ok(Value::Null);
            }
            // Of a type and null: the original looks for the member's field in the type's own schema, and drops the default when there is none.
            if !terms::is_union(schema) {
                return Err(refused());
            }
            let name = member_name(kind, 0, options);
            let (_, field) = schema.field(&name).ok_or_else(refused)?;
            return next(first, &field.schema, json);
        }
    };
    to_logical(schema, value)
}

/// Whether Connect lets `value` be one of `schema`.
pub(crate) fn is_valid(schema: &Schema, value: &Value) -> bool {
    match (schema.kind(), value) {
        (_, Value::Null) => schema.optional(),
        (ConnectKind::Bytes, Value::Decimal(_)) => schema.name() == Some(logical::DECIMAL),
        (ConnectKind::Bytes, Value::Bytes(_)) => schema.name() != Some(logical::DECIMAL),
        (ConnectKind::Array, Value::Array(values)) => schema
            .value_schema()
            .is_some_and(|of| values.iter().all(|v| is_valid(of, v))),
        (ConnectKind::Map, Value::Map(entries)) => {
            match (schema.key_schema(), schema.value_schema()) {
                (Some(key), Some(of)) => entries
                    .iter()
                    .all(|(k, v)| is_valid(key, k) && is_valid(of, v)),
                _ => false,
            }
        }
        (ConnectKind::Struct, Value::Struct(of)) => {
            of.schema().fields().len() == schema.fields().len()
                && schema
                    .fields()
                    .iter()
                    .zip(of.values())
                    .all(|(field, value)| {
                        is_valid(&field.schema, value)
                            || value.is_null() && field.schema.default().is_some()
                    })
        }
        (kind, value) => value.kind() == Some(kind),
    }
}
