//! What transforms require of a value, and how they complain: `purpose` is the text by which the message names the transform.

use std::sync::Arc;

use millrace_api::data::{Schema, SchemaBuilder, Struct, Value};
use millrace_api::plugin::DataError;

const BUILDER_EXCEPTION: &str = "org.apache.kafka.connect.errors.SchemaBuilderException";

fn found(value: &Value) -> &'static str {
    value.java_class()
}

/// The entries of a map.
pub(crate) fn require_map<'a>(
    value: &'a Value,
    purpose: &str,
) -> Result<&'a [(Value, Value)], DataError> {
    match value {
        Value::Map(entries) => Ok(entries),
        other => Err(DataError::new(format!(
            "Only Map objects supported in absence of schema for [{purpose}], found: {}",
            found(other)
        ))),
    }
}

/// A struct.
pub(crate) fn require_struct<'a>(value: &'a Value, purpose: &str) -> Result<&'a Struct, DataError> {
    match value {
        Value::Struct(value) => Ok(value),
        other => Err(DataError::new(format!(
            "Only Struct objects supported for [{purpose}], found: {}",
            found(other)
        ))),
    }
}

/// The value of a map's key.
pub(crate) fn entry<'a>(entries: &'a [(Value, Value)], key: &str) -> Option<&'a Value> {
    entries
        .iter()
        .find(|(k, _)| k.as_str() == Some(key))
        .map(|(_, value)| value)
}

/// Sets a key of a map in the making, in its place when it is there already.
pub(crate) fn put(entries: &mut Vec<(Value, Value)>, key: &str, value: Value) {
    match entries.iter_mut().find(|(k, _)| k.as_str() == Some(key)) {
        Some(entry) => entry.1 = value,
        None => entries.push((Value::from(key), value)),
    }
}

/// The value at `index`, its field's default in place of a null when `or_default`.
pub(crate) fn field_value(row: &Struct, index: usize, or_default: bool) -> Value {
    let value = &row.values()[index];
    if value.is_null() && or_default {
        return row.schema().fields()[index]
            .schema
            .default()
            .unwrap_or(value)
            .clone();
    }
    value.clone()
}

/// A builder with the name, version, doc and parameters of a struct, without its fields: required, no default.
pub(crate) fn basics(schema: &Schema) -> SchemaBuilder {
    let mut builder = SchemaBuilder::structure();
    if let Some(name) = schema.name() {
        builder = builder.name(name);
    }
    if let Some(version) = schema.version() {
        builder = builder.version(version);
    }
    if let Some(doc) = schema.doc() {
        builder = builder.doc(doc);
    }
    schema
        .parameters()
        .iter()
        .fold(builder, |builder, (name, value)| {
            builder.parameter(Arc::clone(name), Arc::clone(value))
        })
}

/// Builds, with Java's exception.
pub(crate) fn build(builder: SchemaBuilder) -> Result<Schema, DataError> {
    builder
        .build()
        .map_err(|e| DataError::new(e.to_string()).with_java_class(BUILDER_EXCEPTION))
}
