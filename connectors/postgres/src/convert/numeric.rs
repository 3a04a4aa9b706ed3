//! Integers, floats, `numeric` and `money`.

use std::str::FromStr;

use millrace_api::data::{Blob, Decimal, Schema, Struct, Text, Value};

use super::{ConvertError, Raw};

/// `decimal.handling.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalMode {
    Precise,
    Double,
    String,
}

/// An integer of any width, straight from the bytes.
pub(super) fn integer<T: TryFrom<i64>>(
    text: &[u8],
    expected: &'static str,
) -> Result<T, ConvertError> {
    let malformed = ConvertError::Malformed { expected };
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 19 {
        return Err(malformed);
    }
    // Downwards, so that the smallest number fits too.
    let mut value: i64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return Err(malformed);
        }
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_sub(i64::from(digit)))
            .ok_or_else(|| malformed.clone())?;
    }
    let value = if negative {
        value
    } else {
        value.checked_neg().ok_or_else(|| malformed.clone())?
    };
    T::try_from(value).map_err(|_| malformed)
}

/// A float; PostgreSQL writes `NaN`, `Infinity` and `-Infinity`, which Rust reads too.
pub(super) fn float<T: FromStr>(text: &str) -> Result<T, ConvertError> {
    text.parse()
        .map_err(|_| ConvertError::Malformed { expected: "number" })
}

fn parse(text: &str) -> Result<Decimal, ConvertError> {
    Decimal::from_str(text).map_err(|_| match text {
        "NaN" | "Infinity" | "-Infinity" => ConvertError::Unrepresentable(
            "a decimal cannot hold NaN or infinity: use decimal.handling.mode=double or string",
        ),
        _ => ConvertError::Malformed {
            expected: "numeric",
        },
    })
}

/// A decimal of the column's scale.
pub(super) fn decimal(text: &str, scale: i32) -> Result<Value, ConvertError> {
    let value = parse(text)?;
    value
        .with_scale(scale)
        .map(Value::from)
        .ok_or(ConvertError::Unrepresentable(
            "the number has more digits than the column's scale",
        ))
}

/// Struct of scale and unscaled bytes, without trailing zeros.
pub(super) fn variable_decimal(text: &str, schema: &Schema) -> Result<Value, ConvertError> {
    let trimmed = match text.split_once('.') {
        Some((_, fraction)) => {
            let zeros = fraction.len() - fraction.trim_end_matches('0').len();
            text[..text.len() - zeros].trim_end_matches('.')
        }
        None => text,
    };
    let value = parse(trimmed)?;
    let mut bytes = Vec::with_capacity(16);
    value.write_be_bytes(&mut bytes);
    Ok(Value::Struct(Struct::new(
        schema.clone(),
        vec![Value::Int32(value.scale()), Value::Bytes(Blob::from(bytes))],
    )))
}

/// The text of a number, with the constant names that Debezium gives to what is no number.
pub(super) fn decimal_as_string(raw: Raw<'_>, scale: Option<i32>) -> Result<Value, ConvertError> {
    let text = raw.str()?;
    Ok(Value::String(match text {
        "NaN" => Text::from("NAN"),
        "Infinity" => Text::from("POSITIVE_INFINITY"),
        "-Infinity" => Text::from("NEGATIVE_INFINITY"),
        _ => {
            let fraction = text.split_once('.').map_or(0, |(_, f)| f.len() as i32);
            match scale.filter(|s| *s != fraction) {
                None => raw.text()?,
                Some(scale) => match parse(text)?.with_scale(scale) {
                    Some(scaled) => Text::new(scaled.to_plain_string()),
                    None => {
                        return Err(ConvertError::Unrepresentable(
                            "the number has more digits than the column's scale",
                        ));
                    }
                },
            }
        }
    }))
}

/// `money`: a currency symbol, digits in groups, a sign or parentheses.
pub(super) fn money(text: &str, scale: i32, mode: DecimalMode) -> Result<Value, ConvertError> {
    let negative = text.starts_with(['(', '-']);
    let mut rest = text.trim_start_matches(['(', '-']).trim_end_matches(')');
    if let Some(symbol) = rest
        .chars()
        .next()
        .filter(|c| !c.is_ascii_digit() && *c != '.')
    {
        rest = &rest[symbol.len_utf8()..];
    }
    let plain: String = rest.chars().filter(|c| *c != ',').collect();
    let value = parse(&plain)?;
    let value = if negative {
        Decimal::from_big(-value.unscaled(), value.scale())
    } else {
        value
    };
    Ok(match mode {
        DecimalMode::Double => Value::Float64(value.to_f64()),
        DecimalMode::String => Value::String(Text::new(value.to_plain_string())),
        DecimalMode::Precise => round_half_up(&value, scale)?.into(),
    })
}

fn round_half_up(value: &Decimal, scale: i32) -> Result<Decimal, ConvertError> {
    if let Some(exact) = value.with_scale(scale) {
        return Ok(exact);
    }
    let unrepresentable = ConvertError::Unrepresentable(
        "the amount is too large to be rounded to money.fraction.digits",
    );
    let drop = u32::try_from(value.scale() - scale).map_err(|_| unrepresentable.clone())?;
    let unscaled = value
        .unscaled_i128()
        .ok_or_else(|| unrepresentable.clone())?;
    let factor = 10i128.checked_pow(drop).ok_or(unrepresentable)?;
    let half = factor / 2;
    let rounded = if unscaled < 0 {
        (unscaled - half) / factor
    } else {
        (unscaled + half) / factor
    };
    Ok(Decimal::new(rounded, scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_api::data::SchemaBuilder;

    #[test]
    fn integers_keep_their_range() {
        assert_eq!(integer::<i64>(b"-9223372036854775808", ""), Ok(i64::MIN));
        assert_eq!(integer::<i64>(b"9223372036854775807", ""), Ok(i64::MAX));
        assert!(integer::<i64>(b"9223372036854775808", "").is_err());
        assert!(integer::<i16>(b"32768", "").is_err());
        assert!(integer::<i32>(b"", "").is_err());
        assert!(integer::<i32>(b"1x", "").is_err());
    }

    #[test]
    fn decimals_are_scaled_to_the_column() {
        assert_eq!(decimal("1.1", 2), Ok(Decimal::new(110, 2).into()));
        assert!(matches!(
            decimal("NaN", 2),
            Err(ConvertError::Unrepresentable(_))
        ));
    }

    #[test]
    fn variable_decimals_lose_trailing_zeros() {
        let schema = SchemaBuilder::structure()
            .field("scale", Schema::int32())
            .field("value", Schema::bytes())
            .build_valid();
        let of = |text: &str| match variable_decimal(text, &schema) {
            Ok(Value::Struct(s)) => (
                s.values()[0].as_i64().expect("scale"),
                s.values()[1].clone(),
            ),
            other => panic!("{other:?}"),
        };
        assert_eq!(of("1.500"), (1, Value::Bytes(Blob::from(vec![15]))));
        assert_eq!(of("100"), (0, Value::Bytes(Blob::from(vec![100]))));
        assert_eq!(of("10.0"), (0, Value::Bytes(Blob::from(vec![10]))));
    }

    #[test]
    fn money_is_read_with_sign_symbol_and_groups() {
        for (text, unscaled) in [
            ("$1,234.11", 123_411),
            ("-$1,234.11", -123_411),
            ("($1,234.11)", -123_411),
            ("7", 700),
        ] {
            assert_eq!(
                money(text, 2, DecimalMode::Precise),
                Ok(Decimal::new(unscaled, 2).into()),
                "{text}"
            );
        }
        assert_eq!(
            money("$0.125", 2, DecimalMode::Precise),
            Ok(Decimal::new(13, 2).into())
        );
    }
}
