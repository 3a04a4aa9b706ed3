//! `bytea` in PostgreSQL's hex output.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use millrace_api::data::{Blob, Kind, Text, Value};

use super::ConvertError;

/// `binary.handling.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryMode {
    Bytes,
    Base64,
    Base64UrlSafe,
    Hex,
}

impl BinaryMode {
    pub(crate) fn kind(self) -> Kind {
        if self == Self::Bytes {
            Kind::Bytes
        } else {
            Kind::String
        }
    }
}

pub(super) fn bytea(text: &[u8], mode: BinaryMode) -> Result<Value, ConvertError> {
    let malformed = ConvertError::Malformed {
        expected: "bytea in hex format (is bytea_output 'hex'?)",
    };
    let Some(hex) = text.strip_prefix(b"\\x") else {
        return Err(malformed);
    };
    if mode == BinaryMode::Hex {
        let text = std::str::from_utf8(hex).map_err(|_| malformed)?;
        return Ok(Value::String(Text::from(text)));
    }
    if hex.len() % 2 != 0 {
        return Err(malformed);
    }
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    for pair in hex.chunks_exact(2) {
        match (nibble(pair[0]), nibble(pair[1])) {
            (Some(high), Some(low)) => bytes.push(high << 4 | low),
            _ => return Err(malformed),
        }
    }
    Ok(match mode {
        BinaryMode::Bytes => Value::Bytes(Blob::from(bytes)),
        mode => encode(&bytes, mode),
    })
}

/// Bytes in the form of a mode.
pub(super) fn encode(bytes: &[u8], mode: BinaryMode) -> Value {
    match mode {
        BinaryMode::Bytes => Value::Bytes(Blob::from(bytes)),
        BinaryMode::Base64 => Value::String(Text::new(STANDARD.encode(bytes))),
        BinaryMode::Base64UrlSafe => Value::String(Text::new(URL_SAFE.encode(bytes))),
        BinaryMode::Hex => Value::String(Text::new(
            bytes.iter().map(|b| format!("{b:02x}")).collect::<String>(),
        )),
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_becomes_what_the_mode_says() {
        assert_eq!(
            bytea(b"\\x0aFF", BinaryMode::Bytes),
            Ok(Value::Bytes(Blob::from(vec![0x0a, 0xff])))
        );
        assert_eq!(bytea(b"\\x0aff", BinaryMode::Hex), Ok(Value::from("0aff")));
        assert_eq!(
            bytea(b"\\xfbff", BinaryMode::Base64),
            Ok(Value::from("+/8="))
        );
        assert_eq!(
            bytea(b"\\xfbff", BinaryMode::Base64UrlSafe),
            Ok(Value::from("-_8="))
        );
        assert!(bytea(b"\\x0", BinaryMode::Bytes).is_err());
        assert!(bytea(b"abc", BinaryMode::Bytes).is_err());
    }
}
