//! The thread behind every consumer: it polls, copies records into batches, and meets the reading task at rebalances.
//!
//! Thread and task share one small state under a lock. Batches wait in a short queue; a full queue stops the polling, so a slow task holds at most a few MB here and what
//! librdkafka fetches ahead. Rebalances happen inside `poll`, on the thread: partitions are given back only after the task released them, while heartbeats go on in
//! librdkafka's own threads.

mod rebalance;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_log::{
    Assigned, FetchBatch, FetchBatchBuilder, LogError, StartAt, TimestampType, TopicPartition,
};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};

use crate::errors::{from_client, from_code};
use crate::threads::{Stop, Threads, drop_elsewhere};

/// Batches that may wait for the task.
const MAX_QUEUED: usize = 2;
/// How long the thread waits for records before it looks at commands and positions again.
const POLL: Duration = Duration::from_millis(100);
/// The same while a task waits for the end of a partition.
const HURRIED_POLL: Duration = Duration::from_millis(5);
/// One call to a broker from the thread.
const CALL: Duration = Duration::from_secs(10);
/// Bytes in one batch, beyond which no record is added.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// What the thread tells the task, in order.
#[derive(Debug)]
pub(crate) enum Event {
    /// Records, and the epoch in which they were read (see [`Command::Seek`]).
    Records(u64, FetchBatch),
    Assigned(Vec<Assigned>),
    Revoking(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    Failed(LogError),
}

/// What the task asks of the thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// Continue at an offset. The reply is the first epoch whose records of the partition are valid.
    Seek(TopicPartition, i64, oneshot::Sender<Result<u64, LogError>>),
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    queued_batches: usize,
    commands: VecDeque<Command>,
    epoch: u64,
    stopped: bool,
    /// Whether the thread waits in a rebalance.
    revoking: bool,
    released: bool,
    hurried: bool,
    /// Partitions that belong to this member.
    owned: HashSet<TopicPartition>,
    /// Positions when the thread last found nothing to read; they may be past the last record, because control records have offsets too.
    idle_positions: HashMap<TopicPartition, i64>,
    /// Ends of partitions, from librdkafka's statistics.
    ends: HashMap<TopicPartition, i64>,
    /// The thread has ended.
    ended: bool,
}

/// State shared by thread and task.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes the thread.
    thread: Condvar,
    /// Wakes the task.
    task: Notify,
    /// Wakes those who wait for the thread's end.
    ended: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: Event) {
        let mut state = self.lock();
        if matches!(event, Event::Records(..)) {
            state.queued_batches += 1;
        }
        state.events.push_back(event);
        drop(state);
        self.task.notify_one();
    }
}

impl Stop for Shared {
    fn stop(&self) {
        self.lock().stopped = true;
        self.thread.notify_all();
        self.task.notify_one();
    }
}

/// How a consumer starts to read.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// As a member of a group; starts there without a committed offset. Topics are subscribed to later.
    Group(StartAt),
    /// At these offsets; [`crate::admin::EARLIEST`] and [`crate::admin::LATEST`] are looked up.
    Assign(Vec<(TopicPartition, i64)>),
}

/// Bounds of one batch and of a rebalance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) records: usize,
    /// `max.poll.interval.ms`.
    pub(crate) rebalance: Duration,
}

/// The consumer's context: librdkafka calls it on the thread, inside `poll`.
pub(crate) struct Context {
    shared: Arc<Shared>,
    builder: Mutex<FetchBatchBuilder>,
    start_at: StartAt,
    limits: Limits,
}

/// A consumer and its thread, seen from the task.
pub(crate) struct Fetcher {
    shared: Arc<Shared>,
    // Always there but in `drop`.
    consumer: Option<Arc<BaseConsumer<Context>>>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Fetcher")
            .field("owned", &state.owned)
            .field("events", &state.events.len())
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    pub(crate) fn start(
        threads: &Threads,
        config: &ClientConfig,
        start: Start,
        limits: Limits,
    ) -> Result<Self, LogError> {
        let shared = Arc::new(Shared::default());
        let (start_at, assign) = match start {
            Start::Group(start_at) => (start_at, None),
            Start::Assign(from) => (StartAt::Earliest, Some(from)),
        };
        let context = Context {
            shared: Arc::clone(&shared),
            builder: Mutex::default(),
            start_at,
            limits,
        };
        let consumer: BaseConsumer<Context> = config
            .create_with_context(context)
            .map_err(|e| from_client("cannot make a Kafka consumer", e))?;
        let consumer = Arc::new(consumer);
        let (polled, seen) = (Arc::clone(&consumer), Arc::clone(&shared));
        let owner = Arc::clone(&shared) as Arc<dyn Stop>;
        threads.start("kafka-consumer", Arc::downgrade(&owner), move || {
            // Says so even when the thread ends by a panic.
            let _ended = Ended(seen);
            run(&polled, assign);
            drop(polled);
        })?;
        Ok(Self {
            shared,
            consumer: Some(consumer),
        })
    }

    /// The consumer, for calls that do not block or that are made on tokio's pool.
    pub(crate) fn consumer(&self) -> Result<&Arc<BaseConsumer<Context>>, LogError> {
        match &self.consumer {
            Some(consumer) if !self.shared.lock().stopped => Ok(consumer),
            _ => Err(LogError::Closed),
        }
    }

    /// The next event, or `None` after `timeout`.
    pub(crate) async fn next(&self, timeout: Duration) -> Result<Option<Event>, LogError> {
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            {
                let mut state = self.shared.lock();
                if let Some(event) = state.events.pop_front() {
                    if matches!(event, Event::Records(..)) {
                        state.queued_batches -= 1;
                        self.shared.thread.notify_one();
                    }
                    return Ok(Some(event));
                }
                if state.stopped || state.ended {
                    return Err(LogError::Closed);
                }
            }
            if tokio::time::timeout_at(deadline, self.shared.task.notified())
                .await
                .is_err()
            {
                return Ok(None);
            }
        }
    }

    /// Lets the thread give back what it is asked for. The partitions no longer belong to this member when this returns.
    pub(crate) fn release(&self, partitions: &[TopicPartition]) {
        let mut state = self.shared.lock();
        for p in partitions {
            state.owned.remove(p);
        }
        if state.revoking {
            state.released = true;
            self.shared.thread.notify_one();
        }
    }

    pub(crate) async fn seek(
        &self,
        partition: &TopicPartition,
        offset: i64,
    ) -> Result<u64, LogError> {
        let (reply, result) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if state.stopped || state.ended {
                return Err(LogError::Closed);
            }
            state
                .commands
                .push_back(Command::Seek(partition.clone(), offset, reply));
        }
        self.shared.thread.notify_one();
        result.await.map_err(|_| LogError::Closed)?
    }

    /// Partitions of this list that are not this member's.
    pub(crate) fn not_owned<'a>(
        &self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Vec<&'a TopicPartition> {
        let state = self.shared.lock();
        partitions.filter(|p| !state.owned.contains(*p)).collect()
    }

    /// Ends of partitions as far as known.
    pub(crate) fn ends(&self) -> HashMap<TopicPartition, i64> {
        self.shared.lock().ends.clone()
    }

    /// Positions past everything that the task was given, when nothing is waiting for it.
    pub(crate) fn idle_positions(&self) -> Option<HashMap<TopicPartition, i64>> {
        let state = self.shared.lock();
        state
            .events
            .is_empty()
            .then(|| state.idle_positions.clone())
    }

    /// Makes the thread look at positions often.
    pub(crate) fn hurry(&self, on: bool) {
        self.shared.lock().hurried = on;
        self.shared.thread.notify_one();
    }

    /// Leaves the group and waits until the thread has ended.
    pub(crate) async fn close(mut self) {
        let shared = Arc::clone(&self.shared);
        // Our reference goes first, so that the thread's is the last one and leaving happens there.
        drop(self.consumer.take());
        shared.stop();
        loop {
            let ended = shared.ended.notified();
            if shared.lock().ended {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            self.shared.stop();
            drop_elsewhere(consumer);
        }
    }
}

struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.task.notify_one();
        self.0.ended.notify_waiters();
    }
}

fn run(consumer: &BaseConsumer<Context>, assign: Option<Vec<(TopicPartition, i64)>>) {
    let context = consumer.context();
    let shared = Arc::clone(&context.shared);
    if let Some(from) = assign
        && let Err(error) = context.assign(consumer, from)
    {
        shared.push(Event::Failed(error));
        return;
    }
    while let Some(wait) = context.wait_for_room(consumer) {
        context.fetch(consumer, wait);
    }
}

impl Context {
    /// Serves commands until there is room for a batch; returns how long to poll, or `None` when it is time to end.
    fn wait_for_room(&self, consumer: &BaseConsumer<Self>) -> Option<Duration> {
        let mut state = self.shared.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(command) = state.commands.pop_front() {
                drop(state);
                self.serve(consumer, command);
                state = self.shared.lock();
            } else if state.queued_batches < MAX_QUEUED {
                return Some(if state.hurried { HURRIED_POLL } else { POLL });
            } else {
                state = self
                    .shared
                    .thread
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Polls one batch together and hands it over.
    fn fetch(&self, consumer: &BaseConsumer<Self>, wait: Duration) {
        let mut timeout = wait;
        let mut count = 0;
        loop {
            match consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => {
                    count += 1;
                    if self.take(&message) >= BATCH_BYTES || count >= self.limits.records {
                        break;
                    }
                }
                Some(Err(error)) => self.failed(error),
            }
            timeout = Duration::ZERO;
        }
        if !self.hand_over() && count == 0 {
            self.publish_positions(consumer);
        }
    }

    /// Copies a record; returns the batch's size.
    fn take(&self, message: &BorrowedMessage<'_>) -> usize {
        let timestamp = match message.timestamp() {
            Timestamp::NotAvailable => (-1, TimestampType::None),
            Timestamp::CreateTime(t) => (t, TimestampType::CreateTime),
            Timestamp::LogAppendTime(t) => (t, TimestampType::LogAppendTime),
        };
        let headers = message.headers();
        let headers = headers
            .into_iter()
            .flat_map(|h| h.iter())
            .map(|h| (h.key, h.value));
        let mut builder = self.builder();
        builder.push(
            message.topic(),
            message.partition(),
            message.offset(),
            timestamp,
            message.key(),
            message.payload(),
            headers,
        );
        builder.byte_size()
    }

    /// Gives the task what was collected; whether there was anything.
    fn hand_over(&self) -> bool {
        let mut builder = self.builder();
        if builder.is_empty() {
            return false;
        }
        let batch = builder.finish();
        drop(builder);
        let epoch = self.shared.lock().epoch;
        self.shared.push(Event::Records(epoch, batch));
        true
    }

    fn publish_positions(&self, consumer: &BaseConsumer<Self>) {
        let Ok(list) = consumer.position() else {
            return;
        };
        let mut state = self.shared.lock();
        // What is still waiting for the task is not read yet from its point of view.
        if state.events.is_empty() {
            let mut changed = false;
            for p in list.elements() {
                if let Offset::Offset(offset) = p.offset() {
                    let at = TopicPartition::new(p.topic(), p.partition());
                    changed |= state.idle_positions.insert(at, offset) != Some(offset);
                }
            }
            if changed || state.hurried {
                drop(state);
                self.shared.task.notify_one();
            }
        }
    }

    /// An error that the task must hear of, once: librdkafka repeats it with every attempt.
    fn tell(&self, error: LogError) {
        let told = self
            .shared
            .lock()
            .events
            .iter()
            .any(|e| matches!(e, Event::Failed(_)));
        if !told {
            self.shared.push(Event::Failed(error));
        }
    }

    fn failed(&self, error: KafkaError) {
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        match from_code("cannot read from Kafka", code, Some(error)) {
            error @ (LogError::Authorization(_) | LogError::Config(_)) => self.tell(error),
            error if fatal => self.tell(LogError::fatal(error.to_string())),
            // Brokers that are away, topics that do not exist yet: librdkafka tries again by itself.
            error => tracing::debug!(%error, "the consumer goes on"),
        }
    }

    fn serve(&self, consumer: &BaseConsumer<Self>, command: Command) {
        let Command::Seek(partition, offset, reply) = command;
        let result = seek(consumer, &partition, offset).map(|()| {
            let mut state = self.shared.lock();
            state.idle_positions.remove(&partition);
            state.epoch += 1;
            state.epoch
        });
        drop(reply.send(result));
    }

    /// Starts reading outside any group.
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        from: Vec<(TopicPartition, i64)>,
    ) -> Result<(), LogError> {
        let mut list = TopicPartitionList::with_capacity(from.len());
        for (p, offset) in from {
            let offset = if offset >= 0 {
                offset
            } else {
                self.watermark(consumer, &p, offset == crate::admin::LATEST)?
            };
            list.add_partition_offset(&p.topic, p.partition, Offset::Offset(offset))
                .map_err(|e| from_client(&format!("offset {offset} of {p}"), e))?;
            self.shared.lock().idle_positions.insert(p, offset);
        }
        consumer
            .assign(&list)
            .map_err(|e| from_client("cannot start reading", e))
    }

    /// First or end offset of a partition; tries again while brokers are away.
    fn watermark(
        &self,
        consumer: &BaseConsumer<Self>,
        p: &TopicPartition,
        end: bool,
    ) -> Result<i64, LogError> {
        self.patiently(|| {
            consumer
                .fetch_watermarks(&p.topic, p.partition, CALL)
                .map(|(low, high)| if end { high } else { low })
                .map_err(|e| from_client(&format!("cannot read the offsets of {p}"), e))
        })
    }

    /// Repeats `call` until it succeeds, fails for good, the rebalance takes too long or the thread must stop.
    fn patiently<T>(&self, mut call: impl FnMut() -> Result<T, LogError>) -> Result<T, LogError> {
        let deadline = Instant::now() + self.limits.rebalance;
        loop {
            match call() {
                Err(error) if error.is_retriable() && Instant::now() < deadline => {
                    let state = self.shared.lock();
                    if state.stopped {
                        return Err(LogError::Closed);
                    }
                    drop(
                        self.shared
                            .thread
                            .wait_timeout(state, Duration::from_millis(100)),
                    );
                }
                other => return other,
            }
        }
    }

    fn builder(&self) -> MutexGuard<'_, FetchBatchBuilder> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the records of partitions for which `keep` holds.
pub(crate) fn retain(batch: &mut FetchBatch, keep: impl Fn(&TopicPartition) -> bool) {
    let kept: Vec<bool> = batch.partitions.iter().map(keep).collect();
    if !kept.iter().all(|k| *k) {
        batch.records.retain(|r| kept[r.partition as usize]);
    }
}

fn seek(
    consumer: &BaseConsumer<Context>,
    partition: &TopicPartition,
    offset: i64,
) -> Result<(), LogError> {
    let what = format!("cannot continue reading {partition} at {offset}");
    let deadline = Instant::now() + CALL;
    loop {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(
            &partition.topic,
            partition.partition,
            Offset::Offset(offset),
        )
        .map_err(|e| from_client(&what, e))?;
        let result = consumer
            .seek_partitions(list, CALL)
            .map_err(|e| from_client(&what, e))?;
        let failure = result.elements().iter().find_map(|p| p.error().err());
        match failure {
            None => return Ok(()),
            // A partition that was assigned a moment ago is not yet being fetched.
            Some(error)
                if error.rdkafka_error_code() == Some(Code::State) && Instant::now() < deadline =>
            {
                let shared = &consumer.context().shared;
                drop(
                    shared
                        .thread
                        .wait_timeout(shared.lock(), Duration::from_millis(20)),
                );
            }
            Some(error) => return Err(from_client(&what, error)),
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        crate::context::error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let mut state = self.shared.lock();
        for (topic, stats) in statistics.topics {
            let topic: Arc<str> = Arc::from(topic);
            for p in stats.partitions.into_values().filter(|p| p.partition >= 0) {
                // The last stable offset is the end for those who read only committed records.
                let end = if p.ls_offset >= 0 {
                    p.ls_offset
                } else {
                    p.hi_offset
                };
                if end >= 0 {
                    state
                        .ends
                        .insert(TopicPartition::new(Arc::clone(&topic), p.partition), end);
                }
            }
        }
    }
}
