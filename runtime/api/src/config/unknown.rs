//! Keys that nothing reads, most of them misspelt.

use std::fmt;

use super::definition::ConfigDef;
use super::props::Props;

/// A key that no definition has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The key as given.
    pub key: String,
    /// The known key that differs from it in few letters.
    pub nearest: Option<String>,
}

/// What to log as a warning.
impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The configuration '{}' was supplied but isn't a known config.",
            self.key
        )?;
        match &self.nearest {
            Some(nearest) => write!(f, " Did you mean '{nearest}'?"),
            None => Ok(()),
        }
    }
}

/// The keys of `props` that none of `definitions` has, in order. `prefixes` are beginnings of keys that someone else reads, such as `producer.override.`.
pub fn unknown_keys(
    definitions: &[&ConfigDef],
    prefixes: &[&str],
    props: &Props,
) -> Vec<UnknownKey> {
    let known: Vec<&str> = definitions
        .iter()
        .flat_map(|definition| definition.known_names())
        .collect();
    let unknown =
        |key: &&str| !known.contains(key) && !prefixes.iter().any(|prefix| key.starts_with(prefix));
    props
        .keys()
        .filter(unknown)
        .map(|key| UnknownKey {
            key: key.to_owned(),
            nearest: nearest(key, &known),
        })
        .collect()
}

/// The known name with the least edits, when they are few for its length.
fn nearest(key: &str, known: &[&str]) -> Option<String> {
    let limit = (key.chars().count() / 4).clamp(1, 4);
    known
        .iter()
        .map(|name| (distance(key, name), *name))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name.to_owned())
}

/// Edits (insert, remove, replace, swap neighbours) between two texts, where `.`, `_` and `-` are the same and case does not count.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| {
        text.chars()
            .map(|c| {
                if matches!(c, '_' | '-') {
                    '.'
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect::<Vec<_>>()
    };
    let (a, b) = (fold(a), fold(b));
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(previous[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut previous, row);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::key::{ConfigKey, ConfigType, Importance};
    use super::*;

    #[test]
    fn misspelt_keys_are_reported_with_what_was_meant() {
        let mut old = ConfigKey::new("table.include.list", ConfigType::List, Importance::High);
        old.aliases.push("table.whitelist".to_owned());
        let definition = ConfigDef::new().define(old).define(ConfigKey::new(
            "max.batch.size",
            ConfigType::Int,
            Importance::Low,
        ));
        let props = Props::from_iter([
            ("table.include.list", ""),
            ("table.whitelist", ""),
            ("tables.include.list", ""),
            ("max_batch_size", ""),
            ("max.bacth.size", ""),
            ("producer.override.acks", ""),
            ("colour", ""),
        ]);
        let found = unknown_keys(&[&definition], &["producer.override."], &props);
        let found: Vec<_> = found
            .iter()
            .map(|unknown| (unknown.key.as_str(), unknown.nearest.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("tables.include.list", Some("table.include.list")),
                ("max_batch_size", Some("max.batch.size")),
                ("max.bacth.size", Some("max.batch.size")),
                ("colour", None)
            ]
        );
    }
}
