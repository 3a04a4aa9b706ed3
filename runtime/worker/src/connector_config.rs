//! The keys of a connector that the worker itself obeys.

use std::time::Duration;

use millrace_api::ConnectConfig;
use millrace_api::config::{
    ConfigErrors, ConnectConfig as _, JavaRegex, LetterCase, Props, Validator,
};
use millrace_api::plugin::TaskError;
use millrace_log::{ClientSettings, NewTopic};

use crate::errors::ErrorPolicy;
use crate::worker_config::{WorkerConfig, settings};

/// Keys common to all connectors, sources and sinks.
#[derive(Debug, Clone, ConnectConfig)]
pub(crate) struct ConnectorKeys {
    /// Most tasks.
    #[config(name = "tasks.max", default = 1, validate = Validator::at_least(1))]
    pub(crate) tasks_max: i32,
    /// Whether more tasks fail the connector.
    #[config(name = "tasks.max.enforce", default = true)]
    pub(crate) tasks_max_enforce: bool,
    /// Aliases of transforms.
    #[config(name = "transforms", default = "")]
    pub(crate) transforms: Vec<String>,
    /// Aliases of predicates.
    #[config(name = "predicates", default = "")]
    pub(crate) predicates: Vec<String>,
    /// How long a failed operation is tried again; -1: for ever.
    #[config(name = "errors.retry.timeout", default = 0)]
    retry_timeout: i64,
    /// Longest pause between two tries.
    #[config(name = "errors.retry.delay.max.ms", default = 60000, millis)]
    retry_delay_max: Duration,
    /// `none` or `all`.
    #[config(name = "errors.tolerance", default = "none", validate = Validator::one_of(["none", "all"], LetterCase::Exact))]
    tolerance: String,
    /// Whether failed records are logged.
    #[config(name = "errors.log.enable", default = false)]
    log: bool,
    /// Whether the log says which record failed.
    #[config(name = "errors.log.include.messages", default = false)]
    log_messages: bool,
    /// Topics of a sink.
    #[config(name = "topics", default = "")]
    pub(crate) topics: Vec<String>,
    /// Pattern of a sink's topics.
    #[config(name = "topics.regex", default = "")]
    pub(crate) topics_regex: String,
    /// Dead letter queue.
    #[config(name = "errors.deadletterqueue.topic.name", default = "")]
    pub(crate) dead_letter_topic: String,
    /// Its replication factor.
    #[config(name = "errors.deadletterqueue.topic.replication.factor", default = 3)]
    pub(crate) dead_letter_replication: i16,
    /// Whether dead letters say what went wrong.
    #[config(
        name = "errors.deadletterqueue.context.headers.enable",
        default = false
    )]
    pub(crate) dead_letter_context: bool,
    /// Groups of new topics.
    #[config(name = "topic.creation.groups", default = "")]
    topic_groups: Vec<String>,
}

impl ConnectorKeys {
    /// Reads a connector's configuration; what is wrong becomes an error as a task reports it.
    pub(crate) fn read(props: &Props) -> Result<Self, TaskError> {
        Self::parse(props).map_err(|errors: ConfigErrors| {
            TaskError::config("connector.config", errors.to_string())
        })
    }

    /// `errors.*`
    pub(crate) fn error_policy(&self) -> ErrorPolicy {
        ErrorPolicy {
            retry_timeout: u64::try_from(self.retry_timeout)
                .ok()
                .map(Duration::from_millis),
            retry_delay_max: self.retry_delay_max,
            tolerate_all: self.tolerance == "all",
            log: self.log,
            log_messages: self.log_messages,
        }
    }
}

/// Settings of a connector's client: the worker's under `<client>.`, then the connector's under `<client>.override.`. The policy is asked again here, because the
/// configuration may have been written by a worker with another one.
pub(crate) fn client_settings(
    worker: &WorkerConfig,
    connector: &Props,
    client: &str,
) -> Result<ClientSettings, TaskError> {
    let overrides = connector.with_prefix(&format!("{client}.override."));
    let policy = worker.override_policy();
    let refused: Vec<String> = overrides
        .keys()
        .filter_map(|key| policy.refusal(key))
        .collect();
    if !refused.is_empty() {
        return Err(TaskError::fatal(
            "connector.overrides",
            format!(
                "Client Config Overrides not allowed [{}]",
                refused.join(", ")
            ),
        ));
    }
    let mut all = worker.client_settings(&format!("{client}."));
    all.extend(settings(&overrides));
    Ok(all)
}

/// How a source's missing topics are created: the `topic.creation.*` groups of its connector.
#[derive(Debug, Clone)]
pub(crate) struct TopicCreation {
    groups: Vec<TopicGroup>,
    default: TopicSpec,
}

#[derive(Debug, Clone)]
struct TopicGroup {
    include: JavaRegex,
    exclude: Option<JavaRegex>,
    spec: TopicSpec,
}

#[derive(Debug, Clone)]
struct TopicSpec {
    partitions: i32,
    replication_factor: i16,
    settings: ClientSettings,
}

impl TopicCreation {
    /// Reads the groups; `None` when the connector has no `topic.creation.*` key or the worker does not allow it.
    pub(crate) fn read(
        worker: &WorkerConfig,
        props: &Props,
        keys: &ConnectorKeys,
    ) -> Result<Option<Self>, TaskError> {
        if !worker.topic_creation || !props.keys().any(|key| key.starts_with("topic.creation.")) {
            return Ok(None);
        }
        let default = spec(props, "default", None)?;
        let mut groups = Vec::new();
        for alias in &keys.topic_groups {
            if alias == "default" {
                tracing::warn!(
                    "'default' in topic.creation.groups is left out: that group applies to all topics of no other group"
                );
                continue;
            }
            // An empty list matches nothing.
            let Some(include) = regex(props, alias, "include")? else {
                continue;
            };
            groups.push(TopicGroup {
                include,
                exclude: regex(props, alias, "exclude")?,
                spec: spec(props, alias, Some(&default))?,
            });
        }
        Ok(Some(Self { groups, default }))
    }

    /// What to create `topic` as.
    pub(crate) fn topic(&self, topic: &str) -> NewTopic {
        let fits = |group: &&TopicGroup| {
            group.include.is_full_match(topic)
                && !group
                    .exclude
                    .as_ref()
                    .is_some_and(|e| e.is_full_match(topic))
        };
        let spec = self
            .groups
            .iter()
            .find(fits)
            .map_or(&self.default, |group| &group.spec);
        NewTopic {
            name: topic.to_owned(),
            partitions: spec.partitions,
            replication_factor: spec.replication_factor,
            settings: spec.settings.clone(),
        }
    }
}

fn spec(props: &Props, group: &str, default: Option<&TopicSpec>) -> Result<TopicSpec, TaskError> {
    let own = props.with_prefix(&format!("topic.creation.{group}."));
    let number = |key: &str, default: Option<i32>, max: i32| -> Result<i32, TaskError> {
        let name = format!("topic.creation.{group}.{key}");
        let Some(text) = own.get(key) else {
            let missing = || {
                TaskError::config(
                    "topic.creation",
                    format!(
                        "Missing required configuration \"{name}\" which has no default value."
                    ),
                )
            };
            return default.ok_or_else(missing);
        };
        let number: Option<i32> = text.trim().parse().ok();
        match number.filter(|n| *n == -1 || (1..=max).contains(n)) {
            Some(number) => Ok(number),
            None => Err(TaskError::config(
                "topic.creation",
                format!(
                    "Invalid value {text} for configuration {name}: a number from 1 to {max} is needed, or -1 for the log's default"
                ),
            )),
        }
    };
    let partitions = number("partitions", default.map(|d| d.partitions), i32::MAX)?;
    let replication = number(
        "replication.factor",
        default.map(|d| d.replication_factor.into()),
        i16::MAX.into(),
    )?;
    let mut settings = settings(&own);
    settings.retain(|(key, _)| {
        !["partitions", "replication.factor", "include", "exclude"].contains(&key.as_str())
    });
    Ok(TopicSpec {
        partitions,
        replication_factor: i16::try_from(replication).unwrap_or(-1),
        settings,
    })
}

fn regex(props: &Props, group: &str, key: &str) -> Result<Option<JavaRegex>, TaskError> {
    let name = format!("topic.creation.{group}.{key}");
    let parts: Vec<&str> = props
        .get(&name)
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let invalid = |e| {
        TaskError::config(
            "topic.creation",
            format!(
                "Invalid value {} for configuration {name}: Invalid regex: {e}",
                parts.join(",")
            ),
        )
    };
    JavaRegex::new(&parts.join("|")).map(Some).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(more: &[(&str, &str)]) -> WorkerConfig {
        let mut props = Props::from_iter([("key.converter", "K"), ("value.converter", "V")]);
        props.extend(more.iter().copied());
        WorkerConfig::parse(props).expect("parses")
    }

    fn creation(pairs: &[(&str, &str)]) -> Result<Option<TopicCreation>, TaskError> {
        let props = Props::from_iter(pairs.iter().copied());
        TopicCreation::read(&worker(&[]), &props, &ConnectorKeys::read(&props)?)
    }

    #[test]
    fn topics_take_the_first_group_that_fits() {
        let creation = creation(&[
            ("topic.creation.default.partitions", "1"),
            ("topic.creation.default.replication.factor", "-1"),
            ("topic.creation.groups", "big, none,default"),
            ("topic.creation.big.include", "shop\\..*, x"),
            ("topic.creation.big.exclude", "shop\\.small"),
            ("topic.creation.big.partitions", "6"),
            ("topic.creation.big.cleanup.policy", "compact"),
            ("topic.creation.none.partitions", "9"),
        ]);
        let creation = creation.expect("parses").expect("has groups");
        let big = creation.topic("shop.orders");
        assert_eq!((big.partitions, big.replication_factor), (6, -1));
        assert_eq!(
            big.settings,
            [("cleanup.policy".to_owned(), "compact".to_owned())]
        );
        for small in ["shop.small", "other", "ashop.orders"] {
            assert_eq!(creation.topic(small).partitions, 1, "{small}");
        }
    }

    #[test]
    fn the_default_group_is_needed_once_there_is_any() {
        assert!(creation(&[("name", "x")]).expect("parses").is_none());
        let error = creation(&[("topic.creation.groups", "a")]).expect_err("refused");
        assert_eq!(
            error.message,
            "Missing required configuration \"topic.creation.default.partitions\" which has no default value."
        );
        let error = creation(&[("topic.creation.default.partitions", "0")]).expect_err("refused");
        assert!(
            error
                .message
                .starts_with("Invalid value 0 for configuration topic.creation.default.partitions"),
            "{error}"
        );
    }

    #[test]
    fn overrides_are_layered_and_the_policy_obeyed() {
        let connector = Props::from_iter([
            ("producer.override.linger.ms", "9"),
            ("consumer.override.x", "1"),
        ]);
        let merged = client_settings(
            &worker(&[("producer.linger.ms", "5")]),
            &connector,
            "producer",
        )
        .expect("allowed");
        assert_eq!(
            merged.last(),
            Some(&("linger.ms".to_owned(), "9".to_owned()))
        );
        let refused = client_settings(
            &worker(&[("connector.client.config.override.policy", "None")]),
            &connector,
            "producer",
        );
        assert!(
            refused
                .expect_err("refused")
                .message
                .starts_with("Client Config Overrides not allowed [")
        );
    }
}
