//! The scenario's topics.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use millrace_log::{FetchBatch, Log, ProducerOptions, RecordBatch, TopicPartition};

use super::run::PATIENCE;
use super::scenario::KafkaRecord;
use crate::topic_ends::{TopicEnds, read_to};

/// A record as it is in Kafka. What is not UTF-8 is written in hex.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) partition: i32,
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    pub(super) headers: Vec<(String, Option<String>)>,
}

/// Topics whose name has the run's id.
#[derive(Debug)]
pub(super) struct Topics<'a>(TopicEnds<'a>);

impl<'a> Topics<'a> {
    pub(super) fn new(log: &'a dyn Log, id: &str) -> Self {
        Topics(TopicEnds::new(log, id))
    }

    /// Number of records in the topics that `count` takes.
    pub(super) async fn count(&mut self, count: impl Fn(&str) -> bool) -> Result<i64> {
        let ends = self.0.ends().await?;
        Ok(ends
            .iter()
            .filter(|(at, _)| count(&at.topic))
            .map(|(_, end)| end)
            .sum())
    }

    /// All records by topic, those of a topic by partition and offset.
    pub(super) async fn read(&mut self) -> Result<BTreeMap<String, Vec<Received>>> {
        let ends = self.0.ends().await?;
        let mut topics: BTreeMap<String, Vec<(i32, i64, Received)>> = BTreeMap::new();
        let from: Vec<_> = ends.iter().map(|(at, _)| (at.clone(), 0)).collect();
        read(self.0.log(), from, &ends, |at, offset, record| {
            let topic = topics.entry(at.topic.to_string()).or_default();
            topic.push((at.partition, offset, record));
        })
        .await?;
        let in_order = |mut records: Vec<(i32, i64, Received)>| {
            records.sort_by_key(|(partition, offset, _)| (*partition, *offset));
            records.into_iter().map(|(_, _, record)| record).collect()
        };
        Ok(topics
            .into_iter()
            .map(|(topic, records)| (topic, in_order(records)))
            .collect())
    }

    /// Where `topic`, which has one partition, ends; 0 when it does not exist.
    pub(super) async fn end_of(&self, topic: &str) -> Result<i64> {
        let admin = self.0.log().admin();
        if admin.describe_topic(topic).await?.is_none() {
            return Ok(0);
        }
        let ends = admin.offsets(&[TopicPartition::new(topic, 0)]).await?;
        Ok(ends.first().map_or(0, |(_, end)| *end))
    }

    /// The last value of each key with the run's id in `topic`, which has one partition, from offset `from` on.
    pub(super) async fn last_values(
        &self,
        topic: &str,
        from: i64,
    ) -> Result<BTreeMap<String, Option<String>>> {
        let at = TopicPartition::new(topic, 0);
        let end = self.end_of(topic).await?;
        let mut last = BTreeMap::new();
        read(
            self.0.log(),
            vec![(at.clone(), from)],
            &[(at, end)],
            |_, _, record| {
                if let Some(key) = record.key.filter(|key| key.contains(self.0.part())) {
                    last.insert(key, record.value);
                }
            },
        )
        .await?;
        Ok(last)
    }

    pub(super) async fn produce(&self, record: &KafkaRecord) -> Result<()> {
        let mut producer = self.0.log().producer(ProducerOptions::default()).await?;
        let mut batch = RecordBatch::new();
        let topic = batch.topic(&record.topic);
        batch
            .begin()
            .extend_from_slice(record.key.as_deref().unwrap_or("").as_bytes());
        batch.end_key(record.key.is_some());
        batch
            .arena()
            .extend_from_slice(record.value.as_deref().unwrap_or("").as_bytes());
        batch.end_value(record.value.is_some());
        batch.push(topic, record.partition, -1);
        if producer.send(&batch, 0)? == 0 {
            bail!("the producer takes no record");
        }
        producer.flush(PATIENCE).await?;
        let mut deliveries = Vec::new();
        producer.deliveries(&mut deliveries);
        for delivery in deliveries {
            delivery.result?;
        }
        Ok(())
    }
}

/// Reads every partition up to its end.
async fn read(
    log: &dyn Log,
    from: Vec<(TopicPartition, i64)>,
    ends: &[(TopicPartition, i64)],
    mut take: impl FnMut(&TopicPartition, i64, Received),
) -> Result<()> {
    read_to(log, from, ends, PATIENCE, |batch, record| {
        let at = batch.topic_partition(record);
        let received = Received {
            partition: at.partition,
            key: batch.key(record).map(text),
            value: batch.value(record).map(text),
            headers: headers(batch, record),
        };
        take(at, record.offset, received);
        Ok(())
    })
    .await
}

fn headers(
    batch: &FetchBatch,
    record: &millrace_log::FetchedRecord,
) -> Vec<(String, Option<String>)> {
    batch
        .headers(record)
        .map(|(name, value)| (name.to_string(), value.map(|v| text(batch.slice(v)))))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            format!("hex:{digits}")
        }
    }
}
