//! How long it takes to read and to write a record of 20 fields:
//! `cargo run --profile bench-run -p millrace-json-schema-converter --example decode_speed`

use std::hint::black_box;
use std::time::Instant;

use millrace_api::data::{Blob, Data, Headers, Schema, SchemaBuilder, Struct, Value};
use millrace_api::plugin::{Decoded, Encoded};
use millrace_json_schema_converter::JsonSchemaConverterPlugin;
use registry_client::memory::ConverterInMemory;

const ROUNDS: u32 = 200_000;

/// Twenty columns as a table has them.
fn record() -> Data {
    let optional = |schema: Schema| schema.to_optional();
    let columns = [
        ("id", Schema::int64(), Value::Int64(1_234_567)),
        ("customer", Schema::int64(), Value::Int64(99_887_766)),
        ("name", Schema::string(), Value::from("Sample of a name")),
        (
            "email",
            optional(Schema::string()),
            Value::from("somebody@example.org"),
        ),
        (
            "street",
            optional(Schema::string()),
            Value::from("A longer street 123"),
        ),
        ("city", optional(Schema::string()), Value::from("Köln")),
        ("country", Schema::string(), Value::from("DE")),
        ("active", Schema::boolean(), Value::Boolean(true)),
        ("vip", optional(Schema::boolean()), Value::Null),
        ("age", optional(Schema::int32()), Value::Int32(42)),
        ("level", Schema::int16(), Value::Int16(7)),
        ("balance", Schema::float64(), Value::Float64(1234.56)),
        ("rating", optional(Schema::float32()), Value::Float32(4.5)),
        ("created", Schema::int64(), Value::Int64(1_700_000_000_000)),
        (
            "updated",
            optional(Schema::int64()),
            Value::Int64(1_700_000_123_456),
        ),
        ("deleted", optional(Schema::int64()), Value::Null),
        (
            "note",
            optional(Schema::string()),
            Value::from("said \"no\"\nthen left"),
        ),
        (
            "avatar",
            optional(Schema::bytes()),
            Value::Bytes(Blob::from(vec![7_u8; 24])),
        ),
        ("score", Schema::int32(), Value::Int32(-5)),
        ("source", Schema::string(), Value::from("import")),
    ];
    let mut builder = SchemaBuilder::structure().name("bench.Customer");
    for (name, schema, _) in &columns {
        builder = builder.field(*name, schema.clone());
    }
    let schema = builder.build_valid();
    let values: Vec<Value> = columns.into_iter().map(|(_, _, value)| value).collect();
    Data {
        schema: Some(schema.clone()),
        value: Value::Struct(Struct::new(schema, values)),
    }
}

fn report(what: &str, bytes: usize, mut round: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            round();
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(ROUNDS));
    }
    println!("{what:<40} {:>7.3} µs  ({bytes} bytes)", best * 1e6);
}

fn main() {
    let data = record();
    let mut fixture = ConverterInMemory::<JsonSchemaConverterPlugin>::new(&[], false);
    let written = fixture.write(&data).expect("a record that can be written");
    let payload = Blob::from(written.expect("bytes"));
    let read = fixture.read(&payload).expect("a record that can be read");
    assert_eq!(format!("{:?}", read.value), format!("{:?}", data.value));
    let (mut headers, mut out) = (Headers::new(), Vec::new());
    let converter = &mut fixture.converter;
    report("encode", payload.len(), || {
        out.clear();
        let encoded = converter.encode("t", &mut headers, black_box(&data), &mut out);
        assert!(matches!(encoded, Ok(Encoded::Written)));
    });
    report("decode, members in field order", payload.len(), || {
        let decoded = converter.decode("t", &headers, Some(black_box(&payload)));
        assert!(matches!(black_box(decoded), Ok(Decoded::Data(_))));
    });
    // As another writer would lay them out: in the order of a hash map.
    let text = String::from_utf8(payload[5..].to_vec()).expect("text");
    let json = java_idioms::Json::read(&text, java_idioms::json::ReadOptions::default());
    let json = json.expect("JSON");
    let members = json.as_object().expect("an object").iter();
    let shuffled = java_idioms::hash_order(members, |(name, _)| name);
    let shuffled: java_idioms::Object = shuffled
        .into_iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut bytes = payload[..5].to_vec();
    bytes.extend_from_slice(java_idioms::Json::from(shuffled).to_text().as_bytes());
    let payload = Blob::from(bytes);
    report("decode, members in another order", payload.len(), || {
        let decoded = converter.decode("t", &headers, Some(black_box(&payload)));
        assert!(matches!(black_box(decoded), Ok(Decoded::Data(_))));
    });
}
