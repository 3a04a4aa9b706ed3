//! Every setting does what it says.

#![allow(clippy::unwrap_used)]

use millrace_api::data::{
    Data, Decimal, Headers, Kind, Schema, SchemaBuilder, Struct, Value, logical,
};
use millrace_json_schema_converter::JsonSchemaConverterPlugin;
use registry_client::memory::ConverterInMemory;
use registry_client::{NewSchema, SchemaType};

type Fixture = ConverterInMemory<JsonSchemaConverterPlugin>;

fn schema_of(text: &str) -> NewSchema {
    NewSchema {
        schema_type: SchemaType::Json,
        text: text.into(),
        references: Vec::new(),
    }
}

fn row() -> Schema {
    SchemaBuilder::structure()
        .name("x.Row")
        .field("id", Schema::int32())
        .field(
            "note",
            SchemaBuilder::new(Kind::String)
                .optional(true)
                .default(Some("n".into()))
                .build_valid(),
        )
        .build_valid()
}

fn data(id: i32) -> Data {
    let schema = row();
    Data {
        schema: Some(schema.clone()),
        value: Struct::new(schema, vec![Value::Int32(id), Value::Null]).into(),
    }
}

fn body(fixture: &mut Fixture, data: &Data) -> String {
    let payload = fixture.write(data).unwrap().unwrap();
    String::from_utf8(payload[5..].to_vec()).unwrap()
}

fn read(fixture: &mut Fixture, text: &str, body: &str) -> Result<Data, String> {
    let id = fixture.registry.add("t-value", &schema_of(text)).id;
    let mut payload = vec![0];
    payload.extend_from_slice(&id.to_be_bytes());
    payload.extend_from_slice(body.as_bytes());
    fixture.read(&payload).map_err(|error| {
        let mut text = error.to_string();
        let mut source = error.source.as_deref().map(|e| e as &dyn std::error::Error);
        while let Some(cause) = source {
            text = format!("{text} | {cause}");
            source = cause.source();
        }
        text
    })
}

#[test]
fn defaults_of_nullable_fields() {
    assert_eq!(
        body(&mut Fixture::new(&[], false), &data(1)),
        r#"{"id":1,"note":"n"}"#
    );
    let mut fixture = Fixture::new(&[("ignore.default.for.nullables", "true")], false);
    assert_eq!(body(&mut fixture, &data(1)), r#"{"id":1,"note":null}"#);
}

#[test]
fn closed_objects() {
    let mut fixture = Fixture::new(&[("object.additional.properties", "false")], false);
    fixture.write(&data(1)).unwrap();
    assert!(
        fixture.registry.registered()[0]
            .text
            .starts_with(r#"{"type":"object","additionalProperties":false,"title":"x.Row""#)
    );
}

#[test]
fn numeric_decimals_keep_their_scale() {
    let schema = logical::decimal(2).build_valid();
    let value = |scale| Data {
        schema: Some(schema.clone()),
        value: Decimal::new(12800, scale).into(),
    };
    let mut fixture = Fixture::new(&[("decimal.format", "numeric")], false);
    assert_eq!(body(&mut fixture, &value(2)), "128.00");
    assert_eq!(body(&mut fixture, &value(3)), "12.800");
    let mut fixture = Fixture::new(&[], false);
    assert_eq!(body(&mut fixture, &value(2)), "\"MgA=\"");
    assert!(
        fixture
            .write(&value(3))
            .unwrap_err()
            .message
            .contains("mismatching scale")
    );
    assert!(Fixture::on(Default::default(), &[("decimal.format", "HEX")], false).is_err());
}

#[test]
fn indented_output() {
    let mut fixture = Fixture::new(&[("json.indent.output", "true")], false);
    assert_eq!(
        body(&mut fixture, &data(1)),
        "{\n  \"id\" : 1,\n  \"note\" : \"n\"\n}"
    );
}

#[test]
fn values_that_do_not_fit_are_refused_on_demand() {
    let text = r#"{"type":"object","properties":{"n":{"type":"integer","maximum":10},"s":{"type":"string","pattern":"^a"}},"required":["n"]}"#;
    let fits = |settings: &[(&str, &str)], body: &str| {
        read(&mut Fixture::new(settings, false), text, body)
    };
    let strict = [("json.fail.invalid.schema", "true")];
    for body in [
        r#"{"n":11}"#,
        r#"{}"#,
        r#"{"n":1.5}"#,
        r#"{"n":1,"s":"b"}"#,
        r#"{"n":"1"}"#,
    ] {
        assert!(fits(&[], body).is_ok(), "{body}");
        let error = fits(&strict, body).unwrap_err();
        assert!(error.contains("JSON does not match schema"), "{error}");
    }
    assert!(fits(&strict, r#"{"n":10,"s":"ab","other":1}"#).is_ok());
    // When writing, what is registered decides.
    let mut fixture = Fixture::new(
        &[
            ("json.fail.invalid.schema", "true"),
            ("auto.register.schemas", "false"),
            ("use.latest.version", "true"),
            ("latest.compatibility.strict", "false"),
        ],
        false,
    );
    let latest = r#"{"type":"object","properties":{"id":{"type":"integer","maximum":5}}}"#;
    fixture.registry.add("t-value", &schema_of(latest));
    assert_eq!(body(&mut fixture, &data(5)), r#"{"id":5,"note":"n"}"#);
    assert!(fixture.write(&data(6)).is_err());
}

#[test]
fn optional_where_not_required() {
    let text = r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a"]}"#;
    let mut fixture = Fixture::new(&[("use.optional.for.nonrequired", "true")], false);
    let schema = read(&mut fixture, text, r#"{"a":"x"}"#)
        .unwrap()
        .schema
        .unwrap();
    assert!(!schema.field("a").unwrap().1.schema.optional());
    assert!(schema.field("b").unwrap().1.schema.optional());
}

#[test]
fn later_drafts_read_as_draft_7() {
    // The newer drafts do not know `dependencies`, draft 7 wants schemas in it.
    let text = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"a":{"type":"string"}},"dependencies":{"a":5}}"#;
    assert!(read(&mut Fixture::new(&[], false), text, "{}").is_ok());
    let error = read(
        &mut Fixture::new(&[("ignore.modern.dialects", "true")], false),
        text,
        "{}",
    )
    .unwrap_err();
    assert!(
        error.contains("a subschema is an object or a boolean"),
        "{error}"
    );
}

#[test]
fn singleton_unions() {
    let text = r#"{"oneOf":[{"type":"string"}]}"#;
    assert_eq!(
        read(&mut Fixture::new(&[], false), text, "\"x\"")
            .unwrap()
            .value,
        Value::from("x")
    );
    let mut fixture = Fixture::new(&[("flatten.singleton.unions", "false")], false);
    let data = read(&mut fixture, text, "\"x\"").unwrap();
    assert_eq!(
        data.schema.unwrap().name(),
        Some("io.confluent.connect.json.OneOf")
    );
}

#[test]
fn the_schemas_guid_goes_into_a_header() {
    let settings = [(
        "value.schema.id.serializer",
        "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer",
    )];
    let mut fixture = Fixture::new(&settings, false);
    let mut headers = Headers::new();
    let payload = fixture
        .encode("t", &mut headers, &data(1))
        .unwrap()
        .unwrap();
    assert_eq!(payload, br#"{"id":1,"note":"n"}"#);
    assert_eq!(headers.iter().count(), 1);
    let back = fixture.decode("t", &headers, Some(&payload)).unwrap();
    assert_eq!(
        back.value.as_struct().unwrap().get("id"),
        Some(&Value::Int32(1))
    );
}

#[test]
fn a_closed_latest_version_is_incompatible() {
    let mut fixture = Fixture::new(&[], false);
    fixture.write(&data(1)).unwrap();
    let own = fixture.registry.registered()[0].text.to_string();
    let closed = own.replacen(
        "{\"type\":\"object\"",
        "{\"type\":\"object\",\"additionalProperties\":false",
        1,
    );
    let settings = [
        ("auto.register.schemas", "false"),
        ("use.latest.version", "true"),
    ];
    for (latest, works) in [(&own, true), (&closed, false)] {
        let mut fixture = Fixture::new(&settings, false);
        fixture.registry.add("t-value", &schema_of(latest));
        assert_eq!(fixture.write(&data(1)).is_ok(), works);
    }
}
