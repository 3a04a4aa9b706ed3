//! The producer without transactions, and what it shares with the one that has them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use millrace_log::{Delivery, LogError, Producer, RecordBatch};
use rdkafka::ClientConfig;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::time::{Instant, timeout};

use crate::completions::{Completions, Keep, Spare, TopicLimits};
use crate::errors::{from_client, from_code};
use crate::threads::{Stop as _, Threads, drop_elsewhere};

/// How long one poll of the event queue lasts; bounds the time until a stopped thread ends.
const POLL: Duration = Duration::from_millis(100);

/// A librdkafka producer with a thread that serves its delivery reports.
pub(crate) struct Client {
    // Always there but in `drop`.
    producer: Option<Arc<BaseProducer<Completions>>>,
    completions: Arc<Completions>,
    /// Sequence number of the next record.
    next: u64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("next", &self.next)
            .field("in_flight", &self.completions.in_flight())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes the client; it connects when it has something to send.
    pub(crate) fn start(
        threads: &Threads,
        config: &ClientConfig,
        keep: Keep,
        topics: TopicLimits,
    ) -> Result<Self, LogError> {
        let limit = config
            .get("message.max.bytes")
            .and_then(|v| v.parse().ok())
            .unwrap_or(1_000_000);
        let producer: BaseProducer<Completions> = config
            .create_with_context(Completions::new(keep, limit, topics))
            .map_err(|e| from_client("cannot make a Kafka producer", e))?;
        let completions = Arc::clone(producer.client().context());
        let producer = Arc::new(producer);
        let served = Arc::clone(&producer);
        let seen = Arc::clone(&completions);
        let owner = Arc::clone(&completions) as Arc<dyn crate::threads::Stop>;
        threads.start("kafka-producer", Arc::downgrade(&owner), move || {
            while !seen.is_stopped() {
                served.poll(POLL);
            }
        })?;
        Ok(Self {
            producer: Some(producer),
            completions,
            next: 0,
        })
    }

    pub(crate) fn completions(&self) -> &Arc<Completions> {
        &self.completions
    }

    /// The librdkafka client, unless the log was closed.
    pub(crate) fn producer(&self) -> Result<&Arc<BaseProducer<Completions>>, LogError> {
        match &self.producer {
            Some(producer) if !self.completions.is_stopped() => Ok(producer),
            _ => Err(LogError::Closed),
        }
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Hands records `from..` to librdkafka until its queue is full; returns how many.
    pub(crate) fn send(&mut self, batch: &RecordBatch, from: usize) -> Result<usize, LogError> {
        let producer = Arc::clone(self.producer()?);
        let before = self.next;
        let mut result = Ok(());
        for at in from..batch.len() {
            let view = batch.get(at);
            let mut record =
                BaseRecord::<[u8], [u8], usize>::with_opaque_to(view.topic, self.next as usize);
            record.key = view.key;
            record.payload = view.value;
            record.partition = (view.partition >= 0).then_some(view.partition);
            // To librdkafka 0 means now; a millisecond past 1970 is nearer to what was asked for.
            record.timestamp = (view.timestamp >= 0).then_some(view.timestamp.max(1));
            let headers = view.headers();
            if headers.len() > 0 {
                let list = OwnedHeaders::new_with_capacity(headers.len());
                record.headers = Some(headers.fold(list, |list, (key, value)| {
                    list.insert(Header { key, value })
                }));
            }
            let code = match producer.send(record) {
                Ok(()) => {
                    self.next += 1;
                    continue;
                }
                Err((error, _)) => error.rdkafka_error_code().unwrap_or(Code::InvalidTopic),
            };
            match code {
                Code::QueueFull if producer.in_flight_count() > 0 => break,
                Code::Fatal | Code::Fenced => {
                    result = Err(fatal(&producer));
                    break;
                }
                Code::State => {
                    result = Err(from_code(
                        "cannot send: the transaction must be aborted",
                        code,
                        None,
                    ));
                    break;
                }
                code => {
                    // One record that can never be written, however empty the queue is; the next ones may be.
                    let error = match code {
                        Code::QueueFull => LogError::Config(format!(
                            "a record of {} bytes for topic '{}' does not fit into the producer's empty queue: raise 'buffer.memory'",
                            view.size(),
                            view.topic
                        )),
                        // Headers count for librdkafka and in `size`; what it refuses here is over `max.request.size`.
                        Code::MessageSizeTooLarge => LogError::RecordTooLarge {
                            topic: view.topic.to_string(),
                            size: view.size(),
                            limit: self.completions.limit(),
                        },
                        code => self.completions.refusal(code, view.topic, view.size()),
                    };
                    self.completions.refused(self.next, error);
                    self.next += 1;
                }
            }
        }
        self.completions.set_taken(self.next);
        match (self.next - before, result) {
            (0, Err(error)) => Err(error),
            (taken, _) => Ok(taken as usize),
        }
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn flush(&self, limit: Duration) -> Result<(), LogError> {
        let deadline = Instant::now() + limit;
        // Asking librdkafka to flush makes it forget `linger.ms` for that moment, so it is asked again and again; it does not block.
        let nudge = Duration::from_millis(5);
        while self.completions.in_flight() > 0 {
            let producer = self.producer()?;
            drop(producer.flush(Duration::ZERO));
            let now = Instant::now();
            if now >= deadline {
                return Err(LogError::Timeout(format!(
                    "{} records are not acknowledged after {} ms; is the broker reachable?",
                    self.completions.in_flight(),
                    limit.as_millis()
                )));
            }
            drop(timeout(nudge.min(deadline - now), self.completions.progress()).await);
        }
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(producer) = self.producer.take() {
            // Our reference goes first, so that the thread's is the last one.
            self.completions.stop();
            drop_elsewhere(producer);
        }
    }
}

/// The error that ended this producer for good.
pub(crate) fn fatal(producer: &BaseProducer<Completions>) -> LogError {
    match producer.client().fatal_error() {
        Some((code, text)) => match from_code(&text, code, None) {
            fenced @ LogError::Fenced(_) => fenced,
            _ => LogError::fatal(format!("the Kafka producer cannot go on: {text}")),
        },
        None => LogError::fatal("the Kafka producer cannot go on"),
    }
}

/// [`Producer`] for Kafka.
#[derive(Debug)]
pub(crate) struct KafkaProducer {
    client: Client,
    spare: Spare,
}

impl KafkaProducer {
    pub(crate) fn start(
        threads: &Threads,
        config: &ClientConfig,
        topics: TopicLimits,
    ) -> Result<Self, LogError> {
        Ok(Self {
            client: Client::start(threads, config, Keep::Deliveries, topics)?,
            spare: Spare::default(),
        })
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.client.next_sequence()
    }
}

#[async_trait::async_trait]
impl Producer for KafkaProducer {
    fn send(&mut self, batch: &RecordBatch, from: usize) -> Result<usize, LogError> {
        self.client.send(batch, from)
    }

    fn deliveries(&mut self, out: &mut Vec<Delivery>) {
        self.client.completions().drain(&mut self.spare, out);
    }

    async fn wait(&mut self, limit: Duration) {
        drop(timeout(limit, self.client.completions().ready()).await);
    }

    async fn flush(&mut self, limit: Duration) -> Result<(), LogError> {
        self.client.flush(limit).await
    }
}
