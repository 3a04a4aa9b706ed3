//! Why bytes are not a pgoutput message.

use std::fmt;

/// A pgoutput message that cannot be decoded: which message, where, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The first byte of the message; `None` when the message is empty.
    pub tag: Option<u8>,
    /// Byte offset inside the message at which decoding failed.
    pub offset: usize,
    /// What should have been there.
    pub expected: &'static str,
    /// What was there instead.
    pub found: Found,
}

/// What stood in the place of the expected part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The message ends too early; so many bytes were left.
    EndOfMessage {
        /// Bytes between the offset and the end of the message.
        remaining: usize,
    },
    /// A byte that has no meaning in this place.
    Byte(u8),
    /// A number that has no meaning in this place, such as a negative length.
    Number(i64),
    /// Text that is not UTF-8.
    NotUtf8,
    /// Bytes after the end of a complete message.
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A message that is not sent in the negotiated protocol version.
    NotInVersion(u8),
    /// A message that must not appear in this place of the stream.
    OutOfPlace,
}

/// Prints a byte as a character when it is printable ASCII.
struct Tag(u8);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "'{}'", self.0 as char)
        } else {
            write!(f, "0x{:02x}", self.0)
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            Some(tag) => write!(f, "pgoutput message {}", Tag(tag))?,
            None => f.write_str("empty pgoutput message")?,
        }
        write!(
            f,
            " at byte {}: expected {}, found ",
            self.offset, self.expected
        )?;
        match self.found {
            Found::EndOfMessage { remaining } => {
                write!(f, "the end of the message after {remaining} more bytes")
            }
            Found::Byte(byte) => write!(f, "byte {}", Tag(byte)),
            Found::Number(number) => write!(f, "{number}"),
            Found::NotUtf8 => f.write_str("bytes that are not UTF-8"),
            Found::TrailingBytes { count } => write!(f, "{count} bytes too many"),
            Found::NotInVersion(version) => {
                write!(f, "a message that protocol version {version} does not have")
            }
            Found::OutOfPlace => f.write_str("a message that cannot occur in this place"),
        }
    }
}

impl std::error::Error for DecodeError {}
