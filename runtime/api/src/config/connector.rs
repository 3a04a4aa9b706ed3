//! The keys that every connector has.

use super::check::Validator;
use super::definition::ConfigDef;
use super::field::LetterCase;
use super::key::{ConfigKey, ConfigType, Importance, Width};
use super::recommend::Recommender;
use java_idioms::hash_order;

/// Heading of general keys.
pub const COMMON_GROUP: &str = "Common";
/// Heading of `transforms`.
pub const TRANSFORMS_GROUP: &str = "Transforms";
/// Heading of `predicates`.
pub const PREDICATES_GROUP: &str = "Predicates";
/// Heading of `errors.*`.
pub const ERROR_GROUP: &str = "Error Handling";
/// Heading of `topic.creation.*`.
pub const TOPIC_CREATION_GROUP: &str = "Topic Creation";
/// Heading of keys about exactly-once sources.
pub const EXACTLY_ONCE_GROUP: &str = "Exactly Once Support";
/// Heading of a source's own offsets topic.
pub const OFFSETS_TOPIC_GROUP: &str = "offsets.topic";

/// What the definitions take from the worker. `None` everywhere gives the definitions of `/connector-plugins/<plugin>/config`, which know no worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerDefaults {
    /// Class of the worker's `key.converter`.
    pub key_converter: Option<String>,
    /// Class of the worker's `value.converter`.
    pub value_converter: Option<String>,
    /// Class of the worker's `header.converter`.
    pub header_converter: Option<String>,
    /// `group.id` in distributed mode; `None` in standalone mode.
    pub group_id: Option<String>,
    /// Whether `exactly.once.source.support` is `enabled`.
    pub exactly_once_enabled: bool,
    /// Which client settings a connector may override.
    pub override_policy: super::OverridePolicy,
}

/// A converter that a key offers.
#[derive(Clone, Debug, Default)]
pub struct ConverterChoice {
    /// The default.
    pub class: Option<String>,
    /// Version of the chosen converter.
    pub version: Option<String>,
    /// Classes to offer.
    pub classes: Vec<String>,
    /// Checks on the class.
    pub class_checks: Vec<Validator>,
    /// Checks on the version.
    pub version_checks: Vec<Validator>,
}

/// What the definitions take from the installed plugins.
#[derive(Clone, Debug, Default)]
pub struct PluginDefaults {
    /// Version of the connector.
    pub connector_version: Option<String>,
    /// Checks on `connector.class`.
    pub class_checks: Vec<Validator>,
    /// Checks on `connector.plugin.version`.
    pub version_checks: Vec<Validator>,
    /// For `key.converter`.
    pub key_converter: ConverterChoice,
    /// For `value.converter`.
    pub value_converter: ConverterChoice,
    /// For `header.converter`.
    pub header_converter: ConverterChoice,
}

impl PluginDefaults {
    /// Without installed plugins: the worker's converters are the defaults, and nothing is offered.
    pub fn of_worker(worker: &WorkerDefaults, connector_version: Option<&str>) -> Self {
        let choice = |class: &Option<String>| ConverterChoice {
            class: class.clone(),
            ..ConverterChoice::default()
        };
        Self {
            connector_version: connector_version.map(str::to_owned),
            key_converter: choice(&worker.key_converter),
            value_converter: choice(&worker.value_converter),
            header_converter: choice(&worker.header_converter),
            ..Self::default()
        }
    }
}

/// The keys of every source connector.
pub fn source_connector_def(defaults: &PluginDefaults) -> ConfigDef {
    let group = EXACTLY_ONCE_GROUP;
    common_connector_def(defaults)
        .define(
            list("topic.creation.groups", Importance::Low)
                .validate(Validator::unique_aliases())
                .group(TOPIC_CREATION_GROUP, 1)
                .width(Width::Long)
                .display("Topic Creation Groups")
                .doc("Names of groups of new topics. Each has settings under `topic.creation.<group>.`; a topic of no group gets those of the group `default`."),
        )
        .define(
            text("exactly.once.support", "requested", Importance::Medium)
                .validate(any_case(&["requested", "required"]))
                .group(group, 2)
                .width(Width::Short)
                .display("Exactly once support")
                .doc(
                    "With `required`, the connector is refused unless the worker and the connector can deliver every record exactly once. With `requested`, \
                     that is not checked.",
                ),
        )
        .define(
            text("transaction.boundary", "poll", Importance::Medium)
                .validate(any_case(&["poll", "interval", "connector"]))
                .group(group, 3)
                .width(Width::Short)
                .display("Transaction Boundary")
                .doc(
                    "Where a transaction ends when the worker runs exactly-once sources: with every batch of records (`poll`), after a time (`interval`), or \
                     where the connector says (`connector`).",
                ),
        )
        .define(
            ConfigKey::new("transaction.boundary.interval.ms", ConfigType::Long, Importance::Low)
                .default_null()
                .validate(Validator::at_least(0).or_null())
                .group(group, 4)
                .width(Width::Short)
                .display("Transaction boundary interval")
                .doc("How long a transaction lasts with `transaction.boundary=interval`, in milliseconds. By default the worker's `offset.flush.interval.ms`."),
        )
        .define(
            ConfigKey::new("offsets.storage.topic", ConfigType::String, Importance::Low)
                .default_null()
                .validate(Validator::non_empty())
                .group(OFFSETS_TOPIC_GROUP, 1)
                .width(Width::Long)
                .display("Offsets topic")
                .doc("Topic for the offsets of this connector alone. By default they go to the worker's topic."),
        )
}

/// The keys of every sink connector.
pub fn sink_connector_def(defaults: &PluginDefaults) -> ConfigDef {
    common_connector_def(defaults)
        .define(
            list("topics", Importance::High)
                .validate(Validator::distinct_items(true))
                .group(COMMON_GROUP, 4)
                .width(Width::Long)
                .display("Topics")
                .doc("Topics to read, separated by commas."),
        )
        .define(
            text("topics.regex", "", Importance::High)
                .validate(Validator::regex())
                .group(COMMON_GROUP, 4)
                .width(Width::Long)
                .display("Topics regex")
                .doc("Regular expression that matches the whole name of every topic to read. Either this or `topics` is given."),
        )
        .define(
            text("errors.deadletterqueue.topic.name", "", Importance::Medium)
                .group(ERROR_GROUP, 6)
                .width(Width::Medium)
                .display("Dead Letter Queue Topic Name")
                .doc("Topic for records that could not be delivered. Without a name there is none."),
        )
        .define(
            ConfigKey::new("errors.deadletterqueue.topic.replication.factor", ConfigType::Short, Importance::Medium)
                .default_value("3")
                .group(ERROR_GROUP, 7)
                .width(Width::Medium)
                .display("Dead Letter Queue Topic Replication Factor")
                .doc("Replication factor of the dead letter topic when it has to be created."),
        )
        .define(
            ConfigKey::new("errors.deadletterqueue.context.headers.enable", ConfigType::Boolean, Importance::Medium)
                .default_value("false")
                .group(ERROR_GROUP, 8)
                .width(Width::Medium)
                .display("Enable Error Context Headers")
                .doc("Whether a dead letter gets headers that say where it came from and what went wrong. Their names begin with `__connect.errors.`."),
        )
}

/// The keys of every connector.
pub fn common_connector_def(defaults: &PluginDefaults) -> ConfigDef {
    let definition = ConfigDef::new()
        .define(
            ConfigKey::new("name", ConfigType::String, Importance::High)
                .validate(Validator::non_empty_without_control_characters())
                .group(COMMON_GROUP, 1)
                .width(Width::Medium)
                .display("Connector name")
                .doc("Name of the connector, unique in the cluster."),
        )
        .define(with_checks(
            ConfigKey::new("connector.class", ConfigType::String, Importance::High)
                .group(COMMON_GROUP, 2)
                .width(Width::Long)
                .display("Connector class")
                .doc("Class of the connector: its full name, its simple name, or that without `Connector` at its end."),
            &defaults.class_checks,
        ))
        .define(with_checks(
            version("connector.plugin.version", defaults.connector_version.as_ref(), Importance::Medium)
                .group(COMMON_GROUP, 3)
                .width(Width::Medium)
                .display("Connector version")
                .doc("Version of the connector."),
            &defaults.version_checks,
        ))
        .define(
            ConfigKey::new("tasks.max", ConfigType::Int, Importance::High)
                .default_value("1")
                .validate(Validator::at_least(1))
                .group(COMMON_GROUP, 4)
                .width(Width::Short)
                .display("Tasks max")
                .doc("Most tasks that the connector may have."),
        )
        .define(
            ConfigKey::new("tasks.max.enforce", ConfigType::Boolean, Importance::Low)
                .default_value("true")
                .group(COMMON_GROUP, 5)
                .width(Width::Short)
                .display("Enforce tasks max")
                .doc("Deprecated. Whether a connector that makes more tasks than `tasks.max` fails; otherwise all of them run and a warning is logged."),
        );
    let definition = converter(definition, "key", 6, &defaults.key_converter);
    let definition = converter(definition, "value", 8, &defaults.value_converter);
    let definition = converter(definition, "header", 10, &defaults.header_converter);
    definition
        .define(
            list("transforms", Importance::Low)
                .validate(Validator::unique_aliases())
                .group(TRANSFORMS_GROUP, 12)
                .width(Width::Long)
                .display("Transforms")
                .doc("Aliases of the transformations that every record goes through, in this order."),
        )
        .define(
            list("predicates", Importance::Low)
                .validate(Validator::unique_aliases())
                .group(PREDICATES_GROUP, 13)
                .width(Width::Long)
                .display("Predicates")
                .doc("Aliases of the predicates that transformations may refer to."),
        )
        .define(
            text("config.action.reload", "restart", Importance::Low)
                .validate(Validator::one_of(["none", "restart"], LetterCase::Exact))
                .group(COMMON_GROUP, 14)
                .width(Width::Medium)
                .display("Reload Action")
                .doc(
                    "What happens when a config provider reports that a value the connector uses has changed or expires: `restart` starts the connector again \
                     with the new value, `none` leaves it.",
                ),
        )
        .define(
            long("errors.retry.timeout", "0", 1)
                .display("Retry Timeout for Errors")
                .doc("How long a failed operation is tried again, in milliseconds. 0: not at all; -1: without end."),
        )
        .define(
            long("errors.retry.delay.max.ms", "60000", 2)
                .display("Maximum Delay Between Retries for Errors")
                .doc("Longest pause between two tries, in milliseconds."),
        )
        .define(
            text("errors.tolerance", "none", Importance::Medium)
                .validate(Validator::one_of(["none", "all"], LetterCase::Exact))
                .group(ERROR_GROUP, 3)
                .width(Width::Short)
                .display("Error Tolerance")
                .doc("With `none`, a record that cannot be handled fails the task; with `all`, it is skipped."),
        )
        .define(switch("errors.log.enable", 4).display("Log Errors").doc("Whether tolerated errors are logged too; those that are not always are."))
        .define(
            switch("errors.log.include.messages", 5)
                .display("Log Error Details")
                .doc("Whether the log says which record failed: topic, partition, offset, timestamp. Keys, values and headers are never logged."),
        )
}

fn converter(definition: ConfigDef, part: &str, order: i32, choice: &ConverterChoice) -> ConfigDef {
    let key = ConfigKey::new(
        format!("{part}.converter"),
        ConfigType::Class,
        Importance::Low,
    );
    let key = match &choice.class {
        Some(class) => key.default_value(class),
        None => key.default_null(),
    };
    let title = format!("{}{} converter", part[..1].to_uppercase(), &part[1..]);
    let key = key
        .group(COMMON_GROUP, order)
        .width(Width::Short)
        .display(format!("{title} class"))
        .recommend(Recommender::values(choice.classes.clone()))
        .doc(format!(
            "Converter between the {part}s of records and their bytes in the log. When it is given, only settings under `{part}.converter.` of this connector \
             apply to it, none of the worker's."
        ));
    let version = version(
        &format!("{part}.converter.plugin.version"),
        choice.version.as_ref(),
        Importance::Low,
    )
    .group(COMMON_GROUP, order + 1)
    .width(Width::Short)
    .display(format!("{title} version"))
    .doc(format!("Version of the {part} converter."));
    definition
        .define(with_checks(key, &choice.class_checks))
        .define(with_checks(version, &choice.version_checks))
}

fn with_checks(mut key: ConfigKey, checks: &[Validator]) -> ConfigKey {
    key.validators.extend(checks.iter().cloned());
    key
}

fn version(name: &str, installed: Option<&String>, importance: Importance) -> ConfigKey {
    let key = ConfigKey::new(name, ConfigType::String, importance);
    match installed {
        Some(version) => key
            .default_value(version)
            .recommend(Recommender::values([version])),
        None => key.default_null(),
    }
}

fn list(name: &str, importance: Importance) -> ConfigKey {
    ConfigKey::new(name, ConfigType::List, importance).default_value("")
}

fn text(name: &str, default: &str, importance: Importance) -> ConfigKey {
    ConfigKey::new(name, ConfigType::String, importance).default_value(default)
}

fn long(name: &str, default: &str, order: i32) -> ConfigKey {
    ConfigKey::new(name, ConfigType::Long, Importance::Medium)
        .default_value(default)
        .group(ERROR_GROUP, order)
        .width(Width::Medium)
}

fn switch(name: &str, order: i32) -> ConfigKey {
    ConfigKey::new(name, ConfigType::Boolean, Importance::Medium)
        .default_value("false")
        .group(ERROR_GROUP, order)
        .width(Width::Short)
}

/// Literals in any case; the message lists them in upper case in the order of Java's hash set.
fn any_case(literals: &[&str]) -> Validator {
    let upper = literals.iter().map(|literal| literal.to_ascii_uppercase());
    Validator::one_of(
        hash_order(upper, |literal| literal.as_str()),
        LetterCase::Insensitive,
    )
}
