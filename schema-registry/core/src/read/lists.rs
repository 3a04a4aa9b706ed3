//! Lists over many subjects.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::page::Window;
use crate::content::Entry;
use crate::name::{ANY_CONTEXT, SubjectName, split};
use crate::registry::Registry;
use crate::render::{Shown, write_schema, write_texts};
use crate::state::{State, Subject};
use crate::{Answer, AssociationFilter, Page, RegistryError};

/// Higher than any text that begins with the same characters.
const END: char = '\u{10FFFF}';

/// Calls `visit` with every subject that a prefix means, in the order of the store.
fn each_subject<'s>(
    state: &'s State,
    prefix: &str,
    mut visit: impl FnMut(&'s Arc<str>, &'s Arc<str>, &'s Subject),
) {
    let mut range = |from: (&str, &str), to: (&str, &str)| {
        for (context, held) in state
            .contexts
            .range::<str, _>((Bound::Included(from.0), Bound::Included(to.0)))
        {
            let low = if **context == *from.0 { from.1 } else { "" };
            for (bare, subject) in held
                .subjects
                .range::<str, _>((Bound::Included(low), Bound::Unbounded))
            {
                if **context == *to.0 && **bare > *to.1 {
                    break;
                }
                visit(context, bare, subject);
            }
        }
    };
    let Some(at) = prefix.find(ANY_CONTEXT) else {
        let end = format!("{prefix}{END}");
        return range(split(prefix), split(&end));
    };
    let (before, after) = (&prefix[..at], &prefix[at + ANY_CONTEXT.len()..]);
    if after.is_empty() {
        let end = format!(".{END}");
        return range((".", ""), (&end, ""));
    }
    let default = format!("{before}{after}");
    range((".", &default), (".", &format!("{default}{END}")));
    for context in state.known_contexts.keys() {
        range((context, after), (context, &format!("{after}{END}")));
    }
}

/// `GET /subjects`
pub(super) fn subjects(
    registry: &Registry,
    prefix: Option<&str>,
    deleted: bool,
    deleted_only: bool,
    page: Page,
) -> Result<Answer, RegistryError> {
    let window = Window::new(page, registry.settings().subject_limits)?;
    let mut names = Vec::new();
    each_subject(
        &registry.state(),
        prefix.unwrap_or(ANY_CONTEXT),
        |context, bare, subject| {
            let live = subject.live() > 0;
            if if deleted_only { !live } else { deleted || live } {
                names.push(SubjectName {
                    context: Arc::clone(context),
                    bare: Arc::clone(bare),
                });
            }
        },
    );
    let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    let mut out = String::new();
    write_texts(window.cut(names.iter().map(String::as_str)), &mut out);
    Ok(Answer::ok(out))
}

/// Which schemas are listed.
#[derive(Debug, Clone, Copy)]
pub(super) struct SchemaFilter<'q> {
    pub(super) prefix: &'q str,
    pub(super) aliases: bool,
    pub(super) deleted: bool,
    pub(super) latest_only: bool,
    pub(super) rule_type: Option<&'q str>,
    pub(super) associations: Option<&'q AssociationFilter>,
}

/// `GET /schemas`
pub(super) fn schemas(
    registry: &Registry,
    filter: &SchemaFilter<'_>,
    page: Page,
) -> Result<Answer, RegistryError> {
    let window = Window::new(page, registry.settings().schema_limits)?;
    let (mut found, aliases) = {
        let state = registry.state();
        let aliases = if filter.aliases {
            aliases(&state, filter.prefix)
        } else {
            BTreeMap::new()
        };
        let mut found: Vec<(String, Arc<Entry>)> = Vec::new();
        let mut take = |name: String, subject: &Subject| {
            let mut wanted = subject
                .versions()
                .iter()
                .filter(|entry| filter.deleted || !entry.deleted);
            if filter.latest_only {
                found.extend(wanted.next_back().map(|entry| (name, Arc::clone(entry))));
            } else {
                found.extend(wanted.map(|entry| (name.clone(), Arc::clone(entry))));
            }
        };
        let mut listed = std::collections::HashSet::new();
        each_subject(&state, filter.prefix, |context, bare, subject| {
            let name = SubjectName {
                context: Arc::clone(context),
                bare: Arc::clone(bare),
            }
            .to_string();
            listed.insert(name.clone());
            take(name, subject);
        });
        // What the aliases under the prefix stand for is listed too.
        for target in aliases.keys().filter(|target| !listed.contains(*target)) {
            if let Some(subject) = state.subject(&SubjectName::parse(target)) {
                take(target.clone(), subject);
            }
        }
        (found, aliases)
    };
    if let Some(rule_type) = filter.rule_type {
        found.retain(|(_, entry)| {
            entry
                .content
                .rule_set
                .as_ref()
                .is_some_and(|rules| rules.has_type(rule_type))
        });
    }
    let associations = filter
        .associations
        .map(|wanted| super::associations::BySubject::new(registry, wanted))
        .transpose()?;
    if let Some(associations) = &associations {
        found.retain(|(name, _)| associations.shows(name));
    }
    found.sort_by(|(a, x), (b, y)| (a, x.version).cmp(&(b, y.version)));
    let mut out = String::from("[");
    for (i, (name, entry)) in window.cut(found.iter()).enumerate() {
        if i > 0 {
            out.push(',');
        }
        let mut shown = Shown::of_entry(entry, name);
        shown.aliases = aliases.get(name).map(Vec::as_slice);
        let associated = associations.as_ref().and_then(|all| all.of(name));
        shown.associations = associated.as_deref();
        write_schema(&shown, registry.settings().personality, &mut out);
    }
    out.push(']');
    Ok(Answer::ok(out))
}

/// Names with an alias under a prefix, by what they stand for.
fn aliases(state: &State, prefix: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, kept) in &state.configs {
        let (Some(name), Some(alias)) = (name, &kept.value.alias) else {
            continue;
        };
        let full = name.to_string();
        let matches = match prefix.strip_prefix(ANY_CONTEXT) {
            Some(rest) => name.bare.starts_with(rest),
            None if prefix.is_empty() => name.is_default_context(),
            None => full.starts_with(prefix),
        };
        if matches {
            found
                .entry(name.qualify(alias).to_string())
                .or_default()
                .push(full);
        }
    }
    found
}
