//! The tokens of JSON text where they stand: nothing is copied, nothing is kept.
//!
//! Whatever is not plainly right is `None`, be it wrong, beyond a limit or only unusual: then the whole text is read again by the reader that knows every rule and
//! says what is wrong. What is `Some` here must be what that reader finds.

use crate::fault::MAX_VALUE_DEPTH;

/// Longest number that is read, in bytes.
const MAX_NUMBER: usize = 1000;
/// Longest string that is read, in bytes of the source.
const MAX_STRING: usize = 20_000_000;

#[derive(Debug)]
pub(crate) struct Tokens<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// How many arrays and objects are open.
    depth: usize,
    // What was read last is kept here and not returned: it is larger than two registers.
    /// The content of the last string, without its quotes.
    start: usize,
    end: usize,
    /// Whether a backslash is in it.
    escaped: bool,
    /// The value of the last number, when it is an integer that fits.
    integer: Option<i64>,
}

impl<'t> Tokens<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            start: 0,
            end: 0,
            escaped: false,
            integer: None,
        }
    }

    /// The first byte of the next token.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// The text from the next token on.
    pub(crate) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Goes on behind a value of so many bytes that somebody else has read.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// How many arrays and objects may still be opened.
    pub(crate) fn levels_left(&self) -> usize {
        MAX_VALUE_DEPTH - self.depth
    }

    /// The content of the last string or name as it is written.
    #[inline]
    pub(crate) fn content(&self) -> &'t str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Where that content starts.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Whether it has escapes.
    pub(crate) fn escaped(&self) -> bool {
        self.escaped
    }

    /// Enters an array or an object, whose bracket is next.
    #[inline]
    pub(crate) fn enter(&mut self) -> Option<()> {
        if self.depth >= MAX_VALUE_DEPTH {
            return None;
        }
        self.depth += 1;
        self.at += 1;
        Some(())
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Goes to the next element of an array; false at its end. `first`: none was read yet.
    #[inline]
    pub(crate) fn element(&mut self, first: bool) -> Option<bool> {
        match (self.peek()?, first) {
            (b']', _) => {
                self.leave();
                return Some(false);
            }
            (_, true) => {}
            (b',', false) => {
                self.at += 1;
                // A comma before the end is an error.
                if self.peek()? == b']' {
                    return None;
                }
            }
            _ => return None,
        }
        Some(true)
    }

    /// Goes to the name of the next member of an object; false at its end. `first`: none was read yet.
    #[inline]
    pub(crate) fn member(&mut self, first: bool) -> Option<bool> {
        match (self.peek()?, first) {
            (b'}', _) => {
                self.leave();
                return Some(false);
            }
            (_, true) => {}
            (b',', false) => {
                self.at += 1;
                self.peek()?;
            }
            _ => return None,
        }
        Some(true)
    }

    /// Reads a member's name and its colon.
    #[inline]
    pub(crate) fn name(&mut self) -> Option<()> {
        self.string()?;
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Goes behind `text` when it is next.
    #[inline]
    pub(crate) fn takes(&mut self, text: &str) -> bool {
        let end = self.at + text.len();
        let next = self.bytes.get(self.at..end) == Some(text.as_bytes());
        if next {
            self.at = end;
        }
        next
    }

    /// Reads a string whose quote is next.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<()> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        self.at += 1;
        self.start = self.at;
        self.escaped = false;
        loop {
            self.at += plain_run(self.bytes.get(self.at..)?);
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    self.escaped = true;
                    self.at += match self.bytes.get(self.at + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        b'u' => {
                            let digits = self.bytes.get(self.at + 2..self.at + 6)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            6
                        }
                        _ => return None,
                    };
                }
                // A control character.
                _ => return None,
            }
        }
        self.end = self.at;
        self.at += 1;
        (self.end - self.start <= MAX_STRING).then_some(())
    }

    /// Reads an integer that fits, whose first byte is next.
    #[inline]
    pub(crate) fn integer(&mut self) -> Option<i64> {
        self.number()?;
        self.integer
    }

    /// Reads a number, whose first byte is next: as it is written.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<&'t str> {
        let start = self.at;
        let negative = self.bytes.get(self.at) == Some(&b'-');
        if negative {
            self.at += 1;
        }
        let digits = self.at;
        // Eighteen digits always fit.
        let mut value: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            value = value
                .wrapping_mul(10)
                .wrapping_add(i64::from(*digit - b'0'));
            self.at += 1;
        }
        let count = self.at - digits;
        if count == 0 || (count > 1 && self.bytes[digits] == b'0') {
            return None;
        }
        let mut integral = true;
        if self.bytes.get(self.at) == Some(&b'.') {
            integral = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            integral = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.ended()?;
        let literal = self.text.get(start..self.at)?;
        if literal.len() > MAX_NUMBER {
            return None;
        }
        self.integer = match (integral, count) {
            (false, _) => None,
            (true, ..=18) => Some(if negative { -value } else { value }),
            (true, _) => literal.parse().ok(),
        };
        Some(literal)
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Reads `true`, `false` or `null`.
    #[inline]
    pub(crate) fn word(&mut self, word: &str) -> Option<()> {
        if !self.bytes.get(self.at..)?.starts_with(word.as_bytes()) {
            return None;
        }
        self.at += word.len();
        self.ended()
    }

    /// Whether a number or a word ends here.
    #[inline]
    fn ended(&self) -> Option<()> {
        matches!(
            self.bytes.get(self.at),
            None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
        )
        .then_some(())
    }

    /// Goes behind the next value, whatever it is.
    pub(crate) fn skip(&mut self) -> Option<()> {
        const WORDS: usize = MAX_VALUE_DEPTH.div_ceil(64);
        // One bit per open bracket, set for an object.
        let mut objects = [0_u64; WORDS];
        let outside = self.depth;
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    let object = self.bytes.get(self.at) == Some(&b'{');
                    let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
                    self.enter()?;
                    if object {
                        objects[word] |= bit;
                    } else {
                        objects[word] &= !bit;
                    }
                    if self.another(object, true)? {
                        continue;
                    }
                }
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => {
                    self.number()?;
                }
            }
            loop {
                let Some(inner) = self.depth.checked_sub(1).filter(|_| self.depth > outside) else {
                    return Some(());
                };
                if self.another(objects[inner / 64] >> (inner % 64) & 1 == 1, false)? {
                    break;
                }
            }
        }
    }

    /// Goes to the next value in an array or an object; false at its end.
    fn another(&mut self, object: bool, first: bool) -> Option<bool> {
        if object {
            let more = self.member(first)?;
            if more {
                self.name()?;
            }
            Some(more)
        } else {
            self.element(first)
        }
    }
}

/// How many bytes there are before the first quote, backslash or control character.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    // Eight at a time: most text has none of them.
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        match special(u64::from_le_bytes(*chunk)) {
            0 => at += 8,
            found => return at + (found.trailing_zeros() / 8) as usize,
        }
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))
        .unwrap_or(rest.len())
}

/// The high bit of each byte that is a quote, a backslash or a control character. Bytes behind the first of them may be marked wrongly.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    (word.wrapping_sub(ONES * 0x20) & !word & HIGH)
        | zero(word ^ (ONES * u64::from(b'"')))
        | zero(word ^ (ONES * u64::from(b'\\')))
}

/// Appends the text behind a string's content that has escapes, which were checked when it was read. A surrogate without its other half becomes U+FFFD, since
/// UTF-8 has no room for it.
pub(crate) fn unescape(mut content: &str, out: &mut String) {
    while let Some(at) = content.find('\\') {
        out.push_str(&content[..at]);
        let code = content.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut taken = at + 2;
        out.push(match code {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = hex(content, taken);
                taken += 4;
                let low = content
                    .get(taken..taken + 2)
                    .filter(|next| (0xd800..0xdc00).contains(&first) && *next == "\\u")
                    .map(|_| hex(content, taken + 2))
                    .filter(|low| (0xdc00..0xe000).contains(low));
                let code = match low {
                    Some(low) => {
                        taken += 6;
                        0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00)
                    }
                    None => first,
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => char::from(other),
        });
        content = content.get(taken..).unwrap_or_default();
    }
    out.push_str(content);
}

fn hex(content: &str, at: usize) -> u32 {
    content
        .get(at..at + 4)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use java_idioms::Json;
    use java_idioms::json::ReadOptions;
    use proptest::prelude::*;

    use super::*;

    fn skipped(text: &str) -> Option<usize> {
        let mut tokens = Tokens::new(text);
        tokens.skip()?;
        Some(tokens.at)
    }

    fn read(text: &str) -> Option<usize> {
        let options = ReadOptions {
            max_depth: MAX_VALUE_DEPTH,
            ..ReadOptions::default()
        };
        Json::read_first(text, options).ok().map(|(_, end)| end)
    }

    #[test]
    fn what_is_skipped_is_json_and_ends_there() {
        for text in [
            r#" {"a":[1,-2.5e+3,"x\"\\\u00e9",true,false,null,{}],"b":{"c":[]}} ,"#,
            "[[],[[]],{}]x",
            "0 ",
            "\"plain and long enough for eight at a time\"",
            "123456789012345678901234567890",
        ] {
            assert_eq!(skipped(text), read(text), "{text}");
            assert!(skipped(text).is_some(), "{text}");
        }
        for text in [
            "",
            " ",
            "{",
            "[1 2]",
            "[1,]",
            "[,1]",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":1,}",
            "{,}",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "\"\\",
            "-",
            "1.",
            "1.e5",
            "1e",
            ".5",
            "+1",
            "01",
            "12a",
            "nul",
            "truex",
            "NaN",
            "{\"a\":}",
            "]",
            "[}",
            "{]",
        ] {
            assert_eq!(skipped(text), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(skipped(&nested(MAX_VALUE_DEPTH)).is_some());
        assert!(skipped(&nested(MAX_VALUE_DEPTH + 1)).is_none());
        assert!(skipped(&"[".repeat(100_000)).is_none());
        assert!(skipped(&"1".repeat(1001)).is_none());
    }

    proptest! {
        #[test]
        fn nothing_is_skipped_that_cannot_be_read(text in r#"[\[\]{}",:\\ue0-9a-f.+\-truefalsnl \n]{0,24}"#) {
            if let Some(end) = skipped(&text) {
                prop_assert_eq!(read(&text), Some(end));
            }
        }

        #[test]
        fn escapes_read_alike(content in r#"(\\u[d][89abcdef0][0-9a-f]{2}|\\[nrtbf/"\\]|[a-zé😀]){0,8}"#) {
            let text = format!("\"{content}\"");
            let mut tokens = Tokens::new(&text);
            tokens.string().expect("a string");
            let mut out = String::new();
            unescape(tokens.content(), &mut out);
            let json = Json::read(&text, ReadOptions::default()).expect("a string");
            prop_assert_eq!(json.as_str(), Some(&*out));
        }

        #[test]
        fn plain_runs_end_where_they_must(text in "[a-z\"\\\\\u{1}é]{0,40}") {
            let bytes = text.as_bytes();
            let end = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | ..0x20)).unwrap_or(bytes.len());
            prop_assert_eq!(plain_run(bytes), end);
        }
    }
}
