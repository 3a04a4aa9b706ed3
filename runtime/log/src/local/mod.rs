//! What logs that live in one process share: a catalogue of topics, the group coordinator, and consumers, readers, tables and the admin client on top of a
//! [`Store`]. The in-memory log and the embedded log are two stores; their producers are their own.

mod admin;
mod assignment;
mod catalog;
mod consumer;
mod coordinator;
mod groups;
mod policy;
mod reader;
mod table;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use admin::LocalAdmin;
pub use catalog::{Catalog, Partition, Topic};
pub use consumer::LocalConsumer;
pub use coordinator::{Coordinator, MemberRef};
pub use groups::{Disturbance, Groups};
pub use policy::{TopicPolicy, check_topic_name};
pub use reader::LocalReader;
pub use table::{LocalTable, wrong_cleanup_policy};

use crate::{FetchBatchBuilder, GroupOffset, LogError, NewTopic, RecordBatch, TopicPartition};

/// How much one fetch may bring. At least one record is brought whatever its size.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimit {
    /// Most records.
    pub records: usize,
    /// Most bytes of keys, values and headers.
    pub bytes: usize,
}

/// Where a local log keeps its records and committed positions.
///
/// Every method may be called from any task at any time. What a method has done when it returns `Ok` is durable by the store's own standard.
#[async_trait::async_trait]
pub trait Store: Send + Sync + Debug + 'static {
    /// Fails once the log is closed or broken.
    fn ensure_open(&self) -> Result<(), LogError>;

    /// Topics and the offsets of their partitions.
    fn catalog(&self) -> &Catalog;

    /// Who reads what.
    fn coordinator(&self) -> &Arc<Coordinator>;

    /// Brings the catalogue up to what is committed now, for a log that another process writes; nothing to do for any other.
    async fn refresh(&self) -> Result<(), LogError> {
        Ok(())
    }

    /// Called each time a member of `group` asks for its next event: the place for injected rebalances.
    fn before_poll(&self, _group: &str) {}

    /// Copies records of `partition` with offsets from `from` on into `out`, within `limit`; returns the offset to go on from. `from` lies within the
    /// partition's bounds. Cancel-safe.
    async fn fetch(
        &self,
        partition: &Arc<Partition>,
        from: i64,
        limit: FetchLimit,
        out: &mut FetchBatchBuilder,
    ) -> Result<i64, LogError>;

    /// Committed positions of `group`, in the order asked for. Sees every commit that was accepted before the call.
    async fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, LogError>;

    /// All committed positions of `group`, sorted.
    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, LogError>;

    /// Stores positions for a group member; refused with [`LogError::Fenced`] unless the member owns every partition at that moment.
    async fn commit(
        &self,
        member: &MemberRef,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), LogError>;

    /// Appends all records of `batch`, atomically, creating topics that are missing; returns the offset of each.
    async fn append(&self, batch: &RecordBatch) -> Result<Vec<i64>, LogError>;

    /// See [`Admin::create_topic`](crate::Admin::create_topic).
    async fn create_topic(&self, topic: &NewTopic) -> Result<(), LogError>;

    /// See [`Admin::delete_topic`](crate::Admin::delete_topic).
    async fn delete_topic(&self, name: &str) -> Result<(), LogError>;

    /// See [`Admin::alter_group_offsets`](crate::Admin::alter_group_offsets).
    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), LogError>;
}

/// Locks `mutex` also after a panic elsewhere: what these locks guard is changed in single steps and stays whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}

/// The last value of `key` in `settings` as a number of `unit`, `default` when it is absent.
pub(crate) fn number_setting(
    settings: &crate::ClientSettings,
    key: &str,
    unit: &str,
    default: u64,
) -> Result<u64, LogError> {
    match settings.iter().rev().find(|(k, _)| k == key) {
        None => Ok(default),
        Some((_, value)) => value
            .trim()
            .parse()
            .map_err(|_| LogError::Config(format!("{key}={value}: a number of {unit} is needed"))),
    }
}
