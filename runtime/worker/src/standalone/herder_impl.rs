use std::sync::Arc;
use std::sync::atomic::Ordering;

use indexmap::IndexMap;
use millrace_api::config::{ConfigInfos, ConfigKeyInfo, RawProps};

use super::{Shared, StandaloneHerder};
use crate::herder::{
    CONNECT_VERSION, ConnectorInfo, ConnectorOffsets, ConnectorStateInfo, Health, Herder,
    HerderError, LOGGER_LEVELS, LoggerLevel, LoggerScope, Message, PluginEntry, PutConfig,
    RestartFlags, ServerInfo, TargetState, TaskInfo, TaskState,
};

impl StandaloneHerder {
    /// Runs a change to its end even when the caller stops waiting.
    async fn carry_out<T, F>(
        &self,
        change: impl FnOnce(Arc<Shared>) -> F + Send,
    ) -> Result<T, HerderError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, HerderError>> + Send + 'static,
    {
        match tokio::spawn(change(Arc::clone(&self.shared))).await {
            Ok(result) => result,
            Err(error) => Err(HerderError::internal(format!(
                "The request failed inside the worker: {error}"
            ))),
        }
    }
}

#[async_trait::async_trait]
impl Herder for StandaloneHerder {
    fn server_info(&self) -> ServerInfo {
        ServerInfo {
            version: CONNECT_VERSION.to_owned(),
            commit: self.shared.commit.clone(),
            kafka_cluster_id: self.shared.cluster_id.clone(),
        }
    }

    fn worker_id(&self) -> String {
        self.shared.worker_id.to_string()
    }

    async fn health(&self) -> Health {
        if self.shared.stopping.load(Ordering::Acquire) {
            Health::unhealthy()
        } else if self.shared.ready.load(Ordering::Acquire) {
            Health::healthy()
        } else {
            Health::starting()
        }
    }

    fn connectors(&self) -> Vec<String> {
        self.shared
            .configs
            .state()
            .connectors()
            .map(str::to_owned)
            .collect()
    }

    async fn connector_info(&self, name: &str) -> Result<ConnectorInfo, HerderError> {
        self.shared.info(name)
    }

    async fn connector_config(&self, name: &str) -> Result<RawProps, HerderError> {
        self.shared.info(name).map(|info| info.config)
    }

    async fn task_configs(&self, name: &str) -> Result<Vec<TaskInfo>, HerderError> {
        self.shared.tasks(name)
    }

    fn connector_status(&self, name: &str) -> Result<ConnectorStateInfo, HerderError> {
        self.shared.status(name)
    }

    fn task_status(&self, name: &str, task: u32) -> Result<TaskState, HerderError> {
        self.shared.status_of_task(name, task)
    }

    fn active_topics(&self, name: &str) -> Result<Vec<String>, HerderError> {
        if !self.shared.config.topic_tracking {
            return Err(HerderError::topic_tracking_disabled());
        }
        Ok(self
            .shared
            .statuses
            .state()
            .topics(name)
            .map(str::to_owned)
            .collect())
    }

    async fn reset_active_topics(&self, name: &str) -> Result<(), HerderError> {
        if !self.shared.config.topic_tracking {
            return Err(HerderError::topic_tracking_disabled());
        }
        if !self.shared.config.topic_tracking_reset {
            return Err(HerderError::topic_reset_disabled());
        }
        self.shared.statuses.delete_topics(name);
        Ok(())
    }

    async fn create_connector(
        &self,
        name: &str,
        config: RawProps,
        initial_state: TargetState,
    ) -> Result<ConnectorInfo, HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.create(name, config, initial_state))
            .await
    }

    async fn put_config(&self, name: &str, config: RawProps) -> Result<PutConfig, HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.put(name, config)).await
    }

    async fn patch_config(
        &self,
        name: &str,
        patch: RawProps,
    ) -> Result<ConnectorInfo, HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.patch(name, patch))
            .await
    }

    async fn delete_connector(&self, name: &str) -> Result<(), HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.delete(name)).await
    }

    async fn pause(&self, name: &str) -> Result<(), HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.set_target(name, TargetState::Paused))
            .await
    }

    async fn resume(&self, name: &str) -> Result<(), HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.set_target(name, TargetState::Started))
            .await
    }

    async fn stop(&self, name: &str) -> Result<(), HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.set_target(name, TargetState::Stopped))
            .await
    }

    async fn restart_connector(
        &self,
        name: &str,
        flags: RestartFlags,
    ) -> Result<Option<ConnectorStateInfo>, HerderError> {
        let name = name.to_owned();
        if flags != RestartFlags::default() {
            return Arc::clone(&self.shared)
                .restart_selected(name, flags)
                .map(Some);
        }
        self.carry_out(move |shared| shared.restart(name))
            .await
            .map(|()| None)
    }

    async fn restart_task(&self, name: &str, task: u32) -> Result<(), HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.restart_one_task(name, task))
            .await
    }

    async fn offsets(&self, name: &str) -> Result<ConnectorOffsets, HerderError> {
        self.shared.read_offsets(name).await
    }

    async fn alter_offsets(
        &self,
        name: &str,
        offsets: ConnectorOffsets,
    ) -> Result<Message, HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.change_offsets(name, offsets))
            .await
    }

    async fn reset_offsets(&self, name: &str) -> Result<Message, HerderError> {
        let name = name.to_owned();
        self.carry_out(move |shared| shared.forget_offsets(name))
            .await
    }

    fn plugins(&self, connectors_only: bool) -> Vec<PluginEntry> {
        self.shared.plugins.entries(connectors_only)
    }

    fn plugin_config(
        &self,
        plugin: &str,
        version: Option<&str>,
    ) -> Result<Vec<ConfigKeyInfo>, HerderError> {
        self.shared.keys_of_plugin(plugin, version)
    }

    async fn validate(&self, plugin: &str, config: RawProps) -> Result<ConfigInfos, HerderError> {
        self.shared.validation(plugin, &config).await
    }

    fn loggers(&self) -> IndexMap<String, LoggerLevel> {
        self.shared
            .loggers
            .as_ref()
            .map(|loggers| loggers.list())
            .unwrap_or_default()
    }

    fn logger(&self, name: &str) -> Result<LoggerLevel, HerderError> {
        let found = self
            .shared
            .loggers
            .as_ref()
            .and_then(|loggers| loggers.get(name));
        found.ok_or_else(|| HerderError::not_found(format!("Logger {name} not found.")))
    }

    async fn set_logger(
        &self,
        name: &str,
        level: &str,
        scope: LoggerScope,
    ) -> Result<Option<Vec<String>>, HerderError> {
        if level.is_empty() {
            return Err(HerderError::internal("Illegal null or empty Level name."));
        }
        let wanted = level.trim().to_ascii_uppercase();
        if !LOGGER_LEVELS.contains(&wanted.as_str()) {
            return Err(HerderError::not_found(format!(
                "invalid log level '{level}'."
            )));
        }
        let changed = self
            .shared
            .loggers
            .as_ref()
            .map(|loggers| loggers.set(name, &wanted))
            .unwrap_or_default();
        Ok((scope == LoggerScope::Worker).then_some(changed))
    }

    fn metrics(&self) -> String {
        self.shared.metrics.render()
    }
}
