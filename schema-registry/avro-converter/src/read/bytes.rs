//! Numbers and pieces of a payload.

use millrace_api::data::{Blob, Text};

use super::{Outcome, Reader, end_of_data, malformed};

impl<'p> Reader<'p> {
    /// A length.
    #[inline(always)]
    pub(super) fn count(&mut self) -> Outcome<usize> {
        let length = self.long()?;
        usize::try_from(length)
            .map_err(|_| malformed(format!("Malformed data. Length is negative: {length}")))
    }

    #[inline(always)]
    pub(super) fn int(&mut self) -> Outcome<i32> {
        let value = self.long()?;
        i32::try_from(value).map_err(|_| malformed("Invalid int encoding".to_owned()))
    }

    #[inline(always)]
    pub(super) fn long(&mut self) -> Outcome<i64> {
        self.varint().map(unzigzag)
    }

    #[inline(always)]
    pub(super) fn varint(&mut self) -> Outcome<u64> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(byte.into())
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Outcome<u64> {
        let word = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
        if let Some((value, length)) = word.and_then(|word| in_a_word(*word)) {
            self.at += length;
            return Ok(value);
        }
        // Of more than eight bytes, or nearer than that to the end.
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(end_of_data)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed("Invalid long encoding".to_owned()))
    }

    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Outcome<&'p [u8]> {
        let end = self.at.checked_add(count).ok_or_else(end_of_data)?;
        let taken = self.bytes.get(self.at..end).ok_or_else(end_of_data)?;
        self.at = end;
        Ok(taken)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| end_of_data())
    }

    #[inline(always)]
    pub(super) fn blob(&mut self, count: usize) -> Outcome<Blob> {
        let start = self.at;
        self.take(count)?;
        let (Ok(start), Ok(count)) = (u32::try_from(start), u32::try_from(count)) else {
            return Err(end_of_data());
        };
        self.payload.slice(start, count).ok_or_else(end_of_data)
    }

    #[inline(always)]
    pub(super) fn text(&mut self, count: usize) -> Outcome<Text> {
        match self.blob(count)?.into_text() {
            Some(text) => Ok(text),
            None => {
                let bytes = &self.bytes[self.at - count..self.at];
                Ok(Text::new(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
    }
}

/// The varint that begins these bytes, and its length, if it ends within them. Without a branch per byte: how long a number is changes from record to record.
#[inline]
fn in_a_word(bytes: [u8; 8]) -> Option<(u64, usize)> {
    const FLAGS: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(bytes);
    // The flag of the last byte, which is the first that is not set.
    let last = !word & FLAGS;
    if last == 0 {
        return None;
    }
    // That byte and those before it, without their flags; then seven bits of each, moved together in pairs.
    let bits = word & (last ^ (last - 1)) & !FLAGS;
    let bits = bits & 0x007f_007f_007f_007f | (bits & 0x7f00_7f00_7f00_7f00) >> 1;
    let bits = bits & 0x0000_3fff_0000_3fff | (bits & 0x3fff_0000_3fff_0000) >> 2;
    let bits = bits & 0x0fff_ffff | (bits & 0x0fff_ffff_0000_0000) >> 4;
    Some((bits, last.trailing_zeros() as usize / 8 + 1))
}

#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_is_read_from_a_word() {
        for bits in 0..56 {
            for value in [
                1 << bits,
                (1 << bits) - 1,
                (1 << bits) | 1,
                !0 >> (63 - bits),
            ] {
                let (mut bytes, mut length, mut rest) = ([0xff; 8], 0, value);
                loop {
                    bytes[length] = (rest & 0x7f) as u8;
                    rest >>= 7;
                    length += 1;
                    if rest == 0 {
                        break;
                    }
                    bytes[length - 1] |= 0x80;
                }
                assert_eq!(in_a_word(bytes), Some((value, length)), "{value:#x}");
                // What follows does not matter.
                bytes[length..].fill(0);
                assert_eq!(in_a_word(bytes), Some((value, length)), "{value:#x}");
            }
        }
        assert_eq!(in_a_word([0x80; 8]), None);
    }
}
