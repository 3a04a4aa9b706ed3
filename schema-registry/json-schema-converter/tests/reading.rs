//! What reading makes of schemas and payloads beyond those that this converter writes.

#![allow(clippy::unwrap_used)]

use millrace_api::data::{Data, Kind, Value};
use millrace_api::plugin::DataError;
use millrace_json_schema_converter::JsonSchemaConverterPlugin;
use proptest::prelude::*;
use registry_client::memory::ConverterInMemory;
use registry_client::{NewSchema, Reference, SchemaType};

type Fixture = ConverterInMemory<JsonSchemaConverterPlugin>;

fn fixture(text: &str) -> Fixture {
    let fixture = Fixture::new(&[], false);
    add(&fixture, text, Vec::new());
    fixture
}

fn add(fixture: &Fixture, text: &str, references: Vec<Reference>) {
    let new = NewSchema {
        schema_type: SchemaType::Json,
        text: text.into(),
        references,
    };
    fixture.registry.add("t-value", &new);
}

fn read(fixture: &mut Fixture, body: &[u8]) -> Result<Data, DataError> {
    let mut payload = vec![0, 0, 0, 0, 1];
    payload.extend_from_slice(body);
    fixture.read(&payload)
}

fn value(text: &str, body: &str) -> Value {
    read(&mut fixture(text), body.as_bytes()).unwrap().value
}

#[test]
fn values_of_another_type_become_something() {
    let int8 = r#"{"type":"integer","connect.type":"int8"}"#;
    assert_eq!(value(int8, "300"), Value::Int8(44));
    assert_eq!(value(int8, "\"7\""), Value::Int8(0));
    assert_eq!(value(r#"{"type":"integer"}"#, "1.9"), Value::Int64(1));
    assert_eq!(value(r#"{"type":"boolean"}"#, "1"), Value::Boolean(false));
    assert_eq!(value(r#"{"type":"string"}"#, "1"), Value::Null);
    assert_eq!(
        value(r#"{"type":"number"}"#, "1e400"),
        Value::Float64(f64::INFINITY)
    );
    assert_eq!(
        value(r#"{"type":"array","items":{"type":"integer"}}"#, "5"),
        Value::Array(Vec::new().into())
    );
}

#[test]
fn a_struct_within_another_must_be_complete() {
    let text = r#"{"type":"object","properties":{
        "s":{"type":"object","properties":{"a":{"type":"integer"},"d":{"type":"string","default":"x"},"o":{"oneOf":[{"type":"null"},{"type":"string"}]}}},
        "list":{"type":"array","items":{"type":"string"}},
        "map":{"type":"object","connect.type":"map","additionalProperties":{"type":"string"}},
        "pairs":{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"type":"integer"},"value":{"type":"string"}}}}
    }}"#;
    let mut fixture = fixture(text);
    // The struct itself may lack anything, and so may one in it lack what is optional or has a default.
    for body in [
        "{}",
        r#"{"s":{"a":1}}"#,
        r#"{"s":{"a":1,"d":5}}"#,
        r#"{"list":[],"map":{}}"#,
    ] {
        assert!(read(&mut fixture, body.as_bytes()).is_ok(), "{body}");
    }
    for (body, message) in [
        (r#"{"s":{}}"#, r#"required field: "a", schema type: INT64"#),
        (
            r#"{"list":["x",1]}"#,
            r#"required element of array field: "list", schema type: STRING"#,
        ),
        (
            r#"{"map":{"k":1}}"#,
            r#"required value of map field: "map", schema type: STRING"#,
        ),
        (
            r#"{"pairs":[{"key":1,"value":2}]}"#,
            r#"required value of map field: "pairs", schema type: STRING"#,
        ),
        (
            r#"{"pairs":[{"value":"x","other":2}]}"#,
            r#"required key of map field: "pairs", schema type: INT64"#,
        ),
    ] {
        let error = read(&mut fixture, body.as_bytes()).unwrap_err();
        assert_eq!(
            error.message,
            format!("Invalid value: null used for {message}"),
            "{body}"
        );
    }
}

#[test]
fn a_default_must_fit_and_parameters_come_in_javas_order() {
    let error = read(&mut fixture(r#"{"type":"string","default":2.5}"#), b"1").unwrap_err();
    assert!(error.message.contains("Invalid default value"), "{error}");
    let bytes = r#"{"type":"string","connect.type":"bytes","default":[]}"#;
    assert!(read(&mut fixture(bytes), b"\"\"").is_err());
    let list = r#"{"type":"array","items":{"type":"string"},"default":[1]}"#;
    assert!(read(&mut fixture(list), b"[]").is_err());
    // No default is the default of what may be null, a union too.
    let union =
        r#"{"oneOf":[{"type":"null"},{"type":"string"},{"type":"integer"}],"default":null}"#;
    assert!(read(&mut fixture(union), b"1").is_ok());
    let text = r#"{"type":"string","connect.parameters":{"scale":"1","rr":"2","a":"3"}}"#;
    let schema = read(&mut fixture(text), b"\"x\"").unwrap().schema.unwrap();
    let names: Vec<&str> = schema
        .parameters()
        .iter()
        .map(|(name, _)| &**name)
        .collect();
    assert_eq!(names, ["rr", "a", "scale"]);
}

#[test]
fn bare_non_numbers_are_numbers() {
    let text = r#"{"type":"array","items":{"type":"number"}}"#;
    let Value::Array(values) = value(text, "[NaN, -Infinity, 1]") else {
        panic!("an array");
    };
    assert!(matches!(values[0], Value::Float64(v) if v.is_nan()));
    assert_eq!(
        values[1..],
        [Value::Float64(f64::NEG_INFINITY), Value::Float64(1.0)]
    );
    assert!(read(&mut fixture(text), b"[NaNo]").is_err());
}

#[test]
fn an_empty_schema_is_a_variant() {
    let data = read(&mut fixture("{}"), br#"{"b":1,"a":"x"}"#).unwrap();
    let schema = data.schema.unwrap();
    assert_eq!(schema.name(), Some("org.apache.kafka.connect.data.Variant"));
    let mut again = Fixture::new(&[], false);
    let back = Data {
        schema: Some(schema),
        value: data.value,
    };
    // Objects of variants are sorted by name.
    assert_eq!(
        &again.write(&back).unwrap().unwrap()[5..],
        br#"{"a":"x","b":1}"#
    );
}

#[test]
fn a_schema_that_contains_itself() {
    let text = r##"{"type":"object","title":"Tree","properties":{"v":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#"}}}}"##;
    let mut fixture = fixture(text);
    let data = read(
        &mut fixture,
        br#"{"v":1,"children":[{"v":2,"children":[{"v":3,"children":[]}]}]}"#,
    )
    .unwrap();
    let Some(Value::Array(children)) = data.value.as_struct().unwrap().get("children").cloned()
    else {
        panic!("an array");
    };
    assert_eq!(
        children[0].as_struct().unwrap().get("v"),
        Some(&Value::Int64(2))
    );
    let untitled = text.replace(r#""title":"Tree","#, "");
    let error = read(&mut self::fixture(&untitled), b"{}").unwrap_err();
    assert!(error.message.contains("title"), "{error}");
}

#[test]
fn structs_that_are_mentioned_again_carry_the_last_id() {
    let text = r##"{"type":"object","definitions":{"p":{"type":"object","title":"P","properties":{"x":{"type":"integer"}}}},"properties":{"a":{"$ref":"#/definitions/p"},"b":{"$ref":"#/definitions/p"},"c":{"$ref":"#/definitions/p"}}}"##;
    let schema = read(&mut fixture(text), b"{}").unwrap().schema.unwrap();
    let id = |field: &str| {
        schema.field(field).and_then(|(_, f)| {
            f.schema
                .parameter("io.confluent.connect.json.Id")
                .map(str::to_owned)
        })
    };
    assert_eq!(id("a"), None);
    assert_eq!(id("b"), Some("#id2".into()));
    assert_eq!(id("c"), Some("#id2".into()));
}

#[test]
fn references_to_other_subjects_are_followed() {
    let mut fixture = Fixture::new(&[], false);
    let new = NewSchema {
        schema_type: SchemaType::Json,
        text: r#"{"type":"object","title":"Other","properties":{"q":{"type":"string"}}}"#.into(),
        references: Vec::new(),
    };
    fixture.registry.add("other", &new);
    let reference = Reference {
        name: "other.json".into(),
        subject: "other".into(),
        version: 1,
    };
    let text = r#"{"type":"object","properties":{"o":{"$ref":"other.json"}}}"#;
    add(&fixture, text, vec![reference]);
    let data = fixture.read(b"\0\0\0\0\x02{\"o\":{\"q\":\"x\"}}").unwrap();
    assert_eq!(
        data.schema.unwrap().field("o").unwrap().1.schema.name(),
        Some("Other")
    );
}

#[test]
fn what_cannot_be_read_says_why() {
    for (text, part) in [
        (r#"{"type":"array"}"#, "items type"),
        (
            r#"{"type":"array","items":[{"type":"string"}]}"#,
            "items type",
        ),
        (r#"{"not":{"type":"string"}}"#, "NotSchema"),
        (
            r#"{"type":"object","properties":{"a":false}}"#,
            "FalseSchema",
        ),
        (
            r#"{"type":"object","properties":{"a":{"type":"object","properties":{},"default":{}}}}"#,
            "default",
        ),
        (
            r#"{"type":"object","properties":{"a":{"type":"string","connect.index":"x"}}}"#,
            "connect.index",
        ),
        (r#"{"allOf":[{"type":"boolean"},{"minimum":1}]}"#, "allOf"),
    ] {
        let error = read(&mut fixture(text), b"{}").unwrap_err();
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn deep_and_large_input_is_refused_in_time() {
    // Every level mentions the next twice: half a million parts in a kilobyte.
    let mut text = String::from("{\"$ref\":\"#/definitions/d0\",\"definitions\":{");
    for i in 0..40 {
        text.push_str(&format!(
            "\"d{i}\":{{\"oneOf\":[{{\"type\":\"array\",\"items\":{{\"$ref\":\"#/definitions/d{n}\"}}}},{{\"type\":\"object\",\"connect.type\":\"map\",\"additionalProperties\":{{\"$ref\":\"#/definitions/d{n}\"}}}},{{\"type\":\"string\"}}]}},",
            n = i + 1
        ));
    }
    text.push_str("\"d40\":{\"type\":\"string\"}}}");
    let error = read(&mut fixture(&text), b"\"x\"").unwrap_err();
    assert!(error.message.contains("parts"), "{error}");
    let list = r##"{"type":"object","title":"L","properties":{"n":{"oneOf":[{"type":"null"},{"$ref":"#"}]}}}"##;
    let mut fixture = fixture(list);
    for depth in [240, 5_000] {
        let body = format!("{}{}{}", "{\"n\":".repeat(depth), "{}", "}".repeat(depth));
        assert_eq!(read(&mut fixture, body.as_bytes()).is_ok(), depth == 240);
    }
}

#[test]
fn deep_values_are_written_or_refused() {
    let list = r##"{"type":"object","title":"L","properties":{"n":{"$ref":"#"}}}"##;
    let schema = read(&mut fixture(list), b"{}").unwrap().schema.unwrap();
    let nested = |depth: usize| {
        (0..depth).fold(Value::Null, |inner, _| {
            millrace_api::data::Struct::new(schema.clone(), vec![inner]).into()
        })
    };
    let mut fixture = Fixture::new(&[], false);
    for (depth, works) in [(240, true), (300, false)] {
        let data = Data {
            schema: Some(schema.clone()),
            value: nested(depth),
        };
        let written = fixture.write(&data);
        assert_eq!(written.is_ok(), works, "{depth}: {written:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let text = r##"{"type":"object","properties":{"u":{"oneOf":[{"type":"integer"},{"type":"string"}]},"m":{"type":"object","connect.type":"map","additionalProperties":{}}}}"##;
        let _ = read(&mut fixture(text), &body);
    }

    #[test]
    fn integers_come_back(v in any::<i64>()) {
        let mut fixture = Fixture::new(&[], false);
        let data = Data { schema: Some(millrace_api::data::Schema::int64()), value: Value::Int64(v) };
        let payload = fixture.write(&data).unwrap().unwrap();
        let back = fixture.read(&payload).unwrap();
        prop_assert_eq!(back.value, Value::Int64(v));
        prop_assert_eq!(back.schema.unwrap().kind(), Kind::Int64);
    }

    #[test]
    fn doubles_and_text_come_back(v in any::<f64>().prop_filter("JSON has no others", |v| v.is_finite()), s in ".*") {
        let mut fixture = Fixture::new(&[], false);
        let schema = millrace_api::data::SchemaBuilder::structure()
            .field("v", millrace_api::data::Schema::float64())
            .field("s", millrace_api::data::Schema::string())
            .build_valid();
        let values = vec![Value::Float64(v), Value::from(s.as_str())];
        let data = Data {
            schema: Some(schema.clone()),
            value: millrace_api::data::Struct::new(schema, values.clone()).into(),
        };
        let payload = fixture.write(&data).unwrap().unwrap();
        let back = fixture.read(&payload).unwrap();
        prop_assert_eq!(back.value.as_struct().unwrap().values(), &values[..]);
    }
}
