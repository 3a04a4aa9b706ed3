//! Fields and their types.

use super::Kind;
use super::compare::{Comparison, Remembered, Trace, id_of, is_map_entry};
use crate::Scalar;
use crate::ast::{Field, Label, Message, TypeElement, map_parts};
use crate::scope::{Origin, Scope, TypeInfo};

/// Results kept for one pair of messages under different circumstances.
const MAX_REMEMBERED: usize = 8;

/// Scalars that can be read as each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Number,
    Signed,
    Text,
    Fixed32,
    Fixed64,
    Float,
    Double,
}

fn group_of(scalar: Scalar) -> Group {
    match scalar {
        Scalar::Int32 | Scalar::Int64 | Scalar::Uint32 | Scalar::Uint64 | Scalar::Bool => {
            Group::Number
        }
        Scalar::Sint32 | Scalar::Sint64 => Group::Signed,
        Scalar::String | Scalar::Bytes => Group::Text,
        Scalar::Fixed32 | Scalar::Sfixed32 => Group::Fixed32,
        Scalar::Fixed64 | Scalar::Sfixed64 => Group::Fixed64,
        Scalar::Float => Group::Float,
        Scalar::Double => Group::Double,
    }
}

/// A field's type on one side.
enum FieldType<'i, 'a> {
    Scalar(Group),
    Map(&'a str, &'a str),
    /// A message, or a name that means nothing: its full name and what it means.
    Message(&'a str, Option<(String, &'i TypeInfo<'a>)>),
}

impl<'i, 'a> Comparison<'i, 'a> {
    pub(super) fn field(&mut self, original: &'a Field, update: &'a Field) -> Result<(), String> {
        self.types_of_field(
            (&original.type_name, original.label),
            (&update.type_name, update.label),
        )
    }

    fn types_of_field(
        &mut self,
        original: (&'a str, Option<Label>),
        update: (&'a str, Option<Label>),
    ) -> Result<(), String> {
        self.step(1)?;
        let original_type = field_type(&self.original.scope, self.original.index, original.0);
        let update_type = field_type(&self.update.scope, self.update.index, update.0);
        match (original_type, update_type) {
            (FieldType::Scalar(a), FieldType::Scalar(b)) if a != b => {
                self.add(Kind::FieldScalarKindChanged);
                Ok(())
            }
            (FieldType::Scalar(group), FieldType::Scalar(_)) => {
                // A label that is not written differs from none.
                if let (Some(a), Some(b)) = (original.1, update.1)
                    && a != b
                    && group != Group::Text
                {
                    self.add(Kind::FieldNumericLabelChanged);
                }
                Ok(())
            }
            (FieldType::Map(key, value), FieldType::Map(new_key, new_value)) => {
                self.deeper(|comparison| {
                    comparison.types_of_field((key, None), (new_key, None))?;
                    comparison.types_of_field((value, None), (new_value, None))
                })
            }
            (FieldType::Message(name, original), FieldType::Message(new_name, update)) => {
                match original.zip(update) {
                    Some((original, update)) => self.message_types(&original, &update),
                    None => {
                        if name != new_name {
                            self.add(Kind::FieldNamedTypeChanged);
                        }
                        Ok(())
                    }
                }
            }
            _ => {
                self.add(Kind::FieldKindChanged);
                Ok(())
            }
        }
    }

    fn message_types(
        &mut self,
        (original_name, original): &(String, &'i TypeInfo<'a>),
        (update_name, update): &(String, &'i TypeInfo<'a>),
    ) -> Result<(), String> {
        let local = local_name(original_name, original.package);
        if local != local_name(update_name, update.package) {
            self.add(Kind::FieldNamedTypeChanged);
            return Ok(());
        }
        let same = match (original.origin, update.origin) {
            // Compared where they are declared.
            (Origin::Own, Origin::Own) => true,
            (Origin::Known(a), Origin::Known(b)) => a == b,
            (Origin::Reference(a), Origin::Reference(b)) => self.same_references && a == b,
            _ => false,
        };
        let (TypeElement::Message(old), TypeElement::Message(new)) =
            (original.element, update.element)
        else {
            return Ok(());
        };
        if same {
            return Ok(());
        }
        let before = self.found.len();
        self.elsewhere(old, new, original.package, update.package, local)?;
        if self.found.len() > before {
            self.add(Kind::FieldNamedTypeChanged);
        }
        Ok(())
    }

    /// Compares two messages at their own place, with paths from there.
    fn elsewhere(
        &mut self,
        old: &'a Message,
        new: &'a Message,
        old_package: &'a str,
        new_package: &'a str,
        local: &str,
    ) -> Result<(), String> {
        let key = (id_of(old), id_of(new));
        if self.recall(key)? {
            return Ok(());
        }
        // The parts of the name live as long as the tree; those given do not.
        let parts = declared_path(self, old_package, local);
        let path = std::mem::replace(
            &mut self.path,
            parts.iter().map(|part| (*part).to_owned()).collect(),
        );
        let mut old_scope = Scope::of_package(self.original.index, Some(old_package));
        let mut new_scope = Scope::of_package(self.update.index, Some(new_package));
        old_scope.restart(self.original.index, &parts);
        new_scope.restart(self.update.index, &parts);
        std::mem::swap(&mut self.original.scope, &mut old_scope);
        std::mem::swap(&mut self.update.scope, &mut new_scope);
        let before = self.found.len();
        self.traces.push(Trace::default());

        let result = self.deeper(|comparison| comparison.messages(old, new));

        let trace = self.traces.pop().unwrap_or_default();
        self.original.scope = old_scope;
        self.update.scope = new_scope;
        self.path = path;
        result?;
        self.remember(key, trace, before)
    }

    /// Takes over a result that holds here too.
    fn recall(&mut self, key: (usize, usize)) -> Result<bool, String> {
        let Some(all) = self.memo.get(&key) else {
            return Ok(false);
        };
        let fitting = all.iter().find(|kept| {
            kept.trace.hits.iter().all(|id| self.running.contains(id))
                && kept.trace.entered.is_disjoint(&self.running)
        });
        let Some(kept) = fitting.cloned() else {
            return Ok(false);
        };
        self.step(1 + kept.found.len() + kept.trace.hits.len() + kept.trace.entered.len())?;
        self.note(&kept.trace);
        self.found.extend(kept.found);
        Ok(true)
    }

    fn remember(
        &mut self,
        key: (usize, usize),
        mut trace: Trace,
        before: usize,
    ) -> Result<(), String> {
        let entered = std::mem::take(&mut trace.entered);
        trace.hits.retain(|id| !entered.contains(id));
        trace.entered = entered;
        self.step(1 + trace.hits.len() + trace.entered.len())?;
        self.note(&trace);
        let found = self.found.get(before..).unwrap_or_default().to_vec();
        self.step(found.len())?;
        let kept = self.memo.entry(key).or_default();
        if kept.len() < MAX_REMEMBERED {
            kept.push(Remembered { trace, found });
        }
        Ok(())
    }

    /// What an inner comparison met, the outer one met as well.
    fn note(&mut self, inner: &Trace) {
        if let Some(outer) = self.traces.last_mut() {
            outer.hits.extend(&inner.hits);
            outer.entered.extend(&inner.entered);
        }
    }
}

/// The names of the messages down to the one of this local name, as they stand in the tree.
fn declared_path<'a>(comparison: &Comparison<'_, 'a>, package: &str, local: &str) -> Vec<&'a str> {
    let mut full = package.to_owned();
    local
        .split('.')
        .filter_map(|part| {
            if !full.is_empty() {
                full.push('.');
            }
            full.push_str(part);
            Some(comparison.original.index.type_of(&full)?.element.name())
        })
        .collect()
}

fn local_name<'n>(full_name: &'n str, package: &str) -> &'n str {
    full_name
        .strip_prefix(package)
        .and_then(|rest| rest.strip_prefix('.'))
        .filter(|_| !package.is_empty())
        .unwrap_or(full_name)
}

fn field_type<'i, 'a>(
    scope: &Scope<'_>,
    index: &'i crate::scope::TypeIndex<'a>,
    type_name: &'a str,
) -> FieldType<'i, 'a> {
    if let Some(scalar) = Scalar::from_name(type_name) {
        return FieldType::Scalar(group_of(scalar));
    }
    if let Some((key, value)) = map_parts(type_name) {
        return FieldType::Map(key, value);
    }
    let found = scope.find_type(index, type_name);
    match &found {
        Some((_, info)) if matches!(info.element, TypeElement::Enum(_)) => {
            FieldType::Scalar(Group::Number)
        }
        Some((_, info)) if is_map_entry(info.element) && info.map.is_some() => {
            let (key, value) = info.map.unwrap_or_default();
            FieldType::Map(key, value)
        }
        _ => FieldType::Message(type_name, found),
    }
}
