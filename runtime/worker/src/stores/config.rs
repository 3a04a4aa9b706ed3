//! The config topic: connectors, their tasks, target states and requests (Java's `KafkaConfigBackingStore`).

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use millrace_api::config::RawProps;
use millrace_log::{LogError, TableRecord, TableWrite};
use serde_json::Value;

use super::java_json::{member, optional_string, string};
use super::{TableState, TableStore};
use crate::herder::{RestartFlags, TargetState};

/// A connector as the topic has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoredConnector {
    /// The raw configuration.
    pub config: RawProps,
    /// The configuration that was current when the present task set was committed.
    pub applied_config: Option<RawProps>,
    /// Committed task configurations by number.
    pub tasks: BTreeMap<u32, RawProps>,
    /// Number of tasks by the last commit.
    pub task_count: u32,
    /// A commit named tasks that were not written: none of the tasks can be run until the set is written anew.
    pub inconsistent: bool,
}

impl StoredConnector {
    /// The tasks that can be run: none when the set is inconsistent.
    pub fn runnable_tasks(&self) -> impl Iterator<Item = (u32, &RawProps)> {
        let none = self.inconsistent;
        self.tasks
            .iter()
            .filter(move |(id, _)| !none && **id < self.task_count)
            .map(|(id, config)| (*id, config))
    }
}

/// What a record changed, for a herder that follows the topic.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigChange {
    /// A connector is new or has another configuration.
    Connector(String),
    /// A connector is gone.
    Removed(String),
    /// A complete task set was committed: numbers of its tasks.
    Tasks(String, Vec<u32>),
    /// A known connector has another target state.
    Target(String),
    /// Somebody asked for a restart.
    Restart(String, RestartFlags),
    /// A logger's level was set for the cluster.
    Logger(String, String),
}

/// Everything the config topic says.
#[derive(Debug, Default)]
pub struct ConfigState {
    connectors: IndexMap<String, StoredConnector>,
    targets: IndexMap<String, TargetState>,
    deferred: IndexMap<String, BTreeMap<u32, RawProps>>,
    generations: IndexMap<String, u64>,
    offset: i64,
}

impl ConfigState {
    /// Names of all connectors.
    pub fn connectors(&self) -> impl Iterator<Item = &str> {
        self.connectors.keys().map(String::as_str)
    }

    /// A connector.
    pub fn connector(&self, name: &str) -> Option<&StoredConnector> {
        self.connectors.get(name)
    }

    /// Target state of a connector.
    pub fn target(&self, name: &str) -> TargetState {
        self.targets.get(name).copied().unwrap_or_default()
    }

    /// How often a complete task set of this connector was committed.
    pub fn generation(&self, name: &str) -> u64 {
        self.generations.get(name).copied().unwrap_or(0)
    }

    /// Offset after the last record that was understood.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Takes one record in and says what it changed. Unknown keys move the offset, values that cannot be decoded do not: all workers must agree on it.
    pub fn apply_record(
        &mut self,
        key: &str,
        value: Option<&[u8]>,
        offset: i64,
    ) -> Option<ConfigChange> {
        let value = match value.map(serde_json::from_slice::<Value>).transpose() {
            Ok(value) => value.filter(|v| !v.is_null()),
            Err(error) => {
                tracing::error!(key, offset, %error, "record of the config topic is not JSON; skipped");
                return None;
            }
        };
        self.offset = self.offset.max(offset + 1);
        let change = self.dispatch(key, value);
        change.unwrap_or_else(|problem| {
            tracing::error!(key, offset, problem, "record of the config topic ignored");
            None
        })
    }

    fn dispatch(
        &mut self,
        key: &str,
        value: Option<Value>,
    ) -> Result<Option<ConfigChange>, &'static str> {
        if let Some(name) = key.strip_prefix(TARGET) {
            Ok(self.target_record(name, value))
        } else if let Some(name) = key.strip_prefix(CONNECTOR) {
            self.connector_record(name, value)
        } else if let Some(rest) = key.strip_prefix(TASK) {
            let (name, id) = rest
                .rsplit_once('-')
                .and_then(|(n, i)| Some((n, i.parse().ok()?)))
                .ok_or("the key names no task")?;
            let config = value
                .as_ref()
                .and_then(properties)
                .ok_or("no object 'properties' of texts")?;
            self.deferred
                .entry(name.to_owned())
                .or_default()
                .insert(id, config);
            Ok(None)
        } else if let Some(name) = key.strip_prefix(COMMIT) {
            let count = value
                .as_ref()
                .and_then(|v| v.get("tasks")?.as_u64())
                .and_then(|n| u32::try_from(n).ok())
                .ok_or("no integer 'tasks'")?;
            Ok(self.commit_record(name, count))
        } else if let Some(name) = key.strip_prefix(RESTART) {
            let flag = |name| value.as_ref().and_then(|v| v.get(name)?.as_bool());
            let include_tasks = flag("include-tasks").ok_or("no boolean 'include-tasks'")?;
            let only_failed = flag("only-failed").ok_or("no boolean 'only-failed'")?;
            Ok(Some(ConfigChange::Restart(
                name.to_owned(),
                RestartFlags {
                    include_tasks,
                    only_failed,
                },
            )))
        } else if key.starts_with(FENCING) || key == SESSION_KEY {
            Ok(None)
        } else if let Some(logger) = key.strip_prefix(LOGGER) {
            let level = value
                .as_ref()
                .and_then(|v| v.get("level")?.as_str())
                .ok_or("no text 'level'")?;
            Ok(Some(ConfigChange::Logger(
                logger.to_owned(),
                level.to_owned(),
            )))
        } else {
            Err("the key is of no known kind")
        }
    }

    fn target_record(&mut self, name: &str, value: Option<Value>) -> Option<ConfigChange> {
        let before = self.target(name);
        match value {
            None => {
                self.targets.shift_remove(name);
            }
            Some(value) => {
                let word = value
                    .get("state.v2")
                    .and_then(Value::as_str)
                    .or_else(|| value.get("state")?.as_str());
                let target = word.and_then(TargetState::from_stored_name)?;
                self.targets.insert(name.to_owned(), target);
            }
        }
        (self.connectors.contains_key(name) && self.target(name) != before)
            .then(|| ConfigChange::Target(name.to_owned()))
    }

    fn connector_record(
        &mut self,
        name: &str,
        value: Option<Value>,
    ) -> Result<Option<ConfigChange>, &'static str> {
        let Some(value) = value else {
            self.deferred.shift_remove(name);
            return Ok(self
                .connectors
                .shift_remove(name)
                .map(|_| ConfigChange::Removed(name.to_owned())));
        };
        let config = properties(&value).ok_or("no object 'properties' of texts")?;
        self.connectors.entry(name.to_owned()).or_default().config = config;
        Ok(Some(ConfigChange::Connector(name.to_owned())))
    }

    fn commit_record(&mut self, name: &str, count: u32) -> Option<ConfigChange> {
        let deferred = self.deferred.shift_remove(name).unwrap_or_default();
        let connector = self.connectors.get_mut(name)?;
        connector.task_count = count;
        if (0..count).all(|id| deferred.contains_key(&id)) {
            if !deferred.is_empty() {
                *self.generations.entry(name.to_owned()).or_default() += 1;
            }
            connector.tasks = deferred;
            connector.inconsistent = false;
            connector.applied_config = Some(connector.config.clone());
        } else {
            connector.inconsistent = true;
        }
        let updated = if connector.inconsistent {
            Vec::new()
        } else {
            connector.tasks.keys().copied().collect()
        };
        Some(ConfigChange::Tasks(name.to_owned(), updated))
    }
}

impl TableState for ConfigState {
    fn apply(&mut self, record: TableRecord<'_>) {
        match record.key.map(std::str::from_utf8) {
            Some(Ok(key)) => {
                self.apply_record(key, record.value, record.offset);
            }
            _ => tracing::error!(
                offset = record.offset,
                "record of the config topic without a text as its key; skipped"
            ),
        }
    }
}

const TARGET: &str = "target-state-";
const CONNECTOR: &str = "connector-";
const TASK: &str = "task-";
const COMMIT: &str = "commit-";
const RESTART: &str = "restart-connector-";
const FENCING: &str = "tasks-fencing-";
const SESSION_KEY: &str = "session-key";
const LOGGER: &str = "logger-cluster-";

fn properties(value: &Value) -> Option<RawProps> {
    let members = value.get("properties")?.as_object()?;
    members
        .iter()
        .map(|(key, value)| match value {
            Value::Null => Some((key.clone(), None)),
            Value::String(text) => Some((key.clone(), Some(text.clone()))),
            _ => None,
        })
        .collect()
}

fn properties_json(config: &RawProps) -> Vec<u8> {
    let mut out = b"{\"properties\":{".to_vec();
    let mut first = true;
    for (key, value) in config {
        member(key, &mut first, &mut out);
        optional_string(value.as_deref(), &mut out);
    }
    out.extend_from_slice(b"}}");
    out
}

/// `connector-X`
pub fn connector_write(name: &str, config: &RawProps) -> TableWrite {
    TableWrite {
        key: format!("{CONNECTOR}{name}").into_bytes(),
        value: Some(properties_json(config)),
    }
}

/// `target-state-X`, readable by workers that know only running and paused.
pub fn target_write(name: &str, target: TargetState) -> TableWrite {
    let old = if target == TargetState::Started {
        "STARTED"
    } else {
        "PAUSED"
    };
    let value = format!(
        r#"{{"state":"{old}","state.v2":"{}"}}"#,
        target.stored_name()
    );
    TableWrite {
        key: format!("{TARGET}{name}").into_bytes(),
        value: Some(value.into_bytes()),
    }
}

/// The two tombstones of a deleted connector.
pub fn removal_writes(name: &str) -> [TableWrite; 2] {
    [CONNECTOR, TARGET].map(|prefix| TableWrite {
        key: format!("{prefix}{name}").into_bytes(),
        value: None,
    })
}

/// `task-X-N`
pub fn task_write(name: &str, id: usize, config: &RawProps) -> TableWrite {
    TableWrite {
        key: format!("{TASK}{name}-{id}").into_bytes(),
        value: Some(properties_json(config)),
    }
}

/// `commit-X`
pub fn commit_write(name: &str, tasks: usize) -> TableWrite {
    TableWrite {
        key: format!("{COMMIT}{name}").into_bytes(),
        value: Some(format!(r#"{{"tasks":{tasks}}}"#).into_bytes()),
    }
}

/// `restart-connector-X`
pub fn restart_write(name: &str, flags: RestartFlags) -> TableWrite {
    let value = format!(
        r#"{{"include-tasks":{},"only-failed":{}}}"#,
        flags.include_tasks, flags.only_failed
    );
    TableWrite {
        key: format!("{RESTART}{name}").into_bytes(),
        value: Some(value.into_bytes()),
    }
}

/// `logger-cluster-N`
pub fn logger_write(logger: &str, level: &str) -> TableWrite {
    let mut value = b"{\"level\":".to_vec();
    string(level, &mut value);
    value.push(b'}');
    TableWrite {
        key: format!("{LOGGER}{logger}").into_bytes(),
        value: Some(value),
    }
}

/// The config topic with its writes. Every write returns once it has been read back.
#[derive(Debug)]
pub struct ConfigStore {
    table: TableStore<ConfigState>,
}

/// Budget of one write with everything it waits for, as in Java.
const WRITE_BUDGET: Duration = Duration::from_secs(30);

impl ConfigStore {
    /// Over a topic that has been read. It must have one partition only: several would be read in no certain order.
    pub fn new(table: TableStore<ConfigState>) -> Result<Self, LogError> {
        match table.partitions() {
            1 => Ok(Self { table }),
            n => Err(LogError::Config(format!(
                "Topic '{}' supplied via the 'config.storage.topic' property is required to have a single partition in order to guarantee consistency of connector configurations, but found {n} partitions.",
                table.topic()
            ))),
        }
    }

    /// The state as far as it has been read.
    pub fn state(&self) -> std::sync::RwLockReadGuard<'_, ConfigState> {
        self.table.state()
    }

    /// Waits until everything written so far has been read.
    pub async fn read_to_end(&self) -> Result<(), LogError> {
        self.table.read_to_end().await
    }

    /// Stores a connector; its first target state, if given, before it, so that no reader sees it started in between.
    pub async fn put_connector(
        &self,
        name: &str,
        config: &RawProps,
        initial: Option<TargetState>,
    ) -> Result<(), LogError> {
        let mut writes: Vec<_> = initial
            .map(|target| target_write(name, target))
            .into_iter()
            .collect();
        writes.push(connector_write(name, config));
        self.write(&writes).await
    }

    /// Forgets a connector and its target state.
    pub async fn remove_connector(&self, name: &str) -> Result<(), LogError> {
        self.write(&removal_writes(name)).await
    }

    /// Stores a target state.
    pub async fn put_target(&self, name: &str, target: TargetState) -> Result<(), LogError> {
        self.write(&[target_write(name, target)]).await
    }

    /// Replaces a connector's task set: the tasks first, and once they can be read, the commit. A crash in between changes nothing (I5).
    pub async fn put_tasks(&self, name: &str, tasks: &[RawProps]) -> Result<(), LogError> {
        budgeted(async {
            self.table.read_to_end().await?;
            let writes: Vec<_> = tasks
                .iter()
                .enumerate()
                .map(|(id, config)| task_write(name, id, config))
                .collect();
            if !writes.is_empty() {
                self.table.put(&writes).await?;
                self.table.read_to_end().await?;
            }
            self.table.put(&[commit_write(name, tasks.len())]).await?;
            self.table.read_to_end().await
        })
        .await
    }

    /// Leaves a record of a restart request.
    pub async fn put_restart(&self, name: &str, flags: RestartFlags) -> Result<(), LogError> {
        self.write(&[restart_write(name, flags)]).await
    }

    async fn write(&self, writes: &[TableWrite]) -> Result<(), LogError> {
        budgeted(async {
            self.table.put(writes).await?;
            self.table.read_to_end().await
        })
        .await
    }
}

async fn budgeted(write: impl Future<Output = Result<(), LogError>>) -> Result<(), LogError> {
    match tokio::time::timeout(WRITE_BUDGET, write).await {
        Ok(result) => result,
        Err(_) => Err(LogError::Timeout(format!(
            "the config topic did not take the write within {} s",
            WRITE_BUDGET.as_secs()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, Option<&str>)]) -> RawProps {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned)))
            .collect()
    }

    fn apply(state: &mut ConfigState, write: &TableWrite, offset: i64) -> Option<ConfigChange> {
        let key = std::str::from_utf8(&write.key).expect("text");
        state.apply_record(key, write.value.as_deref(), offset)
    }

    #[test]
    fn records_have_java_s_bytes() {
        let text = |w: TableWrite| {
            format!(
                "{} {}",
                String::from_utf8(w.key).expect("key"),
                w.value
                    .map_or("null".into(), |v| String::from_utf8(v).expect("value"))
            )
        };
        assert_eq!(
            text(connector_write(
                "X",
                &config(&[
                    ("name", Some("X")),
                    ("connector.class", Some("C")),
                    ("k", None)
                ])
            )),
            r#"connector-X {"properties":{"name":"X","connector.class":"C","k":null}}"#
        );
        assert_eq!(
            text(task_write("a-1", 0, &config(&[("task.class", Some("T"))]))),
            r#"task-a-1-0 {"properties":{"task.class":"T"}}"#
        );
        assert_eq!(text(commit_write("X", 2)), r#"commit-X {"tasks":2}"#);
        assert_eq!(
            text(target_write("X", TargetState::Stopped)),
            r#"target-state-X {"state":"PAUSED","state.v2":"STOPPED"}"#
        );
        assert_eq!(
            text(target_write("X", TargetState::Started)),
            r#"target-state-X {"state":"STARTED","state.v2":"STARTED"}"#
        );
        assert_eq!(
            text(restart_write(
                "X",
                RestartFlags {
                    include_tasks: true,
                    only_failed: false
                }
            )),
            r#"restart-connector-X {"include-tasks":true,"only-failed":false}"#
        );
        assert_eq!(
            text(logger_write("o.a", "DEBUG")),
            r#"logger-cluster-o.a {"level":"DEBUG"}"#
        );
        assert_eq!(
            removal_writes("X").map(text),
            ["connector-X null", "target-state-X null"]
        );
    }

    #[test]
    fn tasks_take_effect_at_their_commit_only() {
        let mut state = ConfigState::default();
        let task = config(&[("k", Some("v"))]);
        apply(
            &mut state,
            &connector_write("a-1", &config(&[("name", Some("a-1"))])),
            0,
        );
        apply(&mut state, &task_write("a-1", 0, &task), 1);
        apply(&mut state, &task_write("a-1", 1, &task), 2);
        assert_eq!(
            state
                .connector("a-1")
                .expect("known")
                .runnable_tasks()
                .count(),
            0
        );
        assert_eq!(
            apply(&mut state, &commit_write("a-1", 2), 3),
            Some(ConfigChange::Tasks("a-1".into(), vec![0, 1]))
        );
        assert_eq!(
            state
                .connector("a-1")
                .expect("known")
                .runnable_tasks()
                .count(),
            2
        );
        assert_eq!((state.offset(), state.generation("a-1")), (4, 1));

        apply(&mut state, &task_write("a-1", 1, &task), 4);
        apply(&mut state, &commit_write("a-1", 2), 5);
        let connector = state.connector("a-1").expect("known");
        assert!(
            connector.inconsistent
                && connector.task_count == 2
                && connector.runnable_tasks().count() == 0,
            "id 0 was missing"
        );

        apply(&mut state, &task_write("a-1", 0, &task), 6);
        apply(&mut state, &commit_write("a-1", 1), 7);
        assert_eq!(
            state
                .connector("a-1")
                .expect("known")
                .runnable_tasks()
                .count(),
            1,
            "healed, and the others are invisible"
        );
        apply(&mut state, &commit_write("a-1", 0), 8);
        assert_eq!(
            state
                .connector("a-1")
                .expect("known")
                .runnable_tasks()
                .count(),
            0
        );
    }

    #[test]
    fn a_deleted_connector_starts_anew() {
        let mut state = ConfigState::default();
        apply(&mut state, &target_write("X", TargetState::Stopped), 0);
        assert_eq!(
            apply(&mut state, &connector_write("X", &config(&[])), 1),
            Some(ConfigChange::Connector("X".into()))
        );
        assert_eq!(state.target("X"), TargetState::Stopped);
        assert_eq!(
            apply(&mut state, &target_write("X", TargetState::Stopped), 2),
            None,
            "nothing changed"
        );
        let [connector, target] = removal_writes("X");
        assert_eq!(
            apply(&mut state, &connector, 3),
            Some(ConfigChange::Removed("X".into()))
        );
        assert_eq!(apply(&mut state, &target, 4), None);
        assert_eq!(state.target("X"), TargetState::Started);
        assert_eq!(
            apply(&mut state, &commit_write("X", 1), 5),
            None,
            "of a connector that is gone"
        );
    }

    #[test]
    fn foreign_records_move_the_offset_and_broken_ones_do_not() {
        let mut state = ConfigState::default();
        assert_eq!(state.apply_record("something", Some(b"{}"), 0), None);
        assert_eq!(state.offset(), 1);
        assert_eq!(state.apply_record("connector-X", Some(b"{"), 1), None);
        assert_eq!(state.offset(), 1);
        assert_eq!(
            state.apply_record(
                "session-key",
                Some(br#"{"key":"a","algorithm":"b","creation-timestamp":1}"#),
                2
            ),
            None
        );
        assert_eq!(
            state.apply_record("target-state-X", Some(br#"{"state":"NONSENSE"}"#), 3),
            None
        );
        assert_eq!(
            state.apply_record("connector-X", Some(br#"{"properties":{"a":1}}"#), 4),
            None
        );
        assert_eq!(state.connectors().count(), 0);
        assert_eq!(state.offset(), 5);
        assert_eq!(
            state.apply_record("target-state-X", Some(br#"{"state":"PAUSED"}"#), 5),
            None,
            "an old record, of an unknown connector"
        );
        assert_eq!(state.target("X"), TargetState::Paused);
    }
}
