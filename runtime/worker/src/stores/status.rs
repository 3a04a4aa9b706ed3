//! The status topic: what connectors and tasks do, and which topics they use (Java's `KafkaStatusBackingStore`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLockReadGuard};
use std::time::Duration;

use indexmap::IndexMap;
use millrace_api::plugin::TaskId;
use millrace_log::{LogError, TableRecord, TableWrite};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::java_json::{optional_string, string};
use super::{Backoff, TableState, TableStore};

/// State of a connector or a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Nobody runs it.
    Unassigned,
    /// It runs.
    Running,
    /// It is idle at the user's wish.
    Paused,
    /// It has no tasks at the user's wish (connectors only).
    Stopped,
    /// It failed.
    Failed,
    /// It is being restarted.
    Restarting,
}

impl RunState {
    /// The word in the topic and in REST.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Restarting => "RESTARTING",
        }
    }

    /// The word as metrics show it.
    pub fn metric_name(self) -> &'static str {
        match self {
            Self::Unassigned => "unassigned",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Restarting => "restarting",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [
            Self::Unassigned,
            Self::Running,
            Self::Paused,
            Self::Stopped,
            Self::Failed,
            Self::Restarting,
        ]
        .into_iter()
        .find(|s| s.name() == name)
    }

    /// Written only over one's own status or one that is not newer: a worker that stops late must not hide what its successor does.
    fn is_safe_write(self) -> bool {
        matches!(self, Self::Unassigned | Self::Failed)
    }
}

/// A status as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// State.
    pub state: RunState,
    /// Java-style stack trace of the failure.
    pub trace: Option<String>,
    /// Who wrote it.
    pub worker_id: String,
    /// Group generation at that time; 0 in standalone mode.
    pub generation: i64,
    /// Version of the plugin.
    pub version: Option<String>,
}

/// What a status is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StatusKey {
    /// A connector.
    Connector(String),
    /// A task.
    Task(String, u32),
    /// A topic that a connector uses: (topic, connector).
    Topic(String, String),
}

impl StatusKey {
    /// Key of a task's status.
    pub fn task(id: &TaskId) -> Self {
        Self::Task(id.connector.to_string(), id.task)
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Connector(name) => format!("{CONNECTOR}{name}"),
            Self::Task(name, task) => format!("{TASK}{name}-{task}"),
            Self::Topic(topic, name) => format!("{TOPIC}{topic}{TOPIC_CONNECTOR}{name}"),
        }
        .into_bytes()
    }

    fn parse(key: &str) -> Option<Self> {
        if let Some(rest) = key.strip_prefix(TOPIC) {
            let (topic, connector) = rest.split_once(':')?;
            return Some(Self::Topic(
                topic.to_owned(),
                connector.strip_prefix("connector-")?.to_owned(),
            ));
        }
        if let Some(rest) = key.strip_prefix(TASK) {
            let (name, task) = rest.rsplit_once('-')?;
            return Some(Self::Task(name.to_owned(), task.parse().ok()?));
        }
        key.strip_prefix(CONNECTOR)
            .map(|name| Self::Connector(name.to_owned()))
    }
}

const CONNECTOR: &str = "status-connector-";
const TASK: &str = "status-task-";
const TOPIC: &str = "status-topic-";
const TOPIC_CONNECTOR: &str = ":connector-";

/// All statuses.
#[derive(Debug, Default)]
pub struct StatusState {
    connectors: HashMap<String, Status>,
    tasks: HashMap<String, BTreeMap<u32, Status>>,
    topics: HashMap<String, BTreeMap<String, u32>>,
}

impl StatusState {
    /// Status of a connector.
    pub fn connector(&self, name: &str) -> Option<&Status> {
        self.connectors.get(name)
    }

    /// Names of all connectors with any status.
    pub fn connectors(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .connectors
            .keys()
            .chain(self.tasks.keys())
            .chain(self.topics.keys())
            .cloned()
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Statuses of a connector's tasks, by number.
    pub fn tasks(&self, connector: &str) -> impl Iterator<Item = (u32, &Status)> {
        self.tasks
            .get(connector)
            .into_iter()
            .flatten()
            .map(|(task, status)| (*task, status))
    }

    /// Status of a task.
    pub fn task(&self, connector: &str, task: u32) -> Option<&Status> {
        self.tasks.get(connector)?.get(&task)
    }

    /// Topics of a connector, sorted.
    pub fn topics(&self, connector: &str) -> impl Iterator<Item = &str> {
        self.topics
            .get(connector)
            .into_iter()
            .flatten()
            .map(|(topic, _)| topic.as_str())
    }

    /// Whether the connector's use of this topic is known.
    pub fn has_topic(&self, connector: &str, topic: &str) -> bool {
        self.topics
            .get(connector)
            .is_some_and(|topics| topics.contains_key(topic))
    }

    fn status(&self, key: &StatusKey) -> Option<&Status> {
        match key {
            StatusKey::Connector(name) => self.connector(name),
            StatusKey::Task(name, task) => self.task(name, *task),
            StatusKey::Topic(..) => None,
        }
    }

    /// Whether a status may be written over what is known: the rule for FAILED and UNASSIGNED.
    pub fn may_write(&self, key: &StatusKey, status: &Status) -> bool {
        !status.state.is_safe_write()
            || self.status(key).is_none_or(|known| {
                known.worker_id == status.worker_id || known.generation <= status.generation
            })
    }

    /// Takes one record in. The error says why it was ignored.
    pub fn apply_record(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), String> {
        let parsed = StatusKey::parse(key).ok_or("the key is of no known kind")?;
        let value = match value
            .map(serde_json::from_slice::<Value>)
            .transpose()
            .map_err(|e| format!("the value is no JSON: {e}"))?
        {
            None | Some(Value::Null) => {
                self.forget(&parsed);
                return Ok(());
            }
            Some(value) => value,
        };
        match parsed {
            StatusKey::Topic(topic, connector) => {
                let task = value
                    .get("topic")
                    .and_then(|t| t.get("task")?.as_u64())
                    .and_then(|t| u32::try_from(t).ok())
                    .ok_or("no integer 'topic.task'")?;
                self.topics
                    .entry(connector)
                    .or_default()
                    .insert(topic, task);
            }
            StatusKey::Connector(name) => {
                self.connectors.insert(name, parse_status(&value)?);
            }
            StatusKey::Task(name, task) => {
                let status = parse_status(&value)?;
                let tasks = self.tasks.entry(name).or_default();
                let stale = status.state == RunState::Unassigned
                    && tasks.get(&task).is_some_and(|known| {
                        known.state == RunState::Running
                            && known.generation >= status.generation
                            && known.worker_id != status.worker_id
                    });
                if !stale {
                    tasks.insert(task, status);
                }
            }
        }
        Ok(())
    }

    fn forget(&mut self, key: &StatusKey) {
        match key {
            StatusKey::Connector(name) => {
                self.connectors.remove(name);
                self.tasks.remove(name);
            }
            StatusKey::Task(name, task) => {
                if let Some(tasks) = self.tasks.get_mut(name) {
                    tasks.remove(task);
                }
            }
            StatusKey::Topic(topic, connector) => {
                if let Some(topics) = self.topics.get_mut(connector) {
                    topics.remove(topic);
                }
            }
        }
    }
}

impl TableState for StatusState {
    fn apply(&mut self, record: TableRecord<'_>) {
        let key = record
            .key
            .and_then(|key| std::str::from_utf8(key).ok())
            .ok_or("the key is no text".to_owned());
        if let Err(problem) = key.and_then(|key| self.apply_record(key, record.value)) {
            tracing::error!(
                partition = record.partition,
                offset = record.offset,
                problem,
                "record of the status topic ignored"
            );
        }
    }
}

fn parse_status(value: &Value) -> Result<Status, String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let state = text("state").ok_or("no text 'state'")?;
    Ok(Status {
        state: RunState::from_name(&state).ok_or(format!("no state '{state}'"))?,
        trace: text("trace"),
        worker_id: text("worker_id").ok_or("no text 'worker_id'")?,
        generation: value
            .get("generation")
            .and_then(Value::as_i64)
            .ok_or("no integer 'generation'")?,
        version: text("version"),
    })
}

fn status_json(status: &Status) -> Vec<u8> {
    let mut out = b"{\"state\":".to_vec();
    string(status.state.name(), &mut out);
    out.extend_from_slice(b",\"trace\":");
    optional_string(status.trace.as_deref(), &mut out);
    out.extend_from_slice(b",\"worker_id\":");
    string(&status.worker_id, &mut out);
    out.extend_from_slice(format!(",\"generation\":{},\"version\":", status.generation).as_bytes());
    optional_string(status.version.as_deref(), &mut out);
    out.push(b'}');
    out
}

fn topic_json(topic: &str, connector: &str, task: u32, discovered: i64) -> Vec<u8> {
    let mut out = b"{\"topic\":{\"name\":".to_vec();
    string(topic, &mut out);
    out.extend_from_slice(b",\"connector\":");
    string(connector, &mut out);
    out.extend_from_slice(
        format!(",\"task\":{task},\"discoverTimestamp\":{discovered}}}}}").as_bytes(),
    );
    out
}

/// A write that waits: `None` deletes.
#[derive(Debug)]
enum Pending {
    Status(Status),
    Delete,
    Topic { task: u32, discovered: i64 },
}

#[derive(Debug, Default)]
struct Queue {
    /// The newest write per key, in the order in which the keys were first written: bounded by what exists, however long the log is away.
    waiting: IndexMap<StatusKey, Pending>,
    /// Writes that were taken out but are not visible yet.
    in_flight: bool,
}

/// The status topic. Writing never waits: a writer of its own sends what is new, tries again when the log is away, and reads it back.
#[derive(Debug)]
pub struct StatusStore {
    table: TableStore<StatusState>,
    queue: Mutex<Queue>,
    changed: Notify,
    idle: Notify,
}

impl StatusStore {
    /// Over a topic that has been read; writes until `cancel`.
    pub fn start(table: TableStore<StatusState>, cancel: CancellationToken) -> Arc<Self> {
        let store = Arc::new(Self {
            table,
            queue: Mutex::default(),
            changed: Notify::new(),
            idle: Notify::new(),
        });
        tokio::spawn(write_loop(Arc::clone(&store), cancel));
        store
    }

    /// The state as far as it has been read.
    pub fn state(&self) -> RwLockReadGuard<'_, StatusState> {
        self.table.state()
    }

    /// Writes a status, soon.
    pub fn put(&self, key: StatusKey, status: Status) {
        self.enqueue(key, Pending::Status(status));
    }

    /// Deletes a status, soon.
    pub fn delete(&self, key: StatusKey) {
        self.enqueue(key, Pending::Delete);
    }

    /// Notes that a connector uses a topic, unless that is known.
    pub fn put_topic(&self, topic: &str, task: &TaskId, discovered: i64) {
        if !self.state().has_topic(&task.connector, topic) {
            self.enqueue(
                StatusKey::Topic(topic.to_owned(), task.connector.to_string()),
                Pending::Topic {
                    task: task.task,
                    discovered,
                },
            );
        }
    }

    /// Forgets the topics of a connector.
    pub fn delete_topics(&self, connector: &str) {
        let topics: Vec<String> = self.state().topics(connector).map(str::to_owned).collect();
        for topic in topics {
            self.delete(StatusKey::Topic(topic, connector.to_owned()));
        }
    }

    /// Waits until everything written before is visible, at most `timeout`; whether it is.
    pub async fn flush(&self, timeout: Duration) -> bool {
        let settled = async {
            loop {
                let idle = self.idle.notified();
                tokio::pin!(idle);
                idle.as_mut().enable();
                if self.is_idle() {
                    return;
                }
                idle.await;
            }
        };
        tokio::time::timeout(timeout, settled).await.is_ok()
    }

    fn is_idle(&self) -> bool {
        let queue = self.lock();
        queue.waiting.is_empty() && !queue.in_flight
    }

    fn enqueue(&self, key: StatusKey, pending: Pending) {
        self.lock().waiting.insert(key, pending);
        self.changed.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what waits; the writes that the rules allow.
    fn take(&self) -> (IndexMap<StatusKey, Pending>, Vec<TableWrite>) {
        let taken = {
            let mut queue = self.lock();
            queue.in_flight = !queue.waiting.is_empty();
            std::mem::take(&mut queue.waiting)
        };
        let state = self.state();
        let writes = taken
            .iter()
            .filter_map(|(key, pending)| write(&state, key, pending))
            .collect();
        (taken, writes)
    }

    /// Puts back what could not be written, unless there is something newer.
    fn put_back(&self, taken: IndexMap<StatusKey, Pending>) {
        let mut queue = self.lock();
        let newer = std::mem::replace(&mut queue.waiting, taken);
        queue.waiting.extend(newer);
        queue.in_flight = false;
    }

    fn settle(&self) {
        self.lock().in_flight = false;
        self.idle.notify_waiters();
    }
}

fn write(state: &StatusState, key: &StatusKey, pending: &Pending) -> Option<TableWrite> {
    let value = match (pending, key) {
        (Pending::Delete, _) => None,
        (Pending::Status(status), _) => {
            if !state.may_write(key, status) {
                tracing::debug!(
                    ?key,
                    state = status.state.name(),
                    "a newer status is there; not written"
                );
                return None;
            }
            Some(status_json(status))
        }
        (Pending::Topic { task, discovered }, StatusKey::Topic(topic, connector)) => {
            Some(topic_json(topic, connector, *task, *discovered))
        }
        (Pending::Topic { .. }, _) => return None,
    };
    Some(TableWrite {
        key: key.bytes(),
        value,
    })
}

async fn write_loop(store: Arc<StatusStore>, cancel: CancellationToken) {
    let mut pause = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    loop {
        let (taken, writes) = store.take();
        if taken.is_empty() {
            store.settle();
            tokio::select! {
                () = cancel.cancelled() => return,
                () = store.changed.notified() => continue,
            }
        }
        let written = match store.table.put(&writes).await {
            Ok(()) => store.table.read_to_end().await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => pause.reset(),
            Err(LogError::Closed) => {
                store.settle();
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot write statuses; trying again");
                store.put_back(taken);
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep(pause.next_pause()) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: RunState, worker: &str, generation: i64) -> Status {
        Status {
            state,
            trace: None,
            worker_id: worker.to_owned(),
            generation,
            version: Some("4.3.1".to_owned()),
        }
    }

    fn apply(state: &mut StatusState, key: &StatusKey, status: &Status) {
        let key = String::from_utf8(key.bytes()).expect("text");
        state
            .apply_record(&key, Some(&status_json(status)))
            .expect("applied");
    }

    #[test]
    fn records_have_java_s_bytes() {
        let failed = Status {
            trace: Some("a\n\tb".into()),
            version: None,
            ..status(RunState::Failed, "host:8083", 5)
        };
        assert_eq!(
            String::from_utf8(status_json(&failed)).expect("text"),
            r#"{"state":"FAILED","trace":"a\n\tb","worker_id":"host:8083","generation":5,"version":null}"#
        );
        assert_eq!(
            String::from_utf8(topic_json("t", "X", 0, 1_700_000_000_000)).expect("text"),
            r#"{"topic":{"name":"t","connector":"X","task":0,"discoverTimestamp":1700000000000}}"#
        );
        let keys = [
            StatusKey::Connector("X".into()),
            StatusKey::Task("X-1".into(), 2),
            StatusKey::Topic("t".into(), "a:b".into()),
        ];
        let texts = keys
            .each_ref()
            .map(|k| String::from_utf8(k.bytes()).expect("text"));
        assert_eq!(
            texts,
            [
                "status-connector-X",
                "status-task-X-1-2",
                "status-topic-t:connector-a:b"
            ]
        );
        assert_eq!(texts.map(|t| StatusKey::parse(&t).expect("parses")), keys);
    }

    #[test]
    fn a_late_unassigned_does_not_hide_a_running_successor() {
        let mut state = StatusState::default();
        let key = StatusKey::Task("X".into(), 0);
        apply(&mut state, &key, &status(RunState::Running, "new:1", 3));
        apply(&mut state, &key, &status(RunState::Unassigned, "old:1", 2));
        assert_eq!(state.task("X", 0).map(|s| s.state), Some(RunState::Running));
        assert!(!state.may_write(&key, &status(RunState::Failed, "old:1", 2)));
        assert!(
            state.may_write(&key, &status(RunState::Failed, "new:1", 2)),
            "its own"
        );
        assert!(
            state.may_write(&key, &status(RunState::Unassigned, "old:1", 3)),
            "not older"
        );
        assert!(
            state.may_write(&key, &status(RunState::Running, "old:1", 1)),
            "never held back"
        );
        apply(&mut state, &key, &status(RunState::Unassigned, "new:1", 3));
        assert_eq!(
            state.task("X", 0).map(|s| s.state),
            Some(RunState::Unassigned),
            "its own clean stop counts"
        );
    }

    #[test]
    fn deleting_a_connector_s_status_takes_its_tasks_along() {
        let mut state = StatusState::default();
        apply(
            &mut state,
            &StatusKey::Connector("X".into()),
            &status(RunState::Running, "w", 0),
        );
        apply(
            &mut state,
            &StatusKey::Task("X".into(), 0),
            &status(RunState::Running, "w", 0),
        );
        state
            .apply_record("status-connector-X", None)
            .expect("applied");
        assert_eq!((state.connector("X"), state.tasks("X").count()), (None, 0));
    }

    #[test]
    fn statuses_of_older_workers_have_no_version() {
        let mut state = StatusState::default();
        state
            .apply_record(
                "status-connector-X",
                Some(br#"{"state":"RUNNING","trace":null,"worker_id":"w","generation":5}"#),
            )
            .expect("applied");
        assert_eq!(state.connector("X").and_then(|s| s.version.clone()), None);
        for value in [
            "{}",
            r#"{"state":"ODD","worker_id":"w","generation":1}"#,
            r#"{"state":"RUNNING","worker_id":"w","generation":"1"}"#,
        ] {
            assert!(
                state
                    .apply_record("status-connector-Y", Some(value.as_bytes()))
                    .is_err(),
                "{value}"
            );
        }
    }
}
