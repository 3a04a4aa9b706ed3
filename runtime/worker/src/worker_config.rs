//! The worker's own keys.

use std::time::Duration;

use millrace_api::ConnectConfig;
use millrace_api::config::connector::WorkerDefaults;
use millrace_api::config::{
    ConfigErrors, ConnectConfig as _, LetterCase, OverridePolicy, Props, UnknownKey, Validator,
    unknown_keys,
};
use millrace_log::{ClientSettings, TableOptions};

/// Keys of a worker. Names and meanings are Kafka Connect's; those that begin with `millrace.` are ours.
///
/// Unlike Connect's, the default of `listeners` is the loopback interface: a worker that nobody configured can be reached from its own machine only. The three
/// storage topics have names by default, because a standalone worker keeps its connectors, offsets and statuses in the log too.
#[derive(Debug, Clone, ConnectConfig)]
pub struct WorkerKeys {
    /// Converter for the keys of records. Settings for it begin with `key.converter.`.
    #[config(name = "key.converter", required, importance = "high")]
    pub key_converter: String,
    /// Converter for the values of records. Settings for it begin with `value.converter.`.
    #[config(name = "value.converter", required, importance = "high")]
    pub value_converter: String,
    /// Converter for the headers of records. Settings for it begin with `header.converter.`.
    #[config(
        name = "header.converter",
        default = "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        importance = "low"
    )]
    pub header_converter: String,
    /// Addresses on which the REST API listens, as `http://host:port`, separated by commas. An empty host means all interfaces, port 0 any free port.
    #[config(name = "listeners", default = "http://127.0.0.1:8083", importance = "low", validate = Validator::non_empty_list())]
    pub listeners: Vec<String>,
    /// Host name under which other machines reach the REST API; part of the worker's id. By default that of the listener.
    #[config(name = "rest.advertised.host.name", importance = "low")]
    pub advertised_host: Option<String>,
    /// Port under which other machines reach the REST API. By default that of the listener.
    #[config(name = "rest.advertised.port", importance = "low")]
    pub advertised_port: Option<i32>,
    /// Names this worker's cluster: part of the transactional ids of its sources. Must differ from the consumer group of every sink.
    #[config(name = "group.id", default = "millrace", importance = "high", validate = Validator::non_empty())]
    pub group_id: String,
    /// Topic for connectors, their tasks and target states. It has one partition and is compacted.
    #[config(name = "config.storage.topic", default = "connect-configs", importance = "high", validate = Validator::non_empty())]
    pub config_topic: String,
    /// Replication factor of that topic when it has to be created; -1: the log's default.
    #[config(name = "config.storage.replication.factor", default = -1, importance = "low")]
    pub config_replication: i16,
    /// Topic for the offsets of sources. It is compacted.
    #[config(name = "offset.storage.topic", default = "connect-offsets", importance = "high", validate = Validator::non_empty())]
    pub offset_topic: String,
    /// Partitions of that topic when it has to be created.
    #[config(name = "offset.storage.partitions", default = 25, importance = "low")]
    pub offset_partitions: i32,
    /// Replication factor of that topic when it has to be created; -1: the log's default.
    #[config(name = "offset.storage.replication.factor", default = -1, importance = "low")]
    pub offset_replication: i16,
    /// Topic for the statuses of connectors and tasks. It is compacted.
    #[config(name = "status.storage.topic", default = "connect-status", importance = "high", validate = Validator::non_empty())]
    pub status_topic: String,
    /// Partitions of that topic when it has to be created.
    #[config(name = "status.storage.partitions", default = 5, importance = "low")]
    pub status_partitions: i32,
    /// Replication factor of that topic when it has to be created; -1: the log's default.
    #[config(name = "status.storage.replication.factor", default = -1, importance = "low")]
    pub status_replication: i16,
    /// Time that all tasks being stopped have together, in milliseconds. Tasks that need longer are abandoned.
    #[config(
        name = "task.shutdown.graceful.timeout.ms",
        default = 5000,
        millis,
        importance = "low"
    )]
    pub shutdown_timeout: Duration,
    /// How often the offsets of sources and the positions of sinks are stored, in milliseconds.
    #[config(
        name = "offset.flush.interval.ms",
        default = 60000,
        millis,
        importance = "low"
    )]
    pub flush_interval: Duration,
    /// How long storing offsets may take, in milliseconds, before it is given up and tried again at the next interval.
    #[config(
        name = "offset.flush.timeout.ms",
        default = 5000,
        millis,
        importance = "low"
    )]
    pub flush_timeout: Duration,
    /// Whether source connectors may have topics created by their `topic.creation.*` keys.
    #[config(name = "topic.creation.enable", default = true, importance = "low")]
    pub topic_creation: bool,
    /// Whether the topics that each connector uses are remembered.
    #[config(name = "topic.tracking.enable", default = true, importance = "low")]
    pub topic_tracking: bool,
    /// Whether a user may have these topics forgotten.
    #[config(
        name = "topic.tracking.allow.reset",
        default = true,
        importance = "low"
    )]
    pub topic_tracking_reset: bool,
    /// Which client settings connectors may override: `All`, `None`, `Principal` or `Allowlist`.
    #[config(
        name = "connector.client.config.override.policy",
        default = "All",
        importance = "medium",
        validate = Validator::one_of(["All", "None", "Principal", "Allowlist"], LetterCase::Exact)
    )]
    pub override_policy: String,
    /// With the policy `Allowlist`: the client settings that connectors may override.
    #[config(
        name = "connector.client.config.override.allowlist",
        default = "",
        importance = "medium"
    )]
    pub override_allowlist: Vec<String>,
    /// Most records of one source task that are sent and not yet acknowledged. A task at this limit is not polled.
    #[config(name = "millrace.source.max.in.flight.records", default = 65536, importance = "low", validate = Validator::at_least(1))]
    pub max_in_flight_records: i32,
    /// Most encoded bytes of one source task that are sent and not yet acknowledged. A task at this limit is not polled.
    #[config(name = "millrace.source.max.in.flight.bytes", default = 8388608, importance = "low", validate = Validator::at_least(1))]
    pub max_in_flight_bytes: i32,
    /// Longest time that a record waits for others to share its transaction, in milliseconds, where records and offsets are committed together.
    #[config(
        name = "millrace.source.commit.linger.ms",
        default = 5,
        millis,
        importance = "low"
    )]
    pub commit_linger: Duration,
}

/// Keys that other parts of the process read; none of them is a misspelling.
const READ_ELSEWHERE: &[&str] = &[
    "producer.",
    "consumer.",
    "admin.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "config.storage.",
    "offset.storage.",
    "status.storage.",
    "log.",
    "bootstrap.servers",
    "client.",
    "security.protocol",
    "sasl.",
    "ssl.",
    "listeners.https.",
    "rest.",
    "access.control.",
    "response.http.headers.config",
    "millrace.rest.",
    "request.timeout.ms",
    "retry.backoff.",
    "reconnect.backoff.",
    "metadata.",
    "connections.max.idle.ms",
    "socket.",
    "send.buffer.bytes",
    "receive.buffer.bytes",
];

/// Keys of a Java worker that have no meaning here, and why.
const WITHOUT_MEANING: &[(&str, &str)] = &[
    ("plugin.path", "plugins are part of the binary"),
    ("plugin.discovery", "plugins are part of the binary"),
    (
        "offset.storage.file.filename",
        "a standalone worker keeps offsets in the log, under offset.storage.topic",
    ),
    ("internal.key.converter", "internal topics are always JSON"),
    (
        "internal.value.converter",
        "internal topics are always JSON",
    ),
    ("metric.reporters", "metrics are served at /metrics"),
    ("metrics.sample.window.ms", "windows are of 30 s"),
    ("metrics.num.samples", "there are two windows"),
    ("metrics.recording.level", "all metrics are recorded"),
];

/// Keys that would change what is read or written and are not obeyed: refused unless they say what is done anyway.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "config.providers",
        "",
        "references like ${file:…} would stay as they are; put the values into the configuration",
    ),
    (
        "exactly.once.source.support",
        "disabled",
        "on Kafka sources are at least once; on the embedded log (log.dir) they are exactly once without it",
    ),
];

/// A worker's configuration: its own keys, and everything as it was given for those who read keys by their beginning.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    keys: WorkerKeys,
    props: Props,
}

impl std::ops::Deref for WorkerConfig {
    type Target = WorkerKeys;

    fn deref(&self) -> &WorkerKeys {
        &self.keys
    }
}

impl WorkerConfig {
    /// Reads a worker's properties. The error names everything that is wrong.
    pub fn parse(props: Props) -> Result<Self, ConfigErrors> {
        let parsed = WorkerKeys::parse(&props);
        let mut errors = ConfigErrors::default();
        for (key, allowed, why) in REFUSED {
            if let Some(value) = props.get(key).map(str::trim)
                && !value.eq_ignore_ascii_case(allowed)
            {
                errors.add(*key, format!("Invalid value {value} for configuration {key}: this worker does not do what the key asks for: {why}."));
            }
        }
        match parsed {
            Ok(keys) if errors.is_empty() => Ok(Self { keys, props }),
            Ok(_) => Err(errors),
            Err(more) => {
                for (key, message) in more.iter() {
                    errors.add(key, message);
                }
                Err(errors)
            }
        }
    }

    /// What was given.
    pub fn props(&self) -> &Props {
        &self.props
    }

    /// What to warn about: keys that nobody reads (with the nearest one that somebody does), and keys that have no meaning here.
    pub fn warnings(&self) -> Vec<String> {
        let mut foreign: Vec<&str> = READ_ELSEWHERE.to_vec();
        foreign.extend(WITHOUT_MEANING.iter().map(|(key, _)| *key));
        // The registry inside the worker names its own unknown keys.
        if self.props.contains_key("schema.registry.listeners") {
            foreign.push("schema.registry.");
        }
        let unknown = unknown_keys(&[WorkerKeys::definition()], &foreign, &self.props);
        let pointless = WITHOUT_MEANING
            .iter()
            .filter(|(key, _)| self.props.contains_key(key));
        unknown
            .iter()
            .map(UnknownKey::to_string)
            .chain(
                pointless
                    .map(|(key, why)| format!("The configuration '{key}' has no effect: {why}.")),
            )
            .collect()
    }

    /// Settings given under a prefix, for a client.
    pub fn client_settings(&self, prefix: &str) -> ClientSettings {
        settings(&self.props.with_prefix(prefix))
    }

    /// Which client settings connectors may override.
    pub fn override_policy(&self) -> OverridePolicy {
        match self.keys.override_policy.as_str() {
            "None" => OverridePolicy::None,
            "Principal" => OverridePolicy::Principal,
            "Allowlist" => OverridePolicy::Allowlist(self.override_allowlist.clone()),
            _ => OverridePolicy::All,
        }
    }

    /// What the validation of connectors takes from the worker.
    pub fn validation_defaults(&self) -> WorkerDefaults {
        WorkerDefaults {
            key_converter: Some(self.key_converter.clone()),
            value_converter: Some(self.value_converter.clone()),
            header_converter: Some(self.header_converter.clone()),
            group_id: None,
            exactly_once_enabled: false,
            override_policy: self.override_policy(),
        }
    }

    /// The config topic.
    pub(crate) fn config_table(&self) -> TableOptions {
        self.table(
            "config",
            &self.config_topic,
            1,
            self.config_replication,
            "config.storage.topic",
            "connector configurations",
        )
    }

    /// The offset topic.
    pub(crate) fn offset_table(&self) -> TableOptions {
        let (partitions, replication) = (self.offset_partitions, self.offset_replication);
        self.table(
            "offset",
            &self.offset_topic,
            partitions,
            replication,
            "offset.storage.topic",
            "source connector offsets",
        )
    }

    /// The status topic.
    pub(crate) fn status_table(&self) -> TableOptions {
        let (partitions, replication) = (self.status_partitions, self.status_replication);
        self.table(
            "status",
            &self.status_topic,
            partitions,
            replication,
            "status.storage.topic",
            "connector and task statuses",
        )
    }

    fn table(
        &self,
        what: &str,
        topic: &str,
        partitions: i32,
        replication: i16,
        named_by: &'static str,
        purpose: &'static str,
    ) -> TableOptions {
        let own = [
            "topic",
            "partitions",
            "replication.factor",
            "cleanup.policy",
            "file.filename",
        ];
        let prefix = format!("{what}.storage.");
        let mut topic_settings = self.client_settings(&prefix);
        topic_settings.retain(|(key, _)| !own.contains(&key.as_str()));
        TableOptions {
            topic: topic.to_owned(),
            partitions,
            replication_factor: replication,
            clamp_replication: false,
            check_policy: true,
            topic_settings,
            client_id: format!("{}-{what}s", self.group_id),
            settings: Vec::new(),
            named_by,
            purpose,
        }
    }
}

/// Properties as client settings.
pub(crate) fn settings(props: &Props) -> ClientSettings {
    props
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal(more: &[(&str, &str)]) -> Props {
        let mut props = Props::from_iter([("key.converter", "K"), ("value.converter", "V")]);
        props.extend(more.iter().copied());
        props
    }

    #[test]
    fn what_would_not_be_obeyed_is_refused() {
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let with = |key: &str, value: &str| {
            let props = Props::from_iter([
                ("key.converter", json),
                ("value.converter", json),
                (key, value),
            ]);
            WorkerConfig::parse(props)
                .map(|_| ())
                .map_err(|e| e.to_string())
        };
        assert!(with("exactly.once.source.support", "disabled").is_ok());
        assert!(
            with("exactly.once.source.support", "enabled")
                .is_err_and(|e| e.contains("exactly.once.source.support"))
        );
        assert!(with("config.providers", "file").is_err_and(|e| e.contains("config.providers")));
    }

    #[test]
    fn a_worker_listens_on_loopback_unless_told_otherwise() {
        let config = WorkerConfig::parse(minimal(&[])).expect("parses");
        assert_eq!(config.listeners, ["http://127.0.0.1:8083"]);
        assert_eq!(
            (
                config.config_topic.as_str(),
                config.offset_topic.as_str(),
                config.status_topic.as_str()
            ),
            ("connect-configs", "connect-offsets", "connect-status")
        );
        assert_eq!(config.flush_interval, Duration::from_secs(60));
    }

    #[test]
    fn all_errors_are_named_at_once() {
        let errors = WorkerConfig::parse(Props::from_iter([("offset.flush.interval.ms", "soon")]))
            .expect_err("refused")
            .to_string();
        for key in [
            "key.converter",
            "value.converter",
            "offset.flush.interval.ms",
        ] {
            assert!(errors.contains(key), "{key} in {errors}");
        }
    }

    #[test]
    fn misspelt_and_pointless_keys_are_warned_about() {
        let config = WorkerConfig::parse(minimal(&[
            ("ofset.flush.interval.ms", "1"),
            ("plugin.path", "/x"),
            ("producer.linger.ms", "5"),
            ("key.converter.schemas.enable", "false"),
        ]));
        let warnings = config.expect("parses").warnings();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings[0].contains("Did you mean 'offset.flush.interval.ms'?"),
            "{warnings:?}"
        );
        assert!(
            warnings[1].contains("plugins are part of the binary"),
            "{warnings:?}"
        );
    }

    #[test]
    fn settings_of_a_registry_inside_are_not_the_workers() {
        let warnings = |entries: &[(&str, &str)]| {
            let config = WorkerConfig::parse(minimal(entries)).expect("parses");
            config.warnings().len()
        };
        let group = ("schema.registry.group.id", "a");
        let listeners = ("schema.registry.listeners", "http://127.0.0.1:8081");
        assert_eq!(warnings(&[group, listeners]), 0);
        // Without a registry nobody reads them.
        assert_eq!(warnings(&[group]), 1);
    }

    #[test]
    fn storage_topics_take_their_settings_along() {
        let config = WorkerConfig::parse(minimal(&[
            ("offset.storage.segment.bytes", "1000"),
            ("offset.storage.cleanup.policy", "delete"),
        ]));
        let table = config.expect("parses").offset_table();
        assert_eq!(
            table.topic_settings,
            [("segment.bytes".to_owned(), "1000".to_owned())]
        );
        assert_eq!(
            (table.partitions, table.named_by),
            (25, "offset.storage.topic")
        );
    }
}
