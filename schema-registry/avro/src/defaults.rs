//! Which defaults fit their type.

use std::collections::HashMap;

use java_idioms::Json;

use crate::AvroError;
use crate::parse::{Parser, shown};
use crate::schema::{AvroSchema, Kind, TypeId};

/// Values of one default that are looked at: unions of records can make each count many times.
const MOST_STEPS: usize = 2_000_000;

/// A record cannot be looked into before its fields are known.
enum Trouble {
    FieldsNotSet,
    TooLarge,
}

struct Check<'a> {
    parser: &'a Parser,
    /// `None` in the first pass, when stand-ins are records without fields.
    has_fields: Option<&'a [bool]>,
    /// Records that were tried for a value, by the value's address. A union may ask again, at every level of a nested default.
    known: HashMap<(TypeId, usize), bool>,
    steps: usize,
}

impl Parser {
    /// Java's first check of a default, when its field is made.
    pub(crate) fn check_default(
        &self,
        field: &str,
        of: TypeId,
        default: &Json,
    ) -> Result<(), AvroError> {
        self.check_with(field, of, default, None)
    }

    /// The check in the second pass.
    pub(crate) fn check_linked_default(
        &self,
        field: &str,
        of: TypeId,
        default: &Json,
        has_fields: &[bool],
    ) -> Result<(), AvroError> {
        self.check_with(field, of, default, Some(has_fields))
    }

    fn check_with(
        &self,
        field: &str,
        of: TypeId,
        default: &Json,
        has_fields: Option<&[bool]>,
    ) -> Result<(), AvroError> {
        let mut check = Check {
            parser: self,
            has_fields,
            known: HashMap::new(),
            steps: 0,
        };
        match check.fits(of, default) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let whole = AvroSchema::new(self.linked_types(has_fields.is_some()), of);
                let of = if has_fields.is_some() {
                    self.linked(of).unwrap_or(of)
                } else {
                    of
                };
                Err(AvroError::plain(format!(
                    "Invalid default for field {field}: {} not a {}",
                    shown(default),
                    whole.text_of(of)
                )))
            }
            Err(Trouble::FieldsNotSet) => Err(AvroError::plain("Schema fields not set yet")),
            Err(Trouble::TooLarge) => Err(AvroError::plain(format!(
                "Invalid default for field {field}: too large to be checked"
            ))),
        }
    }

    /// The types for a message.
    fn linked_types(&self, linked: bool) -> Vec<crate::schema::Type> {
        let mut types = self.types.clone();
        if linked {
            for of in &mut types {
                of.kind
                    .for_each_part(|id| *id = self.linked(*id).unwrap_or(*id));
            }
        }
        types
    }
}

impl Check<'_> {
    fn fits(&mut self, of: TypeId, value: &Json) -> Result<bool, Trouble> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Trouble::TooLarge);
        }
        let of = match self.has_fields {
            Some(_) => self.parser.linked(of).unwrap_or(of),
            None => of,
        };
        let parser = self.parser;
        Ok(match (&parser.types[of.0 as usize].kind, value) {
            (Kind::Null, Json::Null)
            | (Kind::Boolean, Json::Bool(_))
            | (Kind::Float | Kind::Double, Json::Number(_))
            | (Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Fixed(_), Json::String(_)) => {
                true
            }
            (Kind::Int, Json::Number(number)) => {
                number.as_i64().is_some_and(|v| i32::try_from(v).is_ok())
            }
            (Kind::Long, Json::Number(number)) => number.as_i64().is_some(),
            (Kind::Array(item), Json::Array(values)) => {
                for value in values {
                    if !self.fits(*item, value)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Kind::Map(inner), Json::Object(members)) => {
                for value in members.values() {
                    if !self.fits(*inner, value)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Kind::Union(branches), value) => {
                for branch in branches {
                    if self.fits(*branch, value)? {
                        return Ok(true);
                    }
                }
                false
            }
            (Kind::Record(_), Json::Object(_)) => self.record_fits(of, value)?,
            _ => false,
        })
    }

    fn record_fits(&mut self, of: TypeId, value: &Json) -> Result<bool, Trouble> {
        self.parser.record_defaults.set(true);
        let key = (of, std::ptr::from_ref(value).addr());
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        if self.has_fields.is_some_and(|set| !set[of.0 as usize]) {
            return Err(Trouble::FieldsNotSet);
        }
        let parser = self.parser;
        let (Kind::Record(record), Json::Object(members)) =
            (&parser.types[of.0 as usize].kind, value)
        else {
            return Ok(false);
        };
        let mut fits = true;
        for field in &record.fields {
            fits = match members.get(&field.name) {
                Some(value) => self.fits(field.schema, value)?,
                // A field's own default was checked when the field was made.
                None => field.default.is_some(),
            };
            if !fits {
                break;
            }
        }
        self.known.insert(key, fits);
        Ok(fits)
    }
}
