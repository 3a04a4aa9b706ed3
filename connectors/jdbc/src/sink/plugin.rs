//! `io.confluent.connect.jdbc.JdbcSinkConnector` as the worker sees it.

use std::sync::{Arc, LazyLock};

use millrace_api::config::{ConfigDef, ConfigValue, ConnectConfig as _, Props, RawProps};
use millrace_api::plugin::{
    ConnectorContext, PluginInfo, SinkConnector, SinkConnectorPlugin, SinkTask, TaskError,
};

use super::config::{DELETES_NEED_RECORD_KEY, JdbcSinkConfig, PrimaryKeyMode};
use super::task::JdbcSinkTask;
use crate::postgres::{Session, Target};

/// Version of the Java connector whose behaviour this is.
const VERSION: &str = "10.9.7";

/// The sink connector.
#[derive(Debug, Clone, Copy, Default)]
pub struct JdbcSinkPlugin;

static DEFINITION: LazyLock<Arc<ConfigDef>> =
    LazyLock::new(|| Arc::new(JdbcSinkConfig::definition().clone()));

#[async_trait::async_trait]
impl SinkConnectorPlugin for JdbcSinkPlugin {
    fn info(&self) -> &PluginInfo {
        &PluginInfo {
            class: "io.confluent.connect.jdbc.JdbcSinkConnector",
            version: VERSION,
        }
    }

    fn config(&self) -> Arc<ConfigDef> {
        Arc::clone(&DEFINITION)
    }

    /// Also connects, once everything else is right; what is wrong with that is an error of `connection.url`.
    async fn validate(&self, props: &RawProps) -> Vec<ConfigValue> {
        let mut values = self.config().validate(props);
        if let Ok(config) = JdbcSinkConfig::parse_raw(props)
            && config.delete_enabled
            && config.pk_mode != PrimaryKeyMode::RecordKey
        {
            add_error(&mut values, "pk.mode", DELETES_NEED_RECORD_KEY);
            add_error(&mut values, "delete.enabled", DELETES_NEED_RECORD_KEY);
        }
        if values.iter().all(|value| value.errors.is_empty())
            && let Err((key, problem)) = try_to_connect(props).await
        {
            add_error(&mut values, &key, &problem);
        }
        values
    }

    fn connector(&self) -> Box<dyn SinkConnector> {
        Box::new(JdbcSinkConnector::default())
    }

    fn task(&self) -> Box<dyn SinkTask> {
        Box::new(JdbcSinkTask::default())
    }

    fn task_class(&self) -> &'static str {
        "io.confluent.connect.jdbc.sink.JdbcSinkTask"
    }
}

fn add_error(values: &mut [ConfigValue], key: &str, message: &str) {
    // A key that the connector does not define is about the connection all the same.
    let at = values
        .iter()
        .position(|value| value.name == key)
        .or_else(|| {
            values
                .iter()
                .position(|value| value.name == "connection.url")
        });
    if let Some(at) = at {
        values[at].add_error(message);
    }
}

async fn try_to_connect(props: &RawProps) -> Result<(), (String, String)> {
    let in_url = |problem: String| {
        (
            "connection.url".to_owned(),
            format!("Could not connect to database. {problem}"),
        )
    };
    let config = JdbcSinkConfig::parse_raw(props).map_err(|errors| in_url(errors.to_string()))?;
    if config.quotes().is_none() {
        return Err(in_url(format!(
            "No matching QuoteMethod found for '{}'",
            config.quote_identifiers
        )));
    }
    let target = match Target::of(&config, &Props::from_raw(props)) {
        Ok(target) => target,
        Err((key, problem)) if key == "connection.url" => return Err(in_url(problem)),
        Err((key, problem)) => return Err((key.clone(), format!("{key}: {problem}"))),
    };
    let session = Session::connect(&target).await.map_err(in_url)?;
    session.close().await;
    Ok(())
}

/// Every task gets the whole configuration.
#[derive(Debug, Default)]
struct JdbcSinkConnector {
    props: Option<Props>,
}

#[async_trait::async_trait]
impl SinkConnector for JdbcSinkConnector {
    async fn start(&mut self, _: ConnectorContext, props: &Props) -> Result<(), TaskError> {
        JdbcSinkConfig::checked(props)
            .map_err(|errors| TaskError::config("jdbc.config", errors.to_string()))?;
        self.props = Some(props.clone());
        Ok(())
    }

    async fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<Props>, TaskError> {
        let props = self.props.clone().unwrap_or_default();
        Ok((0..max_tasks).map(|_| props.clone()).collect())
    }
}
