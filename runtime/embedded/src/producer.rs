use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_log::local::Topic;
use millrace_log::{Delivery, LogError, Producer, ProducerOptions, RecordBatch};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::drafts::{Draft, Drafts};
use crate::engine::Engine;
use crate::writer::Append;

/// What a producer has in flight and what became of the rest.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: Vec<Delivery>,
    /// Records and encoded bytes that are queued.
    in_flight: usize,
    in_flight_bytes: usize,
    /// Topics that are being made (`None`), or why they could not be.
    topics: HashMap<Arc<str>, Option<LogError>>,
    /// A topic was made, so `send` can go on.
    nudged: bool,
}

/// Records that may be in flight or waiting to be taken.
const MAX_RECORDS: usize = 100_000;

impl Deliveries {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what became of `drafts`; `result` has the offset of each one's first record.
    pub(crate) fn settle(&self, drafts: &[Draft], result: Result<Vec<i64>, LogError>) {
        self.with(|state| {
            for (at, draft) in drafts.iter().enumerate() {
                let number = draft.partition.name.partition;
                for (i, &sequence) in draft.sequences.iter().enumerate() {
                    let result = match &result {
                        Ok(bases) => Ok((number, bases[at] + i as i64)),
                        Err(error) => Err(error.clone()),
                    };
                    state.ready.push(Delivery { sequence, result });
                }
                state.in_flight -= draft.sequences.len();
                state.in_flight_bytes -= draft.size;
            }
        });
        self.changed.notify_one();
    }
}

/// [`Producer`] of the embedded log: encodes in the caller's task, commits in the writer's.
///
/// Obeys `buffer.memory` (32 MiB) of a Java producer.
#[derive(Debug)]
pub(crate) struct EmbeddedProducer {
    engine: Arc<Engine>,
    deliveries: Arc<Deliveries>,
    drafts: Drafts,
    buffer_bytes: usize,
    next: u64,
}

impl EmbeddedProducer {
    pub(crate) fn new(engine: Arc<Engine>, options: &ProducerOptions) -> Result<Self, LogError> {
        engine.writer()?;
        let buffer_bytes = match options
            .settings
            .iter()
            .rev()
            .find(|(k, _)| k == "buffer.memory")
        {
            None => 32 << 20,
            Some((_, value)) => value.trim().parse().map_err(|_| {
                LogError::Config(format!(
                    "buffer.memory={value}: a number of bytes is needed"
                ))
            })?,
        };
        Ok(Self {
            engine,
            deliveries: Arc::default(),
            drafts: Drafts::default(),
            buffer_bytes,
            next: 0,
        })
    }

    /// The topic; `Ok(None)` while it is being made.
    fn topic(&self, name: &Arc<str>) -> Result<Option<Arc<Topic>>, LogError> {
        if let Some(topic) = self.engine.shared.catalog.topic(name) {
            return Ok(Some(topic));
        }
        match self
            .deliveries
            .with(|state| state.topics.get(name).cloned())
        {
            Some(None) => return Ok(None),
            Some(Some(error)) => return Err(error),
            None => {}
        }
        let Some(place) = self.engine.writer()?.place()? else {
            return Ok(None);
        };
        self.deliveries
            .with(|state| state.topics.insert(Arc::clone(name), None));
        let (deliveries, made, name) = (
            Arc::clone(&self.deliveries),
            Arc::clone(name),
            Arc::clone(name),
        );
        let then = move |result: Result<(), LogError>| {
            deliveries.with(|state| {
                state.topics.remove(&made);
                if let Err(error) = result {
                    state.topics.insert(made, Some(error));
                }
                state.nudged = true;
            });
            deliveries.changed.notify_one();
        };
        place.alone(move |writer| writer.ensure_topic(&name), then);
        Ok(None)
    }

    fn refuse(&mut self, error: LogError) {
        let sequence = self.next;
        self.deliveries.with(|state| {
            state.ready.push(Delivery {
                sequence,
                result: Err(error),
            })
        });
        self.deliveries.changed.notify_one();
    }
}

#[async_trait::async_trait]
impl Producer for EmbeddedProducer {
    fn send(&mut self, batch: &RecordBatch, from: usize) -> Result<usize, LogError> {
        let engine = Arc::clone(&self.engine);
        let Some(place) = engine.writer()?.place()? else {
            return Ok(0);
        };
        let (records, bytes) = self
            .deliveries
            .with(|s| (s.in_flight + s.ready.len(), s.in_flight_bytes));
        let mut topics: Vec<Option<Result<Arc<Topic>, LogError>>> =
            vec![None; batch.topics().len()];
        let mut taken = 0;
        while from + taken < batch.len()
            && records + taken < MAX_RECORDS
            && bytes + self.drafts.bytes() < self.buffer_bytes.max(1)
        {
            let record = batch.get(from + taken);
            let topic = &mut topics[batch.record(from + taken).topic.0 as usize];
            if topic.is_none() {
                *topic = match self.topic(record.topic) {
                    Ok(None) => break,
                    Ok(Some(topic)) => Some(Ok(topic)),
                    Err(error) => Some(Err(error)),
                };
            }
            let pushed = match topic {
                Some(Ok(topic)) => self.drafts.push(topic, &record, Some(self.next)),
                Some(Err(error)) => Err(error.clone()),
                None => break,
            };
            if let Err(error) = pushed {
                self.refuse(error);
            }
            self.next += 1;
            taken += 1;
        }
        for (name, topic) in batch.topics().iter().zip(&topics) {
            if matches!(topic, Some(Err(_))) {
                // The next send tries to make the topic again.
                self.deliveries.with(|state| state.topics.remove(name));
            }
        }
        let drafts = self.drafts.take();
        if !drafts.is_empty() {
            self.deliveries.with(|state| {
                state.in_flight += drafts.iter().map(|d| d.sequences.len()).sum::<usize>();
                state.in_flight_bytes += drafts.iter().map(|d| d.size).sum::<usize>();
            });
            let append = Append {
                drafts,
                ..Append::default()
            };
            place.append(append, &self.deliveries);
        }
        Ok(taken)
    }

    fn deliveries(&mut self, out: &mut Vec<Delivery>) {
        self.deliveries.with(|state| out.append(&mut state.ready));
    }

    async fn wait(&mut self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while !self
            .deliveries
            .with(|state| std::mem::take(&mut state.nudged) || !state.ready.is_empty())
        {
            if timeout_at(deadline, self.deliveries.changed.notified())
                .await
                .is_err()
            {
                return;
            }
        }
    }

    async fn flush(&mut self, timeout: Duration) -> Result<(), LogError> {
        let deadline = Instant::now() + timeout;
        loop {
            let in_flight = self.deliveries.with(|state| state.in_flight);
            if in_flight == 0 {
                return self.engine.shared.ensure_open();
            }
            // A writer that stopped settles nothing any more.
            self.engine.shared.ensure_open()?;
            if timeout_at(deadline, self.deliveries.changed.notified())
                .await
                .is_err()
            {
                return Err(LogError::Timeout(format!(
                    "{in_flight} records were not written within {} ms",
                    timeout.as_millis()
                )));
            }
        }
    }
}
