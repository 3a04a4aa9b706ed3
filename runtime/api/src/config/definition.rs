//! A table of configuration keys.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::class_names::{AnyClass, ClassNames};
use super::dialect::Dialect;
use super::evaluate::{ConfigValue, Evaluation, evaluate};
use super::key::{ConfigKey, DefaultValue};
use super::props::RawProps;

/// The keys that a plugin has, in the order in which they are published.
#[derive(Clone, Debug, Default)]
pub struct ConfigDef {
    keys: IndexMap<String, ConfigKey>,
    dialect: Dialect,
}

impl ConfigDef {
    /// No keys, by Connect's rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// No keys, by the rules of `dialect`.
    pub fn with_dialect(dialect: Dialect) -> Self {
        Self {
            keys: IndexMap::new(),
            dialect,
        }
    }

    /// Whose rules apply.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Adds a key; one of the same name is replaced in its place.
    #[must_use]
    pub fn define(mut self, key: ConfigKey) -> Self {
        self.push(key);
        self
    }

    /// Adds a key; one of the same name is replaced in its place.
    pub fn push(&mut self, key: ConfigKey) {
        self.keys.insert(key.name.clone(), key);
    }

    /// Adds every key of `other`; those of the same name are replaced in their place.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        for key in other.keys.values() {
            self.push(key.clone());
        }
        self
    }

    /// Adds every key of `other` that is not there yet.
    #[must_use]
    pub fn merge_missing(mut self, other: &Self) -> Self {
        for (name, key) in &other.keys {
            self.keys.entry(name.clone()).or_insert_with(|| key.clone());
        }
        self
    }

    /// Adds the keys of `child` under `prefix`, numbered from `first_order` in `group` (a key's own group becomes `<group>: <own>`), sorted as a form would:
    /// by group, order, required first, importance, name. Validators go on seeing the keys without the prefix.
    #[must_use]
    pub fn embed(mut self, prefix: &str, group: &str, first_order: i32, child: &Self) -> Self {
        for (order, key) in (first_order..).zip(child.sorted()) {
            let label = key.label().to_owned();
            self.push(ConfigKey {
                name: format!("{prefix}{}", key.name),
                group: Some(
                    key.group
                        .as_ref()
                        .map_or_else(|| group.to_owned(), |own| format!("{group}: {own}")),
                ),
                order_in_group: Some(order),
                display_name: Some(label),
                dependents: key
                    .dependents
                    .iter()
                    .map(|dependent| format!("{prefix}{dependent}"))
                    .collect(),
                own_name: Some(key.own_name().to_owned()),
                ..key.clone()
            });
        }
        self
    }

    /// Puts the keys into the order of `names`; those that are not named follow in the order they had.
    #[must_use]
    pub fn reorder(mut self, names: &[&str]) -> Self {
        let mut keys = IndexMap::with_capacity(self.keys.len());
        for name in names {
            if let Some((name, key)) = self.keys.shift_remove_entry(*name) {
                keys.insert(name, key);
            }
        }
        keys.extend(self.keys);
        Self { keys, ..self }
    }

    /// The key of this name.
    pub fn get(&self, name: &str) -> Option<&ConfigKey> {
        self.keys.get(name)
    }

    /// The key of this name, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut ConfigKey> {
        self.keys.get_mut(name)
    }

    /// Whether there is a key of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.keys.contains_key(name)
    }

    /// All keys, hidden ones too.
    pub fn keys(&self) -> impl Iterator<Item = &ConfigKey> {
        self.keys.values()
    }

    /// The keys that are published.
    pub fn published(&self) -> impl Iterator<Item = &ConfigKey> {
        self.keys.values().filter(|key| !key.hidden)
    }

    /// Every name that a configuration may use: keys, hidden keys and aliases.
    pub fn known_names(&self) -> impl Iterator<Item = &str> {
        self.keys.values().flat_map(|key| {
            std::iter::once(key.name.as_str()).chain(key.aliases.iter().map(String::as_str))
        })
    }

    /// The groups of published keys, in the order of their first key.
    pub fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = Vec::new();
        for group in self.published().filter_map(|key| key.group.as_ref()) {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        groups
    }

    /// Place in its group of every published key, by name: -1 without a group.
    pub(super) fn orders(&self) -> HashMap<&str, i32> {
        let mut last: HashMap<&str, i32> = HashMap::new();
        let mut orders: HashMap<&str, i32> = HashMap::new();
        for key in self.published() {
            let order = match (&key.group, key.order_in_group, &key.alias_of) {
                (None, explicit, _) => explicit.unwrap_or(-1),
                (Some(_), Some(explicit), _) => explicit,
                (Some(_), None, Some(original)) if orders.contains_key(original.as_str()) => {
                    orders[original.as_str()]
                }
                (Some(group), None, _) => last.get(group.as_str()).map_or(1, |last| last + 1),
            };
            if let Some(group) = &key.group {
                last.insert(group, order);
            }
            orders.insert(&key.name, order);
        }
        orders
    }

    /// The keys as a form would sort them.
    fn sorted(&self) -> Vec<&ConfigKey> {
        let groups = self.groups();
        let orders = self.orders();
        let mut keys: Vec<&ConfigKey> = self.published().collect();
        keys.sort_by_cached_key(|key| {
            (
                key.group
                    .as_ref()
                    .map(|group| groups.iter().position(|known| known == group)),
                orders.get(key.name.as_str()).copied(),
                key.default != DefaultValue::Required,
                key.importance,
                key.name.clone(),
            )
        });
        keys
    }

    /// Parses and checks every key of `raw`. Classes are taken by name.
    pub fn evaluate(&self, raw: &RawProps) -> Evaluation {
        evaluate(self, raw, &AnyClass)
    }

    /// Parses and checks every key of `raw`; a class must be one that `classes` knows.
    pub fn evaluate_with(&self, raw: &RawProps, classes: &dyn ClassNames) -> Evaluation {
        evaluate(self, raw, classes)
    }

    /// The published keys with values, errors and recommendations, as `/validate` shows them: all errors at once.
    pub fn validate(&self, raw: &RawProps) -> Vec<ConfigValue> {
        self.evaluate(raw).into_values()
    }

    /// The same with classes that `classes` knows.
    pub fn validate_with(&self, raw: &RawProps, classes: &dyn ClassNames) -> Vec<ConfigValue> {
        self.evaluate_with(raw, classes).into_values()
    }
}
