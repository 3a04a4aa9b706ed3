//! Avro schemas of Connect schemas, byte for byte.

use std::sync::Arc;

use millrace_api::data::{Data, Kind, Schema, SchemaBuilder, Struct, Value, logical};
use millrace_avro_converter::AvroConverterPlugin;
use registry_client::memory::{ConverterInMemory, MemoryRegistry};

type Fixture = ConverterInMemory<AvroConverterPlugin>;

/// The text that is registered for data of a schema.
fn text(settings: &[(&str, &str)], schema: &Schema, value: impl Into<Value>) -> String {
    let registry = Arc::<MemoryRegistry>::default();
    let mut fixture = Fixture::on(Arc::clone(&registry), settings, false).expect("a converter");
    let written = fixture.write(&Data::new(schema.clone(), value));
    written.expect("written").expect("not null");
    registry.registered()[0].text.to_string()
}

/// The same of a field of a struct `x.R`.
fn field_text(schema: Schema, value: impl Into<Value>) -> String {
    let record = SchemaBuilder::structure()
        .name("x.R")
        .field("f", schema)
        .build_valid();
    let value = Struct::new(record.clone(), vec![value.into()]);
    let text = text(&[], &record, value);
    let head = r#"{"type":"record","name":"R","namespace":"x","fields":["#;
    let tail = r#"],"connect.name":"x.R"}"#;
    let field = text.strip_prefix(head).and_then(|t| t.strip_suffix(tail));
    field.unwrap_or_else(|| panic!("{text}")).to_owned()
}

fn build(kind: Kind) -> SchemaBuilder {
    SchemaBuilder::new(kind)
}

#[test]
fn types_and_their_properties() {
    let decimal = || logical::decimal(2).parameter("connect.decimal.precision", "10");
    let date = |kind, name: &str| build(kind).name(name).version(1);
    for (schema, value, expected) in [
        (
            Schema::int8(),
            Value::Int8(1),
            r#"{"type":"int","connect.type":"int8"}"#,
        ),
        (
            Schema::int16().to_optional(),
            Value::Int16(1),
            r#"["null",{"type":"int","connect.type":"int16"}]"#,
        ),
        (
            Schema::string().to_optional(),
            "a".into(),
            r#"["null","string"]"#,
        ),
        (
            logical::decimal(2).build_valid(),
            "1.25"
                .parse::<millrace_api::data::Decimal>()
                .expect("a decimal")
                .into(),
            r#"{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}"#,
        ),
        (
            decimal()
                .optional(true)
                .default(Some(
                    "1.25"
                        .parse::<millrace_api::data::Decimal>()
                        .expect("a decimal")
                        .into(),
                ))
                .build_valid(),
            "1.25"
                .parse::<millrace_api::data::Decimal>()
                .expect("a decimal")
                .into(),
            r#"[{"type":"bytes","scale":2,"precision":10,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"10"},"connect.default":"}","connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"},"null"]"#,
        ),
        (
            date(Kind::Int32, logical::DATE).build_valid(),
            Value::Int32(1),
            r#"{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}"#,
        ),
        (
            date(Kind::Int64, logical::TIMESTAMP)
                .default(Some(Value::Int64(5)))
                .build_valid(),
            Value::Int64(1),
            r#"{"type":"long","connect.version":1,"connect.default":5,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}"#,
        ),
        (
            date(Kind::Int64, "io.debezium.time.MicroTimestamp").build_valid(),
            Value::Int64(1),
            r#"{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}"#,
        ),
        (
            SchemaBuilder::map(Schema::string(), Schema::string().to_optional())
                .name("my.Map")
                .optional(true)
                .build_valid(),
            Value::Map(Arc::default()),
            r#"["null",{"type":"map","values":["null","string"],"connect.name":"my.Map"}]"#,
        ),
        (
            SchemaBuilder::map(Schema::int32(), Schema::string())
                .name("a.b.M")
                .build_valid(),
            Value::Map(Arc::default()),
            r#"{"type":"array","items":{"type":"record","name":"M","namespace":"a.b","fields":[{"name":"key","type":"int"},{"name":"value","type":"string"}],"connect.internal.type":"MapEntry"},"connect.name":"a.b.M"}"#,
        ),
        (
            build(Kind::Bytes)
                .name("ns.F")
                .parameter("connect.fixed.size", "4")
                .build_valid(),
            Value::Bytes(vec![1, 2, 3, 4].into()),
            r#"{"type":"fixed","name":"F","namespace":"ns","size":4,"connect.parameters":{"connect.fixed.size":"4"},"connect.name":"ns.F"}"#,
        ),
        (
            build(Kind::String)
                .parameter("avro.java.string", "String")
                .parameter("foo", "b")
                .build_valid(),
            "x".into(),
            r#"{"type":"string","connect.parameters":{"avro.java.string":"String","foo":"b"},"avro.java.string":"String"}"#,
        ),
    ] {
        assert_eq!(text(&[], &schema, value), expected);
    }
}

#[test]
fn fields_have_defaults_and_docs() {
    let int = |default| build(Kind::Int32).default(default);
    assert_eq!(
        field_text(int(Some(Value::Int32(0))).build_valid(), Value::Int32(1)),
        r#"{"name":"f","type":{"type":"int","connect.default":0},"default":0}"#
    );
    assert_eq!(
        field_text(
            int(Some(Value::Int32(7))).optional(true).build_valid(),
            Value::Null
        ),
        r#"{"name":"f","type":[{"type":"int","connect.default":7},"null"],"default":7}"#
    );
    assert_eq!(
        field_text(
            build(Kind::Bytes)
                .default(Some(Value::Bytes(vec![0xff, 0, 0x41].into())))
                .build_valid(),
            Value::Null
        ),
        r#"{"name":"f","type":{"type":"bytes","connect.default":"ÿ\u0000A"},"default":"ÿ\u0000A"}"#
    );
    let record = SchemaBuilder::structure()
        .name("K")
        .parameter("io.confluent.connect.avro.record.doc", "RD")
        .parameter("io.confluent.connect.avro.field.doc.x", "FD")
        .field("x", Schema::int32())
        .build_valid();
    let value = Struct::new(record.clone(), vec![Value::Int32(1)]);
    assert_eq!(
        field_text(record, value),
        r#"{"name":"f","type":{"type":"record","name":"K","namespace":"","doc":"RD","fields":[{"name":"x","type":"int","doc":"FD"}],"connect.parameters":{"io.confluent.connect.avro.record.doc":"RD","io.confluent.connect.avro.field.doc.x":"FD"},"connect.name":"K"}}"#
    );
}

#[test]
fn a_struct_that_was_met_is_mentioned_by_name() {
    let row = SchemaBuilder::structure()
        .name("t.Row")
        .field("id", Schema::int32())
        .optional(true)
        .build_valid();
    let envelope = SchemaBuilder::structure()
        .name("t.Envelope")
        .field("before", row.clone())
        .field("after", row.clone())
        .build_valid();
    let after = Struct::new(row, vec![Value::Int32(1)]);
    let value = Struct::new(envelope.clone(), vec![Value::Null, after.into()]);
    assert_eq!(
        text(&[], &envelope, value.clone()),
        r#"{"type":"record","name":"Envelope","namespace":"t","fields":[{"name":"before","type":["null",{"type":"record","name":"Row","fields":[{"name":"id","type":"int"}],"connect.name":"t.Row"}],"default":null},{"name":"after","type":["null","Row"],"default":null}],"connect.name":"t.Envelope"}"#
    );
    assert_eq!(
        text(&[("connect.meta.data", "false")], &envelope, value),
        r#"{"type":"record","name":"Envelope","namespace":"t","fields":[{"name":"before","type":["null",{"type":"record","name":"Row","fields":[{"name":"id","type":"int"}]}],"default":null},{"name":"after","type":["null","Row"],"default":null}]}"#
    );
}

#[test]
fn enums_are_written_as_such_only_when_they_are_wanted() {
    let color = build(Kind::String)
        .name("ns.Color")
        .parameter("io.confluent.connect.avro.Enum", "ns.Color")
        .parameter("io.confluent.connect.avro.Enum.RED", "RED")
        .parameter("io.confluent.connect.avro.Enum.BLUE", "BLUE")
        .build_valid();
    let parameters = r#""connect.parameters":{"io.confluent.connect.avro.Enum":"ns.Color","io.confluent.connect.avro.Enum.RED":"RED","io.confluent.connect.avro.Enum.BLUE":"BLUE"},"connect.name":"ns.Color"}"#;
    assert_eq!(
        text(&[], &color, "RED"),
        format!(r#"{{"type":"string",{parameters}"#)
    );
    assert_eq!(
        text(&[("enhanced.avro.schema.support", "true")], &color, "RED"),
        format!(
            r#"{{"type":"enum","name":"Color","namespace":"ns","symbols":["RED","BLUE"],{parameters}"#
        )
    );
}
