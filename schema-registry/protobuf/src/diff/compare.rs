//! Files, types and messages.

use std::collections::{HashMap, HashSet};
use std::ptr;

use indexmap::IndexMap;

use super::{Found, Kind, order};
use crate::ProtobufSchema;
use crate::ast::{Field, Label, Message, Oneof, TypeElement};
use crate::scope::{Scope, TypeIndex};

/// Steps of one comparison. Schemas of 10 MB that differ in every field take a few hundred thousand; messages that refer to each other across files in every way could take any number.
const MAX_STEPS: usize = 1_000_000;

/// How deep messages are followed into each other.
const MAX_DEPTH: usize = 160;

/// Differences beyond this number say nothing new and are dropped.
const MAX_FOUND: usize = 10_000;

/// A message by its address: the same name can mean different messages on both sides.
pub(super) type Id = usize;

pub(super) fn id_of(message: &Message) -> Id {
    ptr::from_ref(message) as usize
}

/// Compares two schemas.
pub(super) fn run(
    original: &ProtobufSchema,
    update: &ProtobufSchema,
) -> Result<Vec<Found>, String> {
    let (original_index, update_index) = (original.index(), update.index());
    let same_references = original.references().len() == update.references().len()
        && original
            .references()
            .iter()
            .zip(update.references())
            .all(|(a, b)| a == b);
    let mut comparison = Comparison {
        original: Side {
            index: &original_index,
            scope: Scope::of_package(&original_index, original.file().package.as_deref()),
        },
        update: Side {
            index: &update_index,
            scope: Scope::of_package(&update_index, update.file().package.as_deref()),
        },
        path: Vec::new(),
        found: Vec::new(),
        same_references,
        running: HashSet::new(),
        traces: Vec::new(),
        memo: HashMap::new(),
        steps: 0,
        depth: 0,
    };
    if original.file().package != update.file().package {
        comparison.add(Kind::PackageChanged);
    }
    comparison.types(&original.file().types, &update.file().types)?;
    if original_index.is_exhausted() || update_index.is_exhausted() {
        return Err(too_large());
    }
    Ok(comparison.found)
}

pub(super) fn too_large() -> String {
    format!(
        "the schemas are too large or too entangled to be compared: more than {MAX_STEPS} steps or {MAX_DEPTH} levels"
    )
}

/// One of the two schemas.
pub(super) struct Side<'i, 'a> {
    pub(super) index: &'i TypeIndex<'a>,
    pub(super) scope: Scope<'a>,
}

/// What a comparison of two messages met on its way; its result holds wherever it would meet the same.
#[derive(Debug, Default, Clone)]
pub(super) struct Trace {
    /// Messages that were being compared already, so that they were not entered again.
    pub(super) hits: HashSet<Id>,
    /// Messages that were entered.
    pub(super) entered: HashSet<Id>,
}

#[derive(Debug, Clone)]
pub(super) struct Remembered {
    pub(super) trace: Trace,
    pub(super) found: Vec<Found>,
}

pub(super) struct Comparison<'i, 'a> {
    pub(super) original: Side<'i, 'a>,
    pub(super) update: Side<'i, 'a>,
    pub(super) path: Vec<String>,
    pub(super) found: Vec<Found>,
    /// Both refer to the same files.
    pub(super) same_references: bool,
    /// Messages of the original that are being compared.
    pub(super) running: HashSet<Id>,
    pub(super) traces: Vec<Trace>,
    pub(super) memo: HashMap<(Id, Id), Vec<Remembered>>,
    steps: usize,
    pub(super) depth: usize,
}

impl<'a> Comparison<'_, 'a> {
    pub(super) fn add(&mut self, kind: Kind) {
        if self.found.len() < MAX_FOUND {
            self.found.push(Found {
                kind,
                path: format!("#/{}", self.path.join("/")),
            });
        }
    }

    pub(super) fn step(&mut self, count: usize) -> Result<(), String> {
        self.steps += count;
        if self.steps > MAX_STEPS {
            return Err(too_large());
        }
        Ok(())
    }

    /// Runs `compare` one level deeper.
    pub(super) fn deeper(
        &mut self,
        compare: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        if self.depth >= MAX_DEPTH {
            return Err(too_large());
        }
        self.depth += 1;
        let result = compare(self);
        self.depth -= 1;
        result
    }

    fn at(
        &mut self,
        part: impl Into<String>,
        compare: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.path.push(part.into());
        let result = compare(self);
        self.path.pop();
        result
    }

    fn types(
        &mut self,
        original: &'a [TypeElement],
        update: &'a [TypeElement],
    ) -> Result<(), String> {
        let original = by_name(original);
        let update = by_name(update);
        let names = order::names(original.keys().copied(), update.keys().copied());
        for name in names {
            self.step(1)?;
            self.path.push(name.to_owned());
            self.original.scope.enter(self.original.index, name);
            self.update.scope.enter(self.update.index, name);
            let result = match (original.get(name), update.get(name)) {
                (Some(_), None) => {
                    let found = self.original.scope.type_of(self.original.index, name);
                    if found.is_some_and(|found| !is_map_entry(found.element)) {
                        self.add(Kind::MessageRemoved);
                    }
                    Ok(())
                }
                (Some(original), Some(update)) => {
                    self.deeper(|comparison| comparison.messages(original, update))
                }
                _ => Ok(()),
            };
            self.original.scope.leave();
            self.update.scope.leave();
            self.path.pop();
            result?;
        }
        Ok(())
    }

    /// Two messages: their fields, unless they are being compared already, and the types in them.
    pub(super) fn messages(
        &mut self,
        original: &'a Message,
        update: &'a Message,
    ) -> Result<(), String> {
        let id = id_of(original);
        let entered = self.running.insert(id);
        if let Some(trace) = self.traces.last_mut() {
            if entered {
                trace.entered.insert(id);
            } else {
                trace.hits.insert(id);
            }
        }
        let mut result = Ok(());
        if entered {
            result = self.fields(original, update);
        }
        if result.is_ok() {
            result = self.types(&original.types, &update.types);
        }
        if entered {
            self.running.remove(&id);
        }
        result
    }

    fn fields(&mut self, original: &'a Message, update: &'a Message) -> Result<(), String> {
        let mut original_fields = by_tag(&original.fields);
        let update_fields = by_tag(&update.fields);
        let original_oneofs = oneofs_by_name(original);
        let update_oneofs = oneofs_by_name(update);
        let in_original_oneofs: HashSet<i32> = original
            .oneofs
            .iter()
            .flat_map(|oneof| &oneof.fields)
            .map(|field| field.tag)
            .collect();
        let mut moved_tags: HashSet<i32> = HashSet::new();
        for oneof in &update.oneofs {
            self.step(oneof.fields.len() + 1)?;
            let mut moved = 0;
            let mut existing = 0;
            for field in &oneof.fields {
                if original_fields.contains_key(&field.tag) && moved_tags.insert(field.tag) {
                    moved += 1;
                } else if in_original_oneofs.contains(&field.tag) {
                    existing += 1;
                }
            }
            let kind = match (moved, existing) {
                (2.., _) => Some(Kind::MultipleFieldsMovedToOneof),
                (1, 1..) => Some(Kind::FieldMovedToExistingOneof),
                _ => None,
            };
            if let Some(kind) = kind {
                self.at(oneof.name.as_str(), |comparison| {
                    comparison.add(kind);
                    Ok(())
                })?;
            }
        }
        original_fields.retain(|tag, _| !moved_tags.contains(tag));

        let names = order::names(
            original_oneofs.keys().copied(),
            update_oneofs.keys().copied(),
        );
        for name in names {
            if let (Some(original), Some(update)) =
                (original_oneofs.get(name), update_oneofs.get(name))
            {
                self.at(name, |comparison| comparison.oneof(original, update))?;
            }
        }

        let tags = order::tags(
            original_fields.keys().copied(),
            update_fields.keys().copied(),
        );
        for tag in tags {
            self.step(1)?;
            let sides = (original_fields.get(&tag), update_fields.get(&tag));
            let required = |field: &Field| field.label == Some(Label::Required);
            let kind = match sides {
                (Some(original), None) if required(original) => Kind::RequiredFieldRemoved,
                (None, Some(update)) if required(update) => Kind::RequiredFieldAdded,
                (Some(original), Some(update)) => {
                    self.at(tag.to_string(), |comparison| {
                        comparison.field(original, update)
                    })?;
                    continue;
                }
                _ => continue,
            };
            self.at(tag.to_string(), |comparison| {
                comparison.add(kind);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn oneof(&mut self, original: &'a Oneof, update: &'a Oneof) -> Result<(), String> {
        let original = by_tag(&original.fields);
        let update = by_tag(&update.fields);
        for tag in order::tags(original.keys().copied(), update.keys().copied()) {
            self.step(1)?;
            match (original.get(&tag), update.get(&tag)) {
                (Some(_), None) => self.at(tag.to_string(), |comparison| {
                    comparison.add(Kind::OneofFieldRemoved);
                    Ok(())
                })?,
                (Some(original), Some(update)) => self.at(tag.to_string(), |comparison| {
                    comparison.field(original, update)
                })?,
                _ => {}
            }
        }
        Ok(())
    }
}

pub(super) fn is_map_entry(element: &TypeElement) -> bool {
    element.as_message().is_some_and(Message::is_map_entry)
}

/// Messages only; of two of one name the last counts.
fn by_name(types: &[TypeElement]) -> IndexMap<&str, &Message> {
    types
        .iter()
        .filter_map(TypeElement::as_message)
        .map(|message| (message.name.as_str(), message))
        .collect()
}

/// Of two fields of one number the last counts.
fn by_tag(fields: &[Field]) -> IndexMap<i32, &Field> {
    fields.iter().map(|field| (field.tag, field)).collect()
}

fn oneofs_by_name(message: &Message) -> IndexMap<&str, &Oneof> {
    message
        .oneofs
        .iter()
        .map(|oneof| (oneof.name.as_str(), oneof))
        .collect()
}
