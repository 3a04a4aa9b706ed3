//! Which call of the registry a method and a path are.

use http::Method;
use registry_core::{Command, Flags, Query};

use super::parameters::{NotANumber, Parameters, integer};
use super::target::parameter;

/// What a path names. Texts are the path's segments as sent, without matrix parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Root,
    Schemas,
    SchemaById(&'a str),
    SchemaText(&'a str),
    SchemaSubjects(&'a str),
    SchemaVersions(&'a str),
    SchemaByGuid(&'a str),
    GuidIds(&'a str),
    SchemaTypes,
    Contexts,
    Context(&'a str),
    Subjects,
    Subject(&'a str),
    SubjectMetadata(&'a str),
    Versions(&'a str),
    Version(&'a str, &'a str),
    VersionText(&'a str, &'a str),
    ReferencedBy(&'a str, &'a str),
    Tags(&'a str, &'a str),
    CompatibilityOfSubject(&'a str),
    CompatibilityOfVersion(&'a str, &'a str),
    Config,
    SubjectConfig(&'a str),
    Mode,
    SubjectMode(&'a str),
    MetadataId,
    MetadataVersion,
    MetadataDeployment,
    Associations,
    AssociationsBatchGet,
    AssociationsBatchMutate,
    AssociationsBySubject(&'a str),
    AssociationsByName(&'a str, &'a str),
    AssociationsById(&'a str),
}

/// What a request asks of the registry.
#[derive(Debug)]
pub(crate) enum Call {
    /// `/`, by which clients see whether somebody is there.
    Alive,
    Query(Query),
    Command(Command),
}

/// The resource behind a path's segments; `None`: an unknown path.
pub(crate) fn resolve<'a>(segments: &[&'a str], associations: bool) -> Option<Resource<'a>> {
    Some(match *segments {
        [] => Resource::Root,
        ["schemas"] => Resource::Schemas,
        ["schemas", "types"] => Resource::SchemaTypes,
        ["schemas", "ids", id] => Resource::SchemaById(id),
        ["schemas", "ids", id, "schema"] => Resource::SchemaText(id),
        ["schemas", "ids", id, "subjects"] => Resource::SchemaSubjects(id),
        ["schemas", "ids", id, "versions"] => Resource::SchemaVersions(id),
        ["schemas", "guids", guid] => Resource::SchemaByGuid(guid),
        ["schemas", "guids", guid, "ids"] => Resource::GuidIds(guid),
        ["contexts"] => Resource::Contexts,
        ["contexts", context] => Resource::Context(context),
        ["subjects"] => Resource::Subjects,
        ["subjects", subject] => Resource::Subject(subject),
        ["subjects", subject, "metadata"] => Resource::SubjectMetadata(subject),
        ["subjects", subject, "versions"] => Resource::Versions(subject),
        ["subjects", subject, "versions", version] => Resource::Version(subject, version),
        ["subjects", subject, "versions", version, "schema"] => {
            Resource::VersionText(subject, version)
        }
        ["subjects", subject, "versions", version, "referencedby"] => {
            Resource::ReferencedBy(subject, version)
        }
        ["subjects", subject, "versions", version, "tags"] => Resource::Tags(subject, version),
        ["compatibility", "subjects", subject, "versions"] => {
            Resource::CompatibilityOfSubject(subject)
        }
        ["compatibility", "subjects", subject, "versions", version] => {
            Resource::CompatibilityOfVersion(subject, version)
        }
        ["config"] => Resource::Config,
        ["config", subject] => Resource::SubjectConfig(subject),
        ["mode"] => Resource::Mode,
        ["mode", subject] => Resource::SubjectMode(subject),
        ["v1", "metadata", "id"] => Resource::MetadataId,
        ["v1", "metadata", "version"] => Resource::MetadataVersion,
        ["v1", "metadata", "deployment"] => Resource::MetadataDeployment,
        ["associations"] if associations => Resource::Associations,
        ["associations:batchGet"] if associations => Resource::AssociationsBatchGet,
        ["associations:batchMutate"] if associations => Resource::AssociationsBatchMutate,
        ["associations", "subjects", subject] if associations => {
            Resource::AssociationsBySubject(subject)
        }
        ["associations", "resources", id] if associations => Resource::AssociationsById(id),
        ["associations", "resources", namespace, name] if associations => {
            Resource::AssociationsByName(namespace, name)
        }
        _ => return None,
    })
}

/// A method that a resource may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    /// The verb of a method; `HEAD` counts as `GET`.
    pub(crate) fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Get),
            Method::POST => Some(Self::Post),
            Method::PUT => Some(Self::Put),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl Resource<'_> {
    /// Its methods.
    pub(crate) fn verbs(&self) -> &'static [Verb] {
        use Verb::{Delete, Get, Post, Put};
        match self {
            Self::Root | Self::Versions(_) => &[Get, Post],
            Self::Context(_) => &[Delete],
            Self::Subject(_) => &[Post, Delete],
            Self::Version(..) => &[Get, Delete],
            Self::Tags(..)
            | Self::CompatibilityOfSubject(_)
            | Self::CompatibilityOfVersion(..)
            | Self::Associations
            | Self::AssociationsBatchGet
            | Self::AssociationsBatchMutate => &[Post],
            Self::Config
            | Self::SubjectConfig(_)
            | Self::Mode
            | Self::SubjectMode(_)
            | Self::AssociationsById(_) => &[Get, Put, Delete],
            _ => &[Get],
        }
    }

    /// The methods as `Allow` and the answer to `OPTIONS` name them, in the order that the original's hash set has.
    pub(crate) fn allowed(&self) -> Vec<&'static str> {
        let verbs = self.verbs();
        let mut names: Vec<&'static str> = verbs.iter().map(|verb| verb.name()).collect();
        names.push("OPTIONS");
        if verbs.contains(&Verb::Get) {
            names.push("HEAD");
        }
        java_idioms::hash_order(names, |name| name)
    }

    /// The name under which the original measures this call.
    pub(crate) fn metric(&self, verb: Verb) -> &'static str {
        match (self, verb) {
            (Self::Root, _) => "root",
            (Self::Schemas, _) => "schemas.get-schemas",
            (Self::SchemaById(_), _) => "schemas.ids.get-schema",
            (Self::SchemaText(_), _) => "schemas.ids.get-schema.only",
            (Self::SchemaSubjects(_), _) => "schemas.ids.get-subjects",
            (Self::SchemaVersions(_), _) => "schemas.ids.get-versions",
            (Self::SchemaByGuid(_), _) => "schemas.guids.get-schema",
            (Self::GuidIds(_), _) => "schemas.guids.get-ids",
            (Self::SchemaTypes, _) => "schemas.types.list",
            (Self::Contexts, _) => "contexts.list",
            (Self::Context(_), _) => "context.delete",
            (Self::Subjects, _) => "subjects.list",
            (Self::Subject(_), Verb::Delete) => "subjects.delete-subject",
            (Self::Subject(_), _) => "subjects.get-schema",
            (Self::SubjectMetadata(_), _) => "subjects.get-latest-with-metadata",
            (Self::Versions(_), Verb::Post) => "subjects.versions.register",
            (Self::Versions(_), _) => "subjects.versions.list",
            (Self::Version(..), Verb::Delete) => "subjects.versions.deleteSchemaVersion-schema",
            (Self::Version(..), _) => "subjects.versions.get-schema",
            (Self::VersionText(..), _) => "subjects.versions.get-schema.only",
            (Self::ReferencedBy(..), _) => "subjects.versions.list-schema-refs",
            (Self::Tags(..), _) => "subjects.versions.modify.tags",
            (Self::CompatibilityOfSubject(_) | Self::CompatibilityOfVersion(..), _) => {
                "compatibility.subjects.versions.verify"
            }
            (Self::Config, Verb::Put) => "config.update-global",
            (Self::Config, Verb::Delete) => "config.delete-global",
            (Self::Config, _) => "config.get-global",
            (Self::SubjectConfig(_), Verb::Put) => "config.update-subject",
            (Self::SubjectConfig(_), Verb::Delete) => "config.delete-subject",
            (Self::SubjectConfig(_), _) => "config.get-subject",
            (Self::Mode, Verb::Put) => "mode.update-global",
            (Self::Mode, Verb::Delete) => "mode.delete-global",
            (Self::Mode, _) => "mode.get-global",
            (Self::SubjectMode(_), Verb::Put) => "mode.update-subject",
            (Self::SubjectMode(_), Verb::Delete) => "mode.delete-subject",
            (Self::SubjectMode(_), _) => "mode.get-subject",
            (Self::MetadataId, _) => "metadata.id",
            (Self::MetadataVersion, _) => "metadata.version",
            (Self::MetadataDeployment, _) => "metadata.deployment",
            (Self::Associations, _) => "associations.create",
            (Self::AssociationsBatchGet, _) => "associations.batch-get",
            (Self::AssociationsBatchMutate, _) => "associations.batch-mutate",
            (Self::AssociationsBySubject(_), _) => "associations.get-by-subject",
            (Self::AssociationsByName(..), _) => "associations.get-by-resource-name",
            (Self::AssociationsById(_), Verb::Put) => "associations.create-or-update",
            (Self::AssociationsById(_), Verb::Delete) => "associations.delete",
            (Self::AssociationsById(_), _) => "associations.get-by-resource-id",
        }
    }

    /// Whether the call reads the request's body.
    pub(crate) fn takes_body(&self, verb: Verb) -> bool {
        matches!(verb, Verb::Post | Verb::Put)
    }

    /// The call with its parameters and body. `verb` is one of [`verbs`](Self::verbs).
    pub(crate) fn call(
        &self,
        verb: Verb,
        parameters: &Parameters<'_>,
        body: Option<Vec<u8>>,
    ) -> Result<Call, NotANumber> {
        let query = match (self, verb) {
            (Self::Root, _) => return Ok(Call::Alive),
            (Self::Subject(subject), Verb::Post) => Query::Lookup {
                subject: parameter(subject),
                body,
                normalize: parameters.flag("normalize"),
                format: parameters.text("format"),
                deleted: parameters.flag("deleted"),
            },
            (Self::CompatibilityOfSubject(subject), _) => Query::Compatibility {
                subject: parameter(subject),
                version: None,
                body,
                normalize: parameters.flag("normalize"),
                verbose: parameters.flag("verbose"),
            },
            (Self::CompatibilityOfVersion(subject, version), _) => Query::Compatibility {
                subject: parameter(subject),
                version: Some(parameter(version)),
                body,
                normalize: parameters.flag("normalize"),
                verbose: parameters.flag("verbose"),
            },
            (Self::AssociationsBatchGet, _) if parameters.flag("includeSchemas") => {
                Query::AssociationsBatchGetWithSchemas { body }
            }
            (Self::AssociationsBatchGet, _) => Query::AssociationsBatchGet { body },
            (_, Verb::Get) => self.read(parameters)?,
            _ => return Ok(Call::Command(self.change(verb, parameters, body))),
        };
        Ok(Call::Query(query))
    }

    fn read(&self, parameters: &Parameters<'_>) -> Result<Query, NotANumber> {
        let id = |segment: &str| integer(&parameter(segment));
        Ok(match *self {
            Self::Schemas => Query::Schemas {
                prefix: parameters.text("subjectPrefix"),
                aliases: parameters.flag("aliases"),
                deleted: parameters.flag("deleted"),
                latest_only: parameters.flag("latestOnly"),
                rule_type: parameters.text("ruleType"),
                associations: ["resourceType", "associationType", "lifecycle"]
                    .iter()
                    .any(|name| parameters.get(name).is_some())
                    .then(|| parameters.association_filter())
                    .transpose()?,
                page: parameters.page()?,
            },
            Self::SchemaById(segment) => Query::SchemaById {
                id: id(segment)?,
                subject: parameters.text("subject"),
                format: parameters.text("format"),
                reference_format: parameters.text("referenceFormat"),
                fetch_max_id: parameters.flag("fetchMaxId"),
                find_tags: parameters.texts("findTags"),
            },
            Self::SchemaText(segment) => Query::SchemaTextById {
                id: id(segment)?,
                subject: parameters.text("subject"),
                format: parameters.text("format"),
            },
            Self::SchemaSubjects(segment) => Query::SubjectsOfId {
                id: id(segment)?,
                subject: parameters.text("subject"),
                deleted: parameters.flag("deleted"),
                page: parameters.page()?,
            },
            Self::SchemaVersions(segment) => Query::VersionsOfId {
                id: id(segment)?,
                subject: parameters.text("subject"),
                deleted: parameters.flag("deleted"),
                page: parameters.page()?,
            },
            Self::SchemaByGuid(guid) => Query::SchemaByGuid {
                guid: parameter(guid),
                format: parameters.text("format"),
            },
            Self::GuidIds(guid) => Query::IdsOfGuid {
                guid: parameter(guid),
            },
            Self::Contexts => Query::Contexts {
                prefix: parameters.text("contextPrefix"),
                page: parameters.page()?,
            },
            Self::Subjects => Query::Subjects {
                prefix: parameters.text("subjectPrefix"),
                deleted: parameters.flag("deleted"),
                deleted_only: parameters.flag("deletedOnly"),
                page: parameters.page()?,
            },
            Self::SubjectMetadata(subject) => Query::LatestWithMetadata {
                subject: parameter(subject),
                keys: parameters.texts("key"),
                values: parameters.texts("value"),
                format: parameters.text("format"),
                deleted: parameters.flag("deleted"),
            },
            Self::Versions(subject) => Query::Versions {
                subject: parameter(subject),
                deleted: parameters.flag("deleted"),
                deleted_only: parameters.flag("deletedOnly"),
                deleted_as_negative: parameters.flag("deletedAsNegative"),
                page: parameters.page()?,
            },
            Self::Version(subject, version) => Query::Version {
                subject: parameter(subject),
                version: parameter(version),
                format: parameters.text("format"),
                reference_format: parameters.text("referenceFormat"),
                deleted: parameters.flag("deleted"),
                find_tags: parameters.texts("findTags"),
            },
            Self::VersionText(subject, version) => Query::VersionText {
                subject: parameter(subject),
                version: parameter(version),
                format: parameters.text("format"),
                deleted: parameters.flag("deleted"),
            },
            Self::ReferencedBy(subject, version) => Query::ReferencedBy {
                subject: parameter(subject),
                version: parameter(version),
                deleted: parameters.flag("deleted"),
                page: parameters.page()?,
            },
            Self::Config => Query::Config {
                subject: None,
                default_to_global: parameters.flag("defaultToGlobal"),
            },
            Self::SubjectConfig(subject) => Query::Config {
                subject: Some(parameter(subject)),
                default_to_global: parameters.flag("defaultToGlobal"),
            },
            Self::Mode => Query::Mode {
                subject: None,
                default_to_global: parameters.flag("defaultToGlobal"),
            },
            Self::SubjectMode(subject) => Query::Mode {
                subject: Some(parameter(subject)),
                default_to_global: parameters.flag("defaultToGlobal"),
            },
            Self::MetadataId => Query::ClusterMetadata,
            Self::MetadataVersion => Query::ServerVersion,
            Self::MetadataDeployment => Query::Deployment,
            Self::AssociationsBySubject(subject) => Query::AssociationsOfSubject {
                subject: parameter(subject),
                filter: parameters.association_filter()?,
            },
            Self::AssociationsByName(namespace, name) => Query::AssociationsOfResourceName {
                namespace: parameter(namespace),
                name: parameter(name),
                filter: parameters.association_filter()?,
            },
            Self::AssociationsById(id) => Query::AssociationsOfResource {
                id: parameter(id),
                filter: parameters.association_filter()?,
            },
            // Those without a GET are not asked for one, see `verbs`.
            _ => Query::SchemaTypes,
        })
    }

    fn change(&self, verb: Verb, parameters: &Parameters<'_>, body: Option<Vec<u8>>) -> Command {
        let flags = Flags {
            normalize: parameters.flag("normalize"),
            format: parameters.text("format"),
            force: parameters.flag("force"),
            permanent: parameters.flag("permanent"),
            recursive: parameters.flag("recursive"),
        };
        let put = verb == Verb::Put;
        match *self {
            Self::Versions(subject) => Command::Register {
                subject: parameter(subject),
                body,
                flags,
            },
            Self::Tags(subject, version) => Command::ModifyTags {
                subject: parameter(subject),
                version: parameter(version),
                body,
            },
            Self::Subject(subject) => Command::DeleteSubject {
                subject: parameter(subject),
                flags,
            },
            Self::Version(subject, version) => Command::DeleteVersion {
                subject: parameter(subject),
                version: parameter(version),
                flags,
            },
            Self::Context(context) => Command::DeleteContext {
                context: parameter(context),
            },
            Self::Config if put => Command::PutConfig {
                subject: None,
                body,
            },
            Self::Config => Command::DeleteConfig { subject: None },
            Self::SubjectConfig(subject) if put => Command::PutConfig {
                subject: Some(parameter(subject)),
                body,
            },
            Self::SubjectConfig(subject) => Command::DeleteConfig {
                subject: Some(parameter(subject)),
            },
            Self::Mode if put => Command::PutMode {
                subject: None,
                body,
                flags,
            },
            Self::Mode => Command::DeleteMode {
                subject: None,
                flags,
            },
            Self::SubjectMode(subject) if put => Command::PutMode {
                subject: Some(parameter(subject)),
                body,
                flags,
            },
            Self::SubjectMode(subject) => Command::DeleteMode {
                subject: Some(parameter(subject)),
                flags,
            },
            Self::AssociationsBatchMutate => {
                in_context(parameters, Command::MutateAssociations { body })
            }
            Self::AssociationsById(id) if put => in_context(
                parameters,
                Command::PutAssociations {
                    id: parameter(id),
                    body,
                },
            ),
            Self::AssociationsById(id) => Command::DeleteAssociations {
                id: parameter(id),
                query: parameters.pairs(),
            },
            // `/associations`, the only one left that changes something.
            _ => in_context(parameters, Command::PostAssociations { body }),
        }
    }
}

/// An association call with the parameters that all of those with a body have.
fn in_context(parameters: &Parameters<'_>, command: Command) -> Command {
    Command::InContext {
        context: parameters.text("context"),
        dry_run: parameters.flag("dryRun"),
        command: Box::new(command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::target;

    fn resource(path: &str) -> Option<String> {
        let segments = target::segments(path).expect("a path");
        resolve(&segments, true).map(|resource| format!("{resource:?}"))
    }

    #[test]
    fn unknown_paths_are_unknown() {
        for path in [
            "/nosuch",
            "/subjects/x/nosuch",
            "/subjects/x/versions/1/nosuch",
            "/schemas/nosuch/1",
            "/schemas/ids",
            "/compatibility",
            "/v1/metadata",
            "/favicon.ico",
            "/sub%6Aects",
            "/associations/resources",
        ] {
            assert_eq!(resource(path), None, "{path}");
        }
        assert_eq!(
            resource("/compatibility/subjects/s/versions/").as_deref(),
            Some("CompatibilityOfSubject(\"s\")")
        );
        assert_eq!(
            resolve(&["associations", "resources", "-", "t"], false),
            None
        );
    }

    #[test]
    fn methods_are_listed_like_the_original_lists_them() {
        assert_eq!(Resource::Schemas.allowed().join(", "), "HEAD, GET, OPTIONS");
        assert_eq!(Resource::Config.allowed().len(), 5);
        assert!(!Resource::Context("c").allowed().contains(&"HEAD"));
    }

    #[test]
    fn every_method_of_every_resource_has_its_own_call() {
        let all = [
            Resource::Root,
            Resource::Schemas,
            Resource::SchemaById("1"),
            Resource::SchemaText("1"),
            Resource::SchemaSubjects("1"),
            Resource::SchemaVersions("1"),
            Resource::SchemaByGuid("g"),
            Resource::GuidIds("g"),
            Resource::SchemaTypes,
            Resource::Contexts,
            Resource::Context("c"),
            Resource::Subjects,
            Resource::Subject("s"),
            Resource::SubjectMetadata("s"),
            Resource::Versions("s"),
            Resource::Version("s", "1"),
            Resource::VersionText("s", "1"),
            Resource::ReferencedBy("s", "1"),
            Resource::Tags("s", "1"),
            Resource::CompatibilityOfSubject("s"),
            Resource::CompatibilityOfVersion("s", "1"),
            Resource::Config,
            Resource::SubjectConfig("s"),
            Resource::Mode,
            Resource::SubjectMode("s"),
            Resource::MetadataId,
            Resource::MetadataVersion,
            Resource::MetadataDeployment,
            Resource::Associations,
            Resource::AssociationsBatchGet,
            Resource::AssociationsBatchMutate,
            Resource::AssociationsBySubject("s"),
            Resource::AssociationsByName("n", "r"),
            Resource::AssociationsById("r"),
        ];
        let mut calls = std::collections::HashSet::new();
        for resource in all {
            for verb in resource.verbs() {
                if resource == Resource::Root && *verb == Verb::Post {
                    continue;
                }
                let call = resource
                    .call(*verb, &Parameters::default(), None)
                    .expect("no numbers are asked for");
                assert!(
                    calls.insert(format!("{call:?}")),
                    "{resource:?} {verb:?}: {call:?}"
                );
                if let Call::Command(_) = call {
                    assert_ne!(*verb, Verb::Get, "{resource:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_must_be_numbers() {
        let call = |resource: Resource<'_>, query: &str| {
            resource
                .call(Verb::Get, &Parameters::parse(Some(query)), None)
                .map(|_| ())
        };
        assert_eq!(call(Resource::SchemaById("abc"), ""), Err(NotANumber));
        assert_eq!(call(Resource::SchemaById("%31"), ""), Ok(()));
        assert_eq!(call(Resource::Subjects, "limit=abc"), Err(NotANumber));
        assert_eq!(call(Resource::Subjects, "limit=-1"), Ok(()));
    }
}
