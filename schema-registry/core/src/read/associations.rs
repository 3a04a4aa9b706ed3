//! Associations of resources with subjects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use java_idioms::json::write_string_to_bytes;

use super::page::Window;
use crate::body::{BatchGet, Lifecycle, Resource, parse};
use crate::name::SubjectName;
use crate::registry::Registry;
use crate::render::{Shown, push_int, write_schema};
use crate::state::Association;
use crate::{Answer, AssociationFilter, Body, RegistryError};

/// Stands for every name or namespace.
const WILDCARD: &str = "-";
/// The type of a resource where none is asked for.
const TOPIC: &str = "topic";

/// Which associations are meant.
#[derive(Debug)]
pub(super) enum Of<'q> {
    Subject(&'q str),
    Resource(&'q str),
    ResourceName { namespace: &'q str, name: &'q str },
}

/// Which subjects `GET /schemas` shows, by their associations.
#[derive(Debug)]
pub(super) struct BySubject {
    /// Those that match the filter, by subject.
    matching: BTreeMap<Arc<str>, Vec<Arc<Association>>>,
    /// Subjects that have one of the wanted type, whatever its lifecycle.
    associated: BTreeSet<Arc<str>>,
    /// Subjects without one are shown too.
    unassociated: bool,
}

impl BySubject {
    /// # Errors
    /// 404 for a lifecycle that there is not.
    pub(super) fn new(
        registry: &Registry,
        filter: &AssociationFilter,
    ) -> Result<Self, RegistryError> {
        let mut wanted = Vec::new();
        let mut unassociated = false;
        for name in &filter.lifecycles {
            match Lifecycle::from_name(name) {
                Some(lifecycle) => wanted.push(lifecycle),
                None if name == "NONE" => unassociated = true,
                None => return Err(RegistryError::http_not_found()),
            }
        }
        let mut matching: BTreeMap<Arc<str>, Vec<Arc<Association>>> = BTreeMap::new();
        let mut associated = BTreeSet::new();
        // Here no type of resource means any.
        let of_type = |kind: &str| {
            filter.association_types.is_empty()
                || filter.association_types.iter().any(|t| t == kind)
        };
        for association in registry.state().associations.all() {
            let key = &association.key;
            let resource = filter.resource_type.as_deref();
            if resource.is_some_and(|wanted| *wanted != *key.resource_type)
                || !of_type(&key.association_type)
            {
                continue;
            }
            associated.insert(Arc::clone(&key.subject));
            let lifecycle = Lifecycle::of(association.value.strong);
            if filter.lifecycles.is_empty() || wanted.contains(&lifecycle) {
                matching
                    .entry(Arc::clone(&key.subject))
                    .or_default()
                    .push(Arc::clone(association));
            }
        }
        Ok(Self {
            matching,
            associated,
            unassociated,
        })
    }

    /// Whether the schemas of a subject are shown.
    pub(super) fn shows(&self, subject: &str) -> bool {
        self.matching.contains_key(subject)
            || (self.unassociated && !self.associated.contains(subject))
    }

    /// The associations shown with them, as JSON.
    pub(super) fn of(&self, subject: &str) -> Option<String> {
        self.matching.get(subject).map(|found| array(found.iter()))
    }
}

fn filtered(
    registry: &Registry,
    of: &Of<'_>,
    filter: &AssociationFilter,
) -> Result<Vec<Arc<Association>>, RegistryError> {
    let lifecycle = match filter.lifecycles.first() {
        None => None,
        // As for numbers that are none.
        Some(name) => Some(Lifecycle::from_name(name).ok_or_else(RegistryError::http_not_found)?),
    };
    let resource_type = filter
        .resource_type
        .as_deref()
        .filter(|t| !t.is_empty())
        .unwrap_or(TOPIC);
    Ok(find(registry, of, resource_type, lifecycle, |kind| {
        filter.association_types.is_empty() || filter.association_types.iter().any(|t| t == kind)
    }))
}

/// `GET /associations/…`
pub(super) fn list(
    registry: &Registry,
    of: &Of<'_>,
    filter: &AssociationFilter,
) -> Result<Answer, RegistryError> {
    let window = Window::new(filter.page, registry.settings().schema_limits)?;
    let found = filtered(registry, of, filter)?;
    Ok(Answer::ok(array(window.cut(found.iter()))))
}

fn array<'a>(associations: impl Iterator<Item = &'a Arc<Association>>) -> String {
    let mut out = String::from("[");
    for (i, association) in associations.enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(association, &mut out);
    }
    out.push(']');
    out
}

fn find(
    registry: &Registry,
    of: &Of<'_>,
    resource_type: &str,
    lifecycle: Option<Lifecycle>,
    kind: impl Fn(&str) -> bool,
) -> Vec<Arc<Association>> {
    registry
        .state()
        .associations
        .all()
        .filter(|a| match of {
            Of::Subject(subject) => *a.key.subject == **subject,
            Of::Resource(id) => *a.value.resource_id == **id,
            Of::ResourceName { namespace, name } => {
                (*name == WILDCARD || *a.key.resource_name == **name)
                    && (*namespace == WILDCARD || *a.key.resource_namespace == **namespace)
            }
        })
        .filter(|a| *a.key.resource_type == *resource_type && kind(&a.key.association_type))
        .filter(|a| lifecycle.is_none_or(|wanted| wanted == Lifecycle::of(a.value.strong)))
        .cloned()
        .collect()
}

fn write(association: &Association, out: &mut String) {
    let (key, value) = (&association.key, &association.value);
    for (i, (member, text)) in [
        ("subject", &*key.subject),
        ("guid", &*value.guid),
        ("resourceName", &*key.resource_name),
        ("resourceNamespace", &*key.resource_namespace),
        ("resourceId", &*value.resource_id),
        ("resourceType", &*key.resource_type),
        ("associationType", &*key.association_type),
        ("lifecycle", lifecycle(value.strong)),
    ]
    .into_iter()
    .enumerate()
    {
        out.push_str(if i > 0 { ",\"" } else { "{\"" });
        out.push_str(member);
        out.push_str("\":");
        write_string_to_bytes(text, out);
    }
    out.push_str(if value.frozen {
        ",\"frozen\":true"
    } else {
        ",\"frozen\":false"
    });
    out.push_str(",\"createTs\":");
    push_int(association.created, out);
    out.push_str(",\"updateTs\":");
    push_int(association.updated, out);
    out.push('}');
}

fn lifecycle(strong: bool) -> &'static str {
    if strong { "STRONG" } else { "WEAK" }
}

/// Appends the `AssociationResponse` of a resource; `schemas`: JSON of the schema by type.
pub(crate) fn write_response(
    resource: &Resource,
    associations: &[Arc<Association>],
    schemas: &BTreeMap<Arc<str>, String>,
    out: &mut String,
) {
    let mut separator = "{";
    for (member, text) in [
        ("resourceName", &resource.name),
        ("resourceNamespace", &resource.namespace),
        ("resourceId", &resource.id),
        ("resourceType", &resource.resource_type),
    ] {
        if let Some(text) = text.as_ref().filter(|t| !t.is_empty()) {
            out.push_str(separator);
            separator = ",";
            out.push('"');
            out.push_str(member);
            out.push_str("\":");
            write_string_to_bytes(text, out);
        }
    }
    if !associations.is_empty() {
        out.push_str(separator);
        separator = ",";
        out.push_str("\"associations\":[");
        for (i, association) in associations.iter().enumerate() {
            out.push_str(if i > 0 {
                ",{\"subject\":"
            } else {
                "{\"subject\":"
            });
            write_string_to_bytes(&association.key.subject, out);
            out.push_str(",\"associationType\":");
            write_string_to_bytes(&association.key.association_type, out);
            out.push_str(",\"lifecycle\":\"");
            out.push_str(lifecycle(association.value.strong));
            out.push_str(if association.value.frozen {
                "\",\"frozen\":true"
            } else {
                "\",\"frozen\":false"
            });
            if let Some(schema) = schemas.get(&association.key.association_type) {
                out.push_str(",\"schema\":");
                out.push_str(schema);
            }
            out.push('}');
        }
        out.push(']');
    }
    out.push_str(if separator == "{" { "{}" } else { "}" });
}

/// What the original says where one answer would have to show associations of several resources.
pub(crate) const NOT_ONE_RESOURCE: &str = "All associations must have the same resourceName, resourceNamespace, resourceId, and resourceType.";

/// Whether all associations belong to the resource as the answer describes it.
pub(crate) fn same_resource(resource: &Resource, associations: &[Arc<Association>]) -> bool {
    associations.iter().all(|a| {
        resource.name.as_ref() == Some(&a.key.resource_name)
            && resource.namespace.as_ref() == Some(&a.key.resource_namespace)
            && resource.id.as_ref() == Some(&a.value.resource_id)
            && resource.resource_type.as_ref() == Some(&a.key.resource_type)
    })
}

fn failed(why: &str, out: &mut String) {
    let error = RegistryError::new(500, format!("Error while getting associations: {why}"));
    out.push_str("{\"error\":");
    out.push_str(&error.body());
    out.push('}');
}

/// `POST /associations:batchGet`
pub(super) fn batch_get(
    registry: &Registry,
    body: Option<&[u8]>,
    with_schemas: bool,
) -> Result<Answer, RegistryError> {
    let members = parse(body, "AssociationBatchGetRequest")?
        .ok_or_else(|| RegistryError::missing_body("batchGetAssociations.arg1"))?;
    let batch = BatchGet::read(&members)?;
    let mut out = String::from("{\"results\":[");
    for (i, get) in batch.0.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if let Err(why) = get.check() {
            failed(&why, &mut out);
            continue;
        }
        let mut resource = get.resource.clone();
        if resource.resource_type.as_ref().is_none_or(|t| t.is_empty()) {
            resource.resource_type = Some(TOPIC.into());
        }
        let of = match resource.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => Of::Resource(id),
            None => Of::ResourceName {
                namespace: resource.namespace.as_deref().unwrap_or_default(),
                name: resource.name.as_deref().unwrap_or_default(),
            },
        };
        let resource_type = resource.resource_type.clone().unwrap_or_default();
        let found = find(registry, &of, &resource_type, get.lifecycle, |kind| {
            get.association_types.is_empty() || get.association_types.iter().any(|t| **t == *kind)
        });
        if let Some(first) = found.first() {
            resource
                .name
                .get_or_insert_with(|| Arc::clone(&first.key.resource_name));
            resource
                .namespace
                .get_or_insert_with(|| Arc::clone(&first.key.resource_namespace));
            resource
                .id
                .get_or_insert_with(|| Arc::clone(&first.value.resource_id));
        }
        if !same_resource(&resource, &found) {
            failed(NOT_ONE_RESOURCE, &mut out);
            continue;
        }
        let mut schemas = BTreeMap::new();
        if with_schemas {
            for association in &found {
                let name = SubjectName::parse(&association.key.subject);
                let latest = registry
                    .state()
                    .subject(&name)
                    .and_then(|s| s.latest())
                    .cloned();
                if let Some(latest) = latest {
                    let full = name.to_string();
                    let mut json = String::new();
                    write_schema(
                        &Shown::of_entry(&latest, &full),
                        registry.settings().personality,
                        &mut json,
                    );
                    schemas.insert(Arc::clone(&association.key.association_type), json);
                }
            }
        }
        out.push_str("{\"result\":");
        write_response(&resource, &found, &schemas, &mut out);
        out.push('}');
    }
    out.push_str("]}");
    Ok(Answer {
        status: 207,
        body: Body::Text(out),
    })
}
