//! Avro's primitives, read with every bound checked.

use super::error::{DatumError, Problem};
use super::{MAX_DEPTH, MAX_EMPTY_ITEMS};

/// Reads values off the front of a slice. After an error the position is unspecified.
#[derive(Debug, Clone)]
pub struct DatumReader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    empty_items: usize,
}

/// Head of a block of an array or a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// How many items follow, keys included in them for a map; 0 ends the array or map.
    pub items: usize,
    /// How many bytes they take, if the writer says so.
    pub bytes: Option<usize>,
}

impl<'a> DatumReader<'a> {
    /// Starts at the first byte.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            depth: 0,
            empty_items: MAX_EMPTY_ITEMS,
        }
    }

    /// Bytes that were read.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Fails when bytes are left.
    ///
    /// # Errors
    /// [`Problem::Trailing`].
    pub fn finish(&self) -> Result<(), DatumError> {
        match self.remaining() {
            0 => Ok(()),
            n => Err(DatumError::new(self.at, Problem::Trailing(n))),
        }
    }

    /// Before the items of an array, map, record or union are read by recursion: bounds the stack that hostile bytes of a recursive schema can take.
    ///
    /// # Errors
    /// [`Problem::Depth`].
    #[inline]
    pub fn enter(&mut self) -> Result<(), DatumError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(DatumError::new(self.at, Problem::Depth));
        }
        Ok(())
    }

    /// After them.
    #[inline]
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// `boolean`.
    ///
    /// # Errors
    /// The end, or a byte above 1.
    #[inline]
    pub fn read_boolean(&mut self) -> Result<bool, DatumError> {
        match self.bytes.get(self.at) {
            Some(0) => {
                self.at += 1;
                Ok(false)
            }
            Some(1) => {
                self.at += 1;
                Ok(true)
            }
            Some(other) => Err(DatumError::new(self.at, Problem::Boolean(*other))),
            None => Err(self.end("boolean", 1)),
        }
    }

    /// `int`.
    ///
    /// # Errors
    /// The end, or more than 5 bytes.
    #[inline]
    pub fn read_int(&mut self) -> Result<i32, DatumError> {
        let raw = match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                u32::from(*byte)
            }
            // What exceeds 32 bits is cut off, as Java does.
            _ => self.read_varint(5, "int")? as u32,
        };
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// `long`.
    ///
    /// # Errors
    /// The end, or more than 10 bytes.
    #[inline]
    pub fn read_long(&mut self) -> Result<i64, DatumError> {
        let raw = match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                u64::from(*byte)
            }
            _ => self.read_varint(10, "long")?,
        };
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    fn read_varint(&mut self, most: usize, expected: &'static str) -> Result<u64, DatumError> {
        let mut raw = 0u64;
        for n in 0..most {
            let Some(byte) = self.bytes.get(self.at + n) else {
                return Err(self.end(expected, n + 1));
            };
            raw |= u64::from(byte & 0x7f) << (7 * n);
            if *byte < 0x80 {
                self.at += n + 1;
                return Ok(raw);
            }
        }
        Err(DatumError::new(self.at, Problem::Varint { expected }))
    }

    /// `float`.
    ///
    /// # Errors
    /// The end.
    #[inline]
    pub fn read_float(&mut self) -> Result<f32, DatumError> {
        match self.bytes[self.at..].first_chunk::<4>() {
            Some(bytes) => {
                self.at += 4;
                Ok(f32::from_le_bytes(*bytes))
            }
            None => Err(self.end("float", 4 - self.remaining())),
        }
    }

    /// `double`.
    ///
    /// # Errors
    /// The end.
    #[inline]
    pub fn read_double(&mut self) -> Result<f64, DatumError> {
        match self.bytes[self.at..].first_chunk::<8>() {
            Some(bytes) => {
                self.at += 8;
                Ok(f64::from_le_bytes(*bytes))
            }
            None => Err(self.end("double", 8 - self.remaining())),
        }
    }

    /// `bytes`.
    ///
    /// # Errors
    /// The end, or an impossible length.
    #[inline]
    pub fn read_bytes(&mut self) -> Result<&'a [u8], DatumError> {
        let length = self.read_size("bytes")?;
        self.take(length, "bytes")
    }

    /// `string`.
    ///
    /// # Errors
    /// The end, an impossible length, or bytes that are not UTF-8.
    #[inline]
    pub fn read_string(&mut self) -> Result<&'a str, DatumError> {
        let from = self.at;
        let length = self.read_size("string")?;
        let bytes = self.take(length, "string")?;
        std::str::from_utf8(bytes).map_err(|_| DatumError::new(from, Problem::Utf8))
    }

    /// `fixed` of `size` bytes.
    ///
    /// # Errors
    /// The end.
    #[inline]
    pub fn read_fixed(&mut self, size: usize) -> Result<&'a [u8], DatumError> {
        self.take(size, "fixed")
    }

    /// The index of an enum's symbol.
    ///
    /// # Errors
    /// The end, or an index that is not below `symbols`.
    #[inline]
    pub fn read_symbol(&mut self, symbols: usize) -> Result<usize, DatumError> {
        let from = self.at;
        let index = self.read_int()?;
        match usize::try_from(index) {
            Ok(i) if i < symbols => Ok(i),
            _ => Err(DatumError::new(
                from,
                Problem::Symbol {
                    index: index.into(),
                    symbols,
                },
            )),
        }
    }

    /// The index of a union's branch.
    ///
    /// # Errors
    /// The end, or an index that is not below `branches`.
    #[inline]
    pub fn read_branch(&mut self, branches: usize) -> Result<usize, DatumError> {
        let from = self.at;
        let index = self.read_long()?;
        match usize::try_from(index) {
            Ok(i) if i < branches => Ok(i),
            _ => Err(DatumError::new(from, Problem::Branch { index, branches })),
        }
    }

    /// Head of a block. `least` is the fewest bytes that an item takes ([`ReadPlan::min_size`](super::ReadPlan::min_size); a map's item has a key, so 1 and its value's):
    /// with it a count that cannot be true is found before anything is allocated for it.
    ///
    /// # Errors
    /// The end, an impossible count, or too many items that take no bytes.
    #[inline]
    pub fn read_block(&mut self, least: usize) -> Result<Block, DatumError> {
        let from = self.at;
        let mut count = self.read_long()?;
        let mut bytes = None;
        if count == 0 {
            return Ok(Block { items: 0, bytes });
        }
        if count < 0 {
            bytes = Some(self.read_size("block")?);
            count = count.checked_neg().unwrap_or(i64::MAX);
        }
        let impossible = || {
            DatumError::new(
                from,
                Problem::Length {
                    expected: "block",
                    length: count,
                },
            )
        };
        let items = usize::try_from(count).map_err(|_| impossible())?;
        match self.remaining().checked_div(least) {
            Some(most) if items > most => return Err(impossible()),
            Some(_) => {}
            None => match self.empty_items.checked_sub(items) {
                Some(left) => self.empty_items = left,
                None => return Err(DatumError::new(from, Problem::EmptyItems)),
            },
        }
        Ok(Block { items, bytes })
    }

    /// Passes over bytes.
    ///
    /// # Errors
    /// The end.
    #[inline]
    pub fn skip(&mut self, bytes: usize, expected: &'static str) -> Result<(), DatumError> {
        self.take(bytes, expected).map(|_| ())
    }

    /// A length that what is left can hold.
    #[inline]
    fn read_size(&mut self, expected: &'static str) -> Result<usize, DatumError> {
        let from = self.at;
        let length = self.read_long()?;
        if length < 0 {
            return Err(DatumError::new(from, Problem::Length { expected, length }));
        }
        match usize::try_from(length) {
            Ok(length) if length <= self.remaining() => Ok(length),
            _ => Err(DatumError::new(
                from,
                Problem::End {
                    expected,
                    needed: usize::try_from(length)
                        .unwrap_or(usize::MAX)
                        .saturating_sub(self.remaining()),
                },
            )),
        }
    }

    #[inline]
    fn take(&mut self, length: usize, expected: &'static str) -> Result<&'a [u8], DatumError> {
        match self.bytes[self.at..].get(..length) {
            Some(bytes) => {
                self.at += length;
                Ok(bytes)
            }
            None => Err(self.end(expected, length - self.remaining())),
        }
    }

    #[cold]
    fn end(&self, expected: &'static str, needed: usize) -> DatumError {
        DatumError::new(self.at, Problem::End { expected, needed })
    }
}
