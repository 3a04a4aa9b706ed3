//! A cursor over one message: every read is checked and names what it expected.

use super::error::{DecodeError, Found};
use crate::Lsn;

#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    message: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Starts behind the tag byte of `message`.
    pub(super) fn after_tag(message: &'a [u8]) -> Self {
        Reader {
            message,
            position: 1.min(message.len()),
        }
    }

    pub(super) fn message(&self) -> &'a [u8] {
        self.message
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn remaining(&self) -> usize {
        self.message.len() - self.position
    }

    /// An error about the byte at `offset`.
    pub(super) fn error_at(
        &self,
        offset: usize,
        expected: &'static str,
        found: Found,
    ) -> DecodeError {
        DecodeError {
            tag: self.message.first().copied(),
            offset,
            expected,
            found,
        }
    }

    #[inline]
    pub(super) fn bytes(
        &mut self,
        len: usize,
        expected: &'static str,
    ) -> Result<&'a [u8], DecodeError> {
        // `position` never exceeds the length, so the slice exists; `get` keeps the check visible.
        let rest = self.message.get(self.position..).unwrap_or_default();
        match rest.get(..len) {
            Some(bytes) => {
                self.position += len;
                Ok(bytes)
            }
            None => Err(self.error_at(
                self.position,
                expected,
                Found::EndOfMessage {
                    remaining: rest.len(),
                },
            )),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N, expected)?);
        Ok(array)
    }

    #[inline]
    pub(super) fn u8(&mut self, expected: &'static str) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array(expected)?))
    }

    #[inline]
    pub(super) fn i32(&mut self, expected: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(expected)?))
    }

    #[inline]
    pub(super) fn u32(&mut self, expected: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array(expected)?))
    }

    #[inline]
    pub(super) fn i64(&mut self, expected: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array(expected)?))
    }

    #[inline]
    pub(super) fn lsn(&mut self, expected: &'static str) -> Result<Lsn, DecodeError> {
        Ok(Lsn(u64::from_be_bytes(self.array(expected)?)))
    }

    /// A count sent as a signed 16-bit number.
    #[inline]
    pub(super) fn count16(&mut self, expected: &'static str) -> Result<u16, DecodeError> {
        let at = self.position;
        let count = i16::from_be_bytes(self.array(expected)?);
        u16::try_from(count).map_err(|_| self.error_at(at, expected, Found::Number(count.into())))
    }

    /// A length or count sent as a signed 32-bit number.
    #[inline]
    pub(super) fn count32(&mut self, expected: &'static str) -> Result<u32, DecodeError> {
        let at = self.position;
        let count = self.i32(expected)?;
        u32::try_from(count).map_err(|_| self.error_at(at, expected, Found::Number(count.into())))
    }

    /// A NUL-terminated UTF-8 string; the terminator is consumed.
    pub(super) fn text(&mut self, expected: &'static str) -> Result<&'a str, DecodeError> {
        let at = self.position;
        let rest = self.message.get(at..).unwrap_or_default();
        let Some(len) = rest.iter().position(|byte| *byte == 0) else {
            return Err(self.error_at(
                at,
                expected,
                Found::EndOfMessage {
                    remaining: rest.len(),
                },
            ));
        };
        let bytes = self.bytes(len, expected)?;
        self.position += 1;
        std::str::from_utf8(bytes).map_err(|_| self.error_at(at, expected, Found::NotUtf8))
    }

    /// Fails unless the whole message was read.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(self.error_at(
                self.position,
                "the end of the message",
                Found::TrailingBytes { count },
            )),
        }
    }
}
