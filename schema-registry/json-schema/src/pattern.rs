//! Regular expressions in Java's syntax: checked when a schema is read, run only on property names, and never with unbounded backtracking.

use fancy_regex::{Regex, RegexBuilder};

/// How much one match may backtrack. Past it the name counts as not matched.
const BACKTRACK_LIMIT: usize = 20_000;
/// Bytes of a compiled expression.
const SIZE_LIMIT: usize = 1 << 20;

/// A compiled expression; `None` inside when this engine has no equivalent, which matches nothing.
#[derive(Debug)]
pub(crate) struct NamePattern(Option<Regex>);

impl NamePattern {
    /// Compiles a pattern that [`check`] accepted.
    pub(crate) fn new(pattern: &str) -> Self {
        Self(
            RegexBuilder::new(&translated(pattern))
                .backtrack_limit(BACKTRACK_LIMIT)
                .delegate_size_limit(SIZE_LIMIT)
                .build()
                .ok(),
        )
    }

    /// Whether the pattern is found anywhere in the name.
    pub(crate) fn finds(&self, name: &str) -> bool {
        self.0
            .as_ref()
            .is_some_and(|regex| regex.is_match(name).unwrap_or(false))
    }
}

/// The pattern for an engine whose `\d`, `\w` and `\s` mean all of Unicode, and that does not know `\Q`.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut depth = 0_usize;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let Some(escaped) = chars.next() else { break };
                let set = match escaped {
                    'd' | 'D' => "0-9",
                    'w' | 'W' => "a-zA-Z_0-9",
                    's' | 'S' => r" \t\n\x0B\x0C\r",
                    'h' | 'H' => {
                        r" \t\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}"
                    }
                    'Q' => {
                        let rest = chars.as_str();
                        let end = rest.find("\\E").unwrap_or(rest.len());
                        out.push_str(&fancy_regex::escape(&rest[..end]));
                        chars = rest[end..].strip_prefix("\\E").unwrap_or("").chars();
                        continue;
                    }
                    'Z' => {
                        out.push_str("(?=\\n?\\z)");
                        continue;
                    }
                    _ => {
                        out.push('\\');
                        out.push(escaped);
                        continue;
                    }
                };
                let negated = escaped.is_ascii_uppercase();
                out.push_str(if negated { "[^" } else { "[" });
                out.push_str(set);
                out.push(']');
            }
            '[' => {
                depth += 1;
                out.push(c);
            }
            ']' => {
                depth = depth.saturating_sub(1);
                out.push(c);
            }
            '~' if depth > 0 => out.push_str("\\~"),
            _ => out.push(c),
        }
    }
    out
}

/// Whether Java would compile the pattern.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    Checker {
        rest: pattern,
        names: Vec::new(),
    }
    .run()
    .map_err(|reason| format!("{reason} in the pattern `{}`", shown(pattern)))
}

fn shown(pattern: &str) -> String {
    let mut text: String = pattern.chars().take(200).collect();
    if text.len() < pattern.len() {
        text.push_str("...");
    }
    text
}

struct Checker<'a> {
    rest: &'a str,
    names: Vec<&'a str>,
}

impl<'a> Checker<'a> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn eat(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn run(&mut self) -> Result<(), &'static str> {
        let mut groups = 0_usize;
        // Whether something stands here that can be repeated.
        let mut atom = false;
        while let Some(c) = self.next() {
            match c {
                '\\' => {
                    self.escape(false)?;
                    atom = true;
                }
                '[' => {
                    self.class()?;
                    atom = true;
                }
                '(' => {
                    if self.group()? {
                        groups += 1;
                    }
                    atom = false;
                }
                ')' => {
                    groups = groups.checked_sub(1).ok_or("an unmatched closing `)`")?;
                    atom = true;
                }
                '|' => atom = false,
                '*' | '+' | '?' => {
                    if !atom {
                        return Err("a dangling `*`, `+` or `?`");
                    }
                    self.lazy_or_possessive();
                    atom = false;
                }
                '{' => {
                    if !atom {
                        return Err("an illegal repetition");
                    }
                    self.counted()?;
                    self.lazy_or_possessive();
                }
                _ => atom = true,
            }
        }
        if groups > 0 {
            return Err("an unclosed group");
        }
        Ok(())
    }

    fn lazy_or_possessive(&mut self) {
        if !self.eat("?") {
            self.eat("+");
        }
    }

    fn number(&mut self) -> Option<u32> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok().filter(|n| *n <= i32::MAX as u32)
    }

    fn counted(&mut self) -> Result<(), &'static str> {
        let least = self.number().ok_or("an illegal repetition")?;
        if self.eat(",") && !self.rest.starts_with('}') {
            let most = self.number().ok_or("an illegal repetition")?;
            if most < least {
                return Err("an illegal repetition range");
            }
        }
        if self.eat("}") {
            Ok(())
        } else {
            Err("an unclosed counted repetition")
        }
    }

    /// Behind `(`. `false` for flags that open no group.
    fn group(&mut self) -> Result<bool, &'static str> {
        if !self.eat("?") {
            return Ok(true);
        }
        for opening in [":", "=", "!", ">", "<=", "<!"] {
            if self.eat(opening) {
                return Ok(true);
            }
        }
        if self.eat("<") {
            let name = self.name()?;
            if self.names.contains(&name) {
                return Err("a group name used twice");
            }
            self.names.push(name);
            return Ok(true);
        }
        let end = self
            .rest
            .find(|c: char| !matches!(c, 'i' | 'd' | 'm' | 's' | 'u' | 'c' | 'x' | 'U' | '-'))
            .unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
        if self.eat(")") {
            Ok(false)
        } else if self.eat(":") {
            Ok(true)
        } else {
            Err("an unknown kind of group")
        }
    }

    /// Behind `<`, up to `>`.
    fn name(&mut self) -> Result<&'a str, &'static str> {
        let end = self.rest.find('>').ok_or("a group name without `>`")?;
        let (name, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        if name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric())
        {
            Ok(name)
        } else {
            Err("an illegal group name")
        }
    }

    fn hex(&mut self, digits: usize) -> Result<(), &'static str> {
        let Some(text) = self.rest.get(..digits) else {
            return Err("an illegal hexadecimal escape");
        };
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("an illegal hexadecimal escape");
        }
        self.rest = &self.rest[digits..];
        Ok(())
    }

    fn braced(&mut self) -> Result<&'a str, &'static str> {
        let end = self
            .rest
            .find('}')
            .ok_or("an unclosed `{` behind an escape")?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        if text.is_empty() {
            return Err("empty braces behind an escape");
        }
        Ok(text)
    }

    /// Behind a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), &'static str> {
        let c = self.next().ok_or("a backslash at the end")?;
        match c {
            'Q' => {
                let end = self.rest.find("\\E").map_or(self.rest.len(), |at| at + 2);
                self.rest = &self.rest[end..];
            }
            '0' if !self.rest.starts_with(|c: char| matches!(c, '0'..='7')) => {
                return Err("an illegal octal escape");
            }
            '0' => {}
            'x' => {
                if self.eat("{") {
                    let digits = self.braced()?;
                    if !u32::from_str_radix(digits, 16).is_ok_and(|code| code <= 0x10_ffff) {
                        return Err("an illegal hexadecimal escape");
                    }
                } else {
                    self.hex(2)?;
                }
            }
            'u' => self.hex(4)?,
            'c' => {
                self.next().ok_or("an unfinished control escape")?;
            }
            'N' => {
                if !self.eat("{") {
                    return Err("an illegal character name");
                }
                self.braced()?;
            }
            'p' | 'P' => {
                if self.eat("{") {
                    let name = self.braced()?;
                    if !name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | '-' | ' '))
                    {
                        return Err("an unknown character property");
                    }
                } else {
                    self.next().ok_or("an unfinished character property")?;
                }
            }
            'k' if !in_class => {
                if !self.eat("<") {
                    return Err("`\\k` without a group name");
                }
                let name = self.name()?;
                if !self.names.contains(&name) {
                    return Err("a reference to an unknown group");
                }
            }
            'A' | 'B' | 'G' | 'R' | 'X' | 'Z' | 'b' | 'z' if !in_class => {}
            'D' | 'H' | 'S' | 'V' | 'W' | 'a' | 'd' | 'e' | 'f' | 'h' | 'n' | 'r' | 's' | 't'
            | 'v' | 'w' => {}
            '1'..='9' if !in_class => {}
            c if c.is_ascii_alphanumeric() => return Err("an unknown escape"),
            _ => {}
        }
        Ok(())
    }

    /// Behind `[`, up to its `]`; classes nest.
    fn class(&mut self) -> Result<(), &'static str> {
        const UNCLOSED: &str = "an unclosed character class";
        // Per open class: whether it has an element yet, since a leading `]` is one.
        let mut open = vec![false];
        self.eat("^");
        while let Some(filled) = open.last_mut() {
            let c = self.next().ok_or(UNCLOSED)?;
            match c {
                ']' if *filled => {
                    open.pop();
                    if let Some(filled) = open.last_mut() {
                        *filled = true;
                    }
                    continue;
                }
                '[' => {
                    open.push(false);
                    self.eat("^");
                    continue;
                }
                '&' if self.rest.starts_with('&') => {
                    self.next();
                    continue;
                }
                '\\' => {
                    *filled = true;
                    self.escape(true)?;
                    continue;
                }
                _ => *filled = true,
            }
            // A range of two plain characters.
            let mut ahead = self.rest.chars();
            if ahead.next() == Some('-') {
                match ahead.next() {
                    Some(']' | '[' | '\\') | None => {}
                    Some(end) if end < c => return Err("an illegal character range"),
                    Some(_) => self.rest = ahead.as_str(),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_verdicts() {
        for good in [
            "",
            "^a",
            "a{2,3}?",
            "[a-z&&[^b]]",
            "(?i)x",
            "(?<n>a)\\k<n>",
            "\\p{L}+",
            "\\Qa[b\\E",
            "a++",
            "[]a]",
            "^\\d{3}-\\d{4}$",
            "(?=.*[A-Z]).{8,}",
            "\\u00e9",
            "[\\w.-]+@[\\w-]+",
            "(a{1000}){1000}",
            "x|",
            "[^/]*",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "[", "(", ")", "*a", "a{", "a{2,1}", "\\", "\\y", "(?Pa)", "[z-a]", "\\x1", "a**", "[a",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let pattern = NamePattern::new("^(a+)+(?=x)$");
        let started = std::time::Instant::now();
        assert!(!pattern.finds(&"a".repeat(60)));
        assert!(started.elapsed().as_millis() < 500);
        assert!(NamePattern::new("^\\Qs_\\E\\d").finds("s_1x"));
        assert!(!NamePattern::new("^\\d").finds("\u{664}"));
        assert!(!NamePattern::new("(\\w{1000}){1000}").finds("a"));
    }
}
