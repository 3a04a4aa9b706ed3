//! What became of sent records: written by librdkafka's delivery reports, read by the producer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_log::{Admin as _, Delivery, LogError, TopicPartition};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::admin::KafkaAdmin;
use crate::errors::from_code;
use crate::threads::Stop;

/// A written record. 24 bytes, so that a full queue of completions stays small.
#[derive(Debug, Clone, Copy)]
struct Written {
    sequence: u64,
    offset: i64,
    partition: i32,
}

#[derive(Debug, Default)]
struct Done {
    written: Vec<Written>,
    failed: Vec<(u64, LogError)>,
    /// See [`Completions::take_unsettled`].
    unsettled: Vec<TopicPartition>,
}

impl Done {
    fn is_empty(&self) -> bool {
        self.written.is_empty() && self.failed.is_empty()
    }

    fn unsettle(&mut self, topic: &str, partition: i32) {
        // -1: it had not got one yet, and no number either.
        let known = self
            .unsettled
            .iter()
            .any(|p| p.partition == partition && *p.topic == *topic);
        if partition >= 0 && !known {
            self.unsettled.push(TopicPartition::new(topic, partition));
        }
    }
}

/// What is done with the fate of single records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Each is handed out as a [`Delivery`].
    Deliveries,
    /// Only the first failure is kept: a transaction stands or falls as a whole.
    FirstFailure,
}

/// When a topic's limit was read, and what it was.
type Known = (Instant, Option<usize>);

/// Asks for a topic's `max.message.bytes` when a broker refused something: only then does it matter, and the answer is kept for a while, because the refusal of one batch
/// concerns thousands of records.
#[derive(Debug, Clone)]
pub(crate) struct TopicLimits {
    admin: Arc<KafkaAdmin>,
    runtime: Handle,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

impl TopicLimits {
    const KEPT: Duration = Duration::from_secs(5);

    /// To be made on a thread of tokio.
    pub(crate) fn new(admin: Arc<KafkaAdmin>) -> Self {
        Self {
            admin,
            runtime: Handle::current(),
            known: Arc::default(),
        }
    }

    /// Blocks; called on the producer's own thread.
    fn max_message_bytes(&self, topic: &str) -> Option<usize> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, limit)) = known.get(topic)
            && at.elapsed() < Self::KEPT
        {
            return *limit;
        }
        let settings = self.runtime.block_on(async {
            tokio::time::timeout(Self::KEPT, self.admin.topic_settings(topic)).await
        });
        let limit = settings
            .ok()?
            .ok()?
            .into_iter()
            .find(|(key, _)| key == "max.message.bytes")
            .and_then(|(_, value)| value.parse().ok());
        known.insert(topic.to_owned(), (Instant::now(), limit));
        limit
    }
}

/// The context of one producer.
#[derive(Debug)]
pub(crate) struct Completions {
    keep: Keep,
    /// `max.request.size`.
    limit: usize,
    done: Mutex<Done>,
    /// Records taken by `send` so far.
    taken: AtomicU64,
    /// Failures of records before this one are of no interest: they belong to a transaction that was aborted.
    floor: AtomicU64,
    /// Records whose fate is known.
    finished: AtomicU64,
    /// Fired when deliveries become available.
    ready: Notify,
    /// Fired when nothing is in flight, and for every record with [`Keep::FirstFailure`].
    progress: Notify,
    stopped: AtomicBool,
    topics: TopicLimits,
}

impl Completions {
    pub(crate) fn new(keep: Keep, limit: usize, topics: TopicLimits) -> Self {
        Self {
            keep,
            limit,
            done: Mutex::default(),
            taken: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            ready: Notify::new(),
            progress: Notify::new(),
            stopped: AtomicBool::new(false),
            topics,
        }
    }

    /// Why a record of `size` bytes for `topic` was not written.
    pub(crate) fn refusal(&self, code: RDKafkaErrorCode, topic: &str, size: usize) -> LogError {
        match code {
            RDKafkaErrorCode::MessageSizeTooLarge if size > self.limit => {
                LogError::RecordTooLarge {
                    topic: topic.to_owned(),
                    size,
                    limit: self.limit,
                }
            }
            // The broker refuses a whole batch. The one that is too large is told apart from those that only were in its company.
            RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge => {
                match self.topics.max_message_bytes(topic) {
                    Some(limit) if size > limit => LogError::RecordTooLarge {
                        topic: topic.to_owned(),
                        size,
                        limit,
                    },
                    limit => LogError::Config(format!(
                        "the broker refuses a batch with a record of {size} bytes for topic '{topic}' as too large (max.message.bytes={}): raise the topic's 'max.message.bytes', or lower \
                     the producer's 'batch.size'",
                        limit.map_or_else(|| "unknown".to_owned(), |l| l.to_string())
                    )),
                }
            }
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition => LogError::UnknownTopic(topic.to_owned()),
            code => from_code(
                &format!("cannot write a record to topic '{topic}'"),
                code,
                None,
            ),
        }
    }

    /// Moves all known deliveries to `out`. `spare` keeps its capacity between calls, so that nothing is allocated while the rate is steady.
    pub(crate) fn drain(&self, spare: &mut Spare, out: &mut Vec<Delivery>) {
        {
            let mut done = self.done();
            std::mem::swap(&mut done.written, &mut spare.0);
            if !done.failed.is_empty() {
                out.extend(done.failed.drain(..).map(|(sequence, error)| Delivery {
                    sequence,
                    result: Err(error),
                }));
            }
        }
        out.extend(spare.0.drain(..).map(|w| Delivery {
            sequence: w.sequence,
            result: Ok((w.partition, w.offset)),
        }));
    }

    /// Forgets failures of records before `sequence`, those that are still to come included.
    pub(crate) fn start_at(&self, sequence: u64) {
        self.floor.store(sequence, Ordering::Release);
        self.done().failed.clear();
    }

    /// Takes the first failure.
    pub(crate) fn take_failure(&self) -> Option<LogError> {
        let mut done = self.done();
        let first = done.failed.first().map(|(_, error)| error.clone());
        done.failed.clear();
        first
    }

    /// Takes the partitions for which a record of a transaction was refused or purged since the last call: librdkafka has counted its sequence number, the broker has not.
    pub(crate) fn take_unsettled(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.done().unsettled)
    }

    /// Returns when a delivery is waiting.
    pub(crate) async fn ready(&self) {
        while self.done().is_empty() {
            self.ready.notified().await;
        }
    }

    pub(crate) async fn progress(&self) {
        self.progress.notified().await;
    }

    /// Says how many records were taken in all.
    pub(crate) fn set_taken(&self, taken: u64) {
        self.taken.store(taken, Ordering::Release);
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.taken
            .load(Ordering::Acquire)
            .saturating_sub(self.finished.load(Ordering::Acquire))
    }

    /// Records the failure of a record that librdkafka did not take.
    pub(crate) fn refused(&self, sequence: u64, error: LogError) {
        let mut done = self.done();
        let first = done.is_empty();
        if sequence < self.floor.load(Ordering::Acquire) {
            return self.finished(done, first);
        }
        if self.keep == Keep::FirstFailure && matches!(error, LogError::RecordTooLarge { .. }) {
            // The culprit, after the others of its batch.
            done.failed.clear();
        }
        if self.keep == Keep::Deliveries || done.failed.is_empty() {
            done.failed.push((sequence, error));
        }
        self.finished(done, first);
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn finished(&self, done: MutexGuard<'_, Done>, first: bool) {
        drop(done);
        let finished = self.finished.fetch_add(1, Ordering::AcqRel) + 1;
        if first && self.keep == Keep::Deliveries {
            self.ready.notify_one();
        }
        if self.keep == Keep::FirstFailure || finished >= self.taken.load(Ordering::Acquire) {
            self.progress.notify_one();
        }
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The buffer that [`Completions::drain`] swaps with.
#[derive(Debug, Default)]
pub(crate) struct Spare(Vec<Written>);

impl Stop for Completions {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.ready.notify_one();
        self.progress.notify_one();
    }
}

impl ClientContext for Completions {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        crate::context::error(&error, reason);
    }
}

impl ProducerContext for Completions {
    /// The record's sequence number.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: usize) {
        let sequence = sequence as u64;
        match result {
            Ok(message) => {
                let mut done = self.done();
                let first = done.is_empty();
                if self.keep == Keep::Deliveries {
                    done.written.push(Written {
                        sequence,
                        offset: message.offset(),
                        partition: message.partition(),
                    });
                }
                self.finished(done, first);
            }
            Err((error, message)) => {
                let size = message.key_len() + message.payload_len();
                let code = error
                    .rdkafka_error_code()
                    .unwrap_or(RDKafkaErrorCode::Unknown);
                if self.keep == Keep::FirstFailure {
                    let mut done = self.done();
                    done.unsettle(message.topic(), message.partition());
                    if matches!(
                        code,
                        RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight
                    ) {
                        // The transaction has failed; why, the client says when it is asked to commit.
                        return self.finished(done, false);
                    }
                }
                self.refused(sequence, self.refusal(code, message.topic(), size));
            }
        }
    }
}
