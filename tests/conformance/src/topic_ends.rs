//! Topics of one test in a log that others use too: where they end, and every record up to there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use millrace_log::{FetchBatch, FetchedRecord, Log, ReaderOptions, TopicPartition};

/// Topics by a part of their name.
#[derive(Debug)]
pub(crate) struct TopicEnds<'a> {
    log: &'a dyn Log,
    part: String,
    partitions: BTreeMap<Arc<str>, i32>,
}

impl<'a> TopicEnds<'a> {
    /// Of the topics whose name contains `part`.
    pub(crate) fn new(log: &'a dyn Log, part: &str) -> Self {
        Self {
            log,
            part: part.to_owned(),
            partitions: BTreeMap::new(),
        }
    }

    pub(crate) fn part(&self) -> &str {
        &self.part
    }

    pub(crate) fn log(&self) -> &'a dyn Log {
        self.log
    }

    /// Every partition with its end, those of new topics included.
    pub(crate) async fn ends(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        let admin = self.log.admin();
        for topic in admin.list_topics().await? {
            if topic.contains(&self.part)
                && !self.partitions.contains_key(&*topic)
                && let Some(description) = admin.describe_topic(&topic).await?
                && description.partitions > 0
            {
                self.partitions.insert(topic.into(), description.partitions);
            }
        }
        let all: Vec<TopicPartition> = self
            .partitions
            .iter()
            .flat_map(|(topic, n)| (0..*n).map(|p| TopicPartition::new(Arc::clone(topic), p)))
            .collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let ends = admin.offsets(&all).await?;
        Ok(all
            .into_iter()
            .zip(ends)
            .map(|(at, (_, end))| (at, end))
            .collect())
    }
}

/// Reads every partition of `from` up to its end.
pub(crate) async fn read_to(
    log: &dyn Log,
    from: Vec<(TopicPartition, i64)>,
    ends: &[(TopicPartition, i64)],
    within: Duration,
    mut take: impl FnMut(&FetchBatch, &FetchedRecord) -> Result<()>,
) -> Result<()> {
    let open = |positions: &[(TopicPartition, i64)]| {
        ends.iter().any(|(at, end)| {
            positions
                .iter()
                .any(|(p, position)| p == at && position < end)
        })
    };
    if !open(&from) {
        return Ok(());
    }
    let mut reader = log
        .reader(ReaderOptions {
            client_id: "conformance".to_owned(),
            from,
            settings: Vec::new(),
        })
        .await?;
    let deadline = Instant::now() + within;
    while open(&reader.positions()) {
        if Instant::now() >= deadline {
            bail!(
                "topics cannot be read: {:?} of {ends:?}",
                reader.positions()
            );
        }
        let batch = reader.next(Duration::from_millis(200)).await?;
        for record in &batch.records {
            take(&batch, record)?;
        }
    }
    Ok(())
}
