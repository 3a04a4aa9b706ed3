//! Compact JSON as Java's converter writes it: what Java workers compare byte for byte must come out the same here.

use millrace_api::data::{OffsetMap, OffsetValue, java_f64};
use serde_json::Value;

/// Appends `text` quoted. Jackson escapes control characters as `\u001F`, with capital digits; everything beyond ASCII stays as it is.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04X}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends `"name":` with a comma before it unless it is the first member.
pub(super) fn member(name: &str, first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    string(name, out);
    out.push(b':');
}

/// Appends text or null.
pub(super) fn optional_string(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => string(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends an offset or a partition in its own order.
pub(super) fn offset_map(map: &OffsetMap, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    for (name, value) in map {
        member(name, &mut first, out);
        match value {
            OffsetValue::Null => out.extend_from_slice(b"null"),
            OffsetValue::Boolean(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
            OffsetValue::Int(v) => out.extend_from_slice(v.to_string().as_bytes()),
            // Jackson quotes what JSON has no number for.
            OffsetValue::Float(v) if !v.is_finite() => {
                out.push(b'"');
                java_f64(*v, out);
                out.push(b'"');
            }
            OffsetValue::Float(v) => java_f64(*v, out),
            OffsetValue::String(v) => string(v, out),
        }
    }
    out.push(b'}');
}

/// Reads an offset or partition map. The error names the member.
pub fn read_offset_map(value: &Value) -> Result<OffsetMap, String> {
    let Value::Object(members) = value else {
        return Err("Offsets must be specified as a Map".to_owned());
    };
    members
        .iter()
        .map(|(name, value)| Ok((name.clone(), read_offset_value(name, value)?)))
        .collect()
}

fn read_offset_value(name: &str, value: &Value) -> Result<OffsetValue, String> {
    let refuse = |kind: &str| {
        Err(format!(
            "Offsets may only contain primitive types as values, but field {name} contains {kind}"
        ))
    };
    Ok(match value {
        Value::Null => OffsetValue::Null,
        Value::Bool(v) => OffsetValue::Boolean(*v),
        Value::String(v) => OffsetValue::String(v.clone()),
        Value::Number(v) => match (v.as_i64(), v.as_f64()) {
            (Some(v), _) => OffsetValue::Int(v),
            (None, _) if v.is_u64() => return refuse("class java.math.BigInteger"),
            (None, Some(v)) => OffsetValue::Float(v),
            (None, None) => return refuse("class java.math.BigInteger"),
        },
        Value::Array(_) => return refuse("ARRAY"),
        Value::Object(_) => return refuse("MAP"),
    })
}

/// The same map as a JSON value, in its own order.
pub fn offset_map_value(map: &OffsetMap) -> Value {
    let members = map.iter().map(|(name, value)| {
        let value = match value {
            OffsetValue::Null => Value::Null,
            OffsetValue::Boolean(v) => Value::Bool(*v),
            OffsetValue::Int(v) => Value::from(*v),
            OffsetValue::Float(v) => {
                serde_json::Number::from_f64(*v).map_or(Value::Null, Value::Number)
            }
            OffsetValue::String(v) => Value::String(v.clone()),
        };
        (name.clone(), value)
    });
    Value::Object(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_jackson() {
        let map = OffsetMap::from_iter([
            (
                "filename".to_owned(),
                OffsetValue::from("a\"\\\n\u{1}\u{1f}é/"),
            ),
            ("b".to_owned(), OffsetValue::Int(1)),
            ("a".to_owned(), OffsetValue::Boolean(true)),
            ("f".to_owned(), OffsetValue::Float(1.5)),
            ("g".to_owned(), OffsetValue::Float(1e10)),
            ("n".to_owned(), OffsetValue::Null),
        ]);
        let mut out = Vec::new();
        offset_map(&map, &mut out);
        let text = String::from_utf8(out).expect("utf-8");
        assert_eq!(
            text,
            r#"{"filename":"a\"\\\n\u0001\u001Fé/","b":1,"a":true,"f":1.5,"g":1.0E10,"n":null}"#
        );
        let back = read_offset_map(&serde_json::from_str(&text).expect("json")).expect("map");
        assert_eq!(back, map);
    }

    #[test]
    fn only_primitives_are_offsets() {
        let error = |text: &str| {
            read_offset_map(&serde_json::from_str(text).expect("json")).expect_err("refused")
        };
        assert_eq!(error("[]"), "Offsets must be specified as a Map");
        assert_eq!(
            error(r#"{"position":{}}"#),
            "Offsets may only contain primitive types as values, but field position contains MAP"
        );
        assert_eq!(
            error(r#"{"p":18446744073709551615}"#),
            "Offsets may only contain primitive types as values, but field p contains class java.math.BigInteger"
        );
    }
}
