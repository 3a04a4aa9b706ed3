//! Options and their values.

use indexmap::IndexMap;

use super::MAX_DEPTH;
use super::reader::{Parse, Reader};
use crate::ast::{OptionEntry, OptionValue, WordKind};

/// `[a = b, (c).d = e]` if it comes next.
pub(super) fn read_options(reader: &mut Reader<'_>) -> Parse<Vec<OptionEntry>> {
    if !reader.take(b'[')? {
        return Ok(Vec::new());
    }
    let mut options = Vec::new();
    loop {
        options.push(read_option(reader, b'=', 0)?);
        if reader.take(b']')? {
            return Ok(options);
        }
        let comma = reader.take(b',')?;
        // The quote that is missing is missing in the original.
        reader.expect(comma, "Expected ',' or ']")?;
    }
}

/// A name, the separator and a value.
pub(super) fn read_option(
    reader: &mut Reader<'_>,
    separator: u8,
    depth: usize,
) -> Parse<OptionEntry> {
    if depth >= MAX_DEPTH {
        return reader.error(&format!("options are nested more than {MAX_DEPTH} deep"));
    }
    let first = reader.peek()?;
    let word = reader.read_name(true)?;
    let name = if first == b'[' {
        format!("[{word}]")
    } else {
        word.to_owned()
    };
    // Each with its parentheses.
    let mut inner: Vec<(String, bool)> = Vec::new();
    let mut next = reader.read_char()?;
    while next == b'.' {
        let wrapped = reader.peek()?;
        let word = reader.read_name(true)?;
        match wrapped {
            b'(' => inner.push((word.to_owned(), true)),
            b'[' => inner.extend(
                format!("[{word}]")
                    .split('.')
                    .map(|part| (part.to_owned(), false)),
            ),
            _ => inner.extend(word.split('.').map(|part| (part.to_owned(), false))),
        }
        next = reader.read_char()?;
    }
    if inner.len() > MAX_DEPTH {
        return reader.error(&format!("options are nested more than {MAX_DEPTH} deep"));
    }
    if separator == b':' && next == b'{' {
        // Text format lets a message follow its key without a colon.
        reader.push_back();
    } else {
        reader.expect(
            next == separator,
            &format!("expected '{}' in option", char::from(separator)),
        )?;
    }
    let mut value = read_value(reader, depth)?;
    for (name, parenthesized) in inner.into_iter().rev() {
        value = OptionValue::Nested(Box::new(OptionEntry {
            name,
            parenthesized,
            value,
        }));
    }
    Ok(OptionEntry {
        name,
        parenthesized: first == b'(',
        value,
    })
}

fn read_value(reader: &mut Reader<'_>, depth: usize) -> Parse<OptionValue> {
    Ok(match reader.peek()? {
        b'{' => OptionValue::Map(read_map(reader, depth + 1)?),
        b'[' => OptionValue::List(read_list(reader, depth + 1)?),
        b'"' | b'\'' => OptionValue::Text(reader.read_string()?),
        byte => {
            let word = reader.read_word(true)?;
            let kind = if byte.is_ascii_digit() || byte == b'-' {
                WordKind::Number
            } else if word == "true" || word == "false" {
                WordKind::Boolean
            } else {
                WordKind::Enum
            };
            OptionValue::Word(kind, word.to_owned())
        }
    })
}

fn read_map(reader: &mut Reader<'_>, depth: usize) -> Parse<IndexMap<String, OptionValue>> {
    reader.require(b'{')?;
    let mut map: IndexMap<String, OptionValue> = IndexMap::new();
    loop {
        if reader.take(b'}')? {
            return Ok(map);
        }
        let OptionEntry { name, value, .. } = read_option(reader, b':', depth)?;
        if let OptionValue::Nested(inner) = value {
            let inner = *inner;
            // A word here loses what kind it was and is a text from now on.
            let value = match inner.value {
                OptionValue::Word(_, text) => OptionValue::Text(text),
                value => value,
            };
            match map.get_mut(&name) {
                Some(OptionValue::Map(nested)) => {
                    nested.insert(inner.name, value);
                }
                _ => {
                    let nested = IndexMap::from([(inner.name, value)]);
                    map.insert(name, OptionValue::Map(nested));
                }
            }
        } else {
            match map.get_mut(&name) {
                None => {
                    map.insert(name, value);
                }
                Some(OptionValue::List(list)) => append(list, value),
                Some(previous) => {
                    let first = std::mem::replace(previous, OptionValue::List(Vec::new()));
                    let mut list = vec![first];
                    append(&mut list, value);
                    *previous = OptionValue::List(list);
                }
            }
        }
        let _separator = reader.take(b',')? || reader.take(b';')?;
    }
}

fn append(list: &mut Vec<OptionValue>, value: OptionValue) {
    match value {
        OptionValue::List(mut more) => list.append(&mut more),
        value => list.push(value),
    }
}

fn read_list(reader: &mut Reader<'_>, depth: usize) -> Parse<Vec<OptionValue>> {
    if depth >= MAX_DEPTH {
        return reader.error(&format!("options are nested more than {MAX_DEPTH} deep"));
    }
    reader.require(b'[')?;
    let mut list = Vec::new();
    loop {
        if reader.take(b']')? {
            return Ok(list);
        }
        list.push(read_value(reader, depth)?);
        if reader.take(b',')? {
            continue;
        }
        let closes = reader.peek()? == b']';
        reader.expect(closes, "expected ',' or ']'")?;
    }
}
