//! Values as texts that PostgreSQL reads.

use millrace_api::data::{Decimal, Value};

use super::temporal::{WallClock, offset_text, timestamp_text};
use crate::postgres::ArrayBuffer;

/// Digits of a decimal number.
pub(super) fn push_decimal(value: &Decimal, out: &mut ArrayBuffer) {
    match (value.unscaled_i128().map(i64::try_from), value.scale()) {
        // Whole numbers and money: no allocation.
        (Some(Ok(unscaled)), scale @ 0..=18) => {
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(unscaled.unsigned_abs());
            let scale = scale as usize;
            out.push_with(|out| {
                if unscaled < 0 {
                    out.push(b'-');
                }
                let whole = digits.len().saturating_sub(scale);
                out.extend_from_slice(if whole == 0 {
                    b"0"
                } else {
                    &digits.as_bytes()[..whole]
                });
                if scale > 0 {
                    out.push(b'.');
                    out.extend(std::iter::repeat_n(
                        b'0',
                        scale.saturating_sub(digits.len()),
                    ));
                    out.extend_from_slice(&digits.as_bytes()[whole..]);
                }
            });
        }
        _ => out.push_bytes(value.to_plain_string().as_bytes()),
    }
}

/// A number of micro- or nanoseconds since the epoch, as INT64 or as text, in microseconds; `None` when that is beyond 64 bits.
///
/// # Errors
/// For text that is no number.
pub(crate) fn epoch_number(value: &Value, nanos: bool) -> Result<Option<i64>, String> {
    let number: i128 = match value {
        Value::Int64(number) => (*number).into(),
        Value::String(text) => text.parse().map_err(|_| {
            format!(
                "For input string: \"{}\", expected is a number of {}",
                head(text),
                if nanos { "nanoseconds" } else { "microseconds" }
            )
        })?,
        other => {
            return Err(format!(
                "its schema does not allow a value of {}",
                other.java_class()
            ));
        }
    };
    // The server keeps microseconds; pgjdbc rounds.
    let micros = if nanos {
        (number + 500).div_euclid(1000)
    } else {
        number
    };
    Ok(i64::try_from(micros).ok())
}

fn head(text: &str) -> String {
    text.chars().take(64).collect()
}

/// A moment as pgjdbc writes it: local time with its offset, which a column without a zone ignores.
pub(super) fn zoned_text(clock: &WallClock, epoch_micros: Option<i64>) -> String {
    let offset = clock
        .zone
        .offset_at(epoch_micros.unwrap_or(0).div_euclid(1_000_000));
    let text = timestamp_text(clock.timestamp(epoch_micros));
    match text.strip_suffix(" BC") {
        Some(text) => format!("{}{} BC", shortened(text), offset_text(offset)),
        None => format!("{}{}", shortened(&text), offset_text(offset)),
    }
}

/// Without zeros at the end of the fraction.
pub(super) fn shortened(text: &str) -> &str {
    text.trim_end_matches('0')
        .strip_suffix('.')
        .unwrap_or_else(|| text.trim_end_matches('0'))
}

/// `{1,NULL,"a\"b"}`
pub(super) fn array_literal(items: &[Value], out: &mut Vec<u8>) -> Result<(), String> {
    let mut number = itoa::Buffer::new();
    out.push(b'{');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match item {
            Value::Null => out.extend_from_slice(b"NULL"),
            Value::Boolean(value) => out.push(if *value { b't' } else { b'f' }),
            Value::Int8(_) | Value::Int16(_) | Value::Int32(_) | Value::Int64(_) => {
                out.extend_from_slice(number.format(item.as_i64().unwrap_or_default()).as_bytes())
            }
            Value::Float32(value) => {
                out.extend_from_slice(float_text(f64::from(*value), value.to_string()).as_bytes())
            }
            Value::Float64(value) => {
                out.extend_from_slice(float_text(*value, value.to_string()).as_bytes())
            }
            Value::String(text) => {
                out.push(b'"');
                for byte in text.bytes() {
                    if matches!(byte, b'"' | b'\\') {
                        out.push(b'\\');
                    }
                    out.push(byte);
                }
                out.push(b'"');
            }
            other => {
                return Err(format!(
                    "an array element may not be of {}",
                    other.java_class()
                ));
            }
        }
    }
    out.push(b'}');
    Ok(())
}

fn float_text(value: f64, text: String) -> String {
    match (value.is_infinite(), value > 0.0) {
        (true, true) => "Infinity".to_owned(),
        (true, false) => "-Infinity".to_owned(),
        _ => text,
    }
}
