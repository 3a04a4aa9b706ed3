//! One-dimensional arrays in PostgreSQL's binary form: one for each column of a batch.

use sqlx::encode::IsNull;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

/// Type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Bool,
    Bytea,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Date,
    Time,
    Timestamp,
}

impl Element {
    /// The type's name in SQL.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Bytea => "bytea",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Float4 => "float4",
            Self::Float8 => "float8",
            Self::Text => "text",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
        }
    }

    /// Object identifiers of the type and of arrays of it, which are the same in every installation.
    fn oids(self) -> (u32, u32) {
        match self {
            Self::Bool => (16, 1000),
            Self::Bytea => (17, 1001),
            Self::Int8 => (20, 1016),
            Self::Int2 => (21, 1005),
            Self::Int4 => (23, 1007),
            Self::Text => (25, 1009),
            Self::Float4 => (700, 1021),
            Self::Float8 => (701, 1022),
            Self::Date => (1082, 1182),
            Self::Time => (1083, 1183),
            Self::Timestamp => (1114, 1115),
        }
    }
}

/// Dimensions, null flag, element type, length, lower bound: 4 bytes each.
const HEADER: usize = 20;

/// An array under construction, in the form in which it is sent. Kept from batch to batch for its memory.
#[derive(Debug)]
pub(crate) struct ArrayBuffer {
    bytes: Vec<u8>,
    element: Element,
    length: u32,
    nulls: bool,
}

impl ArrayBuffer {
    pub(crate) fn new(element: Element) -> Self {
        let mut buffer = Self {
            bytes: Vec::new(),
            element,
            length: 0,
            nulls: false,
        };
        buffer.reset(element);
        buffer
    }

    /// Empties it; elements are of `element` from now on.
    pub(crate) fn reset(&mut self, element: Element) {
        self.bytes.clear();
        self.bytes.resize(HEADER, 0);
        self.element = element;
        self.length = 0;
        self.nulls = false;
    }

    /// Size so far.
    pub(crate) fn byte_size(&self) -> usize {
        self.bytes.len()
    }

    /// What was appended after the first `from` bytes.
    #[cfg(test)]
    pub(crate) fn element_bytes_for_tests(&self, from: usize) -> &[u8] {
        &self.bytes[from..]
    }

    /// Appends null.
    pub(crate) fn push_null(&mut self) {
        self.nulls = true;
        self.length += 1;
        self.bytes.extend_from_slice(&(-1i32).to_be_bytes());
    }

    /// Appends an element of fixed size, in network byte order.
    #[inline]
    pub(crate) fn push_fixed<const N: usize>(&mut self, bytes: [u8; N]) {
        self.length += 1;
        self.bytes.extend_from_slice(&(N as i32).to_be_bytes());
        self.bytes.extend_from_slice(&bytes);
    }

    /// Appends an element that `write` writes.
    #[inline]
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.length += 1;
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes);
        // Longer than the server takes at all: it reports the value as too large, which is true.
        let length = i32::try_from(self.bytes.len() - at - 4).unwrap_or(i32::MAX);
        self.bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Appends bytes, or text.
    #[inline]
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.push_with(|out| out.extend_from_slice(bytes));
    }

    /// Ready to be bound.
    pub(crate) fn finish(&mut self) -> ArrayParameter<'_> {
        let header = [
            1,
            u32::from(self.nulls),
            self.element.oids().0,
            self.length,
            1,
        ];
        for (at, word) in header.into_iter().enumerate() {
            self.bytes[at * 4..at * 4 + 4].copy_from_slice(&word.to_be_bytes());
        }
        ArrayParameter {
            bytes: &self.bytes,
            element: self.element,
        }
    }
}

/// A finished array as a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArrayParameter<'a> {
    bytes: &'a [u8],
    element: Element,
}

impl Type<Postgres> for ArrayParameter<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(Element::Text.oids().1))
    }
}

impl Encode<'_, Postgres> for ArrayParameter<'_> {
    fn encode_by_ref(
        &self,
        buf: &mut PgArgumentBuffer,
    ) -> Result<IsNull, sqlx::error::BoxDynError> {
        buf.extend_from_slice(self.bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.element.oids().1)))
    }

    fn size_hint(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_an_array() {
        let mut array = ArrayBuffer::new(Element::Int4);
        array.push_fixed(7i32.to_be_bytes());
        array.push_null();
        let expected = [
            0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7,
            255, 255, 255, 255,
        ];
        assert_eq!(array.finish().bytes, expected);
        array.reset(Element::Text);
        array.push_bytes(b"ab");
        assert_eq!(
            array.finish().bytes,
            [
                0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, b'a', b'b'
            ]
        );
    }
}
