//! Writing.

use millrace_api::data::{Struct, Value};
use registry_protobuf::Scalar;
use registry_protobuf::wire::{write_tag, write_varint, zigzag32, zigzag64};

use crate::fault::{Fault, MAX_DEPTH, NULL_POINTER};
use crate::write_plan::{
    Encoder, EntryPlan, FieldPlan, MessagePlan, Root, ScalarPlan, Source, Take, WritePlan,
};

impl WritePlan {
    /// Appends the bytes of a value that is not null.
    pub(crate) fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), Fault> {
        match &self.root {
            Root::Wrapper(plan) => write_wrapped(plan, value, out),
            Root::Message(number) => self.message(*number, value, 0, out),
        }
    }

    fn message(
        &self,
        number: usize,
        value: &Value,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let plan = &self.messages[number];
        let Value::Struct(structure) = value else {
            return Err(Fault::data(format!(
                "Invalid type for STRUCT: {}",
                value.java_class()
            )));
        };
        if *structure.schema() != plan.schema {
            return Err(mismatching(&plan.schema, structure));
        }
        if depth >= MAX_DEPTH {
            return Err(Fault::too_deep("value"));
        }
        self.check_unions(plan, structure)?;
        for field in &plan.fields {
            let value = match self.value_of(plan, field, structure) {
                Some(value) if !value.is_null() => value,
                _ => continue,
            };
            self.field(field, value, depth, out)?;
        }
        Ok(())
    }

    fn or_default<'v>(&self, value: &'v Value, default: Option<&'v Value>) -> &'v Value {
        match default {
            Some(default) if value.is_null() && !self.ignore_default => default,
            _ => value,
        }
    }

    /// Every union that is set must have a member.
    fn check_unions(&self, plan: &MessagePlan, structure: &Struct) -> Result<(), Fault> {
        for union in &plan.unions {
            match self.or_default(&structure.values()[union.field], union.default.as_ref()) {
                Value::Null => {}
                Value::Struct(inner) if *inner.schema() != union.schema => {
                    return Err(mismatching(&union.schema, inner));
                }
                Value::Struct(inner) => {
                    let set =
                        inner
                            .values()
                            .iter()
                            .zip(union.schema.fields())
                            .any(|(value, field)| {
                                !self.or_default(value, field.schema.default()).is_null()
                            });
                    if !set {
                        return Err(Fault::data("Cannot find non-null field"));
                    }
                }
                value => {
                    return Err(Fault::data(format!(
                        "Invalid type for STRUCT: {}",
                        value.java_class()
                    )));
                }
            }
        }
        Ok(())
    }

    /// The value of a field, if it is to be written.
    fn value_of<'v>(
        &self,
        plan: &'v MessagePlan,
        field: &'v FieldPlan,
        structure: &'v Struct,
    ) -> Option<&'v Value> {
        match field.source {
            Source::Field(at) => {
                Some(self.or_default(&structure.values()[at], field.default.as_ref()))
            }
            Source::Member(at, member) => {
                let union = plan.unions.iter().find(|union| union.field == at)?;
                let value = self.or_default(&structure.values()[at], union.default.as_ref());
                let Value::Struct(inner) = value else {
                    return None;
                };
                // Only the first member that is set counts.
                let mut members = inner.values().iter().zip(union.schema.fields());
                let before = members.by_ref().take(member);
                for (value, field) in before {
                    if !self.or_default(value, field.schema.default()).is_null() {
                        return None;
                    }
                }
                Some(self.or_default(&inner.values()[member], field.default.as_ref()))
            }
        }
    }

    fn field(
        &self,
        field: &FieldPlan,
        value: &Value,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let FieldPlan {
            number,
            encoder,
            presence,
            packed,
            ..
        } = field;
        self.encode(*number, encoder, *presence, *packed, value, depth, out)
    }

    /// A field with its tag, once per element where it is repeated.
    #[expect(
        clippy::too_many_arguments,
        reason = "a field's parts, also those of map entries"
    )]
    fn encode(
        &self,
        number: i32,
        encoder: &Encoder,
        presence: bool,
        packed: bool,
        value: &Value,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match encoder {
            Encoder::Array(element) => {
                let Value::Array(values) = value else {
                    return Err(wrong("ARRAY", value));
                };
                if values.is_empty() {
                    return Ok(());
                }
                if !packed {
                    for value in &**values {
                        no_null(value)?;
                        if !self.encode_one(number, element, true, value, depth, out)? {
                            return Err(null_element());
                        }
                    }
                    return Ok(());
                }
                write_tag(number, 2, out);
                let start = out.len();
                for value in &**values {
                    no_null(value)?;
                    match &**element {
                        Encoder::Scalar(plan) => {
                            write_scalar(plan, value, out)?;
                        }
                        element => match enum_number(element, value)? {
                            Some((number, _)) => write_varint(i64::from(number) as u64, out),
                            None => return Err(null_element()),
                        },
                    }
                }
                insert_length(start, out);
                Ok(())
            }
            Encoder::Map(plan) => {
                let Value::Map(entries) = value else {
                    return Err(wrong("MAP", value));
                };
                if depth >= MAX_DEPTH {
                    return Err(Fault::too_deep("value"));
                }
                for (key, value) in &**entries {
                    write_tag(number, 2, out);
                    let start = out.len();
                    self.entry(plan, key, value, depth + 1, out)?;
                    insert_length(start, out);
                }
                Ok(())
            }
            encoder => self
                .encode_one(number, encoder, presence, value, depth, out)
                .map(drop),
        }
    }

    fn entry(
        &self,
        plan: &EntryPlan,
        key: &Value,
        value: &Value,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if !key.is_null() {
            self.encode(1, &plan.key, plan.key_presence, false, key, depth, out)?;
        }
        if !value.is_null() {
            let (presence, packed) = (plan.value_presence, plan.value_packed);
            self.encode(2, &plan.value, presence, packed, value, depth, out)?;
        }
        Ok(())
    }

    /// One value with its tag. `false`: an enum does not have it, which for the original is no value.
    fn encode_one(
        &self,
        number: i32,
        encoder: &Encoder,
        presence: bool,
        value: &Value,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        match encoder {
            Encoder::Scalar(plan) => {
                let before = out.len();
                write_tag(number, plan.scalar.wire_type(), out);
                if write_scalar(plan, value, out)? && !presence {
                    out.truncate(before);
                }
            }
            Encoder::EnumNumber(_) | Encoder::EnumSymbol { .. } => {
                let Some((symbol, is_default)) = enum_number(encoder, value)? else {
                    return Ok(false);
                };
                if presence || !is_default {
                    write_tag(number, 0, out);
                    write_varint(i64::from(symbol) as u64, out);
                }
            }
            Encoder::Wrapper(_) | Encoder::Logical(_) | Encoder::Message(_) => {
                write_tag(number, 2, out);
                let start = out.len();
                match encoder {
                    Encoder::Wrapper(plan) => write_wrapped(plan, value, out)?,
                    Encoder::Logical(logical) => logical.write(value, out)?,
                    Encoder::Message(message) => self.message(*message, value, depth + 1, out)?,
                    _ => {}
                }
                insert_length(start, out);
            }
            Encoder::Fail(fault) => return Err(fault.clone()),
            Encoder::Array(_) | Encoder::Map(_) => {
                return Err(Fault::illegal("a list cannot be an element of a list"));
            }
        }
        Ok(true)
    }
}

/// Puts the length of what was written from `start` on before it.
pub(crate) fn insert_length(start: usize, out: &mut Vec<u8>) {
    let length = out.len() - start;
    write_varint(length as u64, out);
    let prefix = out.len() - start - length;
    out[start..].rotate_right(prefix);
}

fn no_null(value: &Value) -> Result<(), Fault> {
    if value.is_null() {
        Err(null_element())
    } else {
        Ok(())
    }
}

#[cold]
fn null_element() -> Fault {
    Fault::new(
        NULL_POINTER,
        "an element of a list is null, and Protobuf has no null in lists",
    )
}

#[cold]
fn wrong(kind: &str, value: &Value) -> Fault {
    Fault::data(format!("Invalid type for {kind}: {}", value.java_class()))
}

#[cold]
fn mismatching(schema: &millrace_api::data::Schema, structure: &Struct) -> Fault {
    Fault::data(format!(
        "Mismatching struct schema: the value's is {:?}, {:?} is declared",
        structure.schema().name().unwrap_or("unnamed"),
        schema.name().unwrap_or("unnamed")
    ))
}

/// The number of an enum's value, and whether it is the default.
fn enum_number(encoder: &Encoder, value: &Value) -> Result<Option<(i32, bool)>, Fault> {
    match encoder {
        Encoder::EnumNumber(numbers) => {
            let number = to_i64(value).ok_or_else(|| wrong("INT32", value))? as i32;
            Ok(numbers
                .contains(&number)
                .then(|| (number, numbers.first() == Some(&number))))
        }
        Encoder::EnumSymbol { symbols, default } => {
            let Value::String(text) = value else {
                return Err(wrong("STRING", value));
            };
            match symbols.iter().find(|(symbol, _)| **symbol == **text) {
                Some((_, number)) => Ok(Some((*number, number == default))),
                None => Err(Fault::illegal(format!(
                    "DynamicMessage should use EnumValueDescriptor to set Enum Value: \"{}\" is no symbol of the enum",
                    &**text
                ))),
            }
        }
        Encoder::Fail(fault) => Err(fault.clone()),
        _ => Err(Fault::illegal("a value of this type cannot be packed")),
    }
}

/// As Java's `Number.longValue`.
fn to_i64(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Float32(v) => *v as i64,
        Value::Float64(v) => *v as i64,
        Value::Decimal(v) => v.to_f64() as i64,
        value => value.as_i64()?,
    })
}

/// As Java's `Number.intValue`, which does not cut a float off but stops at the limits.
fn to_i32(value: &Value) -> Option<i32> {
    Some(match value {
        Value::Float32(v) => *v as i32,
        Value::Float64(v) => *v as i32,
        value => to_i64(value)? as i32,
    })
}

fn to_f64(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Float32(v) => f64::from(*v),
        Value::Float64(v) => *v,
        Value::Decimal(v) => v.to_f64(),
        value => value.as_i64()? as f64,
    })
}

/// A message that holds the scalar in its field 1, left out where it is zero.
fn write_wrapped(plan: &ScalarPlan, value: &Value, out: &mut Vec<u8>) -> Result<(), Fault> {
    let before = out.len();
    write_tag(1, plan.scalar.wire_type(), out);
    if write_scalar(plan, value, out)? {
        out.truncate(before);
    }
    Ok(())
}

/// The value without a tag; whether it is the default.
fn write_scalar(plan: &ScalarPlan, value: &Value, out: &mut Vec<u8>) -> Result<bool, Fault> {
    let wrong = || wrong(plan.kind.name(), value);
    Ok(match plan.take {
        Take::Int => write_i32(plan.scalar, to_i32(value).ok_or_else(wrong)?, out),
        Take::CutLong => write_i32(plan.scalar, to_i64(value).ok_or_else(wrong)? as i32, out),
        Take::Long => write_i64(plan.scalar, to_i64(value).ok_or_else(wrong)?, out),
        Take::Float => {
            let float = match value {
                Value::Float32(v) => *v,
                value => to_f64(value).ok_or_else(wrong)? as f32,
            };
            out.extend_from_slice(&float.to_le_bytes());
            // Not a comparison of numbers: minus zero is written.
            float.to_bits() == 0
        }
        Take::Double => {
            let double = to_f64(value).ok_or_else(wrong)?;
            out.extend_from_slice(&double.to_le_bytes());
            double.to_bits() == 0
        }
        Take::Boolean => {
            let Value::Boolean(flag) = value else {
                return Err(wrong());
            };
            out.push(u8::from(*flag));
            !flag
        }
        Take::Text => {
            let Value::String(text) = value else {
                return Err(wrong());
            };
            write_varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
            text.is_empty()
        }
        Take::Bytes => {
            let Value::Bytes(bytes) = value else {
                return Err(wrong());
            };
            write_varint(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
            bytes.is_empty()
        }
        Take::Unscaled => {
            let Value::Decimal(decimal) = value else {
                return Err(wrong());
            };
            let start = out.len();
            decimal.write_be_bytes(out);
            insert_length(start, out);
            false
        }
    })
}

fn write_i32(scalar: Scalar, value: i32, out: &mut Vec<u8>) -> bool {
    match scalar {
        Scalar::Uint32 => write_varint(u64::from(value as u32), out),
        Scalar::Sint32 => write_varint(zigzag32(value), out),
        Scalar::Fixed32 | Scalar::Sfixed32 => out.extend_from_slice(&value.to_le_bytes()),
        _ => write_varint(i64::from(value) as u64, out),
    }
    value == 0
}

fn write_i64(scalar: Scalar, value: i64, out: &mut Vec<u8>) -> bool {
    match scalar {
        Scalar::Sint64 => write_varint(zigzag64(value), out),
        Scalar::Fixed64 | Scalar::Sfixed64 => out.extend_from_slice(&value.to_le_bytes()),
        _ => write_varint(value as u64, out),
    }
    value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_put_before_what_was_written() {
        for length in [0, 1, 127, 128, 300, 20_000] {
            let mut out = vec![9];
            let start = out.len();
            out.extend((0..length).map(|i| i as u8));
            insert_length(start, &mut out);
            let mut expected = vec![9];
            write_varint(length as u64, &mut expected);
            expected.extend((0..length).map(|i| i as u8));
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn numbers_are_taken_as_java_takes_them() {
        assert_eq!(to_i32(&Value::Float64(1e20)), Some(i32::MAX));
        assert_eq!(to_i32(&Value::Int64(1 << 32 | 5)), Some(5));
        assert_eq!(to_i64(&Value::Boolean(true)), None);
    }
}
