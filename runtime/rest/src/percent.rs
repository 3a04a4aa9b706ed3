//! Percent-encoding.

use std::fmt::Write;

/// The bytes behind the escapes of `text`; with `plus`, `+` is a space. `None` when an escape is not two hexadecimal digits.
pub(crate) fn decode(text: &str, plus: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => (hex(bytes.next()?)? << 4) | hex(bytes.next()?)?,
            b'+' if plus => b' ',
            _ => byte,
        });
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

/// `name` as a path segment of a URL. An escape that is in it already is kept, as Java's URI builder does.
pub(crate) fn encode_path(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let bytes = name.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let escape = byte == b'%'
            && bytes
                .get(at + 1..at + 3)
                .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        if escape || byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            out.push(byte as char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_written() {
        assert_eq!(
            decode("a%20b+%C3%a4", false).as_deref(),
            Some("a b+ä".as_bytes())
        );
        assert_eq!(decode("a+b", true).as_deref(), Some("a b".as_bytes()));
        for wrong in ["%", "%4", "%zz", "a%2"] {
            assert_eq!(decode(wrong, false), None, "{wrong}");
        }
        assert_eq!(
            encode_path("a b/ä%20%z?#[x]"),
            "a%20b/%C3%A4%20%25z%3F%23%5Bx%5D"
        );
    }
}
