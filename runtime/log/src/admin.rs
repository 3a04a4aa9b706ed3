use std::fmt::Debug;

use crate::{ClientSettings, LogError, TopicPartition};

/// A topic to create.
#[derive(Debug, Clone)]
pub struct NewTopic {
    /// Name: 1–249 characters of `[a-zA-Z0-9._-]`.
    pub name: String,
    /// Number of partitions; -1: the log's default.
    pub partitions: i32,
    /// Replication factor; -1: the log's default.
    pub replication_factor: i16,
    /// Topic settings by Kafka's names: `cleanup.policy`, `retention.ms`, `retention.bytes`, …
    pub settings: ClientSettings,
}

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Replication factor of partition 0.
    pub replication_factor: i16,
}

/// A position that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffset {
    /// Which partition.
    pub partition: TopicPartition,
    /// Offset of the next record to read.
    pub offset: i64,
}

/// Topics, offsets and groups. Every call may be made from any task at any time.
#[async_trait::async_trait]
pub trait Admin: Send + Sync + Debug {
    /// Creates a topic; [`LogError::TopicExists`] when it is there.
    async fn create_topic(&self, topic: &NewTopic) -> Result<(), LogError>;

    /// Deletes a topic; [`LogError::UnknownTopic`] when it is not there.
    async fn delete_topic(&self, name: &str) -> Result<(), LogError>;

    /// All topics, internal ones included, sorted by name.
    async fn list_topics(&self) -> Result<Vec<String>, LogError>;

    /// The topic, or `None` when it does not exist. Never creates it.
    async fn describe_topic(&self, name: &str) -> Result<Option<TopicDescription>, LogError>;

    /// The topic's settings that are in force, defaults included.
    async fn topic_settings(&self, name: &str) -> Result<ClientSettings, LogError>;

    /// Offset of the oldest record and the end offset (that of the next record to come) of each partition asked for.
    async fn offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, LogError>;

    /// What `group` has committed, sorted by topic and partition; empty for an unknown group.
    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, LogError>;

    /// Sets (`Some`) or removes (`None`) committed positions of a group that has no members; [`LogError::Retriable`] while it has.
    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), LogError>;

    /// Number of live members of `group`.
    async fn group_members(&self, group: &str) -> Result<usize, LogError>;
}
