//! What the tests do with a log again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_log::{
    Delivery, Log, NewTopic, Producer, ProducerOptions, ReaderOptions, RecordBatch, TopicPartition,
};
use millrace_testkit::{Kafka, unique};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn connect(bootstrap: &str) -> Result<Arc<KafkaLog>> {
    connect_with(&[("bootstrap.servers", bootstrap)]).await
}

pub(crate) async fn connect_with(properties: &[(&str, &str)]) -> Result<Arc<KafkaLog>> {
    Ok(KafkaLog::connect(KafkaOptions {
        properties: settings(properties),
    })
    .await?)
}

pub(crate) async fn shared() -> Result<Arc<KafkaLog>> {
    connect(&Kafka::shared().await?.bootstrap()).await
}

pub(crate) fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub(crate) async fn topic(
    log: &dyn Log,
    partitions: i32,
    pairs: &[(&str, &str)],
) -> Result<String> {
    let name = unique("topic");
    log.admin()
        .create_topic(&NewTopic {
            name: name.clone(),
            partitions,
            replication_factor: 1,
            settings: settings(pairs),
        })
        .await?;
    Ok(name)
}

pub(crate) async fn producer(log: &dyn Log, pairs: &[(&str, &str)]) -> Result<Box<dyn Producer>> {
    Ok(log
        .producer(ProducerOptions {
            client_id: "test".into(),
            settings: settings(pairs),
        })
        .await?)
}

/// A batch of records `value` with the key `key`, all for one partition (-1: by key).
pub(crate) fn batch(
    topic: &str,
    partition: i32,
    values: impl Iterator<Item = String>,
) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let index = batch.topic(topic);
    for value in values {
        batch.append(index, partition, -1, Some(b"key"), Some(value.as_bytes()));
    }
    batch
}

/// Sends all of `batch` and waits for every delivery.
pub(crate) async fn send_all(
    producer: &mut dyn Producer,
    batch: &RecordBatch,
) -> Result<Vec<Delivery>> {
    let deadline = Instant::now() + PATIENCE;
    let (mut taken, mut out) = (0, Vec::new());
    while out.len() < batch.len() {
        if Instant::now() > deadline {
            bail!(
                "{} of {} deliveries after {PATIENCE:?}",
                out.len(),
                batch.len()
            );
        }
        taken += producer.send(batch, taken)?;
        producer.wait(Duration::from_millis(100)).await;
        producer.deliveries(&mut out);
    }
    Ok(out)
}

pub(crate) async fn append(
    log: &dyn Log,
    topic: &str,
    partition: i32,
    values: impl Iterator<Item = String>,
) -> Result<()> {
    let mut producer = producer(log, &[]).await?;
    for delivery in send_all(&mut *producer, &batch(topic, partition, values)).await? {
        delivery.result?;
    }
    Ok(())
}

/// Committed values of a partition from its start to the end it has now.
pub(crate) async fn values(log: &dyn Log, topic: &str, partition: i32) -> Result<Vec<String>> {
    let at = TopicPartition::new(topic, partition);
    let end = log.admin().offsets(std::slice::from_ref(&at)).await?[0].1;
    let mut reader = log
        .reader(ReaderOptions {
            client_id: "test".into(),
            from: vec![(at, -2)],
            settings: Vec::new(),
        })
        .await?;
    let deadline = Instant::now() + PATIENCE;
    let mut out = Vec::new();
    while reader.positions()[0].1 < end {
        if Instant::now() > deadline {
            bail!("at {:?} of {end} after {PATIENCE:?}", reader.positions());
        }
        let batch = reader.next(Duration::from_millis(100)).await?;
        out.extend(
            batch
                .records
                .iter()
                .map(|r| String::from_utf8_lossy(batch.value(r).unwrap_or(b"<null>")).into_owned()),
        );
    }
    Ok(out)
}
