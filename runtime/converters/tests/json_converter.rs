//! Rules of the JSON converter: nulls, defaults, leniency, and the text of every refusal.

use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::data::{
    Blob, Data, Decimal, Headers, Kind, Schema, SchemaBuilder, Struct, Value, logical,
};
use millrace_api::plugin::{Converter, ConverterPlugin, DataError, Decoded, Encoded};
use millrace_converters::JsonConverterPlugin;

const NO_ENVELOPE: &str = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain additional fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter configuration.";
const BROKEN: &str = "Converting byte[] to Kafka Connect data failed due to serialization error: ";

fn converter(props: &[(&str, &str)]) -> Box<dyn Converter> {
    ConverterPlugin::create(
        &JsonConverterPlugin,
        &props.iter().copied().collect::<Props>(),
        false,
    )
    .expect("a converter")
}

fn try_decode(props: &[(&str, &str)], text: &[u8]) -> Result<Data, DataError> {
    let blob = Blob::new(text.to_vec());
    match converter(props).decode("t", &Headers::new(), Some(&blob))? {
        Decoded::Data(data) => Ok(data),
        Decoded::NeedsSchema(_) => panic!("JSON needs no registry"),
    }
}

fn plain(text: &str) -> Value {
    let data = try_decode(&[("schemas.enable", "false")], text.as_bytes()).expect(text);
    assert!(data.schema.is_none());
    data.value
}

fn with_schema(schema: &str, payload: &str) -> Result<Value, String> {
    let text = format!("{{\"schema\":{schema},\"payload\":{payload}}}");
    try_decode(&[], text.as_bytes())
        .map(|d| d.value)
        .map_err(|e| e.to_string())
}

fn encode(props: &[(&str, &str)], data: &Data) -> Result<Option<String>, String> {
    let mut out = Vec::new();
    match converter(props)
        .encode("t", &mut Headers::new(), data, &mut out)
        .map_err(|e| e.to_string())?
    {
        Encoded::Written => Ok(Some(String::from_utf8(out).expect("UTF-8"))),
        Encoded::Null => Ok(None),
        Encoded::NeedsSchema(_) => panic!("JSON needs no registry"),
    }
}

fn payload(data: &Data) -> Result<String, String> {
    encode(&[("schemas.enable", "false")], data).map(|text| text.expect("not a tombstone"))
}

fn list(values: impl Into<Vec<Value>>) -> Value {
    Value::Array(Arc::new(values.into()))
}

fn map(entries: impl Into<Vec<(Value, Value)>>) -> Value {
    Value::Map(Arc::new(entries.into()))
}

#[test]
fn values_without_schema() {
    assert_eq!(
        plain("12345678901234567890"),
        Value::Int64(-6101065172474983726)
    );
    assert_eq!(plain("007"), Value::Int64(7));
    assert_eq!(plain("1.50"), Value::Float64(1.5));
    assert_eq!(plain("1e400"), Value::Float64(f64::INFINITY));
    assert_eq!(
        plain(" {\"a\":[1,null,true,\"x\\n\"],\"a\":{}} rest"),
        map([("a".into(), map([]))])
    );
    assert_eq!(plain("[[],\"é\"]"), list([list([]), "é".into()]));
    assert_eq!(plain(""), Value::Null);
    assert_eq!(plain("null"), Value::Null);
    assert_eq!(plain("\u{feff}1"), Value::Int64(1));
    let mixed = map([(Value::Int64(1), "a".into()), ("k".into(), Value::Null)]);
    assert_eq!(
        payload(&Data::schemaless(mixed)),
        Ok("[[1,\"a\"],[\"k\",null]]".into())
    );
    assert_eq!(
        payload(&Data::schemaless(map([(
            "k".into(),
            list([1.into(), Value::Float32(0.1)])
        )]))),
        Ok("{\"k\":[1,0.1]}".into())
    );
    assert_eq!(
        encode(&[], &Data::schemaless("x")),
        Ok(Some("{\"schema\":null,\"payload\":\"x\"}".into()))
    );
    let refused = payload(&Data::schemaless(Decimal::new(1, 0)));
    assert_eq!(
        refused,
        Err("Java class java.math.BigDecimal does not have corresponding schema type.".into())
    );
}

#[test]
fn nulls_and_defaults_when_writing() {
    let optional = Schema::int32().to_optional();
    let default = SchemaBuilder::new(Kind::Int32)
        .default(Some(Value::Int32(5)))
        .build_valid();
    assert_eq!(encode(&[], &Data::NONE), Ok(None));
    assert_eq!(
        payload(&Data::new(optional.clone(), Value::Null)),
        Ok("null".into())
    );
    let enveloped = encode(&[], &Data::new(optional, Value::Null));
    assert_eq!(
        enveloped,
        Ok(Some(
            "{\"schema\":{\"type\":\"int32\",\"optional\":true},\"payload\":null}".into()
        ))
    );
    assert_eq!(
        payload(&Data::new(default.clone(), Value::Null)),
        Ok("5".into())
    );
    let required =
        "Conversion error: null value for field that is required and has no default value";
    assert_eq!(
        payload(&Data::new(Schema::int32(), Value::Null)),
        Err(required.into())
    );
    let keep = [
        ("schemas.enable", "false"),
        ("replace.null.with.default", "false"),
    ];
    assert_eq!(
        encode(&keep, &Data::new(default.clone(), Value::Null)),
        Err(required.into())
    );
    assert_eq!(
        encode(&keep, &Data::new(default.to_optional(), Value::Null)),
        Ok(Some("null".into()))
    );
}

#[test]
fn every_type_is_written_in_its_form() {
    let decimal = logical::decimal(2).build_valid();
    let date = SchemaBuilder::new(Kind::Int32)
        .name(logical::DATE)
        .version(1)
        .build_valid();
    let time = SchemaBuilder::new(Kind::Int32)
        .name(logical::TIME)
        .version(1)
        .build_valid();
    for (schema, value, text) in [
        (Schema::int8(), Value::Int8(-1), "-1"),
        (Schema::int16(), Value::Int16(1), "1"),
        (
            Schema::int64(),
            Value::Int64(i64::MIN),
            "-9223372036854775808",
        ),
        (Schema::float32(), Value::Float32(1e10), "1.0E10"),
        (Schema::float64(), Value::Float64(1e-5), "1.0E-5"),
        (Schema::float64(), Value::Float64(f64::NAN), "\"NaN\""),
        (
            Schema::float32(),
            Value::Float32(f32::NEG_INFINITY),
            "\"-Infinity\"",
        ),
        (
            Schema::bytes(),
            Value::Bytes(vec![0xfb, 0xff].into()),
            "\"+/8=\"",
        ),
        (decimal.clone(), Decimal::new(12345, 2).into(), "\"MDk=\""),
        (date.clone(), Value::Int32(-1), "-1"),
        (
            Schema::array(Schema::int32()),
            list([1.into(), 2.into()]),
            "[1,2]",
        ),
        (
            Schema::map(Schema::string(), Schema::int32()),
            map([("a\"".into(), 1.into())]),
            "{\"a\\\"\":1}",
        ),
        (
            Schema::map(Schema::int32(), Schema::boolean()),
            map([(1.into(), true.into())]),
            "[[1,true]]",
        ),
        (
            SchemaBuilder::structure().build_valid(),
            Struct::empty(SchemaBuilder::structure().build_valid()).into(),
            "{}",
        ),
    ] {
        assert_eq!(payload(&Data::new(schema, value)), Ok(text.into()));
    }
    let numeric = [("schemas.enable", "false"), ("decimal.format", "numeric")];
    assert_eq!(
        encode(&numeric, &Data::new(decimal.clone(), Decimal::new(1, -2))),
        Ok(Some("1E+2".into()))
    );

    for (schema, value, message) in [
        (
            Schema::int32(),
            Value::from("x"),
            "Invalid type for INT32: class java.lang.String",
        ),
        (
            Schema::string(),
            Value::Int32(1),
            "Invalid type for STRING: class java.lang.Integer",
        ),
        (
            Schema::bytes(),
            Value::from("x"),
            "Invalid type for bytes type: class java.lang.String",
        ),
        (
            decimal.clone(),
            Value::Int64(1),
            "Invalid type for Decimal, expected BigDecimal but was class java.lang.Long",
        ),
        (
            decimal,
            Decimal::new(1, 3).into(),
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale 2, value has scale 3.",
        ),
        (
            date,
            Value::from("x"),
            "Invalid type for Date, expected Date but was class java.lang.String",
        ),
        (
            time,
            Value::Int32(86_400_001),
            "Kafka Connect Time type should not have any date fields set to non-zero values.",
        ),
        (
            SchemaBuilder::structure().name("other").build_valid(),
            Struct::empty(SchemaBuilder::structure().build_valid()).into(),
            "Mismatching schema.",
        ),
    ] {
        assert_eq!(payload(&Data::new(schema, value)), Err(message.into()));
    }
}

#[test]
fn schemas_are_written_with_their_attributes_in_order() {
    let schema = SchemaBuilder::structure()
        .field(
            "a",
            SchemaBuilder::new(Kind::Float64)
                .doc("d")
                .default(Some(Value::Float64(1.5)))
                .build_valid(),
        )
        .field("m", Schema::map(Schema::string(), Schema::float32()))
        .field("l", SchemaBuilder::new(Kind::Array).build_valid())
        .field("d", logical::decimal(2).optional(true).build_valid())
        .name("Rec")
        .version(3)
        .build_valid();
    let value = Struct::new(
        schema.clone(),
        vec![Value::Null, map([]), list([]), Value::Null],
    );
    let text = encode(&[], &Data::new(schema, value))
        .expect("encoded")
        .expect("written");
    assert_eq!(
        text,
        r#"{"schema":{"type":"struct","fields":[{"type":"double","optional":false,"doc":"d","default":1.5,"field":"a"},{"type":"map","keys":{"type":"string","optional":false},"values":{"type":"float","optional":false},"optional":false,"field":"m"},{"type":"array","items":null,"optional":false,"field":"l"},{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"d"}],"optional":false,"name":"Rec","version":3},"payload":{"a":1.5,"m":{},"l":[],"d":null}}"#
    );
}

#[test]
fn reading_is_as_lenient_as_javas() {
    let typed = |name: &str| format!("{{\"type\":\"{name}\"}}");
    for (kind, payload, value) in [
        ("int32", "\"5\"", Value::Int32(0)),
        ("int32", "{\"a\":[1]}", Value::Int32(0)),
        ("int8", "300", Value::Int8(44)),
        ("int16", "70000", Value::Int16(4464)),
        ("int32", "5000000000", Value::Int32(705032704)),
        ("int64", "1.9", Value::Int64(1)),
        ("float", "\"NaN\"", Value::Float32(0.0)),
        ("double", "1", Value::Float64(1.0)),
        ("boolean", "1", Value::Boolean(false)),
        ("bytes", "\"+/8=\"", Value::Bytes(vec![0xfb, 0xff].into())),
        ("string", "5", Value::Null),
    ] {
        assert_eq!(
            with_schema(&typed(kind), payload),
            Ok(value),
            "{kind} {payload}"
        );
    }
    let array = r#"{"type":"array","items":{"type":"int32"}}"#;
    assert_eq!(with_schema(array, "5"), Ok(list([])));
    assert_eq!(
        with_schema(array, "{\"x\":1,\"y\":2}"),
        Ok(list([1.into(), 2.into()]))
    );
    let row = r#"{"type":"struct","fields":[{"type":"int32","field":"a"},{"type":"string","optional":true,"field":"b"},{"type":"int32","default":7,"field":"c"}]}"#;
    for text in [
        r#"{"a":1,"b":"x","c":null}"#,
        r#"{"c":7,"b":"x","a":1}"#,
        r#"{"z":{"a":9},"a":1,"b":"x"}"#,
        r#"{"a":5,"a":1,"\u0062":"x"}"#,
    ] {
        let value = with_schema(row, text).expect(text);
        assert_eq!(
            value.as_struct().expect("a struct").values(),
            [1.into(), "x".into(), Value::Int32(7)],
            "{text}"
        );
    }
    let decimal = r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#;
    assert_eq!(
        with_schema(decimal, "123.4500"),
        Ok(Decimal::new(1234500, 4).into()),
        "digits and scale as they stand"
    );
    assert_eq!(
        with_schema(decimal, "\"MDk=\""),
        Ok(Decimal::new(12345, 2).into())
    );
    assert_eq!(
        with_schema(decimal, "0.1234567890123456789012345678901234567890"),
        Ok("0.1234567890123456789012345678901234567890"
            .parse::<Decimal>()
            .expect("a decimal")
            .into())
    );
    let pairs = r#"{"type":"map","keys":{"type":"int32"},"values":{"type":"string"}}"#;
    assert_eq!(
        with_schema(pairs, "[[1,\"a\"],[2,\"b\"],[1,\"c\"]]"),
        Ok(map([(1.into(), "c".into()), (2.into(), "b".into())]))
    );
}

#[test]
fn refusals_name_what_was_found() {
    let structure = r#"{"type":"struct","fields":[{"type":"int32","field":"a"}]}"#;
    let text = r#"{"type":"struct","fields":[{"type":"string","field":"a"}]}"#;
    let texts =
        r#"{"type":"struct","fields":[{"type":"array","items":{"type":"string"},"field":"a"}]}"#;
    let pairs = r#"{"type":"map","keys":{"type":"int32"},"values":{"type":"string"}}"#;
    let names = r#"{"type":"map","keys":{"type":"string"},"values":{"type":"string"}}"#;
    let logical = |name: &str, base: &str| {
        format!(r#"{{"type":"{base}","name":"org.apache.kafka.connect.data.{name}"}}"#)
    };
    for (schema, payload, message) in [
        (
            structure,
            "null",
            "Invalid null value for required STRUCT field",
        ),
        (
            structure,
            "{}",
            "Invalid null value for required INT32 field",
        ),
        (
            structure,
            "[]",
            "Structs should be encoded as JSON objects, but found ARRAY",
        ),
        (
            text,
            "{\"a\":1}",
            "Invalid value: null used for required field: \"a\", schema type: STRING",
        ),
        (
            texts,
            "{\"a\":[\"x\",1]}",
            "Invalid value: null used for required element of array field: \"a\", schema type: STRING",
        ),
        (
            names,
            "[]",
            "Maps with string fields should be encoded as JSON objects, but found ARRAY",
        ),
        (
            pairs,
            "{}",
            "Maps with non-string fields should be encoded as JSON array of tuples, but found OBJECT",
        ),
        (
            pairs,
            "[1]",
            "Found invalid map entry instead of array tuple: NUMBER",
        ),
        (
            pairs,
            "[[1,\"a\",2]]",
            "Found invalid map entry, expected length 2 but found :3",
        ),
        (
            &logical("Date", "int32"),
            "\"x\"",
            "Invalid type for Date, underlying representation should be integer but was STRING",
        ),
        (
            &logical("Date", "int32"),
            "5000000000",
            "Invalid type for Date, underlying representation should be integer but was NUMBER",
        ),
        (
            &logical("Time", "int32"),
            "86400001",
            "Time values must use number of milliseconds greater than 0 and less than 86400000",
        ),
        (
            &logical("Timestamp", "int64"),
            "1.0",
            "Invalid type for Timestamp, underlying representation should be integral but was NUMBER",
        ),
        (
            &logical("Decimal", "bytes"),
            "true",
            "Invalid type for Decimal, underlying representation should be numeric or bytes but was BOOLEAN",
        ),
        (
            &logical("Decimal", "bytes"),
            "\"MDk=\"",
            "Invalid bytes for Decimal field",
        ),
        ("{\"type\":\"bytes\"}", "\"a\"", "Invalid bytes field"),
        ("{}", "1", "Schema must contain 'type' field"),
        ("5", "1", "Schema must contain 'type' field"),
        ("{\"type\":\"int128\"}", "1", "Unknown schema type: int128"),
        (
            "{\"type\":\"array\"}",
            "1",
            "Array schema did not specify the element type",
        ),
        (
            "{\"type\":\"map\"}",
            "1",
            "Map schema did not specify the key type",
        ),
        (
            "{\"type\":\"map\",\"keys\":{\"type\":\"string\"}}",
            "1",
            "Map schema did not specify the value type",
        ),
        (
            "{\"type\":\"struct\"}",
            "1",
            "Struct schema's \"fields\" argument is not an array.",
        ),
        (
            "{\"type\":\"struct\",\"fields\":[{\"type\":\"int8\"}]}",
            "1",
            "Struct schema's field name not specified properly",
        ),
        (
            "{\"type\":\"int8\",\"parameters\":{\"a\":1}}",
            "1",
            "Schema parameters must have string values.",
        ),
        (
            "{\"type\":\"struct\",\"fields\":[{\"type\":\"int8\",\"field\":\"a\"},{\"type\":\"int8\",\"field\":\"a\"}]}",
            "1",
            "Cannot create field because of field name duplication a",
        ),
    ] {
        assert_eq!(
            with_schema(schema, payload),
            Err(message.into()),
            "{schema} {payload}"
        );
    }
}

#[test]
fn what_is_no_envelope_is_refused() {
    for text in [
        "{}",
        "1",
        "",
        " ",
        "[]",
        "null",
        r#"{"schema":null}"#,
        r#"{"payload":1}"#,
        r#"{"schema":null,"payload":1,"x":2}"#,
        r#"{"schema":{"type":"int8"},"payload":"not read","x":2}"#,
    ] {
        assert_eq!(
            try_decode(&[], text.as_bytes()).expect_err(text).message,
            NO_ENVELOPE,
            "{text}"
        );
    }
    let swapped = try_decode(
        &[],
        br#" { "payload" : 5 , "schema" : {"type":"int8","optional":true} } x"#,
    )
    .expect("any order");
    assert_eq!(
        swapped,
        Data::new(
            SchemaBuilder::new(Kind::Int8).optional(true).build_valid(),
            Value::Int8(5)
        )
    );
    assert_eq!(
        try_decode(&[], br#"{"schema":null,"payload":{"a":1}}"#).expect("no schema"),
        Data::schemaless(map([("a".into(), Value::Int64(1))]))
    );
}

#[test]
fn broken_documents_have_javas_chain_of_causes() {
    for text in [
        &b"{"[..],
        b"{\"schema\":null,\"payload\":}",
        b"{\"schema\":null,\"payload\":[1 2]}",
        b"{\"schema\":null,\"payload\":\"\xff\"}",
        b"nul",
        b"{\"schema\":null,\"payload\":1e99999999999}",
    ] {
        let error = try_decode(&[], text).expect_err("broken");
        assert_eq!(error.message, BROKEN);
        assert_eq!(
            error.java_class,
            "org.apache.kafka.connect.errors.DataException"
        );
        let cause = error
            .source
            .as_deref()
            .and_then(|e| e.downcast_ref::<DataError>())
            .expect("a cause");
        assert_eq!(
            cause.java_class,
            "org.apache.kafka.common.errors.SerializationException"
        );
        assert!(
            cause.message.starts_with("com.fasterxml.jackson.core."),
            "{cause}"
        );
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    for props in [&[("schemas.enable", "false")][..], &[]] {
        for deep in [
            "[".repeat(10_000),
            "{\"a\":".repeat(10_000),
            format!("{{\"schema\":null,\"payload\":{}", "[".repeat(10_000)),
            format!("{{\"schema\":{}", "{\"items\":".repeat(10_000)),
        ] {
            let error = try_decode(props, deep.as_bytes()).expect_err("too deep");
            let cause = error.source.expect("a cause").to_string();
            assert!(
                cause.contains("Document nesting depth (1001) exceeds the maximum allowed (1000"),
                "{cause}"
            );
        }
    }
    let deepest = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let value = plain(&deepest);
    assert_eq!(payload(&Data::schemaless(value)), Ok(deepest));
}

#[test]
fn a_schema_from_the_configuration_is_for_bare_payloads() {
    let props = [(
        "schema.content",
        r#"{"type":"struct","fields":[{"type":"int8","field":"a"}]}"#,
    )];
    let data = try_decode(&props, br#"{"a":5}"#).expect("read");
    assert_eq!(
        data.value.as_struct().and_then(|v| v.get("a")),
        Some(&Value::Int8(5))
    );
    assert_eq!(
        try_decode(&[("schema.content", "")], b"{}")
            .expect_err("as without")
            .message,
        NO_ENVELOPE
    );
    for bad in ["{", "{ \"string\" }", "{\"type\":\"nope\"}"] {
        let error = ConverterPlugin::create(
            &JsonConverterPlugin,
            &Props::from_iter([("schema.content", bad)]),
            false,
        )
        .err()
        .expect("refused");
        assert!(
            error
                .message
                .starts_with("schema.content is not a schema: "),
            "{}",
            error.message
        );
    }
}

#[test]
fn wrong_configuration_is_refused() {
    let error = ConverterPlugin::create(
        &JsonConverterPlugin,
        &Props::from_iter([("decimal.format", "hex"), ("schemas.enable", "maybe")]),
        true,
    )
    .err()
    .expect("refused");
    assert!(
        error
            .message
            .contains("decimal.format: String must be one of (case insensitive): NUMERIC, BASE64"),
        "{}",
        error.message
    );
    assert!(
        error
            .message
            .contains("schemas.enable: Expected value to be either true or false"),
        "{}",
        error.message
    );
}

#[test]
fn more_schemas_than_the_cache_holds_are_read_and_written_all_the_same() {
    let mut converter = converter(&[("schemas.cache.size", "2")]);
    for round in 0..3 {
        for i in 0..5 {
            let text = format!(
                "{{\"schema\":{{\"type\":\"int32\",\"optional\":false,\"name\":\"n{i}\"}},\"payload\":{round}}}"
            );
            let Decoded::Data(data) = converter
                .decode(
                    "t",
                    &Headers::new(),
                    Some(&Blob::new(text.clone().into_bytes())),
                )
                .expect("read")
            else {
                panic!("data")
            };
            let mut out = Vec::new();
            converter
                .encode("t", &mut Headers::new(), &data, &mut out)
                .expect("written");
            assert_eq!(String::from_utf8(out).expect("UTF-8"), text);
        }
    }
}
