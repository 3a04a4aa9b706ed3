//! The door of the worker: everything that REST (or any other front end) can ask for.
//!
//! [`Herder`] is object-safe and knows nothing of HTTP except that its errors carry the status a Java worker would answer with. Response types serialize to the
//! very JSON of Kafka Connect's REST API, members in Java's order.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use millrace_api::config::{ConfigInfos, ConfigKeyInfo, RawProps};
use serde::{Deserialize, Serialize};

/// Connect's version that this worker is compatible with, as `GET /` and the version of built-in plugins show it.
pub const CONNECT_VERSION: &str = "4.3.1";

/// Why a request was not carried out: the HTTP status and the message of the answer, both as a Java worker gives them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HerderError {
    /// HTTP status, also the answer's `error_code`.
    pub status: u16,
    /// The answer's `message`.
    pub message: String,
}

impl HerderError {
    /// Any status.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// 400
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 404
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    /// 409
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, message)
    }

    /// 500
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    /// 404 `Connector X not found`
    pub fn connector_not_found(name: &str) -> Self {
        Self::not_found(format!("Connector {name} not found"))
    }

    /// 404 `Unknown connector X`: pause, resume and stop.
    pub fn unknown_connector(name: &str) -> Self {
        Self::not_found(format!("Unknown connector {name}"))
    }

    /// 404 `Unknown connector: X`: the restarts.
    pub fn unknown_connector_to_restart(name: &str) -> Self {
        Self::not_found(format!("Unknown connector: {name}"))
    }

    /// 404 `Unknown task: X-T`
    pub fn unknown_task(name: &str, task: u32) -> Self {
        Self::not_found(format!("Unknown task: {name}-{task}"))
    }

    /// 409 `Connector X already exists`
    pub fn already_exists(name: &str) -> Self {
        Self::conflict(format!("Connector {name} already exists"))
    }

    /// 404 `No status found for connector X`
    pub fn no_connector_status(name: &str) -> Self {
        Self::not_found(format!("No status found for connector {name}"))
    }

    /// 404 `No status found for task X-T`
    pub fn no_task_status(name: &str, task: u32) -> Self {
        Self::not_found(format!("No status found for task {name}-{task}"))
    }

    /// 500: the configuration could not be written.
    pub fn write_failed() -> Self {
        Self::internal(
            "Failed to write to config topic; this may be due to a transient error and the request can be safely retried",
        )
    }

    /// 400: offsets of a connector that is not stopped.
    pub fn not_stopped(name: &str) -> Self {
        Self::bad_request(format!(
            "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
        ))
    }

    /// 403 `Topic tracking is disabled.`
    pub fn topic_tracking_disabled() -> Self {
        Self::new(403, "Topic tracking is disabled.")
    }

    /// 403 `Topic tracking reset is disabled.`
    pub fn topic_reset_disabled() -> Self {
        Self::new(403, "Topic tracking reset is disabled.")
    }

    /// 400: `count` errors of validation, one per line.
    pub fn invalid_config(count: usize, messages: &[String]) -> Self {
        Self::bad_request(format!(
            "Connector configuration is invalid and contains the following {count} error(s):\n{}\nYou can also find the above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
            messages.join("\n")
        ))
    }
}

/// `GET /`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerInfo {
    /// [`CONNECT_VERSION`]
    pub version: String,
    /// Source commit of this build.
    pub commit: String,
    /// Kafka's cluster id, or the identity of the log.
    pub kafka_cluster_id: String,
}

/// Source or sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorType {
    /// Writes to the log.
    Source,
    /// Reads from the log.
    Sink,
    /// Its class is not known here.
    Unknown,
}

impl ConnectorType {
    /// `source`, `sink` or `unknown`
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Unknown => "unknown",
        }
    }
}

/// What a user wants a connector to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetState {
    /// Running.
    #[default]
    Started,
    /// Allocated, but idle.
    Paused,
    /// Without tasks.
    Stopped,
}

impl TargetState {
    /// The word in the config topic: `STARTED`, `PAUSED`, `STOPPED`.
    pub fn stored_name(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
        }
    }

    /// Reads the word of the config topic.
    pub fn from_stored_name(word: &str) -> Option<Self> {
        match word {
            "STARTED" => Some(Self::Started),
            "PAUSED" => Some(Self::Paused),
            "STOPPED" => Some(Self::Stopped),
            _ => None,
        }
    }
}

/// `initial_state` of a request: `RUNNING`, `PAUSED` or `STOPPED` in any case.
impl FromStr for TargetState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.to_ascii_uppercase().as_str() {
            "RUNNING" => Ok(Self::Started),
            "PAUSED" => Ok(Self::Paused),
            "STOPPED" => Ok(Self::Stopped),
            _ => Err(format!(
                "No initial state '{word}': one of RUNNING, PAUSED, STOPPED is needed"
            )),
        }
    }
}

/// Names a task in JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ConnectorTaskId {
    /// Connector name.
    pub connector: String,
    /// Number, from 0.
    pub task: u32,
}

/// A connector as submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectorInfo {
    /// Name.
    pub name: String,
    /// The raw configuration: references unresolved, secrets not masked.
    pub config: RawProps,
    /// Its tasks, by number.
    pub tasks: Vec<ConnectorTaskId>,
    /// Source or sink.
    #[serde(rename = "type")]
    pub kind: ConnectorType,
}

/// A task with its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskInfo {
    /// Which.
    pub id: ConnectorTaskId,
    /// The raw task configuration.
    pub config: RawProps,
}

/// The version of a plugin in a status: `None` is left out (the plugin has none), `Some(None)` is printed as null (the status was written without one).
pub type StatusVersion = Option<Option<String>>;

/// What a connector does now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectorState {
    /// `RUNNING`, `PAUSED`, `STOPPED`, `FAILED`, `UNASSIGNED`, `RESTARTING`
    pub state: String,
    /// `host:port` of the worker.
    pub worker_id: String,
    /// Plugin version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: StatusVersion,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// What a task does now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskState {
    /// Number.
    pub id: u32,
    /// `RUNNING`, `PAUSED`, `FAILED`, `UNASSIGNED`, `RESTARTING`
    pub state: String,
    /// `host:port` of the worker.
    pub worker_id: String,
    /// Plugin version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: StatusVersion,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// `GET /connectors/X/status`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectorStateInfo {
    /// Name.
    pub name: String,
    /// The connector itself.
    pub connector: ConnectorState,
    /// Its tasks, by number.
    pub tasks: Vec<TaskState>,
    /// Source or sink.
    #[serde(rename = "type")]
    pub kind: ConnectorType,
}

/// Answer to `PUT /connectors/X/config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutConfig {
    /// Whether the connector is new (201 instead of 200).
    pub created: bool,
    /// The connector.
    pub info: ConnectorInfo,
}

/// What to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestartFlags {
    /// Tasks too.
    pub include_tasks: bool,
    /// Only what is FAILED.
    pub only_failed: bool,
}

/// One stored offset: maps as the connector keeps them, or `{"kafka_topic","kafka_partition"}` and `{"kafka_offset"}` for sinks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorOffset {
    /// Partition, or null.
    #[serde(default)]
    pub partition: serde_json::Value,
    /// Offset; null in a request resets it.
    #[serde(default)]
    pub offset: serde_json::Value,
}

/// `GET` and `PATCH /connectors/X/offsets`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorOffsets {
    /// All of them.
    #[serde(default)]
    pub offsets: Option<Vec<ConnectorOffset>>,
}

/// `{"message": …}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The text.
    pub message: String,
}

/// One entry of `GET /connector-plugins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginEntry {
    /// Java class name.
    pub class: String,
    /// `sink`, `source`, `transformation`, `predicate`, `converter` or `header_converter`
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `GET /health`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// `healthy`, `starting` or `unhealthy`
    pub status: &'static str,
    /// What that means.
    pub message: String,
    /// HTTP status of the answer: 200, 503 or 500.
    #[serde(skip)]
    pub http_status: u16,
}

impl Health {
    /// Started, and it answers.
    pub fn healthy() -> Self {
        Self {
            status: "healthy",
            message: "Worker has completed startup and is ready to handle requests.".into(),
            http_status: 200,
        }
    }

    /// Not yet started.
    pub fn starting() -> Self {
        Self {
            status: "starting",
            message: "Worker is still starting up.".into(),
            http_status: 503,
        }
    }

    /// It was started but does not answer.
    pub fn unhealthy() -> Self {
        Self { status: "unhealthy", message: "Worker was unable to handle this request and may be unable to handle other requests.".into(), http_status: 500 }
    }
}

/// Level of a logger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoggerLevel {
    /// `OFF`, `FATAL`, `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE` or `ALL`
    pub level: String,
    /// When it was last changed, in milliseconds since the epoch; null when never.
    pub last_modified: Option<i64>,
}

/// Where the levels of the process's loggers are kept: the binary that installs the subscriber implements it.
pub trait LoggerControl: Send + Sync + fmt::Debug {
    /// All loggers, `root` included, sorted by name.
    fn list(&self) -> IndexMap<String, LoggerLevel>;
    /// One logger; `root` in any case. `None` when it does not exist.
    fn get(&self, name: &str) -> Option<LoggerLevel>;
    /// Sets the level (already in upper case and known) of `name` and of every logger whose name begins with it; the names whose level changed, sorted.
    fn set(&self, name: &str, level: &str) -> Vec<String>;
}

/// How far a change of a logger's level reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggerScope {
    /// This worker.
    Worker,
    /// All workers.
    Cluster,
}

/// The levels that may be set.
pub const LOGGER_LEVELS: [&str; 8] = [
    "OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL",
];

/// All that a front end can ask of a worker.
///
/// Calls may be made from any task at any time. Those that change something return once it is durable and, for everything but pause and resume, once it has been
/// done. A caller that stops waiting (drops the future) leaves the change in whatever state it had reached; it is carried to its end in the background.
#[async_trait::async_trait]
pub trait Herder: Send + Sync + fmt::Debug {
    /// Version, commit, cluster id.
    fn server_info(&self) -> ServerInfo;

    /// `host:port` under which this worker appears in statuses.
    fn worker_id(&self) -> String;

    /// Whether the worker has started and answers; takes at most 10 s.
    async fn health(&self) -> Health;

    /// Names of all connectors.
    fn connectors(&self) -> Vec<String>;

    /// A connector as submitted. 404 when unknown.
    async fn connector_info(&self, name: &str) -> Result<ConnectorInfo, HerderError>;

    /// Its raw configuration. 404 when unknown.
    async fn connector_config(&self, name: &str) -> Result<RawProps, HerderError>;

    /// Its tasks with their configuration. 404 when unknown.
    async fn task_configs(&self, name: &str) -> Result<Vec<TaskInfo>, HerderError>;

    /// What connector and tasks do. 404 when there is no status (also right after creation, before the first one was written).
    fn connector_status(&self, name: &str) -> Result<ConnectorStateInfo, HerderError>;

    /// What one task does. 404 when there is no status.
    fn task_status(&self, name: &str, task: u32) -> Result<TaskState, HerderError>;

    /// Topics that the connector has used since it was created or they were reset; empty for an unknown connector. 403 when topics are not tracked.
    fn active_topics(&self, name: &str) -> Result<Vec<String>, HerderError>;

    /// Forgets these topics. 403 when that is switched off.
    async fn reset_active_topics(&self, name: &str) -> Result<(), HerderError>;

    /// Creates a connector. `name` is trimmed here and entered into the configuration, or compared with the one there. 400 when the configuration is invalid, 409
    /// when the connector exists, 500 with the reason when it cannot start (it exists then, FAILED).
    async fn create_connector(
        &self,
        name: &str,
        config: RawProps,
        initial_state: TargetState,
    ) -> Result<ConnectorInfo, HerderError>;

    /// Creates a connector or replaces its configuration; the target state stays.
    async fn put_config(&self, name: &str, config: RawProps) -> Result<PutConfig, HerderError>;

    /// Changes keys of a configuration: null removes a key. 404 when unknown.
    async fn patch_config(&self, name: &str, patch: RawProps)
    -> Result<ConnectorInfo, HerderError>;

    /// Deletes a connector; offsets stay. 404 when unknown.
    async fn delete_connector(&self, name: &str) -> Result<(), HerderError>;

    /// Pauses. 404 when unknown.
    async fn pause(&self, name: &str) -> Result<(), HerderError>;

    /// Resumes from pause or stop. 404 when unknown.
    async fn resume(&self, name: &str) -> Result<(), HerderError>;

    /// Stops: no tasks any more. 404 when unknown.
    async fn stop(&self, name: &str) -> Result<(), HerderError>;

    /// Restarts a connector. Without flags: the connector alone, synchronously, `None` (204). Else what the flags select, and the statuses as they will look (202).
    async fn restart_connector(
        &self,
        name: &str,
        flags: RestartFlags,
    ) -> Result<Option<ConnectorStateInfo>, HerderError>;

    /// Restarts a task. 404 for an unknown connector or task, 500 when it cannot be started.
    async fn restart_task(&self, name: &str, task: u32) -> Result<(), HerderError>;

    /// Stored offsets of a source, committed positions of a sink.
    async fn offsets(&self, name: &str) -> Result<ConnectorOffsets, HerderError>;

    /// Changes some of them; the connector must be STOPPED.
    async fn alter_offsets(
        &self,
        name: &str,
        offsets: ConnectorOffsets,
    ) -> Result<Message, HerderError>;

    /// Forgets all of them; the connector must be STOPPED.
    async fn reset_offsets(&self, name: &str) -> Result<Message, HerderError>;

    /// Installed plugins; `connectors_only`: sinks and sources.
    fn plugins(&self, connectors_only: bool) -> Vec<PluginEntry>;

    /// The keys of a plugin, by class, simple name or alias; `version` is the query parameter. 404 `Unknown plugin P.`
    fn plugin_config(
        &self,
        plugin: &str,
        version: Option<&str>,
    ) -> Result<Vec<ConfigKeyInfo>, HerderError>;

    /// Validates a configuration; `plugin` is the path's.
    async fn validate(&self, plugin: &str, config: RawProps) -> Result<ConfigInfos, HerderError>;

    /// All loggers.
    fn loggers(&self) -> IndexMap<String, LoggerLevel>;

    /// One logger. 404 `Logger N not found.`
    fn logger(&self, name: &str) -> Result<LoggerLevel, HerderError>;

    /// Sets a level: the names that changed (200), or nothing for the cluster (204). 404 for a level that does not exist.
    async fn set_logger(
        &self,
        name: &str,
        level: &str,
        scope: LoggerScope,
    ) -> Result<Option<Vec<String>>, HerderError>;

    /// All metrics in Prometheus' text format.
    fn metrics(&self) -> String;
}

/// Enters `name` into a configuration that does not say it, or checks that it is the same: what every request with a name and a configuration needs first.
pub fn reconcile_name(name: &str, config: &mut RawProps) -> Result<(), HerderError> {
    match config.get("name").cloned().flatten() {
        None => {
            config.insert("name".to_owned(), Some(name.to_owned()));
            Ok(())
        }
        Some(inner) if inner == name => Ok(()),
        Some(inner) => Err(HerderError::bad_request(format!(
            "Connector name configuration ({inner}) doesn't match connector name in the URL ({name})"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_java_s_member_order() {
        let info = ConnectorInfo {
            name: "X".into(),
            config: RawProps::from_iter([
                ("connector.class".to_owned(), Some("C".to_owned())),
                ("k".to_owned(), None),
            ]),
            tasks: vec![ConnectorTaskId {
                connector: "X".into(),
                task: 0,
            }],
            kind: ConnectorType::Source,
        };
        assert_eq!(
            serde_json::to_string(&info).expect("json"),
            r#"{"name":"X","config":{"connector.class":"C","k":null},"tasks":[{"connector":"X","task":0}],"type":"source"}"#
        );
        let status = ConnectorStateInfo {
            name: "X".into(),
            connector: ConnectorState {
                state: "RUNNING".into(),
                worker_id: "w:1".into(),
                version: Some(Some("1".into())),
                trace: None,
            },
            tasks: vec![TaskState {
                id: 0,
                state: "FAILED".into(),
                worker_id: "w:1".into(),
                version: Some(None),
                trace: Some("t".into()),
            }],
            kind: ConnectorType::Sink,
        };
        assert_eq!(
            serde_json::to_string(&status).expect("json"),
            r#"{"name":"X","connector":{"state":"RUNNING","worker_id":"w:1","version":"1"},"tasks":[{"id":0,"state":"FAILED","worker_id":"w:1","version":null,"trace":"t"}],"type":"sink"}"#
        );
    }

    #[test]
    fn a_name_is_entered_or_compared() {
        let mut config = RawProps::new();
        reconcile_name("a", &mut config).expect("entered");
        assert_eq!(config["name"].as_deref(), Some("a"));
        let error = reconcile_name("b", &mut config).expect_err("another name");
        assert_eq!(
            (error.status, error.message.as_str()),
            (
                400,
                "Connector name configuration (a) doesn't match connector name in the URL (b)"
            )
        );
    }

    #[test]
    fn the_list_of_errors_keeps_the_literal_placeholder() {
        let error = HerderError::invalid_config(2, &["one".into(), "two".into()]);
        assert_eq!(
            error.message,
            "Connector configuration is invalid and contains the following 2 error(s):\none\ntwo\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"
        );
    }
}
