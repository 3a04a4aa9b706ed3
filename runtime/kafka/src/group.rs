//! A member of a consumer group.

mod static_return;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fancy_regex::Regex;
use millrace_log::{
    Assigned, FetchBatch, GroupConsumer, GroupConsumerOptions, GroupEvent, LogError, StartAt,
    Subscription, TopicPartition,
};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;

use crate::errors::from_client;
use crate::fetcher::{Context, Event, Fetcher, Limits, Start, retain};
use crate::properties::Settings;
use crate::raw::RawClient;
use crate::threads::Threads;
use static_return::StaticReturn;

/// Records per batch when `max.poll.records` is not set. Java's 500 makes small writes; this still is less than a second of work.
const DEFAULT_RECORDS: usize = 5_000;
const DEFAULT_POLL_INTERVAL: u64 = 300_000;
/// How often the list of topics is compared with a pattern, when `metadata.max.age.ms` is not set.
const DEFAULT_PATTERN_REFRESH: u64 = 10_000;
/// Topics that Kafka keeps for itself and Java leaves out of patterns.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// [`GroupConsumer`] for Kafka.
pub(crate) struct KafkaGroupConsumer {
    group: String,
    fetcher: Fetcher,
    paused: HashSet<TopicPartition>,
    /// Records of paused partitions that were fetched before the pause, oldest first.
    held: VecDeque<FetchBatch>,
    /// Per partition, the first epoch whose records are valid: older ones were fetched before a seek.
    valid_from: HashMap<TopicPartition, u64>,
    /// Offset after the last record returned.
    returned: HashMap<TopicPartition, i64>,
    revoking: Option<Vec<TopicPartition>>,
    /// Commits in the order in which they were asked for, also when one was cancelled.
    committing: Arc<Mutex<()>>,
    _pattern: Option<PatternTask>,
    /// For a member with `group.instance.id`.
    returning: Option<StaticReturn>,
}

impl fmt::Debug for KafkaGroupConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaGroupConsumer")
            .field("group", &self.group)
            .field("fetcher", &self.fetcher)
            .field("paused", &self.paused)
            .finish_non_exhaustive()
    }
}

/// Bounds that the settings of a consumer ask for.
pub(crate) fn limits(settings: &Settings<'_>) -> Result<Limits, LogError> {
    Ok(Limits {
        records: settings
            .number("max.poll.records", 1, i32::MAX as usize)?
            .unwrap_or(DEFAULT_RECORDS),
        rebalance: Duration::from_millis(
            settings
                .number("max.poll.interval.ms", 1, i32::MAX as u64)?
                .unwrap_or(DEFAULT_POLL_INTERVAL),
        ),
    })
}

impl KafkaGroupConsumer {
    pub(crate) async fn start(
        threads: &Threads,
        raw: &Arc<RawClient>,
        mut config: ClientConfig,
        options: &GroupConsumerOptions,
    ) -> Result<Self, LogError> {
        let settings = Settings::new(&options.settings);
        let limits = limits(&settings)?;
        let start_at = match settings
            .get("auto.offset.reset")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None => options.start_at,
            Some("earliest") => StartAt::Earliest,
            Some("latest") => StartAt::Latest,
            Some(other) => {
                return Err(settings.refuse(
                    "auto.offset.reset",
                    other,
                    "it must be 'earliest' or 'latest'",
                ));
            }
        };
        // Also what happens when a committed offset no longer exists.
        config.set(
            "auto.offset.reset",
            if start_at == StartAt::Earliest {
                "earliest"
            } else {
                "latest"
            },
        );
        config.set("group.id", &options.group);
        config.set("statistics.interval.ms", "2000");
        let pattern = match &options.subscription {
            Subscription::Topics(_) => None,
            Subscription::Pattern(text) => Some(Pattern::new(
                text,
                !settings.flag("exclude.internal.topics")?.unwrap_or(true),
            )?),
        };
        let refresh = settings
            .number::<u64>("metadata.max.age.ms", 1, i32::MAX as u64)?
            .unwrap_or(DEFAULT_PATTERN_REFRESH);

        let fetcher = Fetcher::start(threads, &config, Start::Group(start_at), limits)?;
        let consumer = Arc::clone(fetcher.consumer()?);
        let pattern = match (&options.subscription, pattern) {
            (Subscription::Topics(topics), _) => {
                let topics = topics.clone();
                blocking(move || subscribe(&consumer, &topics)).await??;
                None
            }
            (_, None) => None,
            (_, Some(pattern)) => Some(PatternTask::start(
                &consumer,
                pattern,
                Duration::from_millis(refresh),
            )),
        };
        let returning = settings
            .get("group.instance.id")
            .filter(|id| !id.is_empty())
            .map(|id| StaticReturn::new(raw, &options.group, id));
        Ok(Self {
            group: options.group.clone(),
            fetcher,
            paused: HashSet::new(),
            held: VecDeque::new(),
            valid_from: HashMap::new(),
            returned: HashMap::new(),
            revoking: None,
            committing: Arc::default(),
            _pattern: pattern,
            returning,
        })
    }

    /// What of `batch` may be returned now; the rest is dropped (fetched before a seek) or held (paused).
    fn admit(&mut self, epoch: u64, mut batch: FetchBatch) -> Option<FetchBatch> {
        if !self.valid_from.is_empty() {
            retain(&mut batch, |p| {
                self.valid_from.get(p).is_none_or(|first| epoch >= *first)
            });
        }
        if !self.paused.is_empty() && batch.partitions.iter().any(|p| self.paused.contains(p)) {
            let mut held = batch.clone();
            retain(&mut held, |p| self.paused.contains(p));
            retain(&mut batch, |p| !self.paused.contains(p));
            if !held.records.is_empty() {
                self.held.push_back(held);
            }
        }
        (!batch.records.is_empty()).then(|| self.returning(batch))
    }

    fn returning(&mut self, batch: FetchBatch) -> FetchBatch {
        let mut missing = batch.partitions.len();
        let mut seen = vec![false; missing];
        for record in batch.records.iter().rev() {
            let index = record.partition as usize;
            if !seen[index] {
                seen[index] = true;
                self.returned
                    .insert(batch.partitions[index].clone(), record.offset + 1);
                missing -= 1;
                if missing == 0 {
                    break;
                }
            }
        }
        batch
    }

    /// Records that were held and whose partition is no longer paused.
    fn resumed(&mut self) -> Option<FetchBatch> {
        for at in 0..self.held.len() {
            let mut ready = self.held[at].clone();
            retain(&mut ready, |p| !self.paused.contains(p));
            if ready.records.is_empty() {
                continue;
            }
            retain(&mut self.held[at], |p| self.paused.contains(p));
            if self.held[at].records.is_empty() {
                drop(self.held.remove(at));
            }
            return Some(self.returning(ready));
        }
        None
    }

    /// Forgets all about partitions that are no longer ours.
    fn forget(&mut self, partitions: &[TopicPartition]) {
        for p in partitions {
            self.paused.remove(p);
            self.valid_from.remove(p);
            self.returned.remove(p);
        }
        for batch in &mut self.held {
            retain(batch, |p| !partitions.contains(p));
        }
        self.held.retain(|batch| !batch.records.is_empty());
    }

    fn must_own<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), LogError> {
        match self.fetcher.not_owned(partitions.into_iter()).first() {
            None => Ok(()),
            Some(p) => Err(LogError::Fenced(format!(
                "partition {p} does not belong to this member of group '{}'",
                self.group
            ))),
        }
    }

    fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for p in partitions {
            list.add_partition(&p.topic, p.partition);
        }
        list
    }
}

#[async_trait::async_trait]
impl GroupConsumer for KafkaGroupConsumer {
    async fn next(&mut self, timeout: Duration) -> Result<GroupEvent, LogError> {
        let deadline = Instant::now() + timeout;
        loop {
            if self.revoking.is_none()
                && !self.held.is_empty()
                && let Some(batch) = self.resumed()
            {
                return Ok(GroupEvent::Records(batch));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.fetcher.next(left).await? {
                None => return Ok(GroupEvent::Idle),
                Some(Event::Records(epoch, batch)) => {
                    if let Some(batch) = self.admit(epoch, batch) {
                        return Ok(GroupEvent::Records(batch));
                    }
                }
                Some(Event::Assigned(assigned)) => {
                    for Assigned {
                        partition,
                        position,
                    } in &assigned
                    {
                        self.returned.insert(partition.clone(), *position);
                    }
                    if let Some(returning) = &mut self.returning {
                        returning.assigned(self.fetcher.consumer()?);
                    }
                    return Ok(GroupEvent::Assigned(assigned));
                }
                Some(Event::Revoking(partitions)) => {
                    self.revoking = Some(partitions.clone());
                    return Ok(GroupEvent::Revoking(partitions));
                }
                Some(Event::Lost(partitions)) => {
                    self.revoking = None;
                    self.forget(&partitions);
                    return Ok(GroupEvent::Lost(partitions));
                }
                Some(Event::Failed(error)) => return Err(error),
            }
        }
    }

    async fn release(&mut self) -> Result<(), LogError> {
        if let Some(partitions) = self.revoking.take() {
            self.forget(&partitions);
            self.fetcher.release(&partitions);
        }
        Ok(())
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let consumer = Arc::clone(self.fetcher.consumer()?);
        self.must_own(offsets.iter().map(|(p, _)| p))?;
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (p, offset) in offsets {
            list.add_partition_offset(&p.topic, p.partition, Offset::Offset(*offset))
                .map_err(|e| from_client(&format!("offset {offset} of {p}"), e))?;
        }
        let (group, order) = (self.group.clone(), Arc::clone(&self.committing));
        blocking(move || {
            let _in_order = order.lock().unwrap_or_else(PoisonError::into_inner);
            // A member that was thrown out commits without a generation, which an empty group would accept.
            if consumer.assignment_lost() {
                return Err(LogError::Fenced(format!(
                    "this member was removed from group '{group}'"
                )));
            }
            consumer
                .commit(&list, CommitMode::Sync)
                .map_err(|e| from_client(&format!("cannot commit offsets of group '{group}'"), e))
        })
        .await?
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.must_own(partitions)?;
        self.fetcher
            .consumer()?
            .pause(&Self::list(partitions))
            .map_err(|e| from_client("cannot pause", e))?;
        self.paused.extend(partitions.iter().cloned());
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.must_own(partitions)?;
        self.fetcher
            .consumer()?
            .resume(&Self::list(partitions))
            .map_err(|e| from_client("cannot resume", e))?;
        for p in partitions {
            self.paused.remove(p);
        }
        Ok(())
    }

    async fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), LogError> {
        self.must_own(std::slice::from_ref(partition))?;
        let epoch = self.fetcher.seek(partition, offset).await?;
        self.valid_from.insert(partition.clone(), epoch);
        self.returned.insert(partition.clone(), offset);
        for batch in &mut self.held {
            retain(batch, |p| p != partition);
        }
        self.held.retain(|batch| !batch.records.is_empty());
        Ok(())
    }

    fn lag(&self) -> Vec<(TopicPartition, i64)> {
        let ends = self.fetcher.ends();
        let mut out: Vec<_> = self
            .returned
            .iter()
            .filter_map(|(p, next)| ends.get(p).map(|end| (p.clone(), (end - next).max(0))))
            .collect();
        out.sort_by(|a, b| a.0.cmp(&b.0));
        out
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        let Self {
            fetcher,
            _pattern,
            returning,
            ..
        } = *self;
        drop((_pattern, returning));
        fetcher.close().await;
        Ok(())
    }
}

/// Runs a blocking call of librdkafka on tokio's pool for such calls.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(call)
        .await
        .map_err(|e| LogError::fatal(format!("a call of the Kafka client ended early: {e}")))
}

fn subscribe(consumer: &BaseConsumer<Context>, topics: &[String]) -> Result<(), LogError> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    consumer
        .subscribe(&names)
        .map_err(|e| from_client(&format!("cannot subscribe to {}", topics.join(", ")), e))
}

/// Which topics to read. Matched here and not by librdkafka, whose expressions are POSIX's and match anywhere in the name.
struct Pattern {
    regex: Regex,
    internal: bool,
}

impl Pattern {
    fn new(text: &str, internal: bool) -> Result<Self, LogError> {
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(|e| {
            LogError::Config(format!(
                "topic pattern '{text}' is not a regular expression: {e}"
            ))
        })?;
        Ok(Self { regex, internal })
    }

    fn matches(&self, topic: &str) -> bool {
        (self.internal || !INTERNAL.contains(&topic)) && self.regex.is_match(topic).unwrap_or(false)
    }
}

/// Compares the cluster's topics with a pattern from time to time. Ends when dropped.
struct PatternTask(tokio::task::AbortHandle);

impl PatternTask {
    fn start(consumer: &Arc<BaseConsumer<Context>>, pattern: Pattern, every: Duration) -> Self {
        // Weak, so that the last reference stays with the consumer's thread.
        let consumer = Arc::downgrade(consumer);
        let pattern = Arc::new(pattern);
        let task = tokio::spawn(async move {
            let mut subscribed = Vec::new();
            loop {
                let Some(consumer) = consumer.upgrade() else {
                    return;
                };
                let (pattern, known) = (Arc::clone(&pattern), subscribed.clone());
                match blocking(move || refresh(&consumer, &pattern, known)).await {
                    Ok(Ok(topics)) => subscribed = topics,
                    Ok(Err(error)) | Err(error) => {
                        tracing::debug!(%error, "the topics of a pattern are looked up again later")
                    }
                }
                tokio::time::sleep(every).await;
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for PatternTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Subscribes to the topics that match now, when they are others than `known`.
fn refresh(
    consumer: &BaseConsumer<Context>,
    pattern: &Pattern,
    known: Vec<String>,
) -> Result<Vec<String>, LogError> {
    let metadata = consumer
        .fetch_metadata(None, METADATA_TIMEOUT)
        .map_err(|e| from_client("cannot list topics", e))?;
    let mut topics: Vec<String> = metadata
        .topics()
        .iter()
        .filter(|t| t.error().is_none())
        .map(|t| t.name().to_owned())
        .filter(|t| pattern.matches(t))
        .collect();
    topics.sort_unstable();
    if topics != known {
        if topics.is_empty() {
            consumer.unsubscribe();
        } else {
            subscribe(consumer, &topics)?;
        }
    }
    Ok(topics)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_name() {
        let pattern = Pattern::new("shop|a\\d+", false).unwrap();
        assert!(pattern.matches("shop") && pattern.matches("a12"));
        assert!(!pattern.matches("shop2") && !pattern.matches("xa1"));
        assert!(
            !Pattern::new(".*", false)
                .unwrap()
                .matches("__consumer_offsets")
        );
        assert!(
            Pattern::new(".*", true)
                .unwrap()
                .matches("__consumer_offsets")
        );
        assert!(matches!(Pattern::new("(", false), Err(LogError::Config(_))));
    }
}
