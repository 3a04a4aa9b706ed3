//! Tags inside schema texts.

use std::sync::Arc;

use super::register::{Registered, register};
use super::{Outcome, Plan, StoreErrors};
use crate::body::{TagChange, TagRequest, parse};
use crate::content::Entry;
use crate::draft::{Draft, Treatment};
use crate::metadata::Metadata;
use crate::name::{SubjectName, Usage, is_valid};
use crate::registry::Registry;
use crate::render::{Shown, write_registered};
use crate::rules::RuleSet;
use crate::{Answer, RegistryError};

/// Reads and checks a request.
///
/// # Errors
/// 400, 422, 42202, 42208, 42210
pub(super) fn check(
    registry: &Registry,
    subject: &str,
    version: &str,
    body: Option<&[u8]>,
) -> Result<(SubjectName, i32, TagRequest), RegistryError> {
    let members = parse(body, "TagSchemaRequest")?
        .ok_or_else(|| RegistryError::missing_body("modifyTags.arg4"))?;
    let mut request = TagRequest::read(&members)?;
    let target = super::aliased(registry, subject);
    if !is_valid(subject, Usage::Register { allow_empty: true }) {
        return Err(RegistryError::invalid_subject(subject));
    }
    let version = crate::version::parse(version)?;
    if !registry.settings().rule_sets {
        request.rule_set = None;
    }
    if request.rule_set.is_some()
        && (request.rules_to_merge.is_some() || request.rules_to_remove.is_some())
    {
        return Err(RegistryError::new(
            42210,
            "ruleSet should be omitted if specifying rulesToMerge or rulesToRemove",
        ));
    }
    for rules in [&request.rules_to_merge, &request.rule_set]
        .into_iter()
        .flatten()
    {
        rules.validate()?;
    }
    Ok((target, version, request))
}

/// `POST /subjects/{s}/versions/{v}/tags`
pub(super) fn plan(
    registry: &Registry,
    subject: &str,
    version: &str,
    body: Option<&[u8]>,
) -> Outcome {
    let (target, version, request) = check(registry, subject, version, body)?;
    let (entry, previous) = {
        let state = registry.state();
        let Some(entry) = state.find_in_contexts(&target, version, false) else {
            return Err(if state.has_subjects(Some(&target), false) {
                RegistryError::version_not_found(version)
            } else {
                RegistryError::subject_not_found(&target)
            });
        };
        let before = request
            .new_version
            .map_or(crate::version::LATEST, |v| v - 1);
        (
            Arc::clone(entry),
            state.find(&target, before, false).cloned(),
        )
    };
    let new_version = request.new_version.unwrap_or(0);
    let mut draft = Draft::of_entry(&entry);
    draft.subject = target;
    change(registry, &mut draft, &request.to_add, &request.to_remove)?;
    let metadata = request.metadata.clone().or_else(|| draft.metadata.clone());
    draft.metadata = Some(Metadata::with_version(metadata.as_ref(), new_version));
    draft.rule_set = rule_set(registry, &request, previous.as_deref());
    draft.version = new_version;
    draft.id = -1;
    match register(registry, draft, false, false, false)? {
        Registered::Known {
            content,
            version,
            id,
        } => Ok(Plan::Answer(answer(
            registry,
            &Shown {
                version: Some(version),
                id: Some(id),
                ..Shown::of_content(&content)
            },
        ))),
        Registered::New {
            writes,
            pending,
            content,
            version,
            id,
        } => {
            let answer = answer(
                registry,
                &Shown {
                    version: Some(version),
                    id: Some(id),
                    ..Shown::of_content(&content)
                },
            );
            Ok(pending.into_plan(writes, answer, StoreErrors::registering()))
        }
    }
}

fn answer(registry: &Registry, shown: &Shown<'_>) -> Answer {
    let mut out = String::new();
    write_registered(shown, true, registry.settings().personality, &mut out);
    Answer::ok(out)
}

fn rule_set(
    registry: &Registry,
    request: &TagRequest,
    previous: Option<&Entry>,
) -> Option<Arc<RuleSet>> {
    if request.rules_to_merge.is_none() && request.rules_to_remove.is_none() {
        return request.rule_set.clone();
    }
    let old = previous.and_then(|entry| entry.content.rule_set.clone());
    let merged = if registry.settings().rule_sets {
        RuleSet::merge(old.as_ref(), request.rules_to_merge.as_ref())
    } else {
        old
    };
    match (&merged, &request.rules_to_remove) {
        (Some(rules), Some(names)) => Some(Arc::new(rules.without(names))),
        _ => merged,
    }
}

/// Changes the tags in a draft's text.
///
/// # Errors
/// 42201 for a text that does not parse or has no such entity.
pub(super) fn change(
    registry: &Registry,
    draft: &mut Draft,
    add: &[TagChange],
    remove: &[TagChange],
) -> Result<(), RegistryError> {
    let config = registry.config_in_scope(&draft.subject);
    let treatment = Treatment {
        as_new: false,
        normalize: false,
    };
    let Some(canonical) = registry.canonicalize(draft, &config, treatment)? else {
        return Ok(());
    };
    if add.is_empty() && remove.is_empty() {
        draft.text = Some(canonical.content.text);
        return Ok(());
    }
    let entities = |changes: &[TagChange]| -> Vec<registry_formats::TaggedEntity> {
        changes
            .iter()
            .map(|change| registry_formats::TaggedEntity {
                path: change.path.to_string(),
                is_field: change.is_field,
                tags: change.tags.iter().map(ToString::to_string).collect(),
            })
            .collect()
    };
    let text = canonical
        .parsed
        .with_tags(&entities(add), &entities(remove))
        // The original wraps Java's exception as a whole.
        .map_err(|why| {
            RegistryError::invalid_schema(format!("java.lang.IllegalArgumentException: {why}"))
        })?;
    draft.text = Some(text.into());
    Ok(())
}

/// Gives a draft the tags of the previous version.
///
/// # Errors
/// 42201 for a text that does not parse or lacks a tagged entity.
pub(super) fn propagate(
    registry: &Registry,
    draft: &mut Draft,
    previous: &Entry,
) -> Result<(), RegistryError> {
    let parsed = registry.parse_stored(previous, crate::parsed_cache::Keep::Yes)?;
    let tags: Vec<TagChange> = parsed
        .tags()
        .into_iter()
        .map(|entity| TagChange {
            path: entity.path.into(),
            is_field: entity.is_field,
            tags: entity.tags.into_iter().map(Into::into).collect(),
        })
        .collect();
    if tags.is_empty() {
        return Ok(());
    }
    change(registry, draft, &tags, &[])
}
