//! Connect's variant: any JSON value in the binary form of Apache Parquet's variants, metadata (the dictionary of names) and value.

use std::collections::HashMap;

use java_idioms::Json;
use millrace_api::data::{Decimal, Value};

use crate::fault::{DATA, Fault, MAX_VALUE_DEPTH};

const NULL: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const INT32: u8 = 5;
const INT64: u8 = 6;
const DECIMAL4: u8 = 8;
const DECIMAL8: u8 = 9;
const DECIMAL16: u8 = 10;
const LONG_STRING: u8 = 16;
/// Longest string with its length in the header.
const SHORT_STRING: usize = 63;

/// Metadata and value of a JSON value.
pub(crate) fn encode(json: &Json) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let mut encoder = Encoder {
        names: HashMap::new(),
        order: Vec::new(),
        depth: 0,
    };
    let mut value = Vec::new();
    encoder.value(json, &mut value)?;
    Ok((encoder.metadata(), value))
}

struct Encoder<'j> {
    names: HashMap<&'j str, usize>,
    order: Vec<&'j str>,
    depth: usize,
}

fn put(value: usize, size: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value as u64).to_le_bytes()[..size]);
}

/// Bytes for a number up to `value`.
fn width(value: usize) -> usize {
    match value {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    }
}

fn primitive(kind: u8, out: &mut Vec<u8>) {
    out.push(kind << 2);
}

impl<'j> Encoder<'j> {
    fn metadata(&self) -> Vec<u8> {
        let total: usize = self.order.iter().map(|name| name.len()).sum();
        let size = width(total.max(self.order.len()));
        let mut out = vec![1 | ((size as u8 - 1) << 6)];
        put(self.order.len(), size, &mut out);
        let mut offset = 0;
        for name in &self.order {
            put(offset, size, &mut out);
            offset += name.len();
        }
        put(offset, size, &mut out);
        for name in &self.order {
            out.extend_from_slice(name.as_bytes());
        }
        out
    }

    fn value(&mut self, json: &'j Json, out: &mut Vec<u8>) -> Result<(), Fault> {
        match json {
            Json::Null => primitive(NULL, out),
            Json::Bool(true) => primitive(TRUE, out),
            Json::Bool(false) => primitive(FALSE, out),
            Json::String(text) => {
                if text.len() > SHORT_STRING {
                    primitive(LONG_STRING, out);
                    put(text.len(), 4, out);
                } else {
                    out.push((text.len() as u8) << 2 | 1);
                }
                out.extend_from_slice(text.as_bytes());
            }
            Json::Number(number) => match number.as_i64() {
                Some(value) => match i32::try_from(value) {
                    Ok(value) => {
                        primitive(INT32, out);
                        out.extend_from_slice(&value.to_le_bytes());
                    }
                    Err(_) => {
                        primitive(INT64, out);
                        out.extend_from_slice(&value.to_le_bytes());
                    }
                },
                None => decimal(number.literal(), out)?,
            },
            Json::Array(_) | Json::Object(_) => {
                if self.depth >= MAX_VALUE_DEPTH {
                    return Err(Fault::value_too_deep());
                }
                self.depth += 1;
                match json {
                    Json::Array(values) => self.array(values, out)?,
                    Json::Object(members) => self.object(members, out)?,
                    _ => {}
                }
                self.depth -= 1;
            }
        }
        Ok(())
    }

    fn array(&mut self, values: &'j [Json], out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut data = Vec::new();
        let mut offsets = Vec::with_capacity(values.len() + 1);
        for value in values {
            offsets.push(data.len());
            self.value(value, &mut data)?;
        }
        offsets.push(data.len());
        let large = values.len() > 0xff;
        let size = width(data.len());
        out.push((u8::from(large) << 2 | (size as u8 - 1)) << 2 | 3);
        put(values.len(), if large { 4 } else { 1 }, out);
        for offset in offsets {
            put(offset, size, out);
        }
        out.extend_from_slice(&data);
        Ok(())
    }

    fn object(&mut self, members: &'j java_idioms::Object, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut fields = Vec::with_capacity(members.len());
        let mut total = 0;
        for (name, value) in members {
            let next = self.order.len();
            let id = *self.names.entry(name).or_insert(next);
            if id == next {
                self.order.push(name);
            }
            let mut data = Vec::new();
            self.value(value, &mut data)?;
            total += data.len();
            fields.push((&**name, id, data));
        }
        // By name, as Java compares strings.
        fields.sort_by(|(a, _, _), (b, _, _)| a.encode_utf16().cmp(b.encode_utf16()));
        let large = fields.len() > 0xff;
        let id_size = width(fields.iter().map(|(_, id, _)| *id).max().unwrap_or(0));
        let size = width(total);
        let info = u8::from(large) << 4 | (id_size as u8 - 1) << 2 | (size as u8 - 1);
        out.push(info << 2 | 2);
        put(fields.len(), if large { 4 } else { 1 }, out);
        for (_, id, _) in &fields {
            put(*id, id_size, out);
        }
        let mut offset = 0;
        for (_, _, data) in &fields {
            put(offset, size, out);
            offset += data.len();
        }
        put(offset, size, out);
        for (_, _, data) in fields {
            out.extend_from_slice(&data);
        }
        Ok(())
    }
}

/// Numbers that are no 64-bit integers are decimals, of the size their digits need.
fn decimal(literal: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let wrong = || {
        Fault::new(
            DATA,
            format!(
                "a variant cannot hold the number {}: 38 digits and a scale of -128 to 127 are the most",
                literal.chars().take(80).collect::<String>()
            ),
        )
    };
    let decimal: Decimal = literal.parse().map_err(|_| wrong())?;
    let unscaled = decimal.unscaled_i128().ok_or_else(wrong)?;
    let scale = i8::try_from(decimal.scale()).map_err(|_| wrong())?;
    let digits = unscaled.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
    let (kind, size) = match digits {
        ..=9 => (DECIMAL4, 4),
        10..=18 => (DECIMAL8, 8),
        19..=38 => (DECIMAL16, 16),
        _ => return Err(wrong()),
    };
    primitive(kind, out);
    out.push(scale as u8);
    out.extend_from_slice(&unscaled.to_le_bytes()[..size]);
    Ok(())
}

/// The two values of a variant's struct.
pub(crate) fn parts(json: &Json) -> Result<[Value; 2], Fault> {
    let (metadata, value) = encode(json)?;
    Ok([Value::Bytes(metadata.into()), Value::Bytes(value.into())])
}
