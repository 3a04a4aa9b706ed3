//! A hash that is equal for all texts that are the same schema after parsing. It says no cheaply; a yes is checked by comparing parsed schemas.

use java_idioms::json::{Json, ReadOptions};
use registry_formats::{ParsedSchema, SchemaType};

use crate::content::{Content, TypeName};

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(hash: u64, value: u64) -> u64 {
    let mut x = (hash ^ value).wrapping_mul(SEED);
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ (x >> 32)
}

fn bytes(text: &[u8]) -> u64 {
    let mut hash = SEED ^ text.len() as u64;
    let mut chunks = text.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    let mut word = [0; 8];
    word[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix(hash, u64::from_le_bytes(word))
}

/// Members in any order, aliases too; numbers by value, so that the spelling does not count. The reader limits the depth.
fn json(value: &Json) -> u64 {
    match value {
        Json::Null => 1,
        Json::Bool(false) => 2,
        Json::Bool(true) => 3,
        Json::Number(number) => mix(4, number.as_f64().to_bits()),
        Json::String(text) => mix(5, bytes(text.as_bytes())),
        Json::Array(values) => values.iter().fold(6, |hash, value| mix(hash, json(value))),
        Json::Object(members) => members.iter().fold(7, |hash, (name, value)| {
            let value = match (&**name, value) {
                ("aliases", Json::Array(values)) => values
                    .iter()
                    .fold(8, |hash: u64, value| hash.wrapping_add(json(value))),
                (_, value) => json(value),
            };
            hash.wrapping_add(mix(bytes(name.as_bytes()), value))
        }),
    }
}

/// The hash of a content. `parse` gives the parsed schema where the text alone does not do.
pub(crate) fn of(content: &Content, parse: impl FnOnce() -> Option<ParsedSchema>) -> u64 {
    *content.loose.get_or_init(|| match content.schema_type {
        TypeName::Known(SchemaType::Avro | SchemaType::Json) => {
            match Json::read(&content.text, options()) {
                Ok(value) => json(&value),
                // Does not parse, so nothing equals it but itself.
                Err(_) => bytes(content.text.as_bytes()),
            }
        }
        TypeName::Known(SchemaType::Protobuf) => match parse() {
            Some(schema) => bytes(schema.canonical().as_bytes()),
            None => bytes(content.text.as_bytes()),
        },
        TypeName::Other(_) => bytes(content.text.as_bytes()),
    })
}

fn options() -> ReadOptions {
    ReadOptions {
        comments: true,
        max_number: usize::MAX,
        // Deeper texts are compared by their bytes.
        max_depth: 300,
        ..ReadOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> u64 {
        of(
            &Content::new(
                TypeName::Known(SchemaType::Avro),
                text.into(),
                Vec::new(),
                None,
                None,
            ),
            || None,
        )
    }

    #[test]
    fn orders_that_do_not_count() {
        assert_eq!(
            hash(r#"{"type":"int","a":1,"b":[1,2]}"#),
            hash(r#"{"b":[1,2],"type":"int","a":1.0}"#)
        );
        assert_eq!(
            hash(r#"{"aliases":["x","y"]}"#),
            hash(r#"{"aliases":["y","x"]}"#)
        );
        assert_ne!(
            hash(r#"{"fields":["x","y"]}"#),
            hash(r#"{"fields":["y","x"]}"#)
        );
        assert_ne!(hash(r#"{"a":"b"}"#), hash(r#"{"b":"a"}"#));
        assert_ne!(
            hash(r#"{"a":{"x":1},"b":{"x":2}}"#),
            hash(r#"{"a":{"x":2},"b":{"x":1}}"#)
        );
    }
}
