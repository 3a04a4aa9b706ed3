use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::{ClientSettings, LogError};

/// What a table is made from.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// Topic name.
    pub topic: String,
    /// Partitions to create it with, when it is missing.
    pub partitions: i32,
    /// Replication factor to create it with; -1: the broker's default.
    pub replication_factor: i16,
    /// Whether fewer live brokers than that lower the factor (with a warning) instead of failing.
    pub clamp_replication: bool,
    /// Whether the cleanup policy of an existing topic is checked.
    pub check_policy: bool,
    /// Further settings of the topic to create it with; `cleanup.policy=compact` is added.
    pub topic_settings: ClientSettings,
    /// `client.id` of its clients.
    pub client_id: String,
    /// Settings for producer, consumer and admin client, without prefix.
    pub settings: ClientSettings,
    /// The worker key that names this topic (`offset.storage.topic`): for the error when the topic has the wrong cleanup policy.
    pub named_by: &'static str,
    /// What would be lost by a wrong cleanup policy (`source connector offsets`): for the same error.
    pub purpose: &'static str,
}

/// One record of a table's topic.
#[derive(Debug, Clone, Copy)]
pub struct TableRecord<'a> {
    /// Partition of the topic.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Key; null in foreign records only.
    pub key: Option<&'a [u8]>,
    /// New value; `None` deletes the key.
    pub value: Option<&'a [u8]>,
}

/// One change to a table. The partition follows from the key (murmur2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableWrite {
    /// Key.
    pub key: Vec<u8>,
    /// New value; `None` deletes the key.
    pub value: Option<Vec<u8>>,
}

/// A compacted topic, read from its start to its end and then followed: what Java calls `KafkaBasedLog`.
///
/// The table keeps no copy of its content: the caller's `apply` builds whatever it needs. The topic's cleanup policy is checked when the table is opened and must be
/// `compact` alone.
#[async_trait::async_trait]
pub trait Table: Send + Debug {
    /// Reads everything up to the end that the topic has when the call begins, own acknowledged writes included, and gives it to `apply` in offset order per
    /// partition. The first call starts at the beginning of the topic, later ones go on where the last call ended.
    async fn read_to_end(
        &mut self,
        apply: &mut (dyn for<'a> FnMut(TableRecord<'a>) + Send),
    ) -> Result<(), LogError>;

    /// Gives newly arrived records to `apply`; returns how many, 0 after `timeout`. Cancel-safe between records: an applied record is not applied again.
    async fn follow(
        &mut self,
        timeout: Duration,
        apply: &mut (dyn for<'a> FnMut(TableRecord<'a>) + Send),
    ) -> Result<usize, LogError>;

    /// A handle for writing.
    fn writer(&self) -> Arc<dyn TableWriter>;

    /// Number of partitions the topic has.
    fn partitions(&self) -> i32;
}

/// Writes to a table.
#[async_trait::async_trait]
pub trait TableWriter: Send + Sync + Debug {
    /// Appends `writes` in order; they are durable when this returns `Ok`, which carries the offset of each. On an error any prefix may have been written.
    async fn put(&self, writes: &[TableWrite]) -> Result<Vec<i64>, LogError>;
}
