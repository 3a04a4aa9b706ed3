//! A datum as a tree: for tools and tests. Converters have values of their own.

use super::error::{DatumError, Problem};
use super::plan::{FieldStep, ReadPlan, Step, StepId};
use super::read::DatumReader;
use super::write::{
    write_block_end, write_block_start, write_boolean, write_bytes, write_double, write_fixed,
    write_float, write_int, write_length, write_long, write_string,
};
use crate::schema::{AvroSchema, Kind, TypeId};

/// A value of some Avro type.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// `null`
    Null,
    /// `boolean`
    Boolean(bool),
    /// `int`
    Int(i32),
    /// `long`
    Long(i64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// `bytes`
    Bytes(Vec<u8>),
    /// `string`
    String(String),
    /// `fixed`
    Fixed(Vec<u8>),
    /// Index of an enum's symbol.
    Enum(usize),
    /// Items.
    Array(Vec<Datum>),
    /// Entries in their order.
    Map(Vec<(String, Datum)>),
    /// A union's branch and its value.
    Union(usize, Box<Datum>),
    /// Fields in the schema's order.
    Record(Vec<Datum>),
}

impl Datum {
    /// Appends the datum as type `of`.
    ///
    /// # Errors
    /// It is no value of the type.
    pub fn write(
        &self,
        schema: &AvroSchema,
        of: TypeId,
        out: &mut Vec<u8>,
    ) -> Result<(), DatumError> {
        self.write_at(schema, of, 0, out)
    }

    fn write_at(
        &self,
        schema: &AvroSchema,
        of: TypeId,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), DatumError> {
        if depth > super::MAX_DEPTH {
            return Err(DatumError::new(0, Problem::Depth));
        }
        let depth = depth + 1;
        let kind = &schema.get(of).kind;
        match (self, kind) {
            (Self::Null, Kind::Null) => {}
            (Self::Boolean(value), Kind::Boolean) => write_boolean(out, *value),
            (Self::Int(value), Kind::Int) => write_int(out, *value),
            (Self::Long(value), Kind::Long) => write_long(out, *value),
            (Self::Float(value), Kind::Float) => write_float(out, *value),
            (Self::Double(value), Kind::Double) => write_double(out, *value),
            (Self::Bytes(value), Kind::Bytes) => write_bytes(out, value),
            (Self::String(value), Kind::String) => write_string(out, value),
            (Self::Fixed(value), Kind::Fixed(fixed)) if value.len() == fixed.size => {
                write_fixed(out, value);
            }
            (Self::Enum(symbol), Kind::Enum(of)) if *symbol < of.symbols.len() => {
                write_length(out, *symbol);
            }
            (Self::Array(items), Kind::Array(of)) => {
                write_block_start(out, items.len());
                for item in items {
                    item.write_at(schema, *of, depth, out)?;
                }
                write_block_end(out);
            }
            (Self::Map(entries), Kind::Map(of)) => {
                write_block_start(out, entries.len());
                for (key, value) in entries {
                    write_string(out, key);
                    value.write_at(schema, *of, depth, out)?;
                }
                write_block_end(out);
            }
            (Self::Union(branch, value), Kind::Union(branches)) if *branch < branches.len() => {
                write_length(out, *branch);
                value.write_at(schema, branches[*branch], depth, out)?;
            }
            (Self::Record(values), Kind::Record(record)) if values.len() == record.fields.len() => {
                for (value, field) in values.iter().zip(&record.fields) {
                    value.write_at(schema, field.schema, depth, out)?;
                }
            }
            _ => {
                return Err(DatumError::new(
                    0,
                    Problem::Unwritable(
                        format!("{self:.100?} is no value of type {}", kind.name()).into(),
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Reads a whole datum.
    ///
    /// # Errors
    /// The bytes are no datum of the plan's writer, or hold a value that its reader cannot take.
    pub fn read(plan: &ReadPlan, bytes: &[u8]) -> Result<Self, DatumError> {
        let mut input = DatumReader::new(bytes);
        let datum = Self::read_step(plan, plan.root(), &mut input)?;
        input.finish()?;
        Ok(datum)
    }

    /// Reads what a step says.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_step(
        plan: &ReadPlan,
        step: StepId,
        input: &mut DatumReader<'_>,
    ) -> Result<Self, DatumError> {
        Ok(match plan.step(step) {
            Step::Null => Self::Null,
            Step::Boolean => Self::Boolean(input.read_boolean()?),
            Step::Int => Self::Int(input.read_int()?),
            Step::Long => Self::Long(input.read_long()?),
            Step::Float => Self::Float(input.read_float()?),
            Step::Double => Self::Double(input.read_double()?),
            Step::Bytes | Step::StringToBytes => Self::Bytes(input.read_bytes()?.to_vec()),
            Step::String | Step::BytesToString => Self::String(input.read_string()?.to_owned()),
            Step::IntToLong => Self::Long(input.read_int()?.into()),
            Step::IntToFloat => Self::Float(input.read_int()? as f32),
            Step::IntToDouble => Self::Double(input.read_int()?.into()),
            Step::LongToFloat => Self::Float(input.read_long()? as f32),
            Step::LongToDouble => Self::Double(input.read_long()? as f64),
            Step::FloatToDouble => Self::Double(input.read_float()?.into()),
            Step::Fixed { size } => Self::Fixed(input.read_fixed(*size)?.to_vec()),
            Step::Enum { symbols } => {
                let from = input.position();
                let symbol = input.read_symbol(symbols.len())?;
                match symbols[symbol] {
                    Some(symbol) => Self::Enum(symbol as usize),
                    None => {
                        return Err(DatumError::new(
                            from,
                            Problem::Unreadable(
                                format!(
                                    "the reader's enum lacks the writer's symbol {symbol} and has no default"
                                )
                                .into(),
                            ),
                        ));
                    }
                }
            }
            // No level of its own: what follows is no union.
            Step::ReaderUnion { branch, step } => Self::Union(
                *branch as usize,
                Box::new(Self::read_step(plan, *step, input)?),
            ),
            Step::Unreadable(why) => {
                return Err(DatumError::new(
                    input.position(),
                    Problem::Unreadable(std::sync::Arc::clone(why)),
                ));
            }
            step => {
                input.enter()?;
                let datum = Self::read_parts(plan, step, input)?;
                input.leave();
                datum
            }
        })
    }

    fn read_parts(
        plan: &ReadPlan,
        step: &Step,
        input: &mut DatumReader<'_>,
    ) -> Result<Self, DatumError> {
        Ok(match step {
            Step::Array { item } => {
                let mut items = Vec::new();
                loop {
                    let block = input.read_block(plan.min_size(*item))?;
                    if block.items == 0 {
                        break;
                    }
                    for _ in 0..block.items {
                        items.push(Self::read_step(plan, *item, input)?);
                    }
                }
                Self::Array(items)
            }
            Step::Map { value } => {
                let mut entries = Vec::new();
                loop {
                    let block = input.read_block(1 + plan.min_size(*value))?;
                    if block.items == 0 {
                        break;
                    }
                    for _ in 0..block.items {
                        let key = input.read_string()?.to_owned();
                        entries.push((key, Self::read_step(plan, *value, input)?));
                    }
                }
                Self::Map(entries)
            }
            Step::WriterUnion { branches } => {
                let branch = input.read_branch(branches.len())?;
                Self::read_step(plan, branches[branch], input)?
            }
            Step::Record(record) => {
                let mut values = vec![Self::Null; record.reader_fields];
                for field in &record.fields {
                    match field {
                        FieldStep::Read { field, step } => {
                            values[*field as usize] = Self::read_step(plan, *step, input)?;
                        }
                        FieldStep::Skip(skip) => plan.skip(*skip, input)?,
                    }
                }
                for default in &record.defaults {
                    let mut bytes = DatumReader::new(&default.bytes);
                    values[default.field as usize] =
                        Self::read_step(plan, default.step, &mut bytes)?;
                }
                Self::Record(values)
            }
            _ => Self::Null,
        })
    }
}
