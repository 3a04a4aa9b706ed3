use std::fmt;
use std::str::FromStr;

use num_bigint::BigInt;

/// A decimal number as Java's `BigDecimal`: `unscaled × 10^-scale`. Equal only when the scale is equal too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    unscaled: Unscaled,
    scale: i32,
}

/// Nearly every number fits in 128 bits; the rest pays for an allocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Unscaled {
    Small(i128),
    Big(BigInt),
}

/// Text that is not a finite decimal number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a finite decimal number")]
pub struct DecimalParseError(pub String);

impl Decimal {
    /// From an unscaled integer that fits in 128 bits.
    pub fn new(unscaled: i128, scale: i32) -> Self {
        Self {
            unscaled: Unscaled::Small(unscaled),
            scale,
        }
    }

    /// From an unscaled integer of any size.
    pub fn from_big(unscaled: BigInt, scale: i32) -> Self {
        match i128::try_from(&unscaled) {
            Ok(small) => Self::new(small, scale),
            Err(_) => Self {
                unscaled: Unscaled::Big(unscaled),
                scale,
            },
        }
    }

    /// From Connect's bytes: big-endian two's complement. Empty bytes are zero.
    pub fn from_be_bytes(bytes: &[u8], scale: i32) -> Self {
        if bytes.len() <= 16 {
            let sign = if bytes.first().is_some_and(|b| b & 0x80 != 0) {
                0xff
            } else {
                0
            };
            let mut wide = [sign; 16];
            wide[16 - bytes.len()..].copy_from_slice(bytes);
            return Self::new(i128::from_be_bytes(wide), scale);
        }
        Self::from_big(BigInt::from_signed_bytes_be(bytes), scale)
    }

    /// Digits after the decimal point; negative: zeros before it.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// The unscaled integer.
    pub fn unscaled(&self) -> BigInt {
        match &self.unscaled {
            Unscaled::Small(v) => BigInt::from(*v),
            Unscaled::Big(v) => v.clone(),
        }
    }

    /// The unscaled integer when it fits in 128 bits.
    pub fn unscaled_i128(&self) -> Option<i128> {
        match &self.unscaled {
            Unscaled::Small(v) => Some(*v),
            Unscaled::Big(_) => None,
        }
    }

    /// Appends the unscaled integer as big-endian two's complement in as few bytes as possible (Java's `BigInteger.toByteArray`).
    pub fn write_be_bytes(&self, out: &mut Vec<u8>) {
        match &self.unscaled {
            Unscaled::Small(v) => {
                let bytes = v.to_be_bytes();
                let sign = if *v < 0 { 0xff } else { 0 };
                let skip = bytes[..15]
                    .iter()
                    .zip(&bytes[1..])
                    .take_while(|&(&b, next)| b == sign && (next & 0x80 == sign & 0x80))
                    .count();
                out.extend_from_slice(&bytes[skip..]);
            }
            Unscaled::Big(v) => out.extend_from_slice(&v.to_signed_bytes_be()),
        }
    }

    /// The same number with another scale, or `None` when that would lose digits.
    pub fn with_scale(&self, scale: i32) -> Option<Self> {
        if scale == self.scale {
            return Some(self.clone());
        }
        let shift = i64::from(scale) - i64::from(self.scale);
        if let Unscaled::Small(v) = self.unscaled
            && let Ok(power) = u32::try_from(shift.unsigned_abs())
            && let Some(factor) = 10i128.checked_pow(power)
        {
            if shift > 0 {
                if let Some(scaled) = v.checked_mul(factor) {
                    return Some(Self::new(scaled, scale));
                }
            } else {
                return (v % factor == 0).then(|| Self::new(v / factor, scale));
            }
        }
        // Bounded: PostgreSQL's numeric has at most 131,072 digits before and 16,383 after the point.
        let power = u32::try_from(shift.unsigned_abs())
            .ok()
            .filter(|p| *p <= 200_000)?;
        let factor = BigInt::from(10).pow(power);
        if shift > 0 {
            Some(Self::from_big(self.unscaled() * factor, scale))
        } else {
            let unscaled = self.unscaled();
            (&unscaled % &factor == BigInt::ZERO).then(|| Self::from_big(unscaled / factor, scale))
        }
    }

    /// As a double, rounded to nearest.
    pub fn to_f64(&self) -> f64 {
        // The standard library's parser rounds correctly; going through text costs less code than doing it again.
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Digits without an exponent (Java's `toPlainString`).
    pub fn to_plain_string(&self) -> String {
        let (negative, digits) = self.sign_and_digits();
        let mut text = String::with_capacity(digits.len() + 4);
        if negative {
            text.push('-');
        }
        if self.scale <= 0 {
            text.push_str(&digits);
            if digits != "0" {
                text.extend(std::iter::repeat_n('0', self.scale.unsigned_abs() as usize));
            }
            return text;
        }
        let scale = self.scale as usize;
        if digits.len() > scale {
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            text.push_str(whole);
            text.push('.');
            text.push_str(fraction);
        } else {
            text.push_str("0.");
            text.extend(std::iter::repeat_n('0', scale - digits.len()));
            text.push_str(&digits);
        }
        text
    }

    fn sign_and_digits(&self) -> (bool, String) {
        match &self.unscaled {
            Unscaled::Small(v) => (*v < 0, v.unsigned_abs().to_string()),
            Unscaled::Big(v) => (
                v.sign() == num_bigint::Sign::Minus,
                v.magnitude().to_string(),
            ),
        }
    }
}

/// Plain digits with an optional exponent, as PostgreSQL and JSON write numbers.
impl FromStr for Decimal {
    type Err = DecimalParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || DecimalParseError(text.chars().take(64).collect());
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (
                &text[..at],
                text[at + 1..].parse::<i32>().map_err(|_| refuse())?,
            ),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.as_bytes().first() {
            Some(b'-') => (true, &mantissa[1..]),
            Some(b'+') => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let mut small: i128 = 0;
        let mut fits = true;
        let mut seen = 0usize;
        let mut fraction: Option<i32> = None;
        for b in digits.bytes() {
            match b {
                b'0'..=b'9' => {
                    seen += 1;
                    fraction = fraction.map(|n| n + 1);
                    match small
                        .checked_mul(10)
                        .and_then(|v| v.checked_add(i128::from(b - b'0')))
                    {
                        Some(v) if fits => small = v,
                        _ => fits = false,
                    }
                }
                b'.' if fraction.is_none() => fraction = Some(0),
                _ => return Err(refuse()),
            }
        }
        if seen == 0 {
            return Err(refuse());
        }
        let scale = fraction
            .unwrap_or(0)
            .checked_sub(exponent)
            .ok_or_else(refuse)?;
        if fits {
            return Ok(Self::new(if negative { -small } else { small }, scale));
        }
        let all: Vec<u8> = digits.bytes().filter(|b| *b != b'.').collect();
        let big = BigInt::parse_bytes(&all, 10).ok_or_else(refuse)?;
        Ok(Self::from_big(if negative { -big } else { big }, scale))
    }
}

/// As Java's `BigDecimal.toString`: plain unless the scale is negative or the number is smaller than 10^-6, then with an exponent.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, digits) = self.sign_and_digits();
        let adjusted = digits.len() as i64 - 1 - i64::from(self.scale);
        if self.scale >= 0 && adjusted >= -6 {
            return f.write_str(&self.to_plain_string());
        }
        if negative {
            f.write_str("-")?;
        }
        let (first, rest) = digits.split_at(1);
        f.write_str(first)?;
        if !rest.is_empty() {
            write!(f, ".{rest}")?;
        }
        write!(f, "E{adjusted:+}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    #[test]
    fn bytes_are_minimal_twos_complement() {
        for (text, hex) in [
            ("0", "00"),
            ("1", "01"),
            ("-1", "ff"),
            ("127", "7f"),
            ("128", "0080"),
            ("-128", "80"),
            ("-129", "ff7f"),
            ("123.45", "3039"),
        ] {
            let mut out = Vec::new();
            d(text).write_be_bytes(&mut out);
            let got: String = out.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(got, hex, "{text}");
            assert_eq!(Decimal::from_be_bytes(&out, d(text).scale()), d(text));
        }
        let big = d("-123456789012345678901234567890123456789012345.5");
        let mut out = Vec::new();
        big.write_be_bytes(&mut out);
        assert_eq!(Decimal::from_be_bytes(&out, 1), big);
    }

    #[test]
    fn text_is_javas() {
        for (text, java) in [
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("1E+3", "1E+3"),
            ("12.50", "12.50"),
            ("-0.5", "-0.5"),
            ("123e-9", "1.23E-7"),
        ] {
            assert_eq!(d(text).to_string(), java);
        }
        assert_eq!(d("1E+3").to_plain_string(), "1000");
        assert_eq!(d("123e-9").to_plain_string(), "0.000000123");
    }

    #[test]
    fn scale_changes_only_without_loss() {
        assert_eq!(d("1.5").with_scale(3), Some(d("1.500")));
        assert_eq!(d("1.500").with_scale(1), Some(d("1.5")));
        assert_eq!(d("1.55").with_scale(1), None);
        let big = d("170141183460469231731687303715884105727");
        assert_eq!(
            big.with_scale(2).map(|v| v.to_string()),
            Some("170141183460469231731687303715884105727.00".into())
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.2.3",
            "NaN",
            "Infinity",
            "1e",
            "0x1",
            "1e99999999999",
        ] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }
}
