//! JSON as Jackson's UTF-8 generator prints it: clients compare bodies as bytes.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// Compact JSON; characters beyond the basic plane are two escapes (`\uD83D\uDE00`), hexadecimal digits are capitals.
///
/// # Errors
/// What [`serde_json`] says: a key that is no text, for one.
pub(crate) fn to_vec(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(128);
    value.serialize(&mut Serializer::with_formatter(&mut out, Jackson))?;
    Ok(out)
}

/// First byte of every UTF-8 sequence of four bytes, which is how a character beyond the basic plane begins, and only such a one.
const FOUR_BYTES: u8 = 0xf0;

struct Jackson;

impl Formatter for Jackson {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some(at) = rest.bytes().position(|byte| byte >= FOUR_BYTES) {
            let (plain, beyond) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = beyond.chars();
            if let Some(character) = characters.next() {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04X}")?;
                }
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        match escape {
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
            short => CompactFormatter.write_char_escape(writer, short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_jackson_does() {
        let written = to_vec(&"é 😀𝄞 \u{1f}\u{7f} \"\\/\n\u{8}").expect("JSON");
        assert_eq!(
            String::from_utf8(written).expect("UTF-8"),
            "\"é \\uD83D\\uDE00\\uD834\\uDD1E \\u001F\u{7f} \\\"\\\\/\\n\\b\""
        );
    }

    #[test]
    fn keys_are_text_too() {
        let object = std::collections::BTreeMap::from([("😀", 1)]);
        assert_eq!(
            to_vec(&object).expect("JSON"),
            br#"{"\uD83D\uDE00":1}"#.to_vec()
        );
    }
}
