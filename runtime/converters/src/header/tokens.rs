/// Splits a text at unescaped `: , { } [ ] "`, each of which is a token of its own; what is between them, escapes and all, is one too.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    original: &'a str,
    at: usize,
    next: Option<&'a str>,
    previous: Option<&'a str>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(original: &'a str) -> Self {
        Self {
            original,
            at: 0,
            next: None,
            previous: None,
        }
    }

    pub(super) fn original(&self) -> &'a str {
        self.original
    }

    /// A place to come back to. When a token was looked at, it is the place before it; blank tokens that were skipped on the way there stay skipped.
    pub(super) fn mark(&self) -> usize {
        self.at - self.next.map_or(0, str::len)
    }

    pub(super) fn rewind(&mut self, mark: usize) {
        self.at = mark;
        self.next = None;
        self.previous = None;
    }

    pub(super) fn has_next(&self) -> bool {
        self.next.is_some() || self.at < self.original.len()
    }

    pub(super) fn next(&mut self) -> &'a str {
        let token = self.next.take().unwrap_or_else(|| self.consume());
        self.previous = Some(token);
        token
    }

    /// The text of the next `n` tokens together; `None`, and nothing consumed, when there are fewer.
    pub(super) fn next_many(&mut self, n: usize) -> Option<&'a str> {
        let start = self.mark();
        for _ in 0..n {
            if !self.has_next() {
                self.rewind(start);
                return None;
            }
            self.next();
        }
        Some(&self.original[start..self.at])
    }

    /// Consumes the next token if it is `expected`, white space around it aside; blank tokens before it are skipped.
    pub(super) fn take(&mut self, expected: &str) -> bool {
        if !self.has_next() {
            return false;
        }
        let mut token = match self.next.take() {
            Some(token) => token,
            None => self.consume(),
        };
        while trim(token).is_empty() && self.at < self.original.len() {
            token = self.consume();
        }
        let found = trim(token) == expected;
        if !found {
            self.next = Some(token);
        }
        found
    }

    fn consume(&mut self) -> &'a str {
        let rest = &self.original[self.at..];
        let mut escaped = false;
        let mut end = rest.len();
        for (i, byte) in rest.bytes().enumerate() {
            match byte {
                b'\\' => escaped = !escaped,
                b':' | b',' | b'{' | b'}' | b'[' | b']' | b'"' if !escaped => {
                    end = i.max(1);
                    break;
                }
                _ => escaped = false,
            }
        }
        self.at += end;
        &rest[..end]
    }
}

/// Java's `trim`.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_tokens_unless_escaped() {
        let mut tokens = Tokens::new(r#"a\:b:[ "c",]"#);
        let mut all = Vec::new();
        while tokens.has_next() {
            all.push(tokens.next());
        }
        assert_eq!(all, [r"a\:b", ":", "[", " ", "\"", "c", "\"", ",", "]"]);
    }
}
