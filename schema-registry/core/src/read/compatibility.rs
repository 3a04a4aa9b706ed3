//! Compatibility checks without registering.

use std::sync::Arc;

use crate::body::{RegisterRequest, parse};
use crate::content::Entry;
use crate::draft::{Draft, Treatment};
use crate::plan::aliased;
use crate::registry::Registry;
use crate::render::write_texts;
use crate::version::LATEST;
use crate::{Answer, RegistryError};

/// `POST /compatibility/subjects/{s}/versions` and `…/versions/{v}`
pub(super) fn check(
    registry: &Registry,
    subject: &str,
    version: Option<&str>,
    body: Option<&[u8]>,
    normalize: bool,
    verbose: bool,
) -> Result<Answer, RegistryError> {
    let argument = match version {
        Some(_) => "testCompatibilityBySubjectName.arg4",
        None => "testCompatibilityForSubject.arg3",
    };
    let members = parse(body, "RegisterSchemaRequest")?
        .ok_or_else(|| RegistryError::missing_body(argument))?;
    let request = RegisterRequest::read(&members)?;
    let name = aliased(registry, subject);
    let previous: Vec<Arc<Entry>> = match version {
        Some(version) => {
            let number = crate::version::parse(version)?;
            let found = registry.state().find(&name, number, false).cloned();
            if found.is_none() && number != LATEST {
                return Err(RegistryError::version_not_found(number));
            }
            found.into_iter().collect()
        }
        None => registry
            .state()
            .subject(&name)
            .map(|s| {
                s.versions()
                    .iter()
                    .filter(|entry| !entry.deleted)
                    .cloned()
                    .collect()
            })
            .unwrap_or_default(),
    };
    let messages = match messages(registry, &Draft::new(name, &request), &previous, normalize) {
        Err(error) if verbose && error.code == 42201 => vec![error.message],
        other => other?,
    };
    let mut out = format!("{{\"is_compatible\":{}", messages.is_empty());
    if verbose {
        out.push_str(",\"messages\":");
        write_texts(messages.iter().map(String::as_str), &mut out);
    }
    out.push('}');
    Ok(Answer::ok(out))
}

fn messages(
    registry: &Registry,
    draft: &Draft,
    previous: &[Arc<Entry>],
    normalize: bool,
) -> Result<Vec<String>, RegistryError> {
    let config = registry.config_in_scope(&draft.subject);
    let treatment = Treatment {
        as_new: config
            .validate_new_schemas
            .unwrap_or(registry.settings().validate_new_schemas),
        normalize: normalize || config.normalize == Some(true),
    };
    let canonical = registry
        .canonicalize(draft, &config, treatment)?
        .ok_or_else(|| RegistryError::invalid_schema("Empty schema"))?;
    registry.incompatibilities(&config, &canonical, previous)
}
