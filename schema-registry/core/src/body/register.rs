//! `RegisterSchemaRequest`

use std::sync::Arc;

use java_idioms::json::Object;
use registry_formats::Reference;

use super::read::{Members, metadata, rule_set};
use super::tags::{TagChange, tag_changes};
use crate::RegistryError;
use crate::metadata::Metadata;
use crate::rules::RuleSet;

/// The body of registrations, lookups and compatibility checks.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegisterRequest {
    /// 0 where absent.
    pub(crate) version: i32,
    /// -1 where absent.
    pub(crate) id: i32,
    /// `AVRO` where absent.
    pub(crate) schema_type: Arc<str>,
    pub(crate) references: Vec<RequestReference>,
    pub(crate) metadata: Option<Arc<Metadata>>,
    pub(crate) rule_set: Option<Arc<RuleSet>>,
    pub(crate) schema: Option<Arc<str>>,
    pub(crate) tags_to_add: Vec<TagChange>,
    pub(crate) tags_to_remove: Vec<TagChange>,
    pub(crate) propagate_tags: bool,
    /// Whether the request named a version, which tag changes look at.
    pub(crate) has_version: bool,
}

/// A reference of which members may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestReference {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) version: Option<i32>,
}

impl RequestReference {
    /// Complete, or the text of what is wrong.
    pub(crate) fn complete(&self) -> Result<Reference, String> {
        match (&self.name, &self.subject, self.version) {
            (Some(name), Some(subject), Some(version)) => Ok(Reference {
                name: Arc::clone(name),
                subject: Arc::clone(subject),
                version,
            }),
            _ => {
                let or_null = |t: &Option<Arc<str>>| t.as_deref().unwrap_or("null").to_owned();
                Err(format!(
                    "Invalid reference: {{name='{}', subject='{}', version={}}}",
                    or_null(&self.name),
                    or_null(&self.subject),
                    self.version
                        .map_or_else(|| "null".to_owned(), |v| v.to_string())
                ))
            }
        }
    }
}

impl RegisterRequest {
    /// From the members of the body.
    ///
    /// # Errors
    /// 400 for wrong types, 500 for a null reference (as the original).
    pub(crate) fn read(members: &Object) -> Result<Self, RegistryError> {
        let members = Members(members);
        let references = members
            .list("references", "SchemaReference")?
            .unwrap_or_default()
            .iter()
            .map(|value| {
                if value.is_null() {
                    return Err(RegistryError::internal());
                }
                let reference = Members::of(value, "SchemaReference")?;
                Ok(RequestReference {
                    name: reference.text("name")?,
                    subject: reference.text("subject")?,
                    version: reference.int("version")?,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let version = members.int("version")?;
        Ok(Self {
            version: version.unwrap_or(0),
            has_version: version.is_some(),
            id: members.int("id")?.unwrap_or(-1),
            schema_type: members.text("schemaType")?.unwrap_or_else(|| "AVRO".into()),
            references,
            metadata: members
                .value("metadata")
                .map(metadata)
                .transpose()?
                .map(Arc::new),
            rule_set: members
                .value("ruleSet")
                .map(rule_set)
                .transpose()?
                .map(Arc::new),
            schema: members.text("schema")?,
            tags_to_add: tag_changes(&members, "schemaTagsToAdd")?,
            tags_to_remove: tag_changes(&members, "schemaTagsToRemove")?,
            propagate_tags: members.boolean("propagateSchemaTags")?.unwrap_or(false),
        })
    }
}
