//! `ConfigUpdateRequest`

use std::sync::Arc;

use java_idioms::json::{Json, Object};

use super::read::{Members, metadata, rule_set};
use crate::RegistryError;
use crate::config::{Config, LenientPolicy, Level};
use crate::metadata::Metadata;
use crate::rules::RuleSet;

/// What a member says: absent keeps, null clears.
type Change<T> = Option<Option<T>>;

/// The body of `PUT /config`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConfigUpdate {
    alias: Change<Arc<str>>,
    alias_for_deks: Change<Arc<str>>,
    normalize: Change<bool>,
    validate_fields: Change<bool>,
    validate_new_schemas: Change<bool>,
    validate_rules: Change<bool>,
    level: Change<Arc<str>>,
    policy: Change<Arc<str>>,
    group: Change<Arc<str>>,
    default_metadata: Change<Arc<Metadata>>,
    override_metadata: Change<Arc<Metadata>>,
    default_rule_set: Change<Arc<RuleSet>>,
    override_rule_set: Change<Arc<RuleSet>>,
}

impl ConfigUpdate {
    /// From the members of the body.
    ///
    /// # Errors
    /// 400 for wrong types.
    pub(crate) fn read(object: &Object) -> Result<Self, RegistryError> {
        let members = Members(object);
        let text = |member: &str| -> Result<Change<Arc<str>>, RegistryError> {
            Ok(members.has(member).then_some(members.text(member)?))
        };
        let boolean = |member: &str| -> Result<Change<bool>, RegistryError> {
            Ok(members.has(member).then_some(members.boolean(member)?))
        };
        fn each<T>(
            members: &Members<'_>,
            member: &str,
            read: impl Fn(&Json) -> Result<T, RegistryError>,
        ) -> Result<Change<Arc<T>>, RegistryError> {
            let value = members.value(member).map(read).transpose()?.map(Arc::new);
            Ok(members.has(member).then_some(value))
        }
        Ok(Self {
            alias: text("alias")?,
            alias_for_deks: text("aliasForDeks")?,
            normalize: boolean("normalize")?,
            validate_fields: boolean("validateFields")?,
            validate_new_schemas: boolean("validateNewSchemas")?,
            validate_rules: boolean("validateRules")?,
            level: text("compatibility")?,
            policy: text("compatibilityPolicy")?,
            group: text("compatibilityGroup")?,
            default_metadata: each(&members, "defaultMetadata", metadata)?,
            override_metadata: each(&members, "overrideMetadata", metadata)?,
            default_rule_set: each(&members, "defaultRuleSet", rule_set)?,
            override_rule_set: each(&members, "overrideRuleSet", rule_set)?,
        })
    }

    /// Checks level and rule sets.
    ///
    /// # Errors
    /// 42203, 42210
    pub(crate) fn validate(&self, rule_sets: bool) -> Result<(), RegistryError> {
        if let Some(Some(level)) = &self.level
            && Level::from_name(level).is_none()
        {
            return Err(RegistryError::new(
                42203,
                "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive",
            ));
        }
        if rule_sets {
            for rules in [&self.default_rule_set, &self.override_rule_set] {
                if let Some(Some(rules)) = rules {
                    rules.validate()?;
                }
            }
        }
        Ok(())
    }

    /// The stored configuration changed by this request.
    pub(crate) fn apply(&self, old: Option<&Config>, rule_sets: bool) -> Config {
        fn changed<T: Clone>(change: &Change<T>, old: Option<&T>) -> Option<T> {
            match change {
                Some(value) => value.clone(),
                None => old.cloned(),
            }
        }
        let default = Config::default();
        let old = old.unwrap_or(&default);
        // The community edition drops rule sets that come in, and keeps what is stored.
        let rules = |change: &Change<Arc<RuleSet>>, old: Option<&Arc<RuleSet>>| match change {
            Some(value) if rule_sets => value.clone(),
            Some(_) => None,
            None => old.cloned(),
        };
        Config {
            alias: changed(&self.alias, old.alias.as_ref()),
            alias_for_deks: changed(&self.alias_for_deks, old.alias_for_deks.as_ref()),
            normalize: changed(&self.normalize, old.normalize.as_ref()),
            validate_fields: changed(&self.validate_fields, old.validate_fields.as_ref()),
            validate_new_schemas: changed(
                &self.validate_new_schemas,
                old.validate_new_schemas.as_ref(),
            ),
            validate_rules: changed(&self.validate_rules, old.validate_rules.as_ref()),
            level: match &self.level {
                Some(level) => level.as_deref().and_then(Level::from_name),
                None => old.level,
            },
            policy: match &self.policy {
                // An unknown policy clears the member.
                Some(policy) => policy.as_deref().and_then(LenientPolicy::from_name),
                None => old.policy,
            },
            group: changed(&self.group, old.group.as_ref()),
            default_metadata: changed(&self.default_metadata, old.default_metadata.as_ref()),
            override_metadata: changed(&self.override_metadata, old.override_metadata.as_ref()),
            default_rule_set: rules(&self.default_rule_set, old.default_rule_set.as_ref()),
            override_rule_set: rules(&self.override_rule_set, old.override_rule_set.as_ref()),
        }
    }
}
