use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use millrace_log::{Log, Reader, ReaderOptions, TopicPartition};
use millrace_testkit::wait_until;
use serde::Deserialize;
use serde_json::Value;

use crate::ground::PATIENCE;

/// A record of a topic: what its JSON converter wrote.
#[derive(Debug, Clone)]
pub struct Event {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Payload of the key.
    pub key: Value,
    /// Payload of the value; `None` is a tombstone.
    pub value: Option<Value>,
    /// Headers that are not null, as text.
    pub headers: HashMap<String, String>,
}

impl Event {
    /// `c`, `u`, `d`, `r`, `t`; empty for a tombstone.
    pub fn op(&self) -> &str {
        self.value
            .as_ref()
            .and_then(|value| value["op"].as_str())
            .unwrap_or_default()
    }

    /// The row after the change; `Null` after a delete.
    pub fn after(&self) -> &Value {
        self.value
            .as_ref()
            .map_or(&Value::Null, |value| &value["after"])
    }

    /// A member of `source` that is a number.
    pub fn source(&self, member: &str) -> Option<i64> {
        self.value.as_ref()?["source"][member].as_i64()
    }

    /// Which start of the task wrote it.
    pub fn run(&self) -> &str {
        self.headers
            .get("__debezium.context.runId")
            .map_or("", String::as_str)
    }
}

#[derive(Deserialize)]
struct Envelope {
    payload: Value,
}

/// Internal topics hold JSON without an envelope.
fn payload(bytes: &[u8]) -> Result<Value> {
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(bytes) {
        return Ok(envelope.payload);
    }
    serde_json::from_slice(bytes).with_context(|| String::from_utf8_lossy(bytes).into_owned())
}

/// Reads topics from their beginning, and goes on when asked to; also over crashes of the worker.
#[derive(Debug)]
pub struct Capture {
    log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    partitions: Vec<TopicPartition>,
    /// Everything read so far, in offset order within a partition.
    pub events: Vec<Event>,
}

impl Capture {
    /// Waits for the topics to exist, then opens them.
    ///
    /// # Errors
    /// When one does not come within [`PATIENCE`].
    pub async fn open(log: Arc<dyn Log>, topics: &[String]) -> Result<Self> {
        let admin = log.admin();
        let mut partitions = Vec::new();
        for topic in topics {
            let found = wait_until(PATIENCE, &format!("topic {topic} exists"), async || {
                Ok(admin.describe_topic(topic).await?)
            })
            .await?;
            partitions.extend(
                (0..found.partitions)
                    .map(|partition| TopicPartition::new(topic.as_str(), partition)),
            );
        }
        let from = partitions
            .iter()
            .map(|partition| (partition.clone(), -2))
            .collect();
        let reader = log
            .reader(ReaderOptions {
                client_id: "millrace-e2e".to_owned(),
                from,
                settings: Vec::new(),
            })
            .await?;
        Ok(Capture {
            log,
            reader,
            partitions,
            events: Vec::new(),
        })
    }

    /// Reads up to what is the end now.
    ///
    /// # Errors
    /// When that takes longer than [`PATIENCE`], an offset goes back, or a record is not what a JSON converter writes.
    pub async fn catch_up(&mut self) -> Result<()> {
        let ends = self.log.admin().offsets(&self.partitions).await?;
        let goal: Vec<(TopicPartition, i64)> = self
            .partitions
            .iter()
            .cloned()
            .zip(ends.into_iter().map(|(_, end)| end))
            .collect();
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let positions = self.reader.positions();
            let behind = goal.iter().find(|(partition, end)| {
                positions
                    .iter()
                    .any(|(p, at)| p == partition && at < end && *end > 0)
            });
            let Some((partition, end)) = behind else {
                return Ok(());
            };
            ensure!(
                std::time::Instant::now() < deadline,
                "{partition} was not read up to {end}: {positions:?}"
            );
            self.next().await?;
        }
    }

    async fn next(&mut self) -> Result<()> {
        let batch = self.reader.next(Duration::from_millis(200)).await?;
        for record in &batch.records {
            let at = batch.topic_partition(record);
            let text = |range: Option<&std::ops::Range<u32>>| {
                range.map(|range| String::from_utf8_lossy(batch.slice(range)).into_owned())
            };
            self.events.push(Event {
                topic: Arc::clone(&at.topic),
                partition: at.partition,
                offset: record.offset,
                key: batch
                    .key(record)
                    .map(payload)
                    .transpose()?
                    .unwrap_or_default(),
                value: batch.value(record).map(payload).transpose()?,
                headers: batch
                    .headers(record)
                    .filter_map(|(name, value)| Some((name.to_string(), text(value)?)))
                    .collect(),
            });
        }
        Ok(())
    }

    /// Reads on until `holds`.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`]; the error says how much was read.
    pub async fn read_until(&mut self, what: &str, holds: impl Fn(&[Event]) -> bool) -> Result<()> {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !holds(&self.events) {
            ensure!(
                std::time::Instant::now() < deadline,
                "not within {PATIENCE:?}: {what}; {} records were read",
                self.events.len()
            );
            self.next().await?;
        }
        Ok(())
    }

    /// Events of one topic, in order.
    pub fn of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Event> {
        self.events
            .iter()
            .filter(move |event| *event.topic == *topic)
    }
}
