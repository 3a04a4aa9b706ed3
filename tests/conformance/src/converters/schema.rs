//! Connect schemas as JSON and back.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use java_idioms::Json;
use java_idioms::json::Object;
use millrace_api::data::{Kind, Schema, SchemaBuilder};

use super::value;

const KINDS: [(&str, Kind); 12] = [
    ("int8", Kind::Int8),
    ("int16", Kind::Int16),
    ("int32", Kind::Int32),
    ("int64", Kind::Int64),
    ("float32", Kind::Float32),
    ("float64", Kind::Float64),
    ("boolean", Kind::Boolean),
    ("string", Kind::String),
    ("bytes", Kind::Bytes),
    ("array", Kind::Array),
    ("map", Kind::Map),
    ("struct", Kind::Struct),
];

/// The name of a kind.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    KINDS
        .iter()
        .find(|(_, k)| *k == kind)
        .map_or("?", |(name, _)| name)
}

/// Reads a schema; `null` is none. `named` are the case's schemas, mentioned as `{"ref": NAME}`.
pub(super) fn read(json: &Json, named: &Object) -> Result<Option<Schema>> {
    if json.is_null() {
        Ok(None)
    } else {
        read_some(json, named).map(Some)
    }
}

fn read_some(json: &Json, named: &Object) -> Result<Schema> {
    if let Some(name) = json.get("ref").and_then(Json::as_str) {
        let referred = named
            .get(name)
            .with_context(|| format!("no schema `{name}` in this case"))?;
        return read_some(referred, named);
    }
    let text = |member: &str| json.get(member).and_then(Json::as_str);
    let kind = text("type").context("a schema has a type")?;
    let (_, kind) = *KINDS
        .iter()
        .find(|(name, _)| *name == kind)
        .with_context(|| format!("there is no type `{kind}`"))?;
    let part = |member: &str| {
        json.get(member)
            .with_context(|| format!("a {} has `{member}`", kind_name(kind)))
            .and_then(|part| read_some(part, named))
    };
    let mut builder = match kind {
        Kind::Struct if json.get("cycle").is_some() => SchemaBuilder::back_reference(
            text("name").context("a struct inside itself has a name")?,
        ),
        Kind::Array => SchemaBuilder::array(part("values")?),
        Kind::Map => SchemaBuilder::map(part("keys")?, part("values")?),
        kind => SchemaBuilder::new(kind),
    };
    builder = builder.optional(
        json.get("optional")
            .and_then(Json::as_bool)
            .unwrap_or(false),
    );
    if let Some(name) = text("name") {
        builder = builder.name(name);
    }
    if let Some(version) = json.get("version").and_then(Json::as_i64) {
        builder = builder.version(i32::try_from(version)?);
    }
    if let Some(doc) = text("doc") {
        builder = builder.doc(doc);
    }
    for (name, value) in json
        .get("parameters")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        builder = builder.parameter(
            Arc::clone(name),
            value.as_str().context("parameters are strings")?,
        );
    }
    for field in json
        .get("fields")
        .and_then(Json::as_array)
        .unwrap_or_default()
    {
        let name = field
            .get("name")
            .and_then(Json::as_str)
            .context("a field has a name")?;
        builder = builder.field(
            name,
            read_some(field.get("schema").context("a field has a schema")?, named)?,
        );
    }
    let schema = builder.build()?;
    match json.get("default") {
        None => Ok(schema),
        Some(default) => {
            let default = value::read(default, Some(&schema), named)?;
            if default.is_null() && !schema.optional() {
                bail!("null is the default of a required schema");
            }
            Ok(schema.to_builder().default(Some(default)).build()?)
        }
    }
}

/// Writes a schema; none is `null`.
pub(super) fn write(schema: Option<&Schema>) -> Json {
    let Some(schema) = schema else {
        return Json::Null;
    };
    let mut object = Object::new();
    let mut put = |member: &str, value: Json| drop(object.insert(member.into(), value));
    put("type", kind_name(schema.kind()).into());
    if schema.optional() {
        put("optional", true.into());
    }
    if let Some(name) = schema.name() {
        put("name", name.into());
    }
    if let Some(version) = schema.version() {
        put("version", version.into());
    }
    if let Some(doc) = schema.doc() {
        put("doc", doc.into());
    }
    if !schema.parameters().is_empty() {
        let parameters: Object = schema
            .parameters()
            .iter()
            .map(|(name, value)| (Arc::clone(name), Json::from(Arc::clone(value))))
            .collect();
        put("parameters", parameters.into());
    }
    if let Some(default) = schema.default() {
        put("default", value::write(default, Some(schema)));
    }
    if let Some(keys) = schema.key_schema() {
        put("keys", write(Some(keys)));
    }
    if let Some(values) = schema.value_schema() {
        put("values", write(Some(values)));
    }
    if schema.is_back_reference() {
        put("cycle", true.into());
    } else if schema.kind() == Kind::Struct {
        let field = |field: &millrace_api::data::Field| {
            Json::from(Object::from_iter([
                (Arc::from("name"), Json::from(Arc::clone(&field.name))),
                (Arc::from("schema"), write(Some(&field.schema))),
            ]))
        };
        put(
            "fields",
            schema.fields().iter().map(field).collect::<Vec<_>>().into(),
        );
    }
    object.into()
}
