//! Everything the topic says, indexed.

mod apply;
mod associations;
mod contexts;
mod refused;
mod uses;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use registry_formats::{Identity, SchemaType};

pub(crate) use associations::{Association, Associations};
pub(crate) use contexts::{ContextState, Subject};
pub(crate) use refused::RefusedWrites;

use crate::config::{Config, Mode};
use crate::content::{Content, Entry};
use crate::name::{DEFAULT_CONTEXT, GLOBAL_CONTEXT, SubjectName};

/// A value with the key bytes under which it was found, where they are not ours.
#[derive(Debug, Clone)]
pub(crate) struct Kept<T> {
    pub(crate) value: T,
    pub(crate) key: Option<Box<str>>,
}

/// How many schemas were registered and deleted since the start, by format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records of live versions.
    pub registered: u64,
    /// Records of soft-deleted versions.
    pub deleted: u64,
}

/// The state. All methods are quick; nothing is parsed here.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) contexts: BTreeMap<Arc<str>, ContextState>,
    /// Contexts that have a record.
    pub(crate) known_contexts: BTreeMap<Arc<str>, Kept<()>>,
    pub(crate) configs: BTreeMap<Option<SubjectName>, Kept<Arc<Config>>>,
    pub(crate) modes: BTreeMap<Option<SubjectName>, Kept<Mode>>,
    pub(crate) associations: Associations,
    /// One content for all versions that carry it.
    contents: HashMap<Identity, Arc<Content>>,
    pub(crate) refused: RefusedWrites,
    /// By [`SchemaType`], other types last.
    counts: [Counts; 4],
    /// Grows whenever a version vanishes or its content changes: schemas with references may mean something else then.
    pub(crate) generation: u64,
    /// Up to release 8.1 a global `READONLY_OVERRIDE` is stronger than the modes of subjects.
    global_override_wins: bool,
}

fn type_index(schema_type: Option<SchemaType>) -> usize {
    match schema_type {
        Some(SchemaType::Avro) => 0,
        Some(SchemaType::Json) => 1,
        Some(SchemaType::Protobuf) => 2,
        None => 3,
    }
}

impl State {
    pub(crate) fn new(global_override_wins: bool) -> Self {
        Self {
            global_override_wins,
            ..Self::default()
        }
    }

    pub(crate) fn context(&self, context: &str) -> Option<&ContextState> {
        self.contexts.get(context)
    }

    pub(crate) fn subject(&self, name: &SubjectName) -> Option<&Subject> {
        self.context(&name.context)?.subjects.get(&name.bare)
    }

    /// One version, soft-deleted or not.
    pub(crate) fn version(&self, name: &SubjectName, version: i32) -> Option<&Arc<Entry>> {
        self.subject(name)?.get(version)
    }

    /// A version for readers: -1 is the highest live one; `deleted` admits soft-deleted ones.
    pub(crate) fn find(
        &self,
        name: &SubjectName,
        version: i32,
        deleted: bool,
    ) -> Option<&Arc<Entry>> {
        let subject = self.subject(name)?;
        if version == crate::version::LATEST {
            return subject.latest();
        }
        subject
            .get(version)
            .filter(|entry| deleted || !entry.deleted)
    }

    /// The same, and for names without a context the other contexts in their order.
    pub(crate) fn find_in_contexts(
        &self,
        name: &SubjectName,
        version: i32,
        deleted: bool,
    ) -> Option<&Arc<Entry>> {
        self.find(name, version, deleted).or_else(|| {
            if !name.is_default_context() {
                return None;
            }
            self.known_contexts.keys().find_map(|context| {
                self.find(&SubjectName::new(context, &name.bare), version, deleted)
            })
        })
    }

    /// Whether the subject, or any subject of a context (`None`: any at all), has a version.
    pub(crate) fn has_subjects(&self, name: Option<&SubjectName>, deleted: bool) -> bool {
        let any = |subject: &Subject| deleted || subject.live() > 0;
        match name {
            Some(name) if !name.is_context() => self.subject(name).is_some_and(any),
            // A context: the subject of the empty name belongs to it.
            Some(name) if &*name.context != GLOBAL_CONTEXT => self
                .context(&name.context)
                .is_some_and(|context| context.subjects.values().any(any)),
            _ => self
                .contexts
                .values()
                .any(|context| context.subjects.values().any(any)),
        }
    }

    /// The subjects meant by a name, a context or nothing, in the order of the store.
    pub(crate) fn matching_subjects(&self, name: Option<&SubjectName>) -> Vec<SubjectName> {
        let in_context = |context: &Arc<str>, state: &ContextState| -> Vec<SubjectName> {
            state
                .subjects
                .keys()
                .map(|bare| SubjectName {
                    context: Arc::clone(context),
                    bare: Arc::clone(bare),
                })
                .collect()
        };
        match name {
            Some(name) if !name.is_context() => self
                .subject(name)
                .map(|_| name.clone())
                .into_iter()
                .collect(),
            Some(name) if &*name.context != GLOBAL_CONTEXT => self
                .contexts
                .get_key_value(&name.context)
                .map(|(context, state)| in_context(context, state))
                .unwrap_or_default(),
            _ => self
                .contexts
                .iter()
                .flat_map(|(context, state)| in_context(context, state))
                .collect(),
        }
    }

    /// The subjects of at least so many live versions.
    pub(crate) fn long_subjects(&self, versions: usize) -> Vec<SubjectName> {
        let mut found = Vec::new();
        for (context, state) in &self.contexts {
            let long = state.subjects.iter().filter(|(_, s)| s.live() >= versions);
            found.extend(long.map(|(bare, _)| SubjectName {
                context: Arc::clone(context),
                bare: Arc::clone(bare),
            }));
        }
        found
    }

    /// The record of exactly this key.
    pub(crate) fn config(&self, name: Option<&SubjectName>) -> Option<&Arc<Config>> {
        self.configs.get(&name.cloned()).map(|kept| &kept.value)
    }

    /// The first record of subject, context and the pseudo context above all.
    pub(crate) fn config_in_scope(&self, name: Option<&SubjectName>) -> Option<&Arc<Config>> {
        self.config(name)
            .or_else(|| self.config(context_of(name).as_ref()))
            .or_else(|| self.config(Some(&SubjectName::new(GLOBAL_CONTEXT, ""))))
    }

    pub(crate) fn mode(&self, name: Option<&SubjectName>) -> Option<Mode> {
        self.modes.get(&name.cloned()).map(|kept| kept.value)
    }

    pub(crate) fn mode_in_scope(&self, name: Option<&SubjectName>) -> Mode {
        if self.global_override_wins && self.mode(None) == Some(Mode::ReadOnlyOverride) {
            return Mode::ReadOnlyOverride;
        }
        self.mode(name)
            .or_else(|| self.mode(context_of(name).as_ref()))
            .or_else(|| self.mode(Some(&SubjectName::new(GLOBAL_CONTEXT, ""))))
            .unwrap_or(Mode::ReadWrite)
    }

    /// What stands for `name` where an alias is configured for it.
    pub(crate) fn resolve_alias(&self, name: &str) -> Option<SubjectName> {
        let subject = SubjectName::parse(name);
        let config = self.config(Some(&subject))?;
        let alias = config.alias.as_deref().filter(|alias| !alias.is_empty())?;
        Some(subject.qualify(alias))
    }

    /// The content already held that equals this one, or this one.
    pub(crate) fn intern(&mut self, content: Content) -> Arc<Content> {
        match self.contents.get(&content.identity) {
            Some(held) if held.is_same(&content) => Arc::clone(held),
            // Two contents of one hash: the second is kept by its versions alone.
            Some(_) => Arc::new(content),
            None => {
                let content = Arc::new(content);
                self.contents.insert(content.identity, Arc::clone(&content));
                content
            }
        }
    }

    /// Forgets a content that no version carries any more; call it after the last entry was dropped.
    fn release(&mut self, identity: Identity) {
        if self
            .contents
            .get(&identity)
            .is_some_and(|held| Arc::strong_count(held) == 1)
        {
            self.contents.remove(&identity);
        }
    }

    pub(crate) fn counts(&self, schema_type: Option<SchemaType>) -> Counts {
        self.counts[type_index(schema_type)]
    }
}

/// The key of the record of a name's context.
pub(crate) fn context_of(name: Option<&SubjectName>) -> Option<SubjectName> {
    match name {
        Some(name) if &*name.context != DEFAULT_CONTEXT => Some(SubjectName {
            context: Arc::clone(&name.context),
            bare: "".into(),
        }),
        _ => None,
    }
}

/// How many bytes of ready-made answers are held.
#[derive(Debug)]
pub(crate) struct EscapedTexts {
    left: AtomicUsize,
}

impl EscapedTexts {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
        }
    }

    /// Keeps the text of a content as a JSON string, while there is room: reading by id costs a copy then. The room is not given back; a registry changes slowly.
    pub(crate) fn prepare(&self, content: &Content) {
        if content.escaped.get().is_some() {
            return;
        }
        let need = content.text.len() * 5 / 4 + 2;
        if self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(need)
            })
            .is_err()
        {
            return;
        }
        content.escaped.get_or_init(|| {
            let mut out = String::with_capacity(need);
            java_idioms::json::write_string_to_bytes(&content.text, &mut out);
            out.into_boxed_str()
        });
    }
}
