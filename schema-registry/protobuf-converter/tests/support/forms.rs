//! Schemas and values as recorded cases write them.

use std::collections::HashMap;
use std::sync::Arc;

use java_idioms::{Json, Number, Object};
use millrace_api::data::{
    Blob, Decimal, Kind, Schema, SchemaBuilder, Struct, Text, Value, logical,
};

/// Named schemas of a case.
pub(crate) type Named = HashMap<String, Schema>;

fn kind(name: &str) -> Kind {
    match name {
        "int8" => Kind::Int8,
        "int16" => Kind::Int16,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float32" => Kind::Float32,
        "float64" => Kind::Float64,
        "boolean" => Kind::Boolean,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        "array" => Kind::Array,
        "map" => Kind::Map,
        "struct" => Kind::Struct,
        other => panic!("type {other}"),
    }
}

fn text(json: &Json, member: &str) -> Option<String> {
    json.get(member).and_then(Json::as_str).map(str::to_owned)
}

/// A schema of a case.
pub(crate) fn schema(json: &Json, named: &Named) -> Schema {
    if let Some(name) = json.get("ref").and_then(Json::as_str) {
        return named[name].clone();
    }
    let of = kind(json.get("type").and_then(Json::as_str).expect("a type"));
    let part = |member: &str| schema(json.get(member).expect("a part"), named);
    let mut builder = match of {
        Kind::Array => SchemaBuilder::array(part("values")),
        Kind::Map => SchemaBuilder::map(part("keys"), part("values")),
        other => SchemaBuilder::new(other),
    };
    builder = builder.optional(json.get("optional").and_then(Json::as_bool) == Some(true));
    if let Some(name) = text(json, "name") {
        builder = builder.name(name);
    }
    if let Some(version) = json.get("version").and_then(Json::as_i64) {
        builder = builder.version(version as i32);
    }
    if let Some(doc) = text(json, "doc") {
        builder = builder.doc(doc);
    }
    for (key, value) in json
        .get("parameters")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        builder = builder.parameter(Arc::clone(key), value.as_str().expect("text"));
    }
    for field in json.get("fields").and_then(Json::as_array).unwrap_or(&[]) {
        let name = field.get("name").and_then(Json::as_str).expect("a name");
        builder = builder.field(name, schema(field.get("schema").expect("a schema"), named));
    }
    if let Some(default) = json.get("default") {
        let plain = builder.clone().build().expect("a schema");
        builder = builder.default(Some(value(Some(&plain), default, named)));
    }
    builder.build().expect("a schema")
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex"))
        .collect()
}

/// Bytes of a hex text.
pub(crate) fn unhex(json: &Json) -> Vec<u8> {
    bytes(json.as_str().expect("hex"))
}

/// Hex text of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn double(json: &Json) -> f64 {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => match &**text {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            other => panic!("number {other}"),
        },
        other => panic!("number {other:?}"),
    }
}

fn decimal(json: &Json) -> Decimal {
    let text = json.as_str().expect("a decimal");
    let (unscaled, exponent) = text.split_once('e').expect("a decimal");
    let plain: Decimal = unscaled.parse().expect("digits");
    let scale = -exponent.parse::<i32>().expect("an exponent");
    Decimal::from_big(plain.unscaled(), scale)
}

/// A value of a case.
pub(crate) fn value(of: Option<&Schema>, json: &Json, named: &Named) -> Value {
    if json.is_null() {
        return Value::Null;
    }
    let typed = json.get("t").and_then(Json::as_str).filter(|_| {
        json.get("v").is_some()
            && of.is_none_or(|s| s.kind() != Kind::Struct || s.field("t").is_none())
    });
    if let Some(tag) = typed {
        return untyped(tag, json.get("v").expect("a value"), named);
    }
    let of = of.expect("a schema or a tagged value");
    let integer = || json.as_i64().expect("an integer");
    match of.kind() {
        Kind::Int8 => Value::Int8(integer() as i8),
        Kind::Int16 => Value::Int16(integer() as i16),
        Kind::Int32 => Value::Int32(integer() as i32),
        Kind::Int64 => Value::Int64(integer()),
        Kind::Float32 => Value::Float32(double(json) as f32),
        Kind::Float64 => Value::Float64(double(json)),
        Kind::Boolean => Value::Boolean(json.as_bool().expect("a boolean")),
        Kind::String => Value::String(Text::from(json.as_str().expect("text"))),
        Kind::Bytes if of.name() == Some(logical::DECIMAL) => decimal(json).into(),
        Kind::Bytes => Value::Bytes(Blob::from(unhex(json))),
        Kind::Array => {
            let values = json.as_array().expect("an array").iter();
            Value::Array(Arc::new(
                values.map(|v| value(of.value_schema(), v, named)).collect(),
            ))
        }
        Kind::Map => {
            let pairs = json.as_array().expect("pairs").iter().map(|pair| {
                let pair = pair.as_array().expect("a pair");
                (
                    value(of.key_schema(), &pair[0], named),
                    value(of.value_schema(), &pair[1], named),
                )
            });
            Value::Map(Arc::new(pairs.collect()))
        }
        Kind::Struct => {
            let of = match json.get("$schema") {
                Some(own) => schema(own, named),
                None => of.clone(),
            };
            let values: Vec<Value> = of
                .fields()
                .iter()
                .map(|f| match json.get(&f.name) {
                    Some(json) => value(Some(&f.schema), json, named),
                    None => Value::Null,
                })
                .collect();
            Value::Struct(Struct::new(of, values))
        }
    }
}

fn untyped(tag: &str, json: &Json, named: &Named) -> Value {
    match tag {
        "int8" => Value::Int8(json.as_i64().expect("an integer") as i8),
        "int16" => Value::Int16(json.as_i64().expect("an integer") as i16),
        "int32" => Value::Int32(json.as_i64().expect("an integer") as i32),
        "int64" | "date" => Value::Int64(json.as_i64().expect("an integer")),
        "float32" => Value::Float32(double(json) as f32),
        "float64" => Value::Float64(double(json)),
        "boolean" => Value::Boolean(json.as_bool().expect("a boolean")),
        "string" => Value::String(Text::from(json.as_str().expect("text"))),
        "bytes" => Value::Bytes(Blob::from(unhex(json))),
        "decimal" => decimal(json).into(),
        "array" => {
            let values = json.as_array().expect("an array").iter();
            Value::Array(Arc::new(values.map(|v| value(None, v, named)).collect()))
        }
        "map" => {
            let pairs = json.as_array().expect("pairs").iter().map(|pair| {
                let pair = pair.as_array().expect("a pair");
                (value(None, &pair[0], named), value(None, &pair[1], named))
            });
            Value::Map(Arc::new(pairs.collect()))
        }
        other => panic!("tag {other}"),
    }
}

fn number(value: f64) -> Json {
    match Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

/// A schema as answers write it; parameters sorted.
pub(crate) fn schema_form(of: &Schema) -> Json {
    let mut out = Object::new();
    let name = of.kind().name().to_lowercase();
    out.insert("type".into(), name.into());
    if of.optional() {
        out.insert("optional".into(), true.into());
    }
    if let Some(name) = of.name() {
        out.insert("name".into(), name.into());
    }
    if let Some(version) = of.version() {
        out.insert("version".into(), version.into());
    }
    if let Some(doc) = of.doc() {
        out.insert("doc".into(), doc.into());
    }
    if !of.parameters().is_empty() {
        let mut parameters = of.parameters().to_vec();
        parameters.sort();
        let parameters: Object = parameters.into_iter().map(|(k, v)| (k, v.into())).collect();
        out.insert("parameters".into(), parameters.into());
    }
    if let Some(default) = of.default() {
        out.insert("default".into(), value_form(Some(of), default));
    }
    if of.is_back_reference() {
        out.insert("cycle".into(), true.into());
        return out.into();
    }
    if let Some(key) = of.key_schema() {
        out.insert("keys".into(), schema_form(key));
    }
    if let Some(value) = of.value_schema() {
        out.insert("values".into(), schema_form(value));
    }
    if of.kind() == Kind::Struct {
        let fields: Vec<Json> = of
            .fields()
            .iter()
            .map(|f| {
                let mut field = Object::new();
                field.insert("name".into(), Json::String(Arc::clone(&f.name)));
                field.insert("schema".into(), schema_form(&f.schema));
                field.into()
            })
            .collect();
        out.insert("fields".into(), fields.into());
    }
    out.into()
}

/// A value as answers write it.
pub(crate) fn value_form(of: Option<&Schema>, value: &Value) -> Json {
    let Some(of) = of else {
        return untyped_form(value);
    };
    match value {
        Value::Null => Json::Null,
        Value::Int8(v) => i64::from(*v).into(),
        Value::Int16(v) => i64::from(*v).into(),
        Value::Int32(v) => i64::from(*v).into(),
        Value::Int64(v) => (*v).into(),
        Value::Float32(v) => number((*v).into()),
        Value::Float64(v) => number(*v),
        Value::Boolean(v) => (*v).into(),
        Value::String(v) => v.as_str().into(),
        Value::Bytes(v) => hex(v).into(),
        Value::Decimal(v) => format!("{}e{}", v.unscaled(), -v.scale()).into(),
        Value::Array(values) => {
            let values: Vec<Json> = values
                .iter()
                .map(|v| value_form(of.value_schema(), v))
                .collect();
            values.into()
        }
        Value::Map(entries) => {
            let pairs: Vec<Json> = entries
                .iter()
                .map(|(k, v)| {
                    Json::Array(vec![
                        value_form(of.key_schema(), k),
                        value_form(of.value_schema(), v),
                    ])
                })
                .collect();
            pairs.into()
        }
        Value::Struct(v) => {
            let members: Object = v
                .schema()
                .fields()
                .iter()
                .zip(v.values())
                .map(|(f, v)| (Arc::clone(&f.name), value_form(Some(&f.schema), v)))
                .collect();
            members.into()
        }
    }
}

fn untyped_form(value: &Value) -> Json {
    let (tag, form): (&str, Json) = match value {
        Value::Null => return Json::Null,
        Value::Int8(v) => ("int8", i64::from(*v).into()),
        Value::Int16(v) => ("int16", i64::from(*v).into()),
        Value::Int32(v) => ("int32", i64::from(*v).into()),
        Value::Int64(v) => ("int64", (*v).into()),
        Value::Float32(v) => ("float32", number((*v).into())),
        Value::Float64(v) => ("float64", number(*v)),
        Value::Boolean(v) => ("boolean", (*v).into()),
        Value::String(v) => ("string", v.as_str().into()),
        Value::Bytes(v) => ("bytes", hex(v).into()),
        Value::Decimal(v) => ("decimal", format!("{}e{}", v.unscaled(), -v.scale()).into()),
        Value::Array(values) => {
            let values: Vec<Json> = values.iter().map(untyped_form).collect();
            ("array", values.into())
        }
        Value::Map(entries) => {
            let pairs: Vec<Json> = entries
                .iter()
                .map(|(k, v)| Json::Array(vec![untyped_form(k), untyped_form(v)]))
                .collect();
            ("map", pairs.into())
        }
        Value::Struct(_) => ("struct", Json::Null),
    };
    let mut out = Object::new();
    out.insert("t".into(), tag.into());
    out.insert("v".into(), form);
    out.into()
}
