use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{OffsetReader, SinkTask, SourceTask, TaskError};
use crate::config::{ConfigDef, ConfigValue, Props, RawProps};
use crate::data::OffsetMap;

/// Names a plugin.
#[derive(Debug, Clone)]
pub struct PluginInfo {
    /// Java class name: what existing connector JSON says.
    pub class: &'static str,
    /// Version shown by REST.
    pub version: &'static str,
}

impl PluginInfo {
    /// Names besides the class under which Connect accepts it: the simple name, and that without its `suffix` (`Connector`, `Converter`, …).
    pub fn aliases(&self, suffix: &str) -> Vec<&'static str> {
        let simple = self.class.rsplit('.').next().unwrap_or(self.class);
        let mut names = vec![simple];
        if let Some(short) = simple.strip_suffix(suffix).filter(|s| !s.is_empty()) {
            names.push(short);
        }
        names
    }
}

/// What a connector may use of the worker.
#[derive(Clone)]
pub struct ConnectorContext {
    /// Connector name.
    pub name: Arc<str>,
    /// Stored offsets of this connector.
    pub offsets: Arc<dyn OffsetReader>,
    /// Cancelled when the connector shall stop.
    pub cancel: CancellationToken,
}

impl fmt::Debug for ConnectorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectorContext({})", self.name)
    }
}

/// Whether a source can be exactly-once with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExactlyOnceSupport {
    /// It can.
    Supported,
    /// It cannot.
    Unsupported,
}

/// Answer of a connector to a request to alter its offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlterOffsets {
    /// The connector checked them and did what is needed on its side.
    Done,
    /// The connector does not know; the worker writes them all the same.
    Unchecked,
}

/// A kind of source connector, as registered under its Java class name. Stateless.
#[async_trait::async_trait]
pub trait SourceConnectorPlugin: Send + Sync {
    /// Class and version.
    fn info(&self) -> &PluginInfo;
    /// Its configuration keys.
    fn config(&self) -> Arc<ConfigDef>;
    /// Validates a configuration: every key of [`config`](Self::config) with all its errors. The default does what the definition says and connects nowhere.
    async fn validate(&self, props: &RawProps) -> Vec<ConfigValue> {
        self.config().validate(props)
    }
    /// A connector, not yet started.
    fn connector(&self) -> Box<dyn SourceConnector>;
    /// A task, not yet started.
    fn task(&self) -> Box<dyn SourceTask>;
    /// Java class name of its task, as `task.class` in the config topic.
    fn task_class(&self) -> &'static str;
    /// Whether it is exactly-once with this configuration.
    fn exactly_once_support(&self, props: &Props) -> ExactlyOnceSupport {
        let _ = props;
        ExactlyOnceSupport::Supported
    }
    /// Checks offsets that a user wants to store: (partition, new offset or `None` to reset). A data error is the user's mistake (400).
    fn alter_offsets(
        &self,
        props: &Props,
        offsets: &[(OffsetMap, Option<OffsetMap>)],
    ) -> Result<AlterOffsets, TaskError> {
        let _ = (props, offsets);
        Ok(AlterOffsets::Unchecked)
    }
}

/// A running source connector: decides the tasks.
#[async_trait::async_trait]
pub trait SourceConnector: Send {
    /// Starts. An error makes the connector FAILED.
    async fn start(&mut self, context: ConnectorContext, props: &Props) -> Result<(), TaskError>;
    /// Configurations of at most `max_tasks` tasks.
    async fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<Props>, TaskError>;
    /// Stops.
    async fn stop(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// A kind of sink connector. Stateless.
#[async_trait::async_trait]
pub trait SinkConnectorPlugin: Send + Sync {
    /// Class and version.
    fn info(&self) -> &PluginInfo;
    /// Its configuration keys.
    fn config(&self) -> Arc<ConfigDef>;
    /// Validates a configuration; as for sources.
    async fn validate(&self, props: &RawProps) -> Vec<ConfigValue> {
        self.config().validate(props)
    }
    /// A connector, not yet started.
    fn connector(&self) -> Box<dyn SinkConnector>;
    /// A task, not yet started.
    fn task(&self) -> Box<dyn SinkTask>;
    /// Java class name of its task.
    fn task_class(&self) -> &'static str;
}

/// A running sink connector: decides the tasks.
#[async_trait::async_trait]
pub trait SinkConnector: Send {
    /// Starts. An error makes the connector FAILED.
    async fn start(&mut self, context: ConnectorContext, props: &Props) -> Result<(), TaskError>;
    /// Configurations of at most `max_tasks` tasks.
    async fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<Props>, TaskError>;
    /// Stops.
    async fn stop(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}
