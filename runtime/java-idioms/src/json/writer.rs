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

/// Appends `text` in quotes: what must be escaped is, in the short form where there is one, else as `\u00XX` with upper-case digits; nothing else is.
pub fn write_string(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(text.len() + 2);
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
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
            _ => {
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
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
}
