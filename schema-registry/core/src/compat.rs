//! Compatibility levels over the versions of a subject, and the message list.

mod alike;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use registry_formats::{Direction, ParsedSchema, Policy};

use alike::Alike;

use crate::RegistryError;
use crate::config::{Config, LenientPolicy, Level};
use crate::content::{Content, Entry};
use crate::draft::Canonical;
use crate::loose;
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
            let mut candidates = previous
                .iter()
                .rev()
                .filter(|old| group.is_none() || group_of(&old.content) == wanted);
            let found = if level.is_transitive() {
                let candidates: Vec<&Entry> = candidates.map(|old| &**old).collect();
                let alike = Alike::new(level, new);
                self.first_failure(&candidates, &|old| {
                    if alike.as_ref().is_some_and(|a| a.allows(&old.content)) {
                        return Ok(Vec::new());
                    }
                    let parsed = self.parse_stored(old, Keep::IfThereIsRoom)?;
                    compare(level, policy, &new.parsed, &parsed, old)
                })
            } else {
                candidates.next().map_or(Ok(Vec::new()), |old| {
                    let parsed = self.parse_stored(old, Keep::Yes)?;
                    compare(level, policy, &new.parsed, &parsed, old)
                })
            };
            messages.extend(found?);
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

/// Versions that one thread compares before another one is worth starting.
const PER_THREAD: usize = 128;
/// Threads of one registration.
const MOST_THREADS: usize = 4;

/// What one comparison found.
type Verdict = Result<Vec<String>, RegistryError>;

impl Registry {
    /// The verdict of the first version that does not pass, on as many threads as there are versions for.
    fn first_failure(
        &self,
        versions: &[&Entry],
        check: &(dyn Fn(&Entry) -> Verdict + Sync),
    ) -> Verdict {
        // Where the first failure is so far: what lies behind it need not be looked at.
        let failed = AtomicUsize::new(usize::MAX);
        let run = |from: usize, versions: &[&Entry]| -> Verdict {
            for (at, version) in (from..).zip(versions) {
                if failed.load(Ordering::Relaxed) < at {
                    break;
                }
                let verdict = check(version);
                if !matches!(&verdict, Ok(found) if found.is_empty()) {
                    failed.fetch_min(at, Ordering::Relaxed);
                    return verdict;
                }
            }
            Ok(Vec::new())
        };
        let threads = (versions.len() / PER_THREAD).min(MOST_THREADS);
        let threads = match threads {
            0 | 1 => 1,
            wanted => std::thread::available_parallelism().map_or(1, |n| n.get().min(wanted)),
        };
        if threads == 1 {
            return run(0, versions);
        }
        let size = versions.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let (own, others) = versions.split_at(size);
            let run = &run;
            let others: Vec<_> = (1..)
                .zip(others.chunks(size))
                .map(|(i, chunk)| {
                    let thread = std::thread::Builder::new().name("registry-compare".to_owned());
                    thread
                        .spawn_scoped(scope, move || run(i * size, chunk))
                        .map_err(|_| (i, chunk))
                })
                .collect();
            let mut verdict = run(0, own);
            for other in others {
                // A thread that cannot be had is done without.
                let next = match other {
                    Ok(thread) => thread.join().unwrap_or(Err(RegistryError::internal())),
                    Err((i, chunk)) => run(i * size, chunk),
                };
                if matches!(&verdict, Ok(found) if found.is_empty()) {
                    verdict = next;
                }
            }
            verdict
        })
    }
}

/// Live versions of a subject whose first transitive check takes long enough to prepare for it.
const LONG: usize = 200;

impl Registry {
    /// Parses what the next registration in a long subject of a transitive level will be compared with, as far as there is room for it; returns how many versions that were.
    /// For a thread of its own after a start: it takes up to a second.
    pub fn warm_up(&self) -> usize {
        let subjects = self.state().long_subjects(LONG);
        let mut parsed = 0;
        for subject in subjects {
            let config = self.config_in_scope(&subject);
            if !config.level.unwrap_or(self.default_level()).is_transitive() {
                continue;
            }
            let versions: Vec<Arc<Entry>> = self
                .state()
                .subject(&subject)
                .map(|s| s.versions().iter().rev().filter(|v| !v.deleted).cloned())
                .into_iter()
                .flatten()
                .collect();
            for version in versions {
                if self.parsed().is_full() {
                    return parsed;
                }
                if let Ok(schema) = self.parse_stored(&version, Keep::IfThereIsRoom) {
                    loose::of(&version.content, || Some(schema));
                    parsed += 1;
                }
            }
        }
        parsed
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
