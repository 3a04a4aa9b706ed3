//! One case on our converters.

use std::error::Error;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use java_idioms::Json;
use java_idioms::json::Object;
use millrace_api::data::{Blob, Data, Headers, Schema, Value};
use millrace_api::plugin::{Converter, ConverterPlugin, DataError, Decoded, Encoded, TaskError};
use millrace_avro_converter::AvroConverterPlugin;
use millrace_json_schema_converter::JsonSchemaConverterPlugin;
use millrace_protobuf_converter::ProtobufConverterPlugin;
use registry_client::{Registries, SchemaRegistry};

use super::case::{Case, Format};
use super::{registry, schema, value};
use crate::registry::fresh_registry;

const URL: &str = "http://registry-of-this-case";
/// A converter that goes on asking for schemas is broken.
const MAX_QUESTIONS: usize = 20;

/// The answer to a case: a converter of its own on an empty registry of its own.
///
/// # Errors
/// The case is malformed, or its registry cannot be prepared. What the converter refuses is part of the answer.
pub async fn answer(case: &Json) -> Result<Json> {
    let case = Case::parse(case)?;
    let node = fresh_registry().await?;
    let local = node.local();
    let registries = Registries::new();
    registries.add_local(&[URL.to_owned()], Arc::clone(&local));
    let mut config = case.config.clone();
    config.insert("schema.registry.url", URL);
    let plugin = plugin(case.format, registries);
    let mut answer = Object::from_iter([(Arc::from("id"), Json::from(case.id))]);
    let mut converter = match plugin.create(&config, case.is_key) {
        Ok(converter) => converter,
        Err(error) => {
            answer.insert("configure".into(), failed(task_chain(&error)));
            return Ok(answer.into());
        }
    };
    for step in case.registry {
        registry::step(&*local, step).await?;
    }
    if let Some(writes) = case.writes {
        let mut all = Vec::new();
        for (index, write) in writes.iter().enumerate() {
            all.push(
                one_write(&mut *converter, &case, write)
                    .await
                    .with_context(|| format!("write {index}"))?,
            );
        }
        answer.insert("writes".into(), all.into());
    }
    if let Some(reads) = case.reads {
        let mut all = Vec::new();
        for (index, read) in reads.iter().enumerate() {
            all.push(
                one_read(&mut *converter, &case, read)
                    .await
                    .with_context(|| format!("read {index}"))?,
            );
        }
        answer.insert("reads".into(), all.into());
    }
    answer.insert(
        "registered".into(),
        registry::registered(&*local as &dyn SchemaRegistry).await?,
    );
    Ok(answer.into())
}

pub(super) fn plugin(format: Format, registries: Registries) -> Box<dyn ConverterPlugin> {
    match format {
        Format::Avro => Box::new(AvroConverterPlugin::new(registries)),
        Format::Json => Box::new(JsonSchemaConverterPlugin::new(registries)),
        Format::Protobuf => Box::new(ProtobufConverterPlugin::new(registries)),
    }
}

async fn one_write(converter: &mut dyn Converter, case: &Case<'_>, write: &Json) -> Result<Json> {
    let schema = schema::read(write.get("schema").unwrap_or(&Json::Null), &case.schemas)?;
    // What Java refuses when the value is made counts as refused.
    let value = match value::read(
        write.get("value").unwrap_or(&Json::Null),
        schema.as_ref(),
        &case.schemas,
    ) {
        Ok(value) => value,
        Err(error) => {
            return Ok(failed(vec![link(
                "org.apache.kafka.connect.errors.DataException",
                &format!("{error:#}"),
            )]));
        }
    };
    let data = Data { schema, value };
    let mut headers = Headers::new();
    let payload = match encode(converter, case.topic, &mut headers, &data).await? {
        Ok(payload) => payload,
        Err(error) => return Ok(failed(data_chain(&error))),
    };
    let mut answer = Object::new();
    answer.insert(
        "payload".into(),
        payload.as_deref().map_or(Json::Null, value::hex),
    );
    if !headers.is_empty() {
        let pair = |header: &millrace_api::data::Header| {
            let bytes = match &header.data.value {
                Value::Bytes(bytes) => value::hex(bytes),
                other => value::write(other, None),
            };
            Json::from(vec![Json::from(Arc::clone(&header.name)), bytes])
        };
        answer.insert(
            "headers".into(),
            headers.iter().map(pair).collect::<Vec<_>>().into(),
        );
    }
    let payload = payload.map(Blob::from);
    answer.insert(
        "read".into(),
        decode(converter, case.topic, &headers, payload.as_ref()).await?,
    );
    Ok(answer.into())
}

async fn one_read(converter: &mut dyn Converter, case: &Case<'_>, read: &Json) -> Result<Json> {
    let mut headers = Headers::new();
    for header in read
        .get("headers")
        .and_then(Json::as_array)
        .unwrap_or_default()
    {
        let Some([name, bytes]) = header.as_array() else {
            bail!("a header is a pair")
        };
        let bytes = value::unhex(bytes.as_str().context("a header's value is hexadecimal")?)?;
        headers.push(
            name.as_str().context("a header has a name")?,
            Data::new(Schema::bytes(), Blob::from(bytes)),
        );
    }
    let payload = match read.get("payload") {
        Some(Json::String(text)) => Some(Blob::from(value::unhex(text)?)),
        _ => None,
    };
    decode(converter, case.topic, &headers, payload.as_ref()).await
}

/// The bytes, or null; what the converter refuses is the inner error.
async fn encode(
    converter: &mut dyn Converter,
    topic: &str,
    headers: &mut Headers,
    data: &Data,
) -> Result<Result<Option<Vec<u8>>, DataError>> {
    for _ in 0..MAX_QUESTIONS {
        let mut out = Vec::new();
        let need = match converter.encode(topic, headers, data, &mut out) {
            Ok(Encoded::Written) => return Ok(Ok(Some(out))),
            Ok(Encoded::Null) => return Ok(Ok(None)),
            Ok(Encoded::NeedsSchema(need)) => need,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = converter.prepare(need).await {
            return Ok(Err(error));
        }
    }
    bail!("the converter goes on asking for schemas");
}

/// `schema` and `value`, or `error`.
pub(super) async fn decode(
    converter: &mut dyn Converter,
    topic: &str,
    headers: &Headers,
    payload: Option<&Blob>,
) -> Result<Json> {
    for _ in 0..MAX_QUESTIONS {
        let need = match converter.decode(topic, headers, payload) {
            Ok(Decoded::Data(data)) => {
                let schema = data.schema.as_ref();
                let value = value::write(&data.value, schema);
                return Ok(Object::from_iter([
                    (Arc::from("schema"), schema::write(schema)),
                    (Arc::from("value"), value),
                ])
                .into());
            }
            Ok(Decoded::NeedsSchema(need)) => need,
            Err(error) => return Ok(failed(data_chain(&error))),
        };
        if let Err(error) = converter.prepare(need).await {
            return Ok(failed(data_chain(&error)));
        }
    }
    bail!("the converter goes on asking for schemas");
}

fn failed(chain: Vec<Json>) -> Json {
    Object::from_iter([(Arc::from("error"), Json::from(chain))]).into()
}

fn link(class: &str, message: &str) -> Json {
    Object::from_iter([
        (Arc::from("class"), Json::from(class)),
        (Arc::from("message"), Json::from(message)),
    ])
    .into()
}

fn data_chain(error: &DataError) -> Vec<Json> {
    let mut chain = vec![link(error.java_class, &error.message)];
    chain.extend(causes(error.source()));
    chain
}

fn task_chain(error: &TaskError) -> Vec<Json> {
    let mut chain = vec![link(error.java_class, &error.message)];
    chain.extend(causes(error.source()));
    chain
}

fn causes(mut cause: Option<&(dyn Error + 'static)>) -> Vec<Json> {
    let mut chain = Vec::new();
    while let Some(error) = cause {
        chain.push(match error.downcast_ref::<DataError>() {
            Some(error) => link(error.java_class, &error.message),
            None => link("java.lang.Exception", &error.to_string()),
        });
        cause = error.source();
    }
    chain
}
