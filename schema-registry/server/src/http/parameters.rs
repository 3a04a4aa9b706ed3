//! The query of a request.

use std::borrow::Cow;

use registry_core::{AssociationFilter, Page};

use super::target::decode;

/// A parameter that is no number although the endpoint wants one: answered like an unknown path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotANumber;

/// The pairs of a query, decoded, in their order.
#[derive(Debug, Default)]
pub(crate) struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    /// Reads `a=1&b=%20`.
    pub(crate) fn parse(query: Option<&'a str>) -> Self {
        let Some(query) = query.filter(|query| !query.is_empty()) else {
            return Self::default();
        };
        Self(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name, true), decode(value, true))
                })
                .collect(),
        )
    }

    /// Puts `change(value)` in the place of every value of `name`; where there is none, adds `change("")`.
    pub(crate) fn rewrite(&mut self, name: &'static str, change: impl Fn(&str) -> String) {
        let mut found = false;
        for (key, value) in &mut self.0 {
            if key == name {
                found = true;
                *value = Cow::Owned(change(value));
            }
        }
        if !found {
            self.0.push((Cow::Borrowed(name), Cow::Owned(change(""))));
        }
    }

    /// The first value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| &**value)
    }

    /// The first value of `name`, owned.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// All values of `name`.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.clone().into_owned())
            .collect()
    }

    /// Whether `name` is `true`, in any case of letters.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// `name` as a number; blank counts as absent.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i32>, NotANumber> {
        match self.get(name) {
            None => Ok(None),
            Some(text) if text.trim().is_empty() => Ok(None),
            Some(text) => integer(text).map(Some),
        }
    }

    /// `offset` and `limit`.
    pub(crate) fn page(&self) -> Result<Page, NotANumber> {
        Ok(Page {
            offset: self.number("offset")?,
            limit: self.number("limit")?,
        })
    }

    /// What narrows a list of associations.
    pub(crate) fn association_filter(&self) -> Result<AssociationFilter, NotANumber> {
        Ok(AssociationFilter {
            resource_type: self.text("resourceType"),
            association_types: self.texts("associationType"),
            lifecycles: self.texts("lifecycle"),
            page: self.page()?,
        })
    }

    /// All pairs, owned.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        self.0
            .iter()
            .map(|(key, value)| (key.clone().into_owned(), value.clone().into_owned()))
            .collect()
    }
}

/// What Java's `Integer.valueOf` reads: digits with an optional sign.
pub(crate) fn integer(text: &str) -> Result<i32, NotANumber> {
    text.parse().map_err(|_| NotANumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_decoded_and_typed() {
        let query = Parameters::parse(Some(
            "deleted=True&subject=%3A.c%3As&key=a&key=b+c&limit=&offset=07&x",
        ));
        assert!(query.flag("deleted") && !query.flag("x") && !query.flag("subject"));
        assert_eq!(query.get("subject"), Some(":.c:s"));
        assert_eq!(query.texts("key"), ["a", "b c"]);
        assert_eq!(
            query.page(),
            Ok(Page {
                offset: Some(7),
                limit: None
            })
        );
        for wrong in ["abc", " 5", "1.5", "2147483648", "--1", "+"] {
            assert_eq!(integer(wrong), Err(NotANumber), "{wrong}");
        }
        assert_eq!(integer("+5"), Ok(5));
        assert_eq!(integer("-1"), Ok(-1));
    }

    #[test]
    fn a_rewritten_parameter_is_added_when_absent() {
        let mut query = Parameters::parse(Some("a=1"));
        query.rewrite("subject", |old| format!(":.c:{old}"));
        query.rewrite("a", |old| format!("{old}2"));
        assert_eq!(query.get("subject"), Some(":.c:"));
        assert_eq!(query.get("a"), Some("12"));
    }
}
