//! Reads named partitions outside any group.

use std::time::Duration;

use millrace_log::{FetchBatch, LogError, Reader, ReaderOptions, TopicPartition};
use rdkafka::ClientConfig;

use crate::fetcher::{Event, Fetcher, Start};
use crate::group::limits;
use crate::properties::Settings;
use crate::threads::Threads;

/// librdkafka keeps assignments under a group, even for consumers that join none; no group of this name is ever made.
pub(crate) const NO_GROUP: &str = "millrace-reader";

/// [`Reader`] for Kafka.
#[derive(Debug)]
pub(crate) struct KafkaReader {
    fetcher: Fetcher,
    positions: Vec<(TopicPartition, i64)>,
}

impl KafkaReader {
    /// `from` holds offsets of records only.
    pub(crate) fn start(
        threads: &Threads,
        mut config: ClientConfig,
        options: &ReaderOptions,
        from: Vec<(TopicPartition, i64)>,
    ) -> Result<Self, LogError> {
        config.set("group.id", NO_GROUP);
        config.set("isolation.level", "read_committed");
        config.set("auto.offset.reset", "earliest");
        let limits = limits(&Settings::new(&options.settings))?;
        Ok(Self {
            fetcher: Fetcher::start(threads, &config, Start::Assign(from.clone()), limits)?,
            positions: from,
        })
    }

    fn advance(&mut self, batch: &FetchBatch) {
        for record in &batch.records {
            let at = batch.topic_partition(record);
            if let Some((_, next)) = self.positions.iter_mut().find(|(p, _)| p == at) {
                *next = record.offset + 1;
            }
        }
    }

    /// Control records have offsets but are not delivered: at the end of a partition the position is past them.
    fn advance_idle(&mut self) {
        if let Some(idle) = self.fetcher.idle_positions() {
            for (p, next) in &mut self.positions {
                *next = idle.get(p).copied().unwrap_or(*next).max(*next);
            }
        }
    }
}

#[async_trait::async_trait]
impl Reader for KafkaReader {
    async fn next(&mut self, timeout: Duration) -> Result<FetchBatch, LogError> {
        match self.fetcher.next(timeout).await? {
            Some(Event::Records(_, batch)) => {
                self.advance(&batch);
                Ok(batch)
            }
            Some(Event::Failed(error)) => Err(error),
            _ => {
                self.advance_idle();
                Ok(FetchBatch::default())
            }
        }
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.positions.clone()
    }
}
