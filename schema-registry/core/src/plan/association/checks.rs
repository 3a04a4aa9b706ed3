//! What a wanted association is checked for before anything is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Play, draft, exists_for_subject, frozen_error, read_only};
use crate::RegistryError;
use crate::body::{Lifecycle, Resource, Wanted, illegal};
use crate::config::Mode;
use crate::draft::Treatment;
use crate::lookup::Scope;
use crate::name::SubjectName;
use crate::state::Association;

impl Play {
    /// Puts the subject into its context and applies its alias.
    pub(super) fn place(&self, wanted: &mut Wanted) -> Result<(), RegistryError> {
        let Some(subject) = &wanted.subject else {
            return Ok(());
        };
        let context = self.options.context.as_deref().filter(|c| !c.is_empty());
        let name = match context {
            Some(context) if !subject.starts_with(":.") => {
                SubjectName::new(&SubjectName::parse(context).context, subject)
            }
            _ => SubjectName::parse(subject),
        };
        let name = crate::plan::aliased(&self.scratch, &name.to_string());
        if self
            .scratch
            .state()
            .mode_in_scope(Some(&name))
            .is_read_only()
        {
            return Err(read_only(&name));
        }
        wanted.subject = Some(name.to_string().into());
        Ok(())
    }

    /// The associations a request is compared with: by id, or in a dry run without one by name, the newest of each type.
    pub(super) fn known(&self, resource: &Resource, create: bool) -> Vec<Arc<Association>> {
        let held = self.held(resource);
        if !held.is_empty() || !create || !self.options.dry_run || resource.id.is_some() {
            return held;
        }
        let mut newest: BTreeMap<Arc<str>, Arc<Association>> = BTreeMap::new();
        for a in self.scratch.state().associations.all() {
            let same = Some(&a.key.resource_name) == resource.name.as_ref()
                && Some(&a.key.resource_namespace) == resource.namespace.as_ref()
                && Some(&a.key.resource_type) == resource.resource_type.as_ref();
            if same
                && newest
                    .get(&a.key.association_type)
                    .is_none_or(|b| b.updated < a.updated)
            {
                newest.insert(Arc::clone(&a.key.association_type), Arc::clone(a));
            }
        }
        newest.into_values().collect()
    }

    /// Checks a wanted association against what is held of its type; true where nothing is to be written.
    pub(super) fn compare(
        &self,
        resource: &Resource,
        wanted: &mut Wanted,
        old: Option<&Arc<Association>>,
        create: bool,
    ) -> Result<bool, RegistryError> {
        if old.is_none() && !create {
            wanted.apply_defaults(false)?;
        }
        let default = resource.default_subject(wanted.kind());
        if wanted.subject.is_none() {
            wanted.subject = Some(match old {
                Some(old) => Arc::clone(&old.key.subject),
                None if wanted.lifecycle == Some(Lifecycle::Strong) => default.as_str().into(),
                None => return Err(illegal("subject", "must be provided for WEAK associations")),
            });
        }
        let subject: Arc<str> = wanted.subject.clone().unwrap_or_default();
        let held = old.map(|o| {
            if o.value.strong {
                Lifecycle::Strong
            } else {
                Lifecycle::Weak
            }
        });
        let Some(lifecycle) = wanted.lifecycle.or(held) else {
            return Err(illegal("lifecycle", "lifecycle must be set"));
        };
        if lifecycle == Lifecycle::Weak {
            if wanted.schema.is_some() {
                return Err(illegal(
                    "lifecycle",
                    "cannot be WEAK when schema is provided",
                ));
            }
            if *subject == *default {
                return Err(illegal(
                    "subject",
                    format!("WEAK associations cannot use subject '{default}'"),
                ));
            }
        }
        let frozen = old.map_or(wanted.frozen == Some(true), |o| o.value.frozen);
        if frozen && *subject != *default {
            return Err(illegal(
                "subject",
                format!("frozen associations must use subject '{default}'"),
            ));
        }
        let Some(old) = old else {
            if wanted.frozen == Some(true) {
                self.check_frozen(wanted, &subject, create)?;
            }
            return Ok(false);
        };
        let exists = || {
            RegistryError::new(
                40903,
                format!(
                    "An association of type '{}' already exists for resource '{}'",
                    old.key.association_type, old.key.resource_name
                ),
            )
        };
        let equivalent = old.key.subject == subject
            && wanted.lifecycle.is_none_or(|l| Some(l) == held)
            && wanted.frozen.is_none_or(|f| f == old.value.frozen);
        if equivalent {
            if create && wanted.schema.is_some() && !self.is_registered(wanted)? {
                return Err(exists());
            }
            return Ok(true);
        }
        if create {
            return Err(exists());
        }
        if wanted.lifecycle.is_none() && wanted.schema.is_none() {
            return Err(illegal(
                "lifecycle",
                "at least lifecycle or schema must be provided for update",
            ));
        }
        if old.key.subject != subject {
            return Err(illegal(
                "subject",
                format!(
                    "subject of association cannot be changed from '{}' to '{subject}'",
                    old.key.subject
                ),
            ));
        }
        if old.value.strong
            && wanted.lifecycle == Some(Lifecycle::Weak)
            && *old.key.subject == *default
        {
            return Err(illegal(
                "lifecycle",
                format!("cannot change to WEAK when subject matches default format '{default}'"),
            ));
        }
        if wanted.frozen.is_some_and(|f| f != old.value.frozen) {
            return Err(illegal(
                "frozen",
                "frozen attribute of association cannot be changed",
            ));
        }
        if old.value.frozen {
            return Err(frozen_error(old));
        }
        Ok(false)
    }

    /// A frozen association begins with its schema as the only version.
    pub(super) fn check_frozen(
        &self,
        wanted: &Wanted,
        subject: &str,
        create: bool,
    ) -> Result<(), RegistryError> {
        let name = SubjectName::parse(subject);
        let latest = {
            let state = self.scratch.state();
            if state.mode_in_scope(Some(&name)) == Mode::Import {
                return Ok(());
            }
            state.subject(&name).and_then(|s| s.latest()).cloned()
        };
        if create && wanted.schema.is_none() {
            return Err(illegal(
                "schema",
                "schema must be provided when creating a frozen association",
            ));
        }
        if let Some(latest) = latest
            && (wanted.schema.is_none() || latest.version != 1 || !self.is_registered(wanted)?)
        {
            return Err(illegal(
                "frozen",
                "cannot create a frozen association when schemas already exist in the subject",
            ));
        }
        Ok(())
    }

    pub(super) fn is_registered(&self, wanted: &Wanted) -> Result<bool, RegistryError> {
        let Some(draft) = draft(wanted) else {
            return Ok(false);
        };
        let config = self.scratch.config_in_scope(&draft.subject);
        let scope = Scope {
            normalize: wanted.normalize,
            deleted: false,
            latest_only: false,
        };
        Ok(self
            .scratch
            .look_up_completed(&config, &draft, scope)?
            .is_some())
    }

    /// The subject must have a schema, or get one, and no other association that excludes this one.
    pub(super) fn check_subject(
        &self,
        wanted: &Wanted,
        old: Option<&Arc<Association>>,
    ) -> Result<(), RegistryError> {
        let subject = wanted.subject.as_deref().unwrap_or_default();
        let name = SubjectName::parse(subject);
        let state = self.scratch.state();
        if wanted.schema.is_none() && state.subject(&name).and_then(|s| s.latest()).is_none() {
            return Err(RegistryError::new(
                40907,
                format!("No active (non-deleted) version exists for subject '{subject}'"),
            ));
        }
        let others: Vec<Arc<Association>> = state
            .associations
            .of_subject(&name)
            .into_iter()
            .filter(|a| {
                old.is_none_or(|o| {
                    a.value.resource_id != o.value.resource_id
                        || a.key.resource_type != o.key.resource_type
                        || a.key.association_type != o.key.association_type
                })
            })
            .collect();
        let strong = match wanted.lifecycle {
            Some(lifecycle) => lifecycle == Lifecycle::Strong,
            None => old.is_some_and(|o| o.value.strong),
        };
        if strong {
            if !others.is_empty() {
                return Err(exists_for_subject(subject));
            }
        } else {
            if wanted.frozen == Some(true) {
                return Err(illegal(
                    "frozen",
                    "association with lifecycle of WEAK cannot be frozen",
                ));
            }
            if others.iter().any(|a| a.value.strong) {
                return Err(RegistryError::new(
                    40905,
                    format!("A strong association already exists for subject '{subject}'"),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn check_schema(&self, wanted: &Wanted) -> Result<(), RegistryError> {
        let Some(draft) = draft(wanted) else {
            return Ok(());
        };
        let config = self.scratch.config_in_scope(&draft.subject);
        let treatment = Treatment {
            as_new: config
                .validate_new_schemas
                .unwrap_or(self.scratch.settings().validate_new_schemas),
            normalize: wanted.normalize,
        };
        let canonical = self
            .scratch
            .canonicalize(&draft, &config, treatment)?
            .ok_or_else(|| RegistryError::invalid_schema("Empty schema"))?;
        let previous: Vec<_> = self
            .scratch
            .state()
            .subject(&draft.subject)
            .map(|s| {
                s.versions()
                    .iter()
                    .filter(|v| !v.deleted)
                    .cloned()
                    .collect()
            })
            .unwrap_or_default();
        let messages = self
            .scratch
            .incompatibilities(&config, &canonical, &previous)?;
        if messages.is_empty() {
            return Ok(());
        }
        Err(RegistryError::incompatible(
            self.scratch.settings().personality,
            format!("[{}]", messages.join(", ")),
        ))
    }
}
