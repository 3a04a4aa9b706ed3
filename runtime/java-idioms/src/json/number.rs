use std::fmt;

use super::writer::NumberStyle;
use crate::java_f64;

/// A number, kept as its literal: `1e3`, `1.0` and `1` are three numbers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(itoa::Buffer::new().format(value).into())
    }
}

impl Number {
    /// A double as Java prints it; `None` for NaN and the infinities, which JSON lacks.
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let mut out = Vec::new();
        java_f64(value, &mut out);
        Some(Self(String::from_utf8(out).ok()?.into()))
    }

    /// From a literal that was checked against JSON's grammar by the caller.
    pub(super) fn from_literal(literal: &str) -> Self {
        Self(literal.into())
    }

    /// A literal of JSON's grammar; `None` otherwise.
    pub fn parse(literal: &str) -> Option<Self> {
        match super::Json::read(literal, super::ReadOptions::default()) {
            Ok(super::Json::Number(number)) if number.literal() == literal => Some(number),
            _ => None,
        }
    }

    /// As it was written.
    pub fn literal(&self) -> &str {
        &self.0
    }

    /// Whether the literal has neither point nor exponent.
    pub fn is_integer(&self) -> bool {
        !self.0.contains(['.', 'e', 'E'])
    }

    /// The value of an integer literal that fits.
    pub fn as_i64(&self) -> Option<i64> {
        if self.is_integer() {
            self.0.parse().ok()
        } else {
            None
        }
    }

    /// The nearest double, infinite when it is too large.
    pub fn as_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// Appends it in `style`.
    pub fn write(&self, style: NumberStyle, out: &mut String) {
        match style {
            NumberStyle::Literal => out.push_str(&self.0),
            _ if self.is_integer() => out.push_str(if &*self.0 == "-0" { "0" } else { &self.0 }),
            NumberStyle::Double => {
                let value = self.as_f64();
                let mut text = Vec::new();
                java_f64(value, &mut text);
                let text = String::from_utf8_lossy(&text);
                if value.is_finite() {
                    out.push_str(&text);
                } else {
                    // Jackson quotes what is no JSON number.
                    out.push('"');
                    out.push_str(&text);
                    out.push('"');
                }
            }
            NumberStyle::Decimal => write_decimal(&self.0, out),
        }
    }
}

/// `new BigDecimal(literal).toString()`.
fn write_decimal(literal: &str, out: &mut String) {
    let (negative, rest) = match literal.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, literal),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().unwrap_or(0)),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_start_matches('0');
    let zero = trimmed.is_empty();
    let unscaled = if zero { "0" } else { trimmed };
    let scale = fraction.len() as i64 - exponent;
    if negative && !zero {
        out.push('-');
    }
    let adjusted = (unscaled.len() as i64 - 1) - scale;
    if scale == 0 {
        out.push_str(unscaled);
    } else if scale > 0 && adjusted >= -6 {
        let point = unscaled.len() as i64 - scale;
        if point > 0 {
            let point = point as usize;
            out.push_str(&unscaled[..point]);
            out.push('.');
            out.push_str(&unscaled[point..]);
        } else {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', point.unsigned_abs() as usize));
            out.push_str(unscaled);
        }
    } else {
        out.push_str(&unscaled[..1]);
        if unscaled.len() > 1 {
            out.push('.');
            out.push_str(&unscaled[1..]);
        }
        if adjusted != 0 {
            out.push('E');
            if adjusted > 0 {
                out.push('+');
            }
            out.push_str(itoa::Buffer::new().format(adjusted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn styled(literal: &str, style: NumberStyle) -> String {
        let mut out = String::new();
        Number::parse(literal)
            .expect("a number")
            .write(style, &mut out);
        out
    }

    #[test]
    fn decimals_print_as_big_decimals() {
        for (literal, text) in [
            ("1e3", "1E+3"),
            ("1.0", "1.0"),
            ("0.10", "0.10"),
            ("1", "1"),
            ("-0.0", "0.0"),
            ("1.5e-10", "1.5E-10"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("12.5e1", "125"),
            ("0e2", "0E+2"),
        ] {
            assert_eq!(styled(literal, NumberStyle::Decimal), text, "{literal}");
        }
    }

    #[test]
    fn doubles_print_as_doubles_and_integers_stay() {
        for (literal, text) in [
            ("1e3", "1000.0"),
            ("1.0", "1.0"),
            ("1", "1"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("0.0000001", "1.0E-7"),
            ("12345678901234567890.0", "1.2345678901234567E19"),
        ] {
            assert_eq!(styled(literal, NumberStyle::Double), text, "{literal}");
        }
    }
}
