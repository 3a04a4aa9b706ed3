//! Members of JSON objects and what they say.

use std::sync::Arc;

use java_idioms::json::NumberStyle;
use java_idioms::{Json, Number, Object};

use super::{Parsed, fail, shown};
use crate::schema::{Field, Kind};

pub(super) const SCHEMA_RESERVED: [&str; 10] = [
    "doc",
    "fields",
    "items",
    "name",
    "namespace",
    "size",
    "symbols",
    "values",
    "type",
    "aliases",
];

pub(super) fn logical_type_first(properties: &mut Object) {
    if let Some(at) = properties.get_index_of("logicalType") {
        properties.move_index(at, 0);
    }
}

pub(super) fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "boolean" => Kind::Boolean,
        "null" => Kind::Null,
        _ => return None,
    })
}

pub(super) fn record_fields<'j>(json: &Json, members: &'j Object) -> Parsed<&'j [Json]> {
    match members.get("fields") {
        Some(Json::Array(fields)) => Ok(fields),
        _ => fail(format!("Record has no fields: {}", shown(json))),
    }
}

pub(super) fn no_field_type(json: &Json) -> Parsed<Field> {
    fail(format!("No field type: {}", shown(json)))
}

pub(super) fn text(json: &Json, member: &str) -> Option<Arc<str>> {
    match json.get(member) {
        Some(Json::String(text)) => Some(Arc::clone(text)),
        _ => None,
    }
}

pub(super) fn required<'j>(json: &'j Json, member: &str, error: &str) -> Parsed<&'j Arc<str>> {
    match json.get(member) {
        Some(Json::String(text)) => Ok(text),
        _ => fail(format!("{error}: {}", shown(json))),
    }
}

pub(super) fn alias_texts(json: &Json) -> Parsed<Vec<Arc<str>>> {
    let aliases = match json.get("aliases") {
        None => return Ok(Vec::new()),
        Some(Json::Array(aliases)) => aliases,
        Some(_) => return fail(format!("aliases not an array: {}", shown(json))),
    };
    aliases
        .iter()
        .map(|alias| match alias {
            Json::String(alias) => Ok(Arc::clone(alias)),
            other => fail(format!("alias not a string: {}", shown(other))),
        })
        .collect()
}

pub(super) fn properties(members: &Object, reserved: &[&str]) -> Object {
    let mut properties: Object = members
        .iter()
        .filter(|(name, _)| !reserved.contains(&&***name))
        .map(|(name, value)| (Arc::clone(name), printed(value)))
        .collect();
    properties.shrink_to_fit();
    properties
}

/// A value with its numbers as they will be printed, so that two of them are equal when Java finds them equal.
pub(super) fn printed(value: &Json) -> Json {
    match value {
        Json::Number(number) if number.is_integer() && number.literal() != "-0" => value.clone(),
        Json::Number(number) => {
            let mut text = String::new();
            number.write(NumberStyle::Double, &mut text);
            match Number::parse(&text) {
                Some(number) => Json::Number(number),
                None => text.trim_matches('"').into(),
            }
        }
        Json::Array(values) => Json::Array(values.iter().map(printed).collect()),
        Json::Object(members) => Json::Object(
            members
                .iter()
                .map(|(name, value)| (Arc::clone(name), printed(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

pub(super) fn java_number(value: f64) -> String {
    let mut text = Vec::new();
    java_idioms::java_f64(value, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// `Double.parseDouble`.
pub(super) fn floating_text(text: &str) -> Parsed<f64> {
    let trimmed = text.trim_matches(|c: char| c <= ' ');
    if trimmed.is_empty() {
        return fail("empty String".to_owned());
    }
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let negative = trimmed.starts_with('-');
    let value = match unsigned {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        _ => {
            let digits = unsigned
                .strip_suffix(['d', 'D', 'f', 'F'])
                .unwrap_or(unsigned);
            digits
                .starts_with(|c: char| c.is_ascii_digit() || c == '.')
                .then(|| digits.parse().ok())
                .flatten()
        }
    };
    match value {
        Some(value) if negative => Ok(-value),
        Some(value) => Ok(value),
        None => fail(format!("For input string: \"{text}\"")),
    }
}
