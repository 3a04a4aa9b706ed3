//! Places of scalars in a JSON text, so that some can be replaced and every other byte stays.

use std::ops::Range;

/// The scalars of a JSON text. `NaN` and `Infinity`, which JsonConverter writes, are scalars too.
#[derive(Debug)]
pub(super) struct Scalars<'a> {
    text: &'a str,
    /// JSON pointer (RFC 6901) and place.
    found: Vec<(String, Range<usize>)>,
    /// Names and places of the root's members.
    members: Vec<(String, Range<usize>)>,
}

impl<'a> Scalars<'a> {
    /// `None` when the text is not JSON.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let mut scan = Scan {
            text,
            at: 0,
            found: Vec::new(),
            members: Vec::new(),
        };
        scan.value("")?;
        scan.white();
        (scan.at == text.len()).then_some(Scalars {
            text,
            found: scan.found,
            members: scan.members,
        })
    }

    pub(super) fn place(&self, pointer: &str) -> Option<Range<usize>> {
        let found = self.found.iter().find(|(p, _)| p == pointer);
        found.map(|(_, place)| place.clone())
    }

    /// The scalar's own text, quotes included; `None` when it is not there or null.
    pub(super) fn raw(&self, pointer: &str) -> Option<&'a str> {
        self.place(pointer)
            .map(|place| &self.text[place])
            .filter(|raw| *raw != "null")
    }

    /// Whether a scalar, even null, is there.
    pub(super) fn has(&self, pointer: &str) -> bool {
        self.place(pointer).is_some()
    }

    pub(super) fn number(&self, pointer: &str) -> Option<i64> {
        self.raw(pointer)?.parse().ok()
    }

    /// Pointers of all scalars.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &str> {
        self.found.iter().map(|(pointer, _)| pointer.as_str())
    }
}

/// Splits `{"schema":S,"payload":P}` into S and P; every other text is a payload.
pub(super) fn split_schema(text: &str) -> (Option<&str>, &str) {
    if !text.starts_with("{\"schema\":") {
        return (None, text);
    }
    let members = Scalars::of(text).map(|scalars| scalars.members);
    match members.as_deref() {
        Some([(schema, s), (payload, p)])
            if schema == "schema"
                && payload == "payload"
                && text[s.end..p.start] == *",\"payload\":"
                && p.end + 1 == text.len() =>
        {
            (Some(&text[s.clone()]), &text[p.clone()])
        }
        _ => (None, text),
    }
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    found: Vec<(String, Range<usize>)>,
    members: Vec<(String, Range<usize>)>,
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn white(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn take(&mut self, c: char) -> bool {
        self.white();
        let taken = self.rest().starts_with(c);
        self.at += usize::from(taken);
        taken
    }

    fn value(&mut self, pointer: &str) -> Option<()> {
        self.white();
        match self.rest().as_bytes().first()? {
            b'{' => self.object(pointer),
            b'[' => self.array(pointer),
            first => {
                let start = self.at;
                if *first == b'"' {
                    self.string()?;
                } else {
                    self.word()?;
                }
                self.found.push((pointer.to_owned(), start..self.at));
                Some(())
            }
        }
    }

    fn object(&mut self, pointer: &str) -> Option<()> {
        self.take('{');
        if self.take('}') {
            return Some(());
        }
        loop {
            self.white();
            let key: String = serde_json::from_str(self.string()?).ok()?;
            if !self.take(':') {
                return None;
            }
            self.white();
            let start = self.at;
            let escaped = key.replace('~', "~0").replace('/', "~1");
            self.value(&format!("{pointer}/{escaped}"))?;
            if pointer.is_empty() {
                self.members.push((key, start..self.at));
            }
            if self.take('}') {
                return Some(());
            }
            if !self.take(',') {
                return None;
            }
        }
    }

    fn array(&mut self, pointer: &str) -> Option<()> {
        self.take('[');
        if self.take(']') {
            return Some(());
        }
        for n in 0.. {
            self.value(&format!("{pointer}/{n}"))?;
            if self.take(']') {
                break;
            }
            if !self.take(',') {
                return None;
            }
        }
        Some(())
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<&str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        if bytes.get(start) != Some(&b'"') {
            return None;
        }
        let mut at = start + 1;
        while *bytes.get(at)? != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        self.at = at + 1;
        self.text.get(start..self.at)
    }

    fn word(&mut self) -> Option<()> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')))
            .unwrap_or(rest.len());
        let word = &rest[..length];
        let known = matches!(
            word,
            "true" | "false" | "null" | "NaN" | "Infinity" | "-Infinity"
        );
        if !known && serde_json::from_str::<serde_json::Number>(word).is_err() {
            return None;
        }
        self.at += length;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn scalars_are_found_by_pointer() {
        let text = r#"{"a":{"b/c":[1, "x\"]y",NaN]},"d":null,"e":-1.5E+3}"#;
        let scalars = Scalars::of(text).unwrap();
        assert_eq!(scalars.raw("/a/b~1c/1"), Some(r#""x\"]y""#));
        assert_eq!(scalars.raw("/a/b~1c/2"), Some("NaN"));
        assert_eq!(scalars.number("/a/b~1c/0"), Some(1));
        assert!(scalars.has("/d") && scalars.raw("/d").is_none());
        assert_eq!(scalars.raw("/e"), Some("-1.5E+3"));
    }

    #[test]
    fn what_is_not_json_is_none() {
        for text in [
            "",
            "{",
            "{\"a\"}",
            "[1,]",
            "\"abc",
            "nul",
            "{} x",
            "{\"a\":1,}",
            "\"a\\",
        ] {
            assert!(Scalars::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_the_exact_envelope_is_split() {
        let split = split_schema(r#"{"schema":{"type":"int32"},"payload":{"id":1}}"#);
        assert_eq!(split, (Some(r#"{"type":"int32"}"#), r#"{"id":1}"#));
        for text in [
            r#"{"schema":1, "payload":2}"#,
            r#"{"schema":1,"payload":2,"x":3}"#,
            "{\"id\":1}",
        ] {
            assert_eq!(split_schema(text), (None, text));
        }
    }
}
