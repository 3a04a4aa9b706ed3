//! Arrays in PostgreSQL's text form: `{1,NULL,"a \"b\""}`.

use std::borrow::Cow;
use std::sync::Arc;

use millrace_api::data::Value;

use super::{Convert, ConvertError};

/// Converts the elements; one that cannot be converted (an inner array, for one) becomes null.
pub(super) fn array(text: &str, element: &Convert) -> Result<Value, ConvertError> {
    let body = body(text).ok_or(ConvertError::Malformed { expected: "array" })?;
    let mut values = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (item, next) = item(rest).ok_or(ConvertError::Malformed { expected: "array" })?;
        values.push(match item {
            Item::Null | Item::Nested => Value::Null,
            Item::Value(text) => match element.literal(&text) {
                Ok(value) => value,
                Err(e @ ConvertError::UnknownLabel) => return Err(e),
                Err(_) => Value::Null,
            },
        });
        rest = next;
    }
    Ok(Value::Array(Arc::new(values)))
}

/// What is between the outer braces; bounds in front (`[0:1]={…}`) are ignored.
fn body(text: &str) -> Option<&str> {
    let text = if text.starts_with('[') {
        text.split_once('=')?.1
    } else {
        text
    };
    text.strip_prefix('{')?.strip_suffix('}')
}

enum Item<'a> {
    Null,
    Nested,
    Value(Cow<'a, str>),
}

/// The first element and what follows its comma.
fn item(text: &str) -> Option<(Item<'_>, &str)> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'{' => {
            let mut depth = 0usize;
            let mut quoted = false;
            let mut i = 0;
            while i < bytes.len() {
                match bytes[i] {
                    b'\\' => i += 1,
                    b'"' => quoted = !quoted,
                    b'{' if !quoted => depth += 1,
                    b'}' if !quoted => {
                        depth -= 1;
                        if depth == 0 {
                            return Some((Item::Nested, after_comma(&text[i + 1..])?));
                        }
                    }
                    _ => {}
                }
                i += 1;
            }
            None
        }
        b'"' => {
            let mut buffer = String::new();
            let mut chars = text[1..].char_indices();
            loop {
                match chars.next()? {
                    (_, '\\') => buffer.push(chars.next()?.1),
                    (at, '"') => {
                        return Some((
                            Item::Value(Cow::Owned(buffer)),
                            after_comma(&text[at + 2..])?,
                        ));
                    }
                    (_, c) => buffer.push(c),
                }
            }
        }
        _ => {
            let end = text.find(',').unwrap_or(text.len());
            let value = &text[..end];
            let item = if value.eq_ignore_ascii_case("NULL") {
                Item::Null
            } else {
                Item::Value(Cow::Borrowed(value))
            };
            Some((item, text.get(end + 1..).unwrap_or("")))
        }
    }
}

fn after_comma(rest: &str) -> Option<&str> {
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix(',')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Vec<Option<String>> {
        match array(text, &Convert::Text) {
            Ok(Value::Array(values)) => values
                .iter()
                .map(|v| v.as_str().map(str::to_owned))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn elements_are_unquoted() {
        assert_eq!(
            strings(r#"{a,"b c","d\"e\\",NULL,"NULL"}"#),
            [Some("a"), Some("b c"), Some("d\"e\\"), None, Some("NULL")]
                .map(|s| s.map(str::to_owned))
        );
        assert_eq!(strings("{}"), []);
        assert_eq!(
            strings("[0:1]={x,y}"),
            [Some("x".to_owned()), Some("y".to_owned())]
        );
    }

    #[test]
    fn inner_arrays_and_bad_elements_become_null() {
        assert_eq!(
            array("{{1,2},{3,4}}", &Convert::Int32),
            Ok(Value::Array(Arc::new(vec![Value::Null, Value::Null])))
        );
        assert_eq!(
            array("{1,x}", &Convert::Int32),
            Ok(Value::Array(Arc::new(vec![Value::Int32(1), Value::Null])))
        );
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in ["", "{", "1,2", r#"{"a}"#, "{{1}", r#"{"a"b}"#] {
            assert!(array(text, &Convert::Text).is_err(), "{text}");
        }
    }
}
