//! From PostgreSQL's text output to values: one [`Convert`] per column, chosen when the table's shape becomes known.

mod array;
mod binary;
mod bits;
mod hstore;
mod interval;
mod numeric;
mod temporal;

use std::sync::Arc;

use millrace_api::data::{Frame, Schema, Text, Value};

pub(crate) use binary::BinaryMode;
pub(crate) use interval::IntervalMode;
pub(crate) use numeric::DecimalMode;
pub(crate) use temporal::{DateForm, TimeForm, TimestampForm};

/// How the text of one column becomes a value.
#[derive(Debug, Clone)]
pub(crate) enum Convert {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    /// `numeric(p,s)` as a decimal of this scale.
    Decimal {
        scale: i32,
    },
    /// `numeric` without a precision: struct of scale and unscaled bytes.
    VariableDecimal {
        schema: Schema,
    },
    DecimalAsDouble,
    /// `scale`: digits after the point that the column declares, if any.
    DecimalAsString {
        scale: Option<i32>,
    },
    Money {
        scale: i32,
        mode: DecimalMode,
    },
    /// One bit as a boolean.
    Bit,
    /// Several bits as little-endian bytes.
    Bits,
    Text,
    /// One of these labels; another one means that the type has changed.
    Enum {
        labels: Arc<[String]>,
    },
    Bytea(BinaryMode),
    Date(DateForm),
    Time(TimeForm),
    Timestamp(TimestampForm),
    /// Text in UTC with this many digits after the second.
    TimestampTz {
        digits: u32,
    },
    TimeTz,
    Interval(IntervalMode),
    Array(Box<Convert>),
    /// hstore as JSON text.
    HstoreJson,
    /// The bytes of the text of a type that has no mapping (`include.unknown.datatypes`).
    Raw(BinaryMode),
}

/// Why a value could not be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConvertError {
    /// The text is not what the type prints. The value itself is not repeated: it may be personal data.
    #[error("the value is not a valid {expected}")]
    Malformed { expected: &'static str },
    /// A value that the target type cannot hold.
    #[error("{0}")]
    Unrepresentable(&'static str),
    /// An enum label that was added after the type was read.
    #[error("the enum label is not among those known")]
    UnknownLabel,
}

/// Text of one value: a slice of the frame it arrived in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl<'a> Raw<'a> {
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.frame
            .bytes()
            .get(self.start as usize..self.start as usize + self.len as usize)
            .unwrap_or_default()
    }

    fn text(&self) -> Result<Text, ConvertError> {
        self.frame
            .text(self.start, self.len)
            .ok_or(ConvertError::Malformed {
                expected: "UTF-8 text",
            })
    }

    fn str(&self) -> Result<&'a str, ConvertError> {
        std::str::from_utf8(self.bytes()).map_err(|_| ConvertError::Malformed {
            expected: "UTF-8 text",
        })
    }
}

impl Convert {
    /// Converts one value that is not NULL.
    pub(crate) fn value(&self, raw: Raw<'_>) -> Result<Value, ConvertError> {
        Ok(match self {
            Self::Boolean => match raw.bytes() {
                b"t" | b"true" => Value::Boolean(true),
                b"f" | b"false" => Value::Boolean(false),
                _ => {
                    return Err(ConvertError::Malformed {
                        expected: "boolean",
                    });
                }
            },
            Self::Int16 => Value::Int16(numeric::integer(raw.bytes(), "smallint")?),
            Self::Int32 => Value::Int32(numeric::integer(raw.bytes(), "integer")?),
            Self::Int64 => Value::Int64(numeric::integer(raw.bytes(), "bigint")?),
            Self::Float32 => Value::Float32(numeric::float(raw.str()?)?),
            Self::Float64 => Value::Float64(numeric::float(raw.str()?)?),
            Self::Decimal { scale } => numeric::decimal(raw.str()?, *scale)?,
            Self::VariableDecimal { schema } => numeric::variable_decimal(raw.str()?, schema)?,
            Self::DecimalAsDouble => Value::Float64(numeric::float(raw.str()?)?),
            Self::DecimalAsString { scale } => numeric::decimal_as_string(raw, *scale)?,
            Self::Money { scale, mode } => numeric::money(raw.str()?, *scale, *mode)?,
            Self::Bit => bits::single(raw.bytes())?,
            Self::Bits => bits::many(raw.bytes())?,
            Self::Text => Value::String(raw.text()?),
            Self::Enum { labels } => {
                let text = raw.text()?;
                if !labels.iter().any(|l| **l == *text) {
                    return Err(ConvertError::UnknownLabel);
                }
                Value::String(text)
            }
            Self::Bytea(mode) => binary::bytea(raw.bytes(), *mode)?,
            Self::Date(form) => temporal::date(raw.bytes(), *form)?,
            Self::Time(form) => temporal::time(raw.bytes(), *form)?,
            Self::Timestamp(form) => temporal::timestamp(raw.bytes(), *form)?,
            Self::TimestampTz { digits } => temporal::timestamp_tz(raw.bytes(), *digits)?,
            Self::TimeTz => temporal::time_tz(raw.bytes())?,
            Self::Interval(mode) => interval::interval(raw.str()?, *mode)?,
            Self::Array(element) => array::array(raw.str()?, element)?,
            Self::HstoreJson => hstore::json(raw.str()?)?,
            Self::Raw(mode) => binary::encode(raw.bytes(), *mode),
        })
    }

    /// Converts text that is not in a frame: defaults from the catalog.
    pub(crate) fn literal(&self, text: &str) -> Result<Value, ConvertError> {
        let frame = Frame::new(text.as_bytes().to_vec());
        self.value(Raw {
            frame: &frame,
            start: 0,
            len: text.len() as u32,
        })
    }
}
