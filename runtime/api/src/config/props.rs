//! Key-value configuration as submitted and as resolved.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::secret::HIDDEN;

/// A submitted configuration: a JSON object of texts, where null is kept because validation has something to say about it.
pub type RawProps = IndexMap<String, Option<String>>;

/// A configuration: texts by key, in the order in which they were given.
///
/// `Debug` does not print values that look like secrets: keys that end like a password or a token, keys given to [`Props::mark_secret`], and texts that carry
/// credentials inside (a URL with `user:password@` or `password=`).
#[derive(Clone, Default)]
pub struct Props {
    entries: IndexMap<String, String>,
    secret: Vec<String>,
}

impl Props {
    /// An empty configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// Whether `key` has a text, be it empty.
    pub fn contains_key(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Sets `key`, which keeps its place if it is there already. Returns the text before.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.entries.insert(key.into(), value.into())
    }

    /// Removes `key`; the order of the others stays.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.entries.shift_remove(key)
    }

    /// Never prints the value of `key` in `Debug`, whatever its name looks like.
    pub fn mark_secret(&mut self, key: impl Into<String>) {
        self.secret.push(key.into());
    }

    /// The entries whose key begins with `prefix`, under the rest of their key. A key equal to the prefix is left out.
    pub fn with_prefix(&self, prefix: &str) -> Self {
        let strip = |key: &str| {
            key.strip_prefix(prefix)
                .filter(|rest| !rest.is_empty())
                .map(str::to_owned)
        };
        Self {
            entries: self
                .entries
                .iter()
                .filter_map(|(key, value)| Some((strip(key)?, value.clone())))
                .collect(),
            secret: self.secret.iter().filter_map(|key| strip(key)).collect(),
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same entries as a submitted configuration.
    pub fn to_raw(&self) -> RawProps {
        self.entries
            .iter()
            .map(|(key, value)| (key.clone(), Some(value.clone())))
            .collect()
    }

    /// What remains of a submitted configuration when keys with null are left out.
    pub fn from_raw(raw: &RawProps) -> Self {
        raw.iter()
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
            .collect()
    }

    /// The map itself.
    pub fn into_inner(self) -> IndexMap<String, String> {
        self.entries
    }
}

impl PartialEq for Props {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Props {}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Props {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self {
            entries: entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
            secret: Vec::new(),
        }
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Props {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.entries.extend(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into())),
        );
    }
}

impl From<IndexMap<String, String>> for Props {
    fn from(entries: IndexMap<String, String>) -> Self {
        Self {
            entries,
            secret: Vec::new(),
        }
    }
}

impl IntoIterator for Props {
    type Item = (String, String);
    type IntoIter = indexmap::map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// A JSON object of texts, secrets too: this is how configurations are stored.
impl Serialize for Props {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Props {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IndexMap::deserialize(deserializer).map(Self::from)
    }
}

impl fmt::Debug for Props {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (key, value) in &self.entries {
            if self.secret.iter().any(|secret| secret == key)
                || names_a_secret(key)
                || carries_credentials(value)
            {
                map.entry(key, &HIDDEN);
            } else {
                map.entry(key, value);
            }
        }
        map.finish()
    }
}

/// Whether a key by its name holds a secret. The endings are those that Debezium masks, with what cloud clients use.
fn names_a_secret(key: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "secret",
        "password",
        "passwd",
        "passphrase",
        "token",
        "credentials",
        "credential",
        "api.key",
        "apikey",
        "access.key",
        "private.key",
        "secret.key",
        "sslkey",
        "keystore.key",
        "sasl.jaas.config",
        "user.info",
        "client-secret",
        "credentials.json",
        "connectionstring",
        "connection.string",
    ];
    let key = key.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| key.ends_with(ending))
}

/// Whether a text has credentials inside: `scheme://user:secret@host`, or a `password=` parameter.
fn carries_credentials(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    if lower.contains("password=") || lower.contains("secret=") {
        return true;
    }
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_prefixes_are_stripped() {
        let props = Props::from_iter([
            ("b", "1"),
            ("p.x", "2"),
            ("a", "3"),
            ("p.y.z", "4"),
            ("p.", "5"),
        ]);
        assert_eq!(
            props.keys().collect::<Vec<_>>(),
            ["b", "p.x", "a", "p.y.z", "p."]
        );
        assert_eq!(
            props.with_prefix("p.").iter().collect::<Vec<_>>(),
            [("x", "2"), ("y.z", "4")]
        );
    }

    #[test]
    fn debug_hides_what_looks_secret_or_was_marked() {
        let mut props = Props::from_iter([
            ("database.password", "aaa"),
            ("producer.override.sasl.jaas.config", "bbb"),
            ("connection.url", "postgres://u:ccc@host/d"),
            ("jdbc", "jdbc:postgresql://host/d?user=u&password=ddd"),
            ("shop.pin", "eee"),
            ("plain", "visible"),
            ("url", "http://host:80/a@b"),
        ]);
        props.mark_secret("shop.pin");
        let printed = format!("{props:?}");
        for secret in ["aaa", "bbb", "ccc", "ddd", "eee"] {
            assert!(!printed.contains(secret), "{secret} in {printed}");
        }
        assert!(
            printed.contains("visible") && printed.contains("http://host:80/a@b"),
            "{printed}"
        );
        assert!(
            !format!(
                "{:?}",
                Props::from_iter([("x.shop.pin", "eee")]).with_prefix("x.")
            )
            .is_empty()
        );
        let mut prefixed = Props::from_iter([("x.pin", "fff")]);
        prefixed.mark_secret("x.pin");
        assert!(!format!("{:?}", prefixed.with_prefix("x.")).contains("fff"));
    }

    #[test]
    fn null_is_not_a_property() {
        let raw = RawProps::from_iter([
            ("a".to_owned(), None),
            ("b".to_owned(), Some(String::new())),
        ]);
        assert_eq!(Props::from_raw(&raw), Props::from_iter([("b", "")]));
    }
}
