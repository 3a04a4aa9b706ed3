//! What is wrong with a datum.

use std::fmt;
use std::sync::Arc;

/// Bytes that are no datum of the schema they are read with. One pointer wide, so that reading a number stays in registers.
#[derive(Clone, PartialEq, Eq)]
pub struct DatumError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    position: usize,
    problem: Problem,
}

/// The kinds of damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The bytes end in the middle of a value: `needed` more bytes had to follow.
    End {
        /// What was being read: `int`, `string`.
        expected: &'static str,
        /// Bytes that are missing at least.
        needed: usize,
    },
    /// A variable-length number that does not end where it must.
    Varint {
        /// `int` or `long`.
        expected: &'static str,
    },
    /// A length or count that is negative or larger than what can follow.
    Length {
        /// What was being read.
        expected: &'static str,
        /// The length that was found.
        length: i64,
    },
    /// A byte that is neither 0 nor 1.
    Boolean(u8),
    /// A string that is not UTF-8.
    Utf8,
    /// The index of a union's branch that the union does not have.
    Branch {
        /// The index that was found.
        index: i64,
        /// How many branches there are.
        branches: usize,
    },
    /// The index of an enum's symbol that the enum does not have.
    Symbol {
        /// The index that was found.
        index: i64,
        /// How many symbols there are.
        symbols: usize,
    },
    /// The value is valid for the writer but has no counterpart in the reader's schema. The text says why.
    Unreadable(Arc<str>),
    /// The value does not fit the schema that it is to be written with. The text says why.
    Unwritable(Arc<str>),
    /// The datum is nested more deeply than [`MAX_DEPTH`](super::MAX_DEPTH).
    Depth,
    /// More items without bytes than [`MAX_EMPTY_ITEMS`](super::MAX_EMPTY_ITEMS).
    EmptyItems,
    /// Bytes follow where the datum must end.
    Trailing(usize),
}

impl DatumError {
    /// Of a problem at a byte.
    #[cold]
    pub fn new(position: usize, problem: Problem) -> Self {
        Self(Box::new(Inner { position, problem }))
    }

    /// Offset of the byte where the value that could not be read begins.
    pub fn position(&self) -> usize {
        self.0.position
    }

    /// What is wrong there.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl fmt::Debug for DatumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatumError")
            .field("position", &self.0.position)
            .field("problem", &self.0.problem)
            .finish()
    }
}

impl fmt::Display for DatumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0.position;
        match &self.0.problem {
            Problem::End { expected, needed } => write!(
                f,
                "the data ends within a value of type {expected} that begins at byte {at}: at least {needed} more bytes are expected"
            ),
            Problem::Varint { expected } => {
                write!(
                    f,
                    "invalid encoding of a value of type {expected} at byte {at}"
                )
            }
            Problem::Length { expected, length } => {
                write!(
                    f,
                    "impossible length {length} of a value of type {expected} at byte {at}"
                )
            }
            Problem::Boolean(found) => write!(
                f,
                "invalid encoding of a value of type boolean at byte {at}: {found} where 0 or 1 is allowed"
            ),
            Problem::Utf8 => write!(f, "the string at byte {at} is not UTF-8"),
            Problem::Branch { index, branches } => write!(
                f,
                "the union at byte {at} has no branch {index}, only {branches} branches"
            ),
            Problem::Symbol { index, symbols } => write!(
                f,
                "the enum at byte {at} has no symbol {index}, only {symbols} symbols"
            ),
            Problem::Unreadable(why) => write!(f, "the value at byte {at} cannot be read: {why}"),
            Problem::Unwritable(why) => write!(f, "the value cannot be written: {why}"),
            Problem::Depth => write!(
                f,
                "the value at byte {at} is nested more than {} levels deep",
                super::MAX_DEPTH
            ),
            Problem::EmptyItems => write!(
                f,
                "the array or map at byte {at} has more than {} items that take no bytes",
                super::MAX_EMPTY_ITEMS
            ),
            Problem::Trailing(count) => {
                write!(f, "{count} bytes follow the end of the datum at byte {at}")
            }
        }
    }
}

impl std::error::Error for DatumError {}
