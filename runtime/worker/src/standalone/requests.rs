//! Changes: what creating, changing, pausing, restarting and deleting a connector does.

use std::sync::Arc;

use millrace_api::config::RawProps;
use millrace_api::plugin::TaskError;
use millrace_log::LogError;
use tokio::time::Instant;

use super::Shared;
use super::lifecycle::Running;
use crate::herder::{
    ConnectorInfo, ConnectorStateInfo, HerderError, PutConfig, RestartFlags, TargetState,
    reconcile_name,
};
use crate::stores::status::{RunState, Status, StatusKey};

/// How long a request waits for the statuses that it causes to become visible. They do so in any case.
const STATUS_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

impl Shared {
    pub(super) fn exists(&self, name: &str) -> bool {
        self.configs.state().connector(name).is_some()
    }

    pub(super) async fn create(
        self: Arc<Self>,
        name: String,
        mut config: RawProps,
        initial: TargetState,
    ) -> Result<ConnectorInfo, HerderError> {
        self.ensure_running()?;
        let name = name.trim().to_owned();
        reconcile_name(&name, &mut config)?;
        self.require_valid(&config).await?;
        let running = self.running(&name);
        let mut running = running.lock().await;
        if self.exists(&name) {
            return Err(HerderError::already_exists(&name));
        }
        let initial = (initial != TargetState::Started).then_some(initial);
        self.configs
            .put_connector(&name, &config, initial)
            .await
            .map_err(|error| write_failed(&name, &error))?;
        self.start_anew(&name, &mut running).await?;
        self.info(&name)
    }

    pub(super) async fn put(
        self: Arc<Self>,
        name: String,
        mut config: RawProps,
    ) -> Result<PutConfig, HerderError> {
        self.ensure_running()?;
        reconcile_name(&name, &mut config)?;
        self.require_valid(&config).await?;
        let running = self.running(&name);
        let mut running = running.lock().await;
        let created = !self.exists(&name);
        self.configs
            .put_connector(&name, &config, None)
            .await
            .map_err(|error| write_failed(&name, &error))?;
        self.start_anew(&name, &mut running).await?;
        Ok(PutConfig {
            created,
            info: self.info(&name)?,
        })
    }

    pub(super) async fn patch(
        self: Arc<Self>,
        name: String,
        patch: RawProps,
    ) -> Result<ConnectorInfo, HerderError> {
        self.ensure_running()?;
        let running = self.running(&name);
        let mut running = running.lock().await;
        let mut config = self
            .configs
            .state()
            .connector(&name)
            .map(|c| c.config.clone())
            .ok_or_else(|| HerderError::connector_not_found(&name))?;
        for (key, value) in patch {
            match value {
                Some(value) => config.insert(key, Some(value)),
                None => config.shift_remove(&key),
            };
        }
        self.require_valid(&config).await?;
        self.configs
            .put_connector(&name, &config, None)
            .await
            .map_err(|error| write_failed(&name, &error))?;
        self.start_anew(&name, &mut running).await?;
        self.info(&name)
    }

    /// Starts the connector by what is stored now, in place of the one that runs, and its tasks.
    async fn start_anew(
        self: &Arc<Self>,
        name: &str,
        running: &mut Running,
    ) -> Result<(), HerderError> {
        self.stop_connector(name, running).await;
        let started = match self.start_connector(name, running).await {
            Ok(()) => self.reconfigure(name, running).await,
            Err(error) => Err(error),
        };
        self.statuses.flush(STATUS_WAIT).await;
        started.map_err(|error: TaskError| HerderError::internal(error.message))
    }

    pub(super) async fn delete(self: Arc<Self>, name: String) -> Result<(), HerderError> {
        let running = self.running(&name);
        let mut running = running.lock().await;
        if !self.exists(&name) {
            return Err(HerderError::connector_not_found(&name));
        }
        // First from the log: after a crash in between, it does not come back.
        self.configs
            .remove_connector(&name)
            .await
            .map_err(|error| write_failed(&name, &error))?;
        self.stop_tasks(
            &name,
            &mut running,
            Instant::now() + self.config.shutdown_timeout,
        )
        .await;
        self.stop_connector(&name, &mut running).await;
        self.statuses.flush(STATUS_WAIT).await;
        self.forget_statuses(&name);
        self.statuses.flush(STATUS_WAIT).await;
        Ok(())
    }

    /// Pauses, resumes or stops.
    pub(super) async fn set_target(
        self: Arc<Self>,
        name: String,
        target: TargetState,
    ) -> Result<(), HerderError> {
        self.ensure_running()?;
        let running = self.running(&name);
        let mut running = running.lock().await;
        if !self.exists(&name) {
            return Err(HerderError::unknown_connector(&name));
        }
        if target == TargetState::Stopped {
            self.configs
                .put_tasks(&name, &[])
                .await
                .map_err(|error| write_failed(&name, &error))?;
        }
        self.configs
            .put_target(&name, target)
            .await
            .map_err(|error| write_failed(&name, &error))?;
        self.set_task_targets(target, &running);
        if target == TargetState::Stopped {
            self.stop_tasks(
                &name,
                &mut running,
                Instant::now() + self.config.shutdown_timeout,
            )
            .await;
            self.statuses.flush(STATUS_WAIT).await;
            self.forget_task_statuses(&name, 0);
        }
        // A connector that fails to follow says so in its status; the request has done its part.
        let _ = self.transition(&name, &mut running).await;
        let _ = self.reconfigure(&name, &mut running).await;
        self.statuses.flush(STATUS_WAIT).await;
        Ok(())
    }

    /// Restarts the connector alone.
    pub(super) async fn restart(self: Arc<Self>, name: String) -> Result<(), HerderError> {
        self.ensure_running()?;
        let running = self.running(&name);
        let mut running = running.lock().await;
        if !self.exists(&name) {
            return Err(HerderError::unknown_connector_to_restart(&name));
        }
        self.restarting(&name, &running);
        self.start_anew(&name, &mut running)
            .await
            .map_err(|_| HerderError::internal(format!("Failed to start connector: {name}")))
    }

    /// Plans a restart from the statuses and begins it; the statuses as they will look.
    pub(super) fn restart_selected(
        self: Arc<Self>,
        name: String,
        flags: RestartFlags,
    ) -> Result<ConnectorStateInfo, HerderError> {
        self.ensure_running()?;
        if !self.exists(&name) {
            return Err(HerderError::unknown_connector_to_restart(&name));
        }
        let mut status = self.status(&name).map_err(|_| {
            HerderError::not_found(format!("Status for connector {name} not found"))
        })?;
        let selected = |state: &str| !flags.only_failed || state == RunState::Failed.name();
        let connector = selected(&status.connector.state);
        if connector {
            status.connector.state = RunState::Restarting.name().to_owned();
            status.connector.trace = None;
        }
        let mut tasks = Vec::new();
        for task in status
            .tasks
            .iter_mut()
            .filter(|task| flags.include_tasks && selected(&task.state))
        {
            task.state = RunState::Restarting.name().to_owned();
            task.trace = None;
            tasks.push(task.id);
        }
        tokio::spawn(self.carry_out_restart(name, connector, tasks));
        Ok(status)
    }

    async fn carry_out_restart(self: Arc<Self>, name: String, connector: bool, tasks: Vec<u32>) {
        let running = self.running(&name);
        let mut running = running.lock().await;
        if connector {
            self.stop_connector(&name, &mut running).await;
            self.restarting(&name, &running);
        }
        self.stop_some(&name, &tasks, &mut running).await;
        for task in &tasks {
            self.task_restarting(&name, *task);
        }
        // Failures are in the statuses.
        if connector && self.start_connector(&name, &mut running).await.is_ok() {
            let _ = self.reconfigure(&name, &mut running).await;
        }
        self.start_stored_tasks(&name, &mut running).await;
    }

    pub(super) async fn restart_one_task(
        self: Arc<Self>,
        name: String,
        task: u32,
    ) -> Result<(), HerderError> {
        self.ensure_running()?;
        let running = self.running(&name);
        let mut running = running.lock().await;
        let config = {
            let state = self.configs.state();
            let connector = state
                .connector(&name)
                .ok_or_else(|| HerderError::unknown_connector_to_restart(&name))?;
            let config = connector
                .runnable_tasks()
                .find(|(id, _)| *id == task)
                .map(|(_, config)| config.clone());
            config.ok_or_else(|| HerderError::unknown_task(&name, task))?
        };
        self.stop_some(&name, &[task], &mut running).await;
        self.task_restarting(&name, task);
        self.start_task(&name, task, &config, &mut running)
            .map_err(|_| HerderError::internal(format!("Failed to start task: {name}-{task}")))
    }

    fn task_restarting(&self, name: &str, task: u32) {
        let version = self
            .plugin_of(name)
            .ok()
            .map(|(plugin, _)| plugin.info().version.to_owned());
        let status = Status {
            state: RunState::Restarting,
            trace: None,
            worker_id: self.worker_id.to_string(),
            generation: 0,
            version,
        };
        self.statuses
            .put(StatusKey::Task(name.to_owned(), task), status);
    }
}

fn write_failed(name: &str, error: &LogError) -> HerderError {
    tracing::error!(connector = name, %error, "cannot write to the config topic");
    HerderError::write_failed()
}
