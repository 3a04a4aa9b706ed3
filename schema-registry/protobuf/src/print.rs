//! Printing: the canonical text, the normalized text, and the one without extensions.

mod message;
mod options;
mod out;

use crate::ast::{OptionValue, ProtoFile, TagRange, WordKind};
use crate::scope::{Scope, TypeIndex};

pub(crate) use message::print;
pub(crate) use options::{as_map, merge};

/// A canonical text longer than this is refused: deep nesting can make a text many times longer by its indentation.
pub(crate) const MAX_PRINTED: usize = 64 << 20;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode<'i, 'a> {
    /// As parsed.
    Canonical,
    /// Without extensions and options in parentheses, but for Confluent's.
    IgnoreExtensions,
    /// Sorted, with every name in full.
    Normalized(&'i TypeIndex<'a>),
}

/// Why there is no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PrintError {
    /// A name means nothing.
    Unresolved(String),
    /// A map has a key that none may have.
    MapKey(String),
    /// A map entry lacks its key or value.
    MapEntry(String),
    /// The text would be too long, or the look-ups for it too many.
    TooLarge,
}

impl std::fmt::Display for PrintError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unresolved(name) => write!(f, "Could not resolve type: {name}"),
            Self::MapKey(name) => write!(
                f,
                "map key must be non-byte, non-floating point scalar: {name}"
            ),
            Self::MapEntry(name) => write!(f, "map entry {name} has no key or no value"),
            Self::TooLarge => write!(
                f,
                "the schema is too large or too deeply nested: its text would be longer than {MAX_PRINTED} bytes or need too many look-ups of names"
            ),
        }
    }
}

/// How Java prints the value of an option where a text is wanted.
pub(crate) fn java_text(value: &OptionValue) -> String {
    match value {
        OptionValue::Text(text) | OptionValue::Word(_, text) => text.clone(),
        OptionValue::Map(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}={}", java_inner_text(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        OptionValue::List(list) => {
            let items: Vec<String> = list.iter().map(java_inner_text).collect();
            format!("[{}]", items.join(", "))
        }
        OptionValue::Nested(inner) => {
            let kind = match &inner.value {
                OptionValue::Text(_) => "STRING",
                OptionValue::Word(kind, _) => word_kind(*kind),
                OptionValue::Map(_) => "MAP",
                OptionValue::List(_) => "LIST",
                OptionValue::Nested(_) => "OPTION",
            };
            format!(
                "OptionElement(name={}, kind={kind}, value={}, isParenthesized={})",
                inner.name,
                java_text(&inner.value),
                inner.parenthesized
            )
        }
    }
}

/// The same for a value inside of a map or a list, where a word is shown with its kind.
pub(crate) fn java_inner_text(value: &OptionValue) -> String {
    match value {
        OptionValue::Word(kind, text) => {
            format!("OptionPrimitive(kind={}, value={text})", word_kind(*kind))
        }
        value => java_text(value),
    }
}

fn word_kind(kind: WordKind) -> &'static str {
    match kind {
        WordKind::Boolean => "BOOLEAN",
        WordKind::Number => "NUMBER",
        WordKind::Enum => "ENUM",
    }
}

/// Splits ranges into one per line and sorts them by their first number; names come last. Only reserved ones are sorted further, by their text.
fn sort_ranges(ranges: &mut [TagRange], by_text: bool) {
    let first = |range: &TagRange| match range {
        TagRange::Tag(tag) | TagRange::Range(tag, _) => *tag,
        TagRange::Name(_) => i32::MAX,
    };
    let text = |range: &TagRange| match range {
        TagRange::Tag(tag) => tag.to_string(),
        TagRange::Range(first, last) => format!("{first}..{last}"),
        TagRange::Name(name) => name.clone(),
    };
    ranges.sort_by(|a, b| {
        let order = first(a).cmp(&first(b));
        if by_text {
            order.then_with(|| utf16_order(&text(a), &text(b)))
        } else {
            order
        }
    });
}

/// The order of Java's strings.
pub(crate) fn utf16_order(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() && b.is_ascii() {
        a.cmp(b)
    } else {
        a.encode_utf16().cmp(b.encode_utf16())
    }
}

/// The scope of a file's top.
fn file_scope<'f>(mode: Mode<'_, '_>, file: &'f ProtoFile) -> Option<Scope<'f>> {
    match mode {
        Mode::Normalized(index) => Some(Scope::of_package(index, file.package.as_deref())),
        _ => None,
    }
}
