//! The bodies of association calls, with their checks and defaults.

use std::sync::Arc;

use java_idioms::json::{Json, Object};

use super::read::Members;
use super::register::RegisterRequest;
use crate::RegistryError;

/// Longest name of a resource or namespace.
const MAX_NAME: usize = 256;

/// 42212
pub(crate) fn illegal(property: &str, detail: impl std::fmt::Display) -> RegistryError {
    RegistryError::new(
        42212,
        format!(
            "The association specified an invalid value for property: '{property}', detail: {detail}"
        ),
    )
}

/// How far the lives of resource and subject are tied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Strong,
    Weak,
}

impl Lifecycle {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "STRONG" => Some(Self::Strong),
            "WEAK" => Some(Self::Weak),
            _ => None,
        }
    }

    pub(crate) fn of(strong: bool) -> Self {
        if strong { Self::Strong } else { Self::Weak }
    }

    fn read(members: &Members<'_>) -> Result<Option<Self>, RegistryError> {
        match members.text("lifecycle")? {
            None => Ok(None),
            Some(name) => Self::from_name(&name).map(Some).ok_or_else(|| {
                RegistryError::new(
                    400,
                    format!(
                        "Cannot deserialize value of type `LifecyclePolicy` from String \"{name}\": not one of the values accepted for Enum class: [STRONG, WEAK]"
                    ),
                )
            }),
        }
    }
}

/// The resource of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resource {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) id: Option<Arc<str>>,
    pub(crate) resource_type: Option<Arc<str>>,
}

/// A wanted association.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) association_type: Option<Arc<str>>,
    pub(crate) lifecycle: Option<Lifecycle>,
    pub(crate) frozen: Option<bool>,
    pub(crate) schema: Option<RegisterRequest>,
    pub(crate) normalize: bool,
}

/// The body of `POST /associations` and `PUT /associations/resources/{id}`.
#[derive(Debug, Clone)]
pub(crate) struct Mutation {
    pub(crate) resource: Resource,
    pub(crate) associations: Vec<Wanted>,
}

/// One step of a batch.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Create(Wanted),
    Upsert(Wanted),
    Delete {
        association_type: Option<Arc<str>>,
        cascade: bool,
    },
}

/// The body of `POST /associations:batchMutate`.
#[derive(Debug, Clone)]
pub(crate) struct BatchMutation(pub(crate) Vec<(Resource, Vec<Operation>)>);

/// One request of `POST /associations:batchGet`.
#[derive(Debug, Clone)]
pub(crate) struct Get {
    pub(crate) resource: Resource,
    pub(crate) association_types: Vec<Arc<str>>,
    pub(crate) lifecycle: Option<Lifecycle>,
}

/// The body of `POST /associations:batchGet`.
#[derive(Debug, Clone)]
pub(crate) struct BatchGet(pub(crate) Vec<Get>);

fn check_name(name: Option<&Arc<str>>, property: &str) -> Result<(), RegistryError> {
    let Some(name) = name.filter(|n| !n.is_empty()) else {
        return Err(illegal(property, "cannot be null or empty"));
    };
    if name.encode_utf16().count() > MAX_NAME {
        return Err(illegal(
            property,
            format!("exceeds max length of {MAX_NAME}"),
        ));
    }
    match name
        .chars()
        .find(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-')))
    {
        Some(c) => Err(illegal(property, format!("illegal character '{c}'"))),
        None => Ok(()),
    }
}

/// `value` where absent.
fn check_type(association_type: &mut Option<Arc<str>>) -> Result<(), RegistryError> {
    match association_type.as_deref() {
        Some("key" | "value") => Ok(()),
        None | Some("") => {
            *association_type = Some("value".into());
            Ok(())
        }
        Some(_) => Err(illegal(
            "associationType",
            "must be either 'key' or 'value'",
        )),
    }
}

impl Resource {
    fn read(members: &Members<'_>) -> Result<Self, RegistryError> {
        Ok(Self {
            name: members.text("resourceName")?,
            namespace: members.text("resourceNamespace")?,
            id: members.text("resourceId")?,
            resource_type: members.text("resourceType")?,
        })
    }

    fn validate(&mut self, dry_run: bool) -> Result<(), RegistryError> {
        check_name(self.name.as_ref(), "resourceName")?;
        check_name(self.namespace.as_ref(), "resourceNamespace")?;
        if !dry_run && self.id.as_ref().is_none_or(|id| id.is_empty()) {
            return Err(illegal("resourceId", "cannot be null or empty"));
        }
        match self.resource_type.as_deref() {
            Some("topic") => {}
            None | Some("") => self.resource_type = Some("topic".into()),
            Some(_) => return Err(illegal("resourceType", "must be 'topic'")),
        }
        Ok(())
    }

    /// The subject that belongs to the resource by its name.
    pub(crate) fn default_subject(&self, association_type: &str) -> String {
        format!(
            ":.{}:{}-{association_type}",
            self.namespace.as_deref().unwrap_or("null"),
            self.name.as_deref().unwrap_or("null")
        )
    }
}

impl Wanted {
    fn read(value: &Json, class: &str) -> Result<Self, RegistryError> {
        let members = Members::of(value, class)?;
        let schema = match members.value("schema") {
            None => None,
            Some(schema) => Some(RegisterRequest::read(
                Members::of(schema, "RegisterSchemaRequest")?.0,
            )?),
        };
        Ok(Self {
            subject: members.text("subject")?,
            association_type: members.text("associationType")?,
            lifecycle: Lifecycle::read(&members)?,
            frozen: members.boolean("frozen")?,
            schema,
            normalize: members.boolean("normalize")?.unwrap_or(false),
        })
    }

    /// The type, once validated.
    pub(crate) fn kind(&self) -> &str {
        self.association_type.as_deref().unwrap_or("value")
    }

    /// Fills in what was left open. A schema makes the association strong, and frozen where it is created.
    pub(crate) fn apply_defaults(&mut self, create: bool) -> Result<(), RegistryError> {
        if self.schema.is_some() {
            if self.lifecycle == Some(Lifecycle::Weak) {
                return Err(illegal(
                    "lifecycle",
                    "cannot be WEAK when schema is provided",
                ));
            }
            if self.frozen.is_some_and(|frozen| frozen != create) {
                return Err(illegal(
                    "frozen",
                    if create {
                        "cannot be false when schema is provided for create"
                    } else {
                        "cannot be true when creating via upsert; use create instead"
                    },
                ));
            }
            self.lifecycle = Some(Lifecycle::Strong);
            self.frozen = Some(create);
        } else {
            self.frozen.get_or_insert(false);
        }
        let lifecycle = *self.lifecycle.get_or_insert(Lifecycle::Weak);
        if lifecycle == Lifecycle::Weak && self.frozen == Some(true) {
            return Err(illegal(
                "frozen",
                "association with lifecycle of WEAK cannot be frozen",
            ));
        }
        Ok(())
    }

    /// Checks it against its resource, which was checked before.
    fn validate(&mut self, resource: &Resource, create: bool) -> Result<(), RegistryError> {
        if let Some(subject) = &self.subject
            && (subject.is_empty() || subject.chars().any(char::is_control))
        {
            return Err(illegal("subject", "must not be empty"));
        }
        if create {
            self.apply_defaults(true)?;
        }
        check_type(&mut self.association_type)?;
        if self.lifecycle == Some(Lifecycle::Weak) {
            if self.schema.is_some() {
                return Err(illegal(
                    "lifecycle",
                    "cannot be WEAK when schema is provided",
                ));
            }
            if self.frozen == Some(true) {
                return Err(illegal(
                    "frozen",
                    "association with lifecycle of WEAK cannot be frozen",
                ));
            }
            if create && self.subject.is_none() {
                return Err(illegal("subject", "must be provided for WEAK associations"));
            }
        }
        if create {
            let default = resource.default_subject(self.kind());
            let subject = self.subject.get_or_insert_with(|| default.as_str().into());
            if self.frozen == Some(true) && **subject != *default {
                return Err(illegal(
                    "subject",
                    format!("frozen associations must use subject '{default}'"),
                ));
            }
            if self.lifecycle == Some(Lifecycle::Weak) && **subject == *default {
                return Err(illegal(
                    "subject",
                    format!("WEAK associations cannot use subject '{default}'"),
                ));
            }
        }
        Ok(())
    }
}

impl Mutation {
    /// From the members of the body.
    ///
    /// # Errors
    /// 400 for wrong types.
    pub(crate) fn read(members: &Object) -> Result<Self, RegistryError> {
        let members = Members(members);
        let associations = members
            .list("associations", "AssociationCreateOrUpdateInfo")?
            .unwrap_or_default()
            .iter()
            .map(|value| Wanted::read(value, "AssociationCreateOrUpdateInfo"))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            resource: Resource::read(&members)?,
            associations,
        })
    }

    /// Checks everything and fills in the defaults.
    ///
    /// # Errors
    /// 42212
    pub(crate) fn validate(&mut self, create: bool, dry_run: bool) -> Result<(), RegistryError> {
        self.resource.validate(dry_run)?;
        if self.associations.is_empty() {
            return Err(illegal("associations", "cannot be null or empty"));
        }
        for wanted in &mut self.associations {
            wanted.validate(&self.resource, create)?;
        }
        Ok(())
    }
}

impl BatchMutation {
    /// From the members of the body.
    ///
    /// # Errors
    /// 400 for wrong types, 42212 for no requests.
    pub(crate) fn read(members: &Object) -> Result<Self, RegistryError> {
        let requests = Members(members)
            .list("requests", "AssociationOpRequest")?
            .unwrap_or_default();
        if requests.is_empty() {
            return Err(illegal("requests", "cannot be null or empty"));
        }
        let mut batch = Vec::with_capacity(requests.len());
        for request in requests {
            let request = Members::of(request, "AssociationOpRequest")?;
            let mut operations = Vec::new();
            for value in request
                .list("associations", "AssociationOp")?
                .unwrap_or_default()
            {
                let members = Members::of(value, "AssociationOp")?;
                operations.push(match members.text("opType")?.as_deref() {
                    Some("CREATE") => Operation::Create(Wanted::read(value, "AssociationCreateOp")?),
                    Some("UPSERT") => Operation::Upsert(Wanted::read(value, "AssociationUpsertOp")?),
                    Some("DELETE") => Operation::Delete {
                        association_type: members.text("associationType")?,
                        cascade: members.boolean("cascadeLifecycle")?.unwrap_or(false),
                    },
                    other => {
                        return Err(RegistryError::new(
                            400,
                            format!(
                                "Could not resolve type id '{}' as a subtype of `AssociationOp`: known type ids = [CREATE, DELETE, UPSERT]",
                                other.unwrap_or("null")
                            ),
                        ));
                    }
                });
            }
            batch.push((Resource::read(&request)?, operations));
        }
        Ok(Self(batch))
    }

    /// Checks one request and fills in its defaults.
    ///
    /// # Errors
    /// 42212
    pub(crate) fn validate(
        resource: &mut Resource,
        operations: &mut [Operation],
        dry_run: bool,
    ) -> Result<(), RegistryError> {
        resource.validate(dry_run)?;
        if operations.is_empty() {
            return Err(illegal("associations", "cannot be null or empty"));
        }
        for operation in operations {
            match operation {
                Operation::Create(wanted) => wanted.validate(resource, true)?,
                Operation::Upsert(wanted) => wanted.validate(resource, false)?,
                Operation::Delete {
                    association_type, ..
                } => check_type(association_type)?,
            }
        }
        Ok(())
    }
}

impl BatchGet {
    /// From the members of the body.
    ///
    /// # Errors
    /// 400 for wrong types, 42212 for no requests.
    pub(crate) fn read(members: &Object) -> Result<Self, RegistryError> {
        let requests = Members(members)
            .list("requests", "AssociationGetRequest")?
            .unwrap_or_default();
        if requests.is_empty() {
            return Err(illegal("requests", "cannot be null or empty"));
        }
        requests
            .iter()
            .map(|request| {
                let members = Members::of(request, "AssociationGetRequest")?;
                Ok(Get {
                    resource: Resource::read(&members)?,
                    association_types: members.texts("associationTypes")?.unwrap_or_default(),
                    lifecycle: Lifecycle::read(&members)?,
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Get {
    /// What is wrong with the request, as the original's exception says it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let illegal =
            |property: &str, detail: &str| Err(format!("property: {property}; detail: {detail}"));
        let given = |text: &Option<Arc<str>>| text.as_ref().is_some_and(|t| !t.is_empty());
        if !given(&self.resource.id) && !given(&self.resource.name) {
            return illegal(
                "resourceId",
                "either resourceId or resourceName must be specified",
            );
        }
        if given(&self.resource.name) && !given(&self.resource.namespace) {
            return illegal(
                "resourceNamespace",
                "resourceNamespace is required when resourceName is specified",
            );
        }
        Ok(())
    }
}
