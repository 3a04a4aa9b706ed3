use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_api::data::{Schema, Value, java_f32, java_f64};

use crate::java_text::{put, write_integer};
use crate::temporal::{millis_of, write_temporal};

/// Appends the text of a value (Java's `Values.convertToString`). `schema` only tells Connect's temporal types from numbers.
pub fn write_text(schema: Option<&Schema>, value: &Value, out: &mut Vec<u8>) {
    append(schema, value, false, out);
}

/// Inside of a list, map or struct, text has quotes.
fn append(schema: Option<&Schema>, value: &Value, embedded: bool, out: &mut Vec<u8>) {
    if let Some(millis) = schema.and_then(|schema| millis_of(schema, value)) {
        write_temporal(millis, out);
        return;
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        Value::Int8(v) => write_integer(*v, out),
        Value::Int16(v) => write_integer(*v, out),
        Value::Int32(v) => write_integer(*v, out),
        Value::Int64(v) => write_integer(*v, out),
        Value::Float32(v) => java_f32(*v, out),
        Value::Float64(v) => java_f64(*v, out),
        Value::Decimal(v) => put(out, format_args!("{v}")),
        Value::String(v) if embedded => quoted(v, out),
        Value::String(v) => out.extend_from_slice(v.as_bytes()),
        Value::Bytes(v) => {
            let text = STANDARD.encode(&**v);
            let quote: &[u8] = if embedded { b"\"" } else { b"" };
            out.extend_from_slice(quote);
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(quote);
        }
        Value::Array(values) => {
            out.push(b'[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                append(schema.and_then(Schema::value_schema), value, true, out);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            out.push(b'{');
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                append(schema.and_then(Schema::key_schema), key, true, out);
                out.push(b':');
                append(schema.and_then(Schema::value_schema), value, true, out);
            }
            out.push(b'}');
        }
        Value::Struct(value) => {
            out.push(b'{');
            for (i, (field, value)) in value
                .schema()
                .fields()
                .iter()
                .zip(value.values())
                .enumerate()
            {
                if i > 0 {
                    out.push(b',');
                }
                quoted(&field.name, out);
                out.push(b':');
                let value = if value.is_null() {
                    field.schema.default().unwrap_or(value)
                } else {
                    value
                };
                append(Some(&field.schema), value, true, out);
            }
            out.push(b'}');
        }
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}
