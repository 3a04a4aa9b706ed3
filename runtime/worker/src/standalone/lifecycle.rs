//! Connectors and tasks: starting, stopping, pausing, and what their statuses say meanwhile.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use millrace_api::config::connector::{PluginDefaults, sink_connector_def, source_connector_def};
use millrace_api::config::{Props, RawProps, UnknownKey, unknown_keys};
use millrace_api::plugin::{
    ConnectorContext, ErrorKind, SinkConnector, SourceConnector, TaskError, TaskId,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::connector_config::ConnectorKeys;
use crate::herder::{ConnectorType, HerderError, TargetState};
use crate::metrics::ConnectorFacts;
use crate::plugins::ConnectorPlugin;
use crate::sink::SinkRunner;
use crate::source::SourceRunner;
use crate::stores::offset::ConnectorOffsetReader;
use crate::stores::status::{RunState, Status, StatusKey};
use crate::task::{TaskEnv, TaskStatus};

/// What this worker runs of one connector.
#[derive(Default)]
pub(super) struct Running {
    connector: Option<Live>,
    tasks: BTreeMap<u32, TaskHandle>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({} tasks)", self.tasks.len())
    }
}

/// A connector object: one that could be constructed.
struct Live {
    object: Object,
    plugin: ConnectorPlugin,
    started: bool,
    failed: bool,
    cancel: CancellationToken,
}

enum Object {
    Source(Box<dyn SourceConnector>),
    Sink(Box<dyn SinkConnector>),
}

impl Object {
    async fn start(&mut self, context: ConnectorContext, props: &Props) -> Result<(), TaskError> {
        match self {
            Self::Source(connector) => guarded(connector.start(context, props)).await,
            Self::Sink(connector) => guarded(connector.start(context, props)).await,
        }
    }

    async fn task_configs(&mut self, max: u32) -> Result<Vec<Props>, TaskError> {
        match self {
            Self::Source(connector) => guarded(connector.task_configs(max)).await,
            Self::Sink(connector) => guarded(connector.task_configs(max)).await,
        }
    }

    async fn stop(&mut self) -> Result<(), TaskError> {
        match self {
            Self::Source(connector) => guarded(connector.stop()).await,
            Self::Sink(connector) => guarded(connector.stop()).await,
        }
    }
}

struct TaskHandle {
    cancel: CancellationToken,
    target: watch::Sender<TargetState>,
    join: JoinHandle<()>,
}

/// Runs plugin code; a panic in it is an error like any other.
async fn guarded<T>(call: impl Future<Output = Result<T, TaskError>>) -> Result<T, TaskError> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            let message = format!(
                "The plugin panicked: {}",
                text.unwrap_or_else(|| "no message".to_owned())
            );
            Err(TaskError::fatal("plugin.panic", message).with_java_class("java.lang.Error"))
        }
    }
}

/// Beginnings of connector keys that transforms, converters, clients and database drivers read.
const READ_BY_OTHERS: &[&str] = &[
    "transforms.",
    "predicates.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "topic.creation.",
    "producer.override.",
    "consumer.override.",
    "admin.override.",
    "connection.",
    "snapshot.select.statement.overrides.",
];

/// First and longest pause before a connector is asked for its tasks again.
const RECONFIGURE_PAUSE: (Duration, Duration) =
    (Duration::from_millis(250), Duration::from_secs(60));

impl Shared {
    /// A connector's configuration without the keys that have no value.
    pub(super) fn props(&self, name: &str) -> Option<Props> {
        self.configs
            .state()
            .connector(name)
            .map(|connector| Props::from_raw(&connector.config))
    }

    /// Writes a connector's status.
    fn set_connector_state(
        &self,
        name: &str,
        plugin: Option<&ConnectorPlugin>,
        state: RunState,
        trace: Option<String>,
    ) {
        let version = plugin.map(|plugin| plugin.info().version.to_owned());
        if let Some(plugin) = plugin {
            let facts = ConnectorFacts {
                class: plugin.info().class.to_owned(),
                version: plugin.info().version.to_owned(),
                kind: plugin.kind(),
                state,
            };
            self.metrics.connector(name, facts);
        }
        let status = Status {
            state,
            trace,
            worker_id: self.worker_id.to_string(),
            generation: 0,
            version,
        };
        self.statuses
            .put(StatusKey::Connector(name.to_owned()), status);
    }

    /// Makes the connector object of the stored configuration and brings it to its target state.
    pub(super) async fn start_connector(
        self: &Arc<Self>,
        name: &str,
        running: &mut Running,
    ) -> Result<(), TaskError> {
        running.connector = None;
        let class = self
            .props(name)
            .and_then(|props| {
                props
                    .get("connector.class")
                    .map(|class| class.trim().to_owned())
            })
            .unwrap_or_default();
        let plugin = match self.plugins.connector(&class) {
            Ok(plugin) => plugin,
            Err(error) => {
                let error = TaskError::fatal("connector.class", error.message);
                self.set_connector_state(name, None, RunState::Failed, Some(error.trace()));
                self.metrics.connector_started(false);
                return Err(error);
            }
        };
        let object = match &plugin {
            ConnectorPlugin::Source(plugin) => Object::Source(plugin.connector()),
            ConnectorPlugin::Sink(plugin) => Object::Sink(plugin.connector()),
        };
        for unknown in self.unknown_keys(name, &plugin) {
            tracing::warn!(connector = name, "{unknown}");
        }
        running.connector = Some(Live {
            object,
            plugin,
            started: false,
            failed: false,
            cancel: self.cancel.child_token(),
        });
        let result = self.transition(name, running).await;
        self.metrics.connector_started(result.is_ok());
        result
    }

    /// Keys of the stored configuration that neither the worker nor the plugin reads.
    fn unknown_keys(&self, name: &str, plugin: &ConnectorPlugin) -> Vec<UnknownKey> {
        let props = self.props(name).unwrap_or_default();
        let defaults = PluginDefaults::default();
        let (own, framework) = match plugin {
            ConnectorPlugin::Source(plugin) => (plugin.config(), source_connector_def(&defaults)),
            ConnectorPlugin::Sink(plugin) => (plugin.config(), sink_connector_def(&defaults)),
        };
        unknown_keys(&[&own, &framework], READ_BY_OTHERS, &props)
    }

    /// Brings a connector object to its target state. One that has failed takes part in nothing but a stop.
    pub(super) async fn transition(
        self: &Arc<Self>,
        name: &str,
        running: &mut Running,
    ) -> Result<(), TaskError> {
        let target = self.configs.state().target(name);
        let Some(live) = &mut running.connector else {
            return Ok(());
        };
        if live.failed && target != TargetState::Stopped {
            tracing::warn!(
                connector = name,
                "Cannot transition connector to {} since it has failed",
                target.stored_name()
            );
            return Ok(());
        }
        let (state, result) = match target {
            TargetState::Started if live.started => (RunState::Running, Ok(())),
            TargetState::Started => {
                let context = ConnectorContext {
                    name: name.into(),
                    offsets: Arc::new(ConnectorOffsetReader::new(
                        Arc::clone(&self.offsets),
                        name.into(),
                    )),
                    cancel: live.cancel.clone(),
                };
                let props = self.props(name).unwrap_or_default();
                let result = live.object.start(context, &props).await;
                live.started = result.is_ok();
                (RunState::Running, result)
            }
            TargetState::Paused | TargetState::Stopped => {
                let stopped = if std::mem::take(&mut live.started) {
                    live.object.stop().await
                } else {
                    Ok(())
                };
                match (target, stopped) {
                    (TargetState::Paused, result) => (RunState::Paused, result),
                    (_, result) => {
                        if let Err(error) = result {
                            tracing::warn!(connector = name, %error, "the connector failed to stop cleanly");
                        }
                        (RunState::Stopped, Ok(()))
                    }
                }
            }
        };
        match &result {
            Ok(()) => {
                let plugin = live.plugin.clone();
                self.set_connector_state(name, Some(&plugin), state, None);
            }
            Err(error) => self.connector_failed(name, live, error),
        }
        result
    }

    fn connector_failed(&self, name: &str, live: &mut Live, error: &TaskError) {
        live.failed = true;
        tracing::error!(connector = name, code = error.code, %error, "the connector failed");
        self.set_connector_state(
            name,
            Some(&live.plugin),
            RunState::Failed,
            Some(error.trace()),
        );
    }

    /// Stops the connector object for good.
    pub(super) async fn stop_connector(&self, name: &str, running: &mut Running) {
        let Some(mut live) = running.connector.take() else {
            return;
        };
        live.cancel.cancel();
        let stopped = if live.started {
            live.object.stop().await
        } else {
            Ok(())
        };
        match stopped {
            Ok(()) if live.failed => {}
            Ok(()) => {
                self.set_connector_state(name, Some(&live.plugin), RunState::Unassigned, None)
            }
            Err(error) => self.set_connector_state(
                name,
                Some(&live.plugin),
                RunState::Failed,
                Some(error.trace()),
            ),
        }
        self.metrics.remove_connector(name);
    }

    /// Marks the connector as being restarted.
    pub(super) fn restarting(&self, name: &str, running: &Running) {
        let plugin = running.connector.as_ref().map(|live| &live.plugin);
        self.set_connector_state(name, plugin, RunState::Restarting, None);
    }

    /// Asks a running connector for its tasks, and if they or its configuration have changed stores the set and starts it in place of the old one.
    pub(super) async fn reconfigure(
        self: &Arc<Self>,
        name: &str,
        running: &mut Running,
    ) -> Result<(), TaskError> {
        self.reconfigure_after(name, running, RECONFIGURE_PAUSE.0)
            .await
    }

    async fn reconfigure_after(
        self: &Arc<Self>,
        name: &str,
        running: &mut Running,
        next_pause: Duration,
    ) -> Result<(), TaskError> {
        if self.configs.state().target(name) != TargetState::Started {
            return Ok(());
        }
        let Some(live) = running
            .connector
            .as_mut()
            .filter(|live| live.started && !live.failed)
        else {
            return Ok(());
        };
        let Some(props) = self.props(name) else {
            return Ok(());
        };
        let tasks = match self.generate(name, live, &props).await {
            Ok(tasks) => tasks,
            Err(error) if error.kind == ErrorKind::Retriable => {
                tracing::warn!(connector = name, %error, "the connector cannot say its tasks; asking again in {} ms", next_pause.as_millis());
                self.reconfigure_later(name, next_pause);
                return Ok(());
            }
            Err(error) => {
                self.connector_failed(name, live, &error);
                return Err(error);
            }
        };
        let changed = {
            let state = self.configs.state();
            let stored = state.connector(name);
            stored.is_none_or(|stored| {
                let present: Vec<_> = stored.runnable_tasks().map(|(_, config)| config).collect();
                stored.inconsistent
                    || present.len() != tasks.len()
                    || present.iter().zip(&tasks).any(|(a, b)| *a != b)
                    || stored.applied_config.as_ref() != Some(&stored.config)
            })
        };
        if changed {
            self.configs
                .put_tasks(name, &tasks)
                .await
                .map_err(|error| {
                    TaskError::fatal(
                        "connector.tasks",
                        format!("Error writing task configurations of {name} to the config topic"),
                    )
                    .with_source(error)
                })?;
            let deadline = Instant::now() + self.config.shutdown_timeout;
            self.stop_tasks(name, running, deadline).await;
            self.forget_task_statuses(name, tasks.len() as u32);
        }
        self.start_stored_tasks(name, running).await;
        Ok(())
    }

    fn reconfigure_later(self: &Arc<Self>, name: &str, pause: Duration) {
        let (shared, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            tokio::select! {
                () = shared.cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let running = shared.running(&name);
            let mut running = running.lock().await;
            let next = (pause * 2).min(RECONFIGURE_PAUSE.1);
            // Its failure is in the connector's status.
            let _ = Box::pin(shared.reconfigure_after(&name, &mut running, next)).await;
        });
    }

    async fn generate(
        &self,
        name: &str,
        live: &mut Live,
        props: &Props,
    ) -> Result<Vec<RawProps>, TaskError> {
        let keys = ConnectorKeys::read(props)?;
        let mut tasks = live.object.task_configs(keys.tasks_max as u32).await?;
        check_count(name, tasks.len(), &keys)?;
        for task in &mut tasks {
            task.insert("task.class", live.plugin.task_class());
            for key in ["topics", "topics.regex"] {
                if let Some(value) = props.get(key) {
                    task.insert(key, value);
                }
            }
        }
        Ok(tasks.iter().map(Props::to_raw).collect())
    }

    /// Starts the tasks of the stored set that are not there yet.
    pub(super) async fn start_stored_tasks(self: &Arc<Self>, name: &str, running: &mut Running) {
        let (target, tasks): (_, Vec<(u32, RawProps)>) = {
            let state = self.configs.state();
            let tasks = state.connector(name).map(|c| {
                c.runnable_tasks()
                    .map(|(id, config)| (id, config.clone()))
                    .collect()
            });
            (state.target(name), tasks.unwrap_or_default())
        };
        if target == TargetState::Stopped {
            return;
        }
        for (task, config) in tasks {
            if !running.tasks.contains_key(&task) {
                // Its failure is in its status.
                let _ = self.start_task(name, task, &config, running);
            }
        }
    }

    /// Starts one task; one that cannot even be constructed is FAILED.
    pub(super) fn start_task(
        self: &Arc<Self>,
        name: &str,
        task: u32,
        config: &RawProps,
        running: &mut Running,
    ) -> Result<(), TaskError> {
        let id = TaskId {
            connector: name.into(),
            task,
        };
        let Some(props) = self.props(name) else {
            return Err(TaskError::fatal(
                "connector.unknown",
                format!("Connector {name} not found"),
            ));
        };
        let class = props.get("connector.class").unwrap_or_default().trim();
        let plugin = self.plugins.connector(class);
        let kind = plugin
            .as_ref()
            .map_or(ConnectorType::Unknown, ConnectorPlugin::kind);
        let version = plugin.as_ref().map_or("", |plugin| plugin.info().version);
        let meter = self.metrics.task(&id, kind);
        let status = TaskStatus::new(
            Arc::clone(&self.statuses),
            id.clone(),
            Arc::clone(&self.worker_id),
            version,
            Arc::clone(&meter),
            Arc::clone(&self.clock),
            self.config.topic_tracking,
        );
        let (target, receiver) = watch::channel(self.configs.state().target(name));
        let cancel = self.cancel.child_token();
        let env = TaskEnv {
            id: id.clone(),
            log: Arc::clone(&self.log),
            offsets: Arc::clone(&self.offsets),
            status: status.clone(),
            meter,
            clock: Arc::clone(&self.clock),
            cancel: cancel.clone(),
            target: receiver,
            worker: Arc::clone(&self.config),
        };
        let stored = self
            .configs
            .state()
            .connector(name)
            .map_or(0, |connector| connector.task_count as usize);
        let made = plugin
            .map_err(|error| TaskError::fatal("connector.class", error.message))
            .and_then(|plugin| {
                check_count(name, stored, &ConnectorKeys::read(&props)?)?;
                make(env, plugin, &self.plugins, &props, Props::from_raw(config))
            });
        self.metrics.task_started(made.is_ok());
        let run = match made {
            Ok(run) => run,
            Err(error) => {
                tracing::error!(task = %id, code = error.code, %error, "the task cannot be started");
                status.set(RunState::Failed, Some(error.trace()));
                return Err(error);
            }
        };
        let stopping = cancel.clone();
        let join = tokio::spawn(async move {
            match guarded(run).await {
                Ok(()) => status.set(RunState::Unassigned, None),
                Err(error) if stopping.is_cancelled() => {
                    tracing::warn!(task = %id, code = error.code, %error, "the task failed while it was being stopped");
                    status.set(RunState::Unassigned, None);
                }
                Err(error) => {
                    tracing::error!(task = %id, code = error.code, trace = error.trace(), "the task failed");
                    status.set(RunState::Failed, Some(error.trace()));
                }
            }
        });
        running.tasks.insert(
            task,
            TaskHandle {
                cancel,
                target,
                join,
            },
        );
        Ok(())
    }

    /// Stops all tasks of a connector: all are signalled, then awaited until `deadline`; those that need longer are abandoned.
    pub(super) async fn stop_tasks(&self, name: &str, running: &mut Running, deadline: Instant) {
        let tasks = std::mem::take(&mut running.tasks);
        self.await_stopped(name, tasks, deadline).await;
    }

    /// Stops some tasks.
    pub(super) async fn stop_some(&self, name: &str, ids: &[u32], running: &mut Running) {
        let deadline = Instant::now() + self.config.shutdown_timeout;
        let tasks = ids
            .iter()
            .filter_map(|id| Some((*id, running.tasks.remove(id)?)))
            .collect();
        self.await_stopped(name, tasks, deadline).await;
    }

    async fn await_stopped(&self, name: &str, tasks: BTreeMap<u32, TaskHandle>, deadline: Instant) {
        for handle in tasks.values() {
            handle.cancel.cancel();
        }
        for (task, mut handle) in tasks {
            if tokio::time::timeout_at(deadline, &mut handle.join)
                .await
                .is_err()
            {
                tracing::error!("Graceful stop of task {name}-{task} failed.");
                // Dropped at its next await; from now on it writes no status.
                handle.join.abort();
            }
            self.metrics.remove_task(&TaskId {
                connector: name.into(),
                task,
            });
        }
    }

    /// Tells the tasks what the user wants.
    pub(super) fn set_task_targets(&self, target: TargetState, running: &Running) {
        for handle in running.tasks.values() {
            handle.target.send_replace(target);
        }
    }

    /// Deletes statuses of tasks from number `from` on.
    pub(super) fn forget_task_statuses(&self, name: &str, from: u32) {
        let gone: Vec<u32> = self
            .statuses
            .state()
            .tasks(name)
            .map(|(task, _)| task)
            .filter(|task| *task >= from)
            .collect();
        for task in gone {
            self.statuses.delete(StatusKey::Task(name.to_owned(), task));
        }
    }

    /// Deletes what the status topic says of connectors and tasks that are gone: a crash may have kept it from being deleted.
    pub(super) fn forget_statuses_of_the_gone(&self) {
        for name in self.statuses.state().connectors() {
            let tasks = self
                .configs
                .state()
                .connector(&name)
                .map(|connector| connector.task_count);
            match tasks {
                Some(count) => self.forget_task_statuses(&name, count),
                None => self.forget_statuses(&name),
            }
        }
    }

    /// Deletes all statuses of a connector.
    pub(super) fn forget_statuses(&self, name: &str) {
        self.forget_task_statuses(name, 0);
        self.statuses.delete_topics(name);
        self.statuses.delete(StatusKey::Connector(name.to_owned()));
    }

    /// Refuses what the worker can do no more.
    pub(super) fn ensure_running(&self) -> Result<(), HerderError> {
        if self.stopping.load(std::sync::atomic::Ordering::Acquire) {
            return Err(HerderError::internal("The worker is shutting down"));
        }
        Ok(())
    }
}

fn check_count(name: &str, count: usize, keys: &ConnectorKeys) -> Result<(), TaskError> {
    let max = keys.tasks_max as usize;
    if count <= max {
        return Ok(());
    }
    let problem = format!(
        "The connector {name} has generated {count} tasks, which is greater than {max}, the maximum number of tasks it is configured to create. "
    );
    if keys.tasks_max_enforce {
        return Err(TaskError::fatal(
            "connector.too-many-tasks",
            problem
                + "This behaviour should be considered a bug and is disallowed. If necessary, it can be permitted by reconfiguring the connector with 'tasks.max.enforce' set to false; however, this option will be removed in a future release of Kafka Connect.",
        ));
    }
    tracing::warn!("{problem}");
    Ok(())
}

type Run = std::pin::Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send>>;

fn make(
    env: TaskEnv,
    plugin: ConnectorPlugin,
    plugins: &crate::plugins::PluginRegistry,
    connector: &Props,
    task: Props,
) -> Result<Run, TaskError> {
    Ok(match plugin {
        ConnectorPlugin::Source(plugin) => {
            Box::pin(SourceRunner::new(env, plugin.task(), plugins, connector, task)?.run())
        }
        ConnectorPlugin::Sink(plugin) => {
            Box::pin(SinkRunner::new(env, plugin.task(), plugins, connector, task)?.run())
        }
    })
}
