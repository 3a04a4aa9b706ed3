//! `bit` and `bit varying`: text of zeros and ones, most significant first.

use millrace_api::data::{Blob, Value};

use super::ConvertError;

/// A column of one bit.
pub(super) fn single(text: &[u8]) -> Result<Value, ConvertError> {
    match text {
        b"1" => Ok(Value::Boolean(true)),
        b"0" => Ok(Value::Boolean(false)),
        // An empty `varbit(1)`.
        b"" => Ok(Value::Null),
        _ => Err(ConvertError::Malformed {
            expected: "single bit",
        }),
    }
}

/// Little-endian bytes, without the zero bytes behind the highest bit that is set.
pub(super) fn many(text: &[u8]) -> Result<Value, ConvertError> {
    let mut bytes = vec![0u8; text.len().div_ceil(8)];
    for (i, bit) in text.iter().rev().enumerate() {
        match bit {
            b'0' => {}
            b'1' => bytes[i / 8] |= 1 << (i % 8),
            _ => {
                return Err(ConvertError::Malformed {
                    expected: "bit string",
                });
            }
        }
    }
    let used = bytes
        .iter()
        .rposition(|b| *b != 0)
        .map_or(0, |last| last + 1);
    bytes.truncate(used);
    Ok(Value::Bytes(Blob::from(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        match many(text.as_bytes()) {
            Ok(Value::Bytes(blob)) => blob.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bits_are_little_endian_and_trimmed() {
        assert_eq!(bytes("11"), [3]);
        assert_eq!(bytes("1000000"), [0x40]);
        assert_eq!(bytes("00"), [0u8; 0]);
        assert_eq!(bytes("000000110000001000000001"), [1, 2, 3]);
        assert_eq!(
            bytes("111011010001000110000001000000001"),
            [1, 2, 0x23, 0xda, 1]
        );
        assert_eq!(
            bytes(&format!("1{}", "0".repeat(63))),
            [0, 0, 0, 0, 0, 0, 0, 0x80]
        );
    }
}
