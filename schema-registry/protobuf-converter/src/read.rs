//! Reading.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_api::data::{Blob, Schema, Struct, Value};
use registry_protobuf::Scalar;
use registry_protobuf::wire::{MAX_MESSAGE_DEPTH, WireError, WireReader, WireValue, unzigzag};

use crate::fault::{Fault, INVALID_PROTOCOL_BUFFER};
use crate::read_plan::{
    Becomes, Child, EntryDefault, EntryReader, EnumReader, FieldReader, Layout, Place, ReadPlan,
    ReadRoot, ScalarReader, ValueReader,
};

/// Maps of up to so many entries are searched for equal keys one by one.
const SMALL_MAP: usize = 16;

fn wire(error: WireError) -> Fault {
    Fault::new(INVALID_PROTOCOL_BUFFER, error.to_string())
}

/// A message that is being read, and those around it.
struct Level<'l> {
    layout: &'l Layout,
    schema: &'l Schema,
    outer: Option<&'l Level<'l>>,
    depth: usize,
}

impl<'l> Level<'l> {
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
                Message { payload }.read(&level, bytes, None)
            }
        }
    }
}

struct Message<'p> {
    payload: &'p Blob,
}

impl<'p> Message<'p> {
    /// Reads a message, on top of what an earlier part of it has set.
    fn read(
        &self,
        level: &Level<'_>,
        bytes: &'p [u8],
        before: Option<Struct>,
    ) -> Result<Value, Fault> {
        if level.depth >= MAX_MESSAGE_DEPTH {
            return Err(wire(WireError::Depth));
        }
        let layout = level.layout;
        let mut values: Box<[Value]> = match before {
            Some(before) => before.values().into(),
            None => layout.initial.as_slice().into(),
        };
        let mut seen: Vec<i32> = Vec::new();
        let mut raw: Vec<(Place, Blob)> = Vec::new();
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
        for deferred in &layout.deferred {
            if let Some((_, bytes)) = raw.iter().find(|(place, _)| *place == deferred.place) {
                let value = read_deferred(&deferred.reader, bytes)?;
                store(&mut values, deferred.place, None, value);
            }
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
                    "Message missing required fields: number {missing} of {}",
                    level.schema.name().unwrap_or_default()
                ),
            ));
        }
        for (at, fault) in &layout.impossible {
            if values[*at].is_null() {
                return Err(fault.clone());
            }
        }
        Ok(Value::Struct(Struct::new(level.schema.clone(), values)))
    }

    /// `false`: the value is not of the field's type, and ignored.
    fn read_single(
        &self,
        level: &Level<'_>,
        field: &FieldReader,
        value: WireValue<'p>,
        values: &mut [Value],
        raw: &mut Vec<(Place, Blob)>,
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
            (ValueReader::Message(child), WireValue::Bytes(bytes)) => {
                let before = match &*stored(values, field.place) {
                    Value::Struct(before) => Some(before.clone()),
                    _ => None,
                };
                self.child(level, child, bytes, before)?
            }
            (ValueReader::Wrapped(_) | ValueReader::Logical(_), WireValue::Bytes(bytes)) => {
                let bytes = self.slice(bytes);
                match raw.iter_mut().find(|(place, _)| *place == field.place) {
                    // The parts of a message count as one.
                    Some((_, before)) => {
                        *before = Blob::new([&before[..], &bytes[..]].concat());
                    }
                    None => raw.push((field.place, bytes)),
                }
                if let Place::Member(at, _) = field.place {
                    raw.retain(|(place, _)| {
                        *place == field.place
                            || !matches!(place, Place::Member(other, _) if *other == at)
                    });
                }
                for other in &field.others {
                    raw.retain(|(place, _)| *place != Place::Field(*other));
                }
                // Shows that the member is set; its value comes when all is read.
                Value::Null
            }
            _ => return Ok(false),
        };
        for other in &field.others {
            values[*other] = Value::Null;
        }
        if !field.reader.is_deferred() {
            if let Place::Member(at, _) = field.place {
                raw.retain(|(place, _)| !matches!(place, Place::Member(other, _) if *other == at));
            }
            for other in &field.others {
                raw.retain(|(place, _)| *place != Place::Field(*other));
            }
        }
        store(values, field.place, field.union.as_ref(), read);
        Ok(true)
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
            (ValueReader::Message(child), WireValue::Bytes(bytes)) => {
                list.push(self.child(level, child, bytes, None)?);
            }
            (
                reader @ (ValueReader::Wrapped(_) | ValueReader::Logical(_)),
                WireValue::Bytes(bytes),
            ) => {
                list.push(read_deferred(reader, &self.slice(bytes))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn child(
        &self,
        level: &Level<'_>,
        child: &Child,
        bytes: &'p [u8],
        before: Option<Struct>,
    ) -> Result<Value, Fault> {
        let inner = match child {
            Child::Inner(schema, layout) => Level {
                layout,
                schema,
                outer: Some(level),
                depth: level.depth + 1,
            },
            Child::Enclosing(levels) => {
                let around = level.enclosing(*levels);
                Level {
                    layout: around.layout,
                    schema: around.schema,
                    outer: around.outer,
                    depth: level.depth + 1,
                }
            }
        };
        self.read(&inner, bytes, before)
    }

    fn entry(
        &self,
        level: &Level<'_>,
        plan: &EntryReader,
        bytes: &'p [u8],
    ) -> Result<(Value, Value), Fault> {
        let (mut key, mut value) = (None, None);
        let mut reader = WireReader::new(bytes);
        while let Some((number, found)) = reader.field().map_err(wire)? {
            match number {
                1 => key = self.element(level, &plan.key, found, key)?,
                2 => value = self.element(level, &plan.value, found, value)?,
                _ => {}
            }
        }
        let key = match key {
            Some(key) => key,
            None => plan.default_key.clone()?,
        };
        let value = match value {
            Some(value) => value,
            None => match plan.default_value.clone()? {
                EntryDefault::Value(value) => value,
                EntryDefault::Message(child) => self.child(level, &child, &[], None)?,
            },
        };
        Ok((key, value))
    }

    /// A key or a value of a map; what is not of its type leaves what was there.
    fn element(
        &self,
        level: &Level<'_>,
        reader: &ValueReader,
        value: WireValue<'p>,
        before: Option<Value>,
    ) -> Result<Option<Value>, Fault> {
        Ok(match (reader, value) {
            (ValueReader::Scalar(reader), value) => self.scalar(*reader, value)?.or(before),
            (ValueReader::Enum(reader), WireValue::Varint(number)) => {
                reader.read(number as i32).or(before)
            }
            (ValueReader::Message(child), WireValue::Bytes(bytes)) => {
                let earlier = match before {
                    Some(Value::Struct(earlier)) => Some(earlier),
                    _ => None,
                };
                Some(self.child(level, child, bytes, earlier)?)
            }
            (
                reader @ (ValueReader::Wrapped(_) | ValueReader::Logical(_)),
                WireValue::Bytes(bytes),
            ) => Some(read_deferred(reader, &self.slice(bytes))?),
            _ => before,
        })
    }

    fn slice(&self, bytes: &'p [u8]) -> Blob {
        slice(self.payload, bytes)
    }

    fn scalar(&self, reader: ScalarReader, value: WireValue<'p>) -> Result<Option<Value>, Fault> {
        read_scalar(reader, self.payload, value)
    }
}

/// The part of `payload` that `bytes` is, without copying.
fn slice(payload: &Blob, bytes: &[u8]) -> Blob {
    let start = (bytes.as_ptr() as usize).wrapping_sub(payload.as_ptr() as usize);
    match (u32::try_from(start), u32::try_from(bytes.len())) {
        (Ok(start), Ok(length)) => payload
            .slice(start, length)
            .unwrap_or_else(|| Blob::new(bytes.to_vec())),
        _ => Blob::new(bytes.to_vec()),
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

fn read_deferred(reader: &ValueReader, bytes: &Blob) -> Result<Value, Fault> {
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

/// `None`: the encoding is that of another type.
fn read_scalar(
    reader: ScalarReader,
    payload: &Blob,
    value: WireValue<'_>,
) -> Result<Option<Value>, Fault> {
    Ok(Some(match (reader.scalar, value) {
        (Scalar::String, WireValue::Bytes(bytes)) => match slice(payload, bytes).into_text() {
            Some(text) => Value::String(text),
            None if reader.check_utf8 => return Err(wire(WireError::Utf8)),
            None => Value::string(&*String::from_utf8_lossy(bytes)),
        },
        (Scalar::Bytes, WireValue::Bytes(bytes)) => Value::Bytes(slice(payload, bytes)),
        (_, WireValue::Varint(_) | WireValue::Fixed32(_) | WireValue::Fixed64(_)) => {
            return Ok(number(reader, value));
        }
        _ => return Ok(None),
    }))
}

fn number(reader: ScalarReader, value: WireValue<'_>) -> Option<Value> {
    Some(match (reader.scalar, value) {
        (Scalar::Int32, WireValue::Varint(v)) => narrow(v as i32, reader.becomes),
        (Scalar::Sint32, WireValue::Varint(v)) => {
            narrow(unzigzag(u64::from(v as u32)) as i32, reader.becomes)
        }
        (Scalar::Sfixed32, WireValue::Fixed32(v)) => narrow(v as i32, reader.becomes),
        (Scalar::Uint32, WireValue::Varint(v)) => Value::Int64(i64::from(v as u32)),
        (Scalar::Fixed32, WireValue::Fixed32(v)) => Value::Int64(i64::from(v)),
        (Scalar::Int64 | Scalar::Uint64, WireValue::Varint(v)) => Value::Int64(v as i64),
        (Scalar::Sint64, WireValue::Varint(v)) => Value::Int64(unzigzag(v)),
        (Scalar::Fixed64 | Scalar::Sfixed64, WireValue::Fixed64(v)) => Value::Int64(v as i64),
        (Scalar::Float, WireValue::Fixed32(v)) => Value::Float32(f32::from_bits(v)),
        (Scalar::Double, WireValue::Fixed64(v)) => Value::Float64(f64::from_bits(v)),
        (Scalar::Bool, WireValue::Varint(v)) => Value::Boolean(v != 0),
        _ => return None,
    })
}

fn read_packed(reader: ScalarReader, bytes: &[u8], list: &mut Vec<Value>) -> Result<(), Fault> {
    let mut packed = WireReader::new(bytes);
    while !packed.is_empty() {
        let value = match reader.scalar.wire_type() {
            1 => WireValue::Fixed64(packed.fixed64().map_err(wire)?),
            5 => WireValue::Fixed32(packed.fixed32().map_err(wire)?),
            _ => WireValue::Varint(packed.varint().map_err(wire)?),
        };
        list.extend(number(reader, value));
    }
    Ok(())
}

/// An `int32` as the integer that the field is in Connect.
pub(crate) fn narrow(value: i32, becomes: Becomes) -> Value {
    match becomes {
        Becomes::Int8 => Value::Int8(value as i8),
        Becomes::Int16 => Value::Int16(value as i16),
        Becomes::Same => Value::Int32(value),
    }
}

/// Zero, the empty text, false.
pub(crate) fn scalar_default(reader: ScalarReader) -> Value {
    match reader.scalar {
        Scalar::String => Value::string(""),
        Scalar::Bytes => Value::Bytes(Blob::new(Vec::new())),
        scalar => {
            let zero = match scalar.wire_type() {
                1 => WireValue::Fixed64(0),
                5 => WireValue::Fixed32(0),
                _ => WireValue::Varint(0),
            };
            number(reader, zero).unwrap_or_default()
        }
    }
}

impl EnumReader {
    /// The value of a number; `None` for one that a closed enum does not have.
    fn read(&self, number: i32) -> Option<Value> {
        let known = self.values.binary_search_by_key(&number, |value| value.0);
        match known {
            Ok(at) => Some(self.values[at].1.clone()),
            Err(_) if self.closed => None,
            Err(_) => Some(self.value(number)),
        }
    }

    /// The value of a number, also of one without a symbol.
    pub(crate) fn value(&self, number: i32) -> Value {
        match self.values.binary_search_by_key(&number, |value| value.0) {
            Ok(at) => self.values[at].1.clone(),
            Err(_) if self.as_number => Value::Int32(number),
            Err(_) => Value::string(format!("UNKNOWN_ENUM_VALUE_{}_{number}", self.name)),
        }
    }
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
