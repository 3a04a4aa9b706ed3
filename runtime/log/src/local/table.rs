use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{LocalReader, Store};
use crate::partitioner::partition_for_key;
use crate::{
    FetchBatch, LogError, NewTopic, Reader, ReaderOptions, RecordBatch, Table, TableOptions,
    TableRecord, TableWrite, TableWriter, TopicPartition,
};

/// [`Table`] over a [`Store`].
#[derive(Debug)]
pub struct LocalTable<S: Store> {
    reader: LocalReader<S>,
    writer: Arc<Writer<S>>,
}

#[derive(Debug)]
struct Writer<S: Store> {
    store: Arc<S>,
    topic: String,
    partitions: i32,
}

impl<S: Store> LocalTable<S> {
    /// Opens the topic as a table, creating it when it is missing; refuses a topic whose `cleanup.policy` is not `compact`, unless told not to look.
    pub async fn open(store: Arc<S>, options: TableOptions) -> Result<Self, LogError> {
        store.ensure_open()?;
        if store.catalog().topic(&options.topic).is_none() {
            let mut settings = options.topic_settings.clone();
            settings.retain(|(key, _)| key != "cleanup.policy");
            settings.push(("cleanup.policy".to_owned(), "compact".to_owned()));
            let topic = NewTopic {
                name: options.topic.clone(),
                partitions: options.partitions,
                replication_factor: options.replication_factor,
                settings,
            };
            match store.create_topic(&topic).await {
                Ok(()) | Err(LogError::TopicExists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let topic = store.catalog().existing(&options.topic)?;
        if options.check_policy && topic.policy.cleanup_policy() != "compact" {
            return Err(wrong_cleanup_policy(
                &options,
                topic.policy.cleanup_policy(),
            ));
        }
        let from = topic
            .partitions
            .iter()
            .map(|p| (p.name.clone(), -2))
            .collect();
        let reader = ReaderOptions {
            client_id: options.client_id,
            from,
            settings: options.settings,
        };
        let reader = LocalReader::open(Arc::clone(&store), &reader)?;
        let writer = Arc::new(Writer {
            store,
            topic: options.topic,
            partitions: topic.partitions.len() as i32,
        });
        Ok(Self { reader, writer })
    }
}

/// The error for a table's topic that would lose old entries, in Java Connect's words.
pub fn wrong_cleanup_policy(options: &TableOptions, found: &str) -> LogError {
    let TableOptions {
        topic,
        named_by,
        purpose,
        ..
    } = options;
    LogError::Config(format!(
        "Topic '{topic}' supplied via the '{named_by}' property is required to have 'cleanup.policy=compact' to guarantee consistency and durability of \
         {purpose}, but found the topic currently has 'cleanup.policy={found}'. Continuing would likely result in eventually losing {purpose} and problems \
         restarting this Connect cluster in the future. Change the '{named_by}' property in the Connect worker configurations to use a topic with \
         'cleanup.policy=compact'."
    ))
}

fn apply_all(batch: &FetchBatch, apply: &mut (dyn for<'a> FnMut(TableRecord<'a>) + Send)) {
    for record in &batch.records {
        apply(TableRecord {
            partition: batch.topic_partition(record).partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: batch.key(record),
            value: batch.value(record),
        });
    }
}

#[async_trait::async_trait]
impl<S: Store> Table for LocalTable<S> {
    async fn read_to_end(
        &mut self,
        apply: &mut (dyn for<'a> FnMut(TableRecord<'a>) + Send),
    ) -> Result<(), LogError> {
        let ends: HashMap<TopicPartition, i64> = self.reader.ends().into_iter().collect();
        loop {
            // A fetch may skip a gap without bringing records, so the positions decide.
            if let Some(batch) = self.reader.fetch().await? {
                apply_all(&batch, apply);
            }
            if self
                .reader
                .positions()
                .iter()
                .all(|(p, next)| ends.get(p).is_none_or(|end| next >= end))
            {
                return Ok(());
            }
        }
    }

    async fn follow(
        &mut self,
        timeout: Duration,
        apply: &mut (dyn for<'a> FnMut(TableRecord<'a>) + Send),
    ) -> Result<usize, LogError> {
        let batch = self.reader.next(timeout).await?;
        apply_all(&batch, apply);
        Ok(batch.records.len())
    }

    fn writer(&self) -> Arc<dyn TableWriter> {
        Arc::clone(&self.writer) as Arc<dyn TableWriter>
    }

    fn partitions(&self) -> i32 {
        self.writer.partitions
    }
}

#[async_trait::async_trait]
impl<S: Store> TableWriter for Writer<S> {
    async fn put(&self, writes: &[TableWrite]) -> Result<Vec<i64>, LogError> {
        self.store.ensure_open()?;
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch = RecordBatch::new();
        let topic = batch.topic(&self.topic);
        for write in writes {
            batch.append(
                topic,
                partition_for_key(&write.key, self.partitions),
                -1,
                Some(&write.key),
                write.value.as_deref(),
            );
        }
        self.store.append(&batch).await
    }
}
