use std::sync::Arc;

use super::{Json, JsonError, Number, Object};

/// What is accepted beyond the grammar, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// `/* */` and `//` comments count as blanks.
    pub comments: bool,
    /// Deepest nesting of arrays and objects.
    pub max_depth: usize,
    /// Longest number literal, in bytes.
    pub max_number: usize,
    /// Longest string, in bytes of the source.
    pub max_string: usize,
}

impl Default for ReadOptions {
    /// Jackson's limits, no comments.
    fn default() -> Self {
        Self {
            comments: false,
            max_depth: 1000,
            max_number: 1000,
            max_string: 20_000_000,
        }
    }
}

pub(super) fn read(text: &str, options: ReadOptions) -> Result<Json, JsonError> {
    let mut reader = Reader::new(text, options);
    let value = reader.document()?;
    reader.blanks()?;
    if reader.at < text.len() {
        return Err(reader.unexpected("a document has one value: end-of-input"));
    }
    Ok(value)
}

pub(super) fn read_first(text: &str, options: ReadOptions) -> Result<(Json, usize), JsonError> {
    let mut reader = Reader::new(text, options);
    let value = reader.document()?;
    Ok((value, reader.at))
}

/// Walks over one value that is the whole text.
pub(super) fn check(text: &str, options: ReadOptions) -> Result<(), JsonError> {
    let mut reader = Reader::new(text, options);
    reader.blanks()?;
    reader.walk()?;
    reader.blanks()?;
    if reader.at < text.len() {
        return Err(reader.unexpected("a document has one value: end-of-input"));
    }
    Ok(())
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    options: ReadOptions,
    /// Reused for strings with escapes.
    scratch: String,
    /// Short strings that were read, by a cheap hash: schemas say `name`, `type` and `string` again and again.
    seen: [Option<Arc<str>>; SEEN],
}

const SEEN: usize = 32;
/// Longest string that is looked for, in bytes.
const SHORT: usize = 16;

/// An array or object whose end has not come; of an object also the name whose value comes next.
enum Open {
    Array(Vec<Json>),
    Object(Object, Arc<str>),
}

const VALUE: &str =
    "a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

impl<'a> Reader<'a> {
    fn new(text: &'a str, options: ReadOptions) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            options,
            scratch: String::new(),
            seen: [const { None }; SEEN],
        }
    }

    /// A string of its own, or that of an equal one that was read before.
    fn shared(&mut self, text: &'a str) -> Arc<str> {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return text.into();
        };
        if bytes.len() > SHORT {
            return text.into();
        }
        let hash = usize::from(*first)
            .wrapping_mul(7)
            .wrapping_add(usize::from(*last).wrapping_mul(3))
            .wrapping_add(bytes.len());
        let slot = &mut self.seen[hash % SEEN];
        match slot {
            Some(known) if **known == *text => Arc::clone(known),
            _ => Arc::clone(slot.insert(text.into())),
        }
    }

    fn document(&mut self) -> Result<Json, JsonError> {
        self.blanks()?;
        if self.at == self.bytes.len() {
            return Err(self.error("No content to map due to end-of-input"));
        }
        self.value()
    }

    fn error(&self, message: impl Into<String>) -> JsonError {
        self.error_at(self.at, message)
    }

    fn error_at(&self, at: usize, message: impl Into<String>) -> JsonError {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        JsonError {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            limit: false,
        }
    }

    fn limit(&self, message: String) -> JsonError {
        JsonError {
            limit: true,
            ..self.error(message)
        }
    }

    /// The character here is not one of those that may stand here.
    fn unexpected(&self, expected: &str) -> JsonError {
        match self.text[self.at..].chars().next() {
            Some(c) => self.error(format!(
                "Unexpected character ({} (code {})): expected {expected}",
                if c.is_control() {
                    format!("CTRL-CHAR, code {}", c as u32)
                } else {
                    format!("'{c}'")
                },
                c as u32
            )),
            None => self.error("Unexpected end-of-input"),
        }
    }

    fn blanks(&mut self) -> Result<(), JsonError> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') if self.options.comments => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), JsonError> {
        match self.bytes.get(self.at + 1) {
            Some(b'*') => match self.text[self.at + 2..].find("*/") {
                Some(n) => self.at += n + 4,
                None => {
                    self.at = self.bytes.len();
                    return Err(self.error("Unexpected end-of-input in a comment"));
                }
            },
            Some(b'/') => {
                self.at = self.text[self.at..]
                    .find('\n')
                    .map_or(self.bytes.len(), |n| self.at + n + 1);
            }
            _ => {
                self.at += 1;
                return Err(self.unexpected("'*' or '/' for a comment"));
            }
        }
        Ok(())
    }

    /// One value. What is open lies on the heap, so that deep nesting needs no deep stack.
    fn value(&mut self) -> Result<Json, JsonError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.bytes.get(self.at) {
                Some(b'{') => {
                    self.enter()?;
                    if self.bytes.get(self.at) == Some(&b'}') {
                        self.leave();
                        Json::Object(Object::new())
                    } else {
                        let name = self.name()?;
                        open.push(Open::Object(Object::new(), name));
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter()?;
                    if self.bytes.get(self.at) == Some(&b']') {
                        self.leave();
                        Json::Array(Vec::new())
                    } else {
                        open.push(Open::Array(Vec::new()));
                        continue;
                    }
                }
                _ => self.scalar()?,
            };
            // The value may be the last one of what encloses it, and that again.
            loop {
                match open.pop() {
                    None => return Ok(value),
                    Some(Open::Array(mut values)) => {
                        values.push(value);
                        self.blanks()?;
                        match self.bytes.get(self.at) {
                            Some(b',') => {
                                self.at += 1;
                                self.blanks()?;
                                open.push(Open::Array(values));
                                break;
                            }
                            Some(b']') => {
                                self.leave();
                                value = Json::Array(values);
                            }
                            None => {
                                return Err(self.error(
                                    "Unexpected end-of-input: expected close marker for Array",
                                ));
                            }
                            _ => {
                                return Err(self.unexpected("a comma to separate Array entries"));
                            }
                        }
                    }
                    Some(Open::Object(mut members, name)) => {
                        members.insert(name, value);
                        self.blanks()?;
                        match self.bytes.get(self.at) {
                            Some(b',') => {
                                self.at += 1;
                                self.blanks()?;
                                let name = self.name()?;
                                open.push(Open::Object(members, name));
                                break;
                            }
                            Some(b'}') => {
                                self.leave();
                                value = Json::Object(members);
                            }
                            None => {
                                return Err(self.error(
                                    "Unexpected end-of-input: expected close marker for Object",
                                ));
                            }
                            _ => {
                                return Err(self.unexpected("a comma to separate Object entries"));
                            }
                        }
                    }
                }
            }
        }
    }

    /// As [`value`](Self::value), without keeping what is read.
    fn walk(&mut self) -> Result<(), JsonError> {
        // Of what is open, whether it is an object.
        let mut open: Vec<bool> = Vec::new();
        loop {
            match self.bytes.get(self.at) {
                Some(b'{') => {
                    self.enter()?;
                    if self.bytes.get(self.at) == Some(&b'}') {
                        self.leave();
                    } else {
                        self.name()?;
                        open.push(true);
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter()?;
                    if self.bytes.get(self.at) == Some(&b']') {
                        self.leave();
                    } else {
                        open.push(false);
                        continue;
                    }
                }
                _ => drop(self.scalar()?),
            }
            loop {
                let Some(object) = open.last().copied() else {
                    return Ok(());
                };
                self.blanks()?;
                match (self.bytes.get(self.at), object) {
                    (Some(b','), _) => {
                        self.at += 1;
                        self.blanks()?;
                        if object {
                            self.name()?;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.leave();
                        open.pop();
                    }
                    (None, _) => return Err(self.error("Unexpected end-of-input")),
                    (Some(_), true) => {
                        return Err(self.unexpected("a comma to separate Object entries"));
                    }
                    (Some(_), false) => {
                        return Err(self.unexpected("a comma to separate Array entries"));
                    }
                }
            }
        }
    }

    fn scalar(&mut self) -> Result<Json, JsonError> {
        match self.bytes.get(self.at) {
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(c) if c.is_ascii_alphabetic() || *c == b'_' || *c == b'$' => Err(self.token()),
            _ => Err(self.unexpected(VALUE)),
        }
    }

    /// A member's name and the colon behind it.
    fn name(&mut self) -> Result<Arc<str>, JsonError> {
        match self.bytes.get(self.at) {
            Some(b'"') => {}
            None => {
                return Err(self.error("Unexpected end-of-input: expected close marker for Object"));
            }
            _ => return Err(self.unexpected("double-quote to start field name")),
        }
        let name = self.string()?;
        self.blanks()?;
        match self.bytes.get(self.at) {
            Some(b':') => self.at += 1,
            None => {
                return Err(self.error("Unexpected end-of-input within/between Object entries"));
            }
            _ => return Err(self.unexpected("a colon to separate field name and value")),
        }
        self.blanks()?;
        Ok(name)
    }

    /// A word that is no value.
    fn token(&self) -> JsonError {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .unwrap_or(rest.len());
        let shown: String = rest[..end].chars().take(256).collect();
        self.error_at(
            self.at + end,
            format!("Unrecognized token '{shown}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"),
        )
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        match self.text[self.at..].strip_prefix(word) {
            Some(rest)
                if !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') =>
            {
                self.at += word.len();
                Ok(value)
            }
            _ => Err(self.token()),
        }
    }

    fn enter(&mut self) -> Result<(), JsonError> {
        self.depth += 1;
        if self.depth > self.options.max_depth {
            return Err(self.limit(format!(
                "Document nesting depth ({}) exceeds the maximum allowed ({}, from `StreamReadConstraints.getMaxNestingDepth()`)",
                self.depth, self.options.max_depth
            )));
        }
        self.at += 1;
        self.blanks()
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let from = self.at;
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => {
                self.at += 1;
                if matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
                    return Err(self.error("Invalid numeric value: Leading zeroes not allowed"));
                }
            }
            Some(b'1'..=b'9') => self.digits(),
            _ => {
                return Err(
                    self.unexpected("digit (0-9) to follow minus sign, for valid numeric value")
                );
            }
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if !matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
                return Err(self.unexpected("a digit: Decimal point not followed by a digit"));
            }
            self.digits();
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
                return Err(self.unexpected("a digit: Exponent indicator not followed by a digit"));
            }
            self.digits();
        }
        match self.bytes.get(self.at) {
            None | Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}' | b'/') => {}
            // Jackson wants a space only behind a value that is not in an array or object.
            Some(_) => return Err(self.unexpected("space separating root-level values")),
        }
        let literal = &self.text[from..self.at];
        if literal.len() > self.options.max_number {
            return Err(self.limit(format!(
                "Number value length ({}) exceeds the maximum allowed ({}, from `StreamReadConstraints.getMaxNumberLength()`)",
                literal.len(),
                self.options.max_number
            )));
        }
        Ok(Json::Number(Number::from_literal(literal)))
    }

    fn digits(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Result<Arc<str>, JsonError> {
        self.at += 1;
        let from = self.at;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let text = &self.text[from..self.at];
                    self.check_length(text.len())?;
                    self.at += 1;
                    return Ok(self.shared(text));
                }
                Some(b'\\') => break,
                Some(c) if *c < 0x20 => return Err(self.control(*c)),
                Some(_) => self.at += 1,
                None => {
                    return Err(self.error(
                        "Unexpected end-of-input: was expecting closing quote for a string value",
                    ));
                }
            }
        }
        self.scratch.clear();
        self.scratch.push_str(&self.text[from..self.at]);
        loop {
            let run = self.at;
            while let Some(c) = self.bytes.get(self.at) {
                if *c == b'"' || *c == b'\\' || *c < 0x20 {
                    break;
                }
                self.at += 1;
            }
            self.scratch.push_str(&self.text[run..self.at]);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.check_length(self.at - from)?;
                    self.at += 1;
                    return Ok(self.scratch.as_str().into());
                }
                Some(b'\\') => self.escape()?,
                Some(c) => return Err(self.control(*c)),
                None => {
                    return Err(self.error(
                        "Unexpected end-of-input: was expecting closing quote for a string value",
                    ));
                }
            }
        }
    }

    fn check_length(&self, length: usize) -> Result<(), JsonError> {
        if length > self.options.max_string {
            return Err(self.limit(format!(
                "String value length ({length}) exceeds the maximum allowed ({}, from `StreamReadConstraints.getMaxStringLength()`)",
                self.options.max_string
            )));
        }
        Ok(())
    }

    fn control(&self, c: u8) -> JsonError {
        self.error(format!(
            "Illegal unquoted character ((CTRL-CHAR, code {c})): has to be escaped using backslash to be included in string value"
        ))
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        let c = match self.bytes.get(self.at) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            None => return Err(self.error("Unexpected end-of-input in character escape sequence")),
            Some(_) => {
                let c = self.text[self.at..].chars().next().unwrap_or('?');
                return Err(self.error(format!(
                    "Unrecognized character escape '{c}' (code {})",
                    c as u32
                )));
            }
        };
        self.at += 1;
        self.scratch.push(c);
        Ok(())
    }

    /// The digits behind `\u`; two escapes that are a surrogate pair are one character. A lone surrogate cannot be kept in UTF-8 and becomes U+FFFD.
    fn unicode(&mut self) -> Result<(), JsonError> {
        let first = self.hex()?;
        if (0xD800..0xDC00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                let c = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                self.scratch
                    .push(char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER));
                return Ok(());
            }
            self.at = back;
        }
        self.scratch
            .push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let Some(digit) = self
                .bytes
                .get(self.at)
                .and_then(|b| char::from(*b).to_digit(16))
            else {
                return Err(self.unexpected("a hex-digit for character escape sequence"));
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_text(text: &str) -> Result<Json, JsonError> {
        Json::read(text, ReadOptions::default())
    }

    #[test]
    fn of_a_member_given_twice_the_last_value_stands_in_the_first_place() {
        let value = read_text(r#"{"a":1,"b":2,"a":3}"#).expect("JSON");
        assert_eq!(value.to_text(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn comments_are_read_where_allowed() {
        let text = "/* a */ [1, // b\n 2]";
        let options = ReadOptions {
            comments: true,
            ..ReadOptions::default()
        };
        assert_eq!(Json::read(text, options).expect("JSON").to_text(), "[1,2]");
        assert!(read_text(text).is_err());
    }

    #[test]
    fn escapes_and_surrogates() {
        let value = read_text(r#""\u00e9\ud83d\ude00\n\/""#).expect("JSON");
        assert_eq!(value.as_str(), Some("é😀\n/"));
    }

    #[test]
    fn nesting_is_limited() {
        let deep = "[".repeat(10_000);
        let error = read_text(&deep).expect_err("too deep");
        assert!(error.limit, "{error}");
        assert!(read_text(&format!("{}{}", "[".repeat(1000), "]".repeat(1000))).is_ok());
    }

    #[test]
    fn the_deepest_nesting_needs_no_deep_stack() {
        let text = format!("{}1{}", r#"{"a":["#.repeat(500), "]}".repeat(500));
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let printed = thread
            .spawn(move || read_text(&text).expect("JSON").to_text())
            .expect("a thread")
            .join()
            .expect("no overflow");
        assert!(printed.ends_with("]}]}"));
    }

    #[test]
    fn errors_name_the_place() {
        for (text, line, column) in [("{bad", 1, 2), ("[1,\n x]", 2, 3), ("", 1, 1), ("01", 1, 2)] {
            let error = read_text(text).expect_err(text);
            assert_eq!(
                (error.line, error.column),
                (line, column),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn what_follows_can_be_left() {
        let (value, length) = Json::read_first(" {} x", ReadOptions::default()).expect("JSON");
        assert_eq!((value.to_text().as_str(), length), ("{}", 3));
    }

    #[test]
    fn checking_says_what_reading_says() {
        for text in [
            r#"{"a":[1,{"b":null}],"c":"d"}"#,
            "[[],{}]",
            r#"{"a":1,}"#,
            "[1 2]",
            r#"{"a" 1}"#,
            "[1",
            "{}x",
            "",
        ] {
            let read = read_text(text);
            let checked = Json::check(text, ReadOptions::default());
            assert_eq!(
                read.is_ok(),
                checked.is_ok(),
                "{text}: {read:?} {checked:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let checked = Json::check(&text, ReadOptions::default());
            prop_assert_eq!(read_text(&text).is_ok(), checked.is_ok());
        }

        #[test]
        fn strings_come_back(text in any::<String>()) {
            let mut quoted = String::new();
            super::super::write_string(&text, &mut quoted);
            prop_assert_eq!(read_text(&quoted).expect("JSON").as_str().map(str::to_owned), Some(text));
        }
    }
}
