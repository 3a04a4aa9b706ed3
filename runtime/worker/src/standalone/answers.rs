//! Reads: what the stores say, in the form of REST's answers. And validation.

use millrace_api::config::connector::{
    PluginDefaults, WorkerDefaults, sink_connector_def, source_connector_def,
};
use millrace_api::config::{
    ConfigInfos, ConfigKeyInfo, ConnectorAnswers, PluginKind, Props, RawProps, ValidationFailure,
    VersionRange, plugin_key_infos, validate_connector,
};

use super::Shared;
use crate::herder::{
    ConnectorInfo, ConnectorState, ConnectorStateInfo, ConnectorTaskId, ConnectorType, HerderError,
    StatusVersion, TaskInfo, TaskState,
};
use crate::plugins::ConnectorPlugin;
use crate::stores::status::Status;

impl Shared {
    pub(super) fn kind(&self, name: &str) -> ConnectorType {
        let plugin = self.props(name).and_then(|props| {
            self.plugins
                .connector(props.get("connector.class")?.trim())
                .ok()
        });
        plugin.map_or(ConnectorType::Unknown, |plugin| plugin.kind())
    }

    pub(super) fn info(&self, name: &str) -> Result<ConnectorInfo, HerderError> {
        let (config, tasks) = {
            let state = self.configs.state();
            let connector = state
                .connector(name)
                .ok_or_else(|| HerderError::connector_not_found(name))?;
            let tasks = connector
                .runnable_tasks()
                .map(|(task, _)| ConnectorTaskId {
                    connector: name.to_owned(),
                    task,
                })
                .collect();
            (connector.config.clone(), tasks)
        };
        Ok(ConnectorInfo {
            name: name.to_owned(),
            config,
            tasks,
            kind: self.kind(name),
        })
    }

    pub(super) fn tasks(&self, name: &str) -> Result<Vec<TaskInfo>, HerderError> {
        let state = self.configs.state();
        let connector = state
            .connector(name)
            .ok_or_else(|| HerderError::connector_not_found(name))?;
        let info = |(task, config): (u32, &RawProps)| TaskInfo {
            id: ConnectorTaskId {
                connector: name.to_owned(),
                task,
            },
            config: config.clone(),
        };
        Ok(connector.runnable_tasks().map(info).collect())
    }

    pub(super) fn status(&self, name: &str) -> Result<ConnectorStateInfo, HerderError> {
        let kind = self.kind(name);
        let state = self.statuses.state();
        let connector = state
            .connector(name)
            .ok_or_else(|| HerderError::no_connector_status(name))?;
        let (state_name, worker_id, version, trace) = parts(connector);
        Ok(ConnectorStateInfo {
            name: name.to_owned(),
            connector: ConnectorState {
                state: state_name,
                worker_id,
                version,
                trace,
            },
            tasks: state
                .tasks(name)
                .map(|(id, status)| task_state(id, status))
                .collect(),
            kind,
        })
    }

    pub(super) fn status_of_task(&self, name: &str, task: u32) -> Result<TaskState, HerderError> {
        let state = self.statuses.state();
        state
            .task(name, task)
            .map(|status| task_state(task, status))
            .ok_or_else(|| HerderError::no_task_status(name, task))
    }

    /// Validates a configuration, the connector's own checks included.
    pub(super) async fn check(
        &self,
        config: &RawProps,
    ) -> Result<Result<ConfigInfos, ValidationFailure>, HerderError> {
        let class = config
            .get("connector.class")
            .cloned()
            .flatten()
            .unwrap_or_default();
        let values = match self.plugins.connector(&class) {
            Ok(ConnectorPlugin::Source(plugin)) => plugin.validate(config).await,
            Ok(ConnectorPlugin::Sink(plugin)) => plugin.validate(config).await,
            // An ambiguous name is its own error; an unknown one is the validation's.
            Err(error) if error.status == 500 => return Err(error),
            Err(_) => Vec::new(),
        };
        let answers = ConnectorAnswers {
            values,
            ..ConnectorAnswers::default()
        };
        Ok(validate_connector(
            config,
            &*self.plugins,
            &self.config.validation_defaults(),
            answers,
        ))
    }

    /// Validates before a connector is created or changed: everything that is wrong is one error.
    pub(super) async fn require_valid(&self, config: &RawProps) -> Result<(), HerderError> {
        let infos = self.check(config).await?.map_err(|failure| match failure {
            ValidationFailure::BadOverride(message) => HerderError::internal(message),
            failure => HerderError::bad_request(failure.to_string()),
        })?;
        if infos.error_count == 0 {
            return Ok(());
        }
        let messages: Vec<String> = infos
            .configs
            .iter()
            .filter_map(|config| config.value.as_ref())
            .flat_map(|value| value.errors.clone())
            .collect();
        Err(HerderError::invalid_config(infos.error_count, &messages))
    }

    pub(super) async fn validation(
        &self,
        plugin: &str,
        config: &RawProps,
    ) -> Result<ConfigInfos, HerderError> {
        let cut = |name: &str| name.strip_suffix("Connector").unwrap_or(name).to_owned();
        if let Some(Some(class)) = config.get("connector.class")
            && !cut(class).ends_with(&cut(plugin))
        {
            return Err(HerderError::bad_request(format!(
                "Included connector type {class} does not match request type {plugin}"
            )));
        }
        self.check(config)
            .await?
            .map_err(|failure| HerderError::internal(format!("{}: {failure}", failure.exception())))
    }

    pub(super) fn keys_of_plugin(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Vec<ConfigKeyInfo>, HerderError> {
        let (kind, plugin) = self
            .plugins
            .definition(name)
            .ok_or_else(|| HerderError::not_found(format!("Unknown plugin {name}.")))?;
        if let Some(wanted) = version {
            let range = if wanted.is_empty() {
                Err("[,]".to_owned())
            } else {
                VersionRange::parse(wanted).map_err(|_| String::new())
            };
            let refused = |range: &str| {
                HerderError::bad_request(format!(
                    "Plugin {} not found that matches the version range {range}, available versions: [{}]",
                    plugin.class, plugin.version
                ))
            };
            match range {
                Ok(Some(range)) if !range.contains(&plugin.version) => {
                    return Err(refused(&range.to_string()));
                }
                Ok(_) => {}
                Err(range) if range.is_empty() => {
                    return Err(HerderError::bad_request(format!(
                        "Invalid version specification: {wanted}"
                    )));
                }
                Err(range) => return Err(refused(&range)),
            }
        }
        let defaults = PluginDefaults::of_worker(&WorkerDefaults::default(), Some(&plugin.version));
        let framework = match kind {
            PluginKind::Source => Some(source_connector_def(&defaults)),
            PluginKind::Sink => Some(sink_connector_def(&defaults)),
            _ => None,
        };
        Ok(plugin_key_infos(&plugin.definition, framework.as_ref()))
    }

    /// A connector's plugin and configuration, for requests about its offsets.
    pub(super) fn plugin_of(&self, name: &str) -> Result<(ConnectorPlugin, Props), HerderError> {
        let props = self
            .props(name)
            .ok_or_else(|| HerderError::connector_not_found(name))?;
        let class = props
            .get("connector.class")
            .unwrap_or_default()
            .trim()
            .to_owned();
        Ok((self.plugins.connector(&class)?, props))
    }
}

fn task_state(id: u32, status: &Status) -> TaskState {
    let (state, worker_id, version, trace) = parts(status);
    TaskState {
        id,
        state,
        worker_id,
        version,
        trace,
    }
}

fn parts(status: &Status) -> (String, String, StatusVersion, Option<String>) {
    let version = match status.version.as_deref() {
        Some("undefined") => None,
        version => Some(version.map(str::to_owned)),
    };
    let trace = status.trace.clone().filter(|trace| !trace.is_empty());
    (
        status.state.name().to_owned(),
        status.worker_id.clone(),
        version,
        trace,
    )
}
