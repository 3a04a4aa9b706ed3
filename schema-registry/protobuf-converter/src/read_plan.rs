//! What a message means for reading, worked out once.

use std::sync::Arc;

use millrace_api::data::{Schema, Value};
use registry_protobuf::Scalar;

use crate::fault::Fault;
use crate::logical::Logical;

/// Reads messages of one type.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) schema: Schema,
    pub(crate) root: ReadRoot,
}

#[derive(Debug)]
pub(crate) enum ReadRoot {
    /// The scalar in field 1 of a wrapper.
    Wrapped(ScalarReader),
    Message(Arc<Layout>),
}

/// How the fields of a message become those of a struct. Does not depend on where the message stands.
#[derive(Debug)]
pub(crate) struct Layout {
    /// By number.
    pub(crate) fields: Vec<FieldReader>,
    /// What the struct's fields are before anything is read.
    pub(crate) initial: Vec<Value>,
    /// Fields of maps, where the last of equal keys counts.
    pub(crate) maps: Vec<usize>,
    /// Numbers of fields that must be there.
    pub(crate) required: Vec<i32>,
    /// Why a message that lacks one of these fields cannot be read: its default makes no value.
    pub(crate) impossible: Vec<(usize, Fault)>,
    /// Fields that are a struct of defaults when they are not set, where that leads to a message further out.
    pub(crate) generated: Vec<(usize, Child)>,
    /// Messages in this layout's own recursion, whose defaults have no end.
    pub(crate) endless: bool,
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// To this field of the struct.
    Field(usize),
    /// To this member of the union in this field.
    Member(usize, usize),
}

#[derive(Debug)]
pub(crate) struct FieldReader {
    pub(crate) number: i32,
    pub(crate) place: Place,
    pub(crate) repeated: bool,
    pub(crate) reader: ValueReader,
    /// For a member of a union: the union's struct.
    pub(crate) union: Option<Schema>,
    /// For a member of a oneof read as plain fields: the others, which it sets to null.
    pub(crate) others: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum ValueReader {
    Scalar(ScalarReader),
    Enum(Arc<EnumReader>),
    /// A scalar in a message of its own.
    Wrapped(ScalarReader),
    Logical(Logical),
    Message(Child),
    Map(Arc<EntryReader>),
}

impl ValueReader {
    /// Whether it reads a message, other than the entries of a map.
    pub(crate) fn is_message(&self) -> bool {
        matches!(self, Self::Wrapped(_) | Self::Logical(_) | Self::Message(_))
    }
}

/// A message in a message.
#[derive(Debug, Clone)]
pub(crate) enum Child {
    /// With its own schema.
    Inner(Schema, Arc<Layout>),
    /// The message so many levels further out (0: the message itself), with the schema that it has there.
    Enclosing(usize),
}

#[derive(Debug)]
pub(crate) struct EntryReader {
    pub(crate) key: ValueReader,
    pub(crate) value: ValueReader,
    /// What a missing key and a missing value are.
    pub(crate) default_key: Result<Value, Fault>,
    pub(crate) default_value: Result<EntryDefault, Fault>,
}

#[derive(Debug, Clone)]
pub(crate) enum EntryDefault {
    Value(Value),
    /// An empty message.
    Message(Child),
}

/// What a scalar becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Becomes {
    Int8,
    Int16,
    /// INT32, or the type that the scalar has anyway.
    Same,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ScalarReader {
    pub(crate) scalar: Scalar,
    pub(crate) becomes: Becomes,
    /// Whether a text must be UTF-8; otherwise what is not is replaced.
    pub(crate) check_utf8: bool,
}

#[derive(Debug)]
pub(crate) struct EnumReader {
    pub(crate) name: Arc<str>,
    /// Number and value, by number; of two symbols of one number the first.
    pub(crate) values: Vec<(i32, Value)>,
    pub(crate) as_number: bool,
    /// Whether numbers without a symbol are ignored, as in proto2.
    pub(crate) closed: bool,
}

impl Layout {
    pub(crate) fn field(&self, number: i32) -> Option<&FieldReader> {
        // Most messages are numbered from 1 without gaps.
        if let Some(field) = self.fields.get((number as usize).wrapping_sub(1))
            && field.number == number
        {
            return Some(field);
        }
        self.fields
            .binary_search_by_key(&number, |field| field.number)
            .ok()
            .map(|at| &self.fields[at])
    }
}
