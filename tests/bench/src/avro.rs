//! The Avro converter beside apache-avro: one record of twenty fields, eight required and twelve nullable.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use apache_avro::Schema as AvroSchema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as AvroValue;
use apache_avro::writer::datum::GenericDatumWriter;
use millrace_api::config::Props;
use millrace_api::data::{Blob, Data, Headers, Schema, SchemaBuilder, Struct, Value};
use millrace_api::plugin::{Converter, ConverterPlugin, Decoded, Encoded};
use millrace_avro_converter::AvroConverterPlugin;
use millrace_log::memory::MemoryLog;
use registry_client::Registries;
use schema_registry::{RegistryOptions, RegistryServer};

use crate::figures::{Figures, Must};

const RECORDS: u32 = 500_000;
const PEER_RECORDS: u32 = 50_000;
const URL: &str = "http://bench.invalid:8081";

pub(crate) async fn measure(figures: &mut Figures) -> Result<()> {
    let options = RegistryOptions::from_properties(&Props::from_iter([("listeners", "")]))?;
    let server = RegistryServer::start(MemoryLog::new(1), options).await?;
    let registries = Registries::new();
    registries.add_local(&[URL.to_owned()], server.local());
    let props = Props::from_iter([("schema.registry.url", URL)]);
    let mut converter = AvroConverterPlugin::new(registries)
        .create(&props, false)
        .map_err(|e| anyhow::anyhow!("{e}"))?;

    let data = record();
    let mut out = Vec::with_capacity(4096);
    let mut headers = Headers::new();
    encode_once(&mut *converter, &mut headers, &data, &mut out).await?;
    let payload = Blob::from(out.clone());
    let encode = best_of_three(RECORDS, || {
        out.clear();
        let encoded = converter.encode("bench", &mut headers, black_box(&data), &mut out);
        matches!(encoded, Ok(Encoded::Written))
    })?;
    decode_once(&mut *converter, &payload).await?;
    let none = Headers::new();
    let decode = best_of_three(RECORDS, || {
        let decoded = converter.decode("bench", &none, black_box(Some(&payload)));
        matches!(black_box(decoded), Ok(Decoded::Data(_)))
    })?;

    // The same datum by the peer: behind magic byte and id.
    let text = server_text(&server).await?;
    let schema = AvroSchema::parse_str(&text)?;
    let body = payload[5..].to_vec();
    let reader = GenericDatumReader::builder(&schema).build()?;
    let writer = GenericDatumWriter::builder(&schema).build()?;
    let value = reader.read_value(&mut &body[..])?;
    ensure!(
        writer.write_value_to_vec(value.clone())? == body,
        "apache-avro writes other bytes than the converter"
    );
    // Its input is made of the same row: that is part of writing a record, as it is for the converter.
    let AvroValue::Record(fields) = value else {
        bail!("the record is no record");
    };
    let peer_encode = best_of_three(PEER_RECORDS, || {
        let value = AvroValue::Record(black_box(&fields).clone());
        black_box(writer.write_value_to_vec(value)).is_ok()
    })?;
    let peer_decode = best_of_three(PEER_RECORDS, || {
        black_box(reader.read_value(&mut black_box(&body[..]))).is_ok()
    })?;
    println!(
        "Avro, 20 fields, {} bytes: encode {encode:.0} ns, decode {decode:.0} ns; apache-avro {peer_encode:.0} and {peer_decode:.0} ns",
        body.len()
    );
    figures.add(
        "Avro: encode 20 fields",
        encode / 1e3,
        "µs",
        Must::AtMost(0.25),
    );
    figures.add(
        "Avro: decode 20 fields",
        decode / 1e3,
        "µs",
        Must::AtMost(0.4),
    );
    figures.add(
        "Avro: apache-avro's encode time ÷ ours",
        peer_encode / encode,
        "",
        Must::AtLeast(10.0),
    );
    figures.add(
        "Avro: apache-avro's decode time ÷ ours",
        peer_decode / decode,
        "",
        Must::AtLeast(10.0),
    );
    server.stop().await;
    Ok(())
}

/// Nanoseconds per call.
fn best_of_three(count: u32, mut call: impl FnMut() -> bool) -> Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        for _ in 0..count {
            if !call() {
                bail!("a record is not converted");
            }
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / f64::from(count));
    }
    Ok(best)
}

async fn encode_once(
    converter: &mut dyn Converter,
    headers: &mut Headers,
    data: &Data,
    out: &mut Vec<u8>,
) -> Result<()> {
    loop {
        out.clear();
        match converter.encode("bench", headers, data, out) {
            Ok(Encoded::Written) => return Ok(()),
            Ok(Encoded::NeedsSchema(need)) => converter
                .prepare(need)
                .await
                .map_err(|e| anyhow::anyhow!("{e}"))?,
            Ok(Encoded::Null) => bail!("the record became null"),
            Err(error) => bail!("{error}"),
        }
    }
}

async fn decode_once(converter: &mut dyn Converter, payload: &Blob) -> Result<()> {
    loop {
        match converter.decode("bench", &Headers::new(), Some(payload)) {
            Ok(Decoded::Data(_)) => return Ok(()),
            Ok(Decoded::NeedsSchema(need)) => converter
                .prepare(need)
                .await
                .map_err(|e| anyhow::anyhow!("{e}"))?,
            Err(error) => bail!("{error}"),
        }
    }
}

async fn server_text(server: &RegistryServer) -> Result<String> {
    let found = server.local().version("bench-value", None).await?;
    Ok(found.text.to_string())
}

/// Eight required fields and twelve that may be null, three of which are.
fn record() -> Data {
    let mut schema = SchemaBuilder::structure().name("bench.public.orders.Value");
    let mut values = Vec::new();
    let required: [(&str, Schema, Value); 8] = [
        ("id", Schema::int64(), Value::Int64(123_456_789)),
        ("customer", Schema::int32(), Value::Int32(4_711)),
        ("status", Schema::string(), Value::from("delivered")),
        ("placed", Schema::int64(), Value::Int64(1_767_225_600_000)),
        ("paid", Schema::boolean(), Value::Boolean(true)),
        ("total", Schema::float64(), Value::Float64(129.95)),
        ("currency", Schema::string(), Value::from("EUR")),
        ("lines", Schema::int32(), Value::Int32(3)),
    ];
    for (name, of, value) in required {
        schema = schema.field(name, of);
        values.push(value);
    }
    for i in 0..12 {
        let (of, value) = match i % 4 {
            0 => (Schema::string(), Value::from("some text of a column")),
            1 => (Schema::int64(), Value::Int64(9_876_543_210)),
            2 => (Schema::int32(), Value::Int32(77)),
            _ => (Schema::string(), Value::Null),
        };
        schema = schema.field(format!("nullable_{i}"), of.to_optional());
        values.push(value);
    }
    let schema = schema.build_valid();
    Data::new(schema.clone(), Struct::new(schema, values))
}
