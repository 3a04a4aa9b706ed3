//! Finding a schema among the versions of a subject.

use std::sync::Arc;

use crate::RegistryError;
use crate::config::Config;
use crate::content::{Content, Entry};
use crate::draft::{Canonical, Draft, Treatment};
use crate::loose;
use crate::metadata::Metadata;
use crate::name::SubjectName;
use crate::parsed_cache::Keep;
use crate::registry::Registry;
use crate::rules::RuleSet;

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// By hash: shown with the text of the request.
    Same {
        content: Content,
        version: i32,
        id: i32,
    },
    /// By comparison: shown as it is stored.
    Stored(Arc<Entry>),
}

impl Found {
    pub(crate) fn version(&self) -> i32 {
        match self {
            Self::Same { version, .. } => *version,
            Self::Stored(entry) => entry.version,
        }
    }

    pub(crate) fn id(&self) -> i32 {
        match self {
            Self::Same { id, .. } => *id,
            Self::Stored(entry) => entry.id,
        }
    }

    pub(crate) fn content(&self) -> &Content {
        match self {
            Self::Same { content, .. } => content,
            Self::Stored(entry) => &entry.content,
        }
    }
}

/// Which versions are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) normalize: bool,
    /// Soft-deleted ones too.
    pub(crate) deleted: bool,
    /// Only the latest.
    pub(crate) latest_only: bool,
}

impl Registry {
    /// Looks a draft up under its subject.
    ///
    /// # Errors
    /// 42201 for a text that is no schema.
    pub(crate) fn look_up(
        &self,
        config: &Config,
        draft: &Draft,
        scope: Scope,
    ) -> Result<Option<Found>, RegistryError> {
        let treatment = Treatment {
            as_new: false,
            normalize: scope.normalize,
        };
        let Some(canonical) = self.canonicalize(draft, config, treatment)? else {
            return Ok(None);
        };
        let candidates: Vec<Arc<Entry>> = {
            let state = self.state();
            let subject = state.subject(&draft.subject);
            if scope.latest_only {
                subject
                    .and_then(|s| s.latest())
                    .cloned()
                    .into_iter()
                    .collect()
            } else {
                let by_hash = state.context(&draft.subject.context).and_then(|context| {
                    let id = context.identities.get(&canonical.content.identity)?;
                    context.ids.get(id)?.of_subject(&draft.subject.to_string())
                });
                if let Some(entry) = by_hash.filter(|entry| scope.deleted || !entry.deleted) {
                    let (version, id) = (entry.version, entry.id);
                    return Ok(Some(Found::Same {
                        content: canonical.content,
                        version,
                        id,
                    }));
                }
                subject
                    .map(|s| {
                        s.versions()
                            .iter()
                            .rev()
                            .filter(|entry| scope.deleted || !entry.deleted)
                            .cloned()
                            .collect()
                    })
                    .unwrap_or_default()
            }
        };
        for entry in candidates {
            if self.can_look_up(&canonical, &entry)? {
                return Ok(Some(Found::Stored(entry)));
            }
        }
        Ok(None)
    }

    /// The same; a plain draft is tried again with metadata and rules of the latest version.
    ///
    /// # Errors
    /// 42201 for a text that is no schema.
    pub(crate) fn look_up_completed(
        &self,
        config: &Config,
        draft: &Draft,
        scope: Scope,
    ) -> Result<Option<Found>, RegistryError> {
        if let Some(found) = self.look_up(config, draft, scope)? {
            return Ok(Some(found));
        }
        let latest = self
            .state()
            .subject(&draft.subject)
            .and_then(|s| s.latest())
            .cloned();
        let Some(latest) = latest else {
            return Ok(None);
        };
        let mut completed = draft.clone();
        complete_metadata(config, &mut completed, Some(&latest), None);
        if completed.metadata == draft.metadata && completed.rule_set == draft.rule_set {
            return Ok(None);
        }
        self.look_up(config, &completed, scope)
    }

    /// The looser test: the same schema but for orders that do not matter, resolved references and the version property.
    ///
    /// # Errors
    /// 42201 for a stored version that cannot be parsed.
    pub(crate) fn can_look_up(&self, new: &Canonical, old: &Entry) -> Result<bool, RegistryError> {
        let content = &new.content;
        if content.schema_type != old.content.schema_type || !same_metadata(content, old) {
            return Ok(false);
        }
        let same_references = content.references == old.content.references;
        // A schema without references finds one whose references it has inlined.
        let inlined = content.references.is_empty() && !old.content.references.is_empty();
        if !same_references && !inlined {
            return Ok(false);
        }
        if same_references {
            if content.text == old.content.text {
                return Ok(true);
            }
            if new
                .outline()
                .is_some_and(|outline| outline.has_other_names(&old.content.text))
            {
                return Ok(false);
            }
            let hash = loose::of(content, || Some(new.parsed.clone()));
            let old_hash = loose::of(&old.content, || {
                self.parse_stored(old, Keep::IfThereIsRoom).ok()
            });
            if hash != old_hash {
                return Ok(false);
            }
        }
        let parsed = self.parse_stored(old, Keep::Yes)?;
        Ok(new.parsed.is_equivalent(&parsed))
    }
}

fn same_metadata(new: &Content, old: &Entry) -> bool {
    if new.rule_set != old.content.rule_set {
        return false;
    }
    let empty = Metadata::default();
    let new_version = new.metadata.as_ref().and_then(|m| m.version());
    let old_version = old.content.metadata.as_ref().and_then(|m| m.version());
    match (new_version, old_version) {
        (None, Some(_)) => Metadata::equal_without_version(
            new.metadata.as_deref().unwrap_or(&empty),
            old.content.metadata.as_deref().unwrap_or(&empty),
        ),
        (Some(version), None) => {
            version == old.version
                && Metadata::equal_without_version(
                    new.metadata.as_deref().unwrap_or(&empty),
                    old.content.metadata.as_deref().unwrap_or(&empty),
                )
        }
        _ => new.metadata == old.content.metadata,
    }
}

/// Sets metadata and rules from the draft, else the previous version, between defaults and overrides of the configuration.
pub(crate) fn complete_metadata(
    config: &Config,
    draft: &mut Draft,
    previous: Option<&Entry>,
    new_version: Option<i32>,
) {
    let specific = draft
        .metadata
        .clone()
        .or_else(|| previous.and_then(|p| p.content.metadata.clone()));
    let mut metadata = Metadata::merge(
        Metadata::merge(config.default_metadata.as_ref(), specific.as_ref()).as_ref(),
        config.override_metadata.as_ref(),
    );
    let specific = draft
        .rule_set
        .clone()
        .or_else(|| previous.and_then(|p| p.content.rule_set.clone()));
    let rules = RuleSet::merge(
        RuleSet::merge(config.default_rule_set.as_ref(), specific.as_ref()).as_ref(),
        config.override_rule_set.as_ref(),
    );
    if let Some(version) = new_version
        && (draft.version != 0
            || metadata
                .as_ref()
                .is_some_and(|m| m.version_text().is_some()))
    {
        metadata = Some(Metadata::with_version(metadata.as_ref(), version));
    }
    if metadata.is_some() || rules.is_some() {
        draft.metadata = metadata;
        draft.rule_set = rules;
    }
}

/// The names a lookup tries: the subject, and without a context the same name in the others.
pub(crate) fn alternatives(registry: &Registry, subject: &SubjectName) -> Vec<SubjectName> {
    if !subject.is_default_context() {
        return Vec::new();
    }
    registry
        .state()
        .known_contexts
        .keys()
        .map(|context| SubjectName::new(context, &subject.bare))
        .collect()
}
