//! The Protobuf encoding: tags, varints, lengths.

/// `tag << 3 | type`, then what follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WireValue<'b> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1, little endian.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'b [u8]),
    /// Wire type 5, little endian.
    Fixed32(u32),
    /// Wire types 3 and 4: a whole group, skipped.
    Group,
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end within a value.
    #[error(
        "While parsing a protocol message, the input ended unexpectedly in the middle of a field.  This could mean either that the input has been truncated or that an embedded message misreported its own length."
    )]
    Truncated,
    /// A varint of more than ten bytes.
    #[error("CodedInputStream encountered a malformed varint.")]
    Varint,
    /// Field number 0.
    #[error("Protocol message contained an invalid tag (zero).")]
    Tag,
    /// Wire type 6 or 7.
    #[error("Protocol message tag had invalid wire type.")]
    Type,
    /// A group that is not closed by its own end.
    #[error("Protocol message end-group tag did not match expected tag.")]
    Group,
    /// More than 100 levels.
    #[error(
        "Protocol message had too many levels of nesting.  May be malicious.  Use setRecursionLimit() to increase the recursion depth limit."
    )]
    Depth,
    /// A text of proto3 that is no UTF-8.
    #[error("Protocol message had invalid UTF-8.")]
    Utf8,
}

/// How deep messages may be nested in data.
pub const MAX_MESSAGE_DEPTH: usize = 100;

/// A cursor in an encoded message.
#[derive(Debug, Clone, Copy)]
pub struct WireReader<'b> {
    rest: &'b [u8],
}

impl<'b> WireReader<'b> {
    /// From the beginning.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field, or `None` at the end.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn field(&mut self) -> Result<Option<(i32, WireValue<'b>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()? as u32;
        let number = (tag >> 3) as i32;
        if number == 0 {
            return Err(WireError::Tag);
        }
        let value = match tag & 7 {
            3 => {
                self.skip_group(number)?;
                WireValue::Group
            }
            4 => return Err(WireError::Group),
            kind => self.value(kind)?,
        };
        Ok(Some((number, value)))
    }

    fn value(&mut self, kind: u32) -> Result<WireValue<'b>, WireError> {
        Ok(match kind {
            0 => WireValue::Varint(self.varint()?),
            1 => WireValue::Fixed64(self.fixed64()?),
            2 => WireValue::Bytes(self.bytes()?),
            5 => WireValue::Fixed32(self.fixed32()?),
            _ => return Err(WireError::Type),
        })
    }

    /// Skips to the end of a group, without recursion.
    fn skip_group(&mut self, number: i32) -> Result<(), WireError> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let tag = self.varint()? as u32;
            let number = (tag >> 3) as i32;
            match tag & 7 {
                _ if number == 0 => return Err(WireError::Tag),
                3 if open.len() >= MAX_MESSAGE_DEPTH => return Err(WireError::Depth),
                3 => open.push(number),
                4 if number != innermost => return Err(WireError::Group),
                4 => {
                    open.pop();
                }
                kind => {
                    self.value(kind)?;
                }
            }
        }
        Ok(())
    }

    /// A varint of at most ten bytes; bits beyond 64 are dropped.
    ///
    /// # Errors
    /// It is cut off or too long.
    pub fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for i in 0..10 {
            let &byte = self.rest.get(i).ok_or(WireError::Truncated)?;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }

    /// Four bytes, little endian.
    ///
    /// # Errors
    /// They are cut off.
    pub fn fixed32(&mut self) -> Result<u32, WireError> {
        let (value, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*value))
    }

    /// Eight bytes, little endian.
    ///
    /// # Errors
    /// They are cut off.
    pub fn fixed64(&mut self) -> Result<u64, WireError> {
        let (value, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*value))
    }

    /// A length and that many bytes.
    ///
    /// # Errors
    /// They are cut off.
    pub fn bytes(&mut self) -> Result<&'b [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        let (value, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(value)
    }
}

/// Appends a varint.
pub fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the tag of a field.
pub fn write_tag(number: i32, wire_type: u8, out: &mut Vec<u8>) {
    write_varint((number as u32 as u64) << 3 | u64::from(wire_type), out);
}

/// Appends a length-delimited field.
pub fn write_bytes(number: i32, bytes: &[u8], out: &mut Vec<u8>) {
    write_tag(number, 2, out);
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends an `int32` field; a negative number takes ten bytes.
pub fn write_int32(number: i32, value: i32, out: &mut Vec<u8>) {
    write_tag(number, 0, out);
    write_varint(i64::from(value) as u64, out);
}

/// Zig-zag of 32 bits.
pub fn zigzag32(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

/// Zig-zag of 64 bits.
pub fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The reverse of [`zigzag32`] and [`zigzag64`].
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// How many bytes a varint takes.
pub fn varint_size(value: u64) -> usize {
    ((64 - (value | 1).leading_zeros() as usize) * 9 + 64) / 64
}
