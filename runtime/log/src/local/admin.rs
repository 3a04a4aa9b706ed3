use std::sync::Arc;

use super::Store;
use crate::{
    Admin, ClientSettings, GroupOffset, LogError, NewTopic, TopicDescription, TopicPartition,
};

/// [`Admin`] over a [`Store`].
#[derive(Debug)]
pub struct LocalAdmin<S> {
    store: Arc<S>,
}

impl<S: Store> LocalAdmin<S> {
    /// The admin client of `store`.
    pub fn new(store: Arc<S>) -> Self {
        Self { store }
    }
}

#[async_trait::async_trait]
impl<S: Store> Admin for LocalAdmin<S> {
    async fn create_topic(&self, topic: &NewTopic) -> Result<(), LogError> {
        self.store.ensure_open()?;
        super::check_topic_name(&topic.name)?;
        if topic.partitions == 0 || topic.partitions < -1 {
            return Err(LogError::Config(format!(
                "topic '{}' with {} partitions: at least 1, or -1 for the default",
                topic.name, topic.partitions
            )));
        }
        if topic.replication_factor > 1 {
            tracing::warn!(topic = %topic.name, asked = topic.replication_factor, "this log keeps one copy of every record, whatever replication factor is asked for");
        }
        self.store.create_topic(topic).await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.store.ensure_open()?;
        self.store.delete_topic(name).await
    }

    async fn list_topics(&self) -> Result<Vec<String>, LogError> {
        self.store.ensure_open()?;
        self.store.refresh().await?;
        Ok(self
            .store
            .catalog()
            .topics()
            .iter()
            .map(|t| t.name.to_string())
            .collect())
    }

    async fn describe_topic(&self, name: &str) -> Result<Option<TopicDescription>, LogError> {
        self.store.ensure_open()?;
        self.store.refresh().await?;
        Ok(self.store.catalog().topic(name).map(|t| TopicDescription {
            name: t.name.to_string(),
            partitions: t.partitions.len() as i32,
            replication_factor: 1,
        }))
    }

    async fn topic_settings(&self, name: &str) -> Result<ClientSettings, LogError> {
        self.store.ensure_open()?;
        self.store.refresh().await?;
        Ok(self.store.catalog().existing(name)?.policy.to_settings())
    }

    async fn offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<(i64, i64)>, LogError> {
        self.store.ensure_open()?;
        self.store.refresh().await?;
        partitions
            .iter()
            .map(|p| {
                self.store
                    .catalog()
                    .partition(p)
                    .map(|p| (p.start(), p.end()))
            })
            .collect()
    }

    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, LogError> {
        self.store.ensure_open()?;
        self.store.group_offsets(group).await
    }

    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), LogError> {
        self.store.ensure_open()?;
        for (partition, offset) in offsets {
            self.store.catalog().partition(partition)?;
            if let Some(offset) = offset.filter(|o| *o < 0) {
                return Err(LogError::Config(format!(
                    "offset {offset} of group '{group}' for {partition}: offsets begin at 0"
                )));
            }
        }
        self.store.alter_group_offsets(group, offsets).await
    }

    async fn group_members(&self, group: &str) -> Result<usize, LogError> {
        self.store.ensure_open()?;
        Ok(self.store.coordinator().members(group))
    }
}
