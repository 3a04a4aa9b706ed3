//! A herder that remembers connectors and does nothing with them.

use std::sync::Mutex;

use indexmap::IndexMap;
use millrace_api::config::{ConfigInfos, ConfigKeyInfo, RawProps};
use millrace_worker::herder::*;
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct FakeHerder {
    /// `host:port` in statuses.
    pub(crate) worker_id: String,
    /// Answers 403 to questions about topics.
    pub(crate) topic_tracking_disabled: bool,
    /// What `GET /health` finds.
    pub(crate) health: Mutex<Option<Health>>,
    /// What was asked, in order.
    pub(crate) calls: Mutex<Vec<String>>,
    /// Signalled when somebody waits for the connector `hangs`.
    pub(crate) hanging: Notify,
    /// Lets the connector `hangs` go on.
    pub(crate) go_on: Notify,
    connectors: Mutex<IndexMap<String, Connector>>,
    offsets: Mutex<Vec<ConnectorOffset>>,
    levels: Mutex<IndexMap<String, String>>,
}

#[derive(Debug, Clone)]
struct Connector {
    config: RawProps,
    state: TargetState,
    tasks: u32,
}

impl FakeHerder {
    fn note(&self, call: String) {
        self.calls.lock().expect("calls").push(call);
    }

    pub(crate) fn last_call(&self) -> String {
        self.calls
            .lock()
            .expect("calls")
            .last()
            .cloned()
            .unwrap_or_default()
    }

    fn find(&self, name: &str, missing: fn(&str) -> HerderError) -> Result<Connector, HerderError> {
        self.connectors
            .lock()
            .expect("connectors")
            .get(name)
            .cloned()
            .ok_or_else(|| missing(name))
    }

    fn info(&self, name: &str, config: RawProps, tasks: u32) -> ConnectorInfo {
        let tasks = (0..tasks)
            .map(|task| ConnectorTaskId {
                connector: name.to_owned(),
                task,
            })
            .collect();
        ConnectorInfo {
            name: name.to_owned(),
            config,
            tasks,
            kind: ConnectorType::Source,
        }
    }

    fn set_state(&self, name: &str, state: TargetState) -> Result<(), HerderError> {
        let mut connectors = self.connectors.lock().expect("connectors");
        let connector = connectors
            .get_mut(name)
            .ok_or_else(|| HerderError::unknown_connector(name))?;
        connector.state = state;
        connector.tasks = if state == TargetState::Stopped { 0 } else { 1 };
        Ok(())
    }

    fn status_as(&self, name: &str, connector: &Connector, restarting: bool) -> ConnectorStateInfo {
        let state = match (connector.state, restarting) {
            (_, true) => "RESTARTING",
            (TargetState::Started, _) => "RUNNING",
            (TargetState::Paused, _) => "PAUSED",
            (TargetState::Stopped, _) => "STOPPED",
        };
        let version = Some(Some("4.3.1".to_owned()));
        let tasks = (0..connector.tasks).map(|id| TaskState {
            id,
            state: state.to_owned(),
            worker_id: self.worker_id.clone(),
            version: version.clone(),
            trace: None,
        });
        ConnectorStateInfo {
            name: name.to_owned(),
            tasks: tasks.collect(),
            connector: ConnectorState {
                state: state.to_owned(),
                worker_id: self.worker_id.clone(),
                version,
                trace: None,
            },
            kind: ConnectorType::Source,
        }
    }

    fn stopped(&self, name: &str) -> Result<(), HerderError> {
        match self.find(name, HerderError::connector_not_found)?.state {
            TargetState::Stopped => Ok(()),
            _ => Err(HerderError::not_stopped(name)),
        }
    }
}

#[async_trait::async_trait]
impl Herder for FakeHerder {
    fn server_info(&self) -> ServerInfo {
        ServerInfo {
            version: CONNECT_VERSION.into(),
            commit: "26b251a451ce941d".into(),
            kafka_cluster_id: "AyrXaki6mEjPiZ51dHCvzA".into(),
        }
    }

    fn worker_id(&self) -> String {
        self.worker_id.clone()
    }

    async fn health(&self) -> Health {
        self.health
            .lock()
            .expect("health")
            .clone()
            .unwrap_or_else(Health::healthy)
    }

    fn connectors(&self) -> Vec<String> {
        self.connectors
            .lock()
            .expect("connectors")
            .keys()
            .cloned()
            .collect()
    }

    async fn connector_info(&self, name: &str) -> Result<ConnectorInfo, HerderError> {
        match name {
            "hangs" => {
                self.hanging.notify_one();
                self.go_on.notified().await;
                return Ok(self.info(name, RawProps::new(), 0));
            }
            "panics" => panic!("as asked"),
            _ => {}
        }
        let connector = self.find(name, HerderError::connector_not_found)?;
        Ok(self.info(name, connector.config, connector.tasks))
    }

    async fn connector_config(&self, name: &str) -> Result<RawProps, HerderError> {
        Ok(self.find(name, HerderError::connector_not_found)?.config)
    }

    async fn task_configs(&self, name: &str) -> Result<Vec<TaskInfo>, HerderError> {
        let connector = self.find(name, HerderError::connector_not_found)?;
        let mut config = connector.config;
        config.insert(
            "task.class".into(),
            Some("org.apache.kafka.connect.file.FileStreamSourceTask".into()),
        );
        Ok((0..connector.tasks)
            .map(|task| TaskInfo {
                id: ConnectorTaskId {
                    connector: name.to_owned(),
                    task,
                },
                config: config.clone(),
            })
            .collect())
    }

    fn connector_status(&self, name: &str) -> Result<ConnectorStateInfo, HerderError> {
        if name == "no-status" {
            return Err(HerderError::no_connector_status(name));
        }
        let connector = self.find(name, HerderError::no_connector_status)?;
        Ok(self.status_as(name, &connector, false))
    }

    fn task_status(&self, name: &str, task: u32) -> Result<TaskState, HerderError> {
        let missing = || HerderError::no_task_status(name, task);
        let connector = self
            .find(name, |_| HerderError::not_found(""))
            .map_err(|_| missing())?;
        self.status_as(name, &connector, false)
            .tasks
            .into_iter()
            .find(|state| state.id == task)
            .ok_or_else(missing)
    }

    fn active_topics(&self, name: &str) -> Result<Vec<String>, HerderError> {
        if self.topic_tracking_disabled {
            return Err(HerderError::topic_tracking_disabled());
        }
        Ok(self
            .find(name, HerderError::connector_not_found)
            .map_or_else(|_| Vec::new(), |_| vec!["t".to_owned()]))
    }

    async fn reset_active_topics(&self, name: &str) -> Result<(), HerderError> {
        if self.topic_tracking_disabled {
            return Err(HerderError::topic_tracking_disabled());
        }
        self.note(format!("reset topics {name}"));
        Ok(())
    }

    async fn create_connector(
        &self,
        name: &str,
        mut config: RawProps,
        state: TargetState,
    ) -> Result<ConnectorInfo, HerderError> {
        let name = name.trim();
        self.note(format!("create {name:?} {state:?}"));
        reconcile_name(name, &mut config)?;
        let mut connectors = self.connectors.lock().expect("connectors");
        if connectors.contains_key(name) {
            return Err(HerderError::already_exists(name));
        }
        let tasks = if state == TargetState::Started { 1 } else { 0 };
        connectors.insert(
            name.to_owned(),
            Connector {
                config: config.clone(),
                state,
                tasks,
            },
        );
        Ok(self.info(name, config, 0))
    }

    async fn put_config(&self, name: &str, mut config: RawProps) -> Result<PutConfig, HerderError> {
        reconcile_name(name, &mut config)?;
        let mut connectors = self.connectors.lock().expect("connectors");
        if let Some(connector) = connectors.get_mut(name) {
            connector.config = config.clone();
            return Ok(PutConfig {
                created: false,
                info: self.info(name, config, connector.tasks),
            });
        }
        connectors.insert(
            name.to_owned(),
            Connector {
                config: config.clone(),
                state: TargetState::Started,
                tasks: 1,
            },
        );
        Ok(PutConfig {
            created: true,
            info: self.info(name, config, 0),
        })
    }

    async fn patch_config(
        &self,
        name: &str,
        patch: RawProps,
    ) -> Result<ConnectorInfo, HerderError> {
        let mut connectors = self.connectors.lock().expect("connectors");
        let connector = connectors
            .get_mut(name)
            .ok_or_else(|| HerderError::connector_not_found(name))?;
        for (key, value) in patch {
            match value {
                Some(value) => connector.config.insert(key, Some(value)),
                None => connector.config.shift_remove(&key),
            };
        }
        Ok(self.info(name, connector.config.clone(), connector.tasks))
    }

    async fn delete_connector(&self, name: &str) -> Result<(), HerderError> {
        self.connectors
            .lock()
            .expect("connectors")
            .shift_remove(name)
            .map(|_| ())
            .ok_or_else(|| HerderError::connector_not_found(name))
    }

    async fn pause(&self, name: &str) -> Result<(), HerderError> {
        self.set_state(name, TargetState::Paused)
    }

    async fn resume(&self, name: &str) -> Result<(), HerderError> {
        self.set_state(name, TargetState::Started)
    }

    async fn stop(&self, name: &str) -> Result<(), HerderError> {
        self.set_state(name, TargetState::Stopped)
    }

    async fn restart_connector(
        &self,
        name: &str,
        flags: RestartFlags,
    ) -> Result<Option<ConnectorStateInfo>, HerderError> {
        self.note(format!(
            "restart {name} {} {}",
            flags.include_tasks, flags.only_failed
        ));
        let connector = self.find(name, HerderError::unknown_connector_to_restart)?;
        Ok((flags != RestartFlags::default())
            .then(|| self.status_as(name, &connector, !flags.only_failed)))
    }

    async fn restart_task(&self, name: &str, task: u32) -> Result<(), HerderError> {
        let connector = self.find(name, HerderError::unknown_connector_to_restart)?;
        self.note(format!("restart {name}-{task}"));
        if task < connector.tasks {
            Ok(())
        } else {
            Err(HerderError::unknown_task(name, task))
        }
    }

    async fn offsets(&self, name: &str) -> Result<ConnectorOffsets, HerderError> {
        self.find(name, HerderError::connector_not_found)?;
        Ok(ConnectorOffsets {
            offsets: Some(self.offsets.lock().expect("offsets").clone()),
        })
    }

    async fn alter_offsets(
        &self,
        name: &str,
        offsets: ConnectorOffsets,
    ) -> Result<Message, HerderError> {
        self.stopped(name)?;
        self.offsets
            .lock()
            .expect("offsets")
            .extend(offsets.offsets.unwrap_or_default());
        Ok(Message {
            message: "The offsets for this connector have been altered successfully".into(),
        })
    }

    async fn reset_offsets(&self, name: &str) -> Result<Message, HerderError> {
        self.stopped(name)?;
        self.offsets.lock().expect("offsets").clear();
        Ok(Message {
            message: "The offsets for this connector have been reset successfully".into(),
        })
    }

    fn plugins(&self, connectors_only: bool) -> Vec<PluginEntry> {
        let entry = |class: &str, kind, version: Option<&str>| PluginEntry {
            class: class.into(),
            kind,
            version: version.map(str::to_owned),
        };
        let mut all = vec![
            entry("a.Sink", "sink", Some("1")),
            entry("a.Source", "source", None),
        ];
        if !connectors_only {
            all.push(entry("a.Transform", "transformation", Some("1")));
        }
        all
    }

    fn plugin_config(
        &self,
        plugin: &str,
        version: Option<&str>,
    ) -> Result<Vec<ConfigKeyInfo>, HerderError> {
        self.note(format!("config of {plugin} {version:?}"));
        if plugin != "a.Source$Value" {
            return Err(HerderError::not_found(format!("Unknown plugin {plugin}.")));
        }
        Ok(vec![ConfigKeyInfo {
            name: "topic".into(),
            kind: "STRING".into(),
            required: true,
            default_value: None,
            importance: "HIGH".into(),
            documentation: "Where to.".into(),
            group: None,
            order_in_group: -1,
            width: "NONE".into(),
            display_name: "topic".into(),
            dependents: vec![],
        }])
    }

    async fn validate(&self, plugin: &str, config: RawProps) -> Result<ConfigInfos, HerderError> {
        self.note(format!("validate {plugin} {config:?}"));
        let class = config.get("connector.class").cloned().flatten();
        let class = class.ok_or_else(|| HerderError::internal("org.apache.kafka.connect.runtime.rest.errors.BadRequestException: no connector type"))?;
        Ok(ConfigInfos {
            name: class,
            error_count: 0,
            groups: vec!["Common".into()],
            configs: vec![],
        })
    }

    fn loggers(&self) -> IndexMap<String, LoggerLevel> {
        IndexMap::from_iter([
            (
                "org.reflections".to_owned(),
                LoggerLevel {
                    level: "ERROR".into(),
                    last_modified: Some(1_700_000_000_000),
                },
            ),
            (
                "root".to_owned(),
                LoggerLevel {
                    level: "INFO".into(),
                    last_modified: None,
                },
            ),
        ])
    }

    fn logger(&self, name: &str) -> Result<LoggerLevel, HerderError> {
        match name {
            "root" => Ok(LoggerLevel {
                level: "INFO".into(),
                last_modified: None,
            }),
            _ => Err(HerderError::not_found(format!("Logger {name} not found."))),
        }
    }

    async fn set_logger(
        &self,
        name: &str,
        level: &str,
        scope: LoggerScope,
    ) -> Result<Option<Vec<String>>, HerderError> {
        self.note(format!("level of {name} {level} {scope:?}"));
        if scope == LoggerScope::Cluster {
            return Ok(None);
        }
        let before = self
            .levels
            .lock()
            .expect("levels")
            .insert(name.to_owned(), level.to_owned());
        Ok(Some(if before.as_deref() == Some(level) {
            vec![]
        } else {
            vec![name.to_owned()]
        }))
    }

    fn metrics(&self) -> String {
        "# TYPE kafka_connect_worker_connector_count gauge\nkafka_connect_worker_connector_count 0\n".into()
    }
}
