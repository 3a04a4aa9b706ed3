//! Reading.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_api::data::{Blob, Schema, Struct, Value};
use registry_protobuf::wire::{MAX_MESSAGE_DEPTH, WireError, WireReader, WireValue};

use crate::fault::{Fault, INVALID_PROTOCOL_BUFFER};
use crate::parts::{Element, Part, Raw};
use crate::read_plan::{
    Child, EntryDefault, EntryReader, FieldReader, Layout, Place, ReadPlan, ReadRoot, ScalarReader,
    ValueReader,
};
use crate::read_scalar::{read_packed, read_scalar, scalar_default, slice, wire};

const MISSING_FIELDS: &str = "Message missing required fields";

/// Maps of up to so many entries are searched for equal keys one by one.
const SMALL_MAP: usize = 16;

/// A message that is being read, and those around it.
struct Level<'l> {
    layout: &'l Layout,
    schema: &'l Schema,
    outer: Option<&'l Level<'l>>,
    depth: usize,
}

impl<'l> Level<'l> {
    /// A message in this one.
    fn inner(&'l self, child: &'l Child) -> Level<'l> {
        match child {
            Child::Inner(schema, layout) => Level {
                layout,
                schema,
                outer: Some(self),
                depth: self.depth + 1,
            },
            Child::Enclosing(levels) => {
                let around = self.enclosing(*levels);
                Level {
                    layout: around.layout,
                    schema: around.schema,
                    outer: around.outer,
                    depth: self.depth + 1,
                }
            }
        }
    }

    /// So many levels further out.
    fn enclosing(&'l self, levels: usize) -> &'l Level<'l> {
        let mut level = self;
        for _ in 0..levels {
            match level.outer {
                Some(outer) => level = outer,
                None => break,
            }
        }
        level
    }
}

impl ReadPlan {
    /// The value of the bytes of `payload` from `body` on.
    pub(crate) fn read(&self, payload: &Blob, body: usize) -> Result<Value, Fault> {
        let bytes = payload.get(body..).unwrap_or_default();
        match &self.root {
            ReadRoot::Wrapped(reader) => read_wrapped(*reader, payload, bytes),
            ReadRoot::Message(layout) => {
                let level = Level {
                    layout,
                    schema: &self.schema,
                    outer: None,
                    depth: 0,
                };
                Message { payload }.read(&level, bytes)
            }
        }
    }
}

struct Message<'p> {
    payload: &'p Blob,
}

impl<'p> Message<'p> {
    fn read(&self, level: &Level<'_>, bytes: &'p [u8]) -> Result<Value, Fault> {
        if level.depth >= MAX_MESSAGE_DEPTH {
            return Err(wire(WireError::Depth));
        }
        let layout = level.layout;
        let mut values: Box<[Value]> = layout.initial.as_slice().into();
        let mut seen: Vec<i32> = Vec::new();
        // Messages, which become values when all is read: the parts of one count together, and one that another member of its oneof replaces was never there.
        let mut raw = Raw::default();
        let mut reader = WireReader::new(bytes);
        while let Some((number, value)) = reader.field().map_err(wire)? {
            let Some(field) = layout.field(number) else {
                continue;
            };
            let stored = if field.repeated || matches!(field.reader, ValueReader::Map(_)) {
                self.read_repeated(level, field, value, &mut values)?
            } else {
                self.read_single(level, field, value, &mut values, &mut raw)?
            };
            if stored && !layout.required.is_empty() {
                seen.push(number);
            }
        }
        for (field, part) in &raw.parts {
            let value = self.part(level, &field.reader, part)?;
            store(&mut values, field.place, None, value);
        }
        for at in &layout.maps {
            if let Value::Map(entries) = &mut values[*at] {
                keep_last(entries);
            }
        }
        if let Some(missing) = layout.required.iter().find(|number| !seen.contains(number)) {
            return Err(Fault::new(
                INVALID_PROTOCOL_BUFFER,
                format!(
                    "{MISSING_FIELDS}: number {missing} of {}",
                    level.schema.name().unwrap_or_default()
                ),
            ));
        }
        self.finish(level, values)
    }

    /// Fills in the defaults that cannot be copied.
    fn finish(&self, level: &Level<'_>, mut values: Box<[Value]>) -> Result<Value, Fault> {
        for (at, fault) in &level.layout.impossible {
            if values[*at].is_null() {
                return Err(fault.clone());
            }
        }
        for (at, child) in &level.layout.generated {
            if values[*at].is_null() {
                let inner = level.inner(child);
                values[*at] = self.finish(&inner, inner.layout.initial.as_slice().into())?;
            }
        }
        Ok(Value::Struct(Struct::new(level.schema.clone(), values)))
    }

    /// `false`: the value is not of the field's type, and ignored.
    fn read_single<'l>(
        &self,
        level: &Level<'_>,
        field: &'l FieldReader,
        value: WireValue<'p>,
        values: &mut [Value],
        raw: &mut Raw<'l, 'p>,
    ) -> Result<bool, Fault> {
        let read = match (&field.reader, value) {
            (ValueReader::Scalar(reader), value) => match self.scalar(*reader, value)? {
                Some(value) => value,
                None => return Ok(false),
            },
            (ValueReader::Enum(reader), WireValue::Varint(number)) => {
                match reader.read(number as i32) {
                    Some(value) => value,
                    None => return Ok(false),
                }
            }
            (reader, WireValue::Bytes(bytes)) if reader.is_message() => {
                raw.add(field, bytes);
                // Shows that the member is set; its value comes when all is read.
                Value::Null
            }
            _ => return Ok(false),
        };
        for other in &field.others {
            values[*other] = Value::Null;
        }
        let replaced = |other: &FieldReader| match (field.place, other.place) {
            (Place::Member(at, _), Place::Member(place, _)) => {
                at == place && other.number != field.number
            }
            (_, Place::Field(at)) => field.others.contains(&at),
            _ => false,
        };
        if raw.parts.iter().any(|(other, _)| replaced(other)) {
            let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut raw.parts)
                .into_iter()
                .partition(|(other, _)| replaced(other));
            raw.parts = kept;
            for (other, part) in gone {
                self.check_replaced(level, &other.reader, &part)?;
            }
        }
        store(values, field.place, field.union.as_ref(), read);
        Ok(true)
    }

    /// A message that another member of its oneof replaces need not make sense, but its bytes must be those of a message.
    fn check_replaced(
        &self,
        level: &Level<'_>,
        reader: &ValueReader,
        part: &Part<'p>,
    ) -> Result<(), Fault> {
        match self.part(level, reader, part) {
            Err(fault)
                if fault.class == INVALID_PROTOCOL_BUFFER
                    && !fault.message.starts_with(MISSING_FIELDS) =>
            {
                Err(fault)
            }
            _ => Ok(()),
        }
    }

    fn read_repeated(
        &self,
        level: &Level<'_>,
        field: &FieldReader,
        value: WireValue<'p>,
        values: &mut [Value],
    ) -> Result<bool, Fault> {
        let slot = stored(values, field.place);
        if let ValueReader::Map(entry) = &field.reader {
            let (WireValue::Bytes(bytes), Value::Map(entries)) = (value, slot) else {
                return Ok(false);
            };
            let entry = self.entry(level, entry, bytes)?;
            Arc::make_mut(entries).push(entry);
            return Ok(true);
        }
        let Value::Array(list) = slot else {
            return Ok(false);
        };
        let list = Arc::make_mut(list);
        match (&field.reader, value) {
            (ValueReader::Scalar(reader), WireValue::Bytes(bytes))
                if reader.scalar.is_packable() =>
            {
                read_packed(*reader, bytes, list)?;
            }
            (ValueReader::Scalar(reader), value) => match self.scalar(*reader, value)? {
                Some(value) => list.push(value),
                None => return Ok(false),
            },
            (ValueReader::Enum(reader), WireValue::Varint(number)) => {
                list.extend(reader.read(number as i32));
            }
            (ValueReader::Enum(reader), WireValue::Bytes(bytes)) => {
                let mut packed = WireReader::new(bytes);
                while !packed.is_empty() {
                    list.extend(reader.read(packed.varint().map_err(wire)? as i32));
                }
            }
            (reader, WireValue::Bytes(bytes)) if reader.is_message() => {
                list.push(self.part(level, reader, &Part::Whole(bytes))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The value of a message in a message.
    fn part(
        &self,
        level: &Level<'_>,
        reader: &ValueReader,
        part: &Part<'p>,
    ) -> Result<Value, Fault> {
        match (reader, part) {
            (ValueReader::Message(child), Part::Whole(bytes)) => self.child(level, child, bytes),
            (ValueReader::Message(child), Part::Joined(joined)) => {
                Message { payload: joined }.child(level, child, joined)
            }
            (reader, Part::Whole(bytes)) => read_small(reader, &self.slice(bytes)),
            (reader, Part::Joined(joined)) => read_small(reader, joined),
        }
    }

    fn child(&self, level: &Level<'_>, child: &Child, bytes: &'p [u8]) -> Result<Value, Fault> {
        let inner = level.inner(child);
        self.read(&inner, bytes)
    }

    fn entry(
        &self,
        level: &Level<'_>,
        plan: &EntryReader,
        bytes: &'p [u8],
    ) -> Result<(Value, Value), Fault> {
        let (mut key, mut value) = (Element::default(), Element::default());
        let mut reader = WireReader::new(bytes);
        while let Some((number, found)) = reader.field().map_err(wire)? {
            match number {
                1 => self.element(&plan.key, found, &mut key)?,
                2 => self.element(&plan.value, found, &mut value)?,
                _ => {}
            }
        }
        let key = match self.finished(level, &plan.key, key)? {
            Some(key) => key,
            None => plan.default_key.clone()?,
        };
        let value = match self.finished(level, &plan.value, value)? {
            Some(value) => value,
            None => match plan.default_value.clone()? {
                EntryDefault::Value(value) => value,
                EntryDefault::Message(child) => self.child(level, &child, &[])?,
            },
        };
        Ok((key, value))
    }

    /// A key or a value of a map; what is not of its type leaves what was there.
    fn element(
        &self,
        reader: &ValueReader,
        found: WireValue<'p>,
        element: &mut Element<'p>,
    ) -> Result<(), Fault> {
        let value = match (reader, found) {
            (ValueReader::Scalar(reader), found) => self.scalar(*reader, found)?,
            (ValueReader::Enum(reader), WireValue::Varint(number)) => reader.read(number as i32),
            (reader, WireValue::Bytes(bytes)) if reader.is_message() => {
                match &mut element.message {
                    Some(before) => before.append(bytes),
                    None => element.message = Some(Part::Whole(bytes)),
                }
                None
            }
            _ => None,
        };
        if value.is_some() {
            element.value = value;
        }
        Ok(())
    }

    fn finished(
        &self,
        level: &Level<'_>,
        reader: &ValueReader,
        element: Element<'p>,
    ) -> Result<Option<Value>, Fault> {
        match element.message {
            Some(message) => self.part(level, reader, &message).map(Some),
            None => Ok(element.value),
        }
    }

    fn slice(&self, bytes: &'p [u8]) -> Blob {
        slice(self.payload, bytes)
    }

    fn scalar(&self, reader: ScalarReader, value: WireValue<'p>) -> Result<Option<Value>, Fault> {
        read_scalar(reader, self.payload, value)
    }
}

fn stored(values: &mut [Value], place: Place) -> &mut Value {
    match place {
        Place::Field(at) => &mut values[at],
        Place::Member(at, member) => {
            // A union that is not set has no members; the field itself is then as null as they are.
            if matches!(values[at], Value::Struct(_)) {
                match &mut values[at] {
                    Value::Struct(union) => &mut union.values_mut()[member],
                    value => value,
                }
            } else {
                &mut values[at]
            }
        }
    }
}

/// Puts a value where it belongs. A member of a union replaces the others.
fn store(values: &mut [Value], place: Place, union: Option<&Schema>, value: Value) {
    match (place, union) {
        (Place::Member(at, member), Some(union)) => {
            let mut set = Struct::empty(union.clone());
            set.values_mut()[member] = value;
            values[at] = Value::Struct(set);
        }
        (place, _) => *stored(values, place) = value,
    }
}

/// A message that is one value in Connect.
fn read_small(reader: &ValueReader, bytes: &Blob) -> Result<Value, Fault> {
    match reader {
        ValueReader::Wrapped(scalar) => read_wrapped(*scalar, bytes, bytes),
        ValueReader::Logical(logical) => logical.read(bytes),
        _ => Ok(Value::Null),
    }
}

fn read_wrapped(reader: ScalarReader, payload: &Blob, bytes: &[u8]) -> Result<Value, Fault> {
    let mut found = None;
    let mut fields = WireReader::new(bytes);
    while let Some((number, value)) = fields.field().map_err(wire)? {
        if number == 1
            && let Some(value) = read_scalar(reader, payload, value)?
        {
            found = Some(value);
        }
    }
    Ok(found.unwrap_or_else(|| scalar_default(reader)))
}

/// Of entries with equal keys the last stays, at the place of the first.
fn keep_last(entries: &mut Arc<Vec<(Value, Value)>>) {
    let repeated = if entries.len() <= SMALL_MAP {
        (1..entries.len()).any(|at| entries[..at].iter().any(|(key, _)| *key == entries[at].0))
    } else {
        let mut keys = std::collections::HashSet::with_capacity(entries.len());
        !entries.iter().all(|(key, _)| keys.insert(key))
    };
    if !repeated {
        return;
    }
    let mut places: HashMap<Value, usize> = HashMap::with_capacity(entries.len());
    let mut kept: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries.iter() {
        match places.get(key) {
            Some(at) => kept[*at].1 = value.clone(),
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key.clone(), value.clone()));
            }
        }
    }
    *entries = Arc::new(kept);
}
