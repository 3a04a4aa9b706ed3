//! Calls that read.

mod associations;
mod compatibility;
mod contexts;
mod ids;
mod lists;
mod lookup;
mod metadata;
mod page;
mod versions;

use crate::registry::Registry;
use crate::{Answer, Personality, Query, RegistryError};

pub(crate) use associations::write_response as write_association_response;
pub(crate) use ids::answer_by_id_into;

/// Answers a call.
pub(crate) fn answer(registry: &Registry, query: &Query) -> Result<Answer, RegistryError> {
    match query {
        Query::Schemas {
            prefix,
            aliases,
            deleted,
            latest_only,
            rule_type,
            associations,
            page,
        } => lists::schemas(
            registry,
            &lists::SchemaFilter {
                prefix: prefix.as_deref().unwrap_or_default(),
                aliases: *aliases,
                deleted: *deleted,
                latest_only: *latest_only,
                rule_type: rule_type.as_deref().filter(|t| !t.is_empty()),
                associations: associations
                    .as_ref()
                    .filter(|_| associations_are_on(registry)),
            },
            *page,
        ),
        Query::SchemaById { .. } => {
            let mut out = String::new();
            ids::by_id(registry, query, &mut out)?;
            Ok(Answer::ok(out))
        }
        Query::SchemaTextById {
            id,
            subject,
            format,
        } => ids::text_by_id(registry, *id, subject.as_deref(), format.as_deref()),
        Query::SubjectsOfId {
            id,
            subject,
            deleted,
            page,
        } => ids::subjects(registry, *id, subject.as_deref(), *deleted, *page),
        Query::VersionsOfId {
            id,
            subject,
            deleted,
            page,
        } => ids::versions(registry, *id, subject.as_deref(), *deleted, *page),
        Query::SchemaByGuid { guid, format } => ids::by_guid(registry, guid, format.as_deref()),
        Query::IdsOfGuid { guid } => ids::ids_of_guid(registry, guid),
        Query::SchemaTypes => Ok(Answer::ok("[\"JSON\",\"PROTOBUF\",\"AVRO\"]".to_owned())),
        Query::Contexts { prefix, page } => contexts::list(registry, prefix.as_deref(), *page),
        Query::Subjects {
            prefix,
            deleted,
            deleted_only,
            page,
        } => lists::subjects(registry, prefix.as_deref(), *deleted, *deleted_only, *page),
        Query::Lookup {
            subject,
            body,
            normalize,
            format,
            deleted,
        } => lookup::lookup(
            registry,
            subject,
            body.as_deref(),
            *normalize,
            format.as_deref(),
            *deleted,
        ),
        Query::LatestWithMetadata {
            subject,
            keys,
            values,
            format,
            deleted,
        } => lookup::latest_with_metadata(
            registry,
            subject,
            keys,
            values,
            format.as_deref(),
            *deleted,
        ),
        Query::Versions {
            subject,
            deleted,
            deleted_only,
            deleted_as_negative,
            page,
        } => {
            let kind = if *deleted_as_negative {
                versions::Listed::DeletedAsNegative
            } else if *deleted_only {
                versions::Listed::DeletedOnly
            } else if *deleted {
                versions::Listed::All
            } else {
                versions::Listed::Live
            };
            versions::list(registry, subject, *deleted || *deleted_only, kind, *page)
        }
        Query::Version {
            subject,
            version,
            format,
            reference_format,
            deleted,
            find_tags,
        } => versions::version(
            registry,
            subject,
            version,
            &versions::Form {
                format: format.as_deref(),
                reference_format: reference_format.as_deref(),
                find_tags,
            },
            *deleted,
        ),
        Query::VersionText {
            subject,
            version,
            format,
            deleted,
        } => versions::text(registry, subject, version, format.as_deref(), *deleted),
        Query::ReferencedBy {
            subject,
            version,
            deleted,
            page,
        } => versions::referenced_by(registry, subject, version, *deleted, *page),
        Query::Compatibility {
            subject,
            version,
            body,
            normalize,
            verbose,
        } => compatibility::check(
            registry,
            subject,
            version.as_deref(),
            body.as_deref(),
            *normalize,
            *verbose,
        ),
        Query::Config {
            subject,
            default_to_global,
        } => crate::plan::get_config(registry, subject.as_deref(), *default_to_global),
        Query::Mode {
            subject,
            default_to_global,
        } => crate::plan::get_mode(registry, subject.as_deref(), *default_to_global),
        Query::ClusterMetadata => Ok(metadata::cluster(registry)),
        Query::ServerVersion => Ok(metadata::version(registry)),
        Query::Deployment => Ok(Answer::ok("{\"attributes\":[]}".to_owned())),
        other => association(registry, other),
    }
}

fn associations_are_on(registry: &Registry) -> bool {
    registry.settings().associations && registry.settings().personality >= Personality::V8_3
}

fn association(registry: &Registry, query: &Query) -> Result<Answer, RegistryError> {
    use associations::Of;
    if !associations_are_on(registry) {
        return Err(RegistryError::http_not_found());
    }
    match query {
        Query::AssociationsOfSubject { subject, filter } => {
            let name = crate::plan::aliased(registry, subject).to_string();
            associations::list(registry, &Of::Subject(&name), filter)
        }
        Query::AssociationsOfResourceName {
            namespace,
            name,
            filter,
        } => associations::list(registry, &Of::ResourceName { namespace, name }, filter),
        Query::AssociationsOfResource { id, filter } => {
            associations::list(registry, &Of::Resource(id), filter)
        }
        Query::AssociationsBatchGet { body } => {
            associations::batch_get(registry, body.as_deref(), false)
        }
        Query::AssociationsBatchGetWithSchemas { body } => {
            associations::batch_get(registry, body.as_deref(), true)
        }
        _ => Err(RegistryError::http_not_found()),
    }
}
