//! Which names are names.

use crate::AvroError;
use crate::schema::{AvroSchema, Kind, TypeId};

/// How names are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validator {
    /// ASCII letters, digits and `_`, no digit first.
    Strict,
    /// Letters and digits of any script and `_`.
    Unicode,
    /// Anything.
    None,
}

impl Validator {
    /// Java's text for a bad name.
    pub(crate) fn check(self, name: &str) -> Result<(), String> {
        // Java looks at UTF-16 units: what lies beyond the first plane is no letter to it.
        let unit = |c: char| u32::from(c) <= 0xffff;
        let letter = |c: char| match self {
            Self::Strict => c.is_ascii_alphabetic(),
            _ => c.is_alphabetic() && unit(c),
        };
        let digit = |c: char| match self {
            Self::Strict => c.is_ascii_digit(),
            _ => c.is_numeric() && unit(c),
        };
        if self == Self::None {
            return Ok(());
        }
        let mut characters = name.chars();
        match characters.next() {
            None => return Err("Empty name".to_owned()),
            Some(first) if letter(first) || first == '_' => {}
            Some(_) => return Err(format!("Illegal initial character: {name}")),
        }
        if characters.all(|c| letter(c) || digit(c) || c == '_') {
            Ok(())
        } else {
            Err(format!("Illegal character in: {name}"))
        }
    }
}

impl AvroSchema {
    /// What is still checked when nothing is: names of any script for types, fields and symbols, in the order in which they appear.
    pub(crate) fn check_names(&self) -> Result<(), AvroError> {
        let check = |name: &str| Validator::Unicode.check(name).map_err(AvroError::plain);
        // A field's name comes before its type and behind the types of the fields before it.
        enum Next {
            Type(TypeId),
            Field(TypeId, usize),
        }
        let mut seen = vec![false; self.types.len()];
        let mut open = vec![Next::Type(self.root)];
        while let Some(next) = open.pop() {
            let id = match next {
                Next::Type(id) if std::mem::replace(&mut seen[id.0 as usize], true) => continue,
                Next::Type(id) => id,
                Next::Field(id, at) => {
                    if let Kind::Record(record) = &self.get(id).kind
                        && let Some(field) = record.fields.get(at)
                    {
                        check(&field.name)?;
                        open.push(Next::Field(id, at + 1));
                        open.push(Next::Type(field.schema));
                    }
                    continue;
                }
            };
            match &self.get(id).kind {
                Kind::Record(record) => {
                    check(&record.name.simple)?;
                    open.push(Next::Field(id, 0));
                }
                Kind::Enum(of) => {
                    check(&of.name.simple)?;
                    for symbol in &of.symbols {
                        check(symbol)?;
                    }
                }
                Kind::Fixed(of) => check(&of.name.simple)?,
                Kind::Array(inner) | Kind::Map(inner) => open.push(Next::Type(*inner)),
                Kind::Union(branches) => {
                    open.extend(branches.iter().rev().map(|id| Next::Type(*id)));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The types that have no definition.
pub(crate) fn is_primitive(name: &str) -> bool {
    matches!(
        name,
        "string" | "bytes" | "int" | "long" | "float" | "double" | "boolean" | "null"
    )
}

/// Words that mean a type when they stand alone, so that a type of such a name is always written with its namespace.
pub(crate) fn is_type_word(name: &str) -> bool {
    is_primitive(name)
        || matches!(
            name,
            "record" | "enum" | "array" | "map" | "union" | "fixed"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_javas() {
        for (validator, name, verdict) in [
            (Validator::Strict, "a_1", None),
            (Validator::Strict, "_", None),
            (Validator::Strict, "", Some("Empty name")),
            (Validator::Strict, "a-b", Some("Illegal character in: a-b")),
            (
                Validator::Strict,
                "1a",
                Some("Illegal initial character: 1a"),
            ),
            (Validator::Strict, "é", Some("Illegal initial character: é")),
            (Validator::Unicode, "é1", None),
            (Validator::Unicode, "a b", Some("Illegal character in: a b")),
            (
                Validator::Unicode,
                "𝒜",
                Some("Illegal initial character: 𝒜"),
            ),
            (Validator::None, "1 -", None),
        ] {
            assert_eq!(
                validator.check(name).err().as_deref(),
                verdict,
                "{validator:?} {name}"
            );
        }
    }
}
