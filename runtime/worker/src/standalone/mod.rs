//! The herder of a worker that is alone: it runs every connector itself.
//!
//! Unlike Java's standalone worker it keeps connectors, target states, statuses and offsets in the log, in the same topics and bytes as a distributed one, so
//! connectors survive a restart of the worker. Answers are those of a distributed worker; only a request that creates or changes a connector is answered when the
//! connector and its tasks have been started, as in Java's standalone mode.

mod answers;
mod herder_impl;
mod lifecycle;
mod offsets;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use millrace_api::plugin::Clock;
use millrace_log::{Log, LogError};
use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::herder::{Herder, LoggerControl};
use crate::metrics::Metrics;
use crate::plugins::PluginRegistry;
use crate::stores::TableStore;
use crate::stores::config::ConfigStore;
use crate::stores::offset::OffsetStore;
use crate::stores::status::StatusStore;
use crate::worker_config::WorkerConfig;
use lifecycle::Running;

/// What a worker is made from.
#[derive(Debug)]
pub struct WorkerOptions {
    /// The worker's properties.
    pub config: WorkerConfig,
    /// Where everything is kept.
    pub log: Arc<dyn Log>,
    /// What it can run.
    pub plugins: PluginRegistry,
    /// `host:port` under which others reach its REST API: `worker_id` in statuses.
    pub worker_id: String,
    /// Source commit of this build, as `GET /` shows it.
    pub commit: String,
    /// Levels of the process's loggers; `None`: they cannot be changed.
    pub loggers: Option<Arc<dyn LoggerControl>>,
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    herder: Arc<StandaloneHerder>,
}

impl Worker {
    /// Opens the three topics, reads them, and begins to start the connectors that they name; [`Herder::health`] tells when all have been.
    pub async fn start(options: WorkerOptions) -> Result<Self, LogError> {
        let WorkerOptions {
            config,
            log,
            plugins,
            worker_id,
            commit,
            loggers,
        } = options;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let cancel = CancellationToken::new();
        let cluster_id = log.cluster_id().await?;
        let (configs, offsets, statuses) = tokio::try_join!(
            TableStore::open(&*log, config.config_table(), cancel.clone()),
            TableStore::open(&*log, config.offset_table(), cancel.clone()),
            TableStore::open(&*log, config.status_table(), cancel.clone()),
        )?;
        let shared = Arc::new(Shared {
            configs: ConfigStore::new(configs)?,
            offsets: Arc::new(OffsetStore::new(offsets)),
            statuses: StatusStore::start(statuses, cancel.clone()),
            config: Arc::new(config),
            log,
            plugins: Arc::new(plugins),
            metrics: Arc::new(Metrics::default()),
            clock: Arc::new(SystemClock),
            worker_id: worker_id.into(),
            commit,
            cluster_id,
            loggers,
            running: Mutex::default(),
            ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            cancel,
        });
        shared.forget_statuses_of_the_gone();
        tokio::spawn(Arc::clone(&shared).restore());
        Ok(Self {
            herder: Arc::new(StandaloneHerder { shared }),
        })
    }

    /// The door for REST.
    pub fn herder(&self) -> Arc<dyn Herder> {
        Arc::clone(&self.herder) as _
    }

    /// Stops all tasks and connectors gracefully: what was acknowledged is stored. Tasks share `task.shutdown.graceful.timeout.ms`. The log stays open.
    pub async fn shutdown(self) {
        self.herder.shared.shut_down().await;
    }
}

/// See the [module](self).
#[derive(Debug, Clone)]
pub struct StandaloneHerder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<WorkerConfig>,
    log: Arc<dyn Log>,
    plugins: Arc<PluginRegistry>,
    configs: ConfigStore,
    offsets: Arc<OffsetStore>,
    statuses: Arc<StatusStore>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    worker_id: Arc<str>,
    commit: String,
    cluster_id: String,
    loggers: Option<Arc<dyn LoggerControl>>,
    /// One lock per connector: requests about one connector happen one after the other, those about different ones side by side.
    running: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Running>>>>,
    ready: AtomicBool,
    stopping: AtomicBool,
    cancel: CancellationToken,
}

/// How long connectors have to stop, all together.
const CONNECTOR_STOP: Duration = Duration::from_secs(5);

impl Shared {
    /// What runs of a connector.
    fn running(&self, name: &str) -> Arc<tokio::sync::Mutex<Running>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(running.entry(name.to_owned()).or_default())
    }

    /// What runs at all.
    fn all_running(&self) -> Vec<(String, Arc<tokio::sync::Mutex<Running>>)> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running
            .iter()
            .map(|(name, running)| (name.clone(), Arc::clone(running)))
            .collect()
    }

    /// Starts what the config topic names, all connectors side by side.
    async fn restore(self: Arc<Self>) {
        let names: Vec<String> = self
            .configs
            .state()
            .connectors()
            .map(str::to_owned)
            .collect();
        join_all(names.iter().map(|name| {
            let shared = Arc::clone(&self);
            async move {
                let running = shared.running(name);
                let mut running = running.lock().await;
                // Its failure is in its status.
                let _ = shared.start_connector(name, &mut running).await;
                shared.start_stored_tasks(name, &mut running).await;
                let _ = shared.reconfigure(name, &mut running).await;
            }
        }))
        .await;
        self.ready.store(true, Ordering::Release);
        tracing::info!(connectors = names.len(), "the worker is ready");
    }

    async fn shut_down(&self) {
        self.stopping.store(true, Ordering::Release);
        let all = self.all_running();
        // All are signalled first, so that they stop side by side.
        let deadline = tokio::time::Instant::now() + self.config.shutdown_timeout;
        join_all(all.iter().map(|(name, running)| async move {
            let Ok(mut running) = tokio::time::timeout_at(deadline, running.lock()).await else {
                tracing::warn!(
                    connector = name,
                    "the connector is busy and is left as it is"
                );
                return;
            };
            self.stop_tasks(name, &mut running, deadline).await;
            if tokio::time::timeout(CONNECTOR_STOP, self.stop_connector(name, &mut running))
                .await
                .is_err()
            {
                tracing::warn!(connector = name, "the connector did not stop in time");
            }
        }))
        .await;
        if !self.statuses.flush(Duration::from_secs(5)).await {
            tracing::warn!("the last statuses could not be written");
        }
        self.cancel.cancel();
    }
}
