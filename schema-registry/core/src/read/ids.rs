//! Schemas by id and by guid.

use std::sync::Arc;

use java_idioms::json::write_string_to_bytes;
use registry_formats::Identity;

use super::page::Window;
use super::versions::{Form, dress};
use crate::content::Entry;
use crate::name::{DEFAULT_CONTEXT, SubjectName};
use crate::registry::Registry;
use crate::render::{Shown, push_int, write_schema_string, write_texts};
use crate::state::State;
use crate::{Answer, Page, Query, RegistryError};

/// The version that stands for an id: of the subject asked for, else of any in its context, else of the same subject in another context.
fn find<'s>(state: &'s State, id: i32, subject: Option<&str>) -> Option<&'s Arc<Entry>> {
    let alias = subject
        .filter(|s| !s.is_empty())
        .and_then(|s| state.resolve_alias(s));
    let name = alias.or_else(|| subject.map(SubjectName::parse));
    let Some(name) = name else {
        return state.context(DEFAULT_CONTEXT)?.ids.get(&id)?.first();
    };
    let uses = state
        .context(&name.context)
        .and_then(|context| context.ids.get(&id));
    if name.is_context() {
        return uses?.first();
    }
    if let Some(found) = uses.and_then(|uses| uses.of_subject(&name.to_string())) {
        return Some(found);
    }
    if !name.is_default_context() {
        return None;
    }
    state
        .known_contexts
        .keys()
        .find_map(|context| {
            let other = SubjectName::new(context, &name.bare);
            state
                .context(context)?
                .ids
                .get(&id)?
                .of_subject(&other.to_string())
        })
        .or_else(|| uses?.first())
}

/// `GET /schemas/ids/{id}` without options, appended to `out`; `None` for another call.
pub(crate) fn answer_by_id_into(
    registry: &Registry,
    query: &Query,
    out: &mut String,
) -> Option<Result<(), RegistryError>> {
    matches!(query, Query::SchemaById { .. }).then(|| by_id(registry, query, out))
}

/// `GET /schemas/ids/{id}`
pub(super) fn by_id(
    registry: &Registry,
    query: &Query,
    out: &mut String,
) -> Result<(), RegistryError> {
    let Query::SchemaById {
        id,
        subject,
        format,
        reference_format,
        fetch_max_id,
        find_tags,
    } = query
    else {
        return Err(RegistryError::http_not_found());
    };
    let (entry, max_id) = {
        let state = registry.state();
        let entry = find(&state, *id, subject.as_deref())
            .ok_or_else(|| RegistryError::no_such_schema(id))?;
        let max_id = fetch_max_id.then(|| {
            state
                .context(&entry.subject.context)
                .map_or(0, |c| c.max_id)
        });
        (Arc::clone(entry), max_id)
    };
    registry.escaped().prepare(&entry.content);
    let form = Form {
        format: format.as_deref(),
        reference_format: reference_format.as_deref(),
        find_tags,
    };
    let dressed = dress(registry, &entry, &form)?;
    let name = entry.subject.to_string();
    let mut shown = Shown::of_entry(&entry, &name);
    dressed.apply(&mut shown);
    // Here the guid stays that of the stored schema, whatever its references are shown as.
    shown.guid = entry.content.identity;
    shown.max_id = max_id;
    out.reserve(entry.content.text.len() * 5 / 4 + 256);
    write_schema_string(&shown, registry.settings().personality, out);
    Ok(())
}

/// `GET /schemas/ids/{id}/schema`
pub(super) fn text_by_id(
    registry: &Registry,
    id: i32,
    subject: Option<&str>,
    format: Option<&str>,
) -> Result<Answer, RegistryError> {
    let entry = find(&registry.state(), id, subject).cloned();
    let entry = entry.ok_or_else(|| RegistryError::no_such_schema(id))?;
    let formatted = registry.formatted(&entry.subject, &entry.content, format)?;
    Ok(Answer::ok(
        formatted.unwrap_or_else(|| entry.content.text.to_string()),
    ))
}

/// The uses of an id in the context that a subject chooses.
fn uses(
    registry: &Registry,
    id: i32,
    subject: Option<&str>,
    deleted: bool,
) -> Result<Vec<(String, i32)>, RegistryError> {
    let state = registry.state();
    let found = find(&state, id, subject)
        .and_then(|entry| {
            let context = state.context(&entry.subject.context)?;
            // By content, as the original has it: where an import gave one content two ids, both show the uses of the later.
            let id = context.identities.get(&entry.content.identity)?;
            context.ids.get(id)
        })
        .ok_or_else(RegistryError::schema_not_found)?;
    Ok(found
        .in_order()
        .into_iter()
        .filter(|entry| deleted || !entry.deleted)
        .map(|entry| (entry.subject.to_string(), entry.version))
        .collect())
}

/// `GET /schemas/ids/{id}/subjects`
pub(super) fn subjects(
    registry: &Registry,
    id: i32,
    subject: Option<&str>,
    deleted: bool,
    page: Page,
) -> Result<Answer, RegistryError> {
    let uses = uses(registry, id, subject, deleted)?;
    let window = Window::new(page, registry.settings().subject_limits)?;
    let mut out = String::new();
    write_texts(
        window.cut(uses.iter().map(|(subject, _)| subject.as_str())),
        &mut out,
    );
    Ok(Answer::ok(out))
}

/// `GET /schemas/ids/{id}/versions`
pub(super) fn versions(
    registry: &Registry,
    id: i32,
    subject: Option<&str>,
    deleted: bool,
    page: Page,
) -> Result<Answer, RegistryError> {
    let uses = uses(registry, id, subject, deleted)?;
    let window = Window::new(page, registry.settings().version_limits)?;
    let mut out = String::from("[");
    for (i, (subject, version)) in window.cut(uses.iter()).enumerate() {
        out.push_str(if i > 0 { ",{" } else { "{" });
        // The empty name is left out, as all empty texts are.
        if !subject.is_empty() {
            out.push_str("\"subject\":");
            write_string_to_bytes(subject, &mut out);
            out.push(',');
        }
        out.push_str("\"version\":");
        push_int((*version).into(), &mut out);
        out.push('}');
    }
    out.push(']');
    Ok(Answer::ok(out))
}

/// Contexts and ids of a guid, the default context first.
fn ids(state: &State, guid: &str) -> Vec<(String, i32)> {
    let Some(identity) = Identity::parse(guid) else {
        return Vec::new();
    };
    std::iter::once(DEFAULT_CONTEXT)
        .chain(state.known_contexts.keys().map(|context| &**context))
        .filter_map(|context| {
            let id = state.context(context)?.identities.get(&identity)?;
            Some((context.to_owned(), *id))
        })
        .collect()
}

/// `GET /schemas/guids/{guid}`
pub(super) fn by_guid(
    registry: &Registry,
    guid: &str,
    format: Option<&str>,
) -> Result<Answer, RegistryError> {
    let entry = {
        let state = registry.state();
        ids(&state, guid)
            .first()
            .and_then(|(context, id)| state.context(context)?.ids.get(id)?.first())
            .cloned()
    };
    let entry = entry.ok_or_else(|| RegistryError::no_such_schema(guid))?;
    let formatted = registry.formatted(&entry.subject, &entry.content, format)?;
    let mut shown = Shown::of_entry(&entry, "");
    shown.subject = None;
    shown.version = None;
    shown.text = formatted.as_deref();
    let mut out = String::new();
    write_schema_string(&shown, registry.settings().personality, &mut out);
    Ok(Answer::ok(out))
}

/// `GET /schemas/guids/{guid}/ids`
pub(super) fn ids_of_guid(registry: &Registry, guid: &str) -> Result<Answer, RegistryError> {
    let mut ids = ids(&registry.state(), guid);
    ids.sort();
    let mut out = String::from("[");
    for (i, (context, id)) in ids.iter().enumerate() {
        out.push_str(if i > 0 {
            ",{\"context\":"
        } else {
            "{\"context\":"
        });
        write_string_to_bytes(context, &mut out);
        out.push_str(",\"id\":");
        push_int((*id).into(), &mut out);
        out.push('}');
    }
    out.push(']');
    Ok(Answer::ok(out))
}
