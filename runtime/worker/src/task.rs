//! What every task runner is given, whichever kind of task it runs.

use std::sync::Arc;

use millrace_api::plugin::{Clock, TaskId};
use millrace_log::Log;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::herder::TargetState;
use crate::metrics::TaskMeter;
use crate::stores::offset::OffsetStore;
use crate::stores::status::{RunState, Status, StatusKey, StatusStore};
use crate::worker_config::WorkerConfig;

/// Surroundings of one task.
#[derive(Debug, Clone)]
pub struct TaskEnv {
    /// Which task.
    pub id: TaskId,
    /// Where records go or come from.
    pub log: Arc<dyn Log>,
    /// Source offsets.
    pub offsets: Arc<OffsetStore>,
    /// Statuses of this task.
    pub status: TaskStatus,
    /// Metrics of this task.
    pub meter: Arc<TaskMeter>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the task shall stop.
    pub cancel: CancellationToken,
    /// What the user wants.
    pub target: watch::Receiver<TargetState>,
    /// The worker's keys.
    pub worker: Arc<WorkerConfig>,
}

impl TaskEnv {
    /// Whether the user wants the task idle.
    pub(crate) fn paused(&self) -> bool {
        *self.target.borrow() != TargetState::Started
    }

    /// Waits until the task shall run; `false`: it shall stop.
    pub(crate) async fn until_started(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => false,
            // An error means that the herder is gone, which cancels too.
            started = self.target.wait_for(|target| *target == TargetState::Started) => started.is_ok(),
        }
    }
}

/// Resolves when the user wants something else; never once nobody can say so any more.
pub(crate) async fn target_changed(target: &mut watch::Receiver<TargetState>) {
    if target.changed().await.is_err() {
        std::future::pending().await
    }
}

/// Writes statuses of one task.
#[derive(Debug, Clone)]
pub struct TaskStatus {
    store: Arc<StatusStore>,
    id: TaskId,
    worker_id: Arc<str>,
    version: Arc<str>,
    meter: Arc<TaskMeter>,
    clock: Arc<dyn Clock>,
    track_topics: bool,
}

impl TaskStatus {
    /// For one task of this worker; `version` is the plugin's.
    pub fn new(
        store: Arc<StatusStore>,
        id: TaskId,
        worker_id: Arc<str>,
        version: &str,
        meter: Arc<TaskMeter>,
        clock: Arc<dyn Clock>,
        track_topics: bool,
    ) -> Self {
        Self {
            store,
            id,
            worker_id,
            version: version.into(),
            meter,
            clock,
            track_topics,
        }
    }

    /// The task is in this state now.
    pub fn set(&self, state: RunState, trace: Option<String>) {
        self.meter.set_state(state);
        let status = Status {
            state,
            trace,
            worker_id: self.worker_id.to_string(),
            generation: 0,
            version: Some(self.version.to_string()),
        };
        self.store.put(StatusKey::task(&self.id), status);
    }

    /// The task has used this topic. Call it once per topic, not per record.
    pub fn topic(&self, topic: &str) {
        if self.track_topics {
            self.store
                .put_topic(topic, &self.id, self.clock.now_millis());
        }
    }
}
