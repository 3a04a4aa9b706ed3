//! Compatibility levels over the versions of a subject, and the message list.

use std::collections::BTreeSet;
use std::sync::Arc;

use registry_formats::{Direction, ParsedSchema, Policy};

use crate::RegistryError;
use crate::config::{Config, LenientPolicy, Level};
use crate::content::{Content, Entry};
use crate::draft::Canonical;
use crate::parsed_cache::Keep;
use crate::registry::Registry;

/// Longest text of an old schema in a message, in UTF-16 units.
const MAX_SHOWN: usize = 10 * 1024;

impl Registry {
    /// The messages of the first comparison that fails; empty when the schema is compatible. `previous`: live versions, ascending.
    ///
    /// # Errors
    /// 42201 for a stored version that cannot be parsed; 500 where the original fails.
    pub(crate) fn incompatibilities(
        &self,
        config: &Config,
        new: &Canonical,
        previous: &[Arc<Entry>],
    ) -> Result<Vec<String>, RegistryError> {
        let level = config.level.unwrap_or(self.default_level());
        let validate_fields = config
            .validate_fields
            .unwrap_or(self.settings().validate_fields);
        let mut messages = Vec::new();
        if validate_fields {
            let reserved = reserved(&new.content);
            if let Some(latest) = previous.last() {
                for field in self::reserved(&latest.content).difference(&reserved) {
                    messages.push(format!(
                        "The new schema has reserved field {field} removed from its metadata which is present in the old schema's metadata."
                    ));
                }
            }
            for field in &reserved {
                if new.parsed.has_top_level_field(field) {
                    messages.push(format!(
                        "The new schema has field that conflicts with the reserved field {field}."
                    ));
                }
            }
        }
        let policy = match config.policy {
            Some(LenientPolicy::Lenient) => Policy::Lenient,
            _ => Policy::Strict,
        };
        let group = config.group.as_deref();
        let group_of = |content: &Content| -> Option<Arc<str>> {
            content.metadata.as_ref()?.properties.get(group?).cloned()
        };
        let wanted = group_of(&new.content);
        if level != Level::None {
            for old in previous.iter().rev() {
                if group.is_some() && group_of(&old.content) != wanted {
                    continue;
                }
                let keep = if level.is_transitive() {
                    Keep::IfThereIsRoom
                } else {
                    Keep::Yes
                };
                let parsed = self.parse_stored(old, keep)?;
                let found = compare(level, policy, &new.parsed, &parsed, old)?;
                let failed = !found.is_empty();
                messages.extend(found);
                if failed || !level.is_transitive() {
                    break;
                }
            }
        }
        if !messages.is_empty() {
            messages.push(format!(
                "{{validateFields: '{validate_fields}', compatibility: '{}'}}",
                level.name()
            ));
        }
        Ok(messages)
    }
}

fn reserved(content: &Content) -> BTreeSet<&str> {
    content
        .metadata
        .as_ref()
        .map(|m| m.reserved_fields())
        .unwrap_or_default()
}

fn compare(
    level: Level,
    policy: Policy,
    new: &ParsedSchema,
    old: &ParsedSchema,
    entry: &Entry,
) -> Result<Vec<String>, RegistryError> {
    if new.schema_type() != old.schema_type() {
        return Ok(vec![
            "Incompatible because of different schema type".to_owned(),
        ]);
    }
    let mut messages = Vec::new();
    if level.checks_forward() {
        let found = differences(old, new, Direction::Forward, policy)?;
        let failed = !found.is_empty();
        messages.extend(found);
        // Where both directions are checked, only the backward half shows the old schema.
        if failed && !level.checks_backward() {
            show_old(entry, &mut messages);
        }
    }
    if level.checks_backward() {
        let found = differences(new, old, Direction::Backward, policy)?;
        let failed = !found.is_empty();
        messages.extend(found);
        if failed {
            show_old(entry, &mut messages);
        }
    }
    Ok(messages)
}

fn differences(
    reader: &ParsedSchema,
    writer: &ParsedSchema,
    direction: Direction,
    policy: Policy,
) -> Result<Vec<String>, RegistryError> {
    match ParsedSchema::check(reader, writer, direction, policy) {
        Ok(found) => Ok(found),
        // A failure without a text surfaces as it is.
        Err(text) if text.is_empty() => Err(RegistryError::internal()),
        Err(text) => Ok(vec![format!(
            "Unexpected exception during compatibility check: {text}"
        )]),
    }
}

fn show_old(entry: &Entry, messages: &mut Vec<String>) {
    messages.push(format!("{{oldSchemaVersion: {}}}", entry.version));
    let text = &entry.content.text;
    let mut units = 0;
    let cut = text.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units > MAX_SHOWN
    });
    messages.push(match cut {
        None => format!("{{oldSchema: '{text}'}}"),
        Some((at, _)) => format!("{{oldSchema: <truncated> '{}...'}}", &text[..at]),
    });
}
