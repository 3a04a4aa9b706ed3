//! What to write for a value, worked out once per Connect schema and writer's schema.
//!
//! The writer's schema is the registered text, not the one that was made of the Connect schema: the registry may answer another one, and of two types of one name only the
//! first survives printing.

use std::collections::HashMap;

use millrace_api::data::{Kind as ConnectKind, Schema, Value};

use crate::fault::Fault;

/// How to write a value that may be null.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) on_null: OnNull,
    /// The union's branch, as it is written; none outside of a union.
    pub(crate) branch: Option<Branch>,
    pub(crate) body: Body,
}

/// What to do about null.
#[derive(Debug)]
pub(crate) enum OnNull {
    /// Connect does not allow it here.
    Refuse,
    /// It is this branch.
    Branch(Branch),
    /// It takes no bytes.
    Nothing,
    /// Schemaless data has a form for it.
    Body,
    /// The writer's schema has no place for it.
    Unwritable(Box<Fault>),
}

/// The index of a branch in zig-zag form. Unions of more than 64 branches are so rare that they pay for a longer number each time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch(pub(crate) u32);

/// How to write a value that is not null.
#[derive(Debug)]
pub(crate) enum Body {
    Boolean,
    Int8,
    Int16,
    Int32,
    Date,
    /// Milliseconds of the day.
    Time,
    Timestamp,
    Int64,
    Float32,
    Float64,
    /// A number as one of another type.
    Number(ConnectKind, Number),
    String,
    Enum(Box<Symbols>),
    Bytes,
    Fixed(u32),
    Decimal(i32),
    FixedDecimal {
        size: u32,
        scale: i32,
    },
    Array(Box<Plan>),
    Map(Box<Plan>),
    /// Records of key and value, in this order or the other.
    Entries(Box<Entries>),
    Record(u32),
    /// A struct that stands for a union: the first field that is set.
    Union(Box<UnionPlan>),
    /// Schemaless data.
    Anything,
    /// The value is looked at, and then cannot be written.
    Unwritable(Option<ConnectKind>, Box<Fault>),
}

/// An Avro number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Int,
    Long,
    Float,
    Double,
}

/// An enum's symbols with their places.
#[derive(Debug)]
pub(crate) struct Symbols {
    pub(crate) by_text: HashMap<Box<str>, u32>,
    pub(crate) listed: String,
}

#[derive(Debug)]
pub(crate) struct Entries {
    pub(crate) key: Plan,
    pub(crate) value: Plan,
    pub(crate) key_first: bool,
}

#[derive(Debug)]
pub(crate) struct UnionPlan {
    pub(crate) schema: Schema,
    pub(crate) fields: Box<[FieldPlan]>,
    pub(crate) on_null: OnNull,
}

/// A field of a struct.
#[derive(Debug)]
pub(crate) struct FieldPlan {
    /// What stands for null.
    pub(crate) default: Option<Value>,
    pub(crate) plan: Plan,
}

/// A record.
#[derive(Debug)]
pub(crate) struct RecordPlan {
    pub(crate) schema: Schema,
    pub(crate) shape: Shape,
}

/// How the struct's fields come to be the record's.
#[derive(Debug)]
pub(crate) enum Shape {
    /// One for one.
    Same(Box<[FieldPlan]>),
    /// Some are left out, moved or made up.
    Other {
        steps: Box<[Step]>,
        /// Fields of the struct that the record lacks.
        left_out: Box<[LeftOut]>,
    },
}

/// One of the record's fields.
#[derive(Debug)]
pub(crate) enum Step {
    From(u32, FieldPlan),
    Default(Box<[u8]>),
    Unwritable(Box<Fault>),
}

/// One of the struct's fields that is not written.
#[derive(Debug)]
pub(crate) struct LeftOut {
    pub(crate) field: u32,
    pub(crate) default: Option<Value>,
    pub(crate) optional: bool,
    /// Why no value may be lost.
    pub(crate) fault: Option<Box<Fault>>,
}

/// How to write a key or a value.
#[derive(Debug)]
pub(crate) struct WritePlan {
    pub(crate) root: Plan,
    pub(crate) records: Vec<RecordPlan>,
    /// The payload is the value's bytes, without a length.
    pub(crate) bare_bytes: bool,
}
