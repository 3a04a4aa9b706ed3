//! What is the same for all types of Avro schemas that become Connect schemas: doc, version, parameters and name.

use std::sync::Arc;

use java_idioms::Json;
use millrace_api::data::SchemaBuilder;
use registry_avro::{Kind, Type};

use crate::avro_types::text;
use crate::config::Options;
use crate::fault::Fault;
use crate::java_object::JavaObject;
use crate::terms::*;

/// What a field says about the schema of its values.
#[derive(Debug, Default)]
pub(crate) struct FromField<'f> {
    pub(crate) default: Option<JavaObject>,
    pub(crate) doc: Option<&'f str>,
}

/// Name and version that a builder came with.
#[derive(Default, Clone, Copy)]
pub(crate) struct Preset {
    pub(crate) name: Option<&'static str>,
    pub(crate) version: Option<i32>,
}

/// Doc, version, parameters and name.
pub(crate) fn annotate(
    of: &Type,
    mut builder: SchemaBuilder,
    preset: Preset,
    from: &FromField<'_>,
    version: Option<i32>,
    options: Options,
) -> Result<SchemaBuilder, Fault> {
    let own_doc = match &of.kind {
        Kind::Record(of) => of.doc.as_ref(),
        Kind::Enum(of) => of.doc.as_ref(),
        Kind::Fixed(of) => of.doc.as_ref(),
        _ => None,
    };
    let connect_doc = text(of, CONNECT_DOC);
    if options.discard_type_doc {
        if let Some(doc) = from.doc.or(own_doc.map(|d| &**d)).or(connect_doc) {
            builder = builder.doc(doc);
        }
        if let Some(doc) = own_doc.filter(|_| options.meta_data) {
            builder = builder.parameter(CONNECT_RECORD_DOC, Arc::clone(doc));
        }
    } else if let Some(doc) = connect_doc.filter(|_| options.meta_data) {
        builder = builder.doc(doc);
    }
    if let Some(name) = preset.name {
        builder = builder.name(name);
    }
    builder = annotate_version(of, builder, preset, version)?;
    builder = annotate_parameters(of, builder, options)?;
    if from.default.is_some()
        && !options.discard_type_doc
        && options.meta_data
        && of.properties.get(CONNECT_DEFAULT_VALUE).is_none()
    {
        builder = builder.parameter(FIELD_DEFAULT, "true");
    }
    let name = match of.properties.get(CONNECT_NAME) {
        Some(Json::String(name)) => Some(name.to_string()),
        Some(other) => {
            return Err(Fault::data(format!(
                "Invalid schema name: {}",
                other.to_text()
            )));
        }
        None => match &of.kind {
            Kind::Record(of) => preset.name.is_none().then(|| of.name.full()),
            Kind::Enum(of) => Some(of.name.full()),
            Kind::Fixed(of) => preset.name.is_none().then(|| of.name.full()),
            _ => None,
        },
    };
    match (name, preset.name) {
        (Some(name), _) if name.starts_with(CONNECT_DEFAULT_FULL) => Ok(builder),
        (Some(name), Some(preset)) if name != preset => Err(Fault::data(format!(
            "Mismatched names: name already added to SchemaBuilder ({preset}) differs from name in source schema ({name})"
        ))),
        (Some(name), None) if matches!(of.kind, Kind::Union(_)) => {
            // A union has no properties, so this does not happen; its name stays.
            Ok(builder.name(name))
        }
        (Some(name), None) => Ok(builder.name(name)),
        _ => Ok(builder),
    }
}

fn annotate_parameters(
    of: &Type,
    mut builder: SchemaBuilder,
    options: Options,
) -> Result<SchemaBuilder, Fault> {
    if let Some(parameters) = of.properties.get(CONNECT_PARAMETERS)
        && options.meta_data
    {
        let Json::Object(members) = parameters else {
            return Err(Fault::data(format!(
                "Expected JSON object for schema parameters but found: {}",
                parameters.to_text()
            )));
        };
        for (key, value) in members {
            let Json::String(value) = value else {
                return Err(Fault::data(format!(
                    "Expected schema parameter values to be strings but found: {}",
                    value.to_text()
                )));
            };
            builder = builder.parameter(Arc::clone(key), Arc::clone(value));
        }
    }
    for (key, value) in &of.properties {
        if key.starts_with(AVRO_PREFIX) {
            let value = match value {
                Json::String(text) => Arc::clone(text),
                other => java_text(other).into(),
            };
            builder = builder.parameter(Arc::clone(key), value);
        }
    }
    Ok(builder)
}

fn annotate_version(
    of: &Type,
    builder: SchemaBuilder,
    preset: Preset,
    version: Option<i32>,
) -> Result<SchemaBuilder, Fault> {
    let version = match of.properties.get(CONNECT_VERSION) {
        Some(Json::Number(number)) => Some(match number.as_i64() {
            Some(value) => value as i32,
            None => number.as_f64() as i32,
        }),
        Some(other) => {
            return Err(Fault::data(format!(
                "Invalid Connect version found: {}",
                java_text(other)
            )));
        }
        None => version,
    };
    match (version.filter(|v| *v >= 0), preset.version) {
        (Some(found), Some(own)) if found != own => Err(Fault::data(format!(
            "Mismatched versions: version already added to SchemaBuilder ({own}) differs from version in source schema ({found})"
        ))),
        (Some(version), _) | (None, Some(version)) => Ok(builder.version(version)),
        (None, None) => Ok(builder),
    }
}

/// How Java prints the object that a property is.
fn java_text(json: &Json) -> String {
    match json {
        Json::String(text) => text.to_string(),
        Json::Array(values) => {
            let values: Vec<String> = values.iter().map(java_text).collect();
            format!("[{}]", values.join(", "))
        }
        Json::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{key}={}", java_text(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_text_styled(java_idioms::json::NumberStyle::Double),
    }
}
