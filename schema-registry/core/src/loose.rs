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

/// What is open around a place of the text.
struct Open {
    hash: u64,
    /// Of the member whose value comes next; `None` in an array.
    name: Option<u64>,
    /// Whether the order of the elements does not count.
    unordered: bool,
}

/// Members in any order, aliases too; numbers by value, so that the spelling does not count. A registration may need thousands of these, so the text is hashed as it is gone through,
/// without a tree. Texts that are no JSON get some hash.
fn json(text: &str) -> u64 {
    let source = text.as_bytes();
    let mut open: Vec<Open> = Vec::new();
    let mut root = 0;
    let mut at = 0;
    // The name `aliases` was the last one.
    let mut aliases = false;
    while let Some(byte) = source.get(at) {
        let value = match byte {
            b'{' | b'[' => {
                let array = *byte == b'[';
                open.push(Open {
                    hash: match (array, aliases) {
                        (false, _) => 7,
                        (true, false) => 6,
                        (true, true) => 8,
                    },
                    name: (!array).then_some(0),
                    unordered: array && aliases,
                });
                aliases = false;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                at += 1;
                match open.pop() {
                    Some(closed) => closed.hash,
                    None => continue,
                }
            }
            b'"' => {
                let from = at + 1;
                let mut to = from;
                let mut escapes = false;
                while let Some(byte) = source.get(to).filter(|byte| **byte != b'"') {
                    let escape = *byte == b'\\';
                    escapes |= escape;
                    to += if escape { 2 } else { 1 };
                }
                at = (to + 1).min(source.len());
                let to = to.min(source.len());
                let hash = if escapes {
                    match text.get(from - 1..at).map(|t| Json::read(t, options())) {
                        Some(Ok(Json::String(plain))) => bytes(plain.as_bytes()),
                        _ => bytes(&source[from..to]),
                    }
                } else {
                    bytes(&source[from..to])
                };
                while source.get(at).is_some_and(u8::is_ascii_whitespace) {
                    at += 1;
                }
                if source.get(at) == Some(&b':') {
                    at += 1;
                    aliases = &source[from..to] == b"aliases";
                    if let Some(object) = open.last_mut() {
                        object.name = Some(hash);
                    }
                    continue;
                }
                mix(5, hash)
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                let from = at;
                while source
                    .get(at)
                    .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.'))
                {
                    at += 1;
                }
                let word = &text[from..at];
                match word {
                    "null" => 1,
                    "false" => 2,
                    "true" => 3,
                    number => match number.parse::<f64>() {
                        Ok(value) => mix(4, value.to_bits()),
                        Err(_) => mix(4, bytes(word.as_bytes())),
                    },
                }
            }
            _ => {
                at += 1;
                continue;
            }
        };
        aliases = false;
        match open.last_mut() {
            None => root = mix(root, value),
            Some(Open {
                hash,
                name: Some(name),
                ..
            }) => *hash = hash.wrapping_add(mix(*name, value)),
            Some(array) if array.unordered => array.hash = array.hash.wrapping_add(value),
            Some(array) => array.hash = mix(array.hash, value),
        }
    }
    root
}

/// The hash of a content. `parse` gives the parsed schema where the text alone does not do.
pub(crate) fn of(content: &Content, parse: impl FnOnce() -> Option<ParsedSchema>) -> u64 {
    *content.loose.get_or_init(|| match content.schema_type {
        TypeName::Known(SchemaType::Avro | SchemaType::Json) => json(&content.text),
        TypeName::Known(SchemaType::Protobuf) => match parse() {
            Some(schema) => bytes(schema.canonical().as_bytes()),
            None => bytes(content.text.as_bytes()),
        },
        TypeName::Other(_) => bytes(content.text.as_bytes()),
    })
}

fn options() -> ReadOptions {
    ReadOptions {
        max_string: usize::MAX,
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
        assert_eq!(
            hash(r#"{"doc":"\u00e9\"\/","a":{"b":1}}"#),
            hash(r#"{"a":{"b":1.0},"doc":"é\"/"}"#)
        );
        for bad in [
            "", "]", "}{", "\"", "\"\\", "[\"a\\", "{\"a\":", "-é", "é\\\"é",
        ] {
            hash(bad);
        }
        assert_ne!(hash(r#"{"a":"b"}"#), hash(r#"{"b":"a"}"#));
        assert_ne!(
            hash(r#"{"a":{"x":1},"b":{"x":2}}"#),
            hash(r#"{"a":{"x":2},"b":{"x":1}}"#)
        );
    }
}
