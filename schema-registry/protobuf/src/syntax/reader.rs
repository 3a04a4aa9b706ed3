//! Characters, words and strings of a `.proto` text.

use super::MAX_DEPTH;

/// A message of a failed parse, with its place.
pub(crate) type Parse<T> = Result<T, String>;

/// A cursor in the text.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    pos: usize,
    line: usize,
    line_start: usize,
}

/// A place in the text, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    line: usize,
    line_start: usize,
    pos: usize,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            pos: 0,
            line: 0,
            line_start: 0,
        }
    }

    pub(crate) fn exhausted(&self) -> bool {
        self.pos == self.bytes.len()
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            line: self.line,
            line_start: self.line_start,
            pos: self.pos,
        }
    }

    /// `:line:column`, both from one; columns count UTF-16 units.
    pub(crate) fn show(&self, place: Place) -> String {
        format!(":{}:{}", place.line + 1, self.column(place) + 1)
    }

    /// UTF-16 units between the start of the line and the place. A place inside of a character counts as behind its first unit.
    fn column(&self, place: Place) -> usize {
        let inside = !self.text.is_char_boundary(place.pos);
        let end = (place.line_start..=place.pos)
            .rev()
            .find(|&pos| self.text.is_char_boundary(pos))
            .unwrap_or(place.line_start);
        self.text
            .get(place.line_start..end)
            .map_or(0, |part| part.encode_utf16().count())
            + usize::from(inside)
    }

    pub(crate) fn error_at<T>(&self, place: Place, message: &str) -> Parse<T> {
        Err(format!("Syntax error in {}: {message}", self.show(place)))
    }

    pub(crate) fn error<T>(&self, message: &str) -> Parse<T> {
        self.error_at(self.place(), message)
    }

    pub(crate) fn expect(&self, holds: bool, message: &str) -> Parse<()> {
        if holds { Ok(()) } else { self.error(message) }
    }

    /// The next character that is neither blank nor comment; not consumed. Only ASCII ones matter to the grammar, others are given as `\u{80}`.
    pub(crate) fn peek(&mut self) -> Parse<u8> {
        self.skip_blank(true)?;
        match self.bytes.get(self.pos) {
            Some(&byte) => Ok(byte),
            None => self.error("unexpected end of file"),
        }
    }

    pub(crate) fn read_char(&mut self) -> Parse<u8> {
        let byte = self.peek()?;
        self.pos += 1;
        Ok(byte)
    }

    /// Consumes the next character if it is `wanted`.
    pub(crate) fn take(&mut self, wanted: u8) -> Parse<bool> {
        let found = self.peek()? == wanted;
        if found {
            self.pos += 1;
        }
        Ok(found)
    }

    pub(crate) fn require(&mut self, wanted: u8) -> Parse<()> {
        self.peek()?;
        let found = self.current_char();
        self.pos += found.len_utf8();
        if found == char::from(wanted) {
            return Ok(());
        }
        self.error(&format!(
            "expected '{}' but was '{found}'",
            char::from(wanted)
        ))
    }

    /// Makes the character just read the next one again.
    pub(crate) fn push_back(&mut self) {
        self.pos -= 1;
    }

    fn current_char(&self) -> char {
        // The position may stand inside of a character after a byte-wise step; then what is left of it is shown as a replacement.
        self.text
            .get(self.pos..)
            .and_then(|rest| rest.chars().next())
            .unwrap_or('\u{fffd}')
    }

    /// A quoted text or a word.
    pub(crate) fn read_string(&mut self) -> Parse<String> {
        match self.peek()? {
            b'"' | b'\'' => self.read_quoted(),
            _ => self.read_word(true).map(str::to_owned),
        }
    }

    /// A quoted text; adjacent ones are joined.
    pub(crate) fn read_quoted(&mut self) -> Parse<String> {
        let mut quote = self.read_char()?;
        if quote != b'"' && quote != b'\'' {
            return Err("Check failed.".to_owned());
        }
        let mut out = String::new();
        while let Some(&byte) = self.bytes.get(self.pos) {
            if byte == quote {
                self.pos += 1;
                match self.peek()? {
                    next @ (b'"' | b'\'') => {
                        quote = next;
                        self.pos += 1;
                        continue;
                    }
                    _ => return Ok(out),
                }
            }
            let c = if byte == b'\\' {
                self.pos += 1;
                self.read_escape()?
            } else {
                let c = self.current_char();
                self.pos += c.len_utf8();
                c
            };
            out.push(c);
            if c == '\n' {
                self.newline();
            }
        }
        self.error("unterminated string")
    }

    fn read_escape(&mut self) -> Parse<char> {
        if self.exhausted() {
            return self.error("unexpected end of file");
        }
        let c = self.current_char();
        self.pos += c.len_utf8();
        Ok(match c {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' | 'X' => self.read_code(16, 2)?,
            '0'..='7' => {
                self.pos -= 1;
                self.read_code(8, 3)?
            }
            other => other,
        })
    }

    /// A character by number. The number is a character of Unicode, not a byte.
    fn read_code(&mut self, radix: u32, digits: usize) -> Parse<char> {
        let mut value = None;
        for _ in 0..digits {
            let Some(digit) = self
                .bytes
                .get(self.pos)
                .and_then(|&byte| char::from(byte).to_digit(radix))
            else {
                break;
            };
            value = Some(value.unwrap_or(0) * radix + digit);
            self.pos += 1;
        }
        match value.and_then(char::from_u32) {
            Some(c) => Ok(c),
            None => self.error("expected a digit after \\x or \\X"),
        }
    }

    /// A word, or a word in parentheses or brackets, without them.
    pub(crate) fn read_name(&mut self, leading_digit: bool) -> Parse<&'t str> {
        let close = match self.peek()? {
            b'(' => b')',
            b'[' => b']',
            _ => return self.read_word(leading_digit),
        };
        self.pos += 1;
        let word = self.read_word(leading_digit)?;
        let found = self.read_char()?;
        self.expect(
            found == close,
            if close == b')' {
                "expected ')'"
            } else {
                "expected ']'"
            },
        )?;
        Ok(word)
    }

    /// A scalar, a name or a map type.
    pub(crate) fn read_type(&mut self) -> Parse<String> {
        let word = self.read_word(true)?;
        self.read_type_after(word, 0)
    }

    /// The same when its first word was read.
    pub(crate) fn read_type_after(&mut self, word: &str, depth: usize) -> Parse<String> {
        if word != "map" {
            return Ok(word.to_owned());
        }
        if depth >= MAX_DEPTH {
            return self.error(&format!("map types are nested more than {MAX_DEPTH} deep"));
        }
        let found = self.read_char()?;
        self.expect(found == b'<', "expected '<'")?;
        let key = self.read_word(true)?;
        let key = self.read_type_after(key, depth + 1)?;
        let found = self.read_char()?;
        self.expect(found == b',', "expected ','")?;
        let value = self.read_word(true)?;
        let value = self.read_type_after(value, depth + 1)?;
        let found = self.read_char()?;
        self.expect(found == b'>', "expected '>'")?;
        Ok(format!("map<{key}, {value}>"))
    }

    /// Letters, digits, `_`, `-` and `.`, at least one.
    pub(crate) fn read_word(&mut self, leading_digit: bool) -> Parse<&'t str> {
        self.skip_blank(true)?;
        let start = self.pos;
        let place = self.place();
        let length = self.bytes[start..]
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')))
            .unwrap_or(self.bytes.len() - start);
        if length == 0 {
            return self.error("expected a word");
        }
        self.pos += length;
        if !leading_digit && self.bytes[start].is_ascii_digit() {
            // Unlike all others, this column is counted from zero.
            return Err(format!(
                "Syntax error in :{}:{}: field and constant names cannot start with a digit",
                self.line + 1,
                self.column(place)
            ));
        }
        Ok(&self.text[start..self.pos])
    }

    /// A decimal or `0x` number of 32 bits.
    pub(crate) fn read_int(&mut self) -> Parse<i32> {
        let word = self.read_word(true)?;
        let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
        let (digits, radix) = hex.map_or((word, 10), |digits| (digits, 16));
        match i32::from_str_radix(digits, radix) {
            Ok(value) => Ok(value),
            Err(_) => self.error(&format!("expected an integer but was {digits}")),
        }
    }

    /// Skips the comments before a declaration.
    pub(crate) fn skip_documentation(&mut self) -> Parse<()> {
        loop {
            self.skip_blank(false)?;
            if self.bytes.get(self.pos) != Some(&b'/') {
                return Ok(());
            }
            self.skip_comment()?;
        }
    }

    /// Skips a comment behind a declaration on the same line. After one with stars nothing may follow on the line; that is how the original reads it.
    pub(crate) fn skip_trailing_documentation(&mut self) -> Parse<()> {
        loop {
            match self.bytes.get(self.pos) {
                Some(b' ' | b'\t') => self.pos += 1,
                Some(b'/') => {
                    self.pos += 1;
                    break;
                }
                Some(_) => return Ok(()),
                None => break,
            }
        }
        match self.bytes.get(self.pos) {
            Some(b'/') => {
                self.skip_line();
                Ok(())
            }
            Some(b'*') => {
                self.pos += 1;
                loop {
                    match self.bytes.get(self.pos) {
                        None => return self.error("trailing comment must be closed"),
                        Some(b'*') if self.bytes.get(self.pos + 1) == Some(&b'/') => {
                            self.pos += 2;
                            break;
                        }
                        Some(_) => self.pos += 1,
                    }
                }
                while let Some(&byte) = self.bytes.get(self.pos) {
                    self.pos += 1;
                    match byte {
                        b'\n' => {
                            self.newline();
                            break;
                        }
                        b' ' | b'\t' => {}
                        _ => return self.error("no syntax may follow trailing comment"),
                    }
                }
                Ok(())
            }
            _ => self.error("expected '//' or '/*'"),
        }
    }

    fn skip_line(&mut self) {
        while let Some(&byte) = self.bytes.get(self.pos) {
            self.pos += 1;
            if byte == b'\n' {
                self.newline();
                break;
            }
        }
    }

    fn skip_blank(&mut self, comments: bool) -> Parse<()> {
        while let Some(&byte) = self.bytes.get(self.pos) {
            match byte {
                b'\n' => {
                    self.pos += 1;
                    self.newline();
                }
                b' ' | b'\t' | b'\r' => self.pos += 1,
                b'/' if comments => self.skip_comment()?,
                _ => break,
            }
        }
        Ok(())
    }

    fn skip_comment(&mut self) -> Parse<()> {
        self.pos += 1;
        match self.bytes.get(self.pos) {
            Some(b'*') => {
                self.pos += 1;
                loop {
                    match (self.bytes.get(self.pos), self.bytes.get(self.pos + 1)) {
                        (Some(b'*'), Some(b'/')) => {
                            self.pos += 2;
                            return Ok(());
                        }
                        (Some(_), None) | (None, _) => {
                            return self.error("unterminated comment");
                        }
                        (Some(&byte), Some(_)) => {
                            // Counted before it is passed: columns behind such a comment are one too high, as in the original.
                            if byte == b'\n' {
                                self.newline();
                            }
                            self.pos += 1;
                        }
                    }
                }
            }
            Some(b'/') => {
                self.pos += 1;
                if self.bytes.get(self.pos) == Some(&b' ') {
                    self.pos += 1;
                }
                if self.exhausted() {
                    // The original takes the last character of the comment off, and fails where there is none.
                    return Err(format!(
                        "startIndex: {} > endIndex: {}",
                        self.pos,
                        self.pos - 1
                    ));
                }
                self.skip_line();
                Ok(())
            }
            next => {
                // The original has taken what follows as well.
                self.pos += usize::from(next.is_some());
                self.error("unexpected '/'")
            }
        }
    }

    fn newline(&mut self) {
        self.line += 1;
        self.line_start = self.pos;
    }
}
