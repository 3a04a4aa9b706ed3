//! Values as JSON text.

use millrace_api::data::{Decimal, Value, java_f32, java_f64};

use crate::base64;
use crate::fault::{Fault, MAX_VALUE_DEPTH};
use crate::variant_json;
use crate::write_plan::{OnNull, Op, PartId, WritePlan};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Appends a value; `false` when there is nothing to write.
pub(crate) fn write(
    plan: &WritePlan,
    part: PartId,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<bool, Fault> {
    Writer { plan, depth: 0 }.value(part, value, out)
}

struct Writer<'p> {
    plan: &'p WritePlan,
    depth: usize,
}

#[cold]
fn wrong(kind: &str, value: &Value) -> Fault {
    Fault::data(format!("Invalid type for {kind}: {}", value.java_class()))
}

#[cold]
fn wrong_logical(name: &str, expected: &str, value: &Value) -> Fault {
    Fault::data(format!(
        "Invalid type for {name}, expected {expected} but was {}",
        value.java_class()
    ))
}

fn integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

impl Writer<'_> {
    fn value(&mut self, id: PartId, value: &Value, out: &mut Vec<u8>) -> Result<bool, Fault> {
        let part = &self.plan.parts[id];
        if value.is_null() {
            match &part.null {
                OnNull::Default(text) => out.extend_from_slice(text),
                OnNull::Null => out.extend_from_slice(b"null"),
                OnNull::Nothing => return Ok(false),
                OnNull::Fault(fault) => return Err(fault.clone()),
            }
            return Ok(true);
        }
        match (&part.op, value) {
            (Op::Int8, Value::Int8(v)) => integer((*v).into(), out),
            (Op::Int16, Value::Int16(v)) => integer((*v).into(), out),
            (Op::Int32, Value::Int32(v)) => integer((*v).into(), out),
            (Op::Int64, Value::Int64(v)) => integer(*v, out),
            (Op::Float32, Value::Float32(v)) => {
                quoted_unless(v.is_finite(), out, |out| java_f32(*v, out));
            }
            (Op::Float64, Value::Float64(v)) => {
                quoted_unless(v.is_finite(), out, |out| java_f64(*v, out));
            }
            (Op::Boolean, Value::Boolean(v)) => {
                out.extend_from_slice(if *v { b"true" } else { b"false" });
            }
            (Op::String, Value::String(text)) => write_string(text, out),
            (Op::Bytes, Value::Bytes(bytes)) => {
                out.push(b'"');
                base64::encode(bytes, out);
                out.push(b'"');
            }
            (Op::Bytes | Op::NumericDecimal, Value::Decimal(decimal)) => {
                out.extend_from_slice(decimal.to_string().as_bytes());
            }
            (Op::Decimal(scale), Value::Decimal(decimal)) => base64_decimal(*scale, decimal, out)?,
            (Op::Decimal(_) | Op::NumericDecimal, other) => {
                return Err(wrong_logical("Decimal", "BigDecimal", other));
            }
            (Op::Moment(name), other) => {
                let value = other
                    .as_i64()
                    .ok_or_else(|| wrong_logical(name, "Date", other))?;
                if *name == "Time" && !(0..=DAY).contains(&value) {
                    return Err(Fault::data(
                        "Kafka Connect Time type should not have any date fields set to non-zero values.",
                    ));
                }
                integer(value, out);
            }
            (Op::Variant, Value::Struct(variant)) => variant_json::write(variant, out)?,
            (Op::Variant, other) => return Err(wrong_logical("Variant", "Struct", other)),
            _ => return self.nested(id, value, out),
        }
        Ok(true)
    }

    fn nested(&mut self, id: PartId, value: &Value, out: &mut Vec<u8>) -> Result<bool, Fault> {
        if self.depth >= MAX_VALUE_DEPTH {
            return Err(Fault::value_too_deep());
        }
        self.depth += 1;
        let written = self.container(id, value, out);
        self.depth -= 1;
        written
    }

    fn container(&mut self, id: PartId, value: &Value, out: &mut Vec<u8>) -> Result<bool, Fault> {
        match (&self.plan.parts[id].op, value) {
            (Op::Struct(schema, members), Value::Struct(of)) => {
                if of.schema() != schema {
                    return Err(Fault::data("Mismatching schema."));
                }
                out.push(b'{');
                let mut separator = 1;
                for (member, value) in members.iter().zip(of.values()) {
                    let before = out.len();
                    out.extend_from_slice(&member.prefix[separator..]);
                    if self.value(member.part, value, out)? {
                        separator = 0;
                    } else {
                        out.truncate(before);
                    }
                }
                out.push(b'}');
            }
            (Op::Array(element), Value::Array(values)) => {
                out.push(b'[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.or_null(*element, value, out)?;
                }
                out.push(b']');
            }
            (Op::Object(values), Value::Map(entries)) => {
                out.push(b'{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    match key {
                        Value::String(key) => write_string(key, out),
                        Value::Null => {
                            return Err(Fault::new(
                                "java.lang.NullPointerException",
                                "a key of a map is null, which an object cannot hold",
                            ));
                        }
                        other => return Err(wrong("STRING", other)),
                    }
                    out.push(b':');
                    self.or_null(*values, value, out)?;
                }
                out.push(b'}');
            }
            (Op::Entries(keys, values), Value::Map(entries)) => {
                out.push(b'[');
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.extend_from_slice(if index > 0 {
                        b",{\"key\":"
                    } else {
                        b"{\"key\":"
                    });
                    self.or_null(*keys, key, out)?;
                    out.extend_from_slice(b",\"value\":");
                    self.or_null(*values, value, out)?;
                    out.push(b'}');
                }
                out.push(b']');
            }
            (Op::Union(schema, fields), Value::Struct(of)) => {
                if of.schema() != schema {
                    return Err(Fault::data("Mismatching schema."));
                }
                for (field, value) in fields.iter().zip(of.values()) {
                    let has_default = matches!(self.plan.parts[*field].null, OnNull::Default(_));
                    if !value.is_null() || has_default {
                        return self.value(*field, value, out);
                    }
                }
                return self.value(id, &Value::Null, out);
            }
            (Op::Enclosing(part), value) => return self.container(*part, value, out),
            (op, value) => return Err(wrong(kind_of(op), value)),
        }
        Ok(true)
    }

    /// In arrays and maps, where nothing can be left out.
    fn or_null(&mut self, part: PartId, value: &Value, out: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.value(part, value, out)? {
            out.extend_from_slice(b"null");
        }
        Ok(())
    }
}

fn kind_of(op: &Op) -> &'static str {
    match op {
        Op::Int8 => "INT8",
        Op::Int16 => "INT16",
        Op::Int32 => "INT32",
        Op::Int64 => "INT64",
        Op::Float32 => "FLOAT32",
        Op::Float64 => "FLOAT64",
        Op::Boolean => "BOOLEAN",
        Op::String => "STRING",
        Op::Bytes | Op::Decimal(_) | Op::NumericDecimal => "BYTES",
        Op::Array(_) => "ARRAY",
        Op::Object(_) | Op::Entries(..) => "MAP",
        Op::Moment(name) => name,
        Op::Struct(..) | Op::Union(..) | Op::Enclosing(_) | Op::Variant => "STRUCT",
    }
}

fn base64_decimal(scale: Option<i32>, decimal: &Decimal, out: &mut Vec<u8>) -> Result<(), Fault> {
    let Some(scale) = scale else {
        return Err(Fault::data(
            "Invalid Decimal schema: scale parameter not found.",
        ));
    };
    if decimal.scale() != scale {
        return Err(Fault::data(format!(
            "Decimal value has mismatching scale for given Decimal. Schema has scale {scale}, value has scale {}.",
            decimal.scale()
        )));
    }
    out.push(b'"');
    match decimal.unscaled_i128() {
        // The usual case needs no buffer of its own.
        Some(unscaled) => {
            let bytes = unscaled.to_be_bytes();
            base64::encode(&bytes[redundant(&bytes)..], out);
        }
        None => base64::encode(&decimal.unscaled().to_signed_bytes_be(), out),
    }
    out.push(b'"');
    Ok(())
}

/// How many leading bytes of a two's complement only repeat the sign.
fn redundant(bytes: &[u8; 16]) -> usize {
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
    bytes[..15]
        .iter()
        .zip(&bytes[1..])
        .take_while(|(byte, next)| **byte == sign && **next & 0x80 == sign & 0x80)
        .count()
}

fn quoted_unless(plain: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if plain {
        return write(out);
    }
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// Appends `text` in quotes as Jackson's generator of bytes does: what must be escaped is, and so are characters beyond the basic plane, as surrogates.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().copied().enumerate() {
        if (0x20..0xf0).contains(&byte) && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0xf0.. => {
                copied = at + 4;
                let mut units = [0; 2];
                for unit in text[at..copied]
                    .chars()
                    .next()
                    .unwrap_or_default()
                    .encode_utf16(&mut units)
                {
                    out.extend_from_slice(b"\\u");
                    for shift in [12, 8, 4, 0] {
                        out.push(HEX[usize::from(*unit >> shift & 15)]);
                    }
                }
            }
            control => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_jackson_does() {
        let mut out = Vec::new();
        write_string("a\"\\\n\u{1}\u{1f}é\u{7f}\u{2028}/\u{1F600}x", &mut out);
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "\"a\\\"\\\\\\n\\u0001\\u001Fé\u{7f}\u{2028}/\\uD83D\\uDE00x\""
        );
    }

    #[test]
    fn integers_over_their_whole_range() {
        for value in [0, 7, -1, 1234567890, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            integer(value, &mut out);
            assert_eq!(String::from_utf8(out).expect("text"), value.to_string());
        }
    }
}
