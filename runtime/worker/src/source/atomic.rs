//! The discipline *atomic*: records and the offsets they lead to are one transaction.
//!
//! While one transaction commits the next one fills: what several polls brought shares a commit, the more of it the longer commits take.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use millrace_api::data::{OffsetMap, SourceOffset};
use millrace_api::plugin::{SourceTask, TaskError, TaskId, Watermark};
use millrace_log::{Log, LogError, ProducerOptions, TransactionalProducer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::encode::{Encoder, Outbox, Progress, Track};
use super::topics::TopicKeeper;
use super::{LoopState, at_or_never, log_error, render};
use crate::failpoint;
use crate::stores::Backoff;
use crate::stores::offset::OffsetStore;
use crate::stores::status::RunState;
use crate::task::{TaskEnv, target_changed};

/// A transaction of this size waits for no more.
const ENOUGH: usize = 1 << 20;

/// Positions after everything that is in the filling transaction.
#[derive(Default)]
struct Reached {
    offsets: IndexMap<u32, SourceOffset>,
    records: usize,
}

impl Track for Reached {
    fn record(&mut self, partition: u32, offset: SourceOffset, _bytes: u32) {
        self.records += 1;
        self.mark(partition, offset);
    }

    fn mark(&mut self, partition: u32, offset: SourceOffset) {
        self.offsets.insert(partition, offset);
    }
}

/// What a transaction is made of, handed to its commit and back.
struct Transaction {
    producer: Box<dyn TransactionalProducer>,
    out: Outbox,
    /// Records of the source in `out`, without the offsets behind them.
    records: usize,
    watermark: Watermark,
    /// What was stored for the partitions of `watermark` before.
    before: Vec<Option<OffsetMap>>,
}

struct Commit {
    started: Instant,
    records: usize,
    bytes: usize,
    job: AbortOnDropHandle<Result<Transaction, TaskError>>,
}

struct AtomicLoop<'t> {
    env: TaskEnv,
    task: &'t mut dyn SourceTask,
    encoder: Encoder,
    topics: TopicKeeper,
    transactional_id: String,
    options: ProducerOptions,
    state: LoopState,
    /// What fills.
    out: Outbox,
    reached: Reached,
    /// When the first record of what fills came.
    filling_since: Option<Instant>,
    /// What fills shall be committed without waiting for more.
    hurry: bool,
    /// Offsets as this run stored them last.
    known: IndexMap<u32, Arc<OffsetMap>>,
    pending_topics: Vec<Arc<str>>,
    /// Topics of what fills and of what commits that were not used before.
    unproven_topics: Vec<Arc<str>>,
    /// `None` while a commit has it.
    producer: Option<Box<dyn TransactionalProducer>>,
    spare: Option<Outbox>,
    commit: Option<Commit>,
    next_flush: Instant,
}

pub(super) async fn run(
    env: TaskEnv,
    task: &mut dyn SourceTask,
    encoder: Encoder,
    topics: TopicKeeper,
    producer: Box<dyn TransactionalProducer>,
    options: ProducerOptions,
    state: LoopState,
) -> Result<(), TaskError> {
    let transactional_id = transactional_id(&env);
    let next_flush = Instant::now() + env.worker.flush_interval;
    let mut this = AtomicLoop {
        env,
        task,
        encoder,
        topics,
        transactional_id,
        options,
        state,
        out: Outbox::default(),
        reached: Reached::default(),
        filling_since: None,
        hurry: false,
        known: IndexMap::new(),
        pending_topics: Vec::new(),
        unproven_topics: Vec::new(),
        producer: Some(producer),
        spare: None,
        commit: None,
        next_flush,
    };
    let result = this.run().await;
    let last = this.finish(result.is_ok()).await;
    result.and(last)
}

impl AtomicLoop<'_> {
    async fn run(&mut self) -> Result<(), TaskError> {
        loop {
            if self.env.cancel.is_cancelled() {
                return Ok(());
            }
            if !self.state.encoded && self.has_budget() {
                self.encode().await;
                continue;
            }
            if self.producer.is_some() && self.is_due() {
                self.begin_commit().await?;
                continue;
            }
            if self.state.failure.is_some() && self.is_settled() {
                return self.state.failure.take().map_or(Ok(()), Err);
            }
            if self.env.paused() && self.is_settled() {
                self.pause().await;
                continue;
            }
            let pausing = self.state.pausing_until();
            let may_poll = self.state.encoded
                && !self.state.finished
                && self.state.failure.is_none()
                && pausing.is_none()
                && !self.env.paused()
                && self.has_budget();
            self.step(may_poll, pausing).await?;
        }
    }

    /// Whether more may be taken in.
    fn has_budget(&self) -> bool {
        let worker = &self.env.worker;
        let (records, bytes) = self
            .commit
            .as_ref()
            .map_or((0, 0), |commit| (commit.records, commit.bytes));
        self.reached.records + records < worker.max_in_flight_records as usize
            && self.out.batch.byte_size() + bytes < worker.max_in_flight_bytes as usize
    }

    /// Whether nothing is filling or being committed.
    fn is_settled(&self) -> bool {
        self.commit.is_none() && self.state.encoded && self.reached.offsets.is_empty()
    }

    /// Whether what fills should be committed now.
    fn is_due(&self) -> bool {
        if self.reached.offsets.is_empty() {
            return false;
        }
        let no_more = self.state.finished
            || self.state.failure.is_some()
            || self.env.paused()
            || !self.state.encoded;
        if self.reached.records == 0 {
            // Positions alone are stored as often as Java stores them.
            return no_more || Instant::now() >= self.next_flush;
        }
        let waited = self
            .filling_since
            .is_some_and(|since| since.elapsed() >= self.env.worker.commit_linger);
        no_more
            || waited
            || self.hurry
            || self.out.batch.byte_size() >= ENOUGH
            || !self.has_budget()
    }

    /// Waits for the next thing to happen, polling the source meanwhile if that is allowed.
    async fn step(&mut self, may_poll: bool, until: Option<Instant>) -> Result<(), TaskError> {
        let free = self.producer.is_some();
        let linger = self
            .filling_since
            .filter(|_| free)
            .map(|since| since + self.env.worker.commit_linger);
        let flush = (free && self.reached.records == 0 && !self.reached.offsets.is_empty())
            .then_some(self.next_flush);
        if may_poll {
            self.state.batch.clear();
        }
        let started = Instant::now();
        let mut committed = None;
        let polled = tokio::select! {
            biased;
            () = self.env.cancel.cancelled() => None,
            () = target_changed(&mut self.env.target) => None,
            done = commit_done(&mut self.commit) => {
                committed = Some(done);
                None
            }
            polled = self.task.poll(&mut self.state.batch), if may_poll => Some(polled),
            () = at_or_never(linger) => None,
            () = at_or_never(flush) => None,
            () = at_or_never(until) => None,
        };
        if may_poll {
            let idle = matches!(polled, Some(Ok(_))) && self.state.batch.is_empty();
            let waited = matches!(polled, Some(Ok(millrace_api::plugin::Poll::Idle)));
            self.state.polled(&self.env, polled, started);
            // The source has nothing more at the moment: there is nobody to wait for.
            self.hurry |= waited;
            if idle {
                tokio::task::yield_now().await;
            } else if !self.state.encoded {
                failpoint!("source-after-poll");
            }
        }
        match committed {
            Some(done) => self.committed(done).await,
            None => Ok(()),
        }
    }

    async fn encode(&mut self) {
        match self
            .encoder
            .encode(
                &mut self.state.batch,
                &mut self.out,
                &mut self.reached,
                &self.env.cancel,
            )
            .await
        {
            Ok(Progress::Done) => self.state.encoded = true,
            Ok(Progress::Full) => self.hurry = true,
            Ok(Progress::Cancelled) => {}
            Err(error) => {
                self.state.encoded = true;
                self.state.failure = Some(error);
            }
        }
        if self.reached.records > 0 && self.filling_since.is_none() {
            self.filling_since = Some(Instant::now());
        }
        let new = self.encoder.take_new_topics();
        self.unproven_topics.extend(new.iter().cloned());
        self.pending_topics.extend(new);
        self.show_active();
    }

    fn show_active(&self) {
        let (records, bytes) = self
            .commit
            .as_ref()
            .map_or((0, 0), |commit| (commit.records, commit.bytes));
        self.env.meter.set_active(
            self.reached.records + records,
            self.out.batch.byte_size() + bytes,
        );
    }

    /// Makes topics, then sends what fills, with the offsets that it leads to (I5), to be committed in the background.
    async fn begin_commit(&mut self) -> Result<(), TaskError> {
        while let Some(topic) = self.pending_topics.last().cloned() {
            match self.topics.before_use(&topic).await {
                Ok(()) => {
                    self.pending_topics.pop();
                }
                Err(error) if error.is_retriable() => {
                    tracing::warn!(task = %self.env.id, topic = &*topic, %error, "cannot look up the topic; trying again");
                    tokio::select! {
                        biased;
                        () = self.env.cancel.cancelled() => {}
                        () = tokio::time::sleep(Duration::from_millis(100)) => {}
                    }
                    return Ok(());
                }
                Err(error) => return Err(TopicKeeper::refused(&topic, error)),
            }
        }
        let Some(producer) = self.producer.take() else {
            return Ok(());
        };
        failpoint!("source-before-produce");
        let mut out = std::mem::replace(&mut self.out, self.spare.take().unwrap_or_default());
        let reached = std::mem::take(&mut self.reached);
        self.filling_since = None;
        self.hurry = false;
        self.next_flush = Instant::now() + self.env.worker.flush_interval;
        let bytes = out.batch.byte_size();
        let watermark = render(&*self.task, &self.state.batch, &reached.offsets);
        let mut before = Vec::with_capacity(watermark.offsets.len());
        {
            let index = out.batch.topic(self.env.offsets.topic());
            let stored = self.env.offsets.state();
            for ((partition, offset), index_of) in
                watermark.offsets.iter().zip(reached.offsets.keys())
            {
                let known = self.known.insert(*index_of, Arc::clone(offset));
                before.push(
                    known
                        .as_deref()
                        .or_else(|| {
                            stored.offset(&self.env.id.connector, &Some((**partition).clone()))
                        })
                        .cloned(),
                );
                for write in stored.writes(
                    &self.env.id.connector,
                    &Some((**partition).clone()),
                    Some(offset),
                ) {
                    out.batch
                        .append(index, -1, -1, Some(&write.key), write.value.as_deref());
                }
            }
        }
        let transaction = Transaction {
            producer,
            out,
            records: reached.records,
            watermark,
            before,
        };
        let settle = Settle {
            log: Arc::clone(&self.env.log),
            offsets: Arc::clone(&self.env.offsets),
            id: self.env.id.clone(),
            cancel: self.env.cancel.clone(),
            transactional_id: self.transactional_id.clone(),
            options: self.options.clone(),
            limit: self.env.worker.flush_timeout,
        };
        let job = AbortOnDropHandle::new(tokio::spawn(settle.commit(transaction)));
        self.commit = Some(Commit {
            started: Instant::now(),
            records: reached.records,
            bytes,
            job,
        });
        Ok(())
    }

    async fn committed(&mut self, done: Result<Transaction, TaskError>) -> Result<(), TaskError> {
        let Some(commit) = self.commit.take() else {
            return Ok(());
        };
        self.env
            .meter
            .committed(done.is_ok(), commit.started.elapsed());
        let mut transaction = done?;
        failpoint!("source-after-offset-write");
        self.env.meter.written(transaction.records);
        for topic in std::mem::take(&mut self.unproven_topics) {
            // One that only waits in what fills is noted a little early.
            self.topics.used(&topic);
        }
        transaction.out.batch.clear();
        self.producer = Some(transaction.producer);
        self.spare = Some(transaction.out);
        self.show_active();
        self.task.committed(&transaction.watermark).await?; // I1
        failpoint!("source-after-committed");
        Ok(())
    }

    async fn pause(&mut self) {
        self.env.status.set(RunState::Paused, None);
        if self.env.until_started().await {
            self.env.status.set(RunState::Running, None);
        }
    }

    /// Lets the commit under way end, and on a clean stop commits what is filled, within `offset.flush.timeout.ms`.
    async fn finish(&mut self, clean: bool) -> Result<(), TaskError> {
        let deadline = Instant::now() + self.env.worker.flush_timeout;
        for _ in 0..2 {
            if self.commit.is_some() {
                match tokio::time::timeout_at(deadline, commit_done(&mut self.commit)).await {
                    Ok(done) => self.committed(done).await?,
                    Err(_) => {
                        tracing::warn!(task = %self.env.id, "the last transaction was not committed in time; its records will be sent again");
                        return Ok(());
                    }
                }
            }
            if !clean || self.reached.offsets.is_empty() || self.producer.is_none() {
                break;
            }
            self.begin_commit().await?;
            if self.commit.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// The end of the commit under way; never, without one.
async fn commit_done(commit: &mut Option<Commit>) -> Result<Transaction, TaskError> {
    match commit {
        None => std::future::pending().await,
        Some(commit) => match (&mut commit.job).await {
            Ok(done) => done,
            Err(error) => Err(TaskError::fatal(
                "source.commit",
                "The commit of a transaction was interrupted",
            )
            .with_source(error)),
        },
    }
}

/// What the offset topic says about a transaction whose outcome was unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Committed,
    Dropped,
    Foreign,
}

/// Commits a transaction, whatever it takes.
struct Settle {
    log: Arc<dyn Log>,
    offsets: Arc<OffsetStore>,
    id: TaskId,
    cancel: CancellationToken,
    transactional_id: String,
    options: ProducerOptions,
    /// How long a stopping task may go on trying.
    limit: Duration,
}

impl Settle {
    /// Appends and commits. When the outcome is unknown, a new producer settles it, and the offset topic tells whether the transaction is there: only if not, it is
    /// sent once more. So every record is written exactly once, and in order.
    async fn commit(self, mut transaction: Transaction) -> Result<Transaction, TaskError> {
        let mut pause = Backoff::new(Duration::from_millis(50), Duration::from_secs(10));
        let mut give_up: Option<Instant> = None;
        loop {
            let error = match attempt(&mut transaction).await {
                Ok(()) => return Ok(transaction),
                Err(error) => error,
            };
            match &error {
                LogError::UnknownTopic(topic) => {
                    let _ = transaction.producer.abort().await;
                    let new = millrace_log::NewTopic {
                        name: topic.clone(),
                        partitions: -1,
                        replication_factor: -1,
                        settings: Vec::new(),
                    };
                    match self.log.admin().create_topic(&new).await {
                        Ok(()) | Err(LogError::TopicExists(_)) => continue,
                        Err(refused) if refused.is_retriable() => {}
                        Err(refused) => return Err(TopicKeeper::refused(topic, refused)),
                    }
                }
                error if error.is_retriable() => {}
                LogError::Fenced(_) => return Err(self.fenced(error)),
                _ => return Err(self.failed(error)),
            }
            let wait = pause.next_pause();
            tracing::warn!(task = %self.id, %error, "cannot commit a transaction; trying again in {} ms", wait.as_millis());
            if self.cancel.is_cancelled()
                && *give_up.get_or_insert(Instant::now() + self.limit) <= Instant::now()
            {
                return Err(self.failed(error));
            }
            tokio::time::sleep(wait).await;
            let fresh = self
                .log
                .transactional_producer(&self.transactional_id, self.options.clone())
                .await;
            match fresh {
                Ok(fresh) => transaction.producer = fresh,
                Err(error) if error.is_retriable() => continue,
                Err(error) => return Err(self.failed(error)),
            }
            loop {
                match self.offsets.read_to_end().await {
                    Ok(()) => break,
                    Err(error) if error.is_retriable() => {
                        tokio::time::sleep(pause.next_pause()).await
                    }
                    Err(error) => return Err(self.failed(error)),
                }
            }
            match self.outcome(&transaction) {
                Settled::Committed => return Ok(transaction),
                Settled::Dropped => {}
                // Somebody else moves these offsets: it is us who was taken over from (I4).
                Settled::Foreign => return Err(self.fenced(error)),
            }
        }
    }

    /// What became of a transaction: its offsets are in the log if and only if its records are.
    fn outcome(&self, transaction: &Transaction) -> Settled {
        let state = self.offsets.state();
        let connector = &self.id.connector;
        let mut all = transaction
            .watermark
            .offsets
            .iter()
            .zip(&transaction.before);
        let unmoved = all.clone().all(|((partition, _), before)| match before {
            Some(before) => state.is_stored(connector, &Some((**partition).clone()), before),
            None => state
                .offset(connector, &Some((**partition).clone()))
                .is_none(),
        });
        if unmoved {
            // Also when new and old offsets are the same: a record twice is better than none.
            Settled::Dropped
        } else if all.all(|((partition, offset), _)| {
            state.is_stored(connector, &Some((**partition).clone()), offset)
        }) {
            Settled::Committed
        } else {
            Settled::Foreign
        }
    }

    fn fenced(&self, error: LogError) -> TaskError {
        let id = &self.id;
        let message = format!(
            "The task {id} was unable to finish writing records to Kafka before its producer transaction expired. It may be necessary to reconfigure this connector in order for it to run healthily with exactly-once support. Options for this include: tune the connector's producer configuration for higher throughput, increase the transaction timeout for the connector's producers, decrease the offset commit interval (if using interval-based transaction boundaries), or use the 'poll' transaction boundary (if the connector is not already configured to use it)."
        );
        log_error("source.fenced", message, error)
    }

    fn failed(&self, error: LogError) -> TaskError {
        log_error(
            "source.commit",
            format!(
                "Failed to flush offsets and/or records for task {}",
                self.id
            ),
            error,
        )
    }
}

async fn attempt(transaction: &mut Transaction) -> Result<(), LogError> {
    transaction.producer.append(&transaction.out.batch).await?;
    failpoint!("source-after-produce");
    failpoint!("source-before-offset-write");
    transaction.producer.commit().await
}

fn transactional_id(env: &TaskEnv) -> String {
    format!("{}-{}", env.worker.group_id, env.id)
}

/// The task's transactional producer, tried again and again while the log is away; `None`: told to stop meanwhile. From here on whoever wrote under its id before
/// writes nothing more (I4), so it must be made before the task reads where to go on from.
pub(super) async fn producer(
    env: &TaskEnv,
    options: &ProducerOptions,
) -> Result<Option<Box<dyn TransactionalProducer>>, TaskError> {
    let (log, id, task, cancel) = (&*env.log, transactional_id(env), &env.id, &env.cancel);
    let mut pause = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    loop {
        let made = match log.transactional_producer(&id, options.clone()).await {
            // Later, what a commit has left is told apart from what was there before: so that must be known.
            Ok(producer) => match env.offsets.read_to_end().await {
                Ok(()) => Ok(producer),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match made {
            Ok(producer) => return Ok(Some(producer)),
            Err(error) if error.is_retriable() => {
                tracing::warn!(%task, %error, "cannot make a transactional producer; trying again");
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Ok(None),
                    () = tokio::time::sleep(pause.next_pause()) => {}
                }
            }
            Err(error) => {
                return Err(log_error(
                    "source.producer",
                    format!("Cannot make a producer for task {task}"),
                    error,
                ));
            }
        }
    }
}
