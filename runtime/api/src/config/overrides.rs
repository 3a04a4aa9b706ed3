//! `producer.override.*` and its like: settings of Kafka clients in a connector's configuration.

use super::class_names::AnyClass;
use super::dialect::Dialect;
use super::evaluate::ConfigValue;
use super::info::{ConfigInfo, ConfigKeyInfo};
use super::parse::{ParsedValue, parse};
use super::plugins::PluginLookup;
use super::props::RawProps;
use java_idioms::hash_order;

/// A kind of Kafka client whose settings a connector may override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientKind {
    /// Writes records of sources, and dead letters.
    Producer,
    /// Reads records of sinks.
    Consumer,
    /// Creates topics.
    Admin,
}

impl ClientKind {
    /// The beginning of its keys in a connector's configuration.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Producer => "producer.override.",
            Self::Consumer => "consumer.override.",
            Self::Admin => "admin.override.",
        }
    }
}

/// Which settings of clients connectors may override: `connector.client.config.override.policy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OverridePolicy {
    /// Every one.
    #[default]
    All,
    /// None.
    None,
    /// Those that say who the client is.
    Principal,
    /// These.
    Allowlist(Vec<String>),
}

impl OverridePolicy {
    /// What is wrong with overriding `key` of a client, if it is not allowed.
    pub fn refusal(&self, key: &str) -> Option<String> {
        let (name, allowed) = match self {
            Self::All => return None,
            Self::None => ("None", false),
            Self::Principal => (
                "Principal",
                matches!(
                    key,
                    "sasl.jaas.config" | "sasl.mechanism" | "security.protocol"
                ),
            ),
            Self::Allowlist(keys) => ("Allowlist", keys.iter().any(|allowed| allowed == key)),
        };
        (!allowed).then(|| format!("The '{name}' policy does not allow '{key}' to be overridden in the connector configuration."))
    }
}

/// The overrides of one client in `raw`, each with its definition if known and the policy's refusal.
///
/// # Errors
/// When a value does not parse: Java does not count that as a finding but fails.
pub(super) fn override_infos(
    client: ClientKind,
    raw: &RawProps,
    lookup: &dyn PluginLookup,
    policy: &OverridePolicy,
) -> Result<(Vec<ConfigInfo>, Vec<String>), String> {
    let prefix = client.prefix();
    let definition = lookup.client_definition(client);
    let infos: Vec<ConfigKeyInfo> = definition
        .as_ref()
        .map(|definition| definition.key_infos())
        .unwrap_or_default();
    let overrides = raw.iter().filter_map(|(key, text)| {
        Some((
            key.strip_prefix(prefix).filter(|rest| !rest.is_empty())?,
            text.as_deref(),
        ))
    });
    let mut configs = Vec::new();
    let mut groups = Vec::new();
    for (key, text) in hash_order(overrides, |(key, _)| key) {
        let kind = definition
            .as_ref()
            .and_then(|definition| definition.get(key))
            .map(|key| key.kind);
        let value = match (text, kind) {
            (None, _) => None,
            (Some(text), None) => Some(ParsedValue::String(text.to_owned())),
            (Some(text), Some(kind)) => Some(
                parse(text, kind, &AnyClass)
                    .map_err(|problem| Dialect::Connect.message(key, text, &problem))?,
            ),
        };
        let mut found = ConfigValue::new(format!("{prefix}{key}"), value);
        found.errors.extend(policy.refusal(key));
        let info = infos
            .iter()
            .find(|info| info.name == key)
            .map(|info| ConfigKeyInfo {
                name: found.name.clone(),
                ..info.clone()
            });
        groups.extend(info.as_ref().and_then(|info| info.group.clone()));
        configs.push(ConfigInfo {
            definition: info,
            value: Some(found.into()),
        });
    }
    Ok((configs, groups))
}
