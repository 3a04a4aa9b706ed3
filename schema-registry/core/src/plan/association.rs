//! Changing associations. One request may register schemas, tie them and untie them, each step seeing the last: it is played through on a copy of the state, and what that
//! wrote is the plan.

mod checks;

use std::collections::BTreeMap;
use std::sync::Arc;

use registry_formats::IdentityParts;

use super::register::{Registered, register};
use super::{Outcome, PendingDraft, StoreErrors};
use crate::body::{
    BatchMutation, Lifecycle, Mutation, Operation, Resource, Wanted, illegal, parse,
};
use crate::config::Mode;
use crate::draft::Draft;
use crate::name::SubjectName;
use crate::read::write_association_response;
use crate::record::{AssociationKey, AssociationValue, Key, write_association, write_key};
use crate::registry::Registry;
use crate::render::{Shown, write_schema};
use crate::state::Association;
use crate::{Answer, Body, RegistryError, TopicWrite};

/// Parameters of changing association calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// Where unqualified subjects are: `:.context:`.
    pub(super) context: Option<String>,
    /// Everything is checked and nothing written.
    pub(super) dry_run: bool,
}

/// The copy on which a request is played.
struct Play {
    scratch: Registry,
    writes: Vec<TopicWrite>,
    draft: PendingDraft,
    options: Options,
    /// Errors are told within an answer.
    batch: bool,
}

impl Play {
    fn new(registry: &Registry, options: Options) -> Self {
        Self {
            scratch: registry.scratch(),
            writes: Vec::new(),
            draft: PendingDraft::alone(),
            options,
            batch: false,
        }
    }

    fn write(&mut self, write: TopicWrite) {
        self.scratch.apply(
            Some(write.key.as_bytes()),
            write.value.as_deref().map(str::as_bytes),
            0,
            0,
        );
        self.writes.push(write);
    }

    fn into_plan(self, answer: Answer) -> super::Plan {
        if self.writes.is_empty() {
            return super::Plan::Answer(answer);
        }
        self.draft
            .into_plan(self.writes, answer, StoreErrors::registering())
    }
}

fn no_content() -> Answer {
    Answer {
        status: 204,
        body: Body::Empty,
    }
}

/// `POST /associations`
pub(super) fn create(registry: &Registry, body: Option<&[u8]>, options: Options) -> Outcome {
    let members = parse(body, "AssociationCreateOrUpdateRequest")?
        .ok_or_else(|| RegistryError::missing_body("createAssociation.arg4"))?;
    let mut request = Mutation::read(&members)?;
    request.validate(true, options.dry_run)?;
    play(registry, request, true, options)
}

/// `PUT /associations/resources/{id}`
pub(super) fn put(registry: &Registry, id: &str, body: Option<&[u8]>, options: Options) -> Outcome {
    let members = parse(body, "AssociationCreateOrUpdateRequest")?
        .ok_or_else(|| RegistryError::missing_body("createOrUpdateAssociation.arg5"))?;
    let mut request = Mutation::read(&members)?;
    if **request.resource.id.get_or_insert_with(|| id.into()) != *id {
        return Err(illegal(
            "resourceId",
            "Resource ID in the path parameter does not match the resource ID in the request body",
        ));
    }
    request.validate(false, options.dry_run)?;
    play(registry, request, false, options)
}

fn play(registry: &Registry, mut request: Mutation, create: bool, options: Options) -> Outcome {
    let mut play = Play::new(registry, options);
    let done = play.associate(&mut request, create)?;
    let mut out = String::new();
    write_association_response(
        &request.resource,
        &done.associations,
        &done.schemas,
        &mut out,
    );
    Ok(play.into_plan(Answer::ok(out)))
}

/// `DELETE /associations/resources/{id}`
pub(super) fn delete(registry: &Registry, id: &str, query: &[(String, String)]) -> Outcome {
    let get = |name: &str| {
        query
            .iter()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.as_str())
    };
    let flag = |name: &str| get(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let resource_type = get("resourceType")
        .filter(|t| !t.is_empty())
        .unwrap_or("topic");
    let types: Vec<&str> = query
        .iter()
        .filter(|(k, _)| k == "associationType")
        .map(|(_, v)| v.as_str())
        .collect();
    let wanted = |a: &Association| {
        *a.key.resource_type == *resource_type
            && (types.is_empty() || types.contains(&&*a.key.association_type))
    };
    let found = registry.state().associations.of_resource(id);
    let found: Vec<Arc<Association>> = found.into_iter().filter(|a| wanted(a)).collect();
    if found.is_empty() {
        return Err(RegistryError::new(
            40410,
            format!("Association for '{id}' not found."),
        ));
    }
    let mut play = Play::new(
        registry,
        Options {
            context: None,
            dry_run: flag("dryRun"),
        },
    );
    play.dissociate(&found, flag("cascadeLifecycle"))?;
    Ok(play.into_plan(no_content()))
}

/// `POST /associations:batchMutate`
pub(super) fn batch(registry: &Registry, body: Option<&[u8]>, options: Options) -> Outcome {
    let members = parse(body, "AssociationBatchRequest")?
        .ok_or_else(|| RegistryError::missing_body("mutateAssociations.arg4"))?;
    let batch = BatchMutation::read(&members)?;
    let mut play = Play::new(registry, options);
    play.batch = true;
    let mut out = String::from("{\"results\":[");
    for (i, (mut resource, mut operations)) in batch.0.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match play.operate(&mut resource, &mut operations) {
            Ok(done) => {
                out.push_str("{\"result\":");
                write_association_response(&resource, &done.associations, &done.schemas, &mut out);
            }
            Err(error) => {
                out.push_str("{\"error\":");
                out.push_str(&in_batch(error).body());
            }
        }
        out.push('}');
    }
    out.push_str("]}");
    Ok(play.into_plan(Answer {
        status: 207,
        body: Body::Text(out),
    }))
}

/// Errors of one request of a batch have fewer codes.
fn in_batch(error: RegistryError) -> RegistryError {
    match error.code {
        40903..=40908 | 42212 | 40901 | 409 => error,
        42201 => RegistryError::new(42212, error.message),
        42209 => RegistryError::new(42209, "Write failed because schema is too large"),
        // The exception behind it says only which version.
        42206 => RegistryError::new(
            500,
            format!(
                "Error while creating association: {}",
                error
                    .message
                    .trim_start_matches("One or more references exist to the schema ")
                    .trim_end_matches('.')
            ),
        ),
        _ => RegistryError::new(
            500,
            format!("Error while creating association: {}", error.message),
        ),
    }
}

/// What a request left behind.
#[derive(Default)]
struct Done {
    associations: Vec<Arc<Association>>,
    schemas: BTreeMap<Arc<str>, String>,
}

fn exists_for_subject(subject: &str) -> RegistryError {
    RegistryError::new(
        40904,
        format!("An association already exists for subject '{subject}'"),
    )
}

fn read_only(name: &SubjectName) -> RegistryError {
    RegistryError::not_permitted(format!(
        "Subject {} in context {} is in read-only mode",
        name.bare, name.context
    ))
}

impl Play {
    fn operate(
        &mut self,
        resource: &mut Resource,
        operations: &mut [Operation],
    ) -> Result<Done, RegistryError> {
        BatchMutation::validate(resource, operations, self.options.dry_run)?;
        let mut done = Done::default();
        for operation in operations {
            match operation {
                Operation::Create(wanted) | Operation::Upsert(wanted) => {
                    let wanted = wanted.clone();
                    let create = matches!(operation, Operation::Create(_));
                    let mut request = Mutation {
                        resource: resource.clone(),
                        associations: vec![wanted],
                    };
                    done.schemas
                        .extend(self.associate(&mut request, create)?.schemas);
                }
                Operation::Delete {
                    association_type,
                    cascade,
                } => {
                    let held = self.held(resource);
                    let found: Vec<Arc<Association>> = held
                        .into_iter()
                        .filter(|a| {
                            association_type
                                .as_ref()
                                .is_none_or(|t| *t == a.key.association_type)
                        })
                        .collect();
                    self.dissociate(&found, *cascade)?;
                }
            }
        }
        if !self.options.dry_run {
            done.associations = self.held(resource);
        }
        Ok(done)
    }

    /// Associations of a resource, by its id.
    fn held(&self, resource: &Resource) -> Vec<Arc<Association>> {
        let Some(id) = &resource.id else {
            return Vec::new();
        };
        let state = self.scratch.state();
        let found = state.associations.of_resource(id);
        found
            .into_iter()
            .filter(|a| {
                resource
                    .resource_type
                    .as_ref()
                    .is_none_or(|t| *t == a.key.resource_type)
            })
            .collect()
    }

    /// Creates or updates the associations of one resource.
    fn associate(&mut self, request: &mut Mutation, create: bool) -> Result<Done, RegistryError> {
        for wanted in &mut request.associations {
            self.place(wanted)?;
        }
        for (i, wanted) in request.associations.iter().enumerate() {
            if request.associations[..i]
                .iter()
                .any(|other| other.kind() == wanted.kind())
            {
                return Err(illegal(
                    "associationType",
                    format!("Duplicate association type: {}", wanted.kind()),
                ));
            }
        }
        let held = self.known(&request.resource, create);
        let mut unchanged = Vec::new();
        for wanted in &mut request.associations {
            let old = held
                .iter()
                .find(|a| *a.key.association_type == *wanted.kind());
            if self.compare(&request.resource, wanted, old, create)? {
                unchanged.push(wanted.kind().to_owned());
            }
        }
        for wanted in &request.associations {
            let old = held
                .iter()
                .find(|a| *a.key.association_type == *wanted.kind());
            self.check_subject(wanted, old)?;
        }
        for wanted in &request.associations {
            self.check_schema(wanted)?;
        }
        if self.options.dry_run {
            return Ok(Done::default());
        }
        let mut done = Done::default();
        for wanted in &request.associations {
            if let Some(json) = self.register(wanted)? {
                done.schemas.insert(wanted.kind().into(), json);
            }
        }
        for wanted in &request.associations {
            if unchanged.iter().any(|kind| kind == wanted.kind()) {
                continue;
            }
            let old = held
                .iter()
                .find(|a| *a.key.association_type == *wanted.kind());
            done.associations
                .push(self.tie(&request.resource, wanted, old));
        }
        Ok(done)
    }

    /// Registers the schema of a wanted association; its JSON for the answer.
    fn register(&mut self, wanted: &Wanted) -> Result<Option<String>, RegistryError> {
        let Some(draft) = draft(wanted) else {
            return Ok(None);
        };
        let subject = draft.subject.clone();
        if self.scratch.state().mode_in_scope(Some(&subject)) == Mode::Import {
            return Ok(None);
        }
        let (content, version, id) =
            match register(&self.scratch, draft, wanted.normalize, false, false)? {
                Registered::Known {
                    content,
                    version,
                    id,
                } => (content, version, id),
                Registered::New {
                    writes,
                    pending,
                    content,
                    version,
                    id,
                } => {
                    for write in writes {
                        self.write(write);
                    }
                    self.draft.expected.extend(pending.expected.iter().cloned());
                    (content, version, id)
                }
            };
        let full = subject.to_string();
        let mut json = String::new();
        let shown = Shown {
            subject: Some(&full),
            version: Some(version),
            id: Some(id),
            ..Shown::of_content(&content)
        };
        write_schema(&shown, self.scratch.settings().personality, &mut json);
        Ok(Some(json))
    }

    fn tie(
        &mut self,
        resource: &Resource,
        wanted: &Wanted,
        old: Option<&Arc<Association>>,
    ) -> Arc<Association> {
        let key = match old {
            Some(old) => old.key.clone(),
            None => AssociationKey {
                resource_name: resource.name.clone().unwrap_or_default(),
                resource_namespace: resource.namespace.clone().unwrap_or_default(),
                resource_type: resource.resource_type.clone().unwrap_or_default(),
                association_type: wanted.kind().into(),
                subject: wanted.subject.clone().unwrap_or_default(),
            },
        };
        let resource_id = match old {
            Some(old) => Arc::clone(&old.value.resource_id),
            None => resource.id.clone().unwrap_or_default(),
        };
        let value = AssociationValue {
            guid: old.map_or_else(|| guid(&key, &resource_id), |o| Arc::clone(&o.value.guid)),
            resource_id,
            strong: match wanted.lifecycle {
                Some(lifecycle) => lifecycle == Lifecycle::Strong,
                None => old.is_some_and(|o| o.value.strong),
            },
            frozen: wanted
                .frozen
                .unwrap_or_else(|| old.is_some_and(|o| o.value.frozen)),
        };
        self.write(TopicWrite {
            key: write_key(&Key::Association(key.clone())),
            value: Some(write_association(&key, &value)),
        });
        Arc::new(Association {
            key,
            value,
            created: 0,
            updated: 0,
        })
    }

    /// Removes associations, and with `cascade` the subjects that live with them.
    fn dissociate(
        &mut self,
        found: &[Arc<Association>],
        cascade: bool,
    ) -> Result<(), RegistryError> {
        for association in found {
            let name = SubjectName::parse(&association.key.subject);
            if self
                .scratch
                .state()
                .mode_in_scope(Some(&name))
                .is_read_only()
            {
                return Err(read_only(&name));
            }
            if !cascade && association.value.frozen {
                return Err(frozen_error(association));
            }
        }
        if self.options.dry_run {
            return Ok(());
        }
        for association in found {
            self.write(super::tombstone(write_key(&Key::Association(
                association.key.clone(),
            ))));
            let name = SubjectName::parse(&association.key.subject);
            let importing = self.scratch.state().mode_in_scope(Some(&name)) == Mode::Import;
            if cascade && association.value.strong && !importing {
                for permanent in [false, true] {
                    let mut writes = {
                        let state = self.scratch.state();
                        if !state.associations.of_subject(&name).is_empty() {
                            let subject = &association.key.subject;
                            return Err(if self.batch {
                                exists_for_subject(subject)
                            } else {
                                RegistryError::new(
                                    500,
                                    format!("Error while deleting association: {subject}"),
                                )
                            });
                        }
                        super::delete::delete_records(&self.scratch, &state, &name, permanent)?.0
                    };
                    if permanent {
                        super::delete::drop_settings(&self.scratch.state(), &name, &mut writes);
                    }
                    for write in writes {
                        self.write(write);
                    }
                }
            }
        }
        Ok(())
    }
}

fn frozen_error(association: &Association) -> RegistryError {
    RegistryError::new(
        40908,
        format!(
            "The association of type  '{}' is frozen for subject '{}'",
            association.key.association_type, association.key.subject
        ),
    )
}

fn draft(wanted: &Wanted) -> Option<Draft> {
    let name = SubjectName::parse(wanted.subject.as_deref().unwrap_or_default());
    wanted
        .schema
        .as_ref()
        .map(|schema| Draft::new(name, schema))
}

/// A guid that is the same for the same association: there is no clock and no chance here.
fn guid(key: &AssociationKey, resource_id: &str) -> Arc<str> {
    let mut parts = IdentityParts::new("association", &[]);
    for text in [
        &key.resource_name,
        &key.resource_namespace,
        &key.resource_type,
        &key.association_type,
        &key.subject,
    ] {
        parts.mark().text(text);
    }
    parts.mark().text(resource_id);
    parts.finish().to_string().into()
}
