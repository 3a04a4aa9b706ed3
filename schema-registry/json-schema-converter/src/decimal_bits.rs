//! JSON numbers narrowed as Java narrows them: a fraction is cut off, of what is too large the low bits stay.

use java_idioms::Number;
use num_bigint::BigInt;

/// The low 64 bits of a number's integer part.
pub(crate) fn low_bits(number: &Number) -> i64 {
    if let Some(value) = number.as_i64() {
        return value;
    }
    let literal = number.literal();
    let (mantissa, exponent) = match literal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().unwrap_or(0)),
        None => (literal, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // Digits that stay in front of the point.
    let digits: String = [whole, fraction].concat();
    let negative = digits.starts_with('-');
    let digits = digits.trim_start_matches('-');
    let point = (whole.trim_start_matches('-').len() as i64).saturating_add(exponent);
    if point <= 0 {
        return 0;
    }
    let zeros = point - digits.len() as i64;
    // Ten to the 64th has 64 low bits of 0.
    if zeros >= 64 {
        return 0;
    }
    let kept = &digits[..usize::try_from(point)
        .unwrap_or(usize::MAX)
        .min(digits.len())];
    let mut value: BigInt = kept.parse().unwrap_or_default();
    if let Ok(zeros) = u32::try_from(zeros) {
        value *= BigInt::from(10).pow(zeros);
    }
    if negative {
        value = -value;
    }
    let mut bytes = value.to_signed_bytes_le();
    let sign = if negative && value != BigInt::ZERO {
        0xff
    } else {
        0
    };
    bytes.resize(bytes.len().max(8), sign);
    bytes
        .first_chunk()
        .map_or(0, |low| i64::from_le_bytes(*low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_as_in_java() {
        for (literal, value) in [
            ("1.5", 1),
            ("-1.9", -1),
            ("0.9", 0),
            ("1e3", 1000),
            ("12.34e1", 123),
            ("9223372036854775808", i64::MIN),
            ("18446744073709551617", 1),
            ("-18446744073709551617", -1),
            ("1e400", 0),
            ("1e999999999999", 0),
            ("1e-999999999999", 0),
            ("1e63", (0..63).fold(1_i64, |n, _| n.wrapping_mul(10))),
            ("-0", 0),
        ] {
            let number = Number::parse(literal).expect("a number");
            assert_eq!(low_bits(&number), value, "{literal}");
        }
    }
}
