//! Values from a tree of JSON. Hardly anything is checked, as in the original: a text where a number is expected is 0. What goes into a struct is checked by the struct,
//! though: a struct in it must have its required fields, an array or a map in it no nulls that its schema does not allow.

use std::collections::HashMap;
use std::sync::Arc;

use java_idioms::Json;
use java_idioms::json::ReadOptions;
use millrace_api::data::{Blob, Decimal, Kind, Schema, Struct, Text, Value};

use crate::base64;
use crate::decimal_bits::low_bits;
use crate::fault::{Fault, MAX_VALUE_DEPTH};
use crate::non_numbers;
use crate::read_plan::{Op, Part, PartId, ReadPlan};
use crate::terms::{KEY, VALUE};
use crate::variant;

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;

/// What is read of a payload. Deeper nesting than values may have is refused before it takes any stack.
pub(crate) fn body_options() -> ReadOptions {
    ReadOptions {
        max_depth: MAX_VALUE_DEPTH,
        ..ReadOptions::default()
    }
}

/// Reads a whole value; `None` is an empty body.
pub(crate) fn read(plan: &ReadPlan, json: Option<&Json>) -> Result<Value, Fault> {
    let mut reader = Reader {
        plan,
        depth: 0,
        field: None,
        empty: json.is_none(),
    };
    // An empty body behaves like a value of no type at all, except that messages name it.
    reader.value(0, Some(json.unwrap_or(&Json::Array(Vec::new()))))
}

/// Where a part of a value stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Arrays, maps, structs and unions around it.
    pub(crate) depth: usize,
    /// Whether it ends up in a struct.
    pub(crate) in_struct: bool,
}

/// Reads a part of a value.
pub(crate) fn read_part(
    plan: &ReadPlan,
    id: PartId,
    json: &Json,
    place: Place,
) -> Result<Value, Fault> {
    let mut reader = Reader {
        plan,
        depth: place.depth,
        field: place.in_struct.then_some(""),
        empty: false,
    };
    reader.value(id, Some(json))
}

/// Reads a default.
pub(crate) fn read_default(schema: &Schema, json: &Json) -> Result<Value, Fault> {
    read(&ReadPlan::new(schema.clone())?, Some(json))
}

struct Reader<'p> {
    plan: &'p ReadPlan,
    depth: usize,
    /// The struct's field that the value ends up in; nothing else is checked.
    field: Option<&'p str>,
    empty: bool,
}

impl<'p> Reader<'p> {
    fn node_type(&self, json: &Json) -> &'static str {
        match json {
            _ if self.empty => "MISSING",
            Json::Null => "NULL",
            Json::Bool(_) => "BOOLEAN",
            Json::Number(_) => "NUMBER",
            Json::String(_) => "STRING",
            Json::Array(_) => "ARRAY",
            Json::Object(_) => "OBJECT",
        }
    }

    fn value(&mut self, id: PartId, json: Option<&Json>) -> Result<Value, Fault> {
        let part = &self.plan.parts[id];
        let json = match json {
            Some(json) if !json.is_null() => json,
            absent => {
                if let Some(default) = &part.default {
                    return Ok(default.clone());
                }
                if absent.is_none() || part.optional {
                    return Ok(Value::Null);
                }
                return Err(Fault::data(format!(
                    "Invalid null value for required {} field",
                    part.kind.name()
                )));
            }
        };
        match &part.op {
            Op::Simple => self.simple(part, json),
            Op::Decimal(scale) => self.decimal(*scale, json),
            Op::Date => {
                let value =
                    int(json).ok_or_else(|| self.not_an_integer("Date", "integer", json))?;
                Ok(moment(part.kind, value))
            }
            Op::Time => {
                let value =
                    int(json).ok_or_else(|| self.not_an_integer("Time", "integer", json))?;
                if !(0..=DAY).contains(&value) {
                    return Err(Fault::data(
                        "Time values must use number of milliseconds greater than 0 and less than 86400000",
                    ));
                }
                Ok(moment(part.kind, value))
            }
            Op::Timestamp => match json {
                Json::Number(number) if number.is_integer() => {
                    Ok(moment(part.kind, low_bits(number)))
                }
                _ => Err(self.not_an_integer("Timestamp", "integral", json)),
            },
            Op::Variant(schema) => {
                if self.empty {
                    return Err(Fault::new(
                        crate::fault::ILLEGAL_ARGUMENT,
                        "Unsupported JSON node type: MISSING",
                    ));
                }
                let values = variant::parts(json)?;
                Ok(Value::Struct(Struct::new(schema.clone(), values.to_vec())))
            }
            _ => {
                if self.depth >= MAX_VALUE_DEPTH {
                    return Err(Fault::value_too_deep());
                }
                self.depth += 1;
                let value = self.container(id, json);
                self.depth -= 1;
                value
            }
        }
    }

    fn simple(&self, part: &Part, json: &Json) -> Result<Value, Fault> {
        let bits = || match json {
            Json::Number(number) => low_bits(number),
            _ => 0,
        };
        let literal = || match json {
            Json::Number(number) => number.literal(),
            _ => "0",
        };
        Ok(match part.kind {
            Kind::Boolean => Value::Boolean(matches!(json, Json::Bool(true))),
            Kind::Int8 => Value::Int8(bits() as i8),
            Kind::Int16 => Value::Int16(bits() as i16),
            Kind::Int32 => Value::Int32(bits() as i32),
            Kind::Int64 => Value::Int64(bits()),
            Kind::Float32 => match not_a_number(json) {
                Some(value) => Value::Float32(value as f32),
                None => Value::Float32(literal().parse().unwrap_or(0.0)),
            },
            Kind::Float64 => match not_a_number(json) {
                Some(value) => Value::Float64(value),
                None => Value::Float64(literal().parse().unwrap_or(0.0)),
            },
            Kind::String => match json {
                Json::String(text) if not_a_number(json).is_none() => {
                    Value::String(Text::from(&**text))
                }
                // Text of something else is none, whether the schema allows that or not.
                _ => Value::Null,
            },
            _ => match json {
                Json::String(text) => {
                    let bytes =
                        base64::decode(text).ok_or_else(|| Fault::data("Invalid bytes field"))?;
                    Value::Bytes(Blob::from(bytes))
                }
                _ if self.field.is_some() => {
                    return Err(Fault::data(format!(
                        "Invalid Java object for schema with type BYTES: class java.math.BigDecimal for field: \"{}\"",
                        self.field.unwrap_or_default()
                    )));
                }
                Json::Number(number) => Value::from(decimal(number.literal())?),
                _ => Value::from(Decimal::new(0, 0)),
            },
        })
    }

    fn decimal(&self, scale: Option<i32>, json: &Json) -> Result<Value, Fault> {
        match json {
            Json::Number(number) => Ok(Value::from(decimal(number.literal())?)),
            Json::String(text) => {
                let bytes = base64::decode(text)
                    .filter(|bytes| !bytes.is_empty())
                    .ok_or_else(|| Fault::data("Invalid bytes for Decimal field"))?;
                let scale = scale.ok_or_else(|| Fault::data("Invalid bytes for Decimal field"))?;
                Ok(Value::from(Decimal::from_be_bytes(&bytes, scale)))
            }
            _ => Err(Fault::data(format!(
                "Invalid type for Decimal, underlying representation should be numeric or bytes but was {}",
                self.node_type(json)
            ))),
        }
    }

    #[cold]
    fn not_an_integer(&self, name: &str, expected: &str, json: &Json) -> Fault {
        Fault::data(format!(
            "Invalid type for {name}, underlying representation should be {expected} but was {}",
            self.node_type(json)
        ))
    }

    fn container(&mut self, id: PartId, json: &Json) -> Result<Value, Fault> {
        let plan = self.plan;
        match &plan.parts[id].op {
            Op::Struct(schema, fields) => {
                let Json::Object(members) = json else {
                    return Err(Fault::data(format!(
                        "Structs should be encoded as JSON objects, but found {}",
                        self.node_type(json)
                    )));
                };
                let outer = self.field;
                let mut values = Vec::with_capacity(fields.len());
                for (name, field) in fields.iter() {
                    self.field = Some(name);
                    values.push(self.value(field, members.get(name))?);
                }
                self.field = outer;
                if outer.is_some() {
                    for ((name, field), value) in fields.iter().zip(&values) {
                        let part = &plan.parts[field];
                        if value.is_null() && !part.takes_null() {
                            return Err(null_refused("field", name, part.kind));
                        }
                    }
                }
                Ok(Value::Struct(Struct::new(schema.clone(), values)))
            }
            Op::Union(schema, fields) => {
                let mut best: Option<usize> = None;
                let mut most = 0;
                for (index, field) in fields.iter().enumerate() {
                    if self.is_instance(*field, json) {
                        best = Some(index);
                        break;
                    }
                    let matching = self.matching_names(*field, json, 0);
                    if matching > most {
                        most = matching;
                        best = Some(index);
                    }
                }
                let Some(index) = best else {
                    return Err(Fault::data("Did not find matching oneof field for data"));
                };
                let mut values = vec![Value::Null; fields.len()];
                let name = schema.fields().get(index).map_or("", |field| &field.name);
                let outer = self.field.replace(name);
                values[index] = self.value(fields[index], Some(json))?;
                self.field = outer;
                Ok(Value::Struct(Struct::new(schema.clone(), values)))
            }
            Op::Array(element) => {
                let values = match json {
                    Json::Array(values) => values
                        .iter()
                        .map(|value| self.element("element of array field", *element, value))
                        .collect::<Result<_, _>>()?,
                    // The elements of an object are its values; other values have none.
                    Json::Object(members) => members
                        .values()
                        .map(|value| self.element("element of array field", *element, value))
                        .collect::<Result<_, _>>()?,
                    _ => Vec::new(),
                };
                Ok(Value::Array(Arc::new(values)))
            }
            Op::Object(values) => {
                let Json::Object(members) = json else {
                    return Err(Fault::data(format!(
                        "Maps with string fields should be encoded as JSON objects, but found {}",
                        self.node_type(json)
                    )));
                };
                let entries = members
                    .iter()
                    .map(|(name, value)| {
                        Ok((
                            Value::String(Text::from(&**name)),
                            self.element("value of map field", *values, value)?,
                        ))
                    })
                    .collect::<Result<Vec<_>, Fault>>()?;
                Ok(Value::Map(Arc::new(entries)))
            }
            Op::Entries(keys, values) => self.entries(*keys, *values, json),
            Op::Enclosing(part) => self.container(*part, json),
            _ => Ok(Value::Null),
        }
    }

    /// An element of an array or a map. Within a struct a null is refused where the schema does not allow it.
    fn element(&mut self, what: &'static str, part: PartId, json: &Json) -> Result<Value, Fault> {
        let value = self.value(part, Some(json))?;
        if let Some(field) = self.field {
            self.refuse_null(what, field, part, &value)?;
        }
        Ok(value)
    }

    fn refuse_null(
        &self,
        what: &'static str,
        field: &str,
        part: PartId,
        value: &Value,
    ) -> Result<(), Fault> {
        let part = &self.plan.parts[part];
        if value.is_null() && !part.optional {
            return Err(null_refused(what, field, part.kind));
        }
        Ok(())
    }

    fn entries(&mut self, keys: PartId, values: PartId, json: &Json) -> Result<Value, Fault> {
        let list = match json {
            Json::Array(list) if !self.empty => list,
            other => {
                return Err(Fault::data(format!(
                    "Maps with non-string fields should be encoded as JSON array of objects, but found {}",
                    self.node_type(other)
                )));
            }
        };
        let mut entries: Vec<(Value, Value)> = Vec::with_capacity(list.len());
        let mut places: HashMap<Value, usize> = HashMap::with_capacity(list.len());
        for entry in list {
            let Json::Object(members) = entry else {
                return Err(Fault::data(format!(
                    "Found invalid map entry instead of object: {}",
                    self.node_type(entry)
                )));
            };
            if members.len() != 2 {
                return Err(Fault::data(format!(
                    "Found invalid map entry, expected length 2 but found :{}",
                    members.len()
                )));
            }
            let key = self.value(keys, members.get(KEY))?;
            let value = self.value(values, members.get(VALUE))?;
            match places.get(&key) {
                Some(place) => entries[*place].1 = value,
                None => {
                    places.insert(key.clone(), entries.len());
                    entries.push((key, value));
                }
            }
        }
        // Only what is left of them is put into the struct.
        if let Some(field) = self.field {
            for (key, value) in &entries {
                self.refuse_null("key of map field", field, keys, key)?;
                self.refuse_null("value of map field", field, values, value)?;
            }
        }
        Ok(Value::Map(Arc::new(entries)))
    }

    /// Whether a member of a union that is no struct takes the value.
    fn is_instance(&self, part: PartId, json: &Json) -> bool {
        if self.empty {
            return false;
        }
        match self.plan.parts[part].kind {
            Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => {
                matches!(json, Json::Number(number) if number.is_integer())
            }
            Kind::Float32 | Kind::Float64 => {
                matches!(json, Json::Number(_)) || not_a_number(json).is_some()
            }
            Kind::Boolean => matches!(json, Json::Bool(_)),
            Kind::String => matches!(json, Json::String(_)) && not_a_number(json).is_none(),
            // Text is never taken for bytes, only a number with a fraction for a decimal.
            Kind::Bytes => matches!(json, Json::Number(number) if !number.is_integer()),
            Kind::Array => matches!(json, Json::Array(_)),
            Kind::Map => matches!(json, Json::Object(_) | Json::Array(_)),
            Kind::Struct => false,
        }
    }

    /// How many names of fields an object has, those of nested structs counted too.
    fn matching_names(&self, part: PartId, json: &Json, depth: usize) -> usize {
        let (Json::Object(members), true) = (json, depth < MAX_VALUE_DEPTH) else {
            return 0;
        };
        match &self.plan.parts[part].op {
            Op::Enclosing(of) => self.matching_names(*of, json, depth),
            Op::Struct(_, fields) => fields
                .iter()
                .filter_map(|(name, field)| Some((field, members.get(name)?)))
                .map(|(field, value)| 1 + self.matching_names(field, value, depth + 1))
                .sum(),
            Op::Union(schema, fields) => schema
                .fields()
                .iter()
                .zip(fields)
                .filter_map(|(of, field)| Some((field, members.get(&of.name)?)))
                .map(|(field, value)| 1 + self.matching_names(*field, value, depth + 1))
                .sum(),
            Op::Variant(schema) => schema
                .fields()
                .iter()
                .filter(|field| members.contains_key(&field.name))
                .count(),
            _ => 0,
        }
    }
}

#[cold]
fn null_refused(what: &str, name: &str, kind: Kind) -> Fault {
    Fault::data(format!(
        "Invalid value: null used for required {what}: \"{name}\", schema type: {}",
        kind.name()
    ))
}

fn not_a_number(json: &Json) -> Option<f64> {
    json.as_str().and_then(non_numbers::value)
}

/// A number that Java holds in an `int`.
fn int(json: &Json) -> Option<i64> {
    json.as_i64().filter(|value| i32::try_from(*value).is_ok())
}

/// A logical type's value in the form of its base type.
pub(crate) fn moment(kind: Kind, value: i64) -> Value {
    match kind {
        Kind::Int8 => Value::Int8(value as i8),
        Kind::Int16 => Value::Int16(value as i16),
        Kind::Int32 => Value::Int32(value as i32),
        _ => Value::Int64(value),
    }
}

fn decimal(literal: &str) -> Result<Decimal, Fault> {
    literal.parse().map_err(|_| {
        Fault::data(format!(
            "{} is out of the range of decimals",
            literal.chars().take(80).collect::<String>()
        ))
    })
}
