//! One hot path, a given number of times: what `tests/instructions.rs` counts the instructions of.
//!
//! `hot-paths PATH COUNT`, PATH one of `json`, `json-with-schema`, `pgoutput`.

use std::process::ExitCode;

use millrace_api::config::Props;
use millrace_api::data::{Data, Headers, Kind, Schema, SchemaBuilder, Struct, Value};
use millrace_api::plugin::{Converter, ConverterPlugin};
use millrace_converters::JsonConverterPlugin;
use pg_replication::pgoutput::{Cell, Decoder, Message, ProtoVersion};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_default();
    let count = arguments.next().and_then(|n| n.parse::<u32>().ok());
    let Some(count) = count else {
        eprintln!("hot-paths PATH COUNT");
        return ExitCode::FAILURE;
    };
    match path.as_str() {
        "json" => json(count, "false"),
        "json-with-schema" => json(count, "true"),
        "pgoutput" => pgoutput(count),
        other => {
            eprintln!("'{other}' is not one of json, json-with-schema, pgoutput");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// An event of ten columns into a buffer that is used again.
fn json(count: u32, schemas: &str) {
    let props = Props::from_iter([("schemas.enable", schemas)]);
    let mut converter: Box<dyn Converter> = match JsonConverterPlugin.create(&props, false) {
        Ok(converter) => converter,
        Err(error) => return eprintln!("{error}"),
    };
    let event = event();
    let mut headers = Headers::new();
    let mut out = Vec::with_capacity(16 * 1024);
    let mut bytes = 0;
    for _ in 0..count {
        out.clear();
        if let Err(error) = converter.encode("t", &mut headers, &event, &mut out) {
            return eprintln!("{error}");
        }
        bytes += out.len();
    }
    println!("{bytes} bytes");
}

fn event() -> Data {
    let mut row = SchemaBuilder::structure().name("t.Value").optional(true);
    let mut values = Vec::new();
    for i in 0..5 {
        row = row
            .field(format!("number{i}"), Schema::int64())
            .field(format!("text{i}"), Schema::string().to_optional());
        values.push(Value::Int64(1_000_003 * i));
        values.push(Value::from("thirty-two characters of text ..."));
    }
    let row = row.build_valid();
    let envelope = SchemaBuilder::structure()
        .name("t.Envelope")
        .version(2)
        .field("before", row.clone())
        .field("after", row.clone())
        .field("op", SchemaBuilder::new(Kind::String).build_valid())
        .field("ts_ms", Schema::int64().to_optional())
        .build_valid();
    let after = Struct::new(row, values);
    let members = vec![
        Value::Null,
        after.into(),
        Value::from("c"),
        Value::Int64(1_700_000_000_000),
    ];
    Data::new(envelope.clone(), Struct::new(envelope, members))
}

/// An insert of ten columns, decoded and walked.
fn pgoutput(count: u32) {
    let mut message = vec![b'I', 0, 0, 0x40, 0, b'N', 0, 10];
    for i in 0..10u8 {
        if i == 7 {
            message.push(b'n');
            continue;
        }
        let text = b"twenty bytes of text";
        message.push(b't');
        message.extend_from_slice(&(text.len() as u32).to_be_bytes());
        message.extend_from_slice(text);
    }
    let mut decoder = Decoder::new(ProtoVersion::V1);
    let mut bytes = 0;
    for _ in 0..count {
        let Ok(Message::Insert(insert)) = decoder.decode(&message) else {
            return eprintln!("the message is not an insert");
        };
        for cell in insert.new.cells() {
            if let Cell::Text(range) = cell {
                bytes += insert.new.bytes(range).len();
            }
        }
    }
    println!("{bytes} bytes");
}
