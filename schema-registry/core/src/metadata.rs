//! The metadata of a schema: tags by path, properties, names of sensitive properties. All sorted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use java_idioms::json::write_string_to_bytes;
use registry_formats::IdentityParts;

/// The property that carries the version of the schema.
pub(crate) const VERSION_PROPERTY: &str = "confluent:version";
/// The property that lists names no field may have.
pub(crate) const RESERVED_PROPERTY: &str = "confluent:reserved";

/// Metadata. An empty one is not the same as none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Metadata {
    pub(crate) tags: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    pub(crate) properties: BTreeMap<Arc<str>, Arc<str>>,
    pub(crate) sensitive: BTreeSet<Arc<str>>,
}

impl Metadata {
    /// The new one over the old one: per key, sensitive names united.
    pub(crate) fn merge(old: Option<&Arc<Self>>, new: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        match (old, new) {
            (None, other) | (other, None) => other.cloned(),
            (Some(old), Some(new)) => {
                let mut merged = Self::clone(old);
                merged
                    .tags
                    .extend(new.tags.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
                merged.properties.extend(
                    new.properties
                        .iter()
                        .map(|(k, v)| (Arc::clone(k), Arc::clone(v))),
                );
                merged.sensitive.extend(new.sensitive.iter().cloned());
                Some(Arc::new(merged))
            }
        }
    }

    /// The version it names, as text.
    pub(crate) fn version_text(&self) -> Option<&str> {
        self.properties.get(VERSION_PROPERTY).map(|v| &**v)
    }

    /// The version it names, if that is a number.
    pub(crate) fn version(&self) -> Option<i32> {
        self.version_text()?.parse().ok()
    }

    /// With another version.
    pub(crate) fn with_version(metadata: Option<&Arc<Self>>, version: i32) -> Arc<Self> {
        let mut changed = metadata.map(|m| Self::clone(m)).unwrap_or_default();
        changed
            .properties
            .insert(VERSION_PROPERTY.into(), version.to_string().into());
        Arc::new(changed)
    }

    /// Whether two are the same when neither's version counts.
    pub(crate) fn equal_without_version(a: &Self, b: &Self) -> bool {
        let properties = |m: &Self| -> Vec<(Arc<str>, Arc<str>)> {
            m.properties
                .iter()
                .filter(|(k, _)| &***k != VERSION_PROPERTY)
                .map(|(k, v)| (Arc::clone(k), Arc::clone(v)))
                .collect()
        };
        a.tags == b.tags && a.sensitive == b.sensitive && properties(a) == properties(b)
    }

    /// Names that no field may have.
    pub(crate) fn reserved_fields(&self) -> BTreeSet<&str> {
        self.properties
            .get(RESERVED_PROPERTY)
            .map(|list| {
                list.split(',')
                    .map(str::trim)
                    .filter(|f| !f.is_empty())
                    .collect()
            })
            .unwrap_or_default()
    }

    pub(crate) fn hash(&self, parts: &mut IdentityParts) {
        parts.mark();
        for (path, tags) in &self.tags {
            parts.text(path);
            for tag in tags {
                parts.text(tag);
            }
        }
        for (name, value) in &self.properties {
            parts.text(name).text(value);
        }
        for name in &self.sensitive {
            parts.text(name);
        }
    }

    /// Appends it as JSON; empty members are left out.
    pub(crate) fn write(&self, out: &mut String) {
        out.push('{');
        let mut separator = "";
        if !self.tags.is_empty() {
            out.push_str("\"tags\":{");
            for (i, (path, tags)) in self.tags.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string_to_bytes(path, out);
                out.push(':');
                write_names(tags, out);
            }
            out.push('}');
            separator = ",";
        }
        if !self.properties.is_empty() {
            out.push_str(separator);
            out.push_str("\"properties\":{");
            for (i, (name, value)) in self.properties.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string_to_bytes(name, out);
                out.push(':');
                write_string_to_bytes(value, out);
            }
            out.push('}');
            separator = ",";
        }
        if !self.sensitive.is_empty() {
            out.push_str(separator);
            out.push_str("\"sensitive\":");
            write_names(&self.sensitive, out);
        }
        out.push('}');
    }
}

fn write_names(names: &BTreeSet<Arc<str>>, out: &mut String) {
    out.push('[');
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string_to_bytes(name, out);
    }
    out.push(']');
}

/// As Java prints it inside error texts.
impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metadata{tags={")?;
        for (i, (path, tags)) in self.tags.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{path}=[{}]", join(tags))?;
        }
        f.write_str("}, properties={")?;
        for (i, (name, value)) in self.properties.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={value}")?;
        }
        write!(f, "}}, sensitive=[{}]}}", join(&self.sensitive))
    }
}

fn join(names: &BTreeSet<Arc<str>>) -> String {
    names.iter().map(|n| &**n).collect::<Vec<_>>().join(", ")
}
