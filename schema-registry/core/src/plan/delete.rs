//! Deleting versions and subjects.

use super::{Outcome, PendingDraft, Plan, StoreErrors, check_writable, tombstone};
use crate::content::Entry;
use crate::name::SubjectName;
use crate::record::{Key, write_delete_subject, write_key, write_schema};
use crate::registry::Registry;
use crate::render::write_ints;
use crate::state::State;
use crate::version::LATEST;
use crate::{Answer, Command, Personality, RegistryError, TopicWrite, command::Flags};

/// The key bytes of a version's record.
pub(super) fn key_of(entry: &Entry) -> String {
    match &entry.key {
        Some(own) => own.to_string(),
        None => write_key(&Key::Schema {
            subject: SubjectName::clone(&entry.subject),
            version: entry.version,
        }),
    }
}

/// Tombstones of a subject's mode and configuration, where it has them.
pub(super) fn drop_settings(state: &State, subject: &SubjectName, writes: &mut Vec<TopicWrite>) {
    let key = Some(subject.clone());
    if let Some(kept) = state.modes.get(&key) {
        writes.push(tombstone(
            kept.key
                .as_deref()
                .map_or_else(|| write_key(&Key::Mode(key.clone())), str::to_owned),
        ));
    }
    if let Some(kept) = state.configs.get(&key) {
        writes.push(tombstone(kept.key.as_deref().map_or_else(
            || write_key(&Key::Config(key.clone())),
            str::to_owned,
        )));
    }
}

/// Whether schemas refer to a version; soft-deleted ones count where `deleted`.
pub(super) fn is_referenced(state: &State, entry: &Entry, deleted: bool) -> bool {
    referrers(state, &entry.subject, entry.version, deleted)
        .next()
        .is_some()
}

/// Contexts and ids of the schemas that refer to a version.
pub(crate) fn referrers<'s>(
    state: &'s State,
    subject: &SubjectName,
    version: i32,
    deleted: bool,
) -> impl Iterator<Item = (&'s str, i32)> {
    state
        .context(&subject.context)
        .and_then(|context| context.referenced_by.get(&(subject.bare.clone(), version)))
        .into_iter()
        .flat_map(|by| by.keys())
        .filter(move |(context, id)| {
            deleted
                || state
                    .context(context)
                    .and_then(|c| c.ids.get(id))
                    .is_some_and(|uses| uses.any_live())
        })
        .map(|(context, id)| (&**context, *id))
}

/// Whether another subject refers to a version.
fn is_referenced_from_outside(state: &State, entry: &Entry, deleted: bool) -> bool {
    referrers(state, &entry.subject, entry.version, true).any(|(context, id)| {
        state
            .context(context)
            .and_then(|c| c.ids.get(&id))
            .is_some_and(|uses| {
                uses.in_order()
                    .iter()
                    .any(|user| user.subject != entry.subject && (deleted || !user.deleted))
            })
    })
}

fn store_errors(subject: &SubjectName) -> StoreErrors {
    Command::DeleteSubject {
        subject: subject.to_string(),
        flags: Flags::default(),
    }
    .store_errors()
}

fn association_exists(subject: &SubjectName) -> RegistryError {
    RegistryError::new(
        40904,
        format!("An association already exists for subject '{subject}'"),
    )
}

/// A permanent delete may free an id that another plan would use again.
fn pending(permanent: bool) -> PendingDraft {
    PendingDraft {
        alone: permanent,
        ..PendingDraft::default()
    }
}

/// `DELETE /subjects/{s}`
pub(super) fn subject(registry: &Registry, subject: &str, permanent: bool) -> Outcome {
    let name = super::aliased(registry, subject);
    let state = registry.state();
    if !state.has_subjects(Some(&name), true) {
        return Err(RegistryError::subject_not_found(&name));
    }
    if !permanent && !state.has_subjects(Some(&name), false) {
        return Err(RegistryError::new(
            40404,
            format!("Subject '{name}' was soft deleted.Set permanent=true to delete permanently"),
        ));
    }
    check_writable(registry, &state, Some(&name))?;
    if !state.associations.of_subject(&name).is_empty() {
        return Err(association_exists(&name));
    }
    let (mut writes, versions) = delete_records(registry, &state, &name, permanent)?;
    let personality = registry.settings().personality;
    if permanent || personality == Personality::V7_9 {
        drop_settings(&state, &name, &mut writes);
    }
    let mut pending = pending(permanent);
    pending.changed.insert(name.clone());
    let mut out = String::new();
    write_ints(versions.into_iter(), &mut out);
    if writes.is_empty() {
        return Ok(Plan::Answer(Answer::ok(out)));
    }
    Ok(pending.into_plan(writes, Answer::ok(out), store_errors(&name)))
}

/// The records that delete a subject, and the versions concerned; checks references.
pub(super) fn delete_records(
    registry: &Registry,
    state: &State,
    name: &SubjectName,
    permanent: bool,
) -> Result<(Vec<TopicWrite>, Vec<i32>), RegistryError> {
    let mut versions = Vec::new();
    let mut keys = Vec::new();
    let held = state
        .subject(name)
        .map(|s| s.versions())
        .unwrap_or_default();
    for entry in held.iter().filter(|entry| permanent || !entry.deleted) {
        if is_referenced_from_outside(state, entry, permanent) {
            return Err(RegistryError::reference_exists(name, entry.version));
        }
        if permanent && !entry.deleted {
            return Err(RegistryError::new(
                40405,
                format!("Subject '{name}' was not deleted first before being permanently deleted"),
            ));
        }
        versions.push(entry.version);
        keys.push(key_of(entry));
    }
    let writes = if permanent {
        // As of 8.3 the newest goes first: later versions may refer to earlier ones.
        if registry.settings().personality >= Personality::V8_3 {
            keys.reverse();
        }
        keys.into_iter().map(tombstone).collect()
    } else {
        // Without a live version nothing is written: a record that deletes nothing would take the place of an earlier one that did.
        versions
            .last()
            .map(|highest| TopicWrite {
                key: write_key(&Key::DeleteSubject(name.clone())),
                value: Some(write_delete_subject(name, *highest)),
            })
            .into_iter()
            .collect()
    };
    Ok((writes, versions))
}

/// `DELETE /subjects/{s}/versions/{v}`
pub(super) fn version(
    registry: &Registry,
    subject: &str,
    version: &str,
    permanent: bool,
) -> Outcome {
    let name = super::aliased(registry, subject);
    let number = crate::version::parse(version)?;
    let state = registry.state();
    let found = state.find(&name, number, true);
    if found.is_some_and(|entry| entry.deleted) && !permanent {
        return Err(RegistryError::new(
            40406,
            format!(
                "Subject '{name}' Version {number} was soft deleted.Set permanent=true to delete permanently"
            ),
        ));
    }
    let Some(entry) = found.cloned() else {
        return Err(if state.has_subjects(Some(&name), true) {
            RegistryError::version_not_found(number)
        } else {
            RegistryError::subject_not_found(&name)
        });
    };
    debug_assert!(number == LATEST || number == entry.version);
    check_writable(registry, &state, Some(&name))?;
    if !state.associations.of_subject(&name).is_empty() {
        if permanent {
            return Err(association_exists(&name));
        }
        let another = state.subject(&name).is_some_and(|s| {
            s.versions()
                .iter()
                .any(|v| !v.deleted && v.version != entry.version)
        });
        if !another {
            return Err(RegistryError::new(
                40907,
                format!("No active (non-deleted) version exists for subject '{name}'"),
            ));
        }
    }
    if is_referenced(&state, &entry, permanent) {
        return Err(RegistryError::reference_exists(&name, entry.version));
    }
    if permanent && !entry.deleted {
        return Err(RegistryError::new(
            40407,
            format!(
                "Subject '{name}' Version {} was not deleted first before being permanently deleted",
                entry.version
            ),
        ));
    }
    let personality = registry.settings().personality;
    let held = state.subject(&name);
    let mut writes = Vec::new();
    if permanent {
        writes.push(tombstone(key_of(&entry)));
        if held.is_none_or(|s| s.versions().len() == 1) {
            drop_settings(&state, &name, &mut writes);
        }
    } else {
        writes.push(TopicWrite {
            key: key_of(&entry),
            value: Some(write_schema(
                &entry.subject,
                entry.version,
                entry.id,
                &entry.content,
                true,
                personality,
            )),
        });
        if personality == Personality::V7_9 && held.is_none_or(|s| s.live() == 1) {
            drop_settings(&state, &name, &mut writes);
        }
    }
    let mut pending = pending(permanent);
    pending.changed.insert(name);
    let errors = Command::DeleteVersion {
        subject: String::new(),
        version: String::new(),
        flags: Flags::default(),
    }
    .store_errors();
    Ok(pending.into_plan(writes, Answer::ok(entry.version.to_string()), errors))
}
