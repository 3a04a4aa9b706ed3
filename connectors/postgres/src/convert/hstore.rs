//! hstore in PostgreSQL's text form: `"a"=>"1", "b"=>NULL`.

use millrace_api::data::{Text, Value};

use super::ConvertError;

/// The pairs as a JSON object, in the server's order (by length of the key, then by its bytes).
pub(super) fn json(text: &str) -> Result<Value, ConvertError> {
    let object = object(text).ok_or(ConvertError::Malformed { expected: "hstore" })?;
    Ok(Value::String(Text::new(object)))
}

fn object(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('{');
    let mut rest = text;
    while !rest.is_empty() {
        if out.len() > 1 {
            rest = rest.strip_prefix(", ")?;
            out.push(',');
        }
        let (key, after) = quoted(rest)?;
        push_string(&mut out, &key);
        out.push(':');
        let value = after.strip_prefix("=>")?;
        rest = if let Some(after) = value.strip_prefix("NULL") {
            out.push_str("null");
            after
        } else {
            let (value, after) = quoted(value)?;
            push_string(&mut out, &value);
            after
        };
    }
    out.push('}');
    Some(out)
}

fn push_string(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// A string in double quotes with backslash escapes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_an_object() {
        for (text, expected) in [
            ("", "{}"),
            (r#""k"=>"v""#, r#"{"k":"v"}"#),
            (
                r#""a"=>NULL, "b"=>"NULL", "c"=>"""#,
                r#"{"a":null,"b":"NULL","c":""}"#,
            ),
            (
                r#""q\"\\"=>"é, \"x\"=>\"y""#,
                r#"{"q\"\\":"é, \"x\"=>\"y"}"#,
            ),
            ("\"n\"=>\"1\n2\"", r#"{"n":"1\n2"}"#),
        ] {
            assert_eq!(json(text), Ok(Value::from(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_hstore_is_refused() {
        for text in [
            "a",
            r#""a""#,
            r#""a"=>"#,
            r#""a"=>"b"#,
            r#""a"=>"b","c"=>"d""#,
            r#""a"=>NULLx"#,
            r#""a\"#,
            r#", "a"=>"b""#,
        ] {
            assert!(json(text).is_err(), "{text}");
        }
    }
}
