//! How the bytes of a writer's schema are read as values of a reader's.

use std::sync::Arc;

use super::error::DatumError;
use super::read::DatumReader;
use super::resolve::Resolver;
use super::skip::{SkipId, SkipPlan};
use crate::schema::{AvroSchema, TypeId};

/// A step of a [`ReadPlan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub(super) u32);

impl StepId {
    /// As an index: the steps of a plan are numbered from 0 to [`ReadPlan::len`].
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What to read next, and what it becomes. The value is always of the reader's type [`ReadPlan::reader_type`].
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// No bytes.
    Null,
    /// [`DatumReader::read_boolean`]
    Boolean,
    /// [`DatumReader::read_int`]
    Int,
    /// [`DatumReader::read_long`]
    Long,
    /// [`DatumReader::read_float`]
    Float,
    /// [`DatumReader::read_double`]
    Double,
    /// [`DatumReader::read_bytes`]
    Bytes,
    /// [`DatumReader::read_string`]
    String,
    /// Read an int; the reader wants a long.
    IntToLong,
    /// Read an int; the reader wants a float.
    IntToFloat,
    /// Read an int; the reader wants a double.
    IntToDouble,
    /// Read a long; the reader wants a float.
    LongToFloat,
    /// Read a long; the reader wants a double.
    LongToDouble,
    /// Read a float; the reader wants a double.
    FloatToDouble,
    /// Read a string's bytes, which need not be UTF-8; the reader wants bytes.
    StringToBytes,
    /// Read bytes, which must be UTF-8; the reader wants a string.
    BytesToString,
    /// [`DatumReader::read_fixed`]
    Fixed {
        /// Bytes.
        size: usize,
    },
    /// [`DatumReader::read_symbol`] with `symbols.len()`. Element `i` is the reader's symbol for the writer's symbol `i`; `None`: the reader lacks it.
    Enum {
        /// The reader's symbols by the writer's.
        symbols: Box<[Option<u32>]>,
    },
    /// Blocks of items.
    Array {
        /// Each item.
        item: StepId,
    },
    /// Blocks of a string key and a value.
    Map {
        /// Each value.
        value: StepId,
    },
    /// Fields.
    Record(RecordStep),
    /// [`DatumReader::read_branch`] with `branches.len()`, then that step. The reader need not be a union: if it is, each branch is a [`Step::ReaderUnion`] or an error.
    WriterUnion {
        /// By the writer's branch.
        branches: Box<[StepId]>,
    },
    /// No bytes of its own: the reader is a union and the value belongs to its branch `branch`.
    ReaderUnion {
        /// The reader's branch.
        branch: u32,
        /// The value of that branch.
        step: StepId,
    },
    /// The reader cannot read such a value. Only an error when a datum comes here: a branch that is never written does no harm. The text is Java's.
    Unreadable(Arc<str>),
}

/// How a record is read.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordStep {
    /// The writer's fields in the order of the bytes.
    pub fields: Box<[FieldStep]>,
    /// The reader's fields that the writer lacks, in the reader's order.
    pub defaults: Box<[DefaultField]>,
    /// How many fields the reader's record has.
    pub reader_fields: usize,
    /// Whether the fields are the reader's, all of them and in its order: then field `i` of the bytes is field `i` of the record.
    pub in_order: bool,
}

/// A field of the writer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldStep {
    /// It becomes the reader's field `field`.
    Read {
        /// Index in the reader's record.
        field: u32,
        /// Its value.
        step: StepId,
    },
    /// The reader does not have it: [`ReadPlan::skip`].
    Skip(SkipId),
}

/// A field that only the reader has.
#[derive(Debug, Clone, PartialEq)]
pub struct DefaultField {
    /// Index in the reader's record.
    pub field: u32,
    /// Its default as a datum of the field's type, to be read with `step`.
    pub bytes: Box<[u8]>,
    /// Reads `bytes`: reader and writer are both the field's type.
    pub step: StepId,
}

/// Why there is no plan for two schemas: not that they do not match, which is found while reading, but that one of them is broken or too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// What is wrong.
    pub message: String,
}

/// A plan. Made once per pair of schemas, then shared.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    pub(super) steps: Vec<Step>,
    /// The reader's type of each step.
    pub(super) types: Vec<TypeId>,
    /// The fewest bytes of each step.
    pub(super) least: Vec<u32>,
    pub(super) root: StepId,
    pub(super) skips: SkipPlan,
}

impl ReadPlan {
    /// Reads with the schema that wrote.
    ///
    /// # Errors
    /// The schema is too large.
    pub fn new(schema: &AvroSchema) -> Result<Self, PlanError> {
        Resolver::identity(schema).plan()
    }

    /// Reads what `writer` wrote as values of `reader`.
    ///
    /// # Errors
    /// A default does not fit its field, aliases give two fields one name, or the schemas are too large.
    pub fn resolve(writer: &AvroSchema, reader: &AvroSchema) -> Result<Self, PlanError> {
        Resolver::new(writer, reader).plan()
    }

    /// Where to begin.
    #[inline]
    pub fn root(&self) -> StepId {
        self.root
    }

    /// A step.
    #[inline]
    pub fn step(&self, id: StepId) -> &Step {
        &self.steps[id.index()]
    }

    /// The reader's type of a step's values; for [`Step::WriterUnion`] and [`Step::ReaderUnion`] the type that they stand for.
    #[inline]
    pub fn reader_type(&self, id: StepId) -> TypeId {
        self.types[id.index()]
    }

    /// A lower bound for the bytes that a value takes.
    #[inline]
    pub fn min_size(&self, id: StepId) -> usize {
        self.least[id.index()] as usize
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Never true.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Passes over a field that the reader lacks.
    ///
    /// # Errors
    /// The bytes are no value of the writer's type.
    #[inline]
    pub fn skip(&self, id: SkipId, input: &mut DatumReader<'_>) -> Result<(), DatumError> {
        self.skips.skip(id, input)
    }

    /// Fills `least`: each round raises the bounds by what the children are known to take; steps made later are children more often than not, so walking backwards settles most in one.
    pub(super) fn measure(&mut self) {
        self.least = vec![0; self.steps.len()];
        for _ in 0..4 {
            let mut changed = false;
            for at in (0..self.steps.len()).rev() {
                let of = |id: &StepId| self.least[id.index()];
                let least = match &self.steps[at] {
                    Step::Null => 0,
                    Step::Float | Step::FloatToDouble => 4,
                    Step::Double => 8,
                    Step::Fixed { size } => u32::try_from(*size).unwrap_or(u32::MAX),
                    Step::Record(record) => record.fields.iter().fold(0, |sum: u32, field| {
                        sum.saturating_add(match field {
                            FieldStep::Read { step, .. } => of(step),
                            FieldStep::Skip(skip) => self.skips.min_size(*skip),
                        })
                    }),
                    Step::ReaderUnion { step, .. } => of(step),
                    Step::Unreadable(_) => 0,
                    _ => 1,
                };
                if least > self.least[at] {
                    self.least[at] = least;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
    }
}
