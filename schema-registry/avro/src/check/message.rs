//! The texts of incompatibilities.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::parse::type_word;
use crate::schema::{AvroSchema, Kind, TypeId};
use crate::{Direction, Incompatibility};

/// A step of a JSON pointer into the reader.
#[derive(Debug, Clone, Copy)]
pub(super) enum Segment {
    Root,
    Fields,
    Index(u32),
    Type,
    Items,
    Values,
    Name,
    Size,
    Symbols,
}

impl Segment {
    pub(super) fn index(at: usize) -> Self {
        Self::Index(u32::try_from(at).unwrap_or(u32::MAX))
    }
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum Problem {
    /// Names differ; the writer's type.
    Name(TypeId),
    /// Sizes of fixed types differ.
    Size { expected: usize, found: usize },
    /// The reader's enum lacks symbols of the writer's.
    Symbols(TypeId, TypeId),
    /// Kinds differ, and neither is a union.
    Type(TypeId, TypeId),
    /// No branch of the reader's union reads this type of the writer.
    NoBranch(TypeId),
    /// A field of the reader's record is new and has no default.
    NoDefault { record: TypeId, field: usize },
}

/// A problem and its place. Written out only when it is reported.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Box<[Segment]>,
    pub(super) problem: Problem,
}

impl Direction {
    /// What the texts call the reader and the writer.
    pub(super) fn words(self) -> [&'static str; 2] {
        match self {
            Self::Backward => ["new", "old"],
            Self::Forward => ["old", "new"],
        }
    }
}

impl Found {
    pub(super) fn report(
        &self,
        reader: &AvroSchema,
        writer: &AvroSchema,
        [r, w]: [&'static str; 2],
    ) -> Incompatibility {
        let path = self.path();
        let (kind, info, description) = match &self.problem {
            Problem::Name(of) => (
                "NAME_MISMATCH",
                format!("expected: {}", writer.full_name_of(*of)),
                format!("The name of the schema has changed (path '{path}')"),
            ),
            Problem::Size { expected, found } => (
                "FIXED_SIZE_MISMATCH",
                format!("expected: {expected}, found: {found}"),
                format!(
                    "The size of FIXED type field at path '{path}' in the {r} schema does not match with the {w} schema"
                ),
            ),
            Problem::Symbols(wanted, written) => {
                let missing = missing_symbols(reader, *wanted, writer, *written);
                let description = format!(
                    "The {r} schema is missing enum symbols '{missing}' at path '{path}' in the {w} schema"
                );
                ("MISSING_ENUM_SYMBOLS", missing, description)
            }
            Problem::Type(wanted, written) => (
                "TYPE_MISMATCH",
                format!(
                    "reader type: {} not compatible with writer type: {}",
                    type_word(&reader.get(*wanted).kind),
                    type_word(&writer.get(*written).kind)
                ),
                format!(
                    "The type (path '{path}') of a field in the {r} schema does not match with the {w} schema"
                ),
            ),
            Problem::NoBranch(of) => (
                "MISSING_UNION_BRANCH",
                format!(
                    "reader union lacking writer type: {}",
                    type_word(&writer.get(*of).kind)
                ),
                format!(
                    "The {r} schema is missing a type inside a union field at path '{path}' in the {w} schema"
                ),
            ),
            Problem::NoDefault { record, field } => {
                let name = match &reader.get(*record).kind {
                    Kind::Record(record) => record.fields[*field].name.to_string(),
                    _ => String::new(),
                };
                let description = format!(
                    "The field '{name}' at path '{path}' in the {r} schema has no default value and is missing in the {w} schema"
                );
                ("READER_FIELD_MISSING_DEFAULT_VALUE", name, description)
            }
        };
        let message =
            format!("{{errorType:'{kind}', description:'{description}', additionalInfo:'{info}'}}");
        Incompatibility {
            kind,
            path,
            message,
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.place.iter().skip(1) {
            let text = match segment {
                Segment::Root => "",
                Segment::Fields => "fields",
                Segment::Type => "type",
                Segment::Items => "items",
                Segment::Values => "values",
                Segment::Name => "name",
                Segment::Size => "size",
                Segment::Symbols => "symbols",
                Segment::Index(at) => {
                    // Writing to a string does not fail.
                    let _ = write!(path, "/{at}");
                    continue;
                }
            };
            path.push('/');
            path.push_str(text);
        }
        if path.is_empty() {
            path.push('/');
        }
        path
    }
}

fn missing_symbols(
    reader: &AvroSchema,
    wanted: TypeId,
    writer: &AvroSchema,
    written: TypeId,
) -> String {
    let (Kind::Enum(wanted), Kind::Enum(written)) =
        (&reader.get(wanted).kind, &writer.get(written).kind)
    else {
        return String::new();
    };
    let known: HashSet<_> = wanted.symbols.iter().collect();
    let mut missing: Vec<&str> = written
        .symbols
        .iter()
        .filter(|symbol| !known.contains(symbol))
        .map(AsRef::as_ref)
        .collect();
    missing.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
    format!("[{}]", missing.join(", "))
}

/// A text as Java's formatter leaves it, which the registry runs over all texts: also over those of exceptions, where a doc may hold percent signs.
pub(super) fn filled(text: &str, words: [&'static str; 2]) -> String {
    let mut words = words.into_iter();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (skip, with) = match rest[at + 1..].chars().next() {
            Some('s') => match words.next() {
                Some(word) => (2, word),
                None => (1, "%"),
            },
            Some('%') => (2, "%"),
            Some('n') => (2, "\n"),
            _ => (1, "%"),
        };
        out.push_str(with);
        rest = &rest[at + skip..];
    }
    out.push_str(rest);
    out
}
