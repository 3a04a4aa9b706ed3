//! A compacted topic as a table.

use std::sync::Arc;
use std::time::Duration;

use millrace_log::{
    Admin as _, FetchBatch, LogError, NewTopic, Producer as _, RecordBatch, Table, TableOptions,
    TableRecord, TableWrite, TableWriter, TopicPartition,
};
use rdkafka::ClientConfig;
use tokio::time::{Instant, sleep};

use crate::admin::{KafkaAdmin, LATEST};
use crate::completions::TopicLimits;
use crate::fetcher::{Event, Fetcher, Start};
use crate::group::limits;
use crate::producer::KafkaProducer;
use crate::properties::{Role, Settings, translate};
use crate::raw::RawClient;
use crate::reader::NO_GROUP;
use crate::threads::Threads;

/// How long a table's topic may stay unknown after it was made or found.
const METADATA_LIMIT: Duration = Duration::from_secs(30);
/// A write is given up after this when `delivery.timeout.ms` is not set: its caller waits for it.
const DELIVERY_TIMEOUT: &str = "120000";

type Apply<'a> = dyn for<'r> FnMut(TableRecord<'r>) + Send + 'a;

/// [`Table`] for Kafka.
#[derive(Debug)]
pub(crate) struct KafkaTable {
    topic: Arc<str>,
    fetcher: Fetcher,
    admin: Arc<KafkaAdmin>,
    writer: Arc<KafkaTableWriter>,
    /// Offset of the next record of each partition.
    positions: Vec<i64>,
    /// Records that were taken from the thread but not yet applied, and how many of them were.
    pending: Option<(FetchBatch, usize)>,
    /// How long reading may stand still.
    patience: Duration,
}

/// [`TableWriter`] for Kafka: one writer at a time, so that writes of one caller stay together.
#[derive(Debug)]
pub(crate) struct KafkaTableWriter {
    topic: Arc<str>,
    producer: tokio::sync::Mutex<KafkaProducer>,
}

impl KafkaTable {
    /// Opens the table, making its topic when it is missing. `settings` are those of the worker and of the options together.
    pub(crate) async fn open(
        threads: &Threads,
        raw: &Arc<RawClient>,
        admin: &Arc<KafkaAdmin>,
        options: &TableOptions,
        settings: &[(String, String)],
    ) -> Result<Self, LogError> {
        ensure_topic(admin, raw, options).await?;
        let partitions = partitions(admin, &options.topic).await?;

        let topic: Arc<str> = Arc::from(options.topic.as_str());
        let all: Vec<TopicPartition> = (0..partitions)
            .map(|p| TopicPartition::new(Arc::clone(&topic), p))
            .collect();
        let begin = admin
            .list_offsets(&all, crate::admin::EARLIEST, false)
            .await?;

        let mut config = translate(Role::Consumer, &options.client_id, settings)?;
        config
            .set("group.id", NO_GROUP)
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", isolation(settings));
        let start = Start::Assign(all.into_iter().zip(begin.iter().copied()).collect());
        let fetcher = Fetcher::start(threads, &config, start, limits(&Settings::new(settings))?)?;
        let writer = Arc::new(KafkaTableWriter {
            topic: Arc::clone(&topic),
            producer: tokio::sync::Mutex::new(KafkaProducer::start(
                threads,
                &writer_config(&options.client_id, settings)?,
                TopicLimits::new(Arc::clone(admin)),
            )?),
        });
        Ok(Self {
            topic,
            fetcher,
            admin: Arc::clone(admin),
            writer,
            positions: begin,
            pending: None,
            patience: raw.api_timeout(),
        })
    }

    /// Applies the rest of what is pending; returns how many records.
    fn apply_pending(&mut self, apply: &mut Apply<'_>) -> usize {
        let Some((batch, done)) = self.pending.take() else {
            return 0;
        };
        for record in &batch.records[done..] {
            let partition = batch.topic_partition(record).partition;
            apply(TableRecord {
                partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: batch.key(record),
                value: batch.value(record),
            });
            if let Some(next) = self.positions.get_mut(partition as usize) {
                *next = record.offset + 1;
            }
        }
        batch.records.len() - done
    }

    /// Takes positions that are past control records.
    fn advance_idle(&mut self) {
        if self.pending.is_none()
            && let Some(idle) = self.fetcher.idle_positions()
        {
            for (at, next) in idle {
                if let Some(position) = self.positions.get_mut(at.partition as usize) {
                    *position = (*position).max(next);
                }
            }
        }
    }

    async fn read_until(&mut self, ends: &[i64], apply: &mut Apply<'_>) -> Result<(), LogError> {
        let mut still_since = Instant::now();
        loop {
            if self.apply_pending(apply) > 0 {
                still_since = Instant::now();
            }
            self.advance_idle();
            let Some(behind) = self
                .positions
                .iter()
                .zip(ends)
                .position(|(at, end)| at < end)
            else {
                return Ok(());
            };
            match self.fetcher.next(Duration::from_millis(50)).await? {
                Some(Event::Records(_, batch)) => self.pending = Some((batch, 0)),
                Some(Event::Failed(error)) => return Err(error),
                _ if still_since.elapsed() > self.patience => {
                    return Err(LogError::Timeout(format!(
                        "reading topic '{}' stands still: partition {behind} is at offset {} of {} since {} ms; is its leader reachable, or is a transaction open on it?",
                        self.topic,
                        self.positions[behind],
                        ends[behind],
                        self.patience.as_millis()
                    )));
                }
                _ => {}
            }
        }
    }
}

#[async_trait::async_trait]
impl Table for KafkaTable {
    async fn read_to_end(
        &mut self,
        apply: &mut (dyn for<'a> FnMut(TableRecord<'a>) + Send),
    ) -> Result<(), LogError> {
        let all: Vec<TopicPartition> = (0..self.positions.len() as i32)
            .map(|p| TopicPartition::new(Arc::clone(&self.topic), p))
            .collect();
        // As Java: the end of everything that was written, open transactions included; a reader of committed records waits for them.
        let ends = self.admin.list_offsets(&all, LATEST, false).await?;
        self.fetcher.hurry(true);
        let result = self.read_until(&ends, apply).await;
        self.fetcher.hurry(false);
        result
    }

    async fn follow(
        &mut self,
        timeout: Duration,
        apply: &mut (dyn for<'a> FnMut(TableRecord<'a>) + Send),
    ) -> Result<usize, LogError> {
        if self.pending.is_none() {
            match self.fetcher.next(timeout).await? {
                Some(Event::Records(_, batch)) => self.pending = Some((batch, 0)),
                Some(Event::Failed(error)) => return Err(error),
                _ => self.advance_idle(),
            }
        }
        Ok(self.apply_pending(apply))
    }

    fn writer(&self) -> Arc<dyn TableWriter> {
        Arc::clone(&self.writer) as Arc<dyn TableWriter>
    }

    fn partitions(&self) -> i32 {
        self.positions.len() as i32
    }
}

#[async_trait::async_trait]
impl TableWriter for KafkaTableWriter {
    async fn put(&self, writes: &[TableWrite]) -> Result<Vec<i64>, LogError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch = RecordBatch::new();
        let topic = batch.topic(&self.topic);
        for write in writes {
            batch.append(topic, -1, -1, Some(&write.key), write.value.as_deref());
        }
        let mut producer = self.producer.lock().await;
        let first = producer.next_sequence();
        let mut deliveries = Vec::new();
        let mut offsets = vec![-1; writes.len()];
        let (mut taken, mut acked) = (0, 0);
        while acked < writes.len() {
            if taken < writes.len() {
                taken += producer.send(&batch, taken)?;
            }
            producer.wait(Duration::from_millis(100)).await;
            producer.deliveries(&mut deliveries);
            for delivery in deliveries.drain(..) {
                // Older ones belong to calls that were cancelled.
                if let Some(at) = delivery.sequence.checked_sub(first) {
                    let (_, offset) = delivery.result?;
                    if let Some(place) = offsets.get_mut(at as usize) {
                        *place = offset;
                    }
                    acked += 1;
                }
            }
        }
        Ok(offsets)
    }
}

/// A table sees finished transactions only, unless it is told otherwise; without transactions in the topic both are the same.
fn isolation(settings: &[(String, String)]) -> &'static str {
    match Settings::new(settings).get("isolation.level") {
        Some(level) if level.eq_ignore_ascii_case("read_uncommitted") => "read_uncommitted",
        _ => "read_committed",
    }
}

fn writer_config(client_id: &str, settings: &[(String, String)]) -> Result<ClientConfig, LogError> {
    let mut config = translate(Role::Producer, client_id, settings)?;
    let given = Settings::new(settings);
    if given.get("delivery.timeout.ms").is_none() {
        config.set("delivery.timeout.ms", DELIVERY_TIMEOUT);
    }
    // Its callers wait for every write.
    if given.get("linger.ms").is_none() {
        config.set("linger.ms", "0");
    }
    Ok(config)
}

/// Makes the topic when it is missing; checks its cleanup policy when it is not.
async fn ensure_topic(
    admin: &KafkaAdmin,
    raw: &RawClient,
    options: &TableOptions,
) -> Result<(), LogError> {
    let deadline = Instant::now() + raw.api_timeout();
    if admin.describe_topic(&options.topic).await?.is_none() {
        let mut settings = options.topic_settings.clone();
        settings.retain(|(key, _)| key != "cleanup.policy");
        settings.push(("cleanup.policy".to_owned(), "compact".to_owned()));
        let mut topic = NewTopic {
            name: options.topic.clone(),
            partitions: options.partitions,
            replication_factor: options.replication_factor,
            settings,
        };
        loop {
            if options.clamp_replication {
                topic.replication_factor =
                    clamped_replication(raw, &options.topic, options.replication_factor).await?;
            }
            match admin.create_topic(&topic).await {
                Ok(()) => return Ok(()),
                Err(LogError::TopicExists(_)) => break,
                Err(LogError::Authorization(reason)) => {
                    tracing::warn!(
                        topic = options.topic,
                        reason,
                        "not allowed to create the topic; it must exist or be created by the broker"
                    );
                    return Ok(());
                }
                // Brokers are still coming up, or there are fewer than the replication factor.
                Err(error) if error.is_retriable() && Instant::now() < deadline => {
                    tracing::info!(topic = options.topic, %error, "creating the topic is tried again");
                    sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
    if !options.check_policy {
        return Ok(());
    }
    let settings = match admin.topic_settings(&options.topic).await {
        Ok(settings) => settings,
        Err(error @ (LogError::Authorization(_) | LogError::Fatal { .. })) => {
            tracing::warn!(topic = options.topic, %error, "the cleanup policy of the topic cannot be read and is not checked");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let found = settings
        .iter()
        .find(|(key, _)| key == "cleanup.policy")
        .map_or("", |(_, value)| value.as_str());
    if found == "compact" {
        Ok(())
    } else {
        Err(LogError::Config(wrong_policy(options, found)))
    }
}

/// `wanted`, or the number of live brokers where there are fewer.
async fn clamped_replication(raw: &RawClient, topic: &str, wanted: i16) -> Result<i16, LogError> {
    let live = raw.metadata(Some(Vec::new())).await?.brokers.len();
    match i16::try_from(live) {
        Ok(live) if (1..wanted).contains(&live) => {
            tracing::warn!(
                topic,
                wanted,
                live,
                "creating the topic with fewer replicas than asked for: there are not more brokers; in production, add brokers and raise the topic's replication factor"
            );
            Ok(live)
        }
        _ => Ok(wanted),
    }
}

fn wrong_policy(options: &TableOptions, found: &str) -> String {
    let TableOptions {
        topic,
        named_by,
        purpose,
        ..
    } = options;
    format!(
        "Topic '{topic}' supplied via the '{named_by}' property is required to have 'cleanup.policy=compact' to guarantee consistency and durability of {purpose}, but found the topic \
         currently has 'cleanup.policy={found}'. Continuing would likely result in eventually losing {purpose} and problems restarting this Connect cluster in the future. Change the \
         '{named_by}' property in the Connect worker configurations to use a topic with 'cleanup.policy=compact'."
    )
}

async fn partitions(admin: &KafkaAdmin, topic: &str) -> Result<i32, LogError> {
    let deadline = Instant::now() + METADATA_LIMIT;
    loop {
        match admin.describe_topic(topic).await? {
            Some(found) if found.partitions > 0 => return Ok(found.partitions),
            _ if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
            _ => {
                return Err(LogError::Config(format!(
                    "Could not look up partition metadata for topic '{topic}' in the allotted period. This could indicate a connectivity issue, unavailable topic partitions, or if this \
                     is your first use of the topic it may have taken too long to create."
                )));
            }
        }
    }
}
