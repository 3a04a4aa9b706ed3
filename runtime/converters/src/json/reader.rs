//! A cursor over a JSON document: tokens with their positions, nothing copied.

use millrace_api::plugin::DataError;

use super::escape::unescape;

/// How deep objects and arrays may be nested.
pub(crate) const MAX_DEPTH: u32 = 1000;
/// How many characters a number may have.
const MAX_NUMBER: usize = 1000;

/// Why a document was not read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is not JSON, or beyond the limits.
    Syntax {
        /// What is wrong.
        message: String,
        /// Where, in bytes from the start.
        at: usize,
        /// The parser's exception class.
        class: &'static str,
    },
    /// It is JSON but not what is expected.
    Data(DataError),
}

impl From<DataError> for Box<Fault> {
    fn from(error: DataError) -> Self {
        Box::new(Fault::Data(error))
    }
}

/// A malformed document.
pub(crate) fn syntax(at: usize, message: impl Into<String>) -> Box<Fault> {
    Box::new(Fault::Syntax {
        message: message.into(),
        at,
        class: "com.fasterxml.jackson.core.JsonParseException",
    })
}

fn beyond_limit(at: usize, message: String) -> Box<Fault> {
    Box::new(Fault::Syntax {
        message,
        at,
        class: "com.fasterxml.jackson.core.exc.StreamConstraintsException",
    })
}

fn cut_short(at: usize) -> Box<Fault> {
    Box::new(Fault::Syntax {
        message: "Unexpected end-of-input".into(),
        at,
        class: "com.fasterxml.jackson.core.io.JsonEOFException",
    })
}

/// What kind of value comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Token {
    /// The parser's name of such a node, as messages show it.
    pub(crate) fn node_type(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean => "BOOLEAN",
            Self::Number => "NUMBER",
            Self::String => "STRING",
            Self::Array => "ARRAY",
            Self::Object => "OBJECT",
        }
    }
}

/// Content of a string, without its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawString {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether a backslash is in it.
    pub(crate) escaped: bool,
}

/// A number's digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawNumber<'a> {
    pub(crate) text: &'a str,
    /// No fraction and no exponent.
    pub(crate) integral: bool,
}

/// Reads one document from the front. Strings are not checked for UTF-8 here but where text is made of them.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
    /// A reader at `at`: the start of the document, or of a value inside of it.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        if at == 0 {
            let mark = if bytes.starts_with(b"\xef\xbb\xbf") {
                3
            } else {
                0
            };
            Self {
                bytes,
                at: mark,
                depth: 0,
            }
        } else {
            Self {
                bytes,
                at,
                depth: 1,
            }
        }
    }

    /// Where the next byte is.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Goes to `at`, which is a place after a value.
    pub(crate) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// The whole document.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of a string's content.
    pub(crate) fn content(&self, raw: RawString) -> &'a [u8] {
        &self.bytes[raw.start..raw.end]
    }

    /// Text of a string's content.
    pub(crate) fn text(&self, raw: RawString) -> Result<String, Box<Fault>> {
        unescape(self.content(raw), raw.start)
    }

    /// Skips white space; whether anything follows.
    pub(crate) fn more(&mut self) -> bool {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.at < self.bytes.len()
    }

    fn next_byte(&mut self) -> Result<u8, Box<Fault>> {
        if self.more() {
            Ok(self.bytes[self.at])
        } else {
            Err(cut_short(self.at))
        }
    }

    /// What comes next; the cursor stays before it.
    pub(crate) fn peek(&mut self) -> Result<Token, Box<Fault>> {
        Ok(match self.next_byte()? {
            b'"' => Token::String,
            b'{' => Token::Object,
            b'[' => Token::Array,
            b'-' | b'0'..=b'9' => Token::Number,
            b't' | b'f' => Token::Boolean,
            b'n' => Token::Null,
            _ => return Err(self.unexpected("expected a valid value")),
        })
    }

    fn unexpected(&self, wanted: &str) -> Box<Fault> {
        match self.bytes.get(self.at) {
            None => cut_short(self.at),
            Some(&b) if (0x20..0x7f).contains(&b) => syntax(
                self.at,
                format!(
                    "Unexpected character ('{}' (code {b})): {wanted}",
                    char::from(b)
                ),
            ),
            Some(&b) => syntax(
                self.at,
                format!("Unexpected character (code {b}): {wanted}"),
            ),
        }
    }

    /// Enters an object or array whose opening bracket is next.
    pub(crate) fn enter(&mut self) -> Result<(), Box<Fault>> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(beyond_limit(
                self.at,
                format!(
                    "Document nesting depth ({}) exceeds the maximum allowed ({MAX_DEPTH}, from `StreamReadConstraints.getMaxNestingDepth()`)",
                    self.depth
                ),
            ));
        }
        Ok(())
    }

    /// Goes to the next element of an array; `false` when it is closed. `first`: none was read yet.
    pub(crate) fn next_element(&mut self, first: bool) -> Result<bool, Box<Fault>> {
        match self.next_byte()? {
            b']' => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ if first => Ok(true),
            b',' => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.unexpected("was expecting comma to separate Array entries")),
        }
    }

    /// Reads the next member's name and colon; `None` when the object is closed. `first`: none was read yet.
    pub(crate) fn next_member(&mut self, first: bool) -> Result<Option<RawString>, Box<Fault>> {
        match self.next_byte()? {
            b'}' => {
                self.at += 1;
                self.depth -= 1;
                return Ok(None);
            }
            _ if first => {}
            b',' => self.at += 1,
            _ => return Err(self.unexpected("was expecting comma to separate Object entries")),
        }
        if self.next_byte()? != b'"' {
            return Err(self.unexpected("was expecting double-quote to start field name"));
        }
        let name = self.string()?;
        if self.next_byte()? != b':' {
            return Err(self.unexpected("was expecting a colon to separate field name and value"));
        }
        self.at += 1;
        Ok(Some(name))
    }

    /// Reads a string whose quote is next.
    pub(crate) fn string(&mut self) -> Result<RawString, Box<Fault>> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = &self.bytes[self.at..];
            let plain = plain_run(rest);
            self.at += plain;
            match rest.get(plain) {
                None => return Err(cut_short(self.at)),
                Some(b'"') => {
                    let raw = RawString {
                        start,
                        end: self.at,
                        escaped,
                    };
                    self.at += 1;
                    return Ok(raw);
                }
                Some(b'\\') => {
                    escaped = true;
                    match rest.get(plain + 1) {
                        None => return Err(cut_short(self.at)),
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                            self.at += 2
                        }
                        Some(b'u')
                            if rest
                                .get(plain + 2..plain + 6)
                                .is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) =>
                        {
                            self.at += 6
                        }
                        Some(b'u') => {
                            return Err(syntax(
                                self.at,
                                "Expected four hex-digits for a character escape sequence",
                            ));
                        }
                        Some(&b) => {
                            return Err(syntax(
                                self.at,
                                format!("Unrecognized character escape (code {b})"),
                            ));
                        }
                    }
                }
                Some(&b) => {
                    return Err(syntax(
                        self.at,
                        format!(
                            "Illegal unquoted character (code {b}): has to be escaped using backslash to be included in string value"
                        ),
                    ));
                }
            }
        }
    }

    /// Reads a number that is next. Leading zeros are allowed.
    pub(crate) fn number(&mut self) -> Result<RawNumber<'a>, Box<Fault>> {
        let start = self.at;
        let mut integral = true;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        self.digits("expected digit (0-9) to follow minus sign, for valid numeric value")?;
        if self.bytes.get(self.at) == Some(&b'.') {
            integral = false;
            self.at += 1;
            self.digits("Decimal point not followed by a digit")?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            integral = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits("Exponent indicator not followed by a digit")?;
        }
        if self.at - start > MAX_NUMBER {
            return Err(beyond_limit(
                start,
                format!(
                    "Number value length ({}) exceeds the maximum allowed ({MAX_NUMBER}, from `StreamReadConstraints.getMaxNumberLength()`)",
                    self.at - start
                ),
            ));
        }
        if self.depth == 0
            && !matches!(
                self.bytes.get(self.at),
                None | Some(b' ' | b'\n' | b'\r' | b'\t')
            )
        {
            return Err(self.unexpected("Expected space separating root-level values"));
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        Ok(RawNumber { text, integral })
    }

    fn digits(&mut self, wanted: &str) -> Result<(), Box<Fault>> {
        let count = self.bytes[self.at..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        if count == 0 {
            return Err(self.unexpected(wanted));
        }
        self.at += count;
        Ok(())
    }

    /// Reads `true`, `false` or `null` that is next; `None` is null.
    pub(crate) fn literal(&mut self) -> Result<Option<bool>, Box<Fault>> {
        let (word, value): (&[u8], _) = match self.bytes.get(self.at) {
            Some(b't') => (b"true", Some(true)),
            Some(b'f') => (b"false", Some(false)),
            _ => (b"null", None),
        };
        let rest = &self.bytes[self.at..];
        let continues = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$');
        if !rest.starts_with(word) || rest.get(word.len()).is_some_and(continues) {
            let token: Vec<u8> = rest
                .iter()
                .copied()
                .take_while(continues)
                .take(256)
                .collect();
            return Err(syntax(
                self.at,
                format!(
                    "Unrecognized token '{}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
                    String::from_utf8_lossy(&token)
                ),
            ));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Skips the next value, checking its form. Does not recurse.
    pub(crate) fn skip(&mut self) -> Result<(), Box<Fault>> {
        // One bit per open bracket: set for an object. Enough for the depth that is allowed.
        let mut objects = [0u64; MAX_DEPTH as usize / 64 + 1];
        let outer = self.depth;
        let mut first = true;
        loop {
            // Between values of the innermost bracket, or before the value itself.
            if self.depth > outer {
                let level = (self.depth - 1) as usize;
                let more = if objects[level / 64] >> (level % 64) & 1 == 1 {
                    self.next_member(first)?.is_some()
                } else {
                    self.next_element(first)?
                };
                if !more {
                    if self.depth == outer {
                        return Ok(());
                    }
                    first = false;
                    continue;
                }
            }
            first = false;
            match self.peek()? {
                Token::String => {
                    self.string()?;
                }
                Token::Number => {
                    self.number()?;
                }
                Token::Boolean | Token::Null => {
                    self.literal()?;
                }
                token => {
                    self.enter()?;
                    let level = (self.depth - 1) as usize;
                    let bit = 1u64 << (level % 64);
                    if token == Token::Object {
                        objects[level / 64] |= bit;
                    } else {
                        objects[level / 64] &= !bit;
                    }
                    first = true;
                    continue;
                }
            }
            if self.depth == outer {
                return Ok(());
            }
        }
    }
}

/// Number of bytes before the first quote, backslash or control character.
fn plain_run(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|b| *b == b'"' || *b == b'\\' || *b < 0x20)
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &str) -> Result<usize, Box<Fault>> {
        let mut reader = Reader::new(text.as_bytes(), 0);
        reader.skip().map(|()| reader.position())
    }

    #[test]
    fn skipping_ends_after_the_first_value() {
        for (text, end) in [
            ("{} x", 2),
            ("[1,[2,{\"a\":[]}],\"]\"],", 20),
            (" \"a\\\"b\"z", 7),
            ("00012.50e+3", 11),
            ("null,", 4),
            ("[[],[]]]", 7),
        ] {
            assert_eq!(skip(text).expect(text), end, "{text}");
        }
    }

    #[test]
    fn malformed_documents_are_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1 2]",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":1,}",
            "[1,]",
            "\"a",
            "\"\\x\"",
            "\"a\nb\"",
            "-",
            "1.",
            "1.e5",
            "1e",
            ".5",
            "+1",
            "1,2",
            "12a",
            "nul",
            "truex",
            "NaN",
            "{\"a\":}",
            "]",
        ] {
            assert!(skip(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(skip(&format!("{}{}", "[".repeat(1000), "]".repeat(1000))).is_ok());
        let Err(fault) = skip(&"[".repeat(10_000)) else {
            panic!("too deep")
        };
        let Fault::Syntax { message, .. } = *fault else {
            panic!("a limit")
        };
        assert!(
            message.starts_with("Document nesting depth (1001) exceeds the maximum allowed (1000"),
            "{message}"
        );
        assert!(skip(&"1".repeat(1001)).is_err());
    }
}
