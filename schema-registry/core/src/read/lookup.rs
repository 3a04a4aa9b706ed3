//! Lookups by content and by metadata.

use crate::body::{RegisterRequest, parse};
use crate::draft::Draft;
use crate::lookup::{Found, Scope, alternatives};
use crate::plan::aliased;
use crate::registry::Registry;
use crate::render::{Shown, write_schema};
use crate::{Answer, RegistryError};

/// `POST /subjects/{s}`
pub(super) fn lookup(
    registry: &Registry,
    subject: &str,
    body: Option<&[u8]>,
    normalize: bool,
    format: Option<&str>,
    deleted: bool,
) -> Result<Answer, RegistryError> {
    let members = parse(body, "RegisterSchemaRequest")?
        .ok_or_else(|| RegistryError::missing_body("lookUpSchemaUnderSubject.arg5"))?;
    let request = RegisterRequest::read(&members)?;
    let name = aliased(registry, subject);
    let config = registry.config_in_scope(&name);
    let scope = Scope {
        normalize: normalize || config.normalize == Some(true),
        deleted,
        latest_only: false,
    };
    let draft = Draft::new(name.clone(), &request);
    let mut found = registry
        .look_up_completed(&config, &draft, scope)?
        .map(|found| (name.clone(), found));
    if found.is_none() {
        for other in alternatives(registry, &name) {
            let draft = Draft {
                subject: other.clone(),
                ..draft.clone()
            };
            let config = registry.config_in_scope(&other);
            // What is no schema there may be one elsewhere.
            if let Ok(Some(hit)) = registry.look_up_completed(&config, &draft, scope) {
                found = Some((other, hit));
                break;
            }
        }
    }
    let Some((subject, found)) = found else {
        return Err(if registry.state().has_subjects(Some(&name), deleted) {
            RegistryError::schema_not_found()
        } else {
            RegistryError::subject_not_found(&name)
        });
    };
    let full = subject.to_string();
    let formatted = registry.formatted(&subject, found.content(), format)?;
    let mut shown = match &found {
        Found::Stored(entry) => Shown::of_entry(entry, &full),
        Found::Same {
            content,
            version,
            id,
        } => Shown {
            subject: Some(&full),
            version: Some(*version),
            id: Some(*id),
            ..Shown::of_content(content)
        },
    };
    shown.text = formatted.as_deref();
    let mut out = String::new();
    write_schema(&shown, registry.settings().personality, &mut out);
    Ok(Answer::ok(out))
}

/// `GET /subjects/{s}/metadata`
pub(super) fn latest_with_metadata(
    registry: &Registry,
    subject: &str,
    keys: &[String],
    values: &[String],
    format: Option<&str>,
    deleted: bool,
) -> Result<Answer, RegistryError> {
    let name = aliased(registry, subject);
    let found = {
        let state = registry.state();
        let versions = state
            .subject(&name)
            .map(|s| s.versions())
            .unwrap_or_default();
        let found = versions
            .iter()
            .rev()
            .filter(|entry| deleted || !entry.deleted)
            .find(|entry| {
                entry.content.metadata.as_ref().is_some_and(|metadata| {
                    // Of a key given twice the last value counts.
                    keys.iter()
                        .zip(values)
                        .enumerate()
                        .all(|(i, (key, value))| {
                            let again = keys
                                .iter()
                                .zip(values)
                                .skip(i + 1)
                                .any(|(later, _)| later == key);
                            again
                                || metadata
                                    .properties
                                    .get(key.as_str())
                                    .is_some_and(|held| **held == **value)
                        })
                })
            });
        match found {
            Some(entry) => entry.clone(),
            None if state.has_subjects(Some(&name), deleted) => {
                return Err(RegistryError::schema_not_found());
            }
            None => return Err(RegistryError::subject_not_found(&name)),
        }
    };
    let full = name.to_string();
    let formatted = registry.formatted(&name, &found.content, format)?;
    let mut shown = Shown::of_entry(&found, &full);
    shown.text = formatted.as_deref();
    let mut out = String::new();
    write_schema(&shown, registry.settings().personality, &mut out);
    Ok(Answer::ok(out))
}
