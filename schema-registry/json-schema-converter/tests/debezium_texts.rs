//! What Debezium registered through Confluent's converter, read and written again: the texts and the payloads come out byte for byte.

#![allow(clippy::unwrap_used)]

use java_idioms::Json;
use java_idioms::json::ReadOptions;
use millrace_api::data::{Data, Headers, Schema, Struct, Value};
use millrace_json_schema_converter::JsonSchemaConverterPlugin;
use registry_client::memory::ConverterInMemory;
use registry_client::{NewSchema, SchemaType};

type Fixture = ConverterInMemory<JsonSchemaConverterPlugin>;

/// The registry's version shows in the schema that is read, unless the schema has one of its own.
fn without_registry_version(data: Data, text: &str) -> Data {
    let json = Json::read(text, ReadOptions::default()).unwrap();
    let inner = json
        .get("oneOf")
        .and_then(Json::as_array)
        .map_or(&json, |alternatives| &alternatives[1]);
    if inner.get("connect.version").is_some() {
        return data;
    }
    let schema = data.schema.unwrap();
    let mut builder = match schema.kind() {
        millrace_api::data::Kind::Struct => millrace_api::data::SchemaBuilder::structure(),
        other => panic!("{other:?}"),
    }
    .optional(schema.optional());
    builder = builder.name(schema.name().unwrap());
    for field in schema.fields() {
        builder = builder.field(field.name.clone(), field.schema.clone());
    }
    let schema: Schema = builder.build().unwrap();
    let value = match &data.value {
        Value::Struct(of) => Value::Struct(Struct::new(schema.clone(), of.values().to_vec())),
        other => other.clone(),
    };
    Data {
        schema: Some(schema),
        value,
    }
}

/// A payload that any of the schemas takes: every member missing.
const EMPTY: &str = "{}";

#[test]
fn texts_and_payloads_come_out_as_they_went_in() {
    let mut payloads = 0;
    for line in include_str!("recorded/debezium.jsonl").lines() {
        let case = Json::read(line, ReadOptions::default()).unwrap();
        let text = case.get("schema").unwrap().as_str().unwrap();
        let settings: Vec<(&str, &str)> = case
            .get("config")
            .unwrap()
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (&**name, value.as_str().unwrap()))
            .collect();
        let mut reader = Fixture::new(&settings, false);
        let new = NewSchema {
            schema_type: SchemaType::Json,
            text: text.into(),
            references: Vec::new(),
        };
        let id = reader.registry.add("t-value", &new).id;
        let mut writer = Fixture::new(&settings, false);
        let bodies: Vec<&str> = case
            .get("bodies")
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|body| body.as_str().unwrap())
            .collect();
        for body in bodies.iter().chain([&EMPTY]) {
            let mut payload = vec![0];
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(body.as_bytes());
            let data = without_registry_version(reader.read(&payload).unwrap(), text);
            let written = writer
                .encode("t", &mut Headers::new(), &data)
                .unwrap()
                .unwrap();
            if *body != EMPTY {
                assert_eq!(std::str::from_utf8(&written[5..]).unwrap(), *body);
                payloads += 1;
            }
        }
        assert_eq!(&*writer.registry.registered()[0].text, text);
    }
    assert!(payloads > 20, "{payloads}");
}
