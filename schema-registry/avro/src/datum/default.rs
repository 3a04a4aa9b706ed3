//! JSON defaults as data.

use java_idioms::{Json, Number};

use super::error::{DatumError, Problem};
use super::write::{
    write_block_end, write_block_start, write_boolean, write_bytes, write_double, write_fixed,
    write_float, write_int, write_length, write_long, write_string,
};
use crate::schema::{AvroSchema, Kind, TypeId};

/// Values and bytes of one default: nested records take their own defaults where a member is missing, so a few lines of schema can describe more than fits in memory.
const MOST_VALUES: usize = 100_000;
const MOST_BYTES: usize = 1 << 20;

/// Appends `default` as a datum of type `of`. Bytes and fixed values take the characters as Latin-1; a fixed value is cut or filled with zeros; a union takes the first branch that the value fits.
///
/// # Errors
/// The value does not fit, or it is too large.
pub fn write_default(
    schema: &AvroSchema,
    of: TypeId,
    default: &Json,
    out: &mut Vec<u8>,
) -> Result<(), DatumError> {
    Writer {
        schema,
        from: out.len(),
        values: 0,
    }
    .write(of, default, 0, out)
}

struct Writer<'a> {
    schema: &'a AvroSchema,
    from: usize,
    values: usize,
}

fn unwritable(why: String) -> DatumError {
    DatumError::new(0, Problem::Unwritable(why.into()))
}

fn misfit(expected: &str, found: &Json) -> DatumError {
    let mut found = found.to_text();
    if let Some((end, _)) = found.char_indices().nth(200) {
        found.truncate(end);
        found.push('…');
    }
    unwritable(format!(
        "the default {found} is no value of type {expected}"
    ))
}

/// A whole number, also one that is written with a point.
fn integer(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let value = number.as_f64();
        (value.fract() == 0.0 && value.abs() < 9.0e18).then_some(value as i64)
    })
}

/// A number, or one of those that JSON lacks, which the parser leaves as text.
fn floating(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => Some(number.as_f64()),
        Json::String(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(c as u32).unwrap_or(b'?'))
        .collect()
}

impl Writer<'_> {
    fn write(
        &mut self,
        of: TypeId,
        value: &Json,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), DatumError> {
        self.values += 1;
        if self.values > MOST_VALUES
            || out.len() - self.from > MOST_BYTES
            || depth > super::MAX_DEPTH
        {
            return Err(unwritable(
                "the default is too large or nested too deeply".to_owned(),
            ));
        }
        match (&self.schema.get(of).kind, value) {
            (Kind::Null, Json::Null) => {}
            (Kind::Boolean, Json::Bool(value)) => write_boolean(out, *value),
            (Kind::Int, Json::Number(number)) => {
                match integer(number).and_then(|value| i32::try_from(value).ok()) {
                    Some(value) => write_int(out, value),
                    None => return Err(misfit("int", value)),
                }
            }
            (Kind::Long, Json::Number(number)) => match integer(number) {
                Some(value) => write_long(out, value),
                None => return Err(misfit("long", value)),
            },
            (Kind::Float, value) if floating(value).is_some() => {
                write_float(out, floating(value).unwrap_or_default() as f32);
            }
            (Kind::Double, value) if floating(value).is_some() => {
                write_double(out, floating(value).unwrap_or_default());
            }
            (Kind::Bytes, Json::String(text)) => write_bytes(out, &latin1(text)),
            (Kind::String, Json::String(text)) => write_string(out, text),
            (Kind::Fixed(fixed), Json::String(text)) => {
                if fixed.size > MOST_BYTES {
                    return Err(unwritable("the default is too large".to_owned()));
                }
                let mut bytes = latin1(text);
                bytes.resize(fixed.size, 0);
                write_fixed(out, &bytes);
            }
            (Kind::Enum(of), Json::String(text)) => {
                match of.symbols.iter().position(|symbol| symbol == text) {
                    Some(index) => write_length(out, index),
                    None => {
                        return Err(unwritable(format!(
                            "the default {text} is no symbol of the enum {}",
                            of.name.full()
                        )));
                    }
                }
            }
            (Kind::Array(item), Json::Array(values)) => {
                write_block_start(out, values.len());
                for value in values {
                    self.write(*item, value, depth + 1, out)?;
                }
                write_block_end(out);
            }
            (Kind::Map(of), Json::Object(members)) => {
                write_block_start(out, members.len());
                for (key, value) in members {
                    write_string(out, key);
                    self.write(*of, value, depth + 1, out)?;
                }
                write_block_end(out);
            }
            (Kind::Record(record), Json::Object(members)) => {
                for field in &record.fields {
                    match members.get(&field.name).or(field.default.as_ref()) {
                        Some(value) => self.write(field.schema, value, depth + 1, out)?,
                        None => {
                            return Err(unwritable(format!(
                                "no default value for: {}",
                                field.name
                            )));
                        }
                    }
                }
            }
            (Kind::Union(branches), _) => {
                let from = out.len();
                for (index, branch) in branches.iter().enumerate() {
                    write_length(out, index);
                    if self.write(*branch, value, depth + 1, out).is_ok() {
                        return Ok(());
                    }
                    out.truncate(from);
                }
                return Err(misfit("union", value));
            }
            (kind, value) => return Err(misfit(kind.name(), value)),
        }
        Ok(())
    }
}
