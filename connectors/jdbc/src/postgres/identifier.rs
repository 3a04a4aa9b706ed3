//! Names in SQL.

use std::borrow::Cow;

/// Whether names are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quoting {
    /// Always; letters stay as they are.
    Always,
    /// Never; the server folds to lower case.
    Never,
}

/// A name that cannot be written without quotes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name '{0}' cannot be written without quotes; set quote.sql.identifiers=always, or rename it with a transform"
)]
pub(crate) struct UnquotableName(pub(crate) String);

impl Quoting {
    /// The name as it stands in SQL. A quote inside is doubled; without quotes only what needs none gets through, so no text of a record can become SQL.
    pub(crate) fn name(self, name: &str) -> Result<String, UnquotableName> {
        match self {
            Self::Always if !name.contains('\0') => {
                Ok(format!("\"{}\"", name.replace('"', "\"\"")))
            }
            Self::Never if is_plain(name) => Ok(name.to_owned()),
            _ => Err(UnquotableName(name.to_owned())),
        }
    }

    /// The name as the server stores it.
    pub(crate) fn stored(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::Always => Cow::Borrowed(name),
            Self::Never => Cow::Owned(name.to_lowercase()),
        }
    }
}

fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

/// `name` cut to `limit` bytes at a character's end, as the server cuts names.
pub(crate) fn cut(name: &str, limit: usize) -> &str {
    let mut end = name.len().min(limit);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_sql() {
        assert_eq!(
            Quoting::Always.name("a\"b; drop").as_deref(),
            Ok("\"a\"\"b; drop\"")
        );
        assert_eq!(Quoting::Never.name("Größe_1$").as_deref(), Ok("Größe_1$"));
        for name in ["", "a b", "1a", "a;", "a-b", "a\"", "a.b"] {
            assert_eq!(
                Quoting::Never.name(name),
                Err(UnquotableName(name.to_owned()))
            );
        }
        assert!(Quoting::Always.name("a\0").is_err());
        assert_eq!(Quoting::Never.stored("UserId"), "userid");
        assert_eq!((cut("äää", 5), cut("abc", 5)), ("ää", "abc"));
    }
}
