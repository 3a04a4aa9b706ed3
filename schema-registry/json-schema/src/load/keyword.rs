//! Typed access to the members of a schema object, with messages that name the keyword.

use std::collections::HashSet;
use std::sync::Arc;

use java_idioms::{Json, Number, Object};

use super::type_name;
use crate::pattern;

fn mismatch(keyword: &str, expected: &str, value: &Json) -> String {
    format!("`{keyword}` must be {expected}, not {}", type_name(value))
}

/// A member that must be a string.
pub(super) fn string(object: &Object, keyword: &str) -> Result<Option<Arc<str>>, String> {
    match object.get(keyword) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(Arc::clone(text))),
        Some(other) => Err(mismatch(keyword, "a string", other)),
    }
}

/// A member that must be a boolean.
pub(super) fn boolean(object: &Object, keyword: &str) -> Result<Option<bool>, String> {
    match object.get(keyword) {
        None => Ok(None),
        Some(Json::Bool(value)) => Ok(Some(*value)),
        Some(other) => Err(mismatch(keyword, "a boolean", other)),
    }
}

/// A member that must be a number.
pub(super) fn number(object: &Object, keyword: &str) -> Result<Option<Number>, String> {
    match object.get(keyword) {
        None => Ok(None),
        Some(Json::Number(value)) => Ok(Some(value.clone())),
        Some(other) => Err(mismatch(keyword, "a number", other)),
    }
}

/// A member that must be written as a 32-bit integer.
pub(super) fn integer(object: &Object, keyword: &str) -> Result<Option<i64>, String> {
    match number(object, keyword)? {
        None => Ok(None),
        Some(value) => match value.as_i64().filter(|n| i32::try_from(*n).is_ok()) {
            Some(value) => Ok(Some(value)),
            None => Err(format!(
                "`{keyword}` must be a 32-bit integer, not {}",
                value.literal().chars().take(40).collect::<String>()
            )),
        },
    }
}

/// A member that must be a number; a fraction is cut off.
pub(super) fn truncated(object: &Object, keyword: &str) -> Result<Option<i64>, String> {
    Ok(number(object, keyword)?.map(|value| value.as_f64() as i64))
}

/// A number without further demands, for members that are looked at only where they fit.
pub(super) fn count(object: &Object, keyword: &str) -> Option<i64> {
    match object.get(keyword) {
        Some(Json::Number(value)) => Some(value.as_f64() as i64),
        _ => None,
    }
}

/// A member that must be an array.
pub(super) fn array<'a>(object: &'a Object, keyword: &str) -> Result<Option<&'a [Json]>, String> {
    match object.get(keyword) {
        None => Ok(None),
        Some(Json::Array(values)) => Ok(Some(values)),
        Some(other) => Err(mismatch(keyword, "an array", other)),
    }
}

/// A member that must be an object.
pub(super) fn object<'a>(object: &'a Object, keyword: &str) -> Result<Option<&'a Object>, String> {
    match object.get(keyword) {
        None => Ok(None),
        Some(Json::Object(members)) => Ok(Some(members)),
        Some(other) => Err(mismatch(keyword, "an object", other)),
    }
}

/// Strings, as `required` lists them.
pub(super) fn names(keyword: &str, values: &[Json]) -> Result<HashSet<Arc<str>>, String> {
    values
        .iter()
        .map(|value| match value {
            Json::String(name) => Ok(Arc::clone(name)),
            other => Err(format!(
                "`{keyword}` must list strings, not {}",
                type_name(other)
            )),
        })
        .collect()
}

/// A member that must be a regular expression.
pub(super) fn regex(object: &Object, keyword: &str) -> Result<Option<Arc<str>>, String> {
    let text = string(object, keyword)?;
    if let Some(text) = &text {
        pattern::check(text)?;
    }
    Ok(text)
}

/// An entry of `type`.
pub(super) fn unknown_type(name: &str) -> String {
    format!(
        "unknown type `{}`: one of string, number, integer, boolean, null, array, object",
        name.chars().take(100).collect::<String>()
    )
}
