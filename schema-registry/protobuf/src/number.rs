//! Numbers of a normalized text: read as Java's commons-lang reads any number, printed as Java's plain decimal format does (at most three decimals, no exponent).

/// More digits than this are not spelled out; the number stays as it was written.
const MAX_DIGITS: i64 = 10_000;

/// `010` is 8, `1.50` is `1.5`, `1e3` is `1000`; what is no number stays as it is.
pub(crate) fn normalize(text: &str) -> String {
    reformat(text).unwrap_or_else(|| text.to_owned())
}

fn reformat(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    for prefix in ["0x", "0X", "#"] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return integer(negative, digits, 16);
        }
    }
    let point = text.find('.');
    let exponent = text.find(['e', 'E']);
    if let (Some(point), Some(exponent)) = (point, exponent)
        && exponent < point
    {
        return None;
    }
    let last = text.chars().next_back()?;
    if !last.is_ascii_digit() && last != '.' {
        let numeric = &text[..text.len() - last.len_utf8()];
        let plain = point.is_none() && exponent.is_none();
        return match last {
            'l' | 'L' if plain => decode(numeric),
            'f' | 'F' => floating(numeric, true).or_else(|| floating(numeric, false)),
            'd' | 'D' => floating(numeric, false),
            _ => None,
        };
    }
    if point.is_none() && exponent.is_none() {
        return decode(text);
    }
    let decimal = Decimal::parse(text)?;
    let zero = decimal.digits.is_empty();
    let single: f32 = text.parse().ok()?;
    let double: f64 = text.parse().ok()?;
    let shortest_agree = format!("{single:e}") == format!("{double:e}");
    if single.is_finite() && (single != 0.0 || zero) && shortest_agree {
        return Some(format_double(f64::from(single)));
    }
    if double.is_finite() && (double != 0.0 || zero) {
        let printed = Decimal::parse(&format!("{double:e}"))?;
        if printed == decimal {
            return Some(format_double(double));
        }
    }
    decimal.format()
}

/// Java's `Integer.decode` and its wider relatives: a leading zero means octal.
fn decode(text: &str) -> Option<String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // Java's widest integer takes one sign off and reads the next: the two cancel each other out.
    if let Some(rest) = digits.strip_prefix('-').filter(|_| negative) {
        return integer(false, rest, 10);
    }
    if digits.len() > 1
        && let Some(octal) = digits.strip_prefix('0')
    {
        return integer(negative, octal, 8);
    }
    integer(negative, digits, 10)
}

fn integer(negative: bool, digits: &str, radix: u32) -> Option<String> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = if radix == 10 {
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            "0"
        } else {
            significant
        }
        .to_owned()
    } else {
        u128::from_str_radix(digits, radix).ok()?.to_string()
    };
    Some(if negative && value != "0" {
        format!("-{value}")
    } else {
        value
    })
}

fn floating(text: &str, single: bool) -> Option<String> {
    if !text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'e' | b'E'))
    {
        return None;
    }
    let zero = Decimal::parse(text)?.digits.is_empty();
    let value: f64 = if single {
        f64::from(text.parse::<f32>().ok()?)
    } else {
        text.parse().ok()?
    };
    if !value.is_finite() || (value == 0.0 && !zero) {
        return Decimal::parse(text)?.format();
    }
    Some(format_double(value))
}

/// The shortest digits that read back as the value, rounded to three decimals (of two equally near ones the even).
fn format_double(value: f64) -> String {
    let shortest = Decimal::parse(&format!("{value:e}"));
    match shortest {
        Some(decimal) if decimal.exponent >= -3 => decimal.format().unwrap_or_default(),
        // The exact value decides ties, which this does.
        _ => trim(format!("{value:.3}")),
    }
}

fn trim(text: String) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// digits × 10^exponent; digits without zeros at either end.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let without_end = all.trim_end_matches('0');
        let dropped = (all.len() - without_end.len()) as i64;
        let digits = without_end.trim_start_matches('0').to_owned();
        let exponent = if digits.is_empty() {
            0
        } else {
            i64::from(exponent) - fraction.len() as i64 + dropped
        };
        Some(Self {
            negative,
            digits,
            exponent,
        })
    }

    fn format(&self) -> Option<String> {
        let sign = if self.negative { "-" } else { "" };
        if self.digits.is_empty() {
            return Some(format!("{sign}0"));
        }
        if self.exponent > MAX_DIGITS || self.exponent < -MAX_DIGITS {
            return None;
        }
        // In thousandths.
        let shift = self.exponent + 3;
        let thousandths = if shift >= 0 {
            format!("{}{}", self.digits, "0".repeat(shift as usize))
        } else {
            let cut = self.digits.len() as i64 + shift;
            let (kept, rest) = match usize::try_from(cut) {
                Ok(cut) => self.digits.split_at(cut),
                Err(_) => ("", "0"),
            };
            let odd = kept
                .bytes()
                .next_back()
                .is_some_and(|b| (b - b'0') % 2 == 1);
            let up = match rest.as_bytes() {
                [b'5'] => odd,
                [first, ..] => *first >= b'5',
                [] => false,
            };
            if up { increment(kept) } else { kept.to_owned() }
        };
        let padded = format!("{thousandths:0>4}");
        let (whole, fraction) = padded.split_at(padded.len() - 3);
        Some(trim(format!("{sign}{whole}.{fraction}")))
    }
}

fn increment(digits: &str) -> String {
    let mut out: Vec<u8> = digits.bytes().collect();
    for digit in out.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return String::from_utf8_lossy(&out).into_owned();
        }
        *digit = b'0';
    }
    format!("1{}", String::from_utf8_lossy(&out))
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn numbers_are_printed_as_java_prints_them() {
        for (text, expected) in [
            ("1.50", "1.5"),
            ("010", "8"),
            ("08", "08"),
            ("0x1F", "31"),
            ("-7", "-7"),
            ("-0", "0"),
            ("--010", "10"),
            ("---1", "---1"),
            ("1e3", "1000"),
            ("0.0005", "0.001"),
            ("0.0015", "0.002"),
            ("3.14159265", "3.142"),
            ("-0.0001", "-0"),
            // Java takes the single-precision value where both print alike.
            ("1e22", "9999999778196308000000"),
            ("1E400", &format!("1{}", "0".repeat(400))),
            ("1e999999999", "1e999999999"),
            ("inf", "inf"),
            ("-nan", "-nan"),
            ("abc", "abc"),
            ("18446744073709551615", "18446744073709551615"),
            ("1125899906842623.9", "1125899906842623.9"),
        ] {
            assert_eq!(normalize(text), expected, "{text}");
        }
    }
}
