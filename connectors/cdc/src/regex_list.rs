use fancy_regex::Regex;

/// A comma-separated list of Java regular expressions, each matched against a whole name without regard to case.
///
/// A comma inside an expression is written `\,`.
#[derive(Debug, Clone, Default)]
pub struct RegexList {
    patterns: Vec<Regex>,
}

/// An entry that is not a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "A comma-separated list of valid regular expressions is expected, but '{pattern}' is not one: {reason}"
)]
pub struct RegexListError {
    /// The entry.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl RegexList {
    /// Parses a list; blanks around entries and empty entries are dropped.
    pub fn parse(list: &str) -> Result<Self, RegexListError> {
        let patterns = split(list)
            .iter()
            .map(|p| compile(p))
            .collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether any entry matches the whole of `name`.
    pub fn matches(&self, name: &str) -> bool {
        self.first_match(name).is_some()
    }

    /// Index of the first entry that matches the whole of `name`.
    pub fn first_match(&self, name: &str) -> Option<usize> {
        // A pattern that runs into the engine's backtracking limit counts as no match.
        self.patterns
            .iter()
            .position(|p| p.is_match(name).unwrap_or(false))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

fn compile(pattern: &str) -> Result<Regex, RegexListError> {
    Regex::new(&format!(r"(?i)\A(?:{pattern})\z")).map_err(|e| RegexListError {
        pattern: pattern.to_owned(),
        reason: e.to_string(),
    })
}

/// Splits at commas that are not escaped; `\,` becomes a comma, every other escape stays.
fn split(list: &str) -> Vec<String> {
    let mut entries = Vec::new();
    let mut entry = String::new();
    let mut chars = list.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(',') => entry.push(','),
                Some(other) => entry.extend(['\\', other]),
                None => entry.push('\\'),
            },
            ',' => entries.push(std::mem::take(&mut entry)),
            other => entry.push(other),
        }
    }
    entries.push(entry);
    entries
        .into_iter()
        .map(|e| e.trim().to_owned())
        .filter(|e| !e.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_match_whole_names_without_case() {
        let list = RegexList::parse(r" public\.a.* ,, shop\.x{1\,2}").expect("valid");
        assert_eq!(list.len(), 2);
        assert!(list.matches("PUBLIC.abc"));
        assert!(!list.matches("public.b"));
        assert!(!list.matches("my.public.abc"));
        assert_eq!(list.first_match("shop.xx"), Some(1));
        assert!(!list.matches("shop.xxx"));
    }

    #[test]
    fn look_around_works_as_in_java() {
        assert!(
            RegexList::parse(r"public\.(?!secret).*")
                .expect("valid")
                .matches("public.open")
        );
    }

    #[test]
    fn a_bad_entry_is_named() {
        let error = RegexList::parse("ok,(").expect_err("unbalanced");
        assert_eq!(error.pattern, "(");
    }
}
