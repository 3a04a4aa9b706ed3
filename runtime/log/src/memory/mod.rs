//! The in-memory log: the seam's reference, and the ground for deterministic simulation.
//!
//! Offsets have gaps, so that nothing above comes to rely on dense ones. [`MemoryLog::faults`] makes calls fail by script or by chance. With one seed, one order of
//! calls and one thread everything repeats exactly; the timestamps of records that were sent without one are the wall clock's.

mod faults;
mod partition;
mod producer;
mod rng;
mod store;

use std::sync::Arc;

pub use faults::{Fault, Faults};

use crate::local::{LocalAdmin, LocalConsumer, LocalReader, LocalTable, Store};
use crate::membership::join_group;
use crate::{
    Admin, GroupConsumer, GroupConsumerOptions, Log, LogError, Membership, MembershipOptions,
    Producer, ProducerOptions, Reader, ReaderOptions, SourceDiscipline, Table, TableOptions,
    TransactionalProducer,
};
use producer::{MemoryProducer, MemoryTransactionalProducer};
use store::{Data, MemoryStore};

/// A log in memory; see the [module](self).
#[derive(Debug)]
pub struct MemoryLog {
    store: Arc<MemoryStore>,
    discipline: SourceDiscipline,
}

impl MemoryLog {
    /// An empty log. `seed` decides where gaps are and which calls fail by chance. Sources use [`SourceDiscipline::Atomic`].
    pub fn new(seed: u64) -> Arc<Self> {
        Self::with_discipline(seed, SourceDiscipline::Atomic)
    }

    /// An empty log on which sources use `discipline`.
    pub fn with_discipline(seed: u64, discipline: SourceDiscipline) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::new(MemoryStore::open(Arc::new(Data::new(seed)))),
            discipline,
        })
    }

    /// What goes wrong.
    pub fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.store.data.faults)
    }

    /// The same log after a crash of the process that had it open: clients made from `self` fail with [`LogError::Closed`], groups are empty, what was acknowledged
    /// is there.
    pub fn reopen(&self) -> Arc<Self> {
        self.store.close();
        Arc::new(Self {
            store: Arc::new(MemoryStore::open(Arc::clone(&self.store.data))),
            discipline: self.discipline,
        })
    }

    /// Deletes what the topic's `retention.ms` and `retention.bytes` no longer keep. Nothing does so by itself.
    pub fn enforce_retention(&self, topic: &str) -> Result<(), LogError> {
        self.store.enforce_retention(topic)
    }

    /// Compacts the topic, if its `cleanup.policy` says so. Nothing does so by itself.
    pub fn compact(&self, topic: &str) -> Result<(), LogError> {
        self.store.compact(topic)
    }

    /// Has all members of `group` give back what they have and get it again.
    pub fn force_rebalance(&self, group: &str) {
        self.store.coordinator().force_rebalance(group);
    }

    /// Takes all partitions from all members of `group` without asking.
    pub fn lose_partitions(&self, group: &str) {
        self.store.coordinator().lose_partitions(group);
    }
}

#[async_trait::async_trait]
impl Log for MemoryLog {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn source_discipline(&self) -> SourceDiscipline {
        self.discipline
    }

    async fn cluster_id(&self) -> Result<String, LogError> {
        self.store.ensure_open()?;
        Ok(format!("memory-{:016x}", self.store.data.seed))
    }

    async fn producer(&self, _options: ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        self.store.ensure_open()?;
        Ok(Box::new(MemoryProducer::new(Arc::clone(&self.store))))
    }

    async fn transactional_producer(
        &self,
        transactional_id: &str,
        _options: ProducerOptions,
    ) -> Result<Box<dyn TransactionalProducer>, LogError> {
        self.store.ensure_open()?;
        Ok(Box::new(MemoryTransactionalProducer::new(
            Arc::clone(&self.store),
            transactional_id,
        )))
    }

    async fn group_consumer(
        &self,
        options: GroupConsumerOptions,
    ) -> Result<Box<dyn GroupConsumer>, LogError> {
        Ok(Box::new(LocalConsumer::join(
            Arc::clone(&self.store),
            &options,
        )?))
    }

    async fn reader(&self, options: ReaderOptions) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(LocalReader::open(
            Arc::clone(&self.store),
            &options,
        )?))
    }

    async fn table(&self, options: TableOptions) -> Result<Box<dyn Table>, LogError> {
        Ok(Box::new(
            LocalTable::open(Arc::clone(&self.store), options).await?,
        ))
    }

    async fn membership(
        &self,
        options: MembershipOptions,
    ) -> Result<Box<dyn Membership>, LogError> {
        let coordinator = self.store.groups.coordinator(options.clone());
        join_group(&options, coordinator, self.store.closed.clone())
    }

    fn admin(&self) -> Arc<dyn Admin> {
        Arc::new(LocalAdmin::new(Arc::clone(&self.store)))
    }

    async fn close(&self) -> Result<(), LogError> {
        self.store.close();
        Ok(())
    }
}
