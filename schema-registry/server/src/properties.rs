//! Reading properties by their names, with Java's rules for values.

use std::cell::RefCell;
use std::collections::HashSet;
use std::str::FromStr;
use std::time::Duration;

use millrace_api::config::Props;

use crate::StartError;

/// Properties, and which of them were looked at.
pub(crate) struct Properties<'a> {
    props: &'a Props,
    seen: RefCell<HashSet<String>>,
}

impl<'a> Properties<'a> {
    pub(crate) fn new(props: &'a Props) -> Self {
        Self {
            props,
            seen: RefCell::default(),
        }
    }

    /// The text of `key`, trimmed.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.seen.borrow_mut().insert(key.to_owned());
        self.props.get(key).map(str::trim)
    }

    /// The text of `key` unless it is blank.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.get(key)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    /// The items of a comma-separated list; empty without one.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        self.get(key)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, StartError> {
        match self.get(key) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(StartError::setting(key, text, "it must be true or false")),
        }
    }

    /// A number between `least` and `most`.
    pub(crate) fn number<N: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        key: &str,
        default: N,
        least: N,
        most: N,
    ) -> Result<N, StartError> {
        let Some(text) = self.get(key) else {
            return Ok(default);
        };
        match text.parse::<N>() {
            Ok(number) if number >= least && number <= most => Ok(number),
            _ => Err(StartError::setting(
                key,
                text,
                format!("it must be a whole number from {least} to {most}"),
            )),
        }
    }

    /// A number of milliseconds.
    pub(crate) fn milliseconds(
        &self,
        key: &str,
        default: u64,
        least: u64,
    ) -> Result<Duration, StartError> {
        self.number(key, default, least, i32::MAX as u64)
            .map(Duration::from_millis)
    }

    /// Refuses `key` unless it is absent, blank or one of `harmless`: what it asks for cannot be done.
    pub(crate) fn refuse(
        &self,
        key: &str,
        harmless: &[&str],
        problem: &str,
    ) -> Result<(), StartError> {
        match self.get(key) {
            Some(text)
                if !text.is_empty()
                    && !harmless.iter().any(|one| one.eq_ignore_ascii_case(text)) =>
            {
                Err(StartError::setting(key, text, problem))
            }
            _ => Ok(()),
        }
    }

    /// Says of keys that have no counterpart here, but change no answer, that nothing comes of them.
    pub(crate) fn without_effect(&self, key: &str, why: &str) {
        if self.get(key).is_some() {
            tracing::info!(key, "this setting has no effect here: {why}");
        }
    }

    /// The entries whose key begins with `prefix`, under the rest of their key.
    pub(crate) fn with_prefix(&self, prefix: &str) -> Vec<(String, String)> {
        let found: Vec<(String, String)> = self
            .props
            .iter()
            .filter_map(|(key, value)| {
                Some((key.strip_prefix(prefix)?.to_owned(), value.to_owned()))
            })
            .collect();
        self.seen
            .borrow_mut()
            .extend(found.iter().map(|(key, _)| format!("{prefix}{key}")));
        found
    }

    /// Keys that nobody looked at.
    pub(crate) fn unknown(&self) -> Vec<&'a str> {
        let seen = self.seen.borrow();
        self.props
            .keys()
            .filter(|key| !seen.contains(*key))
            .collect()
    }
}
