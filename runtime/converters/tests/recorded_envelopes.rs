//! Envelopes as a Java worker's JsonConverter wrote them (Kafka Connect 4.3.1, Debezium 3.7): what is read from one and written again is the same bytes.
//!
//! Positions and clocks in them were replaced by the number 17.

use bytes::Bytes;
use millrace_api::config::Props;
use millrace_api::data::{Blob, Data, Frame, Headers, Struct, Value};
use millrace_api::plugin::{Converter, ConverterPlugin, Decoded};
use millrace_converters::JsonConverterPlugin;

const RECORDED: &str = include_str!("data/recorded_envelopes.jsonl");

fn converter(props: &[(&str, &str)]) -> Box<dyn Converter> {
    let props: Props = props.iter().copied().collect();
    ConverterPlugin::create(&JsonConverterPlugin, &props, false).expect("a converter")
}

fn decode(converter: &mut dyn Converter, bytes: &str) -> Data {
    let frame = Frame::new(Bytes::copy_from_slice(bytes.as_bytes()));
    let blob = frame.slice(0, bytes.len() as u32).expect("the frame");
    match converter
        .decode("t", &Headers::new(), Some(&blob))
        .expect(bytes)
    {
        Decoded::Data(data) => data,
        Decoded::NeedsSchema(_) => panic!("JSON needs no registry"),
    }
}

fn encode(converter: &mut dyn Converter, data: &Data) -> String {
    let mut out = Vec::new();
    converter
        .encode("t", &mut Headers::new(), data, &mut out)
        .expect("encoded");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn envelopes_survive_reading_and_writing() {
    let mut converter = converter(&[]);
    for line in RECORDED.lines() {
        let data = decode(&mut *converter, line);
        assert_eq!(encode(&mut *converter, &data), line);
    }
}

#[test]
fn payloads_are_the_same_without_envelopes() {
    let (mut with, mut without) = (converter(&[]), converter(&[("schemas.enable", "false")]));
    for line in RECORDED.lines() {
        let data = decode(&mut *with, line);
        let payload = encode(&mut *without, &data);
        assert!(
            line.ends_with(&format!(",\"payload\":{payload}}}")),
            "{line}\n{payload}"
        );
        // Read without a schema, written without a schema: still the same text, but for what JSON numbers do not keep.
        let plain = decode(&mut *without, &payload);
        let again = encode(&mut *without, &plain);
        assert_eq!(decode(&mut *without, &again), plain);
    }
}

/// Every text in an envelope that has no escapes is a slice of what was read, not a copy.
#[test]
fn text_is_sliced_from_the_frame() {
    fn texts(value: &Value, found: &mut Vec<Blob>) {
        match value {
            Value::String(text) => found.push(text.clone().into_blob()),
            Value::Struct(v) => v.values().iter().for_each(|v| texts(v, found)),
            Value::Array(v) => v.iter().for_each(|v| texts(v, found)),
            _ => {}
        }
    }
    let document = r#"{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"a"},{"type":"array","items":{"type":"string","optional":true},"optional":false,"field":"b"}],"optional":false},"payload":{"a":"one","b":["two",null,"thrée"]}}"#;
    let frame = Frame::new(Bytes::from_static(document.as_bytes()));
    let blob = frame.slice(0, document.len() as u32).expect("the frame");
    let mut converter = converter(&[]);
    let Decoded::Data(data) = converter
        .decode("t", &Headers::new(), Some(&blob))
        .expect("decoded")
    else {
        panic!("data")
    };
    let mut found = Vec::new();
    texts(&data.value, &mut found);
    assert_eq!(found.len(), 3);
    let whole = document.as_bytes().as_ptr_range();
    assert!(found.iter().all(|text| whole.contains(&text.as_ptr())));
    assert!(
        data.value
            .as_struct()
            .and_then(|v: &Struct| v.get("a"))
            .and_then(Value::as_str)
            == Some("one")
    );
}
