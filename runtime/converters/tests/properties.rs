//! What holds for all schemas, values and bytes.

use std::sync::Arc;

use millrace_api::config::Props;
use millrace_api::data::{
    Blob, Data, Decimal, Headers, Kind, Schema, SchemaBuilder, Struct, Value, logical,
};
use millrace_api::plugin::{Converter, ConverterPlugin, Decoded, HeaderConverter};
use millrace_converters::{JsonConverterPlugin, SimpleHeaderConverter};
use proptest::collection::vec;
use proptest::prelude::*;

fn converter(props: &[(&str, &str)]) -> Box<dyn Converter> {
    ConverterPlugin::create(
        &JsonConverterPlugin,
        &props.iter().copied().collect::<Props>(),
        false,
    )
    .expect("a converter")
}

fn decode(converter: &mut dyn Converter, bytes: &[u8]) -> Result<Data, String> {
    match converter
        .decode("t", &Headers::new(), Some(&Blob::new(bytes.to_vec())))
        .map_err(|e| e.to_string())?
    {
        Decoded::Data(data) => Ok(data),
        Decoded::NeedsSchema(_) => panic!("JSON needs no registry"),
    }
}

/// A schema and a value of it. Values are such that JSON keeps them: finite floats.
fn typed() -> impl Strategy<Value = (Schema, Value)> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(|v| (Schema::boolean(), Value::Boolean(v))),
        any::<i8>().prop_map(|v| (Schema::int8(), Value::Int8(v))),
        any::<i16>().prop_map(|v| (Schema::int16(), Value::Int16(v))),
        any::<i32>().prop_map(|v| (Schema::int32(), Value::Int32(v))),
        any::<i64>().prop_map(|v| (Schema::int64(), Value::Int64(v))),
        any::<i32>().prop_map(|v| (
            SchemaBuilder::new(Kind::Int32)
                .name(logical::DATE)
                .version(1)
                .build_valid(),
            Value::Int32(v)
        )),
        (0..=86_400_000).prop_map(|v| (
            SchemaBuilder::new(Kind::Int32)
                .name(logical::TIME)
                .version(1)
                .build_valid(),
            Value::Int32(v)
        )),
        any::<i64>().prop_map(|v| (
            SchemaBuilder::new(Kind::Int64)
                .name(logical::TIMESTAMP)
                .version(1)
                .build_valid(),
            Value::Int64(v)
        )),
        any::<f32>()
            .prop_filter("finite", |v| v.is_finite())
            .prop_map(|v| (Schema::float32(), Value::Float32(v))),
        any::<f64>()
            .prop_filter("finite", |v| v.is_finite())
            .prop_map(|v| (Schema::float64(), Value::Float64(v))),
        any::<String>().prop_map(|v| (Schema::string(), Value::from(v.as_str()))),
        vec(any::<u8>(), 0..40).prop_map(|v| (Schema::bytes(), Value::Bytes(v.into()))),
        (any::<i128>(), -5..40).prop_map(|(v, scale)| (
            logical::decimal(scale).build_valid(),
            Decimal::new(v, scale).into()
        )),
    ];
    scalar.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            // Elements of one schema: the same value some times.
            (inner.clone(), 0..4usize)
                .prop_map(|((s, v), n)| (Schema::array(s), Value::Array(Arc::new(vec![v; n])))),
            (inner.clone(), any::<String>()).prop_map(|((s, v), k)| (
                Schema::map(Schema::string(), s),
                Value::Map(Arc::new(vec![(k.as_str().into(), v)]))
            )),
            (inner.clone(), any::<i64>()).prop_map(|((s, v), k)| (
                Schema::map(Schema::int64(), s),
                Value::Map(Arc::new(vec![(k.into(), v)]))
            )),
            (
                vec((inner.clone(), any::<bool>()), 0..5),
                any::<Option<u8>>()
            )
                .prop_map(|(fields, version)| {
                    let mut builder = SchemaBuilder::structure().name("r\"é");
                    if let Some(version) = version {
                        builder = builder.version(version.into());
                    }
                    let mut values = Vec::new();
                    for (i, ((schema, value), null)) in fields.into_iter().enumerate() {
                        let schema = if null { schema.to_optional() } else { schema };
                        builder = builder.field(format!("f\\{i}"), schema.clone());
                        // A null is read as the default if there is one.
                        values.push(if null {
                            schema.default().cloned().unwrap_or(Value::Null)
                        } else {
                            value
                        });
                    }
                    let schema = builder.build_valid();
                    (schema.clone(), Struct::new(schema, values).into())
                }),
            // A default in place of a null; a struct's default is of a schema without that default, which Java cannot write either.
            inner
                .prop_filter("no struct", |(s, _)| s.kind() != Kind::Struct)
                .prop_map(|(s, v)| (
                    s.to_builder()
                        .optional(true)
                        .default(Some(v.clone()))
                        .build_valid(),
                    v
                )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_with_a_schema_is_read_again((schema, value) in typed(), numeric in any::<bool>()) {
        let mut converter = converter(&[("decimal.format", if numeric { "NUMERIC" } else { "BASE64" })]);
        let data = Data::new(schema, value);
        let mut out = Vec::new();
        converter.encode("t", &mut Headers::new(), &data, &mut out).expect("written");
        serde_json::from_slice::<serde::de::IgnoredAny>(&out).expect("JSON");
        let read = decode(&mut *converter, &out).expect("read");
        if numeric {
            // A number keeps the scale that it is written with, which is not always that of the value (1E+2): compare what is written.
            prop_assert_eq!(read.schema, data.schema);
        } else {
            prop_assert_eq!(&read, &data);
        }
    }

    #[test]
    fn what_is_written_without_schemas_is_read_as_plain_json((schema, value) in typed()) {
        let mut converter = converter(&[("schemas.enable", "false")]);
        let mut out = Vec::new();
        converter.encode("t", &mut Headers::new(), &Data::new(schema, value), &mut out).expect("written");
        let read = decode(&mut *converter, &out).expect("read");
        let mut again = Vec::new();
        converter.encode("t", &mut Headers::new(), &read, &mut again).expect("written again");
        prop_assert_eq!(decode(&mut *converter, &again).expect("read again"), read);
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
        for props in [&[][..], &[("schemas.enable", "false")]] {
            let mut converter = converter(props);
            let _ = decode(&mut *converter, &bytes);
            // Something close to an envelope gets further.
            let mut text = br#"{"schema":{"type":"struct","fields":[{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"},"default":1.5,"field":"a"},{"type":"map","keys":{"type":"int8"},"values":{"type":"string"},"optional":true,"field":"b"}]},"payload":{"a":"MDk=","b":[[1,"x\u00e9"]]}}"#.to_vec();
            let at = cut.index(text.len());
            let end = (at + bytes.len() % 5).min(text.len());
            text.splice(at..end, bytes.iter().copied().take(3));
            let _ = decode(&mut *converter, &text);
        }
        let _ = SimpleHeaderConverter.decode("t", "h", Some(&Blob::new(bytes)));
    }

    #[test]
    fn header_text_of_brackets_quotes_and_digits_is_read_or_refused(text in "[\\[\\]{}:,\"\\\\ 0-9a-z.TZ+-]{0,60}") {
        let data = SimpleHeaderConverter.decode("t", "h", Some(&Blob::new(text.into_bytes()))).expect("never an error");
        let mut out = Vec::new();
        SimpleHeaderConverter.encode("t", "h", &data, &mut out).expect("never an error");
    }

    #[test]
    fn headers_of_plain_text_stay(text in "[a-zA-Z ]{1,20}") {
        prop_assume!(!["null", "true", "false"].contains(&text.trim()));
        let data = Data::new(Schema::string(), text.as_str());
        let mut out = Vec::new();
        prop_assert!(SimpleHeaderConverter.encode("t", "h", &data, &mut out).expect("written"));
        prop_assert_eq!(SimpleHeaderConverter.decode("t", "h", Some(&Blob::new(out))).expect("read"), data);
    }
}
