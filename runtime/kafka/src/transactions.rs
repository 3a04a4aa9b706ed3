//! The producer with transactions. Every blocking call of librdkafka is made on a thread that belongs to this producer, in order.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_log::{LogError, RecordBatch, TopicPartition, TransactionalProducer};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer as _, PurgeConfig};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::admin::KafkaAdmin;
use crate::completions::{Completions, Keep, TopicLimits};
use crate::errors::{from_client, from_code};
use crate::producer::{Client, fatal};
use crate::threads::{CallThread, Threads};

/// One attempt of a call; librdkafka goes on where it was when it is called again.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long a call is repeated while the coordinator is away.
const CALL_LIMIT: Duration = Duration::from_secs(90);
/// How long an abort waits for records that are on their way.
const ABORT_FLUSH: Duration = Duration::from_secs(10);
/// How long dropping a producer may take to abort what is open; after that the broker does it (`transaction.timeout.ms`).
const DROP_LIMIT: Duration = Duration::from_secs(5);
const DEFAULT_TRANSACTION_TIMEOUT: i64 = 60_000;

type Groups = Arc<Mutex<HashMap<String, Arc<ConsumerGroupMetadata>>>>;

/// [`TransactionalProducer`] for Kafka.
pub(crate) struct KafkaTransactionalProducer {
    id: String,
    client: Client,
    calls: CallThread,
    open: bool,
    groups: Groups,
    /// Groups and partitions whose positions are in the open transaction.
    offsets: Vec<(String, Vec<TopicPartition>)>,
    admin: Arc<KafkaAdmin>,
    /// For the clients that make group metadata.
    group_config: ClientConfig,
}

impl fmt::Debug for KafkaTransactionalProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaTransactionalProducer")
            .field("id", &self.id)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl KafkaTransactionalProducer {
    /// Makes the producer and fences older ones with the same id.
    pub(crate) async fn start(
        threads: &Threads,
        admin: &Arc<KafkaAdmin>,
        mut config: ClientConfig,
        id: &str,
        timeout_ms: Option<i64>,
        group_config: ClientConfig,
    ) -> Result<Self, LogError> {
        let timeout_ms = timeout_ms.unwrap_or(DEFAULT_TRANSACTION_TIMEOUT);
        config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", timeout_ms.to_string());
        // librdkafka insists that a record does not outlive its transaction.
        let delivery = config
            .get("delivery.timeout.ms")
            .and_then(|v| v.parse::<i64>().ok())
            .unwrap_or(timeout_ms);
        config.set(
            "delivery.timeout.ms",
            if delivery == 0 {
                timeout_ms
            } else {
                delivery.min(timeout_ms)
            }
            .to_string(),
        );
        config.set("enable.idempotence", "true").set("acks", "all");
        let in_flight = config
            .get("max.in.flight.requests.per.connection")
            .and_then(|v| v.parse::<i64>().ok())
            .unwrap_or(5);
        config.set(
            "max.in.flight.requests.per.connection",
            in_flight.min(5).to_string(),
        );
        if config.get("retries") == Some("0") {
            config.remove("retries");
        }
        let client = Client::start(
            threads,
            &config,
            Keep::FirstFailure,
            TopicLimits::new(Arc::clone(admin)),
        )?;
        let calls = CallThread::start(threads, "kafka-txn")?;
        let producer = Arc::clone(client.producer()?);
        let what = format!("cannot register transactional id '{id}'");
        calls
            .run(move || {
                repeat(&producer, &what, CALL_LIMIT, |p| {
                    p.init_transactions(ATTEMPT)
                })
            })
            .await??;
        Ok(Self {
            id: id.to_owned(),
            client,
            calls,
            open: false,
            groups: Groups::default(),
            offsets: Vec::new(),
            admin: Arc::clone(admin),
            group_config,
        })
    }

    async fn begin(&mut self) -> Result<(), LogError> {
        if self.open {
            return Ok(());
        }
        self.client
            .completions()
            .start_at(self.client.next_sequence());
        let producer = Arc::clone(self.client.producer()?);
        let what = self.what("begin");
        self.calls
            .run(move || repeat(&producer, &what, CALL_LIMIT, |p| p.begin_transaction()))
            .await??;
        self.open = true;
        Ok(())
    }

    fn what(&self, verb: &str) -> String {
        format!("cannot {verb} a transaction of '{}'", self.id)
    }

    /// Waits until the positions of the ended transaction are in force: the coordinator of the group hears of the end after we do.
    async fn await_offsets(&mut self) {
        for (group, partitions) in self.offsets.drain(..) {
            if let Err(error) = self.admin.await_stable(&group, &partitions).await {
                tracing::debug!(%error, group, "the positions of the transaction are in force a little later");
            }
        }
    }

    /// Makes librdkafka take a new epoch after records of the aborted transaction were refused or purged.
    ///
    /// librdkafka may have counted sequence numbers that the broker has not seen. Then the next record is refused as out of order; only then does librdkafka notice and ask
    /// for a new epoch at the next abort. So an empty record goes ahead to each such partition, in a transaction that is aborted whatever becomes of it. Registering again
    /// would do the same, but could fence a producer that has taken over since.
    async fn resynchronise(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.begin().await?;
        let mut batch = RecordBatch::new();
        for at in partitions {
            let topic = batch.topic(&at.topic);
            batch.append(topic, at.partition, -1, Some(b""), None);
        }
        let mut sent = 0;
        while sent < batch.len() {
            match self.client.send(&batch, sent) {
                Ok(taken) => sent += taken,
                // The first refusal has already failed the transaction, which is what this is for.
                Err(error) if error.is_retriable() => break,
                Err(error) => return Err(error),
            }
        }
        self.client.flush(CALL_LIMIT).await?;
        self.end_by_abort().await?;
        drop(self.client.completions().take_unsettled());
        Ok(())
    }

    async fn end_by_abort(&mut self) -> Result<(), LogError> {
        let producer = Arc::clone(self.client.producer()?);
        let what = self.what("abort");
        self.calls
            .run(move || {
                repeat(&producer, &what, CALL_LIMIT, |p| {
                    p.abort_transaction(ATTEMPT)
                })
            })
            .await??;
        self.open = false;
        Ok(())
    }

    /// The first failure of a record of the open transaction, as the caller should see it.
    fn failure(&self) -> Option<LogError> {
        let failure = self.client.completions().take_failure()?;
        // A fenced producer's records fail in many ways; the reason is kept by the client.
        match self
            .client
            .producer()
            .map(|p| p.client().fatal_error().map(|_| fatal(p)))
        {
            Ok(Some(fatal)) => Some(fatal),
            _ => Some(failure),
        }
    }
}

#[async_trait::async_trait]
impl TransactionalProducer for KafkaTransactionalProducer {
    async fn append(&mut self, batch: &RecordBatch) -> Result<(), LogError> {
        self.begin().await?;
        let mut from = 0;
        while from < batch.len() {
            from += self.client.send(batch, from)?;
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            if from < batch.len() {
                // Room appears with the next acknowledgement; look again anyway, because a stopped client reports none.
                drop(
                    tokio::time::timeout(
                        Duration::from_millis(100),
                        self.client.completions().progress(),
                    )
                    .await,
                );
            }
        }
        Ok(())
    }

    async fn commit_group_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), LogError> {
        self.begin().await?;
        let list = offset_list(offsets)?;
        let producer = Arc::clone(self.client.producer()?);
        self.offsets.push((
            group.to_owned(),
            offsets.iter().map(|(p, _)| p.clone()).collect(),
        ));
        let (groups, config, group) = (
            Arc::clone(&self.groups),
            self.group_config.clone(),
            group.to_owned(),
        );
        let what = format!(
            "cannot add offsets of group '{group}' to a transaction of '{}'",
            self.id
        );
        self.calls
            .run(move || {
                let metadata = group_metadata(&groups, config, &group)?;
                repeat(&producer, &what, CALL_LIMIT, |p| {
                    p.send_offsets_to_transaction(&list, &metadata, ATTEMPT)
                })
            })
            .await?
    }

    async fn commit(&mut self) -> Result<(), LogError> {
        if !self.open {
            return Ok(());
        }
        // librdkafka's own flush looks every 100 ms only.
        self.client.flush(CALL_LIMIT).await?;
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        let producer = Arc::clone(self.client.producer()?);
        let what = self.what("commit");
        self.calls
            .run(move || {
                settle(&producer);
                repeat(&producer, &what, CALL_LIMIT, |p| {
                    p.commit_transaction(ATTEMPT)
                })
            })
            .await??;
        self.open = false;
        self.await_offsets().await;
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), LogError> {
        if !self.open {
            return Ok(());
        }
        // What is on its way arrives first: records that librdkafka purges from its queues can cost the next transaction its sequence numbers.
        if let Err(error) = self.client.flush(ABORT_FLUSH).await {
            tracing::debug!(%error, "records of the transaction are purged");
        }
        self.end_by_abort().await?;
        self.await_offsets().await;
        let unsettled = self.client.completions().take_unsettled();
        if unsettled.is_empty() {
            return Ok(());
        }
        self.resynchronise(&unsettled).await
    }
}

impl Drop for KafkaTransactionalProducer {
    fn drop(&mut self) {
        if self.open
            && let Ok(producer) = self.client.producer()
        {
            // Readers of committed records would wait for the broker's time limit otherwise.
            let producer = Arc::clone(producer);
            let what = self.what("abort");
            let aborting = self.calls.detached(move || {
                // The thread that serves delivery reports ends with this value.
                producer.purge(PurgeConfig::default().queue().inflight());
                producer.poll(Duration::from_millis(100));
                if let Err(error) = repeat(&producer, &what, DROP_LIMIT, |p| p.abort_transaction(Duration::from_secs(1))) {
                    tracing::debug!(%error, "an open transaction is left to the broker's time limit");
                }
            });
            if let Err(error) = aborting {
                tracing::debug!(%error, "an open transaction is left to the broker's time limit");
            }
        }
    }
}

/// Waits until librdkafka has let go of the records whose delivery was already reported; `commit_transaction` would sleep 100 ms for each look.
#[expect(
    clippy::disallowed_methods,
    reason = "on a thread of its own; librdkafka signals nothing that could be waited for"
)]
fn settle(producer: &BaseProducer<Completions>) {
    let deadline = Instant::now() + Duration::from_millis(100);
    while producer.in_flight_count() > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "on a thread of its own, between two attempts; there is nothing to wait for"
)]
/// Makes `call` until it succeeds, fails for good or `limit` has passed.
fn repeat(
    producer: &BaseProducer<Completions>,
    what: &str,
    limit: Duration,
    call: impl Fn(&BaseProducer<Completions>) -> Result<(), KafkaError>,
) -> Result<(), LogError> {
    let deadline = Instant::now() + limit;
    loop {
        let error = match call(producer) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if producer.client().fatal_error().is_some() {
            return Err(fatal(producer));
        }
        match &error {
            KafkaError::Transaction(e) if e.txn_requires_abort() => {
                return Err(match from_code(what, e.code(), None) {
                    kept @ (LogError::Fenced(_)
                    | LogError::Authorization(_)
                    | LogError::UnknownTopic(_)
                    | LogError::Timeout(_)) => kept,
                    _ => LogError::retriable(format!("{what}: {e}; it must be aborted")),
                });
            }
            KafkaError::Transaction(e)
                if e.is_retriable() || e.code() == Code::OperationTimedOut =>
            {
                if Instant::now() >= deadline || producer.context().is_stopped() {
                    return Err(LogError::Timeout(format!(
                        "{what}: {e}; the outcome is unknown"
                    )));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            KafkaError::Flush(_)
                if Instant::now() < deadline && !producer.context().is_stopped() => {}
            _ => return Err(from_client(what, error)),
        }
    }
}

fn offset_list(offsets: &[(TopicPartition, i64)]) -> Result<TopicPartitionList, LogError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (p, offset) in offsets {
        list.add_partition_offset(&p.topic, p.partition, Offset::Offset(*offset))
            .map_err(|e| from_client(&format!("offset {offset} of {p}"), e))?;
    }
    Ok(list)
}

/// Group metadata can only be had from a consumer; one that never joins has the metadata of a writer outside the group, which the coordinator accepts.
fn group_metadata(
    groups: &Groups,
    mut config: ClientConfig,
    group: &str,
) -> Result<Arc<ConsumerGroupMetadata>, LogError> {
    let mut groups = groups.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = groups.get(group) {
        return Ok(Arc::clone(known));
    }
    config.set("group.id", group);
    let consumer: BaseConsumer = config
        .create()
        .map_err(|e| from_client(&format!("cannot name group '{group}'"), e))?;
    let metadata = consumer.group_metadata().ok_or_else(|| {
        LogError::fatal(format!("librdkafka gives no metadata for group '{group}'"))
    })?;
    let metadata = Arc::new(metadata);
    groups.insert(group.to_owned(), Arc::clone(&metadata));
    Ok(metadata)
}
