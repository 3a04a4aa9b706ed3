//! Resolving references, transitively.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use registry_formats::{Reference, ResolvedReference};

use crate::body::RequestReference;
use crate::content::Entry;
use crate::name::SubjectName;
use crate::state::State;
use crate::version::LATEST;

/// How references are resolved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolution {
    /// A new schema may not refer to what is soft-deleted.
    pub(crate) live_only: bool,
    /// Most schemas in the closure.
    pub(crate) limit: usize,
    /// Whether two versions under one name are an error.
    pub(crate) strict_versions: bool,
}

struct Walk<'s> {
    state: &'s State,
    how: Resolution,
    visited: HashSet<Arc<str>>,
    versions: HashMap<Arc<str>, i32>,
    found: Vec<ResolvedReference>,
    fetched: usize,
}

struct Frame {
    name: Arc<str>,
    entry: Arc<Entry>,
    next: usize,
}

impl Walk<'_> {
    fn fetch(&mut self, parent: &SubjectName, reference: &Reference) -> Result<Arc<Entry>, String> {
        self.fetched += 1;
        // Every schema of the closure may mention all others.
        if self.fetched > self.how.limit.saturating_mul(100) {
            return Err(format!(
                "More than {} mentions in the references",
                self.how.limit * 100
            ));
        }
        if reference.version <= 0 && reference.version != LATEST {
            return Err(format!(
                "io.confluent.kafka.schemaregistry.exceptions.InvalidVersionException: {}",
                reference.version
            ));
        }
        let subject = parent.qualify(&reference.subject);
        let Some(entry) = self
            .state
            .find(&subject, reference.version, !self.how.live_only)
        else {
            return Err(format!(
                "No schema reference found for subject \"{subject}\" and version {}",
                reference.version
            ));
        };
        if self.how.strict_versions {
            match self.versions.get(&reference.name) {
                Some(version) if *version != entry.version => {
                    return Err(format!(
                        "Conflicting reference versions for \"{}\": version {version} and version {}",
                        reference.name, entry.version
                    ));
                }
                _ => {
                    self.versions
                        .insert(Arc::clone(&reference.name), entry.version);
                }
            }
        }
        Ok(Arc::clone(entry))
    }

    /// Depth first, dependencies before what needs them, each name once; a loop ends where it comes back.
    fn walk(&mut self, name: &Arc<str>, entry: Arc<Entry>) -> Result<(), String> {
        let mut stack = vec![Frame {
            name: Arc::clone(name),
            entry,
            next: 0,
        }];
        while let Some(frame) = stack.last_mut() {
            let Some(reference) = frame.entry.content.references.get(frame.next).cloned() else {
                if let Some(done) = stack.pop() {
                    self.found.push(ResolvedReference {
                        name: done.name,
                        text: Arc::clone(&done.entry.content.text),
                    });
                }
                continue;
            };
            frame.next += 1;
            let parent = Arc::clone(&frame.entry.subject);
            let entry = self.fetch(&parent, &reference)?;
            if self.visit(&reference.name)? {
                stack.push(Frame {
                    name: reference.name,
                    entry,
                    next: 0,
                });
            }
        }
        Ok(())
    }

    fn visit(&mut self, name: &Arc<str>) -> Result<bool, String> {
        let new = self.visited.insert(Arc::clone(name));
        if self.visited.len() > self.how.limit {
            return Err(format!(
                "More than {} references, transitive ones included",
                self.how.limit
            ));
        }
        Ok(new)
    }
}

fn walk(state: &State, how: Resolution) -> Walk<'_> {
    Walk {
        state,
        how,
        visited: HashSet::new(),
        versions: HashMap::new(),
        found: Vec::new(),
        fetched: 0,
    }
}

/// Resolves what a request mentions; `-1` becomes the version it means.
///
/// # Errors
/// The text of what is missing or wrong.
pub(crate) fn resolve_request(
    state: &State,
    subject: &SubjectName,
    references: &mut [RequestReference],
    how: Resolution,
) -> Result<Vec<ResolvedReference>, String> {
    let mut walk = walk(state, how);
    for requested in references {
        let reference = requested.complete()?;
        let entry = walk.fetch(subject, &reference)?;
        if reference.version == LATEST {
            requested.version = Some(entry.version);
        }
        if walk.visit(&reference.name)? {
            walk.walk(&reference.name, entry)?;
        }
    }
    Ok(walk.found)
}

/// Resolves what a stored schema mentions.
///
/// # Errors
/// The text of what is missing.
pub(crate) fn resolve_stored(
    state: &State,
    subject: &SubjectName,
    references: &[Reference],
    how: Resolution,
) -> Result<Vec<ResolvedReference>, String> {
    let mut walk = walk(state, how);
    for reference in references {
        let entry = walk.fetch(subject, reference)?;
        if walk.visit(&reference.name)? {
            walk.walk(&reference.name, entry)?;
        }
    }
    Ok(walk.found)
}
