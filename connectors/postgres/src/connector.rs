//! The connector as the worker knows it.

use std::sync::{Arc, LazyLock};

use millrace_api::config::{ConfigDef, ConfigValue, ConnectConfig, Props, RawProps};
use millrace_api::plugin::{
    ConnectorContext, PluginInfo, SourceConnector, SourceConnectorPlugin, SourceTask, TaskError,
};

use crate::config::{PostgresConfig, problems};
use crate::source_info::VERSION;
use crate::sql::SqlClient;
use crate::task::PostgresTask;

/// `io.debezium.connector.postgresql.PostgresConnector`
#[derive(Debug, Default)]
pub struct PostgresPlugin;

static INFO: PluginInfo = PluginInfo {
    class: "io.debezium.connector.postgresql.PostgresConnector",
    version: VERSION,
};

static DEFINITION: LazyLock<Arc<ConfigDef>> =
    LazyLock::new(|| Arc::new(PostgresConfig::definition().clone()));

#[async_trait::async_trait]
impl SourceConnectorPlugin for PostgresPlugin {
    fn info(&self) -> &PluginInfo {
        &INFO
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::clone(&DEFINITION)
    }

    async fn validate(&self, raw: &RawProps) -> Vec<ConfigValue> {
        let mut values = DEFINITION.validate(raw);
        if values.iter().any(|v| !v.errors.is_empty()) {
            return values;
        }
        let props = Props::from_raw(raw);
        let Ok(config) = PostgresConfig::parse(&props) else {
            return values;
        };
        let mut add = |key: &str, message: &str| match values.iter_mut().find(|v| v.name == key) {
            Some(value) => value.add_error(message),
            None => {
                let mut value = ConfigValue::new(key, None);
                value.add_error(message);
                values.push(value);
            }
        };
        let problems = problems(&props, &config);
        for (key, message) in problems.iter() {
            add(key, message);
        }
        if problems.is_empty() {
            match tokio::time::timeout(
                config.validation_timeout,
                SqlClient::connect(&config, "Debezium Validate Connection"),
            )
            .await
            {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => add(
                    "database.hostname",
                    &format!("Error while validating connector config: {}", error.message),
                ),
                Err(_) => {
                    let text = format!(
                        "Connection validation timed out after {} ms",
                        config.validation_timeout.as_millis()
                    );
                    add("database.hostname", &text);
                }
            }
        }
        values
    }

    fn connector(&self) -> Box<dyn SourceConnector> {
        Box::new(PostgresConnector::default())
    }

    fn task(&self) -> Box<dyn SourceTask> {
        Box::new(PostgresTask::default())
    }

    fn task_class(&self) -> &'static str {
        "io.debezium.connector.postgresql.PostgresConnectorTask"
    }
}

/// Gives its configuration to one task: a slot has one reader.
#[derive(Debug, Default)]
struct PostgresConnector {
    props: Props,
}

#[async_trait::async_trait]
impl SourceConnector for PostgresConnector {
    async fn start(&mut self, _context: ConnectorContext, props: &Props) -> Result<(), TaskError> {
        self.props = props.clone();
        Ok(())
    }

    async fn task_configs(&mut self, _max_tasks: u32) -> Result<Vec<Props>, TaskError> {
        let mut task = self.props.clone();
        task.insert("task.id", "0");
        Ok(vec![task])
    }
}
