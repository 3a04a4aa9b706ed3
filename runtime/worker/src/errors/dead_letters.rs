use std::sync::Arc;
use std::time::Duration;

use millrace_api::plugin::{DataError, TaskError, TaskId};
use millrace_log::{
    Delivery, Log, LogError, NewTopic, Producer, ProducerOptions, RecordBatch, TopicIndex,
};

use super::{ErrorHandler, Place, data_trace};

/// A consumed record as it was read: what the dead letter queue gets.
#[derive(Debug, Clone)]
pub struct OriginalRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: i64,
    /// Key bytes.
    pub key: Option<&'a [u8]>,
    /// Value bytes.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: Vec<(Arc<str>, Option<&'a [u8]>)>,
}

/// The dead letter queue of one sink task.
#[derive(Debug)]
pub struct DeadLetters {
    topic: String,
    index: TopicIndex,
    producer: Box<dyn Producer>,
    batch: RecordBatch,
    /// Per record of `batch`: whether its loss fails the task.
    must: Vec<bool>,
    context: Option<ContextHeaders>,
    deliveries: Vec<Delivery>,
    sent: u64,
}

/// Names of the context headers, and the values that never change.
#[derive(Debug)]
struct ContextHeaders {
    names: [Arc<str>; 10],
    connector: Arc<str>,
    task: String,
}

const NAMES: [&str; 10] = [
    "__connect.errors.topic",
    "__connect.errors.partition",
    "__connect.errors.offset",
    "__connect.errors.connector.name",
    "__connect.errors.task.id",
    "__connect.errors.stage",
    "__connect.errors.class.name",
    "__connect.errors.exception.class.name",
    "__connect.errors.exception.message",
    "__connect.errors.exception.stacktrace",
];

impl DeadLetters {
    /// Creates the topic (one partition) unless it exists, and a producer for it.
    pub async fn open(
        log: &dyn Log,
        topic: &str,
        replication_factor: i16,
        context_headers: bool,
        task: &TaskId,
        producer: ProducerOptions,
    ) -> Result<Self, TaskError> {
        let failed = |error: LogError| {
            TaskError::fatal(
                "dlq.topic",
                format!("Could not initialize dead letter queue with topic={topic}"),
            )
            .with_source(error)
        };
        if log
            .admin()
            .describe_topic(topic)
            .await
            .map_err(failed)?
            .is_none()
        {
            let new = NewTopic {
                name: topic.to_owned(),
                partitions: 1,
                replication_factor,
                settings: Vec::new(),
            };
            match log.admin().create_topic(&new).await {
                Ok(()) | Err(LogError::TopicExists(_)) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let producer = log.producer(producer).await.map_err(failed)?;
        let mut batch = RecordBatch::new();
        let index = batch.topic(topic);
        let context = context_headers.then(|| ContextHeaders {
            names: NAMES.map(Arc::from),
            connector: Arc::clone(&task.connector),
            task: task.task.to_string(),
        });
        Ok(Self {
            topic: topic.to_owned(),
            index,
            producer,
            batch,
            must: Vec::new(),
            context,
            deliveries: Vec::new(),
            sent: 0,
        })
    }

    /// Adds a record; [`flush`](Self::flush) writes it. `must`: the task asked for it, and fails when it cannot be written.
    pub fn add(
        &mut self,
        record: &OriginalRecord<'_>,
        error: &DataError,
        place: Place<'_>,
        must: bool,
    ) {
        let batch = &mut self.batch;
        batch
            .begin()
            .extend_from_slice(record.key.unwrap_or_default());
        batch.end_key(record.key.is_some());
        batch
            .arena()
            .extend_from_slice(record.value.unwrap_or_default());
        batch.end_value(record.value.is_some());
        for (name, value) in &record.headers {
            batch.header(name, *value);
        }
        if let Some(context) = &self.context {
            let (partition, offset) = (record.partition.to_string(), record.offset.to_string());
            let trace = data_trace(error);
            let values = [
                record.topic,
                &partition,
                &offset,
                &context.connector,
                &context.task,
                place.stage.name(),
                place.class,
                error.java_class,
                &error.message,
                &trace,
            ];
            for (name, value) in context.names.iter().zip(values) {
                batch.header(name, Some(value.as_bytes()));
            }
        }
        batch.push(self.index, -1, record.timestamp);
        self.must.push(must);
    }

    /// Whether anything waits to be written.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Writes everything added and waits until it is durable: offsets of the records are committed only afterwards (I1). A record that cannot be written is logged
    /// and counted; one that the task asked for fails it.
    pub async fn flush(&mut self, handler: &ErrorHandler) -> Result<(), TaskError> {
        let mut failure = None;
        let mut from = 0;
        while from < self.batch.len() {
            match self.producer.send(&self.batch, from) {
                Ok(0) => self.producer.wait(Duration::from_millis(100)).await,
                Ok(taken) => from += taken,
                Err(error) if error.is_retriable() => {
                    tokio::time::sleep(Duration::from_millis(100)).await
                }
                Err(error) => {
                    // The producer takes no more: all that is left is lost.
                    for at in from..self.batch.len() {
                        self.lost(at, &error, handler, &mut failure);
                    }
                    break;
                }
            }
        }
        let base = self.sent;
        let mut open = from;
        while open > 0 {
            self.producer.wait(Duration::from_secs(1)).await;
            let mut deliveries = std::mem::take(&mut self.deliveries);
            self.producer.deliveries(&mut deliveries);
            for delivery in deliveries.drain(..) {
                open -= 1;
                match delivery.result {
                    Ok(_) => handler.dead_letter(true),
                    Err(error) => self.lost(
                        (delivery.sequence - base) as usize,
                        &error,
                        handler,
                        &mut failure,
                    ),
                }
            }
            self.deliveries = deliveries;
        }
        self.sent += from as u64;
        self.batch.clear();
        self.must.clear();
        failure.map_or(Ok(()), Err)
    }

    fn lost(
        &self,
        at: usize,
        error: &LogError,
        handler: &ErrorHandler,
        failure: &mut Option<TaskError>,
    ) {
        handler.dead_letter(false);
        tracing::error!(topic = self.topic, %error, "could not write a record to the dead letter queue");
        if self.must.get(at).copied().unwrap_or(true) {
            failure.get_or_insert_with(|| {
                TaskError::fatal(
                    "dlq.write",
                    format!(
                        "Could not produce message to dead letter queue. topic={}",
                        self.topic
                    ),
                )
                .with_source(error.clone())
            });
        }
    }
}
