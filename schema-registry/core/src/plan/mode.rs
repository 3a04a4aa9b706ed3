//! Setting and removing modes.

use super::{Outcome, PendingDraft, scope, show, tombstone};
use crate::body::{ModeUpdate, parse};
use crate::command::Flags;
use crate::config::Mode;
use crate::name::{GLOBAL_CONTEXT, SubjectName, Usage, is_valid};
use crate::record::{Key, write_clear_subject, write_key, write_mode};
use crate::registry::Registry;
use crate::state::State;
use crate::{Answer, Command, Personality, RegistryError, TopicWrite};

/// Reads and checks a request.
///
/// # Errors
/// 400, 422, 42204, 42208, 500 for a body without the mode
pub(super) fn check(
    registry: &Registry,
    subject: Option<&str>,
    body: Option<&[u8]>,
) -> Result<(Option<SubjectName>, ModeUpdate), RegistryError> {
    let argument = match subject {
        None => "updateTopLevelMode.arg1",
        Some(_) => "updateMode.arg2",
    };
    let members =
        parse(body, "ModeUpdateRequest")?.ok_or_else(|| RegistryError::missing_body(argument))?;
    let update = ModeUpdate::read(&members)?;
    if let Some(subject) = subject
        && !is_valid(subject, Usage::ConfigOrMode)
    {
        return Err(RegistryError::invalid_subject(subject));
    }
    let target = scope(subject);
    let old_release = registry.settings().personality == Personality::V7_9;
    match &update {
        ModeUpdate::Absent => return Err(RegistryError::internal()),
        ModeUpdate::Clear => {}
        ModeUpdate::Set(mode) => {
            let known =
                Mode::from_name(mode).is_some_and(|mode| !(old_release && mode == Mode::Forward));
            if !known {
                return Err(RegistryError::new(
                    42204,
                    if old_release {
                        "Invalid mode. Valid values are READWRITE, READONLY, and IMPORT."
                    } else {
                        "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD."
                    },
                ));
            }
            let global = target
                .as_ref()
                .is_some_and(|t| &*t.context == GLOBAL_CONTEXT && t.is_context());
            // Only this spelling is looked at, as in the original.
            if &**mode == "FORWARD" && !global {
                return Err(RegistryError::new(
                    42204,
                    "Forward mode only supported on global level",
                ));
            }
        }
    }
    Ok((target, update))
}

fn key_bytes(state: &State, target: Option<&SubjectName>) -> String {
    state
        .modes
        .get(&target.cloned())
        .and_then(|kept| kept.key.as_deref())
        .map_or_else(|| write_key(&Key::Mode(target.cloned())), str::to_owned)
}

/// `PUT /mode`, `PUT /mode/{s}`
pub(super) fn put(
    registry: &Registry,
    subject: Option<&str>,
    body: Option<&[u8]>,
    force: bool,
) -> Outcome {
    let (target, update) = check(registry, subject, body)?;
    if !registry.settings().mode_mutability {
        return Err(RegistryError::not_permitted("Mode changes are not allowed"));
    }
    let (mode, echo) = match &update {
        ModeUpdate::Set(mode) => {
            let mut echo = String::from("{\"mode\":");
            java_idioms::json::write_string_to_bytes(mode, &mut echo);
            echo.push('}');
            (Mode::from_name(mode), echo)
        }
        _ => (None, "{\"mode\":null}".to_owned()),
    };
    let state = registry.state();
    let mut writes = Vec::new();
    if mode == Some(Mode::Import) && state.mode_in_scope(target.as_ref()) != Mode::Import && !force
    {
        if state.has_subjects(target.as_ref(), false) {
            return Err(RegistryError::not_permitted(
                "Cannot import since found existing subjects",
            ));
        }
        for name in state.matching_subjects(target.as_ref()) {
            for entry in state
                .subject(&name)
                .map(|s| s.versions())
                .unwrap_or_default()
            {
                if super::delete::is_referenced(&state, entry, true) {
                    return Err(RegistryError::reference_exists(&name, entry.version));
                }
                writes.push(tombstone(super::delete::key_of(entry)));
            }
        }
        writes.push(TopicWrite {
            key: write_key(&Key::ClearSubject(target.clone())),
            value: Some(write_clear_subject(target.as_ref())),
        });
    }
    writes.push(TopicWrite {
        key: key_bytes(&state, target.as_ref()),
        value: mode.map(|mode| write_mode(target.as_ref(), mode)),
    });
    let errors = Command::PutMode {
        subject: None,
        body: None,
        flags: Flags::default(),
    }
    .store_errors();
    Ok(PendingDraft::alone().into_plan(writes, Answer::ok(echo), errors))
}

/// `DELETE /mode`, `DELETE /mode/{s}`
pub(super) fn delete(registry: &Registry, subject: Option<&str>, recursive: bool) -> Outcome {
    let target = scope(subject);
    let state = registry.state();
    let old = state.mode(target.as_ref());
    let always_there = target
        .as_ref()
        .is_none_or(|t| &*t.context == GLOBAL_CONTEXT);
    if old.is_none() && !recursive && !always_there {
        return Err(RegistryError::subject_not_found(show(target.as_ref())));
    }
    if !registry.settings().mode_mutability {
        return Err(RegistryError::not_permitted("Mode changes are not allowed"));
    }
    let mut writes = vec![tombstone(key_bytes(&state, target.as_ref()))];
    if recursive && target.as_ref().is_none_or(SubjectName::is_context) {
        let context = target
            .as_ref()
            .map_or(crate::name::DEFAULT_CONTEXT, |t| &t.context);
        for name in state.modes.keys().flatten() {
            if *name.context == *context && !name.is_context() {
                writes.push(tombstone(key_bytes(&state, Some(name))));
            }
        }
    }
    let shown = old.or(always_there.then_some(Mode::ReadWrite));
    let answer = shown.map_or_else(
        || "{}".to_owned(),
        |mode| format!("{{\"mode\":\"{mode}\"}}"),
    );
    let errors = Command::DeleteMode {
        subject: None,
        flags: Flags::default(),
    }
    .store_errors();
    Ok(PendingDraft::alone().into_plan(writes, Answer::ok(answer), errors))
}

/// `GET /mode`, `GET /mode/{s}`
pub(crate) fn get(
    registry: &Registry,
    subject: Option<&str>,
    default_to_global: bool,
) -> Result<Answer, RegistryError> {
    let target = scope(subject);
    let state = registry.state();
    let found = if default_to_global {
        Some(state.mode_in_scope(target.as_ref()))
    } else {
        let always_there = target
            .as_ref()
            .is_none_or(|t| &*t.context == GLOBAL_CONTEXT);
        state
            .mode(target.as_ref())
            .or(always_there.then_some(Mode::ReadWrite))
    };
    match found {
        Some(mode) => Ok(Answer::ok(format!("{{\"mode\":\"{mode}\"}}"))),
        None => Err(RegistryError::new(
            40409,
            format!(
                "Subject '{}' does not have subject-level mode configured",
                show(target.as_ref())
            ),
        )),
    }
}
