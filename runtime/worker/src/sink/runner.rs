use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use millrace_api::config::Props;
use millrace_api::plugin::{
    ErrorKind, Offsets, SinkBatch, SinkTask, SinkTaskContext, Stage, TaskError,
};
use millrace_log::{
    Assigned, FetchBatch, GroupConsumer, GroupConsumerOptions, GroupEvent, LogError,
    ProducerOptions, ReaderOptions, StartAt, Subscription, TopicPartition,
};
use tokio::time::Instant;

use super::decode::{Decoder, describe, original};
use super::positions::Positions;
use super::reports::{Report, Reports};
use crate::connector_config::{ConnectorKeys, client_settings};
use crate::errors::{DeadLetters, ErrorHandler, Place};
use crate::failpoint;
use crate::metrics::Lag;
use crate::pipeline::{Converters, TransformChain};
use crate::plugins::PluginRegistry;
use crate::stores::Backoff;
use crate::stores::status::RunState;
use crate::task::{TaskEnv, target_changed};

/// A sink task, ready to run.
pub struct SinkRunner {
    env: TaskEnv,
    task: Box<dyn SinkTask>,
    props: Props,
    decoder: Decoder,
    consumer: GroupConsumerOptions,
    dead_letters: Option<DeadLetterOptions>,
    reports: Option<Arc<Reports>>,
}

#[derive(Debug)]
struct DeadLetterOptions {
    topic: String,
    replication: i16,
    context: bool,
    producer: ProducerOptions,
}

impl std::fmt::Debug for SinkRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SinkRunner({})", self.env.id)
    }
}

/// The consumer group of a sink connector: `connect-X` unless the connector or the worker names another.
pub(crate) fn group_of(
    worker: &crate::worker_config::WorkerConfig,
    connector: &str,
    props: &Props,
) -> String {
    let own = props
        .get("consumer.override.group.id")
        .or_else(|| worker.props().get("consumer.group.id"));
    own.map_or_else(|| format!("connect-{connector}"), str::to_owned)
}

impl SinkRunner {
    /// Prepares everything that can be wrong with a configuration. `connector` is the connector's, `props` the task's.
    pub fn new(
        env: TaskEnv,
        task: Box<dyn SinkTask>,
        plugins: &PluginRegistry,
        connector: &Props,
        props: Props,
    ) -> Result<Self, TaskError> {
        let keys = ConnectorKeys::read(connector)?;
        let policy = keys.error_policy();
        let reports = (policy.log || !keys.dead_letter_topic.is_empty())
            .then(|| Arc::new(Reports::new(policy.tolerate_all)));
        let handler = ErrorHandler::new(
            policy,
            env.id.clone(),
            Arc::clone(&env.meter),
            Arc::clone(&env.clock),
        );
        let chain = TransformChain::create(plugins, connector, &keys)?;
        let converters = Converters::create(plugins, &env.worker, connector)?;
        let subscription = match (keys.topics.is_empty(), keys.topics_regex.is_empty()) {
            (false, true) => Subscription::Topics(keys.topics.clone()),
            (true, false) => Subscription::Pattern(keys.topics_regex.clone()),
            (true, true) => {
                return Err(TaskError::config(
                    "sink.topics",
                    "Must configure one of topics or topics.regex",
                ));
            }
            (false, false) => {
                return Err(TaskError::config(
                    "sink.topics",
                    "topics and topics.regex are mutually exclusive options, but both are set.",
                ));
            }
        };
        let mut settings = client_settings(&env.worker, connector, "consumer")?;
        let reset = settings
            .iter()
            .rev()
            .find(|(key, _)| key == "auto.offset.reset")
            .map(|(_, value)| value.trim().to_owned());
        let start_at = match reset.as_deref() {
            None | Some("earliest") => StartAt::Earliest,
            Some("latest") => StartAt::Latest,
            Some(other) => {
                let message = format!(
                    "Invalid value {other} for configuration auto.offset.reset: one of earliest, latest is needed"
                );
                return Err(TaskError::config("sink.consumer", message));
            }
        };
        settings.retain(|(key, _)| key != "auto.offset.reset" && key != "group.id");
        let consumer = GroupConsumerOptions {
            group: group_of(&env.worker, &env.id.connector, connector),
            client_id: format!("connector-consumer-{}", env.id),
            subscription,
            start_at,
            settings,
        };
        let dead_letters = (!keys.dead_letter_topic.is_empty())
            .then(|| -> Result<_, TaskError> {
                Ok(DeadLetterOptions {
                    topic: keys.dead_letter_topic.clone(),
                    replication: keys.dead_letter_replication,
                    context: keys.dead_letter_context,
                    producer: ProducerOptions {
                        client_id: format!("connector-dlq-producer-{}", env.id),
                        settings: client_settings(&env.worker, connector, "producer")?,
                    },
                })
            })
            .transpose()?;
        Ok(Self {
            task,
            props,
            decoder: Decoder::new(chain, converters, handler),
            consumer,
            dead_letters,
            reports,
            env,
        })
    }

    /// Runs until the task is told to stop or fails. Statuses RUNNING and PAUSED are written here; the end is the caller's to report.
    pub async fn run(mut self) -> Result<(), TaskError> {
        if self.env.paused() {
            self.env.status.set(RunState::Paused, None);
        }
        if !self.env.until_started().await {
            return Ok(());
        }
        let dead = match &self.dead_letters {
            None => None,
            Some(o) => Some(
                DeadLetters::open(
                    &*self.env.log,
                    &o.topic,
                    o.replication,
                    o.context,
                    &self.env.id,
                    o.producer.clone(),
                )
                .await?,
            ),
        };
        let consumer = self
            .env
            .log
            .group_consumer(self.consumer.clone())
            .await
            .map_err(|error| {
                TaskError::fatal(
                    "sink.consumer",
                    format!("Cannot join consumer group {}", self.consumer.group),
                )
                .with_source(error)
            })?;
        let next_commit = Instant::now() + self.env.worker.flush_interval;
        if !self.start().await? {
            return Ok(());
        }
        self.env.status.set(RunState::Running, None);
        let mut this = SinkLoop {
            next_commit,
            env: self.env,
            task: &mut *self.task,
            decoder: self.decoder,
            consumer,
            positions: Positions::default(),
            batch: SinkBatch::default(),
            fetch: FetchBatch::default(),
            behind: Vec::new(),
            redeliver: None,
            dead,
            reports: self.reports,
            paused: false,
            used_topics: HashSet::new(),
            bytes: (0, 0),
            next_lag: Instant::now(),
        };
        let result = this.run().await;
        // Also after a failure: what was accepted before it is committed.
        let closed = this.close_all().await;
        let SinkLoop { consumer, env, .. } = this;
        if let Err(error) = self.task.stop().await {
            tracing::warn!(task = %env.id, %error, "the task failed to stop cleanly");
        }
        if let Err(error) = consumer.close().await {
            tracing::warn!(task = %env.id, %error, "could not leave the consumer group cleanly");
        }
        result.and(closed)
    }

    async fn start(&mut self) -> Result<bool, TaskError> {
        let mut pause = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        loop {
            let context = SinkTaskContext {
                id: self.env.id.clone(),
                reporter: self.reports.clone().map(|reports| reports as _),
                clock: Arc::clone(&self.env.clock),
                metrics: Arc::clone(&self.env.meter) as _,
                cancel: self.env.cancel.clone(),
            };
            match self.task.start(context, &self.props).await {
                Ok(()) => return Ok(true),
                Err(error) if error.kind == ErrorKind::Retriable => {
                    let wait = pause.next_pause();
                    tracing::warn!(task = %self.env.id, code = error.code, %error, "cannot start; trying again in {} ms", wait.as_millis());
                    tokio::select! {
                        biased;
                        () = self.env.cancel.cancelled() => return Ok(false),
                        () = tokio::time::sleep(wait) => {}
                    }
                }
                Err(_) if self.env.cancel.is_cancelled() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

/// A batch that the task did not accept and gets again.
struct Redelivery {
    pause: Backoff,
    at: Instant,
}

struct SinkLoop<'t> {
    env: TaskEnv,
    task: &'t mut dyn SinkTask,
    decoder: Decoder,
    consumer: Box<dyn GroupConsumer>,
    positions: Positions,
    batch: SinkBatch,
    /// What `batch` was decoded from, for reports.
    fetch: FetchBatch,
    /// Positions behind `batch`, dropped records included.
    behind: Vec<(TopicPartition, i64)>,
    redeliver: Option<Redelivery>,
    dead: Option<DeadLetters>,
    reports: Option<Arc<Reports>>,
    paused: bool,
    next_commit: Instant,
    used_topics: HashSet<Arc<str>>,
    /// Records and bytes read so far: for the size of the average record.
    bytes: (u64, u64),
    next_lag: Instant,
}

impl SinkLoop<'_> {
    async fn run(&mut self) -> Result<(), TaskError> {
        let mut pause = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        loop {
            if self.env.cancel.is_cancelled() {
                return Ok(());
            }
            if self.env.paused() != self.paused {
                self.follow_target().await?;
            }
            let now = Instant::now();
            if now >= self.next_commit {
                self.next_commit = now + self.env.worker.flush_interval;
                self.commit(None).await?;
            }
            if self
                .redeliver
                .as_ref()
                .is_some_and(|redelivery| redelivery.at <= now)
            {
                self.put().await?;
                continue;
            }
            let until = self
                .redeliver
                .as_ref()
                .map_or(self.next_commit, |redelivery| {
                    redelivery.at.min(self.next_commit)
                });
            let event = tokio::select! {
                biased;
                () = self.env.cancel.cancelled() => return Ok(()),
                () = target_changed(&mut self.env.target) => continue,
                event = self.consumer.next(until.saturating_duration_since(now)) => event,
            };
            match event {
                Ok(event) => {
                    pause.reset();
                    self.event(event).await?;
                }
                Err(error) if error.is_retriable() => {
                    tracing::warn!(task = %self.env.id, %error, "cannot read; trying again");
                    tokio::select! {
                        biased;
                        () = self.env.cancel.cancelled() => return Ok(()),
                        () = tokio::time::sleep(pause.next_pause()) => {}
                    }
                }
                Err(error) => return Err(self.unrecoverable(error)),
            }
        }
    }

    async fn event(&mut self, event: GroupEvent) -> Result<(), TaskError> {
        match event {
            GroupEvent::Idle => {
                self.show_lag(false);
                Ok(())
            }
            GroupEvent::Records(fetch) => self.take(fetch).await,
            GroupEvent::Assigned(assigned) => self.assigned(assigned).await,
            GroupEvent::Revoking(partitions) => {
                // The rendezvous: everything of these partitions ends before the group gets them back.
                self.drop_pending(&partitions);
                self.give_back(&partitions).await?;
                match self.consumer.release().await {
                    Ok(()) => Ok(()),
                    Err(error) => Err(self.unrecoverable(error)),
                }
            }
            GroupEvent::Lost(partitions) => {
                self.drop_pending(&partitions);
                self.positions.forget(&partitions);
                self.env.meter.set_partitions(self.positions.len());
                self.task.close(&pairs(&partitions)).await
            }
        }
    }

    async fn take(&mut self, fetch: FetchBatch) -> Result<(), TaskError> {
        if self.redeliver.is_some() {
            return Err(TaskError::fatal(
                "sink.paused",
                "The log delivered records of paused partitions while a batch waits to be put again",
            ));
        }
        self.env.meter.took(fetch.records.len());
        self.bytes.0 += fetch.records.len() as u64;
        self.bytes.1 += fetch.data.len() as u64;
        let mut ends = vec![None; fetch.partitions.len()];
        for record in &fetch.records {
            ends[record.partition as usize] = Some(record.offset + 1);
        }
        self.behind.clear();
        self.behind.extend(
            fetch
                .partitions
                .iter()
                .zip(ends)
                .filter_map(|(partition, end)| Some((partition.clone(), end?))),
        );
        for (partition, _) in &self.behind {
            if self.used_topics.insert(Arc::clone(&partition.topic)) {
                self.env.status.topic(&partition.topic);
            }
        }
        self.batch.records.clear();
        let decoded = self
            .decoder
            .decode(&fetch, &mut self.batch, &mut self.dead, &self.env.cancel)
            .await;
        self.fetch = fetch;
        match decoded {
            Ok(true) => self.put().await,
            Ok(false) => {
                self.batch.records.clear();
                Ok(())
            }
            Err(error) => {
                // The poison record is reported also when it fails the task.
                self.batch.records.clear();
                self.flush_dead_letters().await?;
                Err(error)
            }
        }
    }

    /// Puts the batch. After a retriable error the same batch is put again, for ever, with everything else waiting (I3).
    async fn put(&mut self) -> Result<(), TaskError> {
        let count = self.batch.records.len();
        if count > 0 {
            failpoint!("sink-before-put");
            let started = Instant::now();
            let result = self.task.put(&self.batch).await;
            self.write_reports().await?;
            match result {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::Retriable && !self.reported_too_much() => {
                    return self.put_again_later(&error);
                }
                Err(error) => {
                    let wrapped = TaskError::fatal(
                        "sink.put",
                        "Exiting WorkerSinkTask due to unrecoverable exception.",
                    );
                    return Err(wrapped.with_source(error));
                }
            }
            if self.reported_too_much() {
                return Err(TaskError::fatal(
                    "errors.tolerance",
                    "Tolerance exceeded in error handler",
                ));
            }
            self.env.meter.put(count, started.elapsed());
            failpoint!("sink-after-put");
        }
        self.positions.accepted(&self.behind); // I2
        self.env.meter.set_active(
            usize::try_from(self.positions.uncommitted()).unwrap_or(0),
            0,
        );
        self.show_lag(count > 0);
        self.batch.records.clear();
        self.behind.clear();
        if self.redeliver.take().is_some() && !self.paused {
            self.resume_all()?;
        }
        Ok(())
    }

    fn put_again_later(&mut self, error: &TaskError) -> Result<(), TaskError> {
        if self.redeliver.is_none() {
            self.pause_all()?;
        }
        let redelivery = self.redeliver.get_or_insert_with(|| Redelivery {
            pause: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            at: Instant::now(),
        });
        let wait = redelivery.pause.next_pause();
        redelivery.at = Instant::now() + wait;
        tracing::warn!(task = %self.env.id, code = error.code, %error, "put failed; the same records are put again in {} ms", wait.as_millis());
        Ok(())
    }

    fn reported_too_much(&self) -> bool {
        self.reports
            .as_ref()
            .is_some_and(|reports| reports.exceeded())
    }

    /// Hands what the task has reported to the log and the dead letter queue.
    async fn write_reports(&mut self) -> Result<(), TaskError> {
        let reports = self
            .reports
            .as_ref()
            .map(|reports| reports.take())
            .unwrap_or_default();
        for report in reports {
            self.write_report(report).await?;
        }
        Ok(())
    }

    async fn write_report(&mut self, report: Report) -> Result<(), TaskError> {
        let place = Place {
            stage: Stage::TaskPut,
            class: "org.apache.kafka.connect.sink.SinkTask",
        };
        let _ = self
            .decoder
            .handler()
            .failed(&report.error, &mut Default::default());
        let found = |fetch: &FetchBatch| {
            let partition = fetch
                .partitions
                .iter()
                .position(|p| p.partition == report.partition && p.topic == report.topic)?;
            fetch.records.iter().position(|record| {
                record.partition as usize == partition && record.offset == report.offset
            })
        };
        let older;
        let (fetch, at) = match found(&self.fetch) {
            Some(at) => (&self.fetch, at),
            // Of an earlier batch: the log has it.
            None => {
                older = read_back(&self.env, &report).await?;
                match found(&older) {
                    Some(at) => (&older, at),
                    None => {
                        let (topic, partition, offset) =
                            (&report.topic, report.partition, report.offset);
                        let message = format!(
                            "The record {topic}-{partition}@{offset}, which the task reported, cannot be read again for the dead letter queue"
                        );
                        return Err(TaskError::fatal("dlq.read", message).with_source(report.error));
                    }
                }
            }
        };
        let record = &fetch.records[at];
        self.decoder
            .handler()
            .log(&report.error, place, || describe(fetch, record));
        if let Some(dead) = &mut self.dead {
            dead.add(&original(fetch, record), &report.error, place, true);
        }
        Ok(())
    }

    async fn flush_dead_letters(&mut self) -> Result<(), TaskError> {
        match &mut self.dead {
            Some(dead) if !dead.is_empty() => dead.flush(self.decoder.handler()).await,
            _ => Ok(()),
        }
    }

    async fn assigned(&mut self, assigned: Vec<Assigned>) -> Result<(), TaskError> {
        let partitions: Vec<_> = assigned.iter().map(|a| a.partition.clone()).collect();
        for Assigned {
            partition,
            position,
        } in assigned
        {
            self.positions.assigned(partition, position);
        }
        self.env.meter.set_partitions(self.positions.len());
        if partitions.is_empty() {
            return Ok(());
        }
        if self.paused || self.redeliver.is_some() {
            self.consumer
                .pause(&partitions)
                .map_err(|error| self.unrecoverable(error))?;
        }
        self.task.open(&pairs(&partitions)).await
    }

    /// Takes records of these partitions out of a batch that waits to be put again.
    fn drop_pending(&mut self, partitions: &[TopicPartition]) {
        let gone = |topic: &str, partition: i32| {
            partitions
                .iter()
                .any(|p| p.partition == partition && *p.topic == *topic)
        };
        self.batch
            .records
            .retain(|record| !gone(&record.original_topic, record.original_partition));
        self.behind
            .retain(|(partition, _)| !gone(&partition.topic, partition.partition));
    }

    /// Asks the task what is durable and commits that. A failure to commit never fails the task: the positions go with the next commit.
    async fn commit(&mut self, closing: Option<&[TopicPartition]>) -> Result<(), TaskError> {
        self.write_reports().await?;
        self.flush_dead_letters().await?; // I1: before the offsets of these records
        let offered = self.positions.offered(closing);
        let answer = if offered.is_empty() {
            Ok(Offsets::new())
        } else {
            self.task.pre_commit(&offered).await
        };
        if let Some(partitions) = closing {
            self.task.close(&pairs(partitions)).await?;
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if closing.is_some() => {
                tracing::error!(task = %self.env.id, %error, "the task could not say what is durable; its last offsets are not committed");
                return Ok(());
            }
            Err(error) => {
                tracing::error!(task = %self.env.id, %error, "offset commit failed, going back to the last committed offsets");
                self.env.meter.committed(false, Duration::ZERO);
                return self.rewind().await;
            }
        };
        let commits = self.positions.to_commit(&answer, &offered);
        if commits.is_empty() {
            self.env.meter.commit_skipped();
            return Ok(());
        }
        let started = Instant::now();
        let result = self.consumer.commit(&commits).await;
        self.env.meter.committed(result.is_ok(), started.elapsed());
        match result {
            Ok(()) => {
                self.positions.committed(&commits);
                self.env.meter.set_active(
                    usize::try_from(self.positions.uncommitted()).unwrap_or(0),
                    0,
                );
                failpoint!("sink-after-commit");
            }
            Err(error) => {
                tracing::warn!(task = %self.env.id, %error, "could not commit offsets; they go with the next commit")
            }
        }
        Ok(())
    }

    async fn rewind(&mut self) -> Result<(), TaskError> {
        for (partition, offset) in self.positions.rewind() {
            self.consumer
                .seek(&partition, offset)
                .await
                .map_err(|error| self.unrecoverable(error))?;
        }
        self.batch.records.clear();
        self.behind.clear();
        if self.redeliver.take().is_some() && !self.paused {
            self.resume_all()?;
        }
        Ok(())
    }

    async fn give_back(&mut self, partitions: &[TopicPartition]) -> Result<(), TaskError> {
        let result = self.commit(Some(partitions)).await;
        self.positions.forget(partitions);
        self.env.meter.set_partitions(self.positions.len());
        result
    }

    async fn close_all(&mut self) -> Result<(), TaskError> {
        let partitions = self.positions.partitions();
        self.batch.records.clear();
        self.behind.clear();
        if partitions.is_empty() {
            self.flush_dead_letters().await
        } else {
            self.give_back(&partitions).await
        }
    }

    async fn follow_target(&mut self) -> Result<(), TaskError> {
        self.paused = self.env.paused();
        if self.paused {
            self.pause_all()?;
            self.env.status.set(RunState::Paused, None);
            self.commit(None).await
        } else {
            if self.redeliver.is_none() {
                self.resume_all()?;
            }
            self.env.status.set(RunState::Running, None);
            Ok(())
        }
    }

    fn pause_all(&mut self) -> Result<(), TaskError> {
        let partitions = self.positions.partitions();
        self.consumer
            .pause(&partitions)
            .map_err(|error| self.unrecoverable(error))
    }

    fn resume_all(&mut self) -> Result<(), TaskError> {
        let partitions = self.positions.partitions();
        self.consumer
            .resume(&partitions)
            .map_err(|error| self.unrecoverable(error))
    }

    /// Updates the lag, at most once a second.
    fn show_lag(&mut self, fresh: bool) {
        let now = Instant::now();
        if now < self.next_lag {
            return;
        }
        self.next_lag = now + Duration::from_secs(1);
        let records: i64 = self.consumer.lag().iter().map(|(_, lag)| lag.max(&0)).sum();
        let mean = if self.bytes.0 > 0 {
            self.bytes.1 as f64 / self.bytes.0 as f64
        } else {
            0.0
        };
        let last = self
            .fetch
            .records
            .last()
            .map(|record| record.timestamp)
            .filter(|&timestamp| timestamp >= 0 && (fresh || records > 0));
        let age = last.map_or(0.0, |timestamp| {
            (self.env.clock.now_millis() - timestamp).max(0) as f64 / 1000.0
        });
        let seconds = if records > 0 { age } else { 0.0 };
        self.env.meter.set_lag(Lag {
            records,
            bytes: (records as f64 * mean) as i64,
            seconds,
        });
    }

    fn unrecoverable(&self, error: LogError) -> TaskError {
        TaskError::fatal(
            "sink.log",
            "Exiting WorkerSinkTask due to unrecoverable exception.",
        )
        .with_source(error)
    }
}

/// Reads a reported record once more: it may belong to an earlier batch.
async fn read_back(env: &TaskEnv, report: &Report) -> Result<FetchBatch, TaskError> {
    let failed = |error: LogError| {
        TaskError::fatal("dlq.read", "Cannot read a reported record again").with_source(error)
    };
    let partition = TopicPartition::new(Arc::clone(&report.topic), report.partition);
    let options = ReaderOptions {
        client_id: format!("connector-consumer-{}", env.id),
        from: vec![(partition, report.offset)],
        settings: Vec::new(),
    };
    let mut reader = env.log.reader(options).await.map_err(failed)?;
    reader.next(Duration::from_secs(30)).await.map_err(failed)
}

fn pairs(partitions: &[TopicPartition]) -> Vec<(Arc<str>, i32)> {
    partitions
        .iter()
        .map(|p| (Arc::clone(&p.topic), p.partition))
        .collect()
}
