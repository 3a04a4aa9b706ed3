//! Records, one after the other.

use std::sync::Arc;

use super::uses::Uses;
use super::{Kept, State, type_index};
use crate::content::{Content, Entry, TypeName};
use crate::name::SubjectName;
use crate::record::{self, Key, SchemaValue};

/// What a record did.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    /// The version that the refused record would have replaced; `Some(None)`: none was there.
    pub(crate) undo: Option<Option<Arc<Entry>>>,
    /// Why it was skipped.
    pub(crate) skipped: Option<String>,
}

impl Effect {
    fn skipped(why: String) -> Self {
        Self {
            undo: None,
            skipped: Some(why),
        }
    }
}

impl State {
    /// Applies one record; `own_key`: the key's bytes, where they are not the ones this registry would write.
    pub(crate) fn apply(
        &mut self,
        key: Key,
        own_key: Option<Box<str>>,
        value: Option<&str>,
        timestamp: i64,
    ) -> Effect {
        match self.try_apply(key, own_key, value, timestamp) {
            Ok(effect) => effect,
            Err(why) => Effect::skipped(why),
        }
    }

    fn try_apply(
        &mut self,
        key: Key,
        own_key: Option<Box<str>>,
        value: Option<&str>,
        timestamp: i64,
    ) -> Result<Effect, String> {
        match (key, value) {
            (Key::Schema { subject, version }, Some(value)) => {
                let value = record::read_schema(value)?;
                return Ok(self.put_schema(subject, version, own_key, value, timestamp));
            }
            (Key::Schema { subject, version }, None) => self.remove_version(&subject, version),
            (Key::Config(subject), Some(value)) => {
                let value = Arc::new(record::read_config(value)?);
                self.configs.insert(
                    subject,
                    Kept {
                        value,
                        key: own_key,
                    },
                );
            }
            (Key::Config(subject), None) => {
                self.configs.remove(&subject);
            }
            (Key::Mode(subject), Some(value)) => {
                let value = record::read_mode(value)?;
                self.modes.insert(
                    subject,
                    Kept {
                        value,
                        key: own_key,
                    },
                );
            }
            (Key::Mode(subject), None) => {
                self.modes.remove(&subject);
            }
            (Key::DeleteSubject(subject), Some(value)) => {
                let version = record::read_delete_subject(value)?;
                self.delete_subject(&subject, version);
            }
            (Key::ClearSubject(subject), Some(_)) => self.clear_subjects(subject.as_ref()),
            (Key::Context(context), Some(_)) => {
                self.known_contexts.insert(
                    context,
                    Kept {
                        value: (),
                        key: own_key,
                    },
                );
            }
            (Key::Context(context), None) => {
                self.known_contexts.remove(&context);
            }
            (Key::Association(key), Some(value)) => {
                let value = record::read_association(value)?;
                self.associations.put(key, value, timestamp);
            }
            (Key::Association(key), None) => self.associations.remove(&key),
            (Key::DeleteSubject(_) | Key::ClearSubject(_), None) | (Key::Noop, _) => {}
        }
        Ok(Effect::default())
    }

    fn put_schema(
        &mut self,
        subject: SubjectName,
        version: i32,
        key: Option<Box<str>>,
        value: SchemaValue,
        timestamp: i64,
    ) -> Effect {
        let id = value.id;
        let context = self
            .contexts
            .entry(Arc::clone(&subject.context))
            .or_default();
        // The id's text is settled by the first record that had it.
        if let Some(held) = context.ids.get(&id).and_then(Uses::first)
            && held.content.text != value.content.text
        {
            let why = format!(
                "version {version} of subject {subject} has id {id}, which belongs to another schema (version {} of {})",
                held.version, held.subject
            );
            let old = self.version(&subject, version).cloned();
            self.refused.remember(subject, version, id);
            return Effect {
                undo: Some(old),
                skipped: Some(why),
            };
        }
        let name = context
            .subjects
            .get(&subject.bare)
            .and_then(|held| held.versions().first())
            .map_or_else(|| Arc::new(subject), |entry| Arc::clone(&entry.subject));
        let content = self.intern(value.content);
        let known = match &content.schema_type {
            TypeName::Known(known) => Some(*known),
            TypeName::Other(_) => None,
        };
        let counts = &mut self.counts[type_index(known)];
        if value.deleted {
            counts.deleted += 1;
        } else {
            counts.registered += 1;
        }
        self.put_entry(Arc::new(Entry {
            subject: name,
            version,
            id,
            content,
            deleted: value.deleted,
            timestamp,
            key,
        }));
        Effect::default()
    }

    fn put_entry(&mut self, entry: Arc<Entry>) {
        let Some(context) = self.contexts.get_mut(&entry.subject.context) else {
            return;
        };
        context.max_id = context.max_id.max(entry.id);
        let old = context
            .subjects
            .entry(Arc::clone(&entry.subject.bare))
            .or_default()
            .put(Arc::clone(&entry));
        if let Some(old) = &old
            && (old.id != entry.id || !Arc::ptr_eq(&old.content, &entry.content))
        {
            self.generation += 1;
            self.forget_indexes(old);
        }
        let Some(context) = self.contexts.get_mut(&entry.subject.context) else {
            return;
        };
        match context.ids.get_mut(&entry.id) {
            Some(uses) => {
                uses.put(Arc::clone(&entry));
                uses.settle();
            }
            None => {
                context.ids.insert(entry.id, Uses::new(Arc::clone(&entry)));
            }
        }
        context.identities.insert(entry.content.identity, entry.id);
        let counted =
            old.is_some_and(|old| old.id == entry.id && Arc::ptr_eq(&old.content, &entry.content));
        if !counted {
            self.count_references(&entry.subject, entry.id, &entry.content, true);
        }
    }

    fn count_references(&mut self, subject: &SubjectName, id: i32, content: &Content, add: bool) {
        for reference in &content.references {
            let target = subject.qualify(&reference.subject);
            let context = self
                .contexts
                .entry(Arc::clone(&target.context))
                .or_default();
            let slot = (target.bare, reference.version);
            let by = (Arc::clone(&subject.context), id);
            if add {
                *context
                    .referenced_by
                    .entry(slot)
                    .or_default()
                    .entry(by)
                    .or_default() += 1;
            } else if let Some(referrers) = context.referenced_by.get_mut(&slot) {
                if let Some(count) = referrers.get_mut(&by) {
                    *count -= 1;
                    if *count == 0 {
                        referrers.remove(&by);
                    }
                }
                if referrers.is_empty() {
                    context.referenced_by.remove(&slot);
                }
            }
        }
    }

    /// Drops a version from the indexes of ids, hashes and references.
    fn forget_indexes(&mut self, old: &Arc<Entry>) {
        self.count_references(&old.subject, old.id, &old.content, false);
        let Some(context) = self.contexts.get_mut(&old.subject.context) else {
            return;
        };
        let subject = context.subjects.get(&old.subject.bare);
        let find = |version: i32| {
            subject
                .and_then(|s| s.get(version))
                .filter(|entry| entry.id == old.id)
                .cloned()
        };
        if let Some(uses) = context.ids.get_mut(&old.id) {
            if uses.remove(old, find) {
                context.ids.remove(&old.id);
                if context.identities.get(&old.content.identity) == Some(&old.id) {
                    context.identities.remove(&old.content.identity);
                }
            } else {
                uses.settle();
            }
        }
    }

    fn remove_version(&mut self, subject: &SubjectName, version: i32) {
        let Some(context) = self.contexts.get_mut(&subject.context) else {
            return;
        };
        let Some(held) = context.subjects.get_mut(&subject.bare) else {
            return;
        };
        let Some(old) = held.remove(version) else {
            return;
        };
        if held.versions().is_empty() {
            context.subjects.remove(&subject.bare);
        }
        self.generation += 1;
        self.forget_indexes(&old);
        let identity = old.content.identity;
        drop(old);
        self.release(identity);
    }

    fn delete_subject(&mut self, subject: &SubjectName, version: i32) {
        let Some(held) = self.subject(subject) else {
            return;
        };
        let live: Vec<Arc<Entry>> = held
            .versions()
            .iter()
            .filter(|entry| entry.version <= version && !entry.deleted)
            .cloned()
            .collect();
        for entry in live {
            self.put_entry(Arc::new(Entry {
                deleted: true,
                ..Entry::clone(&entry)
            }));
        }
    }

    fn clear_subjects(&mut self, subject: Option<&SubjectName>) {
        for name in self.matching_subjects(subject) {
            let deleted: Vec<i32> = self
                .subject(&name)
                .map(|held| {
                    held.versions()
                        .iter()
                        .filter(|e| e.deleted)
                        .map(|e| e.version)
                        .collect()
                })
                .unwrap_or_default();
            for version in deleted {
                self.remove_version(&name, version);
            }
        }
    }
}
