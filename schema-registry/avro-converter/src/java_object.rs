//! Default values as Java's Avro library hands them out.

use std::sync::Arc;

use java_idioms::Json;
use registry_avro::{AvroSchema, Field, Kind, TypeId};

use crate::fault::MAX_SCHEMA_DEPTH;

/// A default value as an object of Java.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JavaObject {
    /// The library's own null, which is there where a missing default is not.
    Null,
    Boolean(bool),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Bytes(Vec<u8>),
    Text(Arc<str>),
    List(Vec<Option<JavaObject>>),
    Map(Vec<(Arc<str>, Option<JavaObject>)>),
}

/// The default of a field; `None` when there is none, or when the library cannot make an object of it.
pub(crate) fn field_default(avro: &AvroSchema, field: &Field) -> Option<JavaObject> {
    let json = field.default.as_ref()?;
    if let Json::String(text) = json {
        // The parser takes text for a floating-point number there and only there: JSON has no infinities.
        let parsed = || match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            other => other.trim().parse().ok(),
        };
        match avro.get(field.schema).kind {
            Kind::Float => return Some(JavaObject::Float(parsed()? as f32)),
            Kind::Double => return Some(JavaObject::Double(parsed()?)),
            _ => {}
        }
    }
    object(avro, Some(field.schema), json, 0).ok().flatten()
}

/// A JSON value as an object. `Err`: the library throws.
fn object(
    avro: &AvroSchema,
    id: Option<TypeId>,
    json: &Json,
    depth: usize,
) -> Result<Option<JavaObject>, ()> {
    if depth > MAX_SCHEMA_DEPTH {
        return Err(());
    }
    let kind = match id.map(|id| &avro.get(id).kind) {
        // Defaults of unions are taken for ones of the first member.
        Some(Kind::Union(branches)) => {
            let first = *branches.first().ok_or(())?;
            return object(avro, Some(first), json, depth + 1);
        }
        kind => kind,
    };
    Ok(match json {
        Json::Null => Some(JavaObject::Null),
        Json::Bool(value) => Some(JavaObject::Boolean(*value)),
        Json::Number(number) if number.is_integer() => {
            let Some(value) = number.as_i64() else {
                return Ok(None);
            };
            let small = i32::try_from(value).ok();
            match (kind, small) {
                (None | Some(Kind::Int), Some(small)) => Some(JavaObject::Int(small)),
                (None | Some(Kind::Long | Kind::Int), _) => Some(JavaObject::Long(value)),
                (Some(Kind::Float), _) => Some(JavaObject::Float(value as f64 as f32)),
                (Some(Kind::Double), _) => Some(JavaObject::Double(value as f64)),
                _ => None,
            }
        }
        Json::Number(number) => match kind {
            None | Some(Kind::Double) => Some(JavaObject::Double(number.as_f64())),
            Some(Kind::Float) => Some(JavaObject::Float(number.as_f64() as f32)),
            _ => None,
        },
        Json::String(text) => match kind {
            None | Some(Kind::String | Kind::Enum(_)) => Some(JavaObject::Text(Arc::clone(text))),
            Some(Kind::Bytes | Kind::Fixed(_)) => Some(JavaObject::Bytes(latin1(text))),
            _ => None,
        },
        Json::Array(values) => {
            let item = match kind {
                None => None,
                Some(Kind::Array(item)) => Some(*item),
                // The type is asked for its items by each of them: an empty list is one of any type.
                Some(_) if values.is_empty() => None,
                Some(_) => return Err(()),
            };
            let values: Result<_, ()> = values
                .iter()
                .map(|v| object(avro, item, v, depth + 1))
                .collect();
            Some(JavaObject::List(values?))
        }
        Json::Object(members) => {
            let mut out = Vec::with_capacity(members.len());
            for (key, value) in members {
                let of = match kind {
                    Some(Kind::Map(value)) => Some(*value),
                    Some(Kind::Record(record)) => Some(
                        record
                            .fields
                            .iter()
                            .find(|f| f.name == *key)
                            .ok_or(())?
                            .schema,
                    ),
                    _ => None,
                };
                out.push((Arc::clone(key), object(avro, of, value, depth + 1)?));
            }
            Some(JavaObject::Map(out))
        }
    })
}

/// Text as bytes in ISO 8859-1, `?` for what that lacks.
pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
}
