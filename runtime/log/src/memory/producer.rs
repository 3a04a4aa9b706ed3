use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::faults::Fault;
use super::store::{MemoryStore, Pending};
use crate::local::Store;
use crate::partitioner::Partitioner;
use crate::{Delivery, LogError, Producer, RecordBatch, TopicPartition, TransactionalProducer};

/// Deliveries that may wait to be taken; beyond that the producer is full.
const QUEUE: usize = 10_000;

/// [`Producer`] of the in-memory log: writes at once, so the queue that fills up is that of deliveries nobody has taken.
#[derive(Debug)]
pub(super) struct MemoryProducer {
    store: Arc<MemoryStore>,
    partitioner: Partitioner,
    next: u64,
    delivered: VecDeque<Delivery>,
}

impl MemoryProducer {
    pub(super) fn new(store: Arc<MemoryStore>) -> Self {
        Self {
            store,
            partitioner: Partitioner::default(),
            next: 0,
            delivered: VecDeque::new(),
        }
    }
}

#[async_trait::async_trait]
impl Producer for MemoryProducer {
    fn send(&mut self, batch: &RecordBatch, from: usize) -> Result<usize, LogError> {
        self.store.ensure_open()?;
        let faults = Arc::clone(&self.store.data.faults);
        if faults.strikes(Fault::QueueFull) {
            return Ok(0);
        }
        let mut taken = 0;
        while from + taken < batch.len() && self.delivered.len() < QUEUE {
            let record = batch.get(from + taken);
            let result = if faults.strikes(Fault::SendRetriable) {
                Err(LogError::retriable(format!(
                    "injected: a record for topic '{}' was not written",
                    record.topic
                )))
            } else if faults.strikes(Fault::SendFatal) {
                Err(LogError::fatal(format!(
                    "injected: a record for topic '{}' cannot be written",
                    record.topic
                )))
            } else {
                let written = self.store.append_one(&record, &mut self.partitioner);
                match faults.strikes(Fault::LostAck) {
                    true => Err(LogError::Timeout(format!(
                        "injected: the acknowledgement of a record for topic '{}' was lost",
                        record.topic
                    ))),
                    false => written,
                }
            };
            self.delivered.push_back(Delivery {
                sequence: self.next,
                result,
            });
            self.next += 1;
            taken += 1;
        }
        Ok(taken)
    }

    fn deliveries(&mut self, out: &mut Vec<Delivery>) {
        out.extend(self.delivered.drain(..));
    }

    async fn wait(&mut self, timeout: Duration) {
        if self.delivered.is_empty() {
            tokio::time::sleep(timeout).await;
        }
    }

    async fn flush(&mut self, _timeout: Duration) -> Result<(), LogError> {
        self.store.ensure_open()
    }
}

/// [`TransactionalProducer`] of the in-memory log: keeps everything until the commit.
#[derive(Debug)]
pub(super) struct MemoryTransactionalProducer {
    store: Arc<MemoryStore>,
    id: String,
    epoch: u64,
    pending: Pending,
    /// Why the open transaction can only be aborted.
    must_abort: Option<LogError>,
    /// Why this producer is of no more use.
    dead: Option<LogError>,
}

impl MemoryTransactionalProducer {
    pub(super) fn new(store: Arc<MemoryStore>, id: &str) -> Self {
        let epoch = store.init_producer(id);
        Self {
            store,
            id: id.to_owned(),
            epoch,
            pending: Pending::default(),
            must_abort: None,
            dead: None,
        }
    }

    fn usable(&self) -> Result<(), LogError> {
        self.store.ensure_open()?;
        self.dead.clone().map_or(Ok(()), Err)
    }

    /// Notes what an error means for the calls to come.
    fn failed(&mut self, error: LogError) -> LogError {
        match &error {
            LogError::Fenced(_) | LogError::Timeout(_) | LogError::Retriable { .. } => {
                self.dead = Some(error.clone())
            }
            _ => self.must_abort = Some(error.clone()),
        }
        error
    }
}

#[async_trait::async_trait]
impl TransactionalProducer for MemoryTransactionalProducer {
    async fn append(&mut self, batch: &RecordBatch) -> Result<(), LogError> {
        self.usable()?;
        self.must_abort.clone().map_or(Ok(()), Err)?;
        let checked = self
            .store
            .check_epoch(&self.id, self.epoch)
            .and_then(|()| self.store.check_batch(batch));
        checked.map_err(|e| self.failed(e))?;
        if !batch.is_empty() {
            self.pending.batches.push(batch.clone());
        }
        Ok(())
    }

    async fn commit_group_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), LogError> {
        self.usable()?;
        self.must_abort.clone().map_or(Ok(()), Err)?;
        for (partition, _) in offsets {
            self.store
                .data
                .catalog
                .partition(partition)
                .map_err(|e| self.failed(e))?;
        }
        self.pending.offsets.extend(
            offsets
                .iter()
                .map(|(p, o)| (group.to_owned(), p.clone(), *o)),
        );
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), LogError> {
        self.usable()?;
        self.must_abort.clone().map_or(Ok(()), Err)?;
        let pending = std::mem::take(&mut self.pending);
        if pending.batches.is_empty() && pending.offsets.is_empty() {
            return Ok(());
        }
        let faults = Arc::clone(&self.store.data.faults);
        if faults.strikes(Fault::ProducerFenced) {
            self.store.init_producer(&self.id);
        }
        if faults.strikes(Fault::TransactionFails) {
            return Err(self.failed(LogError::retriable(format!(
                "injected: the transaction of '{}' was not written",
                self.id
            ))));
        }
        self.store
            .commit_transaction(&self.id, self.epoch, &pending)
            .map_err(|e| self.failed(e))?;
        match faults.strikes(Fault::TransactionLostAck) {
            true => Err(self.failed(LogError::Timeout(format!(
                "injected: the answer to the commit of '{}' was lost",
                self.id
            )))),
            false => Ok(()),
        }
    }

    async fn abort(&mut self) -> Result<(), LogError> {
        self.pending = Pending::default();
        self.must_abort = None;
        self.usable()
    }
}
