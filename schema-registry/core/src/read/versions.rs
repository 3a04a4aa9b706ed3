//! Versions of subjects.

use std::sync::Arc;

use java_idioms::json::write_string_to_bytes;
use registry_formats::Reference;

use super::page::Window;
use crate::content::{Entry, identity};
use crate::name::SubjectName;
use crate::parsed_cache::Keep;
use crate::plan::{aliased, referrers};
use crate::registry::Registry;
use crate::render::{Shown, write_ints, write_schema};
use crate::{Answer, Page, RegistryError};

/// In which form a version is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'q> {
    pub(super) format: Option<&'q str>,
    pub(super) reference_format: Option<&'q str>,
    pub(super) find_tags: &'q [String],
}

/// What replaces parts of a version.
#[derive(Debug, Default)]
pub(super) struct Dressed {
    text: Option<String>,
    references: Option<Vec<Reference>>,
    tags: Option<String>,
    guid: Option<registry_formats::Identity>,
}

impl Dressed {
    pub(super) fn apply<'a>(&'a self, shown: &mut Shown<'a>) {
        shown.text = self.text.as_deref();
        shown.references = self.references.as_deref();
        shown.tags = self.tags.as_deref();
        shown.guid = self.guid.unwrap_or(shown.guid);
    }
}

/// Prepares the form; costs nothing where none was asked for.
pub(super) fn dress(
    registry: &Registry,
    entry: &Arc<Entry>,
    form: &Form<'_>,
) -> Result<Dressed, RegistryError> {
    let mut dressed = Dressed {
        text: registry.formatted(&entry.subject, &entry.content, form.format)?,
        ..Dressed::default()
    };
    if !form.find_tags.is_empty() {
        dressed.tags = tags(registry, entry, form.find_tags)?;
    }
    if form.reference_format == Some("qualified")
        && !entry.subject.is_default_context()
        && !entry.content.references.is_empty()
    {
        let qualified: Vec<Reference> = entry
            .content
            .references
            .iter()
            .map(|reference| Reference {
                name: Arc::clone(&reference.name),
                subject: entry.subject.qualify(&reference.subject).to_string().into(),
                version: reference.version,
            })
            .collect();
        // The guid is that of what is shown.
        dressed.guid = Some(identity(
            dressed.text.as_deref().unwrap_or(&entry.content.text),
            &qualified,
            entry.content.metadata.as_deref(),
            entry.content.rule_set.as_deref(),
        ));
        dressed.references = Some(qualified);
    }
    Ok(dressed)
}

/// `[{"schemaEntity":{"entityPath":…,"entityType":…},"tags":[…]}]`; `*` means all tags. `None` where nothing has any of them.
fn tags(
    registry: &Registry,
    entry: &Entry,
    wanted: &[String],
) -> Result<Option<String>, RegistryError> {
    let parsed = registry.parse_stored(entry, Keep::Yes)?;
    let all = wanted.iter().any(|tag| tag == "*");
    let mut out = String::new();
    for entity in parsed.tags() {
        if !(all || entity.tags.iter().any(|tag| wanted.contains(tag))) {
            continue;
        }
        out.push_str(if out.is_empty() { "[" } else { "," });
        out.push_str("{\"schemaEntity\":{\"entityPath\":");
        write_string_to_bytes(&entity.path, &mut out);
        out.push_str(",\"entityType\":\"");
        out.push_str(if entity.is_field {
            "sr_field"
        } else {
            "sr_record"
        });
        out.push_str("\"},\"tags\":");
        crate::render::write_texts(entity.tags.iter().map(String::as_str), &mut out);
        out.push('}');
    }
    if out.is_empty() {
        return Ok(None);
    }
    out.push(']');
    Ok(Some(out))
}

fn find(
    registry: &Registry,
    name: &SubjectName,
    version: &str,
    deleted: bool,
) -> Result<Arc<Entry>, RegistryError> {
    let number = crate::version::parse(version)?;
    let state = registry.state();
    match state.find_in_contexts(name, number, deleted) {
        Some(entry) => Ok(Arc::clone(entry)),
        None if state.has_subjects(Some(name), deleted) => {
            Err(RegistryError::version_not_found(number))
        }
        None => Err(RegistryError::subject_not_found(name)),
    }
}

/// `GET /subjects/{s}/versions/{v}`
pub(super) fn version(
    registry: &Registry,
    subject: &str,
    version: &str,
    form: &Form<'_>,
    deleted: bool,
) -> Result<Answer, RegistryError> {
    let name = aliased(registry, subject);
    let entry = find(registry, &name, version, deleted)?;
    let dressed = dress(registry, &entry, form)?;
    let full = entry.subject.to_string();
    let mut shown = Shown::of_entry(&entry, &full);
    dressed.apply(&mut shown);
    let mut out = String::with_capacity(entry.content.text.len() * 5 / 4 + 256);
    write_schema(&shown, registry.settings().personality, &mut out);
    Ok(Answer::ok(out))
}

/// `GET /subjects/{s}/versions/{v}/schema`
pub(super) fn text(
    registry: &Registry,
    subject: &str,
    version: &str,
    format: Option<&str>,
    deleted: bool,
) -> Result<Answer, RegistryError> {
    let name = aliased(registry, subject);
    let entry = find(registry, &name, version, deleted)?;
    let formatted = registry.formatted(&entry.subject, &entry.content, format)?;
    Ok(Answer::ok(
        formatted.unwrap_or_else(|| entry.content.text.to_string()),
    ))
}

/// `GET /subjects/{s}/versions/{v}/referencedby`
pub(super) fn referenced_by(
    registry: &Registry,
    subject: &str,
    version: &str,
    deleted: bool,
    page: Page,
) -> Result<Answer, RegistryError> {
    let name = aliased(registry, subject);
    let entry = find(registry, &name, version, true)?;
    let window = Window::new(page, registry.settings().schema_limits)?;
    let state = registry.state();
    let ids: Vec<i32> = referrers(&state, &entry.subject, entry.version, deleted)
        .map(|(_, id)| id)
        .collect();
    let mut out = String::new();
    write_ints(window.cut(ids.into_iter()), &mut out);
    Ok(Answer::ok(out))
}

/// Which versions are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    Live,
    All,
    DeletedOnly,
    /// All, soft-deleted ones with a minus sign.
    DeletedAsNegative,
}

/// `GET /subjects/{s}/versions`; `deleted`: whether a subject with only soft-deleted versions exists.
pub(super) fn list(
    registry: &Registry,
    subject: &str,
    deleted: bool,
    listed: Listed,
    page: Page,
) -> Result<Answer, RegistryError> {
    let name = aliased(registry, subject);
    let state = registry.state();
    if !state.has_subjects(Some(&name), deleted) {
        return Err(RegistryError::subject_not_found(&name));
    }
    let window = Window::new(page, registry.settings().version_limits)?;
    let versions = state
        .subject(&name)
        .map(|s| s.versions())
        .unwrap_or_default()
        .iter()
        .filter(|entry| match listed {
            Listed::Live => !entry.deleted,
            Listed::DeletedOnly => entry.deleted,
            Listed::All | Listed::DeletedAsNegative => true,
        })
        .map(|entry| {
            if listed == Listed::DeletedAsNegative && entry.deleted {
                -entry.version
            } else {
                entry.version
            }
        });
    let mut out = String::new();
    write_ints(window.cut(versions), &mut out);
    Ok(Answer::ok(out))
}
