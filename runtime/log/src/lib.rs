//! The log seam: what the worker and the schema registry see instead of Kafka.
//!
//! Four implementations stand behind it: Kafka (`millrace-kafka`), the embedded log on SQLite (`millrace-embedded`), and in this crate an in-memory log with
//! seeded faults ([`memory`]) and a null log that counts and drops ([`null`]). The [`conformance`] suite runs the same cases over the first three.
//!
//! # What every implementation promises
//!
//! * Records of one partition are read in the order of their offsets. Offsets never change and never come back; they may have gaps.
//! * *Acked = durable*: a delivery without an error, a commit that returned `Ok`, a table write that returned `Ok` survive a crash of the process.
//! * A transaction is seen whole or not at all, and a producer whose transactional id was taken over by a newer one writes nothing more ([`LogError::Fenced`]).
//! * Within one group a partition belongs to one member; a commit by a member that lost the partition is refused.
//!
//! They promise no more than Kafka does, so code above must not rely on dense offsets, on read-your-write without [`Table::read_to_end`], or on a topic existing
//! right after another process made it.
//!
//! # Shape
//!
//! Everything moves in batches that are laid out flat: [`RecordBatch`] on the way in, [`FetchBatch`] on the way out. Each is one arena of bytes plus fixed-size
//! records that point into it, so neither direction allocates per record.

mod admin;
mod batch;
pub mod conformance;
mod consumer;
mod error;
mod fetch;
pub mod local;
pub mod membership;
pub mod memory;
pub mod null;
pub mod partitioner;
mod producer;
mod table;
mod topic;

pub use admin::{Admin, GroupOffset, NewTopic, TopicDescription};
pub use batch::{BatchRecord, RecordBatch, RecordView, TopicIndex};
pub use consumer::{
    Assigned, GroupConsumer, GroupConsumerOptions, GroupEvent, Reader, ReaderOptions, StartAt,
    Subscription,
};
pub use error::LogError;
pub use fetch::{FetchBatch, FetchBatchBuilder, FetchedRecord, TimestampType};
pub use membership::{GroupMember, Lease, Membership, MembershipEvent, MembershipOptions};
pub use producer::{Delivery, Producer, ProducerOptions, TransactionalProducer};
pub use table::{Table, TableOptions, TableRecord, TableWrite, TableWriter};
pub use topic::TopicPartition;

use std::fmt::Debug;
use std::sync::Arc;

/// How a source's records and offsets become durable on this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceDiscipline {
    /// Records flow through a [`Producer`], deliveries advance a watermark, offsets follow in a table write of their own: at least once.
    AckedPrefix,
    /// Records and offsets are one [`TransactionalProducer`] commit: exactly once.
    Atomic,
}

/// Client settings of one producer, consumer or table: names as a Java client spells them (`linger.ms`, `max.poll.records`), values as text, later entries win.
///
/// An implementation takes what it knows, ignores what cannot matter to it, and refuses (with [`LogError::Config`]) what would change the meaning if ignored.
pub type ClientSettings = Vec<(String, String)>;

/// A place for ordered, durable records: Kafka, or one of its stand-ins.
///
/// One value is shared by the whole process. Every method may be called from any task at the same time.
#[async_trait::async_trait]
pub trait Log: Send + Sync + Debug {
    /// Short name for logs and metrics: `kafka`, `embedded`, `memory`, `null`.
    fn kind(&self) -> &'static str;

    /// Which of the two disciplines source tasks use by default on this log.
    fn source_discipline(&self) -> SourceDiscipline;

    /// Identifies the cluster (Kafka's cluster id) or the log directory; stable across restarts.
    async fn cluster_id(&self) -> Result<String, LogError>;

    /// A producer without transactions.
    async fn producer(&self, options: ProducerOptions) -> Result<Box<dyn Producer>, LogError>;

    /// A producer with transactions. When this returns, older producers with the same `transactional_id` are fenced and what they left open is aborted.
    async fn transactional_producer(
        &self,
        transactional_id: &str,
        options: ProducerOptions,
    ) -> Result<Box<dyn TransactionalProducer>, LogError>;

    /// Joins a consumer group.
    async fn group_consumer(
        &self,
        options: GroupConsumerOptions,
    ) -> Result<Box<dyn GroupConsumer>, LogError>;

    /// Reads partitions that the caller names, outside any group.
    async fn reader(&self, options: ReaderOptions) -> Result<Box<dyn Reader>, LogError>;

    /// Opens a compacted topic as a table, creating the topic when it is missing.
    async fn table(&self, options: TableOptions) -> Result<Box<dyn Table>, LogError>;

    /// Joins a group of any type, see [`Membership`]. Where nothing but this process can be a member (embedded, memory), groups live in the process.
    async fn membership(&self, options: MembershipOptions)
    -> Result<Box<dyn Membership>, LogError>;

    /// Topics, offsets and groups.
    fn admin(&self) -> Arc<dyn Admin>;

    /// Stops background threads and waits for them. Afterwards every call fails with [`LogError::Closed`].
    async fn close(&self) -> Result<(), LogError>;
}
