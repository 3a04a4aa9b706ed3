//! Setting and removing configurations.

use std::sync::Arc;

use super::{Outcome, PendingDraft, check_writable, scope, show, tombstone};
use crate::body::{ConfigUpdate, parse};
use crate::config::ConfigForm;
use crate::name::{GLOBAL_CONTEXT, SubjectName, Usage, is_valid};
use crate::record::{Key, write_config, write_key};
use crate::registry::Registry;
use crate::{Answer, Command, RegistryError, TopicWrite};

/// Reads and checks a request.
///
/// # Errors
/// 400, 422, 42203, 42208, 42210
pub(super) fn check(
    registry: &Registry,
    subject: Option<&str>,
    body: Option<&[u8]>,
) -> Result<(Option<SubjectName>, ConfigUpdate), RegistryError> {
    let argument = match subject {
        None => "updateTopLevelConfig.arg1",
        Some(_) => "updateSubjectLevelConfig.arg2",
    };
    let members =
        parse(body, "ConfigUpdateRequest")?.ok_or_else(|| RegistryError::missing_body(argument))?;
    let update = ConfigUpdate::read(&members)?;
    update.validate(registry.settings().rule_sets)?;
    let target = scope(subject);
    if let (Some(subject), Some(_)) = (subject, &target)
        && !is_valid(subject, Usage::ConfigOrMode)
    {
        return Err(RegistryError::invalid_subject(subject));
    }
    Ok((target, update))
}

/// A change of one subject's settings goes with others; one of a whole context does not.
fn pending(subject: Option<&SubjectName>) -> PendingDraft {
    match subject {
        Some(subject) if !subject.is_context() => {
            let mut pending = PendingDraft::default();
            pending.changed.insert(subject.clone());
            pending
        }
        _ => PendingDraft::alone(),
    }
}

/// `PUT /config`, `PUT /config/{s}`
pub(super) fn put(registry: &Registry, subject: Option<&str>, body: Option<&[u8]>) -> Outcome {
    let (target, update) = check(registry, subject, body)?;
    let state = registry.state();
    check_writable(registry, &state, target.as_ref())?;
    let old = state.configs.get(&target);
    let config = update.apply(old.map(|kept| &*kept.value), registry.settings().rule_sets);
    let write = TopicWrite {
        key: old
            .and_then(|kept| kept.key.as_deref())
            .map_or_else(|| write_key(&Key::Config(target.clone())), str::to_owned),
        value: Some(write_config(target.as_ref(), &config)),
    };
    let errors = Command::PutConfig {
        subject: None,
        body: None,
    }
    .store_errors();
    Ok(pending(target.as_ref()).into_plan(
        vec![write],
        Answer::ok(config.to_json(ConfigForm::Echo)),
        errors,
    ))
}

/// `DELETE /config`, `DELETE /config/{s}`
pub(super) fn delete(registry: &Registry, subject: Option<&str>) -> Outcome {
    let target = scope(subject);
    let state = registry.state();
    let old = state.configs.get(&target);
    let always_there = target
        .as_ref()
        .is_none_or(|t| &*t.context == GLOBAL_CONTEXT);
    if old.is_none() && !always_there {
        return Err(RegistryError::subject_not_found(show(target.as_ref())));
    }
    check_writable(registry, &state, target.as_ref())?;
    let config = registry.with_level(old.map(|kept| &kept.value));
    let write = tombstone(
        old.and_then(|kept| kept.key.as_deref())
            .map_or_else(|| write_key(&Key::Config(target.clone())), str::to_owned),
    );
    let errors = Command::DeleteConfig { subject: None }.store_errors();
    Ok(pending(target.as_ref()).into_plan(
        vec![write],
        Answer::ok(config.to_json(ConfigForm::Stored)),
        errors,
    ))
}

/// `GET /config`, `GET /config/{s}`
pub(crate) fn get(
    registry: &Registry,
    subject: Option<&str>,
    default_to_global: bool,
) -> Result<Answer, RegistryError> {
    let target = scope(subject);
    let found = {
        let state = registry.state();
        if default_to_global {
            state.config_in_scope(target.as_ref()).map(Arc::clone)
        } else {
            state.config(target.as_ref()).map(Arc::clone)
        }
    };
    let always_there = default_to_global
        || target
            .as_ref()
            .is_none_or(|t| &*t.context == GLOBAL_CONTEXT);
    if found.is_none() && !always_there {
        return Err(RegistryError::new(
            40408,
            format!(
                "Subject '{}' does not have subject-level compatibility configured",
                show(target.as_ref())
            ),
        ));
    }
    Ok(Answer::ok(
        registry
            .with_level(found.as_ref())
            .to_json(ConfigForm::Stored),
    ))
}
