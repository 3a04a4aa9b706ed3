//! Objects and arrays: who is open to what the other side names, and who is not.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;
use java_idioms::hash_order_with_capacity;

use super::change::Change;
use super::outcome::{Outcome, Step};
use super::{Comparison, Pair, Stop, limit};
use crate::model::{ArrayKind, FALSE, Kind, Node, NodeId, ObjectKind};
use crate::pattern::NamePattern;

/// The changes of a keyword that holds a schema for everything else.
struct Rest {
    keyword: &'static str,
    removed: Change,
    narrowed: Change,
}

const ADDITIONAL_PROPERTIES: Rest = Rest {
    keyword: "additionalProperties",
    removed: Change::AdditionalPropertiesRemoved,
    narrowed: Change::AdditionalPropertiesNarrowed,
};
const UNEVALUATED_PROPERTIES: Rest = Rest {
    keyword: "unevaluatedProperties",
    removed: Change::UnevaluatedPropertiesRemoved,
    narrowed: Change::UnevaluatedPropertiesNarrowed,
};
const ADDITIONAL_ITEMS: Rest = Rest {
    keyword: "additionalItems",
    removed: Change::AdditionalItemsRemoved,
    narrowed: Change::AdditionalItemsNarrowed,
};
const UNEVALUATED_ITEMS: Rest = Rest {
    keyword: "unevaluatedItems",
    removed: Change::UnevaluatedItemsRemoved,
    narrowed: Change::UnevaluatedItemsNarrowed,
};

fn is_empty(node: &Node) -> bool {
    matches!(node.kind, Kind::Empty | Kind::True)
}

fn is_false(node: &Node) -> bool {
    matches!(node.kind, Kind::False)
}

/// The names of both sides in the order of a Java hash set that was made from the old ones and then got the new ones.
fn union<'k, V>(
    old: &'k IndexMap<Arc<str>, V>,
    new: &'k IndexMap<Arc<str>, V>,
) -> Vec<&'k Arc<str>> {
    let names = old
        .keys()
        .chain(new.keys().filter(|name| !old.contains_key(&***name)));
    let buckets = (old.len() * 4 / 3 + 1).max(16).next_power_of_two();
    hash_order_with_capacity(names, buckets, |name| name)
}

impl<'m> Comparison<'m> {
    pub(super) fn objects(
        &mut self,
        outcome: &mut Outcome,
        pair: Pair,
        old: &'m ObjectKind,
        new: &'m ObjectKind,
    ) -> Result<(), Stop> {
        self.step(old.properties.len() + new.properties.len())?;
        for name in old.properties.keys() {
            let Some(schema) = new.properties.get(name) else {
                continue;
            };
            if new.required.contains(name)
                && !old.required.contains(name)
                && !self.new_node(pair.swapped, *schema).has_default
            {
                outcome.push(
                    Step::Named("required", Arc::clone(name)),
                    Change::RequiredAttributeAdded,
                );
            }
        }
        for name in union(&old.properties, &new.properties) {
            let step = Step::Named("properties", Arc::clone(name));
            match (old.properties.get(name), new.properties.get(name)) {
                (Some(old), Some(new)) => {
                    let inner = self.within(Pair {
                        old: *old,
                        new: *new,
                        ..pair
                    })?;
                    outcome.nest(step, inner);
                }
                (Some(schema), None) => {
                    self.property_removed(outcome, pair, step, name, *schema, new)?
                }
                (None, Some(schema)) => {
                    self.property_added(outcome, pair, step, name, *schema, [old, new])?;
                }
                (None, None) => {}
            }
        }
        self.dependencies(outcome, pair, old, new)?;
        self.permission(
            outcome,
            pair,
            &ADDITIONAL_PROPERTIES,
            [
                (old.permits_additional, old.additional),
                (new.permits_additional, new.additional),
            ],
        )?;
        self.unevaluated(
            outcome,
            pair,
            &UNEVALUATED_PROPERTIES,
            [old.unevaluated, new.unevaluated],
        )?;
        limit(
            outcome,
            "maxProperties",
            [old.max_properties, new.max_properties],
            [
                Some(Change::MaxPropertiesAdded),
                None,
                Some(Change::MaxPropertiesDecreased),
            ],
        );
        limit(
            outcome,
            "minProperties",
            [old.min_properties, new.min_properties],
            [
                Some(Change::MinPropertiesAdded),
                Some(Change::MinPropertiesIncreased),
                None,
            ],
        );
        Ok(())
    }

    fn property_removed(
        &mut self,
        outcome: &mut Outcome,
        pair: Pair,
        step: Step,
        name: &str,
        schema: NodeId,
        new: &ObjectKind,
    ) -> Result<(), Stop> {
        if self.is_open(new, !pair.swapped) {
            return Ok(());
        }
        match self.covering(new, !pair.swapped, pair.new, name)? {
            Some(covering) => {
                let inner = self.within(Pair {
                    old: schema,
                    new: covering,
                    ..pair
                })?;
                if !inner.is_compatible() {
                    outcome.nest(step.clone(), inner);
                    self.record(outcome, step, Change::PropertyRemovedNotCovered);
                }
            }
            None if is_false(self.old_node(pair.swapped, schema)) => {}
            None => self.record(outcome, step, Change::PropertyRemovedFromClosed),
        }
        Ok(())
    }

    fn property_added(
        &mut self,
        outcome: &mut Outcome,
        pair: Pair,
        step: Step,
        name: &Arc<str>,
        schema: NodeId,
        [old, new]: [&ObjectKind; 2],
    ) -> Result<(), Stop> {
        let node = self.new_node(pair.swapped, schema);
        let required = new.required.contains(name);
        if self.is_open(old, pair.swapped) {
            if !is_empty(node) {
                let change = match (required, node.has_default) {
                    (true, true) => Change::RequiredPropertyWithDefaultAddedToOpen,
                    (true, false) => Change::RequiredPropertyAddedToOpen,
                    (false, _) => Change::OptionalPropertyAddedToOpen,
                };
                self.record(outcome, step, change);
            }
            return Ok(());
        }
        if let Some(covering) = self.covering(old, pair.swapped, pair.old, name)? {
            let inner = self.within(Pair {
                old: covering,
                new: schema,
                ..pair
            })?;
            if !inner.is_compatible() {
                outcome.nest(step.clone(), inner);
                self.record(outcome, step.clone(), Change::PropertyAddedNotCovered);
            }
        }
        if required && !node.has_default {
            self.record(outcome, step, Change::RequiredPropertyAddedToUnopen);
        }
        Ok(())
    }

    /// Whether the object takes any property of any kind. `side`: in which model its children are.
    fn is_open(&self, kind: &ObjectKind, side: bool) -> bool {
        kind.permits_additional
            && kind.additional.is_none()
            && kind.pattern_properties.is_empty()
            && kind
                .unevaluated
                .is_none_or(|id| is_empty(self.models[usize::from(side)].node(id)))
    }

    /// The schema that a partially open object has for a property it does not name.
    fn covering(
        &mut self,
        kind: &ObjectKind,
        side: bool,
        id: NodeId,
        name: &str,
    ) -> Result<Option<NodeId>, Stop> {
        for (index, (pattern, schema)) in kind.pattern_properties.iter().enumerate() {
            self.step(1 + name.len() / 16)?;
            let compiled = self
                .patterns
                .entry((side, id, index))
                .or_insert_with(|| NamePattern::new(pattern));
            if compiled.finds(name) {
                return Ok(Some(*schema));
            }
        }
        Ok(self.remaining(
            kind.permits_additional,
            kind.additional,
            kind.unevaluated,
            side,
        ))
    }

    /// The schema for everything that is not named.
    fn remaining(
        &self,
        permits: bool,
        additional: Option<NodeId>,
        unevaluated: Option<NodeId>,
        side: bool,
    ) -> Option<NodeId> {
        additional.or_else(|| {
            unevaluated.filter(|id| {
                let node = self.models[usize::from(side)].node(*id);
                permits && !is_false(node) && !is_empty(node)
            })
        })
    }

    fn dependencies(
        &mut self,
        outcome: &mut Outcome,
        pair: Pair,
        old: &'m ObjectKind,
        new: &'m ObjectKind,
    ) -> Result<(), Stop> {
        for name in union(&old.property_dependencies, &new.property_dependencies) {
            let change = match (
                old.property_dependencies.get(name),
                new.property_dependencies.get(name),
            ) {
                (None, Some(_)) => Some(Change::DependencyArrayAdded),
                (Some(old), Some(new)) => {
                    self.step(old.len() + new.len())?;
                    dependency_change(old, new)
                }
                _ => None,
            };
            if let Some(change) = change {
                outcome.push(Step::Named("dependencies", Arc::clone(name)), change);
            }
        }
        for name in union(&old.schema_dependencies, &new.schema_dependencies) {
            let step = Step::Named("dependencies", Arc::clone(name));
            match (
                old.schema_dependencies.get(name),
                new.schema_dependencies.get(name),
            ) {
                (None, Some(_)) => outcome.push(step, Change::DependencySchemaAdded),
                (Some(old), Some(new)) => {
                    let inner = self.within(Pair {
                        old: *old,
                        new: *new,
                        ..pair
                    })?;
                    outcome.nest(step, inner);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `additionalProperties` and `additionalItems`: allowed or not, and with which schema.
    fn permission(
        &mut self,
        outcome: &mut Outcome,
        pair: Pair,
        rest: &Rest,
        [old, new]: [(bool, Option<NodeId>); 2],
    ) -> Result<(), Stop> {
        let step = Step::Keyword(rest.keyword);
        match (old, new) {
            ((true, _), (false, _)) => self.record(outcome, step, rest.removed),
            ((false, _), (true, _)) => {}
            ((_, None), (_, Some(_))) => self.record(outcome, step, rest.narrowed),
            ((_, Some(old)), (_, Some(new))) => {
                let inner = self.within(Pair { old, new, ..pair })?;
                outcome.nest(step, inner);
            }
            ((_, _), (_, None)) => {}
        }
        Ok(())
    }

    /// `unevaluatedProperties` and `unevaluatedItems`: booleans count as no and as all.
    fn unevaluated(
        &mut self,
        outcome: &mut Outcome,
        pair: Pair,
        rest: &Rest,
        [old, new]: [Option<NodeId>; 2],
    ) -> Result<(), Stop> {
        let step = Step::Keyword(rest.keyword);
        let Some(new) = new else { return Ok(()) };
        let new_node = self.new_node(pair.swapped, new);
        let Some(old) = old else {
            let change = if new == FALSE {
                rest.removed
            } else {
                rest.narrowed
            };
            self.record(outcome, step, change);
            return Ok(());
        };
        let old_node = self.old_node(pair.swapped, old);
        match (is_false(old_node), is_false(new_node)) {
            (true, false) => {}
            (false, true) => self.record(outcome, step, rest.removed),
            _ => match (is_empty(old_node), is_empty(new_node)) {
                (true, false) => self.record(outcome, step, rest.narrowed),
                (false, true) => {}
                _ => {
                    let inner = self.within(Pair { old, new, ..pair })?;
                    outcome.nest(step, inner);
                }
            },
        }
        Ok(())
    }

    pub(super) fn arrays(
        &mut self,
        outcome: &mut Outcome,
        pair: Pair,
        old: &'m ArrayKind,
        new: &'m ArrayKind,
    ) -> Result<(), Stop> {
        match (old.items, new.items) {
            (None, Some(_)) => outcome.push(Step::Keyword("items"), Change::SchemaAdded),
            (Some(old), Some(new)) => {
                let inner = self.within(Pair { old, new, ..pair })?;
                outcome.nest(Step::Keyword("items"), inner);
            }
            _ => {}
        }
        self.tuples(outcome, pair, old, new)?;
        self.permission(
            outcome,
            pair,
            &ADDITIONAL_ITEMS,
            [
                (old.permits_additional, old.additional),
                (new.permits_additional, new.additional),
            ],
        )?;
        self.unevaluated(
            outcome,
            pair,
            &UNEVALUATED_ITEMS,
            [old.unevaluated, new.unevaluated],
        )?;
        limit(
            outcome,
            "maxItems",
            [old.max_items, new.max_items],
            [
                Some(Change::MaxItemsAdded),
                None,
                Some(Change::MaxItemsDecreased),
            ],
        );
        limit(
            outcome,
            "minItems",
            [old.min_items, new.min_items],
            [
                Some(Change::MinItemsAdded),
                Some(Change::MinItemsIncreased),
                None,
            ],
        );
        if new.unique && !old.unique {
            outcome.push(Step::Keyword("uniqueItems"), Change::UniqueItemsAdded);
        }
        limit(
            outcome,
            "maxContains",
            [old.max_contains, new.max_contains],
            [
                Some(Change::MaxContainsAdded),
                None,
                Some(Change::MaxContainsDecreased),
            ],
        );
        limit(
            outcome,
            "minContains",
            [old.min_contains, new.min_contains],
            [
                Some(Change::MinContainsAdded),
                Some(Change::MinContainsIncreased),
                None,
            ],
        );
        Ok(())
    }

    fn tuples(
        &mut self,
        outcome: &mut Outcome,
        pair: Pair,
        old: &'m ArrayKind,
        new: &'m ArrayKind,
    ) -> Result<(), Stop> {
        let both = old.tuple.len().min(new.tuple.len());
        for index in 0..both {
            let inner = self.within(Pair {
                old: old.tuple[index],
                new: new.tuple[index],
                ..pair
            })?;
            outcome.nest(Step::Index("items", index), inner);
        }
        for (index, schema) in old.tuple.iter().enumerate().skip(both) {
            self.step(1)?;
            let step = Step::Index("items", index);
            if self.takes_any_item(new, !pair.swapped) {
                continue;
            }
            match self.remaining(
                new.permits_additional,
                new.additional,
                new.unevaluated,
                !pair.swapped,
            ) {
                Some(covering) => {
                    let inner = self.within(Pair {
                        old: *schema,
                        new: covering,
                        ..pair
                    })?;
                    if !inner.is_compatible() {
                        outcome.nest(step.clone(), inner);
                        outcome.push(step, Change::ItemRemovedNotCovered);
                    }
                }
                None if is_false(self.old_node(pair.swapped, *schema)) => {}
                None => outcome.push(step, Change::ItemRemovedFromClosed),
            }
        }
        for (index, schema) in new.tuple.iter().enumerate().skip(both) {
            self.step(1)?;
            let step = Step::Index("items", index);
            if self.takes_any_item(old, pair.swapped) {
                if !is_empty(self.new_node(pair.swapped, *schema)) {
                    outcome.push(step, Change::ItemAddedToOpen);
                }
            } else if let Some(covering) = self.remaining(
                old.permits_additional,
                old.additional,
                old.unevaluated,
                pair.swapped,
            ) {
                let inner = self.within(Pair {
                    old: covering,
                    new: *schema,
                    ..pair
                })?;
                if !inner.is_compatible() {
                    outcome.nest(step.clone(), inner);
                    outcome.push(step, Change::ItemAddedNotCovered);
                }
            }
        }
        Ok(())
    }

    /// Whether the array takes anything behind the items it names.
    fn takes_any_item(&self, kind: &ArrayKind, side: bool) -> bool {
        kind.permits_additional
            && kind.additional.is_none()
            && kind
                .unevaluated
                .is_none_or(|id| is_empty(self.models[usize::from(side)].node(id)))
    }
}

/// How a list of demanded properties changed, where that is incompatible.
fn dependency_change(old: &HashSet<Arc<str>>, new: &HashSet<Arc<str>>) -> Option<Change> {
    if old.is_superset(new) {
        None
    } else if new.is_superset(old) {
        Some(Change::DependencyArrayExtended)
    } else {
        Some(Change::DependencyArrayChanged)
    }
}
