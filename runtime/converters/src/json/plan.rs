//! What a schema means for reading and writing JSON, worked out once per schema.

use millrace_api::data::{Kind, Schema, logical};

/// Connect's own logical types, which are written in a form of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logical {
    /// None: the base type decides.
    No,
    /// With the schema's scale; `None` when the parameter is missing or no number.
    Decimal(Option<i32>),
    Date,
    Time,
    Timestamp,
}

impl Logical {
    pub(crate) fn of(schema: &Schema) -> Self {
        match schema.name() {
            Some(logical::DECIMAL) => Self::Decimal(logical::decimal_scale(schema)),
            Some(logical::DATE) => Self::Date,
            Some(logical::TIME) => Self::Time,
            Some(logical::TIMESTAMP) => Self::Timestamp,
            _ => Self::No,
        }
    }

    /// The simple class name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Decimal(_) => "Decimal",
            Self::Date => "Date",
            Self::Time => "Time",
            Self::Timestamp => "Timestamp",
        }
    }
}

/// A schema with its logical types found and its parts by index.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) schema: Schema,
    pub(crate) kind: Kind,
    pub(crate) logical: Logical,
    /// Of a map's keys.
    pub(crate) key: Option<Box<ReadPlan>>,
    /// Of a map's values or an array's elements.
    pub(crate) value: Option<Box<ReadPlan>>,
    /// Of a struct's fields.
    pub(crate) fields: Box<[ReadPlan]>,
}

impl ReadPlan {
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            schema: schema.clone(),
            kind: schema.kind(),
            logical: Logical::of(schema),
            key: schema.key_schema().map(|s| Box::new(Self::new(s))),
            value: schema.value_schema().map(|s| Box::new(Self::new(s))),
            fields: schema
                .fields()
                .iter()
                .map(|f| Self::new(&f.schema))
                .collect(),
        }
    }
}

/// Refuses a time of day that a Java worker cannot hold.
pub(crate) fn time_in_range(millis: i32) -> bool {
    (0..=86_400_000).contains(&millis)
}
