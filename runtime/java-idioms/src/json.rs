//! JSON as Jackson reads and writes it: member order kept, of a member given twice the last value in the first place, numbers with the digits they came with.

mod number;
mod object;
mod reader;
mod writer;

use std::sync::Arc;

pub use number::Number;
pub use object::{Iter, Object};
pub use reader::ReadOptions;
pub use writer::{NumberStyle, write_string, write_string_to_bytes};

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number with its literal.
    Number(Number),
    /// A string.
    String(Arc<str>),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// Text that is not JSON. The message reads like Jackson's; `line` and `column` count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{message}\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]"
)]
pub struct JsonError {
    /// What is wrong, without the place.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Whether a limit was exceeded (nesting, length of a number or of a string) and not the grammar violated.
    pub limit: bool,
}

impl Json {
    /// Reads one value that is the whole text.
    ///
    /// # Errors
    /// The first violation of the grammar or of a limit in `options`.
    pub fn read(text: &str, options: ReadOptions) -> Result<Self, JsonError> {
        reader::read(text, options)
    }

    /// Reads one value at the start of the text; returns it with the number of bytes it takes, blanks before it included. What follows is not looked at.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_first(text: &str, options: ReadOptions) -> Result<(Self, usize), JsonError> {
        reader::read_first(text, options)
    }

    /// Whether the whole text is one value, without keeping it: several times as fast as [`read`](Self::read), in the memory of the deepest nesting.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn check(text: &str, options: ReadOptions) -> Result<(), JsonError> {
        reader::check(text, options)
    }

    /// Appends the value without blanks, as Jackson prints it.
    pub fn write(&self, style: NumberStyle, out: &mut String) {
        writer::write(self, style, out);
    }

    /// The value without blanks, numbers as in the source.
    pub fn to_text(&self) -> String {
        self.to_text_styled(NumberStyle::Literal)
    }

    /// The value without blanks.
    pub fn to_text_styled(&self, style: NumberStyle) -> String {
        let mut out = String::new();
        self.write(style, &mut out);
        out
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// An integer literal that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// A member of an object; `None` for other values too.
    pub fn get(&self, member: &str) -> Option<&Json> {
        self.as_object()?.get(member)
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Arc<str>> for Json {
    fn from(text: Arc<str>) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Json {
    fn from(value: i32) -> Self {
        Self::Number(i64::from(value).into())
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<Vec<Json>> for Json {
    fn from(values: Vec<Json>) -> Self {
        Self::Array(values)
    }
}

impl From<Object> for Json {
    fn from(members: Object) -> Self {
        Self::Object(members)
    }
}
