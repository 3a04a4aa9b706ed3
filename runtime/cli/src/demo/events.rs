//! Change events as they arrive in the log.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use millrace_embedded::EmbeddedLog;
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_log::{Log, Reader, ReaderOptions, TopicPartition};
use serde_json::Value;

use super::TABLES;
use super::format::EventDecoder;
use super::worker::WorkerProcess;

/// How many events the live view shows.
const SHOWN: usize = 12;

/// Reads the topics of the shop beside the worker: the embedded log's directory read-only, or Kafka.
#[derive(Debug)]
pub(crate) struct EventFeed {
    /// Dropping a log closes its readers.
    _log: Arc<dyn Log>,
    reader: Box<dyn Reader>,
    decoder: EventDecoder,
    total: u64,
    recent: VecDeque<String>,
}

/// Where the topics of the shop ended before this demo.
pub(crate) type TopicEnds = HashMap<TopicPartition, i64>;

async fn open_log(worker: &WorkerProcess) -> Result<Arc<dyn Log>> {
    Ok(match worker.bootstrap() {
        Some(servers) => {
            KafkaLog::connect(KafkaOptions {
                properties: vec![("bootstrap.servers".to_owned(), servers.to_owned())],
            })
            .await?
        }
        None => EmbeddedLog::open_read_only(worker.log_dir())?,
    })
}

/// A cluster may hold the events of an earlier demo, in another format or with schemas in a registry that is gone.
pub(crate) async fn topic_ends(worker: &WorkerProcess) -> Result<TopicEnds> {
    // The embedded log is this demo's own.
    if worker.bootstrap().is_none() {
        return Ok(TopicEnds::new());
    }
    let log = open_log(worker).await?;
    let admin = log.admin();
    let mut partitions = Vec::new();
    for table in TABLES {
        let topic = format!("shop.public.{table}");
        if let Some(found) = admin.describe_topic(&topic).await? {
            partitions.extend((0..found.partitions).map(|p| TopicPartition::new(&*topic, p)));
        }
    }
    let offsets = admin.offsets(&partitions).await?;
    let ends = partitions
        .into_iter()
        .zip(offsets.iter().map(|(_, end)| *end));
    let ends = ends.collect();
    log.close().await?;
    Ok(ends)
}

impl EventFeed {
    /// Opens the topics once the snapshot has made them, and reads what was written after `ends`.
    pub(crate) async fn open(worker: &WorkerProcess, ends: &TopicEnds) -> Result<Self> {
        let log = open_log(worker).await?;
        let admin = log.admin();
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut from = Vec::new();
        for table in TABLES {
            let topic = format!("shop.public.{table}");
            let description = loop {
                if let Some(found) = admin.describe_topic(&topic).await? {
                    break found;
                }
                if let Some(trace) = worker.failure("shop-source").await? {
                    bail!("shop-source has failed: {trace}");
                }
                if Instant::now() > deadline {
                    bail!("topic {topic} does not appear");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            from.extend((0..description.partitions).map(|p| {
                let partition = TopicPartition::new(&*topic, p);
                let start = ends.get(&partition).copied().unwrap_or(-2);
                (partition, start)
            }));
        }
        let reader = log
            .reader(ReaderOptions {
                client_id: "millrace-demo".to_owned(),
                from,
                settings: Vec::new(),
            })
            .await
            .context("reading the shop's topics")?;
        Ok(Self {
            _log: log,
            reader,
            decoder: EventDecoder::new(worker.format(), worker.registry_url())?,
            total: 0,
            recent: VecDeque::with_capacity(SHOWN),
        })
    }

    /// Waits for events and takes note of them. Cancel-safe but for what is shown: a batch whose decoding is cut short is counted.
    pub(crate) async fn read(&mut self) -> Result<()> {
        let batch = self.reader.next(Duration::from_millis(200)).await?;
        // Tombstones follow deletes and are not counted.
        let events = batch.records.iter().filter(|r| r.value.is_some());
        let count = events.clone().count();
        self.total += count as u64;
        for record in events.skip(count.saturating_sub(SHOWN)) {
            let topic = &*batch.topic_partition(record).topic;
            let key = self.decoder.key(topic, batch.key(record)).await?;
            let event = self.decoder.value(topic, batch.value(record)).await?;
            let table = topic.rsplit('.').next().unwrap_or("");
            if self.recent.len() == SHOWN {
                self.recent.pop_front();
            }
            self.recent.push_back(describe(table, &key, &event));
        }
        Ok(())
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn recent(&self) -> Vec<String> {
        self.recent.iter().cloned().collect()
    }
}

/// One line: operation, table, key, and what is different.
fn describe(table: &str, key: &Value, event: &Value) -> String {
    let key: Vec<String> = key
        .as_object()
        .map(|o| o.values().map(plain).collect())
        .unwrap_or_default();
    let (before, after) = (&event["before"], &event["after"]);
    let diff: Vec<String> = match (after.as_object(), before.as_object()) {
        (Some(after), Some(before)) => after
            .iter()
            .filter(|(k, v)| before.get(*k) != Some(v))
            .map(|(k, v)| format!("{k}: {} → {}", plain(&before[k]), plain(v)))
            .collect(),
        (Some(after), None) => after
            .iter()
            .map(|(k, v)| format!("{k}={}", plain(v)))
            .collect(),
        (None, _) => Vec::new(),
    };
    format!(
        "{} {table:<11} {:<12} {}",
        event["op"].as_str().unwrap_or("?"),
        key.join("/"),
        diff.join(", ")
    )
}

fn plain(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() > 28 {
        format!("{}…", text.chars().take(27).collect::<String>())
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_described_by_their_difference() {
        let update = json!({"before":{"id":1,"a":"x"},"after":{"id":1,"a":"y"},"op":"u"});
        assert_eq!(
            describe("t", &json!({"id":1}), &update),
            "u t           1            a: x → y"
        );
        let delete = json!({"before":{"id":1},"after":null,"op":"d"});
        assert_eq!(
            describe("t", &Value::Null, &delete),
            "d t                        "
        );
    }
}
