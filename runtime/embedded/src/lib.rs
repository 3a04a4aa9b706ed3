//! The embedded log: the log seam on one machine without a broker, in one SQLite file in WAL mode.
//!
//! * A row of table `batch` is a batch of records; its row id is partition and offset, so the table is the index.
//! * One thread owns the writing connection. Whatever is queued when it looks shares one commit; a request is any number of batches and group positions, and is
//!   written whole or not at all. What was acknowledged is committed: on the disk (`log.durability=fsync`) or with the operating system (`process`).
//! * There are no aborted records: an open transaction waits in its producer's memory, or in a table that nobody reads.
//! * Readers that keep up are served from memory. Others read on connections of their own, one short statement per fetch.
//! * Group members live in this process; their positions are rows, checked against the group and written by the same thread as the records.
//! * A partition is compacted and shortened in the background, in small transactions.
//!
//! One process owns the directory. Others may look on with [`EmbeddedLog::open_read_only`].

mod cleaner;
mod codec;
mod compaction;
mod drafts;
mod engine;
mod error;
mod options;
mod producer;
mod read_pool;
mod schema;
mod shared;
mod tail;
mod topics;
mod transaction;
mod watcher;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_log::local::{LocalAdmin, LocalConsumer, LocalReader, LocalTable};
use millrace_log::membership::join_group;
use millrace_log::{
    Admin, GroupConsumer, GroupConsumerOptions, Log, LogError, Membership, MembershipOptions,
    Producer, ProducerOptions, Reader, ReaderOptions, SourceDiscipline, Table, TableOptions,
    TransactionalProducer,
};

pub use options::{Durability, EmbeddedOptions};

use engine::Engine;
use producer::EmbeddedProducer;
use transaction::EmbeddedTransaction;

/// A log in a directory; see the [crate](self).
#[derive(Debug)]
pub struct EmbeddedLog {
    engine: Arc<Engine>,
}

impl EmbeddedLog {
    /// Opens the log in `options.dir` as its owner, making it when there is none. Blocks for a moment.
    ///
    /// Fails with [`LogError::Config`] when another process owns the directory, when it is on a file system without shared memory (a network), or when a newer
    /// version wrote it; with [`LogError::Fatal`] when it cannot be read or written.
    pub fn open(options: EmbeddedOptions) -> Result<Arc<Self>, LogError> {
        Ok(Arc::new(Self {
            engine: Arc::new(Engine::open(options)?),
        }))
    }

    /// Opens the log in `dir` to read, also while a worker owns it: readers, tables (without writing) and the admin client's questions work, everything that writes
    /// and group consumers fail with [`LogError::Config`]. News arrives within about 50 ms.
    pub fn open_read_only(dir: impl Into<PathBuf>) -> Result<Arc<Self>, LogError> {
        Ok(Arc::new(Self {
            engine: Arc::new(Engine::open_read_only(EmbeddedOptions::new(dir))?),
        }))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.engine.shared.options.dir
    }

    /// Applies `retention.ms` and `retention.bytes` to a topic now instead of at the next check.
    pub async fn enforce_retention(&self, topic: &str) -> Result<(), LogError> {
        self.engine.writer()?;
        match &self.engine.cleaner {
            Some(cleaner) => cleaner.enforce_retention(topic).await,
            None => Err(LogError::Closed),
        }
    }

    /// Compacts a topic now, whatever its dirty ratio; nothing happens unless its `cleanup.policy` contains `compact`.
    pub async fn compact(&self, topic: &str) -> Result<(), LogError> {
        self.engine.writer()?;
        match &self.engine.cleaner {
            Some(cleaner) => cleaner.compact(topic).await,
            None => Err(LogError::Closed),
        }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        // Clients may outlive the log; the directory is free again all the same.
        self.engine.close();
    }
}

#[async_trait::async_trait]
impl Log for EmbeddedLog {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn source_discipline(&self) -> SourceDiscipline {
        SourceDiscipline::Atomic
    }

    async fn cluster_id(&self) -> Result<String, LogError> {
        self.engine.shared.ensure_open()?;
        Ok(self.engine.cluster_id.clone())
    }

    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(EmbeddedProducer::new(
            Arc::clone(&self.engine),
            &options,
        )?))
    }

    async fn transactional_producer(
        &self,
        transactional_id: &str,
        _options: ProducerOptions,
    ) -> Result<Box<dyn TransactionalProducer>, LogError> {
        Ok(Box::new(
            EmbeddedTransaction::open(Arc::clone(&self.engine), transactional_id).await?,
        ))
    }

    async fn group_consumer(
        &self,
        options: GroupConsumerOptions,
    ) -> Result<Box<dyn GroupConsumer>, LogError> {
        self.engine.writer()?;
        Ok(Box::new(LocalConsumer::join(
            Arc::clone(&self.engine),
            &options,
        )?))
    }

    async fn reader(&self, options: ReaderOptions) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(LocalReader::open(
            Arc::clone(&self.engine),
            &options,
        )?))
    }

    async fn table(&self, options: TableOptions) -> Result<Box<dyn Table>, LogError> {
        Ok(Box::new(
            LocalTable::open(Arc::clone(&self.engine), options).await?,
        ))
    }

    async fn membership(
        &self,
        options: MembershipOptions,
    ) -> Result<Box<dyn Membership>, LogError> {
        self.engine.writer()?;
        let shared = &self.engine.shared;
        let coordinator = shared.groups.coordinator(options.clone());
        join_group(&options, coordinator, shared.closing.clone())
    }

    fn admin(&self) -> Arc<dyn Admin> {
        Arc::new(LocalAdmin::new(Arc::clone(&self.engine)))
    }

    async fn close(&self) -> Result<(), LogError> {
        let engine = Arc::clone(&self.engine);
        let joined = tokio::task::spawn_blocking(move || engine.close()).await;
        joined.map_err(|e| LogError::Fatal {
            message: "closing the embedded log failed".to_owned(),
            source: Some(Arc::new(e)),
        })
    }
}
