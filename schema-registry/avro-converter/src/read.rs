//! Reading a payload along its plan.

mod bytes;

use std::sync::Arc;

use millrace_api::data::{Blob, Struct, Value};
use registry_avro::datum::{self, DatumReader, SkipId};

use crate::fault::{Fault, MAX_VALUE_DEPTH};
use crate::logical_types::{decimal, time_out_of_range};
use crate::map_entries::last_of_each_key;
use crate::read_plan::{Op, ReadPlan, RecordPlan, Shape, Step};
use bytes::unzigzag;

/// How many items of a list may take no bytes at all: a few bytes could ask for any number of them.
const MAX_EMPTY_ITEMS: usize = 1 << 20;

/// How many items room is made for before any is read: a count is only a claim.
const RESERVED_ITEMS: usize = 1024;

type Outcome<T> = Result<T, Box<Fault>>;

/// Puts a value where null is. Nothing is dropped, so the parts of the value go straight to their places.
#[inline]
fn set(slot: &mut Value, value: Value) {
    debug_assert!(slot.is_null());
    std::mem::forget(std::mem::replace(slot, value));
}

/// A place in a payload.
pub(crate) struct Reader<'p> {
    records: &'p [RecordPlan],
    datum: &'p datum::ReadPlan,
    payload: &'p Blob,
    bytes: &'p [u8],
    at: usize,
}

fn end_of_data() -> Box<Fault> {
    Box::new(Fault::new(
        "java.io.EOFException",
        "the payload ends before the value does",
    ))
}

fn malformed(text: String) -> Box<Fault> {
    Box::new(Fault::new(crate::fault::AVRO_RUNTIME, text))
}

impl<'p> Reader<'p> {
    /// Begins at byte `at` of `payload`.
    pub(crate) fn new(
        records: &'p [RecordPlan],
        datum: &'p datum::ReadPlan,
        payload: &'p Blob,
        at: usize,
    ) -> Self {
        Self {
            records,
            datum,
            payload,
            bytes: payload,
            at,
        }
    }

    /// Reads the value that is the whole payload from byte `at` on to `slot`, where null is, and says how many bytes follow it.
    pub(crate) fn read(
        plan: &'p ReadPlan,
        payload: &'p Blob,
        at: usize,
        slot: &mut Value,
    ) -> Outcome<usize> {
        let mut reader = Self::new(&plan.records, &plan.datum, payload, at);
        match (&plan.root, plan.bare_bytes) {
            (root, true) => *slot = reader.bare(root)?,
            // Nearly always: straight to its place.
            (Op::Record(number), false) => reader.record(*number, slot, 0)?,
            (root, false) => reader.put(root, slot, 0)?,
        }
        Ok(reader.remaining())
    }

    /// Bytes that were not read.
    fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// All that is left as one value of the type bytes.
    fn bare(&mut self, op: &Op) -> Outcome<Value> {
        let count = self.remaining();
        match op {
            Op::Decimal(scale) => {
                let bytes = self.take(count)?;
                Ok(decimal(bytes, *scale)?.into())
            }
            Op::String => Ok(Value::String(self.text(count)?)),
            Op::Bytes => Ok(Value::Bytes(self.blob(count)?)),
            Op::Member { union, field, of } => {
                let of = match &**of {
                    Op::String => Value::String(self.text(count)?),
                    _ => Value::Bytes(self.blob(count)?),
                };
                Ok(member(union, *field, of))
            }
            Op::Fail(fault) => Err(Box::new((**fault).clone())),
            _ => Err(malformed("bytes that are read as another type".to_owned())),
        }
    }

    /// A value by itself.
    pub(crate) fn value(&mut self, op: &Op, depth: usize) -> Outcome<Value> {
        let mut value = Value::Null;
        self.put(op, &mut value, depth)?;
        Ok(value)
    }

    /// Reads a value to where it shall be, and where null is now: handing it back through a result would cost more than reading it.
    #[inline]
    fn put(&mut self, op: &Op, slot: &mut Value, depth: usize) -> Outcome<()> {
        let mut op = op;
        if let Op::Optional { null_first, of } = op {
            let null = match (self.varint()?, null_first) {
                (0, null_first) => *null_first,
                (2, null_first) => !*null_first,
                (other, _) => return Err(no_branch(unzigzag(other), 2)),
            };
            if null {
                return Ok(());
            }
            op = of;
        }
        match op {
            Op::Int32 => self.put_int(slot),
            Op::Int64 => self.put_long(slot),
            Op::String => self.put_text(slot),
            Op::Boolean => self.put_boolean(slot),
            Op::Float64 => self.put_double(slot),
            Op::Bytes => self.put_blob(slot),
            Op::Record(number) => self.record(*number, slot, depth),
            other => self.put_rarer(other, slot, depth),
        }
    }

    // Out of line, each of them: in one function their ends are merged into one that gathers a value from its parts, which makes the processor wait for every one.

    #[inline(never)]
    fn put_int(&mut self, slot: &mut Value) -> Outcome<()> {
        let value = self.int()?;
        set(slot, Value::Int32(value));
        Ok(())
    }

    #[inline(never)]
    fn put_long(&mut self, slot: &mut Value) -> Outcome<()> {
        let value = self.long()?;
        set(slot, Value::Int64(value));
        Ok(())
    }

    #[inline(never)]
    fn put_boolean(&mut self, slot: &mut Value) -> Outcome<()> {
        let value = self.take(1)?[0] == 1;
        set(slot, Value::Boolean(value));
        Ok(())
    }

    #[inline(never)]
    fn put_double(&mut self, slot: &mut Value) -> Outcome<()> {
        let value = f64::from_le_bytes(self.array()?);
        set(slot, Value::Float64(value));
        Ok(())
    }

    #[inline(never)]
    fn put_blob(&mut self, slot: &mut Value) -> Outcome<()> {
        let count = self.count()?;
        let blob = self.blob(count)?;
        set(slot, Value::Bytes(blob));
        Ok(())
    }

    /// Text; what is no UTF-8 in it becomes U+FFFD, as in Java.
    #[inline(never)]
    fn put_text(&mut self, slot: &mut Value) -> Outcome<()> {
        let count = self.count()?;
        let text = self.text(count)?;
        set(slot, Value::String(text));
        Ok(())
    }

    #[inline(never)]
    fn put_rarer(&mut self, op: &Op, slot: &mut Value, depth: usize) -> Outcome<()> {
        let value = self.rarer(op, depth)?;
        set(slot, value);
        Ok(())
    }

    /// What is rarer, and what has values inside.
    fn rarer(&mut self, op: &Op, depth: usize) -> Outcome<Value> {
        Ok(match op {
            Op::Null => Value::Null,
            Op::Int8 => Value::Int8(self.int()? as i8),
            Op::Int16 => Value::Int16(self.int()? as i16),
            Op::Float32 => Value::Float32(f32::from_le_bytes(self.array()?)),
            Op::Time => match self.int()? {
                millis @ 0..=86_400_000 => Value::Int32(millis),
                _ => return Err(Box::new(time_out_of_range())),
            },
            Op::IntegerAsFloat32 => Value::Float32(self.long()? as f32),
            Op::IntegerAsFloat64 => Value::Float64(self.long()? as f64),
            Op::Float32AsFloat64 => Value::Float64(f32::from_le_bytes(self.array()?).into()),
            Op::Fixed(size) => Value::Bytes(self.blob(*size as usize)?),
            Op::Decimal(scale) => {
                let count = self.count()?;
                decimal(self.take(count)?, *scale)?.into()
            }
            Op::FixedDecimal { size, scale } => decimal(self.take(*size as usize)?, *scale)?.into(),
            Op::Enum(symbols) => {
                let at = self.long()?;
                let symbol = usize::try_from(at).ok().and_then(|at| symbols.get(at));
                match symbol {
                    Some(Some(symbol)) => Value::String(symbol.clone()),
                    Some(None) => {
                        return Err(malformed(format!(
                            "the reader's enum lacks the writer's symbol {at}"
                        )));
                    }
                    None => return Err(no_branch(at, symbols.len())),
                }
            }
            Op::Array(of) => self.items(of, depth)?,
            Op::Map(of) => self.map(of, depth)?,
            Op::Entries(number) => self.entries(*number, depth)?,
            Op::Switch(branches) => {
                let at = self.long()?;
                let branch = usize::try_from(at).ok().and_then(|at| branches.get(at));
                let branch = branch.ok_or_else(|| no_branch(at, branches.len()))?;
                return self.value(branch, depth);
            }
            Op::Member { union, field, of } => {
                let value = self.value(of, depth)?;
                member(union, *field, value)
            }
            Op::Anything => self.anything(depth)?,
            Op::Fail(fault) => return Err(Box::new((**fault).clone())),
            other => return self.value(other, depth),
        })
    }

    fn record(&mut self, number: u32, slot: &mut Value, depth: usize) -> Outcome<()> {
        let records = self.records;
        let plan = &records[number as usize];
        let values = self.fields(plan, deeper(depth)?)?;
        let Some(schema) = &plan.schema else {
            return Err(malformed("an entry of a map outside of a map".to_owned()));
        };
        set(slot, Value::Struct(Struct::new(schema.clone(), values)));
        Ok(())
    }

    fn fields(&mut self, plan: &RecordPlan, depth: usize) -> Outcome<Box<[Value]>> {
        match &plan.shape {
            Shape::Same(ops) => {
                let mut values: Box<[Value]> = ops.iter().map(|_| Value::Null).collect();
                for (op, slot) in ops.iter().zip(&mut values) {
                    self.put(op, slot, depth)?;
                }
                Ok(values)
            }
            Shape::Other { steps, values } => {
                let mut values = values.clone();
                for step in steps {
                    match step {
                        Step::Keep { field, op } => {
                            self.put(op, &mut values[*field as usize], depth)?;
                        }
                        Step::Drop(skip) => self.skip(*skip)?,
                    }
                }
                Ok(values)
            }
        }
    }

    fn items(&mut self, of: &Op, depth: usize) -> Outcome<Value> {
        let depth = deeper(depth)?;
        let mut values = Vec::new();
        let mut empty = 0;
        loop {
            let count = self.block()?;
            if count == 0 {
                break;
            }
            values.reserve(count.min(self.remaining()).min(RESERVED_ITEMS));
            for _ in 0..count {
                let before = self.at;
                values.push(self.value(of, depth)?);
                self.spent(before, &mut empty)?;
            }
        }
        Ok(Value::Array(Arc::new(values)))
    }

    fn map(&mut self, of: &Op, depth: usize) -> Outcome<Value> {
        let depth = deeper(depth)?;
        let mut entries = Vec::new();
        loop {
            let count = self.block()?;
            if count == 0 {
                break;
            }
            entries.reserve(count.min(self.remaining()).min(RESERVED_ITEMS));
            for _ in 0..count {
                let length = self.count()?;
                let key = Value::String(self.text(length)?);
                entries.push((key, self.value(of, depth)?));
            }
        }
        Ok(Value::Map(Arc::new(last_of_each_key(entries))))
    }

    fn entries(&mut self, number: u32, depth: usize) -> Outcome<Value> {
        let depth = deeper(depth)?;
        let records = self.records;
        let plan = &records[number as usize];
        let mut entries = Vec::new();
        let mut empty = 0;
        loop {
            let count = self.block()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                let before = self.at;
                let mut fields = self.fields(plan, depth)?.into_iter();
                if let (Some(key), Some(value)) = (fields.next(), fields.next()) {
                    entries.push((key, value));
                }
                self.spent(before, &mut empty)?;
            }
        }
        Ok(Value::Map(Arc::new(last_of_each_key(entries))))
    }

    /// Schemaless data: the first of the nine fields that is set.
    fn anything(&mut self, depth: usize) -> Outcome<Value> {
        let mut value = Value::Null;
        for field in 0..9 {
            match self.varint()? {
                0 => continue,
                2 => {}
                other => return Err(no_branch(unzigzag(other), 2)),
            }
            let read = match field {
                0 => Value::Boolean(self.take(1)?[0] == 1),
                1 => self.value(&Op::Bytes, depth)?,
                2 => Value::Float64(f64::from_le_bytes(self.array()?)),
                3 => Value::Float32(f32::from_le_bytes(self.array()?)),
                4 => Value::Int32(self.int()?),
                5 => Value::Int64(self.long()?),
                6 => self.value(&Op::String, depth)?,
                7 => self.items(&Op::Anything, depth)?,
                _ => self.schemaless_map(depth)?,
            };
            if value.is_null() {
                value = read;
            }
        }
        Ok(value)
    }

    fn schemaless_map(&mut self, depth: usize) -> Outcome<Value> {
        let depth = deeper(depth)?;
        let mut entries = Vec::new();
        loop {
            let count = self.block()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                entries.push((self.anything(depth)?, self.anything(depth)?));
            }
        }
        Ok(Value::Map(Arc::new(last_of_each_key(entries))))
    }

    fn skip(&mut self, skip: SkipId) -> Outcome<()> {
        let rest = self.bytes.get(self.at..).ok_or_else(end_of_data)?;
        let mut reader = DatumReader::new(rest);
        self.datum
            .skip(skip, &mut reader)
            .map_err(|error| malformed(error.to_string()))?;
        self.at += reader.position();
        Ok(())
    }

    /// Number of items of the next block; 0 is the end.
    fn block(&mut self) -> Outcome<usize> {
        let count = self.long()?;
        if count < 0 {
            // Its size in bytes, for those who skip.
            self.long()?;
        }
        usize::try_from(count.unsigned_abs()).map_err(|_| end_of_data())
    }

    /// Counts items that took no bytes.
    fn spent(&self, before: usize, empty: &mut usize) -> Outcome<()> {
        if self.at == before {
            *empty += 1;
            if *empty > MAX_EMPTY_ITEMS {
                return Err(malformed(format!(
                    "a list has more than {MAX_EMPTY_ITEMS} items without content"
                )));
            }
        }
        Ok(())
    }
}

fn deeper(depth: usize) -> Outcome<usize> {
    if depth >= MAX_VALUE_DEPTH {
        return Err(Box::new(Fault::value_too_deep()));
    }
    Ok(depth + 1)
}

fn no_branch(at: i64, length: usize) -> Box<Fault> {
    Box::new(Fault::new(
        "java.lang.ArrayIndexOutOfBoundsException",
        format!("Index {at} out of bounds for length {length}"),
    ))
}

fn member(union: &millrace_api::data::Schema, field: u32, value: Value) -> Value {
    let mut values = vec![Value::Null; union.fields().len()];
    values[field as usize] = value;
    Value::Struct(Struct::new(union.clone(), values))
}
