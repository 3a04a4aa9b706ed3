//! The validation of a connector's configuration: what `PUT /connector-plugins/<plugin>/config/validate` answers and what creating a connector checks first.

use std::fmt;

use indexmap::IndexMap;

use super::class_names::ClassNames;
use super::connector::{
    ConverterChoice, PluginDefaults, WorkerDefaults, common_connector_def, sink_connector_def,
    source_connector_def,
};
use super::definition::ConfigDef;
use super::enrich::{always, enrich, implements};
use super::evaluate::ConfigValue;
use super::info::{ConfigInfo, ConfigInfos, ConfigKeyInfo};
use super::java_regex::JavaRegex;
use super::overrides::{ClientKind, override_infos};
use super::parse::{ParsedValue, java_trim};
use super::plugins::{ConfigPlugin, InstalledClasses, PluginKind, PluginLookup, version_mismatch};
use super::props::RawProps;
use java_idioms::hash_order;

/// What the connector itself says about the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectorAnswers {
    /// Its own keys with values and errors.
    pub values: Vec<ConfigValue>,
    /// Whether it can be exactly-once. Looked at only when `exactly.once.support=required` on a worker that can.
    pub exactly_once: ExactlyOnceAnswer,
    /// Whether it can define transaction boundaries. Looked at only with `transaction.boundary=connector`.
    pub transaction_boundaries: TransactionBoundaryAnswer,
}

/// Whether a source connector can be exactly-once with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExactlyOnceAnswer {
    /// It can.
    Supported,
    /// It cannot.
    Unsupported,
    /// It does not say.
    #[default]
    Unknown,
    /// It failed to answer, with this message if any.
    Failed(Option<String>),
}

/// Whether a source connector can say where its transactions end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TransactionBoundaryAnswer {
    /// It can.
    Supported,
    /// It cannot.
    #[default]
    Unsupported,
    /// It failed to answer, with this message if any.
    Failed(Option<String>),
}

/// Why there is no validation. `Display` is Java's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidationFailure {
    /// There is no `connector.class`; holds the configuration as Java prints it.
    NoConnectorClass(String),
    /// Nothing is called so; holds the name and the list of what there is.
    UnknownConnector {
        /// The value of `connector.class`.
        name: String,
        /// The connectors that are installed, as Java lists them.
        available: String,
    },
    /// A version range that cannot be read.
    BadVersion(String),
    /// A client override that does not parse.
    BadOverride(String),
}

impl fmt::Display for ValidationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnectorClass(config) => {
                write!(f, "Connector config {config} contains no connector type")
            }
            Self::UnknownConnector { name, available } => {
                write!(
                    f,
                    "Failed to find any class that implements Connector and which name matches {name}, available connectors are: {available}"
                )
            }
            Self::BadVersion(message) | Self::BadOverride(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for ValidationFailure {}

impl ValidationFailure {
    /// The full name of the exception that Java has for it.
    pub fn exception(&self) -> &'static str {
        match self {
            Self::NoConnectorClass(_) | Self::UnknownConnector { .. } | Self::BadVersion(_) => {
                "org.apache.kafka.connect.runtime.rest.errors.BadRequestException"
            }
            Self::BadOverride(_) => "org.apache.kafka.common.config.ConfigException",
        }
    }
}

/// Validates `raw`, in which references to config providers are resolved already.
///
/// The keys come in this order: those with values or errors that nothing defines; the framework's, with what `transforms` and `predicates` add; the connector's;
/// overrides of the producer, the consumer and the admin client; options of the header, key and value converter. A connector's key replaces the framework's key of
/// the same name in its place, value and errors too.
///
/// `error_count` counts messages up to the connector's keys, and keys with errors after them.
///
/// # Errors
/// When validation cannot begin or, as in Java, fails half-way: see [`ValidationFailure`].
pub fn validate_connector(
    raw: &RawProps,
    lookup: &dyn PluginLookup,
    worker: &WorkerDefaults,
    answers: ConnectorAnswers,
) -> Result<ConfigInfos, ValidationFailure> {
    let Some(Some(name)) = raw.get("connector.class") else {
        return Err(ValidationFailure::NoConnectorClass(java_map(raw)));
    };
    let (kind, plugin) = [PluginKind::Source, PluginKind::Sink]
        .into_iter()
        .find_map(|kind| Some((kind, lookup.find(kind, name)?)))
        .ok_or_else(|| ValidationFailure::UnknownConnector {
            name: name.clone(),
            available: lookup.available_connectors(),
        })?;
    let mut defaults = plugin_defaults(raw, lookup, worker, &plugin)?;
    let mismatch = version_mismatch(
        &plugin,
        given(raw, "connector.plugin.version").map(java_trim),
    )
    .map_err(ValidationFailure::BadVersion)?;
    let framework = match &mismatch {
        Some(message) => {
            defaults.class_checks.push(always(message.clone()));
            defaults.version_checks.push(always(message.clone()));
            common_connector_def(&defaults)
        }
        None if kind == PluginKind::Source => source_connector_def(&defaults),
        None => sink_connector_def(&defaults),
    };
    let framework = enrich(
        framework,
        "transforms",
        PluginKind::Transformation,
        raw,
        lookup,
    )
    .map_err(ValidationFailure::BadVersion)?;
    let framework = enrich(framework, "predicates", PluginKind::Predicate, raw, lookup)
        .map_err(ValidationFailure::BadVersion)?;

    let values = framework.validate_with(raw, &InstalledClasses(lookup));
    let mut values: IndexMap<String, ConfigValue> = values
        .into_iter()
        .map(|value| (value.name.clone(), value))
        .collect();
    match (kind, &mismatch) {
        (_, Some(_)) => {}
        (PluginKind::Sink, None) => {
            check_topics(raw, &mut values);
            check_consumer_group(raw, worker, &mut values);
        }
        (_, None) => check_exactly_once(worker, &answers, &mut values),
    }
    for key in raw
        .iter()
        .filter(|(_, text)| text.is_none())
        .map(|(key, _)| key)
    {
        let value = values
            .entry(key.clone())
            .or_insert_with(|| ConfigValue::new(key, None));
        value.add_error("Null value can not be supplied as the configuration value.");
    }

    let mut keys: IndexMap<String, ConfigKeyInfo> = framework
        .key_infos()
        .into_iter()
        .map(|info| (info.name.clone(), info))
        .collect();
    let mut groups = Groups(framework.groups());
    let converters = converter_infos(raw, lookup, &values);
    if mismatch.is_none() {
        keys.extend(
            plugin
                .definition
                .key_infos()
                .into_iter()
                .map(|info| (info.name.clone(), info)),
        );
        groups.extend(plugin.definition.groups());
        values.extend(
            answers
                .values
                .into_iter()
                .map(|value| (value.name.clone(), value)),
        );
    }

    let mut error_count: usize = values.values().map(|value| value.errors.len()).sum();
    let (mut defined, undefined): (IndexMap<_, _>, IndexMap<_, _>) = values
        .into_iter()
        .partition(|(key, _)| keys.contains_key(key));
    let mut configs: Vec<ConfigInfo> = undefined
        .into_values()
        .map(|value| ConfigInfo {
            definition: None,
            value: Some(value.into()),
        })
        .collect();
    configs.extend(keys.into_values().map(|info| {
        let value = defined.swap_remove(&info.name).map(Into::into);
        ConfigInfo {
            definition: Some(info),
            value,
        }
    }));

    let mut parts = Vec::new();
    if mismatch.is_none() {
        for client in overridable(kind, raw, worker) {
            parts.push(
                override_infos(client, raw, lookup, &worker.override_policy)
                    .map_err(ValidationFailure::BadOverride)?,
            );
        }
    }
    parts.extend(converters);
    for (part, part_groups) in parts {
        error_count += part
            .iter()
            .filter(|config| {
                config
                    .value
                    .as_ref()
                    .is_some_and(|value| !value.errors.is_empty())
            })
            .count();
        configs.extend(part);
        groups.extend(part_groups);
    }
    Ok(ConfigInfos {
        name: name.clone(),
        error_count,
        groups: groups.0,
        configs,
    })
}

/// Headings without duplicates.
struct Groups(Vec<String>);

impl Groups {
    fn extend(&mut self, more: Vec<String>) {
        for group in more {
            if !self.0.contains(&group) {
                self.0.push(group);
            }
        }
    }
}

/// The text of a key that has one.
fn given<'a>(raw: &'a RawProps, key: &str) -> Option<&'a str> {
    raw.get(key)?.as_deref()
}

/// `{a=1, b=null}`
fn java_map(raw: &RawProps) -> String {
    let entries = hash_order(raw.iter(), |(key, _)| key.as_str());
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, text)| format!("{key}={}", text.as_deref().unwrap_or("null")))
        .collect();
    format!("{{{}}}", entries.join(", "))
}

fn plugin_defaults(
    raw: &RawProps,
    lookup: &dyn PluginLookup,
    worker: &WorkerDefaults,
    connector: &ConfigPlugin,
) -> Result<PluginDefaults, ValidationFailure> {
    let choice = |key: &str,
                  kind: PluginKind,
                  default: &Option<String>|
     -> Result<ConverterChoice, ValidationFailure> {
        let chosen = given(raw, key)
            .map(java_trim)
            .or(default.as_deref())
            .and_then(|name| lookup.find(kind, name));
        let mut choice = ConverterChoice {
            class: default.clone(),
            version: chosen.as_ref().map(|plugin| plugin.version.clone()),
            classes: lookup.classes(kind),
            class_checks: vec![implements(kind, lookup)],
            version_checks: Vec::new(),
        };
        if let Some(plugin) = chosen {
            let wanted = given(raw, &format!("{key}.plugin.version")).map(java_trim);
            if let Some(message) =
                version_mismatch(&plugin, wanted).map_err(ValidationFailure::BadVersion)?
            {
                choice.class_checks.push(always(message.clone()));
                choice.version_checks.push(always(message));
            }
        }
        Ok(choice)
    };
    Ok(PluginDefaults {
        connector_version: Some(connector.version.clone()),
        class_checks: Vec::new(),
        version_checks: Vec::new(),
        key_converter: choice(
            "key.converter",
            PluginKind::Converter,
            &worker.key_converter,
        )?,
        value_converter: choice(
            "value.converter",
            PluginKind::Converter,
            &worker.value_converter,
        )?,
        header_converter: choice(
            "header.converter",
            PluginKind::HeaderConverter,
            &worker.header_converter,
        )?,
    })
}

fn add_error(values: &mut IndexMap<String, ConfigValue>, key: &str, message: impl Into<String>) {
    values
        .entry(key.to_owned())
        .or_insert_with(|| ConfigValue::new(key, None))
        .add_error(message);
}

/// A sink reads topics by name or by pattern, and not its own dead letters.
fn check_topics(raw: &RawProps, values: &mut IndexMap<String, ConfigValue>) {
    let non_blank = |key: &str| {
        given(raw, key)
            .map(java_trim)
            .filter(|text| !text.is_empty())
    };
    let (topics, pattern) = (non_blank("topics"), non_blank("topics.regex"));
    let complaint = match (topics, pattern) {
        (Some(_), Some(_)) => {
            Some("topics and topics.regex are mutually exclusive options, but both are set.")
        }
        (None, None) => Some("Must configure one of topics or topics.regex"),
        _ => None,
    };
    if let Some(complaint) = complaint {
        add_error(values, "topics", complaint);
        add_error(values, "topics.regex", complaint);
    }
    let Some(dead_letters) = non_blank("errors.deadletterqueue.topic.name") else {
        return;
    };
    let listed = values.get("topics").and_then(|value| value.value.clone());
    if let Some(ParsedValue::List(names)) = listed.filter(|_| topics.is_some())
        && names.iter().any(|name| name == dead_letters)
    {
        let names = names.join(", ");
        let message = format!(
            "The DLQ topic '{dead_letters}' may not be included in the list of topics ('topics=[{names}]') consumed by the connector"
        );
        add_error(values, "topics", message);
    }
    if let Some(pattern) = pattern
        && JavaRegex::new(pattern).is_ok_and(|regex| regex.is_full_match(dead_letters))
    {
        let message = format!(
            "The DLQ topic '{dead_letters}' may not be matched by the regex for the topics ('topics.regex={pattern}') consumed by the connector"
        );
        add_error(values, "topics.regex", message);
    }
}

/// The group of a sink's consumer is not the group of the workers.
fn check_consumer_group(
    raw: &RawProps,
    worker: &WorkerDefaults,
    values: &mut IndexMap<String, ConfigValue>,
) {
    let Some(workers) = &worker.group_id else {
        return;
    };
    let key = "consumer.override.group.id";
    if let Some(group) = raw.get(key) {
        let value = group
            .as_ref()
            .map(|group| ParsedValue::String(group.clone()));
        let found = values
            .entry(key.to_owned())
            .or_insert_with(|| ConfigValue::new(key, value));
        if group.as_ref() == Some(workers) {
            found.add_error(format!(
                "Consumer group {workers} conflicts with Connect worker group {workers}"
            ));
        }
        return;
    }
    let name = values
        .get("name")
        .and_then(|value| value.value.as_ref())
        .and_then(ParsedValue::as_str)
        .map(str::to_owned);
    if let Some(name) = name.filter(|name| workers.strip_prefix("connect-") == Some(name.as_str()))
    {
        add_error(
            values,
            "name",
            format!(
                "Consumer group for sink connector named {name} conflicts with Connect worker group {workers}"
            ),
        );
    }
}

/// What a source asks of exactly-once support must be there. Standalone workers ignore it.
fn check_exactly_once(
    worker: &WorkerDefaults,
    answers: &ConnectorAnswers,
    values: &mut IndexMap<String, ConfigValue>,
) {
    if worker.group_id.is_none() {
        return;
    }
    let unexpected = |message: &Option<String>| {
        match message {
        Some(message) => format!("An unexpected error occurred during validation: {message}"),
        None => "An unexpected error occurred during validation; please see the worker logs for more details.".to_owned(),
    }
    };
    let chosen = |values: &IndexMap<String, ConfigValue>, key: &str, literal: &str| {
        let value = values
            .get(key)
            .and_then(|value| value.value.as_ref())
            .and_then(ParsedValue::as_str);
        value.is_some_and(|value| value.eq_ignore_ascii_case(literal))
    };
    if chosen(values, "exactly.once.support", "required") {
        let message = match &answers.exactly_once {
            _ if !worker.exactly_once_enabled => Some("This worker does not have exactly-once source support enabled.".to_owned()),
            ExactlyOnceAnswer::Supported => None,
            ExactlyOnceAnswer::Unsupported => Some("The connector does not support exactly-once semantics with the provided configuration.".to_owned()),
            ExactlyOnceAnswer::Unknown => Some(
                "The connector does not implement the API required for preflight validation of exactly-once source support. Please consult the documentation for \
                 the connector to determine whether it supports exactly-once semantics, and then consider reconfiguring the connector to use the value \
                 \"REQUESTED\" for this property (which will disable this preflight check and allow the connector to be created)."
                    .to_owned(),
            ),
            ExactlyOnceAnswer::Failed(message) => Some(unexpected(message)),
        };
        if let Some(message) = message {
            add_error(values, "exactly.once.support", message);
        }
    }
    if chosen(values, "transaction.boundary", "connector") {
        let message = match &answers.transaction_boundaries {
            TransactionBoundaryAnswer::Supported => None,
            TransactionBoundaryAnswer::Unsupported => Some(
                "The connector does not support connector-defined transaction boundaries with the given configuration. Please reconfigure it to use a different \
                 transaction boundary definition."
                    .to_owned(),
            ),
            TransactionBoundaryAnswer::Failed(message) => Some(unexpected(message)),
        };
        if let Some(message) = message {
            add_error(values, "transaction.boundary", message);
        }
    }
}

/// The clients that the connector will have, and whose overrides are therefore looked at.
fn overridable(kind: PluginKind, raw: &RawProps, worker: &WorkerDefaults) -> Vec<ClientKind> {
    if kind == PluginKind::Sink {
        let dead_letters = given(raw, "errors.deadletterqueue.topic.name")
            .is_some_and(|topic| !java_trim(topic).is_empty());
        return if dead_letters {
            vec![
                ClientKind::Producer,
                ClientKind::Consumer,
                ClientKind::Admin,
            ]
        } else {
            vec![ClientKind::Consumer]
        };
    }
    let own_offsets = worker.group_id.is_some()
        && (worker.exactly_once_enabled || given(raw, "offsets.storage.topic").is_some());
    let creates_topics = raw.keys().any(|key| key.starts_with("topic.creation."));
    let mut clients = vec![ClientKind::Producer];
    if own_offsets {
        clients.push(ClientKind::Consumer);
    }
    if own_offsets || creates_topics {
        clients.push(ClientKind::Admin);
    }
    clients
}

/// The options of the converters that the connector names itself, when the names are good.
fn converter_infos(
    raw: &RawProps,
    lookup: &dyn PluginLookup,
    values: &IndexMap<String, ConfigValue>,
) -> Vec<(Vec<ConfigInfo>, Vec<String>)> {
    let converters = [
        ("header", PluginKind::HeaderConverter),
        ("key", PluginKind::Converter),
        ("value", PluginKind::Converter),
    ];
    let options = |(part, kind): (&str, PluginKind)| {
        let key = format!("{part}.converter");
        let name = given(raw, &key)?;
        let good = |key: &str| values.get(key).is_none_or(|value| value.errors.is_empty());
        if !good(&key) || !good(&format!("{key}.plugin.version")) {
            return None;
        }
        let plugin = lookup.find(kind, java_trim(name))?;
        Some(converter_options(
            &format!("{key}."),
            part,
            raw,
            &plugin.definition,
            &InstalledClasses(lookup),
        ))
    };
    converters.into_iter().filter_map(options).collect()
}

fn converter_options(
    prefix: &str,
    part: &str,
    raw: &RawProps,
    definition: &ConfigDef,
    classes: &dyn ClassNames,
) -> (Vec<ConfigInfo>, Vec<String>) {
    let mut options: RawProps = raw
        .iter()
        .filter_map(|(key, text)| Some((key.strip_prefix(prefix)?.to_owned(), text.clone())))
        .collect();
    options
        .entry("converter.type".to_owned())
        .or_insert_with(|| Some(part.to_owned()));
    let mut infos: IndexMap<String, ConfigKeyInfo> = definition
        .key_infos()
        .into_iter()
        .map(|info| (info.name.clone(), info))
        .collect();
    let mut groups = Vec::new();
    let values = hash_order(definition.validate_with(&options, classes), |value| {
        &value.name
    });
    let configs = values
        .into_iter()
        .map(|mut value| {
            let info = infos.swap_remove(&value.name);
            groups.extend(info.as_ref().and_then(|info| info.group.clone()));
            value.name.insert_str(0, prefix);
            ConfigInfo {
                definition: info.map(|info| ConfigKeyInfo {
                    name: value.name.clone(),
                    ..info
                }),
                value: Some(value.into()),
            }
        })
        .collect();
    (configs, groups)
}
