//! Compatibility of two schemas by the rules of release 8.3.1: messages by name, fields by number, oneofs by name.

mod compare;
mod field;
mod order;

use crate::ProtobufSchema;

/// Which side of a comparison is the new schema; the texts say "new" and "old".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The new schema reads what the old one wrote.
    Backward,
    /// The old schema reads what the new one wrote.
    Forward,
}

/// One incompatible difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// `FIELD_KIND_CHANGED` and the like.
    pub kind: &'static str,
    /// `#/Message/1`
    pub path: String,
    /// The whole text as the registry sends it.
    pub message: String,
}

/// The differences that make two schemas incompatible. All others are fine and are not collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    PackageChanged,
    MessageRemoved,
    FieldKindChanged,
    FieldScalarKindChanged,
    FieldNamedTypeChanged,
    FieldNumericLabelChanged,
    RequiredFieldAdded,
    RequiredFieldRemoved,
    OneofFieldRemoved,
    MultipleFieldsMovedToOneof,
    FieldMovedToExistingOneof,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::PackageChanged => "PACKAGE_CHANGED",
            Self::MessageRemoved => "MESSAGE_REMOVED",
            Self::FieldKindChanged => "FIELD_KIND_CHANGED",
            Self::FieldScalarKindChanged => "FIELD_SCALAR_KIND_CHANGED",
            Self::FieldNamedTypeChanged => "FIELD_NAMED_TYPE_CHANGED",
            Self::FieldNumericLabelChanged => "FIELD_NUMERIC_LABEL_CHANGED",
            Self::RequiredFieldAdded => "REQUIRED_FIELD_ADDED",
            Self::RequiredFieldRemoved => "REQUIRED_FIELD_REMOVED",
            Self::OneofFieldRemoved => "ONEOF_FIELD_REMOVED",
            Self::MultipleFieldsMovedToOneof => "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
            Self::FieldMovedToExistingOneof => "FIELD_MOVED_TO_EXISTING_ONEOF",
        }
    }

    /// `p` is the path; `n` and `o` are the words for the reader's and the writer's side.
    fn description(self, p: &str, n: &str, o: &str) -> String {
        match self {
            Self::PackageChanged => format!(
                "The package at '{p}' in the {n} schema does not match the package in the {o} schema"
            ),
            Self::MessageRemoved => {
                format!("The {n} schema is missing a MESSAGE type at path '{p}' in the {o} schema")
            }
            Self::FieldKindChanged => format!(
                "The type of a field at path '{p}' in the {n} schema does not match the {o} schema"
            ),
            Self::FieldScalarKindChanged => format!(
                "The kind of a SCALAR field at path '{p}' in the {n} schema does not match its kind in the {o} schema"
            ),
            Self::FieldNamedTypeChanged => format!(
                "The type of a MESSAGE field at path '{p}' in the {n} schema does not match its type in the {o} schema"
            ),
            Self::FieldNumericLabelChanged => format!(
                "The label for a NUMERIC field at path '{p}' in the {n} schema does not match its label in the {o} schema"
            ),
            // The two blanks are the original's.
            Self::RequiredFieldAdded => format!(
                "A required field  at path '{p}' in the {n} schema is missing in the {o} schema"
            ),
            Self::RequiredFieldRemoved => format!(
                "The {n} schema is missing a required field at path: '{p}' in the {o} schema"
            ),
            Self::OneofFieldRemoved => {
                format!("The {n} schema is missing a oneof field at path '{p}' in the {o} schema")
            }
            Self::MultipleFieldsMovedToOneof => format!(
                "Multiple fields in the oneof at path '{p}' in the {n} schema are outside a oneof in the {o} schema"
            ),
            Self::FieldMovedToExistingOneof => format!(
                "A field in the oneof at path '{p}' in the {n} schema is outside an existing oneof in the {o} schema"
            ),
        }
    }
}

/// A difference before it is put into words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    kind: Kind,
    path: String,
}

/// What `reader` cannot read of what `writer` wrote.
///
/// # Errors
/// The comparison takes too many steps.
pub(crate) fn compare(
    writer: &ProtobufSchema,
    reader: &ProtobufSchema,
    direction: Direction,
) -> Result<Vec<Incompatibility>, String> {
    let (n, o) = match direction {
        Direction::Backward => ("new", "old"),
        Direction::Forward => ("old", "new"),
    };
    let found = compare::run(writer, reader)?;
    Ok(found
        .into_iter()
        .map(|Found { kind, path }| Incompatibility {
            kind: kind.name(),
            message: format!(
                "{{errorType:\"{}\", description:\"{}\"}}",
                kind.name(),
                kind.description(&path, n, o)
            ),
            path,
        })
        .collect())
}
