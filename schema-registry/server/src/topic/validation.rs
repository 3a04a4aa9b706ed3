//! Whether the topic is fit for a registry.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use millrace_log::{Log, LogError, Table, TableOptions};
use tokio::time::Instant;

use crate::StartError;
use crate::options::TopicOptions;

/// Creates the topic when it is missing, and refuses one that would lose schemas or their order. Tries again while the log is away, until `patience` is over.
pub(crate) async fn open(
    log: &Arc<dyn Log>,
    options: &TopicOptions,
    patience: Duration,
) -> Result<Box<dyn Table>, StartError> {
    let attempt = || async {
        match try_open(log, options).await {
            Ok(table) => Ok(Ok(table)),
            Err(Refusal::Unfit(error)) => Ok(Err(error)),
            Err(Refusal::Log(error)) => Err(error),
        }
    };
    match retried(patience, attempt).await {
        Ok(opened) => opened,
        Err(error) => Err(failed(options, error)),
    }
}

/// The id of the cluster, as soon as the log answers.
pub(crate) async fn cluster_id(
    log: &Arc<dyn Log>,
    patience: Duration,
) -> Result<String, StartError> {
    retried(patience, || log.cluster_id())
        .await
        .map_err(|source| StartError::Topic {
            doing: "the log cannot be reached ('kafkastore.bootstrap.servers') within 'kafkastore.init.timeout.ms'"
                .to_owned(),
            source,
        })
}

/// Tries again while the log is away, until `patience` is over.
async fn retried<T, F: Future<Output = Result<T, LogError>>>(
    patience: Duration,
    attempt: impl Fn() -> F,
) -> Result<T, LogError> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(100);
    loop {
        let error = match tokio::time::timeout_at(deadline, attempt()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) if !error.is_retriable() => return Err(error),
            Ok(Err(error)) => error,
            Err(_) => LogError::Timeout("the log did not answer".to_owned()),
        };
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        tracing::warn!(%error, "the log is not ready yet, trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

fn failed(options: &TopicOptions, source: LogError) -> StartError {
    StartError::Topic {
        doing: format!(
            "the schemas topic '{}' ('kafkastore.topic') could not be created, validated or opened within 'kafkastore.init.timeout.ms'",
            options.name
        ),
        source,
    }
}

enum Refusal {
    Unfit(StartError),
    Log(LogError),
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

async fn try_open(log: &Arc<dyn Log>, options: &TopicOptions) -> Result<Box<dyn Table>, Refusal> {
    let admin = log.admin();
    let name = &options.name;
    if options.skip_validation {
        tracing::info!(
            topic = name,
            "'kafkastore.topic.skip.validation' is set: the schemas topic is neither created nor validated"
        );
        if admin.describe_topic(name).await?.is_none() {
            return Err(LogError::UnknownTopic(name.clone()).into());
        }
    } else if let Some(found) = admin.describe_topic(name).await? {
        let unfit = |problem: String| {
            Refusal::Unfit(StartError::setting("kafkastore.topic", name, problem))
        };
        if found.partitions != 1 {
            return Err(unfit(format!(
                "The schema topic {name} should have only 1 partition but has {}; use another topic, or copy its records in their order into one of a single partition",
                found.partitions
            )));
        }
        let settings = admin.topic_settings(name).await?;
        let policy = settings
            .iter()
            .rev()
            .find(|(key, _)| key == "cleanup.policy")
            .map_or("delete", |(_, value)| value.as_str());
        if policy != "compact" {
            return Err(unfit(format!(
                "The retention policy of the schema topic {name} is incorrect. Expected cleanup.policy to be 'compact' but it is {policy}; schemas would be lost. \
                 Set cleanup.policy=compact on the topic"
            )));
        }
        if found.replication_factor < options.replication_factor {
            tracing::warn!(
                topic = name,
                "the replication factor of the schemas topic is {}, less than the {} of 'kafkastore.topic.replication.factor': add brokers and raise it if this is a production environment",
                found.replication_factor,
                options.replication_factor
            );
        }
    }
    Ok(log.table(table_options(options)).await?)
}

/// How the topic is opened, also when it is opened again after a failure.
pub(crate) fn table_options(options: &TopicOptions) -> TableOptions {
    TableOptions {
        topic: options.name.clone(),
        partitions: 1,
        replication_factor: options.replication_factor,
        clamp_replication: true,
        check_policy: !options.skip_validation,
        topic_settings: options.settings.clone(),
        client_id: format!("KafkaStore-reader-{}", options.name),
        settings: options.client_settings.clone(),
        named_by: "kafkastore.topic",
        purpose: "schemas",
    }
}
