//! Options in a text.

use std::borrow::Cow;
use std::collections::HashSet;

use indexmap::IndexMap;

use super::out::Out;
use super::{Mode, utf16_order};
use crate::ast::{OptionEntry, OptionValue, WordKind};
use crate::number;
use crate::scope::{Scope, TypeIndex};

/// Options of this prefix count as part of the schema where extensions are ignored.
const CONFLUENT: &str = "confluent.";

/// The options that are printed, in their order.
pub(super) fn shown<'o>(
    options: &'o [OptionEntry],
    mode: Mode<'_, '_>,
    scope: Option<&Scope<'_>>,
) -> Cow<'o, [OptionEntry]> {
    match (mode, scope) {
        _ if options.is_empty() => Cow::Borrowed(options),
        (Mode::Normalized(index), Some(scope)) => Cow::Owned(normalized(options, index, scope)),
        (Mode::IgnoreExtensions, _) => Cow::Owned(
            options
                .iter()
                .filter(|option| !option.parenthesized || option.name.starts_with(CONFLUENT))
                .cloned()
                .collect(),
        ),
        _ => Cow::Borrowed(options),
    }
}

fn normalized(
    options: &[OptionEntry],
    index: &TypeIndex<'_>,
    scope: &Scope<'_>,
) -> Vec<OptionEntry> {
    let mut named: Vec<OptionEntry> = options
        .iter()
        .map(|option| {
            let full = option
                .parenthesized
                .then(|| scope.find_extension(index, &option.name))
                .flatten();
            match full {
                Some(name) => OptionEntry {
                    name,
                    parenthesized: true,
                    value: as_map(option.value.clone()),
                },
                None => option.clone(),
            }
        })
        .collect();
    named.sort_by(|a, b| utf16_order(&a.name, &b.name));
    let mut groups: IndexMap<String, Vec<OptionEntry>> = IndexMap::new();
    for option in named {
        groups.entry(option.name.clone()).or_default().push(option);
    }
    groups
        .into_iter()
        .flat_map(|(name, list)| {
            if index.extension_of(&name) == Some(false) {
                merge(list).into_iter().collect()
            } else {
                list
            }
        })
        .collect()
}

/// `(a).b = c` as `(a) = { b: c }`.
pub(crate) fn as_map(value: OptionValue) -> OptionValue {
    match value {
        OptionValue::Nested(inner) => {
            OptionValue::Map(IndexMap::from([(inner.name, as_map(inner.value))]))
        }
        value => value,
    }
}

/// One option out of several of one name: maps are united, of other values the last counts.
pub(crate) fn merge(options: Vec<OptionEntry>) -> Option<OptionEntry> {
    let mut options = options.into_iter();
    let mut merged = options.next()?;
    // What a united list already holds, as texts: comparing values pairwise would take quadratic time.
    let mut held: IndexMap<String, HashSet<String>> = IndexMap::new();
    for option in options {
        let value = as_map(option.value);
        match (&mut merged.value, value) {
            (OptionValue::Map(into), OptionValue::Map(from)) => {
                for (key, value) in from {
                    let Some(existing) = into.get_mut(&key) else {
                        into.insert(key, value);
                        continue;
                    };
                    let seen = held.entry(key).or_default();
                    if seen.is_empty() {
                        let first = std::mem::replace(existing, OptionValue::List(Vec::new()));
                        extend_set(existing, seen, first);
                    }
                    extend_set(existing, seen, value);
                }
                merged.name = option.name;
                merged.parenthesized = option.parenthesized;
            }
            (_, value) => {
                held.clear();
                merged = OptionEntry {
                    name: option.name,
                    parenthesized: option.parenthesized,
                    value,
                };
            }
        }
    }
    Some(merged)
}

fn extend_set(list: &mut OptionValue, seen: &mut HashSet<String>, value: OptionValue) {
    let OptionValue::List(list) = list else {
        return;
    };
    let values = match value {
        OptionValue::List(values) => values,
        value => vec![value],
    };
    for value in values {
        if seen.insert(format!("{value:?}")) {
            list.push(value);
        }
    }
}

/// ` [a = b]`, or several on lines of their own.
pub(super) fn print_list(
    out: &mut Out,
    options: &[OptionEntry],
    mode: Mode<'_, '_>,
    scope: Option<&Scope<'_>>,
) {
    if let [option] = options {
        out.push("[");
        print_option(out, option, mode, scope);
        out.push("]");
        return;
    }
    out.push("[\n");
    for (i, option) in options.iter().enumerate() {
        out.open();
        print_option(out, option, mode, scope);
        if i + 1 < options.len() {
            out.push(",");
        }
        out.close();
    }
    out.push("]");
}

/// `option a = b;` lines.
pub(super) fn print_declarations(
    out: &mut Out,
    options: &[OptionEntry],
    mode: Mode<'_, '_>,
    scope: Option<&Scope<'_>>,
) {
    for option in options {
        out.push("option ");
        print_option(out, option, mode, scope);
        out.push(";\n");
    }
}

fn print_option(
    out: &mut Out,
    option: &OptionEntry,
    mode: Mode<'_, '_>,
    scope: Option<&Scope<'_>>,
) {
    if option.parenthesized {
        out.push("(").push(&option.name).push(")");
    } else {
        out.push(&option.name);
    }
    match &option.value {
        OptionValue::Text(text) => {
            out.push(" = \"").push(&escape(text)).push("\"");
        }
        OptionValue::Word(..) => {
            out.push(" = ");
            print_value(out, &option.value, mode, scope);
        }
        OptionValue::Nested(inner) => {
            out.push(".");
            print_option(out, inner, mode, scope);
        }
        OptionValue::Map(_) => {
            out.push(" = ");
            print_value(out, &option.value, mode, scope);
        }
        OptionValue::List(list) => {
            out.push(" = ");
            print_values(out, list, mode, scope);
        }
    }
}

/// The list that is the whole value of an option: a single item stands in brackets on the line.
fn print_values(
    out: &mut Out,
    list: &[OptionValue],
    mode: Mode<'_, '_>,
    scope: Option<&Scope<'_>>,
) {
    if let [value] = list {
        out.push("[");
        print_value(out, value, mode, scope);
        out.push("]");
        return;
    }
    print_lines(out, list, mode, scope);
}

fn print_lines(out: &mut Out, list: &[OptionValue], mode: Mode<'_, '_>, scope: Option<&Scope<'_>>) {
    out.push("[\n");
    for (i, value) in list.iter().enumerate() {
        out.open();
        print_value(out, value, mode, scope);
        if i + 1 < list.len() {
            out.push(",");
        }
        out.close();
    }
    out.push("]");
}

fn print_value(out: &mut Out, value: &OptionValue, mode: Mode<'_, '_>, scope: Option<&Scope<'_>>) {
    let normalize = matches!(mode, Mode::Normalized(_));
    match value {
        OptionValue::Text(text) => {
            out.push("\"").push(&escape(text)).push("\"");
        }
        OptionValue::Word(WordKind::Number, text) if normalize => {
            out.push(&number::normalize(text));
        }
        OptionValue::Word(_, text) => {
            out.push(text);
        }
        OptionValue::List(list) => match list.as_slice() {
            [single] if normalize => print_value(out, single, mode, scope),
            list => print_lines(out, list, mode, scope),
        },
        OptionValue::Nested(inner) => print_option(out, inner, mode, scope),
        OptionValue::Map(map) => {
            let mut entries: Vec<(Cow<'_, str>, &OptionValue)> = map
                .iter()
                .map(|(key, value)| (Cow::Borrowed(key.as_str()), value))
                .collect();
            if let (Mode::Normalized(index), Some(scope)) = (mode, scope) {
                entries.retain(
                    |(_, value)| !matches!(value, OptionValue::List(list) if list.is_empty()),
                );
                for (key, _) in &mut entries {
                    let full = key
                        .strip_prefix('[')
                        .and_then(|key| key.strip_suffix(']'))
                        .and_then(|name| scope.find_extension(index, name));
                    if let Some(full) = full {
                        *key = Cow::Owned(format!("[{full}]"));
                    }
                }
                entries.sort_by(|a, b| utf16_order(&a.0, &b.0));
                entries.dedup_by(|later, first| later.0 == first.0);
            }
            out.push("{\n");
            let count = entries.len();
            for (i, (key, value)) in entries.into_iter().enumerate() {
                out.open();
                out.push(&key).push(": ");
                print_value(out, value, mode, scope);
                if i + 1 < count {
                    out.push(",");
                }
                out.close();
            }
            out.push("}");
        }
    }
}

/// Quotes, backslashes and the control characters that have a letter.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '\u{7}'..='\r' | '\\' | '\'' | '"');
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}
