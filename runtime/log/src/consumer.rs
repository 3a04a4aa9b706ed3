use std::fmt::Debug;
use std::time::Duration;

use crate::{ClientSettings, FetchBatch, LogError, TopicPartition};

/// Which topics a group member reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// These topics; one that does not exist yet is picked up when it appears.
    Topics(Vec<String>),
    /// Every topic whose whole name matches (Rust's regex syntax), new ones included.
    Pattern(String),
}

/// Where to start in a partition for which the group has no committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
}

/// What a group consumer is made from.
#[derive(Debug, Clone)]
pub struct GroupConsumerOptions {
    /// `group.id`.
    pub group: String,
    /// `client.id`.
    pub client_id: String,
    /// What to read.
    pub subscription: Subscription,
    /// `auto.offset.reset`.
    pub start_at: StartAt,
    /// Settings of a Java consumer, without prefix.
    pub settings: ClientSettings,
}

/// A partition that was given to this member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Which partition.
    pub partition: TopicPartition,
    /// Offset of the next record that will be delivered.
    pub position: i64,
}

/// What happened to a group member.
#[derive(Debug)]
pub enum GroupEvent {
    /// Records to process.
    Records(FetchBatch),
    /// Partitions were added to what this member has (only the new ones are named; may be empty).
    Assigned(Vec<Assigned>),
    /// The group wants these partitions back. Until [`GroupConsumer::release`] is called they still belong to this member: finish, commit, then release.
    /// The group waits for it (within `max.poll.interval.ms`).
    Revoking(Vec<TopicPartition>),
    /// These partitions were taken away without asking; commits for them are refused.
    Lost(Vec<TopicPartition>),
    /// Nothing within the timeout.
    Idle,
}

/// A member of a consumer group.
///
/// Used by one task. Dropping it leaves the group without committing.
#[async_trait::async_trait]
pub trait GroupConsumer: Send + Debug {
    /// The next event, or [`GroupEvent::Idle`] after `timeout`. Cancel-safe: an event is returned once. While a `Revoking` is not released, further calls return
    /// no records. Records of paused partitions are not returned.
    async fn next(&mut self, timeout: Duration) -> Result<GroupEvent, LogError>;

    /// Gives back the partitions of the last [`GroupEvent::Revoking`].
    async fn release(&mut self) -> Result<(), LogError>;

    /// Stores positions (offset of the next record to read) durably. Fails with [`LogError::Fenced`] when this member no longer owns a partition.
    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), LogError>;

    /// Stops delivery from these partitions; membership goes on. Records fetched but not yet returned come after `resume`.
    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Undoes `pause`.
    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Continues reading `partition` at `offset`; records already fetched are dropped.
    async fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), LogError>;

    /// Records between what was last returned and the end of each assigned partition, as far as known without asking.
    fn lag(&self) -> Vec<(TopicPartition, i64)>;

    /// Leaves the group and waits until that is done.
    async fn close(self: Box<Self>) -> Result<(), LogError>;
}

/// What a reader is made from.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// `client.id`.
    pub client_id: String,
    /// Partitions to read and the offset to start at; -2 is the oldest record, -1 the end.
    pub from: Vec<(TopicPartition, i64)>,
    /// Settings of a Java consumer, without prefix.
    pub settings: ClientSettings,
}

/// Reads partitions by name, outside any group. Sees only committed records.
#[async_trait::async_trait]
pub trait Reader: Send + Debug {
    /// Records, or an empty batch after `timeout`. Cancel-safe.
    async fn next(&mut self, timeout: Duration) -> Result<FetchBatch, LogError>;

    /// Offset of the next record of each partition.
    fn positions(&self) -> Vec<(TopicPartition, i64)>;
}
