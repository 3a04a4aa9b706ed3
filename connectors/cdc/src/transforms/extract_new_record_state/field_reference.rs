use std::sync::Arc;

use millrace_api::data::{Kind, Schema, SchemaBuilder, Struct, Value};
use millrace_api::plugin::DataError;

/// A field of the event, as `add.fields` and `add.headers` name it: `[struct.]field[:name]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldReference {
    /// The part of the envelope that it is in; `None`: the envelope itself.
    parent: Option<String>,
    field: String,
    /// What it is called where it is added.
    pub(super) name: Arc<str>,
}

impl FieldReference {
    pub(super) fn parse(prefix: &str, text: &str) -> Result<Self, String> {
        let text = text.trim();
        // As Java splits: empty parts at the end do not count.
        let mut parts = text.trim_end_matches(':').split(':');
        let path = parts.next().unwrap_or_default();
        let new_name = parts.next();
        if parts.next().is_some() {
            return Err(format!("Unexpected field name: {text}"));
        }
        let mut steps = path.trim_end_matches('.').split('.');
        let (parent, field) = match (steps.next().unwrap_or_default(), steps.next()) {
            (field, None) => (implied_parent(field), field),
            (parent, Some(field)) => (Some(parent), field),
        };
        let name = match new_name {
            Some(name) => format!("{prefix}{name}"),
            None if path.trim_end_matches('.').contains('.') => {
                format!("{prefix}{}_{field}", parent.unwrap_or_default())
            }
            None => format!("{prefix}{field}"),
        };
        Ok(Self {
            parent: parent.map(str::to_owned),
            field: field.to_owned(),
            name: name.into(),
        })
    }

    /// Whether it is the operation, the only one that a tombstone has too.
    pub(super) fn is_operation(&self) -> bool {
        self.field == "op"
    }

    /// Where it is in envelopes of `envelope`; `None`: nowhere.
    pub(super) fn resolve(&self, envelope: &Schema) -> Result<Option<Added>, DataError> {
        let parent = match &self.parent {
            None => None,
            Some(name) => {
                let (index, parent) = envelope.field(name).ok_or_else(|| {
                    DataError::new(format!(
                        "cannot add '{name}.{}': events of {} have no part '{name}'",
                        self.field,
                        envelope.name().unwrap_or("this schema")
                    ))
                    .with_java_class("java.lang.NullPointerException")
                })?;
                if parent.schema.kind() != Kind::Struct {
                    return Err(DataError::new("Cannot look up fields on non-struct type"));
                }
                Some((index, &parent.schema))
            }
        };
        let place = match parent {
            Some((at, schema)) => match schema.field(&self.field) {
                Some((index, field)) => Some((Place::Nested(at, index), field)),
                // An earlier transform may have put it beside the part.
                None => envelope
                    .field(&self.field)
                    .map(|(index, field)| (Place::Beside(at, index), field)),
            },
            None => envelope
                .field(&self.field)
                .map(|(index, field)| (Place::Top(index), field)),
        };
        Ok(place.map(|(place, field)| Added {
            name: Arc::clone(&self.name),
            schema: optional_basics(&field.schema),
            place,
        }))
    }
}

/// The part of the envelope that a field without one is in.
fn implied_parent(field: &str) -> Option<&'static str> {
    match field {
        "id" | "total_order" | "data_collection_order" => Some("transaction"),
        "op" | "ts_ms" | "ts_us" | "ts_ns" => None,
        "updateDescription" => Some("updateDescription"),
        _ => Some("source"),
    }
}

/// The same type, optional and without its default.
fn optional_basics(schema: &Schema) -> Schema {
    schema
        .to_builder()
        .optional(true)
        .default(None)
        .build_valid()
}

/// A field of the event on its way into a row or a header.
#[derive(Debug, Clone)]
pub(super) struct Added {
    pub(super) name: Arc<str>,
    pub(super) schema: Schema,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// A field of the envelope.
    Top(usize),
    /// A field of a part of the envelope.
    Nested(usize, usize),
    /// A field of the envelope, null when this part is.
    Beside(usize, usize),
}

impl Added {
    /// Its value as it is stored: defaults are not applied.
    pub(super) fn value(&self, envelope: &Struct) -> Value {
        let values = envelope.values();
        match self.place {
            Place::Top(index) => values[index].clone(),
            Place::Nested(at, index) => values[at]
                .as_struct()
                .map_or(Value::Null, |part| part.values()[index].clone()),
            Place::Beside(at, index) => {
                if values[at].is_null() {
                    Value::Null
                } else {
                    values[index].clone()
                }
            }
        }
    }
}

/// A builder with the name, version, doc and parameters of a struct, without its fields: required, no default.
pub(super) fn basics(schema: &Schema) -> SchemaBuilder {
    let mut builder = SchemaBuilder::structure();
    if let Some(name) = schema.name() {
        builder = builder.name(name);
    }
    if let Some(version) = schema.version() {
        builder = builder.version(version);
    }
    if let Some(doc) = schema.doc() {
        builder = builder.doc(doc);
    }
    for (name, value) in schema.parameters() {
        builder = builder.parameter(Arc::clone(name), Arc::clone(value));
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_path() {
        for (text, parent, field, name) in [
            ("op", None, "op", "__op"),
            ("ts_us", None, "ts_us", "__ts_us"),
            ("id", Some("transaction"), "id", "__id"),
            ("lsn", Some("source"), "lsn", "__lsn"),
            ("source.ts_ms", Some("source"), "ts_ms", "__source_ts_ms"),
            (
                "transaction.id",
                Some("transaction"),
                "id",
                "__transaction_id",
            ),
            (" source.db:database ", Some("source"), "db", "__database"),
            ("op:", None, "op", "__op"),
        ] {
            let expected = FieldReference {
                parent: parent.map(str::to_owned),
                field: field.into(),
                name: name.into(),
            };
            assert_eq!(FieldReference::parse("__", text), Ok(expected), "{text}");
        }
        assert_eq!(
            FieldReference::parse("", "a:b:c"),
            Err("Unexpected field name: a:b:c".into())
        );
    }
}
