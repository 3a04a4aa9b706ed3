//! Registration.

use std::sync::Arc;

use super::pending::Draft as PendingDraft;
use super::reservation::Reservation;
use super::{Outcome, Plan, StoreErrors, check_writable, not_permitted};
use crate::body::{RegisterRequest, parse};
use crate::command::Flags;
use crate::config::Config;
use crate::content::{Content, Entry};
use crate::draft::{Canonical, Draft, Treatment};
use crate::lookup::{Found, Scope, complete_metadata};
use crate::name::{DEFAULT_CONTEXT, SubjectName, Usage, context_prefix, is_valid};
use crate::parsed_cache::Keep;
use crate::record::{Key, write_context, write_key, write_schema};
use crate::registry::Registry;
use crate::render::{Shown, write_registered};
use crate::version::LATEST;
use crate::{Answer, Personality, RegistryError, TopicWrite};

/// How often a free id is looked for.
const ID_ATTEMPTS: usize = 5;

/// A registration whose request was read and is right in itself.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) subject: SubjectName,
    /// As in the path, for its configuration is read too.
    pub(super) asked: SubjectName,
    pub(super) request: RegisterRequest,
    pub(super) normalize: bool,
    pub(super) format: Option<String>,
    pub(super) force: bool,
}

/// What registering a draft comes to.
pub(super) enum Registered {
    /// It is there already.
    Known {
        content: Content,
        version: i32,
        id: i32,
    },
    /// These records make it so.
    New {
        writes: Vec<TopicWrite>,
        pending: PendingDraft,
        content: Content,
        version: i32,
        id: i32,
    },
}

impl Registration {
    /// Reads the request.
    ///
    /// # Errors
    /// 400, 422, 42208, 42210
    pub(super) fn read(
        registry: &Registry,
        subject: &str,
        body: Option<&[u8]>,
        flags: &Flags,
    ) -> Result<Self, RegistryError> {
        let members = parse(body, "RegisterSchemaRequest")?
            .ok_or_else(|| RegistryError::missing_body("register.arg5"))?;
        let mut request = RegisterRequest::read(&members)?;
        if !registry.settings().rule_sets {
            request.rule_set = None;
        }
        if let Some(rules) = &request.rule_set {
            rules.validate()?;
        }
        let target = super::aliased(registry, subject);
        // An alias replaces the name before anything looks at it.
        let shown = if registry.state().resolve_alias(subject).is_some() {
            target.to_string()
        } else {
            subject.to_owned()
        };
        let usage = Usage::Register {
            allow_empty: !registry.settings().reject_empty_subject,
        };
        if !is_valid(&shown, usage) {
            return Err(RegistryError::invalid_subject(&shown));
        }
        let normalize =
            flags.normalize || registry.config_in_scope(&target).normalize == Some(true);
        Ok(Self {
            subject: target,
            asked: SubjectName::parse(subject),
            request,
            normalize,
            format: flags.format.clone(),
            force: flags.force,
        })
    }

    /// What followers answer: the schema is registered already, or is no schema.
    pub(super) fn answer_locally(
        &self,
        registry: &Registry,
    ) -> Option<Result<Answer, RegistryError>> {
        match self.find(registry) {
            Ok(found) => found.map(|found| self.answer(registry, &found)),
            // With references the leader may know more.
            Err(error) if self.request.references.is_empty() => Some(Err(error)),
            Err(_) => None,
        }
    }

    /// The version that this request would only register again.
    fn find(&self, registry: &Registry) -> Result<Option<Found>, RegistryError> {
        let request = &self.request;
        let config = registry.config_in_scope(&self.subject);
        if !request.tags_to_add.is_empty()
            || !request.tags_to_remove.is_empty()
            || request.propagate_tags
            || config.has_defaults_or_overrides()
        {
            return Ok(None);
        }
        let draft = Draft::new(self.subject.clone(), request);
        let latest_only = draft.version == LATEST;
        let scope = Scope {
            normalize: self.normalize,
            deleted: false,
            latest_only,
        };
        let Some(found) = registry.look_up(&config, &draft, scope)? else {
            return Ok(None);
        };
        if draft.version == 0 || latest_only {
            return Ok((draft.id < 0 || draft.id == found.id()).then_some(found));
        }
        if draft.id != found.id() {
            return Ok(None);
        }
        if draft.version == found.version() {
            return Ok(Some(found));
        }
        // An imported subject may hold one schema twice.
        let state = registry.state();
        let other = state.find(&self.subject, draft.version, false);
        Ok(other
            .filter(|entry| {
                entry.id == found.id() && entry.content.identity == found.content().identity
            })
            .map(|entry| Found::Stored(Arc::clone(entry))))
    }

    fn answer(&self, registry: &Registry, found: &Found) -> Result<Answer, RegistryError> {
        let mut shown = Shown::of_content(found.content());
        if let Found::Stored(entry) = found {
            shown.stored = Some((entry.timestamp, entry.deleted));
        }
        shown.version = Some(found.version());
        shown.id = Some(found.id());
        self.render(registry, shown)
    }

    fn render(&self, registry: &Registry, shown: Shown<'_>) -> Result<Answer, RegistryError> {
        let formatted = registry.formatted(&self.subject, shown.content, self.format.as_deref())?;
        let shown = Shown {
            text: formatted.as_deref(),
            ..shown
        };
        let changed = shown.content.metadata != self.request.metadata
            || shown.content.rule_set != self.request.rule_set;
        let mut out = String::with_capacity(shown.content.text.len() + 256);
        write_registered(&shown, changed, registry.settings().personality, &mut out);
        Ok(Answer::ok(out))
    }

    /// Plans it on the leader.
    pub(super) fn plan(&self, registry: &Registry) -> Outcome {
        if let Some(found) = self.find(registry)? {
            return self.answer(registry, &found).map(Plan::Answer);
        }
        // The record of the empty name would have a key without a subject, which no registry reads: the original waits for it in vain.
        if self.subject.is_default_context() && self.subject.is_context() {
            return Err(StoreErrors::registering().timed_out);
        }
        let mut draft = Draft::new(self.subject.clone(), &self.request);
        if !self.request.tags_to_add.is_empty() || !self.request.tags_to_remove.is_empty() {
            super::tags::change(
                registry,
                &mut draft,
                &self.request.tags_to_add,
                &self.request.tags_to_remove,
            )?;
            draft.version = if self.request.has_version {
                self.request.version
            } else {
                LATEST
            };
        }
        let registered = register(
            registry,
            draft,
            self.normalize,
            self.force,
            self.request.propagate_tags,
        )?;
        match registered {
            Registered::Known {
                content,
                version,
                id,
            } => {
                let mut shown = Shown::of_content(&content);
                shown.version = Some(version);
                shown.id = Some(id);
                self.render(registry, shown).map(Plan::Answer)
            }
            Registered::New {
                writes,
                mut pending,
                content,
                version,
                id,
            } => {
                pending.read.insert(self.asked.clone());
                let mut shown = Shown::of_content(&content);
                shown.version = Some(version);
                shown.id = Some(id);
                let answer = self.render(registry, shown)?;
                Ok(pending.into_plan(writes, answer, StoreErrors::registering()))
            }
        }
    }
}

/// What the state says about a subject at the start of a registration.
struct Snapshot {
    config: Config,
    importing: bool,
    /// All versions, ascending.
    versions: Vec<Arc<Entry>>,
}

fn snapshot(registry: &Registry, draft: &Draft) -> Result<Snapshot, RegistryError> {
    let state = registry.state();
    let subject = Some(&draft.subject);
    check_writable(registry, &state, subject)?;
    let mode = state.mode_in_scope(subject);
    if draft.id >= 0 {
        if !mode.is_import() {
            return Err(not_permitted(registry, subject, "not in import mode"));
        }
    } else if mode != crate::config::Mode::ReadWrite {
        return Err(not_permitted(registry, subject, "not in read-write mode"));
    }
    Ok(Snapshot {
        config: registry.with_level(state.config_in_scope(subject)),
        importing: mode.is_import(),
        versions: state
            .subject(&draft.subject)
            .map(|s| s.versions().to_vec())
            .unwrap_or_default(),
    })
}

/// Registers a draft under its subject.
///
/// # Errors
/// 42205, 42201, 409, 42209
pub(super) fn register(
    registry: &Registry,
    mut draft: Draft,
    normalize: bool,
    force: bool,
    propagate_tags: bool,
) -> Result<Registered, RegistryError> {
    let Snapshot {
        config,
        importing,
        versions,
    } = snapshot(registry, &draft)?;
    let new_version = versions
        .last()
        .map_or(1, |last| last.version.saturating_add(1));
    let live: Vec<Arc<Entry>> = versions.iter().filter(|v| !v.deleted).cloned().collect();
    if !importing {
        complete(
            registry,
            &config,
            &mut draft,
            live.last(),
            new_version,
            propagate_tags,
        )?;
    }
    let wanted_id = draft.id;
    let treatment = Treatment {
        as_new: wanted_id < 0
            && config
                .validate_new_schemas
                .unwrap_or(registry.settings().validate_new_schemas),
        normalize,
    };
    // A blank schema comes this far only in import mode.
    let canonical = registry
        .canonicalize(&draft, &config, treatment)?
        .ok_or_else(|| RegistryError::invalid_schema("Empty schema"))?;
    let mut id = wanted_id;
    if let Some(known) = known_by_hash(registry, &draft, &canonical, wanted_id) {
        match known {
            (Some(version), id) if draft.version == 0 => {
                return Ok(Registered::Known {
                    content: canonical.content,
                    version,
                    id,
                });
            }
            (_, known_id) => id = known_id,
        }
    }
    if draft.version == 0 {
        for entry in live.iter().rev().filter(|entry| id < 0 || id == entry.id) {
            if registry.can_look_up(&canonical, entry)? {
                return Ok(Registered::Known {
                    version: entry.version,
                    id: entry.id,
                    content: canonical.content,
                });
            }
        }
    }
    if !importing && !force {
        let messages = registry.incompatibilities(&config, &canonical, &live)?;
        if !messages.is_empty() {
            return Err(RegistryError::incompatible(
                registry.settings().personality,
                format!(
                    "Schema being registered is incompatible with an earlier schema for subject \"{}\", details: [{}]",
                    draft.subject,
                    messages.join(", ")
                ),
            ));
        }
    }
    if draft.version <= 0 {
        draft.version = new_version;
    } else if draft.version != new_version && !importing {
        return Err(RegistryError::invalid_schema(
            "Version is not one more than previous version",
        ));
    }
    write(registry, &draft, canonical, id, wanted_id >= 0, &versions)
}

/// Takes from the latest version what the request leaves open.
fn complete(
    registry: &Registry,
    config: &Config,
    draft: &mut Draft,
    latest: Option<&Arc<Entry>>,
    new_version: i32,
    propagate_tags: bool,
) -> Result<(), RegistryError> {
    if draft.is_blank() {
        let Some(latest) = latest else {
            return Err(RegistryError::invalid_schema("Empty schema"));
        };
        let previous = Draft::of_entry(latest);
        draft.text = previous.text;
        draft.schema_type = previous.schema_type;
        draft.references = previous.references;
    }
    if propagate_tags && let Some(latest) = latest {
        super::tags::propagate(registry, draft, latest)?;
    }
    complete_metadata(config, draft, latest.map(|l| &**l), Some(new_version));
    Ok(())
}

/// Id of the same content in the context, and its live version under this subject.
fn known_by_hash(
    registry: &Registry,
    draft: &Draft,
    canonical: &Canonical,
    wanted_id: i32,
) -> Option<(Option<i32>, i32)> {
    let state = registry.state();
    let context = state.context(&draft.subject.context)?;
    let id = *context.identities.get(&canonical.content.identity)?;
    if wanted_id >= 0 && wanted_id != id {
        return None;
    }
    let uses = context.ids.get(&id)?;
    let version = uses
        .of_subject(&draft.subject.to_string())
        .filter(|entry| !entry.deleted)
        .map(|entry| entry.version);
    Some((version, id))
}

fn write(
    registry: &Registry,
    draft: &Draft,
    canonical: Canonical,
    id: i32,
    given_id: bool,
    versions: &[Arc<Entry>],
) -> Result<Registered, RegistryError> {
    let subject = &draft.subject;
    let version = draft.version;
    let content = canonical.content;
    let personality = registry.settings().personality;
    let mut writes = Vec::with_capacity(2);
    let mut pending = PendingDraft {
        content: Some((Arc::clone(&subject.context), content.identity)),
        // An id from outside may be the next one of another plan.
        alone: given_id,
        ..PendingDraft::default()
    };
    pending.changed.insert(subject.clone());
    for reference in &content.references {
        pending.read.insert(subject.qualify(&reference.subject));
    }
    let state = registry.state();
    if &*subject.context != DEFAULT_CONTEXT && !state.known_contexts.contains_key(&subject.context)
    {
        writes.push(TopicWrite {
            key: write_key(&Key::Context(Arc::clone(&subject.context))),
            value: Some(write_context(&subject.context)),
        });
        pending.new_context = Some(Arc::clone(&subject.context));
    }
    let context = state.context(&subject.context);
    let id = if id >= 0 {
        let held = context
            .and_then(|c| c.ids.get(&id))
            .and_then(|uses| uses.first());
        if let Some(held) = held
            && !held.content.is_same(&content)
        {
            return Err(RegistryError::not_permitted(format!(
                "Overwrite new schema with id {id} in context {} is not permitted.",
                context_prefix(&subject.context)
            )));
        }
        id
    } else {
        let reservation = free_id(
            registry,
            &subject.context,
            |id| context.is_none_or(|c| !c.ids.contains_key(&id)),
            context.map_or(0, |c| c.max_id),
        )?;
        let id = reservation.id();
        pending.reservation = Some(reservation);
        id
    };
    for old in versions
        .iter()
        .filter(|v| v.deleted && v.id == id && v.version < version)
    {
        let referenced = context.is_some_and(|c| {
            c.referenced_by
                .contains_key(&(Arc::clone(&subject.bare), old.version))
        });
        // As of 8.3 a version that is still referred to keeps its record.
        if !(referenced && personality >= Personality::V8_3) {
            writes.push(super::tombstone(super::delete::key_of(old)));
        }
    }
    let key = match versions
        .iter()
        .find(|v| v.version == version)
        .and_then(|v| v.key.as_deref())
    {
        Some(own) => own.to_owned(),
        None => write_key(&Key::Schema {
            subject: subject.clone(),
            version,
        }),
    };
    drop(state);
    writes.push(TopicWrite {
        key,
        value: Some(write_schema(
            subject,
            version,
            id,
            &content,
            false,
            personality,
        )),
    });
    pending
        .expected
        .push((subject.clone(), version, id, content.identity));
    Ok(Registered::New {
        writes,
        pending,
        content,
        version,
        id,
    })
}

fn free_id(
    registry: &Registry,
    context: &Arc<str>,
    is_free: impl Fn(i32) -> bool,
    max_id: i32,
) -> Result<Reservation, RegistryError> {
    for _ in 0..ID_ATTEMPTS {
        match registry.reservations().reserve(context, max_id) {
            Some(reservation) if is_free(reservation.id()) => return Ok(reservation),
            Some(taken) => taken.keep(),
            None => break,
        }
    }
    Err(StoreErrors::registering().failed)
}

impl Registry {
    /// A content's text in the form that was asked for; `None`: as it is stored.
    ///
    /// # Errors
    /// 42201 for a stored text that cannot be parsed.
    pub(crate) fn formatted(
        &self,
        subject: &SubjectName,
        content: &Content,
        format: Option<&str>,
    ) -> Result<Option<String>, RegistryError> {
        let Some(format) = format.filter(|f| !f.trim().is_empty()) else {
            return Ok(None);
        };
        let parsed = self.parse_shown(subject, content, Keep::Yes)?;
        Ok(parsed.formatted(format))
    }
}
