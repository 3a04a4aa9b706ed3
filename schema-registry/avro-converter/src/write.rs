//! Writing a value along its plan.
//!
//! Java converts the whole value first and writes it afterwards. What its first pass would refuse ends the walk here at once; what its second pass would refuse is kept
//! until the end of the walk, so that the same reason is given, and a schema is registered or not just as it would be.

use millrace_api::data::{Kind as ConnectKind, Struct, Value};

use crate::anything;
use crate::fault::{AVRO_TYPE, Fault, MAX_VALUE_DEPTH};
use crate::logical_types::{mismatching_scale, time_out_of_range};
use crate::map_entries::java_order;
use crate::wire::{put_bytes, put_long, put_varint};
use crate::write_plan::{
    Body, Branch, Entries, FieldPlan, LeftOut, Number, OnNull, Plan, RecordPlan, Shape, Step,
    UnionPlan, WritePlan,
};

type Outcome = Result<(), Box<Fault>>;

/// What a value came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Its bytes were appended.
    Bytes,
    /// It is null as a whole.
    Null,
    /// It is a fine value that the writer's schema has no place for.
    Unwritable(Box<Fault>),
}

/// Space that is kept between records.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Buckets and places of the entries of the maps that are being written, outer ones first.
    order: Vec<(u32, u32)>,
}

/// Appends `value`.
///
/// # Errors
/// What Java refuses while it converts.
pub(crate) fn write(
    plan: &WritePlan,
    value: &Value,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<Written, Box<Fault>> {
    scratch.order.clear();
    let mut writer = Writer {
        records: &plan.records,
        order: &mut scratch.order,
        unwritable: None,
    };
    if value.is_null() {
        return match &plan.root.on_null {
            OnNull::Refuse => Err(null_refused()),
            _ => Ok(Written::Null),
        };
    }
    if let (Body::Union(of), Value::Struct(value)) = (&plan.root.body, value) {
        of.check(value)?;
        if of.member(value).is_none() {
            return match &of.on_null {
                OnNull::Refuse => Err(null_refused()),
                _ => Ok(Written::Null),
            };
        }
    }
    if plan.bare_bytes {
        writer.bare(&plan.root.body, value, out)?;
    } else {
        writer.value(&plan.root, value, out, 0)?;
    }
    Ok(match writer.unwritable {
        Some(fault) => Written::Unwritable(fault),
        None => Written::Bytes,
    })
}

struct Writer<'p> {
    records: &'p [RecordPlan],
    order: &'p mut Vec<(u32, u32)>,
    /// The first thing that cannot be written.
    unwritable: Option<Box<Fault>>,
}

fn null_refused() -> Box<Fault> {
    Box::new(Fault::data("Found null value for non-optional schema"))
}

#[cold]
fn mismatch(kind: ConnectKind, value: &Value) -> Box<Fault> {
    Box::new(Fault::data(format!(
        "Invalid type for {}: {}",
        kind.name(),
        value.java_class()
    )))
}

#[cold]
fn logical_mismatch(name: &str, expected: &str, value: &Value) -> Box<Fault> {
    Box::new(Fault::data(format!(
        "Invalid type for {name}, expected {expected} but was {}",
        value.java_class()
    )))
}

#[inline]
fn put_branch(branch: Branch, out: &mut Vec<u8>) {
    if branch.0 < 0x80 {
        out.push(branch.0 as u8);
    } else {
        put_varint(branch.0.into(), out);
    }
}

impl Writer<'_> {
    #[cold]
    fn cannot(&mut self, fault: impl FnOnce() -> Fault) {
        if self.unwritable.is_none() {
            self.unwritable = Some(Box::new(fault()));
        }
    }

    /// The value as the whole payload of the type bytes.
    fn bare(&mut self, body: &Body, value: &Value, out: &mut Vec<u8>) -> Outcome {
        match (body, value) {
            (Body::Bytes, Value::Bytes(bytes)) => out.extend_from_slice(bytes),
            (Body::Decimal(scale), Value::Decimal(decimal)) => {
                if decimal.scale() != *scale {
                    return Err(Box::new(mismatching_scale(*scale, decimal.scale())));
                }
                decimal.write_be_bytes(out);
            }
            (Body::Bytes, other) => return Err(mismatch(ConnectKind::Bytes, other)),
            (Body::Decimal(_), other) => {
                return Err(logical_mismatch("Decimal", "BigDecimal", other));
            }
            _ => self.cannot(|| {
                Fault::new(
                    crate::fault::SERIALIZATION,
                    format!("Unrecognized bytes object of type: {}", value.java_class()),
                )
            }),
        }
        Ok(())
    }

    fn null(&mut self, on_null: &OnNull, out: &mut Vec<u8>) -> Outcome {
        match on_null {
            OnNull::Refuse => return Err(null_refused()),
            OnNull::Branch(branch) => put_branch(*branch, out),
            OnNull::Nothing => {}
            OnNull::Body => out.extend_from_slice(&[0; 9]),
            OnNull::Unwritable(fault) => self.cannot(|| (**fault).clone()),
        }
        Ok(())
    }

    #[inline]
    fn value(&mut self, plan: &Plan, value: &Value, out: &mut Vec<u8>, depth: usize) -> Outcome {
        if value.is_null() && !matches!(plan.on_null, OnNull::Body) {
            return self.null(&plan.on_null, out);
        }
        if let Some(branch) = plan.branch {
            put_branch(branch, out);
        }
        match (&plan.body, value) {
            (Body::Int32, Value::Int32(v)) => put_long((*v).into(), out),
            (Body::Int64, Value::Int64(v)) => put_long(*v, out),
            (Body::String, Value::String(v)) => put_bytes(v.as_bytes(), out),
            (Body::Boolean, Value::Boolean(v)) => out.push((*v).into()),
            (Body::Float64, Value::Float64(v)) => out.extend_from_slice(&v.to_le_bytes()),
            (body, value) => return self.body(body, value, out, depth),
        }
        Ok(())
    }

    /// As [`value`](Self::value), out of line: what is rarer, and the part that calls itself.
    fn body(&mut self, body: &Body, value: &Value, out: &mut Vec<u8>, depth: usize) -> Outcome {
        match (body, value) {
            (Body::Float32, Value::Float32(v)) => out.extend_from_slice(&v.to_le_bytes()),
            (Body::Int8, Value::Int8(v)) => put_long((*v).into(), out),
            (Body::Int16, Value::Int16(v)) => put_long((*v).into(), out),
            (Body::Time, Value::Int32(v)) => {
                if !(0..=86_400_000).contains(v) {
                    return Err(Box::new(time_out_of_range()));
                }
                put_long((*v).into(), out);
            }
            (Body::Bytes, Value::Bytes(v)) => put_bytes(v, out),
            (Body::Decimal(scale), Value::Decimal(v)) => {
                if v.scale() != *scale {
                    return Err(Box::new(mismatching_scale(*scale, v.scale())));
                }
                let start = out.len();
                out.push(0);
                v.write_be_bytes(out);
                counted(start, out);
            }
            (Body::FixedDecimal { size, scale }, Value::Decimal(v)) => {
                if v.scale() != *scale {
                    return Err(Box::new(mismatching_scale(*scale, v.scale())));
                }
                let start = out.len();
                v.write_be_bytes(out);
                self.extend_sign(start, *size as usize, out);
            }
            (Body::Fixed(size), Value::Bytes(v)) => {
                if v.len() != *size as usize {
                    self.cannot(|| {
                        Fault::new(
                            "java.lang.IndexOutOfBoundsException",
                            format!(
                                "Range [0, 0 + {size}) out of bounds for length {}: a fixed takes all its bytes and no more",
                                v.len()
                            ),
                        )
                    });
                }
                out.extend_from_slice(v);
            }
            (Body::Enum(symbols), Value::String(v)) => match symbols.by_text.get(v.as_str()) {
                Some(at) => put_long((*at).into(), out),
                None => self.cannot(|| {
                    Fault::new(
                        AVRO_TYPE,
                        format!(
                            "enum value '{v}' is not in the enum symbol set: [{}]",
                            symbols.listed
                        ),
                    )
                }),
            },
            (Body::Record(number), Value::Struct(v)) => {
                let plan = &self.records[*number as usize];
                return self.record(plan, v, out, deeper(depth)?);
            }
            (Body::Array(of), Value::Array(values)) => {
                let depth = deeper(depth)?;
                if !values.is_empty() {
                    put_long(values.len() as i64, out);
                    for value in values.iter() {
                        self.value(of, value, out, depth)?;
                    }
                }
                out.push(0);
            }
            (Body::Map(of), Value::Map(entries)) => {
                return self.map(of, entries, value, out, deeper(depth)?);
            }
            (Body::Entries(of), Value::Map(entries)) => {
                return self.entries(of, entries, out, deeper(depth)?);
            }
            (Body::Union(of), Value::Struct(v)) => return self.union(of, v, out, depth),
            (Body::Anything, value) => return anything::write(value, out, depth),
            (Body::Number(kind, number), value) => return self.number(*kind, *number, value, out),
            (Body::Unwritable(kind, fault), value) => match kind {
                Some(kind) if value.kind() != Some(*kind) => return Err(mismatch(*kind, value)),
                _ => self.cannot(|| (**fault).clone()),
            },
            (Body::Date, Value::Int32(v)) => put_long((*v).into(), out),
            (Body::Timestamp, Value::Int64(v)) => put_long(*v, out),
            (body, value) => return Err(refused(body, value)),
        }
        Ok(())
    }

    fn record(
        &mut self,
        plan: &RecordPlan,
        value: &Struct,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Outcome {
        if *value.schema() != plan.schema {
            return Err(Box::new(Fault::data("Mismatching struct schema")));
        }
        let values = value.values();
        match &plan.shape {
            Shape::Same(fields) => {
                for (field, value) in fields.iter().zip(values) {
                    self.field(field, value, out, depth)?;
                }
            }
            Shape::Other { steps, left_out } => {
                for of in left_out {
                    self.leave_out(of, &values[of.field as usize])?;
                }
                for step in steps {
                    match step {
                        Step::From(from, field) => {
                            self.field(field, &values[*from as usize], out, depth)?;
                        }
                        Step::Default(bytes) => out.extend_from_slice(bytes),
                        Step::Unwritable(fault) => self.cannot(|| (**fault).clone()),
                    }
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn field(
        &mut self,
        field: &FieldPlan,
        value: &Value,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Outcome {
        match &field.default {
            Some(default) if value.is_null() => self.value(&field.plan, default, out, depth),
            _ => self.value(&field.plan, value, out, depth),
        }
    }

    fn leave_out(&mut self, of: &LeftOut, value: &Value) -> Outcome {
        let value = match &of.default {
            Some(default) if value.is_null() => default,
            _ => value,
        };
        if value.is_null() && !of.optional {
            return Err(null_refused());
        }
        if let Some(fault) = of.fault.as_ref().filter(|_| !value.is_null()) {
            self.cannot(|| (**fault).clone());
        }
        Ok(())
    }

    fn union(
        &mut self,
        of: &UnionPlan,
        value: &Struct,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Outcome {
        of.check(value)?;
        match of.member(value) {
            Some((field, value)) => self.value(&field.plan, value, out, deeper(depth)?),
            None => self.null(&of.on_null, out),
        }
    }

    /// The entries in the order of a Java hash map.
    fn map(
        &mut self,
        of: &Plan,
        entries: &[(Value, Value)],
        map: &Value,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Outcome {
        if entries.is_empty() {
            out.push(0);
            return Ok(());
        }
        let base = self.order.len();
        if !java_order(entries, self.order) {
            return Err(mismatch(ConnectKind::Map, map));
        }
        put_long(entries.len() as i64, out);
        for at in base..base + entries.len() {
            let (key, value) = &entries[self.order[at].1 as usize];
            match key {
                Value::String(key) => put_bytes(key.as_bytes(), out),
                _ => self.cannot(|| {
                    Fault::new(
                        crate::fault::NULL_POINTER,
                        "a map with a null key cannot be written as an Avro map",
                    )
                }),
            }
            self.value(of, value, out, depth)?;
        }
        self.order.truncate(base);
        out.push(0);
        Ok(())
    }

    fn entries(
        &mut self,
        of: &Entries,
        entries: &[(Value, Value)],
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Outcome {
        if !entries.is_empty() {
            put_long(entries.len() as i64, out);
        }
        for (key, value) in entries {
            if of.key_first {
                self.value(&of.key, key, out, depth)?;
                self.value(&of.value, value, out, depth)?;
            } else {
                self.value(&of.value, value, out, depth)?;
                self.value(&of.key, key, out, depth)?;
            }
        }
        out.push(0);
        Ok(())
    }

    /// A number as one of another type: wider ones as they are, others if nothing is lost.
    fn number(
        &mut self,
        kind: ConnectKind,
        number: Number,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let integer = match (kind, value) {
            (ConnectKind::Int8, Value::Int8(_))
            | (ConnectKind::Int16, Value::Int16(_))
            | (ConnectKind::Int32, Value::Int32(_))
            | (ConnectKind::Int64, Value::Int64(_)) => value.as_i64(),
            (ConnectKind::Float32, Value::Float32(_))
            | (ConnectKind::Float64, Value::Float64(_)) => None,
            _ => return Err(mismatch(kind, value)),
        };
        let double = match value {
            Value::Float32(v) => f64::from(*v),
            Value::Float64(v) => *v,
            _ => integer.unwrap_or(0) as f64,
        };
        let lossless = match (number, integer) {
            (Number::Int, Some(v)) => i32::try_from(v).is_ok(),
            (Number::Int, None) => double == f64::from(double as i32),
            (Number::Long, None) => double == (double as i64) as f64,
            (Number::Float, None) => f64::from(double as f32).to_bits() == double.to_bits(),
            _ => true,
        };
        if !lossless {
            self.cannot(|| {
                Fault::new(
                    AVRO_TYPE,
                    format!("{double} does not fit in {number:?}, which the writer's schema wants"),
                )
            });
        }
        match number {
            Number::Int | Number::Long => put_long(integer.unwrap_or(double as i64), out),
            Number::Float => out.extend_from_slice(&(double as f32).to_le_bytes()),
            Number::Double => out.extend_from_slice(&double.to_le_bytes()),
        }
        Ok(())
    }

    /// Makes the two's complement from `start` as long as a fixed is.
    fn extend_sign(&mut self, start: usize, size: usize, out: &mut Vec<u8>) {
        let length = out.len() - start;
        if length > size {
            self.cannot(|| {
                Fault::data(format!(
                    "the decimal takes {length} bytes and the fixed has {size}"
                ))
            });
            return;
        }
        let sign = if out.get(start).is_some_and(|b| b & 0x80 != 0) {
            0xff
        } else {
            0
        };
        out.resize(start + size, sign);
        out[start..].rotate_right(size - length);
    }
}

impl UnionPlan {
    fn check(&self, value: &Struct) -> Outcome {
        if *value.schema() == self.schema {
            Ok(())
        } else {
            Err(Box::new(Fault::data("Mismatching struct schema")))
        }
    }

    /// The first field that is set.
    fn member<'v>(&'v self, value: &'v Struct) -> Option<(&'v FieldPlan, &'v Value)> {
        self.fields
            .iter()
            .zip(value.values())
            .find_map(|(field, value)| match (value.is_null(), &field.default) {
                (false, _) => Some((field, value)),
                (true, Some(default)) => Some((field, default)),
                (true, None) => None,
            })
    }
}

/// Fills in the length before bytes that begin after `start`, where a byte was left for it.
fn counted(start: usize, out: &mut Vec<u8>) {
    let length = out.len() - start - 1;
    if length < 64 {
        out[start] = (length as u8) << 1;
        return;
    }
    let mut prefix = Vec::with_capacity(10);
    put_long(length as i64, &mut prefix);
    out.splice(start..=start, prefix);
}

pub(crate) fn deeper(depth: usize) -> Result<usize, Box<Fault>> {
    if depth >= MAX_VALUE_DEPTH {
        return Err(Box::new(Fault::value_too_deep()));
    }
    Ok(depth + 1)
}

/// The refusal of a value of another type than its schema's.
#[cold]
fn refused(body: &Body, value: &Value) -> Box<Fault> {
    let kind = match body {
        Body::Boolean => ConnectKind::Boolean,
        Body::Int8 => ConnectKind::Int8,
        Body::Int16 => ConnectKind::Int16,
        Body::Int32 => ConnectKind::Int32,
        Body::Int64 => ConnectKind::Int64,
        Body::Float32 => ConnectKind::Float32,
        Body::Float64 => ConnectKind::Float64,
        Body::Number(kind, _) => *kind,
        Body::Unwritable(kind, _) => kind.unwrap_or(ConnectKind::Struct),
        Body::String | Body::Enum(_) => ConnectKind::String,
        Body::Bytes | Body::Fixed(_) => ConnectKind::Bytes,
        Body::Array(_) => ConnectKind::Array,
        Body::Map(_) | Body::Entries(_) => ConnectKind::Map,
        Body::Record(_) | Body::Union(_) | Body::Anything => ConnectKind::Struct,
        Body::Date => return logical_mismatch("Date", "Date", value),
        Body::Time => return logical_mismatch("Time", "Date", value),
        Body::Timestamp => return logical_mismatch("Timestamp", "Date", value),
        Body::Decimal(_) | Body::FixedDecimal { .. } => {
            return logical_mismatch("Decimal", "BigDecimal", value);
        }
    };
    mismatch(kind, value)
}
