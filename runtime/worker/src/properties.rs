//! Java's `.properties` format.

use std::iter::Peekable;
use std::str::Chars;

use millrace_api::config::Props;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct PropertiesError {
    /// Line number, from 1, on which the entry begins.
    pub line: usize,
    /// What is wrong with it and what is allowed.
    pub problem: String,
}

/// Parses a properties file as `java.util.Properties` does: `key=value`, `key: value` or `key value`, comments with `#` and `!`, a line that ends with an odd
/// number of backslashes goes on in the next, `\t \n \r \f \uXXXX`, and a backslash before any other character stands for that character. Of a key given twice
/// the last value counts. The text is UTF-8.
pub fn parse(text: &str) -> Result<Props, PropertiesError> {
    let mut props = Props::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = natural_lines(text).into_iter().enumerate();
    while let Some((index, first)) = lines.next() {
        let first = first.trim_start_matches(is_white);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = String::new();
        let mut part = first;
        loop {
            if !continues(part) {
                logical.push_str(part);
                break;
            }
            logical.push_str(&part[..part.len() - 1]);
            match lines.next() {
                Some((_, next)) => part = next.trim_start_matches(is_white),
                None => break,
            }
        }
        let (key, value) = split(&logical).map_err(|problem| PropertiesError {
            line: index + 1,
            problem,
        })?;
        props.insert(key, value);
    }
    Ok(props)
}

/// Java's white space in this format.
fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0C')
}

/// Lines ended by CR, LF or CR LF.
fn natural_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\n', '\r']) {
        lines.push(&rest[..at]);
        let end = if rest[at..].starts_with("\r\n") {
            at + 2
        } else {
            at + 1
        };
        rest = &rest[end..];
    }
    lines.push(rest);
    lines
}

fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|&b| b == b'\\').count() % 2 == 1
}

fn split(line: &str) -> Result<(String, String), String> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(&c) = chars.peek() {
        if c == '=' || c == ':' || is_white(c) {
            break;
        }
        chars.next();
        push_unescaped(c, &mut chars, &mut key)?;
    }
    while chars.next_if(|&c| is_white(c)).is_some() {}
    if chars.next_if(|&c| c == '=' || c == ':').is_some() {
        while chars.next_if(|&c| is_white(c)).is_some() {}
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        push_unescaped(c, &mut chars, &mut value)?;
    }
    Ok((key, value))
}

/// Appends `c`, or what the escape that it begins stands for.
fn push_unescaped(
    c: char,
    chars: &mut Peekable<Chars<'_>>,
    out: &mut String,
) -> Result<(), String> {
    if c != '\\' {
        out.push(c);
        return Ok(());
    }
    match chars.next() {
        None => {}
        Some('t') => out.push('\t'),
        Some('n') => out.push('\n'),
        Some('r') => out.push('\r'),
        Some('f') => out.push('\x0C'),
        Some('u') => out.push(unicode(chars)?),
        Some(other) => out.push(other),
    }
    Ok(())
}

/// The character of `XXXX`, or of a surrogate pair `XXXX\uXXXX`.
fn unicode(chars: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let unit = code_unit(chars)?;
    if let Some(c) = char::from_u32(unit) {
        return Ok(c);
    }
    let mut ahead = chars.clone();
    if (0xD800..0xDC00).contains(&unit) && ahead.next() == Some('\\') && ahead.next() == Some('u') {
        let low = code_unit(&mut ahead)?;
        if (0xDC00..0xE000).contains(&low) {
            *chars = ahead;
            let code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            return char::from_u32(code)
                .ok_or_else(|| format!("\\u{unit:04x} is half of a character"));
        }
    }
    Err(format!(
        "\\u{unit:04x} is half of a character: the other half must follow as \\uXXXX"
    ))
}

fn code_unit(chars: &mut Peekable<Chars<'_>>) -> Result<u32, String> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = chars.next().and_then(|c| c.to_digit(16));
        unit = unit * 16
            + digit.ok_or("malformed \\uXXXX escape: four hexadecimal digits must follow \\u")?;
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text)
            .expect("parses")
            .iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn the_forms_of_java() {
        let table: &[(&str, &[(&str, &str)])] = &[
            (
                "a=1\nb:2\nc 3\n  d  =  4  ",
                &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4  ")],
            ),
            ("# x=1\n ! y=2\n\n\t\nz=3", &[("z", "3")]),
            (
                "a=1,\\\n   2,\\\r\n   3\nb=4",
                &[("a", "1,2,3"), ("b", "4")],
            ),
            ("a=x\\\\\nb=y", &[("a", "x\\"), ("b", "y")]),
            ("a=x\\\\\\\n  y", &[("a", "x\\y")]),
            ("a\\ b\\=c\\:d=e", &[("a b=c:d", "e")]),
            ("k=\\t\\n\\r\\f\\q\\\"", &[("k", "\t\n\r\x0Cq\"")]),
            ("k=\\u00e9\\u20AC\\ud83d\\ude00", &[("k", "é€😀")]),
            ("k", &[("k", "")]),
            ("=v", &[("", "v")]),
            ("k==v", &[("k", "=v")]),
            ("k : = v", &[("k", "= v")]),
            ("a=1\ra=2", &[("a", "2")]),
            ("a=1\\", &[("a", "1")]),
            ("a=\\\n# not a comment", &[("a", "# not a comment")]),
            ("\u{feff}a=1", &[("a", "1")]),
        ];
        for (text, expected) in table {
            assert_eq!(pairs(text), owned(expected), "{text:?}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        let error = parse("a=1\n\nb=\\u12").expect_err("malformed");
        assert_eq!(error.line, 3);
        assert!(
            error.to_string().contains("four hexadecimal digits"),
            "{error}"
        );
        assert_eq!(parse("x=1\\\n2\ny=\\ud800").expect_err("half").line, 3);
    }

    fn escape(text: &str, key: bool) -> String {
        let mut out = String::new();
        for (i, c) in text.chars().enumerate() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\x0C' => out.push_str("\\f"),
                ' ' | '=' | ':' | '#' | '!' if key || i == 0 => {
                    out.push('\\');
                    out.push(c);
                }
                c => {
                    let mut units = [0; 2];
                    c.encode_utf16(&mut units)
                        .iter()
                        .for_each(|u| out.push_str(&format!("\\u{u:04x}")));
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(key in "\\PC{1,8}", value in any::<String>()) {
            let text = format!("{}={}", escape(&key, true), escape(&value, false));
            prop_assert_eq!(pairs(&text), vec![(key, value)]);
        }

        #[test]
        fn no_input_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
