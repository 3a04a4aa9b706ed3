//! Deleting contexts.

use super::{Outcome, PendingDraft, tombstone};
use crate::name::SubjectName;
use crate::record::{Key, write_key};
use crate::registry::Registry;
use crate::{Answer, Body, Command, RegistryError};

/// `DELETE /contexts/{ctx}`. Without the dot it gets one; a context that does not exist is deleted all the same.
pub(super) fn delete(registry: &Registry, context: &str) -> Outcome {
    let trimmed = context.strip_prefix(':').unwrap_or(context);
    let trimmed = trimmed.strip_suffix(':').unwrap_or(trimmed);
    let name = if trimmed.starts_with('.') {
        SubjectName::new(trimmed, "")
    } else {
        SubjectName::new(&format!(".{trimmed}"), "")
    };
    let state = registry.state();
    if state.has_subjects(Some(&name), true) {
        return Err(RegistryError::new(
            42211,
            format!("The specified context '{name}' is not empty."),
        ));
    }
    let key = state
        .known_contexts
        .get(&name.context)
        .and_then(|kept| kept.key.as_deref())
        .map_or_else(
            || write_key(&Key::Context(name.context.clone())),
            str::to_owned,
        );
    let answer = Answer {
        status: 204,
        body: Body::Empty,
    };
    let errors = Command::DeleteContext {
        context: String::new(),
    }
    .store_errors();
    Ok(PendingDraft::alone().into_plan(vec![tombstone(key)], answer, errors))
}
