//! Strings as JSON writes them, and back.

use super::reader::{Fault, syntax};

/// Appends `text` with quotes. Escaped are the quote, the backslash, control characters, and characters beyond the basic plane (as two surrogates: what Jackson
/// does when it writes bytes); everything else stays UTF-8.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        // Eight bytes at a time until one of them needs an escape: most text has none.
        if let Some(chunk) = bytes.get(at..at + 8)
            && let Ok(chunk) = <[u8; 8]>::try_from(chunk)
            && !any_needs_escape(u64::from_le_bytes(chunk))
        {
            at += 8;
            continue;
        }
        let byte = bytes[at];
        if byte >= 0x20 && byte != b'"' && byte != b'\\' && byte < BEYOND_BASIC_PLANE {
            at += 1;
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        if byte >= BEYOND_BASIC_PLANE {
            if let Some(c) = text[at..].chars().next() {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    for shift in [12, 8, 4, 0] {
                        out.push(HEX[usize::from(*unit >> shift & 15)]);
                    }
                }
                at += c.len_utf8();
                copied = at;
            }
            continue;
        }
        at += 1;
        copied = at;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            other => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(other >> 4)]);
                out.push(HEX[usize::from(other & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The least first byte of a character of four bytes.
const BEYOND_BASIC_PLANE: u8 = 0xf0;

/// Whether any of the eight bytes is a control character, a quote, a backslash, or begins a character of four bytes (exact, by the zero-byte trick).
fn any_needs_escape(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_byte = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    (below_space
        | zero_byte(word ^ (ONES * u64::from(b'"')))
        | zero_byte(word ^ (ONES * u64::from(b'\\')))
        | zero_byte(word & (ONES * 0xf0) ^ (ONES * u64::from(BEYOND_BASIC_PLANE))))
        != 0
}

/// The text behind the raw content of a JSON string that has escapes. `offset`: where the content starts in the document, for the error.
///
/// A surrogate without its other half becomes U+FFFD: Java keeps it in its strings, UTF-8 cannot.
pub(crate) fn unescape(raw: &[u8], offset: usize) -> Result<String, Box<Fault>> {
    let mut text = String::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let run = raw[at..]
            .iter()
            .position(|b| *b == b'\\')
            .unwrap_or(raw.len() - at);
        text.push_str(
            std::str::from_utf8(&raw[at..at + run])
                .map_err(|e| syntax(offset + at + e.valid_up_to(), "Invalid UTF-8 in a string"))?,
        );
        at += run;
        if at == raw.len() {
            break;
        }
        let escape = *raw.get(at + 1).ok_or_else(|| {
            syntax(
                offset + at,
                "Unexpected end-of-input in character escape sequence",
            )
        })?;
        at += 2;
        text.push(match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = hex4(raw, at, offset)?;
                at += 4;
                match unit {
                    0xd800..=0xdbff
                        if raw.get(at) == Some(&b'\\') && raw.get(at + 1) == Some(&b'u') =>
                    {
                        let low = hex4(raw, at + 2, offset)?;
                        if (0xdc00..=0xdfff).contains(&low) {
                            at += 6;
                            char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
                                .unwrap_or('\u{fffd}')
                        } else {
                            '\u{fffd}'
                        }
                    }
                    _ => char::from_u32(unit).unwrap_or('\u{fffd}'),
                }
            }
            other => {
                return Err(syntax(
                    offset + at - 1,
                    format!(
                        "Unrecognized character escape '{}' (code {other})",
                        char::from(other)
                    ),
                ));
            }
        });
    }
    Ok(text)
}

fn hex4(raw: &[u8], at: usize, offset: usize) -> Result<u32, Box<Fault>> {
    let digits = raw
        .get(at..at + 4)
        .filter(|d| d.iter().all(u8::is_ascii_hexdigit));
    let digits = digits
        .and_then(|d| std::str::from_utf8(d).ok())
        .and_then(|d| u32::from_str_radix(d, 16).ok());
    digits.ok_or_else(|| {
        syntax(
            offset + at,
            "Expected four hex-digits for a character escape sequence",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(text, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn only_what_must_be_is_escaped() {
        assert_eq!(
            written("a/b é 日本 \u{7f}\u{80}"),
            "\"a/b é 日本 \u{7f}\u{80}\""
        );
        assert_eq!(
            written("\"\\\u{8}\t\n\u{c}\r\u{0}\u{1f}"),
            r#""\"\\\b\t\n\f\r\u0000\u001F""#
        );
        assert_eq!(written("0123456\"89abcdefg\n"), r#""0123456\"89abcdefg\n""#);
        for place in 0..9 {
            let before = "é".repeat(place);
            assert_eq!(
                written(&format!("{before}😀x")),
                format!(r#""{before}\uD83D\uDE00x""#)
            );
        }
    }

    #[test]
    fn every_byte_at_every_place_of_a_word_is_seen() {
        for byte in 0..=0x7fu8 {
            for place in 0..8 {
                let mut text = [b'a'; 8];
                text[place] = byte;
                let text = std::str::from_utf8(&text).expect("ASCII");
                let expected = serde_json::to_string(text).expect("JSON").to_uppercase();
                assert_eq!(written(text).to_uppercase(), expected);
            }
        }
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(
            unescape(br#"\"\\\/\b\f\n\r\t\u00e9x\ud83d\ude00"#, 0).expect("text"),
            "\"\\/\u{8}\u{c}\n\r\té\u{78}😀"
        );
        assert_eq!(
            unescape(br"\ud83d\u0041 \udc00", 0).expect("text"),
            "\u{fffd}A \u{fffd}"
        );
        for bad in [&br"\x"[..], br"\u12", br"\uzzzz", b"\\", b"\xff"] {
            assert!(unescape(bad, 0).is_err());
        }
    }
}
