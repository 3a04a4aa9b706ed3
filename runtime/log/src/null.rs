//! The null log: producers count and drop. For measuring what lies before the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::memory::MemoryLog;
use crate::{
    Admin, Delivery, GroupConsumer, GroupConsumerOptions, GroupEvent, Log, LogError, Membership,
    MembershipOptions, Producer, ProducerOptions, Reader, ReaderOptions, RecordBatch,
    SourceDiscipline, Table, TableOptions, TopicPartition, TransactionalProducer,
};

/// A log that acknowledges every record at once and keeps none. Tables and topics are kept in memory, so a worker's stores function; group consumers never get
/// anything.
#[derive(Debug)]
pub struct NullLog {
    memory: Arc<MemoryLog>,
    counters: Arc<NullCounters>,
    discipline: SourceDiscipline,
}

/// What a null log has swallowed.
#[derive(Debug, Default)]
pub struct NullCounters {
    records: AtomicU64,
    bytes: AtomicU64,
    commits: AtomicU64,
}

impl NullCounters {
    /// Records taken.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Bytes of their keys, values and headers.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Transactions committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn count(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl NullLog {
    /// A null log on which sources use `discipline`.
    pub fn new(discipline: SourceDiscipline) -> Arc<Self> {
        Arc::new(Self {
            memory: MemoryLog::with_discipline(0, discipline),
            counters: Arc::default(),
            discipline,
        })
    }

    /// What producers of this log have sent.
    pub fn counters(&self) -> Arc<NullCounters> {
        Arc::clone(&self.counters)
    }
}

#[async_trait::async_trait]
impl Log for NullLog {
    fn kind(&self) -> &'static str {
        "null"
    }

    fn source_discipline(&self) -> SourceDiscipline {
        self.discipline
    }

    async fn cluster_id(&self) -> Result<String, LogError> {
        self.memory.cluster_id().await.map(|_| "null".to_owned())
    }

    async fn producer(&self, _options: ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        self.cluster_id().await?;
        Ok(Box::new(NullProducer {
            counters: self.counters(),
            taken: 0,
            delivered: 0,
        }))
    }

    async fn transactional_producer(
        &self,
        _transactional_id: &str,
        _options: ProducerOptions,
    ) -> Result<Box<dyn TransactionalProducer>, LogError> {
        self.cluster_id().await?;
        Ok(Box::new(NullTransactionalProducer {
            counters: self.counters(),
            open: (0, 0),
        }))
    }

    async fn group_consumer(
        &self,
        _options: GroupConsumerOptions,
    ) -> Result<Box<dyn GroupConsumer>, LogError> {
        self.cluster_id().await?;
        Ok(Box::new(IdleConsumer))
    }

    async fn reader(&self, options: ReaderOptions) -> Result<Box<dyn Reader>, LogError> {
        self.memory.reader(options).await
    }

    async fn table(&self, options: TableOptions) -> Result<Box<dyn Table>, LogError> {
        self.memory.table(options).await
    }

    async fn membership(
        &self,
        options: MembershipOptions,
    ) -> Result<Box<dyn Membership>, LogError> {
        self.memory.membership(options).await
    }

    fn admin(&self) -> Arc<dyn Admin> {
        self.memory.admin()
    }

    async fn close(&self) -> Result<(), LogError> {
        self.memory.close().await
    }
}

/// Offsets of a null producer are the sequence numbers; a record without a partition goes to partition 0.
#[derive(Debug)]
struct NullProducer {
    counters: Arc<NullCounters>,
    taken: u64,
    delivered: u64,
}

#[async_trait::async_trait]
impl Producer for NullProducer {
    fn send(&mut self, batch: &RecordBatch, from: usize) -> Result<usize, LogError> {
        let taken = batch.len().saturating_sub(from);
        let bytes = match from {
            0 => batch.byte_size(),
            _ => (from..batch.len()).map(|i| batch.get(i).size()).sum(),
        };
        self.counters.count(taken, bytes);
        self.taken += taken as u64;
        Ok(taken)
    }

    fn deliveries(&mut self, out: &mut Vec<Delivery>) {
        out.extend((self.delivered..self.taken).map(|sequence| Delivery {
            sequence,
            result: Ok((0, sequence as i64)),
        }));
        self.delivered = self.taken;
    }

    async fn wait(&mut self, timeout: Duration) {
        if self.delivered == self.taken {
            tokio::time::sleep(timeout).await;
        }
    }

    async fn flush(&mut self, _timeout: Duration) -> Result<(), LogError> {
        Ok(())
    }
}

#[derive(Debug)]
struct NullTransactionalProducer {
    counters: Arc<NullCounters>,
    /// Records and bytes of the open transaction.
    open: (usize, usize),
}

#[async_trait::async_trait]
impl TransactionalProducer for NullTransactionalProducer {
    async fn append(&mut self, batch: &RecordBatch) -> Result<(), LogError> {
        self.open.0 += batch.len();
        self.open.1 += batch.byte_size();
        Ok(())
    }

    async fn commit_group_offsets(
        &mut self,
        _group: &str,
        _offsets: &[(TopicPartition, i64)],
    ) -> Result<(), LogError> {
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), LogError> {
        let (records, bytes) = std::mem::take(&mut self.open);
        self.counters.count(records, bytes);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), LogError> {
        self.open = (0, 0);
        Ok(())
    }
}

/// A group member that never gets a partition.
#[derive(Debug)]
struct IdleConsumer;

#[async_trait::async_trait]
impl GroupConsumer for IdleConsumer {
    async fn next(&mut self, timeout: Duration) -> Result<GroupEvent, LogError> {
        tokio::time::sleep(timeout).await;
        Ok(GroupEvent::Idle)
    }

    async fn release(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        not_assigned(offsets.first().map(|(p, _)| p))
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        not_assigned(partitions.first())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        not_assigned(partitions.first())
    }

    async fn seek(&mut self, partition: &TopicPartition, _offset: i64) -> Result<(), LogError> {
        not_assigned(Some(partition))
    }

    fn lag(&self) -> Vec<(TopicPartition, i64)> {
        Vec::new()
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        Ok(())
    }
}

fn not_assigned(partition: Option<&TopicPartition>) -> Result<(), LogError> {
    partition.map_or(Ok(()), |p| {
        Err(LogError::Fenced(format!(
            "partition {p} is not assigned: the null log assigns none"
        )))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn counts_what_it_drops_and_acknowledges_each_record_once() {
        let log = NullLog::new(SourceDiscipline::AckedPrefix);
        let mut batch = RecordBatch::new();
        let topic = batch.topic("t");
        (0..3).for_each(|_| batch.append(topic, -1, -1, Some(b"k"), Some(b"value")));
        let mut producer = log.producer(ProducerOptions::default()).await.unwrap();
        assert_eq!(producer.send(&batch, 0).unwrap(), 3);
        assert_eq!(producer.send(&batch, 2).unwrap(), 1);
        let mut deliveries = Vec::new();
        producer.deliveries(&mut deliveries);
        producer.deliveries(&mut deliveries);
        assert_eq!(
            deliveries.iter().map(|d| d.sequence).collect::<Vec<_>>(),
            [0, 1, 2, 3]
        );
        assert_eq!((log.counters().records(), log.counters().bytes()), (4, 24));

        let mut producer = log
            .transactional_producer("x", ProducerOptions::default())
            .await
            .unwrap();
        producer.append(&batch).await.unwrap();
        producer.abort().await.unwrap();
        producer.append(&batch).await.unwrap();
        producer.commit().await.unwrap();
        assert_eq!((log.counters().records(), log.counters().commits()), (7, 1));
    }
}
