use super::Json;

/// How numbers print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberStyle {
    /// As they were written.
    Literal,
    /// Integers as they are, others as Java prints a double: Jackson's tree without further settings.
    Double,
    /// Integers as they are, others as `BigDecimal` prints: Jackson's tree with `USE_BIG_DECIMAL_FOR_FLOATS`.
    Decimal,
}

pub(super) fn write(value: &Json, style: NumberStyle, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(number) => number.write(style, out),
        Json::String(text) => write_string(text, out),
        Json::Array(values) => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(value, style, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (i, (name, value)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write(value, style, out);
            }
            out.push('}');
        }
    }
}

/// Appends `text` in quotes: what must be escaped is, in the short form where there is one, else as `\u00XX` with upper-case digits; nothing else is. So Jackson writes to a Java string.
pub fn write_string(text: &str, out: &mut String) {
    write_quoted(text, false, out);
}

/// The same as Jackson writes to bytes: characters beyond the basic plane become the escapes of their two surrogates, `\uD83D\uDE00`.
pub fn write_string_to_bytes(text: &str, out: &mut String) {
    write_quoted(text, true, out);
}

fn write_quoted(text: &str, escape_surrogates: bool, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' && (byte < 0xF0 || !escape_surrogates) {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            // The first of the four bytes of a character beyond the basic plane.
            0xF0.. => {
                if let Some(c) = text[at..].chars().next() {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write_escape(*unit, out);
                    }
                    from = at + c.len_utf8();
                }
            }
            _ => write_escape(u16::from(byte), out),
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

fn write_escape(unit: u16, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.push(char::from(HEX[usize::from(unit >> shift & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_be_is_escaped() {
        let mut out = String::new();
        write_string("a\"\\\n\u{1}\u{1f}é\u{7f}\u{2028}/", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001\\u001Fé\u{7f}\u{2028}/\"");
    }

    #[test]
    fn bytes_have_surrogates_escaped() {
        let mut out = String::new();
        write_string_to_bytes("é\u{ffff}😀\"\u{10ffff}", &mut out);
        assert_eq!(out, "\"é\u{ffff}\\uD83D\\uDE00\\\"\\uDBFF\\uDFFF\"");
        let mut raw = String::new();
        write_string("😀", &mut raw);
        assert_eq!(raw, "\"😀\"");
    }
}
