//! Whatever Connect can say comes back as it was, and another library reads it too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use millrace_api::data::{
    Blob, Data, Decimal, Kind, Schema, SchemaBuilder, Struct, Text, Value, logical,
};
use millrace_avro_converter::AvroConverterPlugin;
use proptest::prelude::*;
use registry_client::memory::ConverterInMemory;

type Fixture = ConverterInMemory<AvroConverterPlugin>;

/// A schema and values of it.
#[derive(Debug, Clone)]
struct Sample {
    schema: Schema,
    values: Vec<Value>,
}

const VALUES: usize = 3;

fn sample<V>(schema: Schema, values: impl Strategy<Value = V>) -> impl Strategy<Value = Sample>
where
    V: Into<Value> + std::fmt::Debug,
{
    prop::collection::vec(values, VALUES).prop_map(move |values| Sample {
        schema: schema.clone(),
        values: values.into_iter().map(Into::into).collect(),
    })
}

fn leaf() -> BoxedStrategy<Sample> {
    let time = SchemaBuilder::new(Kind::Int32)
        .name(logical::TIME)
        .version(1)
        .build_valid();
    let fixed = SchemaBuilder::new(Kind::Bytes)
        .name("p.Fixed")
        .parameter("connect.fixed.size", "3")
        .build_valid();
    prop_oneof![
        sample(Schema::boolean(), any::<bool>()),
        sample(Schema::int8(), any::<i8>().prop_map(Value::Int8)),
        sample(Schema::int16(), any::<i16>().prop_map(Value::Int16)),
        sample(Schema::int32(), any::<i32>()),
        sample(Schema::int64(), any::<i64>()),
        sample(Schema::float32(), any::<f32>().prop_map(Value::Float32)),
        sample(Schema::float64(), any::<f64>()),
        sample(Schema::string(), ".{0,40}".prop_map(Text::new)),
        sample(
            Schema::bytes(),
            prop::collection::vec(any::<u8>(), 0..70).prop_map(Blob::from)
        ),
        sample(time, (0..86_400_000).prop_map(Value::Int32)),
        sample(fixed, any::<[u8; 3]>().prop_map(|b| Blob::from(&b[..]))),
        sample(
            logical::decimal(3).build_valid(),
            any::<i128>().prop_map(|v| Decimal::new(v, 3))
        ),
    ]
    .boxed()
}

fn optional(inner: impl Strategy<Value = Sample>) -> impl Strategy<Value = Sample> {
    (inner, any::<[bool; VALUES]>()).prop_map(|(sample, null)| {
        let schema = sample.schema.to_optional();
        let values = sample.values.into_iter().zip(null);
        let values = values.map(|(value, null)| match value {
            _ if null => Value::Null,
            Value::Struct(of) => Struct::new(schema.clone(), of.values().to_vec()).into(),
            other => other,
        });
        Sample {
            values: values.collect(),
            schema,
        }
    })
}

fn any_sample() -> impl Strategy<Value = Sample> {
    leaf().prop_recursive(4, 24, 5, |inner| {
        let inner = prop_oneof![inner.clone(), optional(inner)].boxed();
        prop_oneof![
            inner.clone().prop_map(|sample| Sample {
                schema: Schema::array(sample.schema),
                values: (0..VALUES)
                    .map(|n| Value::Array(Arc::new(sample.values[..n].to_vec())))
                    .collect(),
            }),
            inner.clone().prop_map(|sample| Sample {
                schema: Schema::map(Schema::string(), sample.schema),
                values: (0..VALUES)
                    .map(|n| {
                        let entries = sample.values[..n].iter().cloned().zip(["k", "b", "é"]);
                        Value::Map(Arc::new(entries.map(|(v, k)| (k.into(), v)).collect()))
                    })
                    .collect(),
            }),
            structure(inner),
        ]
    })
}

fn structure(inner: BoxedStrategy<Sample>) -> impl Strategy<Value = Sample> {
    prop::collection::vec(inner, 1..6).prop_map(|fields| {
        // Two structs of one name would be one record.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut builder = SchemaBuilder::structure().name(format!("p.S{number}"));
        for (at, field) in fields.iter().enumerate() {
            builder = builder.field(format!("f{at}"), field.schema.clone());
        }
        let schema = builder.build_valid();
        let values = (0..VALUES)
            .map(|n| {
                let values: Vec<Value> = fields.iter().map(|f| f.values[n].clone()).collect();
                Struct::new(schema.clone(), values).into()
            })
            .collect();
        Sample { schema, values }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn values_come_back(sample in any_sample()) {
        let mut fixture = Fixture::new(&[], false);
        for value in &sample.values {
            let data = Data::new(sample.schema.clone(), value.clone());
            let payload = fixture.write(&data).expect("written").expect("not null");
            let read = fixture.read(&payload).expect("read");
            let schema = read.schema.expect("a schema");
            prop_assert_eq!(schema.kind(), sample.schema.kind());
            prop_assert!(same(&read.value, value), "{:?} {:?}", read.value, value);

            // A string-keyed map inside: the order of entries is Java's, for which the other library does not care.
            let text = &fixture.registry.registered()[0].text;
            if **text != *"\"bytes\"" && !text.starts_with(r#"{"type":"bytes""#) {
                let schema = apache_avro::Schema::parse_str(text).expect("a schema");
                let mut rest = &payload[5..];
                let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build();
                reader.expect("a reader").read_value(&mut rest).expect("a datum");
                prop_assert!(rest.is_empty());
            }
        }
    }
}

/// Equal but for the schemas of structs, which reading gives a version, and the order of maps. NaN is NaN.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float32(a), Value::Float32(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::Float64(a), Value::Float64(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::Array(a), Value::Array(b)) => all_same(a, b),
        (Value::Struct(a), Value::Struct(b)) => {
            let names = |of: &Struct| -> Vec<Arc<str>> {
                of.schema()
                    .fields()
                    .iter()
                    .map(|f| Arc::clone(&f.name))
                    .collect()
            };
            names(a) == names(b) && all_same(a.values(), b.values())
        }
        (Value::Map(a), Value::Map(b)) => {
            let found = |(key, value): &(Value, Value)| {
                b.iter().any(|(k, v)| same(key, k) && same(value, v))
            };
            a.len() == b.len() && a.iter().all(found)
        }
        _ => a == b,
    }
}

fn all_same(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}
