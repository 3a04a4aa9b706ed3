//! Runs source tasks: poll, transform, convert, write, and store the offset of what is durable.
//!
//! There are two disciplines, and the log says which one it wants. With *acked prefix* ([`acked`]) records flow through a producer, deliveries move a watermark
//! per source partition, and the offset topic follows it now and then. With *atomic* ([`atomic`]) records and offsets are one transaction.

mod acked;
mod atomic;
mod encode;
mod ring;
#[cfg(test)]
mod tests;
mod topics;

pub use ring::{CompletionRing, UnknownSequence};

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use millrace_api::config::Props;
use millrace_api::data::SourceOffset;
use millrace_api::plugin::{
    ErrorKind, SourceBatch, SourceTask, SourceTaskContext, TaskError, Watermark,
};
use millrace_log::{LogError, ProducerOptions, SourceDiscipline};

use crate::connector_config::{ConnectorKeys, TopicCreation, client_settings};
use crate::errors::ErrorHandler;
use crate::pipeline::{Converters, TransformChain};
use crate::plugins::PluginRegistry;
use crate::stores::Backoff;
use crate::stores::offset::ConnectorOffsetReader;
use crate::stores::status::RunState;
use crate::task::TaskEnv;
use encode::Encoder;
use topics::TopicKeeper;

/// How long `poll` may wait for data: short enough that offsets are looked at now and then even by a task that ignores being dropped.
const POLL_TIMEOUT: Duration = Duration::from_millis(500);

/// A source task, ready to run.
pub struct SourceRunner {
    env: TaskEnv,
    task: Box<dyn SourceTask>,
    props: Props,
    encoder: Encoder,
    topics: TopicKeeper,
    producer: ProducerOptions,
}

impl std::fmt::Debug for SourceRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceRunner({})", self.env.id)
    }
}

impl SourceRunner {
    /// Prepares everything that can be wrong with a configuration. `connector` is the connector's, `props` the task's.
    pub fn new(
        env: TaskEnv,
        task: Box<dyn SourceTask>,
        plugins: &PluginRegistry,
        connector: &Props,
        props: Props,
    ) -> Result<Self, TaskError> {
        let keys = ConnectorKeys::read(connector)?;
        let handler = ErrorHandler::new(
            keys.error_policy(),
            env.id.clone(),
            Arc::clone(&env.meter),
            Arc::clone(&env.clock),
        );
        let chain = TransformChain::create(plugins, connector, &keys)?;
        let converters = Converters::create(plugins, &env.worker, connector)?;
        let creation = TopicCreation::read(&env.worker, connector, &keys)?;
        let producer = ProducerOptions {
            client_id: format!("connector-producer-{}", env.id),
            settings: client_settings(&env.worker, connector, "producer")?,
        };
        let atomic = env.log.source_discipline() == SourceDiscipline::Atomic;
        let forbidden = atomic.then(|| env.offsets.topic().to_owned());
        let topics = TopicKeeper::new(Arc::clone(&env.log), env.status.clone(), creation);
        Ok(Self {
            task,
            props,
            encoder: Encoder::new(chain, converters, handler, forbidden),
            topics,
            producer,
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
        let transactional = match self.env.log.source_discipline() {
            SourceDiscipline::AckedPrefix => None,
            SourceDiscipline::Atomic => match atomic::producer(&self.env, &self.producer).await? {
                Some(producer) => Some(producer),
                None => return Ok(()),
            },
        };
        if !self.start().await? {
            return Ok(());
        }
        self.env.status.set(RunState::Running, None);
        let id = self.env.id.clone();
        let state = LoopState::new();
        let result = match transactional {
            None => {
                acked::run(
                    self.env,
                    &mut *self.task,
                    self.encoder,
                    self.topics,
                    self.producer,
                    state,
                )
                .await
            }
            Some(producer) => {
                atomic::run(
                    self.env,
                    &mut *self.task,
                    self.encoder,
                    self.topics,
                    producer,
                    self.producer,
                    state,
                )
                .await
            }
        };
        if let Err(error) = self.task.stop().await {
            tracing::warn!(task = %id, %error, "the task failed to stop cleanly");
        }
        result
    }

    /// Starts the task, again and again while it fails with retriable errors; `false`: told to stop meanwhile.
    async fn start(&mut self) -> Result<bool, TaskError> {
        let mut pause = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        loop {
            let context = SourceTaskContext {
                id: self.env.id.clone(),
                offsets: Arc::new(ConnectorOffsetReader::new(
                    Arc::clone(&self.env.offsets),
                    Arc::clone(&self.env.id.connector),
                )),
                clock: Arc::clone(&self.env.clock),
                metrics: Arc::clone(&self.env.meter) as _,
                cancel: self.env.cancel.clone(),
                poll_timeout: POLL_TIMEOUT,
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

/// What both loops keep between polls.
struct LoopState {
    batch: SourceBatch,
    /// Whether all of `batch` has been encoded.
    encoded: bool,
    /// The source has come to its end.
    finished: bool,
    /// Fails the task once everything before it has been written.
    failure: Option<TaskError>,
    poll_pause: Backoff,
    poll_not_before: Option<tokio::time::Instant>,
}

impl LoopState {
    fn new() -> Self {
        Self {
            batch: SourceBatch::new(),
            encoded: true,
            finished: false,
            failure: None,
            poll_pause: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            poll_not_before: None,
        }
    }

    /// Takes in what a poll has answered; `None`: it was dropped to do something else.
    fn polled(
        &mut self,
        env: &TaskEnv,
        polled: Option<Result<millrace_api::plugin::Poll, TaskError>>,
        since: tokio::time::Instant,
    ) {
        use millrace_api::plugin::Poll;
        self.encoded = self.batch.is_empty();
        match polled {
            None => {}
            Some(Ok(poll)) => {
                self.poll_pause.reset();
                self.finished = poll == Poll::Finished;
            }
            Some(Err(error)) if error.kind == ErrorKind::Retriable => {
                let wait = self.poll_pause.next_pause();
                tracing::warn!(task = %env.id, code = error.code, %error, "poll failed; trying again in {} ms", wait.as_millis());
                self.poll_not_before = Some(tokio::time::Instant::now() + wait);
            }
            Some(Err(error)) => self.failure = Some(error),
        }
        if !self.encoded {
            env.meter
                .polled(self.batch.records().len(), since.elapsed());
        }
    }

    /// Until when polling must wait after a failure.
    fn pausing_until(&mut self) -> Option<tokio::time::Instant> {
        if self
            .poll_not_before
            .is_some_and(|at| at <= tokio::time::Instant::now())
        {
            self.poll_not_before = None;
        }
        self.poll_not_before
    }
}

/// Resolves at `at`, or never.
async fn at_or_never(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Source offsets by index of their source partition, as maps.
fn render(
    task: &dyn SourceTask,
    batch: &SourceBatch,
    offsets: &IndexMap<u32, SourceOffset>,
) -> Watermark {
    let map = |offset: &SourceOffset| match offset {
        SourceOffset::Map(map) => Arc::clone(map),
        SourceOffset::Packed(numbers) => Arc::new(task.render_offset(numbers)),
    };
    Watermark {
        offsets: offsets
            .iter()
            .map(|(partition, offset)| (Arc::clone(batch.partition_map(*partition)), map(offset)))
            .collect(),
    }
}

/// An error of the log as a task reports it.
fn log_error(code: &'static str, message: String, error: LogError) -> TaskError {
    TaskError::fatal(code, message).with_source(error)
}
