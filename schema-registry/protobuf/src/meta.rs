//! Options of one name put together, and Confluent's meta data in them.

use indexmap::IndexMap;

use crate::ast::{OptionEntry, OptionValue};
use crate::print::{as_map, merge};

/// `(confluent.file_meta)` and its like on other parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// `doc`
    pub doc: Option<String>,
    /// `params`, in their order.
    pub params: IndexMap<String, String>,
    /// `tags`
    pub tags: Vec<String>,
    /// `rules`, each with what it gives of `name`, `doc`, `expr` and `sql`.
    pub rules: Vec<IndexMap<String, String>>,
}

impl Meta {
    /// The meta data that `name` (such as `confluent.field_meta`) gives in these options.
    pub fn find(options: &[OptionEntry], name: &str) -> Option<Self> {
        let option = find_option(options, name)?;
        let OptionValue::Map(map) = option.value else {
            return None;
        };
        let mut meta = Self {
            doc: map
                .get("doc")
                .and_then(OptionValue::as_text)
                .map(str::to_owned),
            ..Self::default()
        };
        for entry in map.get("params").into_iter().flat_map(items) {
            if let OptionValue::Map(entry) = entry {
                let text = |key: &str| {
                    entry
                        .get(key)
                        .and_then(OptionValue::as_text)
                        .unwrap_or_default()
                        .to_owned()
                };
                meta.params.insert(text("key"), text("value"));
            }
        }
        for tag in map.get("tags").into_iter().flat_map(items) {
            meta.tags.push(crate::print::java_inner_text(tag));
        }
        for rule in map.get("rules").into_iter().flat_map(items) {
            if let OptionValue::Map(rule) = rule {
                meta.rules.push(
                    rule.iter()
                        .filter_map(|(key, value)| Some((key.clone(), value.as_text()?.to_owned())))
                        .collect(),
                );
            }
        }
        Some(meta)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.doc.is_none()
            && self.params.is_empty()
            && self.tags.is_empty()
            && self.rules.is_empty()
    }

    /// As the option that says it. `precision` and `scale` are written with their value first, as ever since the first release.
    pub fn to_option(&self, name: &str) -> Option<OptionEntry> {
        let mut map = IndexMap::new();
        if let Some(doc) = self.doc.as_ref().filter(|doc| !doc.is_empty()) {
            map.insert("doc".to_owned(), OptionValue::text(doc));
        }
        if !self.params.is_empty() {
            let params = self.params.iter().map(|(key, value)| {
                let mut pair = [
                    ("key", OptionValue::text(key)),
                    ("value", OptionValue::text(value)),
                ];
                if key == "precision" || key == "scale" {
                    pair.reverse();
                }
                OptionValue::map(pair)
            });
            map.insert("params".to_owned(), OptionValue::List(params.collect()));
        }
        if !self.tags.is_empty() {
            let tags = self.tags.iter().map(OptionValue::text).collect();
            map.insert("tags".to_owned(), OptionValue::List(tags));
        }
        let rules: Vec<OptionValue> = self
            .rules
            .iter()
            .filter(|rule| !rule.is_empty())
            .map(|rule| {
                OptionValue::map(
                    rule.iter()
                        .map(|(key, value)| (key.clone(), OptionValue::text(value))),
                )
            })
            .collect();
        if !rules.is_empty() {
            map.insert("rules".to_owned(), OptionValue::List(rules));
        }
        (!map.is_empty()).then(|| OptionEntry::custom(name, OptionValue::Map(map)))
    }
}

fn items(value: &OptionValue) -> &[OptionValue] {
    match value {
        OptionValue::List(list) => list,
        value => std::slice::from_ref(value),
    }
}

/// The option of this name; several of it are put together.
pub(crate) fn find_option(options: &[OptionEntry], name: &str) -> Option<OptionEntry> {
    let found: Vec<OptionEntry> = options
        .iter()
        .filter(|option| option.plain_name() == name)
        .map(|option| OptionEntry {
            value: as_map(option.value.clone()),
            ..option.clone()
        })
        .collect();
    merge(found)
}

/// Its text.
pub(crate) fn find_text(options: &[OptionEntry], name: &str) -> Option<String> {
    find_option(options, name).map(|option| crate::print::java_text(&option.value))
}

/// Its text as Java reads a boolean.
pub(crate) fn find_flag(options: &[OptionEntry], name: &str) -> Option<bool> {
    find_text(options, name).map(|text| text.eq_ignore_ascii_case("true"))
}
