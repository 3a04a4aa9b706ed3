//! The character sets that every Java has.

/// A character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Utf8,
    Ascii,
    Latin1,
    Utf16Be,
    Utf16Le,
    /// Big-endian with a mark when written; the mark decides when read.
    Utf16,
}

impl Charset {
    /// Names for messages.
    pub(crate) const KNOWN: [&'static str; 6] = [
        "UTF-8",
        "US-ASCII",
        "ISO-8859-1",
        "UTF-16",
        "UTF-16BE",
        "UTF-16LE",
    ];

    /// By name or one of Java's common other names, in any letter case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Self::Utf8,
            "US-ASCII" | "ASCII" | "ASCII7" | "ISO646-US" | "646" => Self::Ascii,
            "ISO-8859-1" | "ISO8859-1" | "ISO8859_1" | "ISO_8859-1" | "ISO_8859_1" | "LATIN1"
            | "L1" => Self::Latin1,
            "UTF-16" | "UTF16" | "UTF_16" | "UNICODE" => Self::Utf16,
            "UTF-16BE" | "UTF_16BE" | "UNICODEBIGUNMARKED" => Self::Utf16Be,
            "UTF-16LE" | "UTF_16LE" | "UNICODELITTLEUNMARKED" => Self::Utf16Le,
            _ => return None,
        })
    }

    /// Appends `text`; what the set lacks becomes a question mark.
    pub(crate) fn encode(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Ascii => out.extend(
                text.chars()
                    .map(|c| if c.is_ascii() { c as u8 } else { b'?' }),
            ),
            Self::Latin1 => out.extend(
                text.chars()
                    .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')),
            ),
            Self::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Self::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Utf16 => {
                // Java marks the byte order of any text but an empty one.
                if !text.is_empty() {
                    out.extend_from_slice(&[0xfe, 0xff]);
                }
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
        }
    }

    /// The text of `bytes`; what is malformed becomes U+FFFD.
    pub(crate) fn decode(self, bytes: &[u8]) -> String {
        let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
            let units: Vec<u16> = bytes
                .chunks(2)
                .map(|pair| {
                    if let [a, b] = *pair {
                        unit([a, b])
                    } else {
                        0xfffd
                    }
                })
                .collect();
            String::from_utf16_lossy(&units)
        };
        match (self, bytes) {
            (Self::Utf8, _) => String::from_utf8_lossy(bytes).into_owned(),
            (Self::Ascii, _) => bytes
                .iter()
                .map(|b| {
                    if b.is_ascii() {
                        char::from(*b)
                    } else {
                        '\u{fffd}'
                    }
                })
                .collect(),
            (Self::Latin1, _) => bytes.iter().map(|b| char::from(*b)).collect(),
            (Self::Utf16, [0xff, 0xfe, rest @ ..]) => utf16(rest, u16::from_le_bytes),
            (Self::Utf16, [0xfe, 0xff, rest @ ..]) => utf16(rest, u16::from_be_bytes),
            (Self::Utf16Le, _) => utf16(bytes, u16::from_le_bytes),
            (Self::Utf16 | Self::Utf16Be, _) => utf16(bytes, u16::from_be_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for name in Charset::KNOWN {
            let charset = Charset::named(&name.to_lowercase()).expect("known");
            let mut out = Vec::new();
            charset.encode("aé😀", &mut out);
            let expected = match charset {
                Charset::Ascii => "a??",
                Charset::Latin1 => "aé?",
                _ => "aé😀",
            };
            assert_eq!(charset.decode(&out), expected, "{name}");
        }
        assert_eq!(Charset::Utf16.decode(b"\xff\xfea\0\0"), "a\u{fffd}");
        assert!(Charset::named("EBCDIC").is_none());
    }
}
