//! `TagSchemaRequest`, and the tag lists that registrations may carry.

use std::sync::Arc;

use java_idioms::json::Object;

use super::read::{Members, metadata, rule_set};
use crate::RegistryError;
use crate::metadata::Metadata;
use crate::rules::RuleSet;

/// Tags of one entity of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TagChange {
    /// `Record.field`, without a leading dot.
    pub(crate) path: Arc<str>,
    /// `sr_field`, otherwise `sr_record`.
    pub(crate) is_field: bool,
    pub(crate) tags: Vec<Arc<str>>,
}

/// The body of `POST /subjects/{s}/versions/{v}/tags`.
#[derive(Debug, Clone, Default)]
pub(crate) struct TagRequest {
    pub(crate) new_version: Option<i32>,
    pub(crate) to_add: Vec<TagChange>,
    pub(crate) to_remove: Vec<TagChange>,
    pub(crate) metadata: Option<Arc<Metadata>>,
    pub(crate) rule_set: Option<Arc<RuleSet>>,
    pub(crate) rules_to_merge: Option<Arc<RuleSet>>,
    pub(crate) rules_to_remove: Option<Vec<Arc<str>>>,
}

pub(super) fn tag_changes(
    members: &Members<'_>,
    member: &str,
) -> Result<Vec<TagChange>, RegistryError> {
    let mut changes = Vec::new();
    for value in members.list(member, "SchemaTags")?.unwrap_or_default() {
        let tags = Members::of(value, "SchemaTags")?;
        let Some(entity) = tags.value("schemaEntity") else {
            return Err(RegistryError::internal());
        };
        let entity = Members::of(entity, "SchemaEntity")?;
        let path = entity
            .text("entityPath")?
            .ok_or_else(RegistryError::internal)?;
        let is_field = match entity.text("entityType")?.as_deref() {
            Some("sr_field") => true,
            Some("sr_record") => false,
            other => {
                return Err(RegistryError::new(
                    400,
                    format!(
                        "Cannot deserialize value of type `EntityType` from String \"{}\": not one of the values accepted for Enum class: [sr_record, sr_field]",
                        other.unwrap_or("null")
                    ),
                ));
            }
        };
        changes.push(TagChange {
            path: path
                .strip_prefix('.')
                .map_or_else(|| Arc::clone(&path), Arc::from),
            is_field,
            tags: tags.texts("tags")?.unwrap_or_default(),
        });
    }
    Ok(changes)
}

impl TagRequest {
    /// From the members of the body.
    ///
    /// # Errors
    /// 400 for wrong types.
    pub(crate) fn read(members: &Object) -> Result<Self, RegistryError> {
        let members = Members(members);
        Ok(Self {
            new_version: members.int("newVersion")?,
            to_add: tag_changes(&members, "tagsToAdd")?,
            to_remove: tag_changes(&members, "tagsToRemove")?,
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
            rules_to_merge: members
                .value("rulesToMerge")
                .map(rule_set)
                .transpose()?
                .map(Arc::new),
            rules_to_remove: members.texts("rulesToRemove")?,
        })
    }
}
