//! Values that nobody wants.

use std::collections::HashMap;

use super::error::{DatumError, Problem};
use super::read::DatumReader;
use crate::schema::{AvroSchema, Kind, TypeId};

/// A step of a [`SkipPlan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkipId(u32);

#[derive(Debug, Clone)]
enum Skip {
    /// So many bytes, whatever they are.
    Bytes(u32),
    /// A boolean, which is checked.
    Boolean,
    /// A number of up to so many bytes.
    Varint(u8),
    /// A length and its bytes.
    Sized,
    Array(SkipId),
    Map(SkipId),
    Union(Box<[SkipId]>),
    /// One after the other.
    Record(Box<[SkipId]>),
}

/// How values of a schema's types are passed over, without making anything of them.
#[derive(Debug, Clone, Default)]
pub struct SkipPlan {
    steps: Vec<Skip>,
    by_type: HashMap<TypeId, SkipId>,
}

impl SkipPlan {
    /// A plan for one type of a schema.
    pub fn new(schema: &AvroSchema, of: TypeId) -> (Self, SkipId) {
        let mut plan = Self::default();
        let id = plan.add(schema, of);
        (plan, id)
    }

    /// The step for a type; makes the steps of everything below it. A type that is here already costs a look-up.
    pub(super) fn add(&mut self, schema: &AvroSchema, of: TypeId) -> SkipId {
        let mut open = Vec::new();
        let root = self.reserve(of, &mut open);
        while let Some(of) = open.pop() {
            let at = self.by_type[&of].0 as usize;
            let step = match &schema.get(of).kind {
                Kind::Null => Skip::Bytes(0),
                Kind::Boolean => Skip::Boolean,
                Kind::Int | Kind::Enum(_) => Skip::Varint(5),
                Kind::Long => Skip::Varint(10),
                Kind::Float => Skip::Bytes(4),
                Kind::Double => Skip::Bytes(8),
                Kind::Bytes | Kind::String => Skip::Sized,
                Kind::Fixed(fixed) => Skip::Bytes(u32::try_from(fixed.size).unwrap_or(u32::MAX)),
                Kind::Array(item) => Skip::Array(self.reserve(*item, &mut open)),
                Kind::Map(value) => Skip::Map(self.reserve(*value, &mut open)),
                Kind::Union(branches) => Skip::Union(
                    branches
                        .iter()
                        .map(|branch| self.reserve(*branch, &mut open))
                        .collect(),
                ),
                Kind::Record(record) => Skip::Record(
                    record
                        .fields
                        .iter()
                        .map(|field| self.reserve(field.schema, &mut open))
                        .collect(),
                ),
            };
            self.steps[at] = step;
        }
        root
    }

    fn reserve(&mut self, of: TypeId, open: &mut Vec<TypeId>) -> SkipId {
        let next = SkipId(u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        let id = *self.by_type.entry(of).or_insert(next);
        if id == next {
            self.steps.push(Skip::Bytes(0));
            open.push(of);
        }
        id
    }

    /// A lower bound for the bytes that a value takes. One level deep: an array of records is told from one of nulls, no more is needed.
    pub(super) fn min_size(&self, id: SkipId) -> u32 {
        let own = |id: &SkipId| match &self.steps[id.0 as usize] {
            Skip::Bytes(bytes) => *bytes,
            Skip::Record(_) => 0,
            _ => 1,
        };
        match &self.steps[id.0 as usize] {
            Skip::Record(fields) => fields.iter().map(own).fold(0, u32::saturating_add),
            _ => own(&id),
        }
    }

    /// Passes over one value.
    ///
    /// # Errors
    /// The bytes are no value of the type.
    pub fn skip(&self, id: SkipId, input: &mut DatumReader<'_>) -> Result<(), DatumError> {
        match &self.steps[id.0 as usize] {
            Skip::Bytes(bytes) => input.skip(*bytes as usize, "fixed"),
            Skip::Boolean => input.read_boolean().map(|_| ()),
            Skip::Varint(5) => input.read_int().map(|_| ()),
            Skip::Varint(_) => input.read_long().map(|_| ()),
            Skip::Sized => input.read_bytes().map(|_| ()),
            Skip::Array(item) => {
                let least = self.min_size(*item) as usize;
                self.skip_blocks(*item, least, false, input)
            }
            Skip::Map(value) => {
                let least = 1 + self.min_size(*value) as usize;
                self.skip_blocks(*value, least, true, input)
            }
            Skip::Union(branches) => {
                let branch = input.read_branch(branches.len())?;
                input.enter()?;
                self.skip(branches[branch], input)?;
                input.leave();
                Ok(())
            }
            Skip::Record(fields) => {
                input.enter()?;
                for field in fields {
                    self.skip(*field, input)?;
                }
                input.leave();
                Ok(())
            }
        }
    }

    fn skip_blocks(
        &self,
        item: SkipId,
        least: usize,
        keys: bool,
        input: &mut DatumReader<'_>,
    ) -> Result<(), DatumError> {
        input.enter()?;
        loop {
            let block = input.read_block(least)?;
            if block.items == 0 {
                break;
            }
            if let Some(bytes) = block.bytes {
                input.skip(bytes, "block")?;
                continue;
            }
            if let (Skip::Bytes(size), false) = (&self.steps[item.0 as usize], keys) {
                let bytes = block.items.checked_mul(*size as usize).ok_or_else(|| {
                    DatumError::new(
                        input.position(),
                        Problem::Length {
                            expected: "block",
                            length: i64::try_from(block.items).unwrap_or(i64::MAX),
                        },
                    )
                })?;
                input.skip(bytes, "block")?;
                continue;
            }
            for _ in 0..block.items {
                if keys {
                    input.read_bytes()?;
                }
                self.skip(item, input)?;
            }
        }
        input.leave();
        Ok(())
    }
}
