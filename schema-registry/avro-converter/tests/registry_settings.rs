//! Other schemas than the data's own: the latest version to write under or to read with, ids in headers, subjects, failures.

use std::sync::Arc;

use millrace_api::data::{Data, Headers, Schema, SchemaBuilder, Struct, Value};
use millrace_avro_converter::AvroConverterPlugin;
use registry_client::memory::{ConverterInMemory, MemoryRegistry};
use registry_client::{NewSchema, SchemaType};

type Fixture = ConverterInMemory<AvroConverterPlugin>;

fn register(registry: &MemoryRegistry, subject: &str, fields: &str) {
    let schema = NewSchema {
        schema_type: SchemaType::Avro,
        text: format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#).into(),
        references: Vec::new(),
    };
    registry.add(subject, &schema);
}

fn record(fields: &[(&str, Schema, Value)]) -> Data {
    let mut builder = SchemaBuilder::structure().name("R");
    for (name, schema, _) in fields {
        builder = builder.field(*name, schema.clone());
    }
    let schema = builder.build_valid();
    let values: Vec<Value> = fields.iter().map(|(_, _, value)| value.clone()).collect();
    Data::new(schema.clone(), Struct::new(schema, values))
}

fn latest(strict: &str, fields: &str) -> Fixture {
    let registry = Arc::<MemoryRegistry>::default();
    register(&registry, "t-value", fields);
    let settings = [
        ("auto.register.schemas", "false"),
        ("use.latest.version", "true"),
        ("latest.compatibility.strict", strict),
    ];
    Fixture::on(registry, &settings, false).expect("a converter")
}

fn a_and_b() -> Data {
    record(&[
        ("a", Schema::int32(), Value::Int32(1)),
        ("b", Schema::string().to_optional(), "x".into()),
    ])
}

#[test]
fn data_is_written_with_the_latest_version_field_by_field() {
    for (fields, payload) in [
        // One field more: its default, where the original fails.
        (
            r#"{"name":"a","type":"int"},{"name":"c","type":"string","default":"d"},{"name":"b","type":["null","string"],"default":null}"#,
            &[0, 0, 0, 0, 1, 2, 2, b'd', 2, 2, b'x'][..],
        ),
        // The other way round: by name, where the original goes by place.
        (
            r#"{"name":"b","type":["null","string"],"default":null},{"name":"a","type":"int"}"#,
            &[0, 0, 0, 0, 1, 2, 2, b'x', 2],
        ),
        // One less, and wider.
        (r#"{"name":"a","type":"long"}"#, &[0, 0, 0, 0, 1, 2]),
        // Another name in the same place.
        (
            r#"{"name":"z","type":"int"},{"name":"b","type":["null","string"],"default":null}"#,
            &[0, 0, 0, 0, 1, 2, 2, 2, b'x'],
        ),
    ] {
        let mut fixture = latest("false", fields);
        let written = fixture.write(&a_and_b()).expect("written");
        assert_eq!(written.as_deref(), Some(payload), "{fields}");
    }
}

#[test]
fn data_that_the_latest_version_has_no_place_for_is_refused() {
    let mut fixture = latest("true", r#"{"name":"a","type":"string"}"#);
    let error = fixture.write(&a_and_b()).expect_err("incompatible");
    let cause = error
        .source
        .as_ref()
        .and_then(|e| e.source())
        .expect("a cause");
    assert_eq!(
        cause.to_string(),
        "Incompatible schema of type 'AVRO'. Set latest.compatibility.strict=false to disable this check. See log file for more details."
    );
    for fields in [
        r#"{"name":"a","type":"string"}"#,
        r#"{"name":"a","type":"int"},{"name":"b","type":"string"},{"name":"c","type":"int"}"#,
        r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["X"]}}"#,
    ] {
        let mut fixture = latest("false", fields);
        let error = fixture.write(&a_and_b()).expect_err(fields);
        assert_eq!(error.message, "Failed to serialize Avro data from topic t:");
    }
    // Too large for the narrower type.
    let mut fixture = latest("false", r#"{"name":"a","type":"int"}"#);
    let wide = |v| record(&[("a", Schema::int64(), Value::Int64(v))]);
    assert!(fixture.write(&wide(5)).is_ok());
    assert!(fixture.write(&wide(1 << 40)).is_err());
}

#[test]
fn data_is_read_with_the_latest_version() {
    let registry = Arc::<MemoryRegistry>::default();
    register(
        &registry,
        "t-value",
        r#"{"name":"a","type":"int"},{"name":"gone","type":{"type":"array","items":["null",{"type":"map","values":"double"}]}},{"name":"u","type":["null","int"]},{"name":"old","type":"string"}"#,
    );
    register(
        &registry,
        "t-value",
        r#"{"name":"u","type":["int","null","string"]},{"name":"a","type":"double"},{"name":"new","type":"string","default":"d"},{"name":"renamed","aliases":["old"],"type":"string"},{"name":"n","type":["null",{"type":"record","name":"N","fields":[{"name":"x","type":"int","default":4}]}],"default":null}"#,
    );
    let mut fixture =
        Fixture::on(registry, &[("use.latest.version", "true")], false).expect("a converter");
    let mut payload = vec![0, 0, 0, 0, 1, 2];
    payload.extend([2, 2, 2, 2, b'k']);
    payload.extend(1.5f64.to_le_bytes());
    payload.extend([0, 0]); // ends of the map and of the array
    payload.extend([2, 14, 2, b'q']);
    let read = fixture.read(&payload).expect("read");
    let schema = read.schema.expect("a schema");
    let names: Vec<&str> = schema.fields().iter().map(|f| &*f.name).collect();
    assert_eq!(names, ["u", "a", "new", "renamed", "n"]);
    assert_eq!(schema.version(), Some(1), "the version that wrote");
    let of = read.value.as_struct().expect("a struct");
    assert_eq!(of.get("a"), Some(&Value::Float64(1.0)));
    assert_eq!(of.get("new"), Some(&"d".into()));
    assert_eq!(of.get("renamed"), Some(&"q".into()));
    assert_eq!(of.get("n"), Some(&Value::Null));
    let union = of.get("u").and_then(Value::as_struct).expect("a union");
    assert_eq!(union.get("int"), Some(&Value::Int32(7)));
}

#[test]
fn a_field_of_a_second_struct_of_one_name_is_not_lost_unnoticed() {
    let row = |more: bool| {
        let builder = SchemaBuilder::structure()
            .name("t.Row")
            .field("x", Schema::int32());
        let builder = if more {
            builder.field("z", Schema::string().to_optional())
        } else {
            builder
        };
        builder.build_valid()
    };
    let data = |z: Value| {
        let (a, b) = (row(false), row(true));
        record(&[
            ("a", a.clone(), Struct::new(a, vec![Value::Int32(1)]).into()),
            (
                "b",
                b.clone(),
                Struct::new(b, vec![Value::Int32(2), z]).into(),
            ),
        ])
    };
    let mut fixture = Fixture::new(&[], false);
    let written = fixture.write(&data(Value::Null)).expect("nothing is lost");
    assert_eq!(written, Some(vec![0, 0, 0, 0, 1, 2, 4]));
    let error = fixture.write(&data("t".into())).expect_err("z is lost");
    let cause = error
        .source
        .as_ref()
        .and_then(|e| e.source())
        .expect("a cause");
    assert!(cause.to_string().contains("field 'z'"), "{cause}");
}

#[test]
fn what_cannot_be_converted_registers_nothing() {
    let registry = Arc::<MemoryRegistry>::default();
    let mut fixture = Fixture::on(Arc::clone(&registry), &[], false).expect("a converter");
    let required = record(&[("a", Schema::int32(), Value::Null)]);
    let error = fixture.write(&required).expect_err("null");
    assert_eq!(error.message, "Found null value for non-optional schema");
    assert!(registry.registered().is_empty());
    let named = record(&[("a-b", Schema::int32(), Value::Int32(1))]);
    let error = fixture.write(&named).expect_err("a name");
    assert_eq!(error.message, "Illegal character in: a-b");
    assert_eq!(error.java_class, "org.apache.avro.SchemaParseException");
    let optional = Data::new(Schema::string().to_optional(), Value::Null);
    assert_eq!(fixture.write(&optional).expect("null"), None);
    assert_eq!(fixture.write(&Data::NONE).expect("null"), None);
    assert!(registry.registered().is_empty());
}

#[test]
fn an_id_can_stand_in_a_header_of_each_record() {
    let settings = [(
        "value.schema.id.serializer",
        "io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer",
    )];
    let mut fixture = Fixture::new(&settings, false);
    for _ in 0..3 {
        let mut headers = Headers::new();
        let written = fixture
            .encode("t", &mut headers, &a_and_b())
            .expect("written");
        let payload = written.expect("not null");
        assert_eq!(payload, [2, 2, 2, b'x']);
        assert_eq!(headers.len(), 1);
        let read = fixture.decode("t", &headers, Some(&payload)).expect("read");
        assert_eq!(
            read.value.as_struct().and_then(|s| s.get("a")),
            Some(&Value::Int32(1))
        );
    }
}

#[test]
fn trailing_bytes_are_refused_when_that_is_asked_for() {
    for (setting, fine) in [("false", true), ("true", false)] {
        let mut fixture = Fixture::new(&[("avro.fail.on.trailing.data", setting)], false);
        let mut payload = fixture
            .write(&a_and_b())
            .expect("written")
            .expect("not null");
        payload.push(0);
        assert_eq!(fixture.read(&payload).is_ok(), fine);
    }
}
