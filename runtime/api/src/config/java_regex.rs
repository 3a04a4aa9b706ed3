//! Regular expressions as Java reads them, with Java's complaints.

use std::fmt;

use fancy_regex::{Regex, RegexBuilder};

/// A compiled regular expression of Java's syntax.
#[derive(Clone, Debug)]
pub struct JavaRegex {
    full: Regex,
}

/// Why a pattern is not a regular expression; `Display` is Java's text, with the pattern and a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JavaRegexError {
    description: String,
    /// In characters; `None` when Java gives no place.
    index: Option<usize>,
    pattern: String,
}

impl fmt::Display for JavaRegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)?;
        if let Some(index) = self.index {
            write!(f, " near index {index}")?;
        }
        write!(f, "\n{}", self.pattern)?;
        match self.index {
            Some(index) if index < self.pattern.chars().count() => write!(f, "\n{:index$}^", ""),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for JavaRegexError {}

impl JavaRegex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// With Java's text for what is commonly wrong (an open group or class, a dangling quantifier, a trailing backslash, a bad repetition), else with the text
    /// of the engine.
    pub fn new(pattern: &str) -> Result<Self, JavaRegexError> {
        Self::compile(pattern, false)
    }

    /// Compiles `pattern` so that letters match in either case.
    ///
    /// # Errors
    /// As [`JavaRegex::new`].
    pub fn case_insensitive(pattern: &str) -> Result<Self, JavaRegexError> {
        Self::compile(pattern, true)
    }

    fn compile(pattern: &str, case_insensitive: bool) -> Result<Self, JavaRegexError> {
        let error = |description: String, index| JavaRegexError {
            description,
            index,
            pattern: pattern.to_owned(),
        };
        if let Some((description, index)) = syntax_error(pattern) {
            return Err(error(description, index));
        }
        RegexBuilder::new(&format!(r"\A(?:{})\z", translate(pattern)))
            .case_insensitive(case_insensitive)
            .build()
            .map(|full| Self { full })
            .map_err(|cause| error(cause.to_string(), None))
    }

    /// The pattern in the engine's syntax, to search with: not bound to all of a text, and without the flag of [`JavaRegex::case_insensitive`].
    pub fn engine_pattern(&self) -> &str {
        let bound = self.full.as_str();
        bound
            .strip_prefix(r"\A(?:")
            .and_then(|rest| rest.strip_suffix(r")\z"))
            .unwrap_or(bound)
    }

    /// Whether all of `text` matches. A match that would take the engine too many steps is none.
    pub fn is_full_match(&self, text: &str) -> bool {
        self.full.is_match(text).unwrap_or(false)
    }
}

/// Splits a list of expressions at commas; `\,` is a comma inside one. Items are trimmed and empty ones dropped.
pub fn split_regex_list(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut rest = list.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.peek() == Some(&',') => push(&mut items, &[',']),
            '\\' => {
                push(&mut items, &['\\']);
                if let Some(escaped) = rest.next() {
                    push(&mut items, &[escaped]);
                }
                continue;
            }
            ',' => {
                items.push(String::new());
                continue;
            }
            other => {
                push(&mut items, &[other]);
                continue;
            }
        }
        rest.next();
    }
    items
        .into_iter()
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

fn push(items: &mut [String], characters: &[char]) {
    if let Some(item) = items.last_mut() {
        item.extend(characters);
    }
}

/// Writes in the engine's syntax what only Java has: quotation with `\Q..\E`, blanks as `\h`, the end before a last line break as `\Z`.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('h') => out
                .push_str(r"[ \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"),
            Some('Z') => out.push_str(r"(?=\n?\z)"),
            Some('Q') => {
                let mut quoted = String::new();
                for q in rest.by_ref() {
                    quoted.push(q);
                    if quoted.ends_with("\\E") {
                        quoted.truncate(quoted.len() - 2);
                        break;
                    }
                }
                out.push_str(&fancy_regex::escape(&quoted));
            }
            Some(escaped) => out.extend(['\\', escaped]),
            None => out.push('\\'),
        }
    }
    out
}

/// What Java would say about the structure of `pattern`: description and place.
fn syntax_error(pattern: &str) -> Option<(String, Option<usize>)> {
    let chars: Vec<char> = pattern.chars().collect();
    let at = |index: usize| chars.get(index).copied();
    let mut depth = 0usize;
    // Whether a quantifier may stand here.
    let mut quantifiable = false;
    let mut index = 0;
    while let Some(c) = at(index) {
        match c {
            '\\' if at(index + 1).is_none() => {
                return Some(("Unescaped trailing backslash".to_owned(), Some(chars.len())));
            }
            '\\' if at(index + 1) == Some('Q') => {
                index = (index + 2..chars.len())
                    .find(|end| at(*end) == Some('\\') && at(end + 1) == Some('E'))
                    .map_or(chars.len(), |end| end + 2);
                quantifiable = true;
                continue;
            }
            '\\' => {
                index += 1;
                quantifiable = true;
            }
            '[' => {
                let Some(end) = class_end(&chars, index) else {
                    return Some(("Unclosed character class".to_owned(), Some(chars.len() - 1)));
                };
                index = end;
                quantifiable = true;
            }
            '(' => {
                depth += 1;
                quantifiable = false;
                // The mark of a special group is no quantifier.
                if at(index + 1) == Some('?') {
                    index += 1;
                }
            }
            ')' => {
                if depth == 0 {
                    return Some(("Unmatched closing ')'".to_owned(), index.checked_sub(1)));
                }
                depth -= 1;
                quantifiable = true;
            }
            '*' | '+' | '?' => {
                if !quantifiable {
                    return Some((format!("Dangling meta character '{c}'"), Some(index)));
                }
                if matches!(at(index + 1), Some('?' | '+')) {
                    index += 1;
                }
                quantifiable = false;
            }
            '{' => {
                let digits = chars[index + 1..]
                    .iter()
                    .take_while(|d| d.is_ascii_digit())
                    .count();
                if !quantifiable || digits == 0 {
                    return Some(("Illegal repetition".to_owned(), None));
                }
                let mut end = index + 1 + digits;
                if at(end) == Some(',') {
                    end += 1 + chars[end + 1..]
                        .iter()
                        .take_while(|d| d.is_ascii_digit())
                        .count();
                }
                if at(end) != Some('}') {
                    return Some(("Unclosed counted closure".to_owned(), Some(end)));
                }
                index = end;
                if matches!(at(index + 1), Some('?' | '+')) {
                    index += 1;
                }
                quantifiable = false;
            }
            '|' => quantifiable = false,
            _ => quantifiable = true,
        }
        index += 1;
    }
    (depth > 0).then(|| ("Unclosed group".to_owned(), Some(chars.len())))
}

/// The index of the `]` that ends the class beginning at `start`; classes may nest.
fn class_end(chars: &[char], start: usize) -> Option<usize> {
    let mut index = start + 1;
    if chars.get(index) == Some(&'^') {
        index += 1;
    }
    let first = index;
    while let Some(c) = chars.get(index) {
        match c {
            '\\' => index += 1,
            '[' => index = class_end(chars, index)?,
            // The first member may be the bracket itself.
            ']' if index > first => return Some(index),
            _ => {}
        }
        index += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_javas() {
        let table = [
            ("[", "Unclosed character class near index 0\n[\n^"),
            ("([", "Unclosed character class near index 1\n([\n ^"),
            ("[]", "Unclosed character class near index 1\n[]\n ^"),
            ("(a", "Unclosed group near index 2\n(a"),
            ("*a", "Dangling meta character '*' near index 0\n*a\n^"),
            ("a|+", "Dangling meta character '+' near index 2\na|+\n  ^"),
            ("a)", "Unmatched closing ')' near index 0\na)\n^"),
            (")", "Unmatched closing ')'\n)"),
            ("a\\", "Unescaped trailing backslash near index 2\na\\"),
            ("a{", "Illegal repetition\na{"),
            ("a{1", "Unclosed counted closure near index 3\na{1"),
        ];
        for (pattern, expected) in table {
            assert_eq!(
                JavaRegex::new(pattern).expect_err(pattern).to_string(),
                expected
            );
        }
    }

    #[test]
    fn good_patterns_match_the_whole_text() {
        for (pattern, text, expected) in [
            ("a.*|b", "abc", true),
            ("a.*|b", "bb", false),
            ("a", "A", false),
            ("(?:x){2,}+", "xxx", true),
            ("(?<n>a)\\k<n>", "aa", true),
            ("[a-c&&[^b]]+", "ac", true),
            ("[a-c&&[^b]]+", "ab", false),
            ("\\Qa.b\\E", "a.b", true),
            ("\\Qa.b\\E", "axb", false),
            ("", "", true),
            ("a$", "a", true),
        ] {
            assert_eq!(
                JavaRegex::new(pattern).expect(pattern).is_full_match(text),
                expected,
                "{pattern} on {text}"
            );
        }
        assert!(
            JavaRegex::case_insensitive("public\\.t.*")
                .expect("compiles")
                .is_full_match("PUBLIC.Table")
        );
    }

    #[test]
    fn escaped_commas_stay_in_their_item() {
        assert_eq!(
            split_regex_list(" a\\,b , c\\.d,, e{1\\,2}\\\\"),
            ["a,b", "c\\.d", "e{1,2}\\\\"]
        );
    }
}
