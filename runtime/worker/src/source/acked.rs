//! The discipline *acked prefix*: records flow, deliveries move the watermark, offsets follow.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use indexmap::IndexMap;
use millrace_api::data::SourceOffset;
use millrace_api::plugin::{SourceTask, TaskError, Watermark};
use millrace_log::{Delivery, LogError, Producer, ProducerOptions};
use tokio::time::Instant;

use super::encode::{Encoder, Outbox, Progress, Track};
use super::ring::CompletionRing;
use super::topics::TopicKeeper;
use super::{LoopState, at_or_never, log_error, render};
use crate::failpoint;
use crate::stores::Backoff;
use crate::stores::status::RunState;
use crate::task::{TaskEnv, target_changed};

impl Track for CompletionRing {
    fn record(&mut self, partition: u32, offset: SourceOffset, bytes: u32) {
        CompletionRing::record(self, partition, offset, bytes);
    }

    fn mark(&mut self, partition: u32, offset: SourceOffset) {
        CompletionRing::mark(self, partition, offset);
    }
}

/// Offsets being written: what to tell the task, and what to take back when it fails.
struct Flush {
    watermark: Watermark,
    offsets: IndexMap<u32, SourceOffset>,
    started: Instant,
    write: BoxFuture<'static, Result<(), LogError>>,
}

struct AckedLoop<'t> {
    env: TaskEnv,
    task: &'t mut dyn SourceTask,
    encoder: Encoder,
    topics: TopicKeeper,
    producer: Box<dyn Producer>,
    state: LoopState,
    ring: CompletionRing,
    out: Outbox,
    /// Records of `out` that the producer has taken.
    taken: usize,
    /// Topics that were not ready when they were first used.
    pending_topics: Vec<Arc<str>>,
    /// Topics used since, with the number of the record that was the first in the batch with it.
    unproven_topics: Vec<(u64, Arc<str>)>,
    deliveries: Vec<Delivery>,
    /// Watermarks that are not being written yet.
    dirty: IndexMap<u32, SourceOffset>,
    flush: Option<Flush>,
    next_flush: Instant,
    send_pause: Backoff,
}

/// What a pause between two steps of the loop ended with.
enum Woken {
    Something,
    FlushDue,
    Flushed(Result<(), LogError>),
}

pub(super) async fn run(
    env: TaskEnv,
    task: &mut dyn SourceTask,
    encoder: Encoder,
    topics: TopicKeeper,
    options: ProducerOptions,
    state: LoopState,
) -> Result<(), TaskError> {
    let producer = env.log.producer(options).await;
    let producer = producer.map_err(|e| {
        log_error(
            "source.producer",
            format!("Cannot make a producer for task {}", env.id),
            e,
        )
    })?;
    let next_flush = Instant::now() + env.worker.flush_interval;
    let mut this = AckedLoop {
        env,
        task,
        encoder,
        topics,
        producer,
        state,
        ring: CompletionRing::new(),
        out: Outbox::default(),
        taken: 0,
        pending_topics: Vec::new(),
        unproven_topics: Vec::new(),
        deliveries: Vec::new(),
        dirty: IndexMap::new(),
        flush: None,
        next_flush,
        send_pause: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
    };
    let result = this.run().await;
    // A task that fails still stores what was acknowledged.
    let last = this.finish().await;
    result.and(last)
}

impl AckedLoop<'_> {
    async fn run(&mut self) -> Result<(), TaskError> {
        loop {
            if self.env.cancel.is_cancelled() {
                return Ok(());
            }
            self.collect().await?;
            if Instant::now() >= self.next_flush {
                self.begin_flush();
            }
            if self.taken < self.out.batch.len() {
                self.send().await?;
                continue;
            }
            if let Some(error) = self.state.failure.take() {
                return Err(error);
            }
            if !self.state.encoded {
                self.encode().await;
                continue;
            }
            if self.env.paused() {
                self.pause().await?;
                continue;
            }
            let pausing = self.state.pausing_until();
            if self.state.finished || pausing.is_some() || !self.has_budget() {
                let woken = self.wait(pausing, true).await;
                self.woken(woken).await?;
            } else {
                self.poll().await?;
            }
        }
    }

    /// Whether more may be in flight.
    fn has_budget(&self) -> bool {
        let worker = &self.env.worker;
        self.ring.in_flight() < worker.max_in_flight_records as usize
            && self.ring.in_flight_bytes() < worker.max_in_flight_bytes as usize
    }

    async fn poll(&mut self) -> Result<(), TaskError> {
        self.state.batch.clear();
        let started = Instant::now();
        let mut flushed = None;
        let flushing = self.flush.is_some();
        let polled = tokio::select! {
            biased;
            () = self.env.cancel.cancelled() => None,
            () = target_changed(&mut self.env.target) => None,
            result = write_done(&mut self.flush) => {
                flushed = Some(result);
                None
            }
            () = tokio::time::sleep_until(self.next_flush), if !flushing => None,
            polled = self.task.poll(&mut self.state.batch) => Some(polled),
        };
        let idle = matches!(polled, Some(Ok(_))) && self.state.batch.is_empty();
        self.state.polled(&self.env, polled, started);
        if let Some(result) = flushed {
            self.flushed(result).await?;
        }
        if idle {
            // A source that returns at once without anything must not keep others from running.
            tokio::task::yield_now().await;
        } else if !self.state.encoded {
            failpoint!("source-after-poll");
        }
        Ok(())
    }

    async fn encode(&mut self) {
        self.out.batch.clear();
        self.taken = 0;
        let first = self.ring.next_sequence();
        match self
            .encoder
            .encode(
                &mut self.state.batch,
                &mut self.out,
                &mut self.ring,
                &self.env.cancel,
            )
            .await
        {
            Ok(Progress::Done) => self.state.encoded = true,
            Ok(Progress::Full | Progress::Cancelled) => {}
            Err(error) => {
                // What was encoded before the record that failed is still written.
                self.state.encoded = true;
                self.state.failure = Some(error);
            }
        }
        for topic in self.encoder.take_new_topics() {
            self.unproven_topics.push((first, Arc::clone(&topic)));
            self.pending_topics.push(topic);
        }
        self.env
            .meter
            .set_active(self.ring.in_flight(), self.ring.in_flight_bytes());
    }

    async fn send(&mut self) -> Result<(), TaskError> {
        while let Some(topic) = self.pending_topics.last().cloned() {
            match self.topics.before_use(&topic).await {
                Ok(()) => {
                    self.pending_topics.pop();
                }
                Err(error) if error.is_retriable() => return self.send_later(&error).await,
                Err(error) => return Err(TopicKeeper::refused(&topic, error)),
            }
        }
        failpoint!("source-before-produce");
        match self.producer.send(&self.out.batch, self.taken) {
            Ok(0) => {
                let woken = self.wait(None, false).await;
                self.woken(woken).await
            }
            Ok(taken) => {
                self.taken += taken;
                self.send_pause.reset();
                failpoint!("source-after-produce");
                Ok(())
            }
            Err(LogError::UnknownTopic(topic)) => match self.topics.missing(&topic).await {
                Ok(()) => Ok(()),
                Err(error) if error.is_retriable() => self.send_later(&error).await,
                Err(error) => Err(TopicKeeper::refused(&topic, error)),
            },
            Err(error) if error.is_retriable() => self.send_later(&error).await,
            Err(error) => Err(log_error(
                "source.send",
                "Unrecoverable exception trying to send".to_owned(),
                error,
            )),
        }
    }

    async fn send_later(&mut self, error: &LogError) -> Result<(), TaskError> {
        let pause = self.send_pause.next_pause();
        tracing::warn!(task = %self.env.id, %error, "cannot send records; trying again in {} ms", pause.as_millis());
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.env.cancel.is_cancelled() {
            let woken = self.wait(Some(until), false).await;
            self.woken(woken).await?;
        }
        Ok(())
    }

    /// Takes deliveries in. The first record that was not written fails the task: what the source sends after a restart must not come behind what it sent after
    /// that record (I3).
    async fn collect(&mut self) -> Result<(), TaskError> {
        self.producer.deliveries(&mut self.deliveries);
        if self.deliveries.is_empty() {
            return Ok(());
        }
        let mut written = 0;
        let mut failure = None;
        for delivery in self.deliveries.drain(..) {
            let durable = match delivery.result {
                Ok(_) => {
                    written += 1;
                    true
                }
                Err(error)
                    if self.encoder.handler().policy().tolerate_all
                        && concerns_the_record(&error) =>
                {
                    let shown = millrace_api::plugin::DataError::new(error.to_string());
                    let _ = self
                        .encoder
                        .handler()
                        .failed(&shown, &mut Default::default());
                    let place = crate::errors::Place {
                        stage: millrace_api::plugin::Stage::KafkaProduce,
                        class: "org.apache.kafka.clients.producer.KafkaProducer",
                    };
                    self.encoder.handler().log(&shown, place, || {
                        format!("source record is number {} of this task", delivery.sequence)
                    });
                    true
                }
                Err(error) => {
                    failure.get_or_insert(error);
                    false
                }
            };
            if durable {
                self.ring
                    .acked(delivery.sequence)
                    .map_err(|e| TaskError::fatal("source.delivery", e.to_string()))?; // I2
            }
        }
        self.env.meter.written(written);
        self.env
            .meter
            .set_active(self.ring.in_flight(), self.ring.in_flight_bytes());
        let proven = self.ring.first_in_flight();
        self.unproven_topics.retain(|(first, topic)| {
            let used = *first < proven;
            if used {
                self.topics.used(topic);
            }
            !used
        });
        match failure {
            None => Ok(()),
            Some(error) => Err(log_error(
                "source.delivery",
                "Unrecoverable exception from producer send callback".to_owned(),
                error,
            )),
        }
    }

    /// Begins to store the watermarks that have moved (I1: nothing else is ever stored).
    fn begin_flush(&mut self) {
        self.next_flush = Instant::now() + self.env.worker.flush_interval;
        if self.flush.is_some() {
            return;
        }
        self.dirty.extend(self.ring.take_watermarks());
        if self.dirty.is_empty() {
            return;
        }
        let offsets = std::mem::take(&mut self.dirty);
        let watermark = render(&*self.task, &self.state.batch, &offsets);
        let connector = Arc::clone(&self.env.id.connector);
        let store = Arc::clone(&self.env.offsets);
        let writes: Vec<_> = {
            let state = store.state();
            watermark
                .offsets
                .iter()
                .flat_map(|(partition, offset)| {
                    state.writes(&connector, &Some((**partition).clone()), Some(offset))
                })
                .collect()
        };
        let limit = self.env.worker.flush_timeout;
        let write = Box::pin(async move {
            failpoint!("source-before-offset-write");
            match tokio::time::timeout(limit, store.put(writes)).await {
                Ok(result) => result,
                Err(_) => Err(LogError::Timeout(format!(
                    "offsets were not stored within offset.flush.timeout.ms={}",
                    limit.as_millis()
                ))),
            }
        });
        self.flush = Some(Flush {
            watermark,
            offsets,
            started: Instant::now(),
            write,
        });
    }

    async fn flushed(&mut self, result: Result<(), LogError>) -> Result<(), TaskError> {
        let Some(flush) = self.flush.take() else {
            return Ok(());
        };
        self.env
            .meter
            .committed(result.is_ok(), flush.started.elapsed());
        if let Err(error) = result {
            tracing::warn!(task = %self.env.id, %error, "failed to store offsets; they are tried again with the next ones");
            // Newer positions win over those that come back.
            let newer = std::mem::replace(&mut self.dirty, flush.offsets);
            self.dirty.extend(newer);
            return Ok(());
        }
        failpoint!("source-after-offset-write");
        self.task.committed(&flush.watermark).await?; // I1
        failpoint!("source-after-committed");
        Ok(())
    }

    /// Waits until there is something to do, at most until `until`. `deliveries`: only those that are in flight can come.
    async fn wait(&mut self, until: Option<Instant>, only_in_flight: bool) -> Woken {
        let flushing = self.flush.is_some();
        let delivering = !only_in_flight || self.ring.in_flight() > 0;
        tokio::select! {
            biased;
            () = self.env.cancel.cancelled() => Woken::Something,
            () = target_changed(&mut self.env.target) => Woken::Something,
            result = write_done(&mut self.flush) => Woken::Flushed(result),
            () = tokio::time::sleep_until(self.next_flush), if !flushing => Woken::FlushDue,
            () = at_or_never(until) => Woken::Something,
            () = self.producer.wait(Duration::from_secs(1)), if delivering => Woken::Something,
        }
    }

    async fn woken(&mut self, woken: Woken) -> Result<(), TaskError> {
        match woken {
            Woken::Something => Ok(()),
            Woken::FlushDue => {
                self.begin_flush();
                Ok(())
            }
            Woken::Flushed(result) => self.flushed(result).await,
        }
    }

    /// Idle at the user's wish: what is acknowledged is stored, nothing is polled.
    async fn pause(&mut self) -> Result<(), TaskError> {
        self.env.status.set(RunState::Paused, None);
        while self.env.paused() && !self.env.cancel.is_cancelled() {
            if self.ring.has_moved() {
                self.begin_flush();
            }
            let woken = self.wait(None, true).await;
            self.woken(woken).await?;
            self.collect().await?;
        }
        if !self.env.cancel.is_cancelled() {
            self.env.status.set(RunState::Running, None);
        }
        Ok(())
    }

    /// Waits for outstanding acknowledgements and stores the last offsets, all within `offset.flush.timeout.ms`.
    async fn finish(&mut self) -> Result<(), TaskError> {
        let deadline = Instant::now() + self.env.worker.flush_timeout;
        let sent = self.ring.next_sequence() - (self.out.batch.len() - self.taken) as u64;
        let mut failed = Ok(());
        while self.ring.first_in_flight() < sent && Instant::now() < deadline {
            self.producer
                .wait(
                    deadline
                        .saturating_duration_since(Instant::now())
                        .min(Duration::from_millis(100)),
                )
                .await;
            failed = self.collect().await;
            if failed.is_err() {
                break;
            }
        }
        // A second round stores what the first one, still under way, did not include.
        for _ in 0..2 {
            self.begin_flush();
            if self.flush.is_none() {
                break;
            }
            let Ok(result) = tokio::time::timeout_at(
                deadline.max(Instant::now() + Duration::from_millis(100)),
                write_done(&mut self.flush),
            )
            .await
            else {
                tracing::warn!(task = %self.env.id, "the last offsets were not stored in time; their records will be sent again");
                break;
            };
            if let Err(error) = self.flushed(result).await {
                tracing::warn!(task = %self.env.id, %error, "the task did not take the news of its last stored offsets");
                break;
            }
        }
        failed
    }
}

/// Whether an error is about one record rather than about the log.
fn concerns_the_record(error: &LogError) -> bool {
    matches!(
        error,
        LogError::RecordTooLarge { .. }
            | LogError::Authorization(_)
            | LogError::UnknownTopic(_)
            | LogError::Config(_)
    )
}

/// The end of the write under way; never, without one.
async fn write_done(flush: &mut Option<Flush>) -> Result<(), LogError> {
    match flush {
        Some(flush) => (&mut flush.write).await,
        None => std::future::pending().await,
    }
}
