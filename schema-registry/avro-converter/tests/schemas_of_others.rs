//! Connect schemas of Avro schemas that other producers wrote.

use std::sync::Arc;

use millrace_api::data::{Data, Schema, Value};
use millrace_avro_converter::AvroConverterPlugin;
use registry_client::memory::{ConverterInMemory, MemoryRegistry};
use registry_client::{NewSchema, SchemaType};

type Fixture = ConverterInMemory<AvroConverterPlugin>;

/// What a payload of a schema is read as.
fn read(settings: &[(&str, &str)], schema: &str, body: &[u8]) -> Data {
    let registry = Arc::<MemoryRegistry>::default();
    let schema = NewSchema {
        schema_type: SchemaType::Avro,
        text: schema.into(),
        references: Vec::new(),
    };
    registry.add("t-value", &schema);
    let mut fixture = Fixture::on(registry, settings, false).expect("a converter");
    let payload = [&[0, 0, 0, 0, 1], body].concat();
    fixture.read(&payload).expect("read")
}

fn schema_of(data: &Data) -> &Schema {
    data.schema.as_ref().expect("a schema")
}

/// The default that the first field of a record has in Connect.
fn field_default(field: &str, body: &[u8]) -> Option<Value> {
    let record = format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#);
    let data = read(&[], &record, body);
    schema_of(&data).fields()[0].schema.default().cloned()
}

#[test]
fn defaults_that_the_original_keeps_and_drops() {
    let entry = r#"{"type":"array","items":{"type":"record","name":"M","connect.internal.type":"MapEntry","fields":[{"name":"key","type":"int"},{"name":"value","type":"int"}]}}"#;
    let empty_map = || Some(Value::Map(Arc::default()));
    let list = |values: Vec<Value>| Some(Value::Array(Arc::new(values)));
    for (field, expected) in [
        // A map with other keys than text can have no entries in a default, but it can be empty.
        (
            format!(r#"{{"name":"f","type":{entry},"default":[]}}"#),
            empty_map(),
        ),
        (
            format!(r#"{{"name":"f","type":{entry},"default":[{{"key":1,"value":2}}]}}"#),
            None,
        ),
        // Of nullable items only the first type is asked.
        (
            r#"{"name":"f","type":{"type":"array","items":["null","string"]},"default":[null]}"#
                .to_owned(),
            list(vec![Value::Null]),
        ),
        (
            r#"{"name":"f","type":{"type":"array","items":["null",{"type":"array","items":"int"}]},"default":[[]]}"#.to_owned(),
            list(vec![Value::Array(Arc::default())]),
        ),
        (
            r#"{"name":"f","type":{"type":"array","items":["string","null"],"connect.default":["a"]}}"#.to_owned(),
            None,
        ),
        (
            r#"{"name":"f","type":{"type":"array","items":["null","string"],"connect.default":["a"]}}"#.to_owned(),
            list(vec![Value::Null]),
        ),
        // JSON has no infinity: only the parser of field defaults takes the text for one.
        (
            r#"{"name":"f","type":{"type":"array","items":"float","connect.default":["Infinity"]}}"#
                .to_owned(),
            list(vec![Value::Float32(0.0)]),
        ),
    ] {
        assert_eq!(field_default(&field, &[0]), expected, "{field}");
    }
    assert_eq!(
        field_default(
            r#"{"name":"f","type":"double","default":"-Infinity"}"#,
            &[0; 8]
        ),
        Some(Value::Float64(f64::NEG_INFINITY))
    );
    // The default of a record takes over what its fields have as defaults, as far as those are values of Avro's library too.
    for (inner, kept) in [
        (r#""long","default":5"#, true),
        (
            r#"{"type":"long","logicalType":"timestamp-millis"},"default":5"#,
            false,
        ),
        (r#"{"type":"map","values":"int"},"default":{"k":1}"#, true),
        (
            r#"{"type":"array","items":{"type":"record","name":"E","fields":[]}},"default":[{}]"#,
            false,
        ),
    ] {
        let field = format!(
            r#"{{"name":"f","type":{{"type":"record","name":"I","fields":[{{"name":"x","type":{inner}}}]}},"default":{{}}}}"#
        );
        assert_eq!(field_default(&field, &[0]).is_some(), kept, "{field}");
    }
}

#[test]
fn a_union_default_needs_the_field_that_its_schema_names() {
    let fixed = |name: &str| {
        format!(
            r#"{{"name":"f","type":[{{"type":"fixed","name":"{name}","size":1,"logicalType":"decimal","precision":2}},"int"],"default":"\u0005"}}"#
        )
    };
    // The schema of a decimal is called after the logical type, whatever the fixed is called.
    assert!(field_default(&fixed("Decimal"), &[2, 0]).is_some());
    assert_eq!(field_default(&fixed("Amount"), &[2, 0]), None);
}

#[test]
fn a_recursive_record_is_taken_as_it_was_translated_last() {
    let text = r#"{"type":"record","name":"T","fields":[
        {"name":"a","type":{"type":"record","name":"L","fields":[{"name":"n","type":["null","L"]}]},"default":{"n":null}},
        {"name":"b","type":["null","L"]},
        {"name":"c","type":"L"},
        {"name":"d","type":{"type":"array","items":"L"}}]}"#;
    let data = read(&[], text, &[0, 2, 0, 0, 2, 0, 0]);
    let of = |name: &str| {
        schema_of(&data)
            .field(name)
            .expect("a field")
            .1
            .schema
            .clone()
    };
    assert!(of("a").default().is_some());
    assert_eq!(of("b").default(), of("a").default());
    assert!(of("b").optional());
    assert_eq!(of("c").default(), None);
    let items = of("d").value_schema().cloned().expect("items");
    assert_eq!(items, of("c"));
}

#[test]
fn a_record_inside_itself_as_a_plain_field_is_translated_once_more() {
    let text = r#"{"type":"record","name":"A","fields":[{"name":"l","type":{"type":"array","items":{"type":"record","name":"B","fields":[{"name":"a","type":"A"}]}}}]}"#;
    let data = read(&[], text, &[2, 0, 0]);
    let b = schema_of(&data).fields()[0].schema.value_schema();
    let a = &b.expect("items").fields()[0].schema;
    assert_eq!((a.name(), a.is_back_reference()), (Some("A"), false));
    let b = a.fields()[0].schema.value_schema().expect("items");
    assert!(b.is_back_reference());
}

#[test]
fn each_use_of_a_union_has_a_number_of_its_own() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"record","name":"I","fields":[{"name":"u","type":["int","string"]}]}},{"name":"b","type":"I"}]}"#;
    let settings = [("generalized.sum.type.support", "true")];
    let data = read(&settings, text, &[0, 2, 2, 2, b'x']);
    let names: Vec<_> = schema_of(&data)
        .fields()
        .iter()
        .map(|f| {
            f.schema.fields()[0]
                .schema
                .name()
                .expect("a name")
                .to_owned()
        })
        .collect();
    assert_eq!(names, ["connect_union_0", "connect_union_1"]);
}

#[test]
fn a_type_of_null_alone_is_read_without_a_schema() {
    for (text, body) in [(r#""null""#, &[][..]), (r#"["null"]"#, &[0])] {
        assert_eq!(read(&[], text, body), Data::NONE, "{text}");
    }
}
