//! Topics that a source writes to: made when they are missing, remembered when they are used.

use std::sync::Arc;

use millrace_api::plugin::TaskError;
use millrace_log::{Log, LogError, NewTopic};

use crate::connector_config::TopicCreation;
use crate::task::TaskStatus;

/// Looks after the topics of one task.
#[derive(Debug)]
pub(super) struct TopicKeeper {
    log: Arc<dyn Log>,
    status: TaskStatus,
    creation: Option<TopicCreation>,
}

impl TopicKeeper {
    pub(super) fn new(
        log: Arc<dyn Log>,
        status: TaskStatus,
        creation: Option<TopicCreation>,
    ) -> Self {
        Self {
            log,
            status,
            creation,
        }
    }

    /// Before the first record of `topic`: creates it by the connector's `topic.creation.*` keys, unless it exists or there are none; then the log makes it, or
    /// refuses the record. The error is the log's, to be tried again when it is retriable.
    pub(super) async fn before_use(&self, topic: &str) -> Result<(), LogError> {
        let Some(creation) = &self.creation else {
            return Ok(());
        };
        if self.log.admin().describe_topic(topic).await?.is_some() {
            return Ok(());
        }
        self.create(&creation.topic(topic)).await
    }

    /// After the log has refused a record because its topic is missing and it makes none itself.
    pub(super) async fn missing(&self, topic: &str) -> Result<(), LogError> {
        let new = match &self.creation {
            Some(creation) => creation.topic(topic),
            None => NewTopic {
                name: topic.to_owned(),
                partitions: -1,
                replication_factor: -1,
                settings: Vec::new(),
            },
        };
        self.create(&new).await
    }

    async fn create(&self, new: &NewTopic) -> Result<(), LogError> {
        match self.log.admin().create_topic(new).await {
            Ok(()) => {
                tracing::info!(
                    topic = new.name,
                    partitions = new.partitions,
                    "created topic"
                );
                Ok(())
            }
            Err(LogError::TopicExists(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A first record of `topic` is durable.
    pub(super) fn used(&self, topic: &str) {
        self.status.topic(topic);
    }

    /// What a refusal means for the task.
    pub(super) fn refused(topic: &str, error: LogError) -> TaskError {
        let message = format!(
            "Task failed to create new topic ({topic}). Ensure that the task is authorized to create topics or that the topic exists and restart the task"
        );
        super::log_error("source.topic", message, error)
    }
}
