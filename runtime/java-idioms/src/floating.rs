//! Floating-point numbers as Java prints them (`Double.toString`, shortest digits as of Java 19).

/// Appends a double: `1.0`, `1.0E10`, `1.0E-5`, `NaN`, `-Infinity`.
pub fn java_f64(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(special(value.is_nan(), value.is_sign_negative()));
        return;
    }
    let mut buffer = ryu::Buffer::new();
    write(buffer.format_finite(value), out);
}

/// Appends a float.
pub fn java_f32(value: f32, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(special(value.is_nan(), value.is_sign_negative()));
        return;
    }
    let mut buffer = ryu::Buffer::new();
    write(buffer.format_finite(value), out);
}

fn special(nan: bool, negative: bool) -> &'static [u8] {
    match (nan, negative) {
        (true, _) => b"NaN",
        (false, false) => b"Infinity",
        (false, true) => b"-Infinity",
    }
}

/// Re-arranges ryu's digits: ryu and Java agree on the digits and differ in where they put the point.
fn write(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let (negative, bytes) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        _ => (false, bytes),
    };
    let (mantissa, exponent) = match bytes.iter().position(|b| *b == b'e') {
        Some(at) => (
            &bytes[..at],
            text[text.len() - (bytes.len() - at - 1)..]
                .parse::<i32>()
                .unwrap_or(0),
        ),
        None => (bytes, 0),
    };
    let point = mantissa
        .iter()
        .position(|b| *b == b'.')
        .unwrap_or(mantissa.len());
    let mut digits = [0u8; 24];
    let mut n = 0;
    for b in mantissa.iter().filter(|b| **b != b'.').take(24) {
        digits[n] = *b;
        n += 1;
    }
    let leading = digits[..n].iter().take_while(|b| **b == b'0').count();
    if negative {
        out.push(b'-');
    }
    if leading == n {
        out.extend_from_slice(b"0.0");
        return;
    }
    let mut digits = &digits[leading..n];
    while let [rest @ .., b'0'] = digits {
        digits = rest;
    }
    // value = 0.d1d2d3… × 10^exponent10
    let exponent10 = point as i32 - leading as i32 + exponent;
    let count = digits.len() as i32;
    match exponent10 {
        // 10^-3 ≤ value < 10^7 is written plainly.
        -2..=0 => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(
                b'0',
                exponent10.unsigned_abs() as usize,
            ));
            out.extend_from_slice(digits);
        }
        1..=7 if count <= exponent10 => {
            out.extend_from_slice(digits);
            out.extend(std::iter::repeat_n(b'0', (exponent10 - count) as usize));
            out.extend_from_slice(b".0");
        }
        1..=7 => {
            out.extend_from_slice(&digits[..exponent10 as usize]);
            out.push(b'.');
            out.extend_from_slice(&digits[exponent10 as usize..]);
        }
        _ => {
            out.push(digits[0]);
            out.push(b'.');
            match &digits[1..] {
                [] => out.push(b'0'),
                rest => out.extend_from_slice(rest),
            }
            out.push(b'E');
            let mut buffer = itoa::Buffer::new();
            out.extend_from_slice(buffer.format(exponent10 - 1).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f64_text(v: f64) -> String {
        let mut out = Vec::new();
        java_f64(v, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn doubles_look_like_javas() {
        for (v, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (1234567.0, "1234567.0"),
            (1.0e7, "1.0E7"),
            (12345678.9, "1.23456789E7"),
            (0.001, "0.001"),
            (0.00012, "1.2E-4"),
            (0.1, "0.1"),
            (123.456, "123.456"),
            (1e10, "1.0E10"),
            (1e-5, "1.0E-5"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NEG_INFINITY, "-Infinity"),
            (-1.5e-9, "-1.5E-9"),
            (9999999.0, "9999999.0"),
        ] {
            assert_eq!(f64_text(v), text);
        }
    }

    #[test]
    fn floats_use_their_own_digits() {
        let mut out = Vec::new();
        java_f32(3.3, &mut out);
        assert_eq!(out, b"3.3");
        assert!(f64_text(f64::from(3.3f32)).starts_with("3.29999"));
    }
}
