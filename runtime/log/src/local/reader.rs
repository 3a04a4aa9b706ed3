use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{FetchLimit, Partition, Store, number_setting};
use crate::{
    FetchBatch, FetchBatchBuilder, LogError, Reader, ReaderOptions, StartAt, TopicPartition,
};

/// A place in one partition.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) partition: Arc<Partition>,
    /// Offset of the next record to deliver.
    pub(super) next: i64,
    pub(super) paused: bool,
}

/// Places in some partitions, read in turn.
#[derive(Debug)]
pub(super) struct Cursors {
    list: Vec<Cursor>,
    /// Where the next round begins, so that one busy partition does not starve the others.
    turn: usize,
    waker: Arc<Notify>,
    builder: FetchBatchBuilder,
}

impl Cursors {
    pub(super) fn new(waker: Arc<Notify>) -> Self {
        Self {
            list: Vec::new(),
            turn: 0,
            waker,
            builder: FetchBatchBuilder::default(),
        }
    }

    pub(super) fn add(&mut self, partition: Arc<Partition>, next: i64) {
        partition.listen(&self.waker);
        self.list.push(Cursor {
            partition,
            next,
            paused: false,
        });
    }

    pub(super) fn remove(&mut self, name: &TopicPartition) -> bool {
        let Some(at) = self.list.iter().position(|c| c.partition.name == *name) else {
            return false;
        };
        self.list.remove(at).partition.unlisten(&self.waker);
        true
    }

    pub(super) fn get_mut(&mut self, name: &TopicPartition) -> Option<&mut Cursor> {
        self.list.iter_mut().find(|c| c.partition.name == *name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Cursor> {
        self.list.iter()
    }

    pub(super) fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.list
            .iter()
            .map(|c| (c.partition.name.clone(), c.next))
            .collect()
    }

    /// Records that are there now, or `None`. A place that is outside its partition's bounds moves to where `reset` says first. Cancel-safe: places move only
    /// together with the batch that is returned.
    pub(super) async fn fetch<S: Store>(
        &mut self,
        store: &S,
        limit: FetchLimit,
        reset: StartAt,
    ) -> Result<Option<FetchBatch>, LogError> {
        if !self.builder.is_empty() {
            self.builder.finish();
        }
        let mut moves: Vec<(usize, i64)> = Vec::new();
        for step in 0..self.list.len() {
            let at = (self.turn + step) % self.list.len();
            let Cursor {
                partition,
                next,
                paused,
            } = &self.list[at];
            let (start, end) = (partition.start(), partition.end());
            let from = match reset {
                _ if (start..=end).contains(next) => *next,
                StartAt::Earliest => start,
                StartAt::Latest => end,
            };
            let left = FetchLimit {
                records: limit.records.saturating_sub(self.builder.len()),
                bytes: limit.bytes.saturating_sub(self.builder.byte_size()),
            };
            if left.records == 0 || left.bytes == 0 {
                break;
            }
            let mut moved = from;
            if !*paused && !partition.is_deleted() && from < end {
                moved = store
                    .fetch(partition, from, left, &mut self.builder)
                    .await?;
            }
            if moved != *next {
                moves.push((at, moved));
            }
        }
        for (at, next) in moves {
            self.list[at].next = next;
        }
        self.turn = (self.turn + 1) % self.list.len().max(1);
        Ok((!self.builder.is_empty()).then(|| self.builder.finish()))
    }
}

impl Drop for Cursors {
    fn drop(&mut self) {
        self.list
            .iter()
            .for_each(|c| c.partition.unlisten(&self.waker));
    }
}

/// [`Reader`] over a [`Store`].
#[derive(Debug)]
pub struct LocalReader<S> {
    store: Arc<S>,
    cursors: Cursors,
    waker: Arc<Notify>,
    limit: FetchLimit,
}

impl<S: Store> LocalReader<S> {
    /// A reader as `options` say; fails when a partition does not exist or a start offset is below -2.
    pub fn open(store: Arc<S>, options: &ReaderOptions) -> Result<Self, LogError> {
        store.ensure_open()?;
        let bytes = number_setting(&options.settings, "fetch.max.bytes", "bytes", 1 << 20)?;
        let waker = Arc::new(Notify::new());
        let mut cursors = Cursors::new(Arc::clone(&waker));
        for (name, offset) in &options.from {
            let partition = store.catalog().partition(name)?;
            let next = match *offset {
                -2 => partition.start(),
                -1 => partition.end(),
                offset if offset >= 0 => offset,
                offset => {
                    return Err(LogError::Config(format!(
                        "start offset {offset} for {name}: allowed are offsets from 0, -1 (end) and -2 (oldest)"
                    )));
                }
            };
            cursors.add(partition, next);
        }
        Ok(Self {
            store,
            cursors,
            waker,
            limit: FetchLimit {
                records: usize::MAX,
                bytes: (bytes as usize).clamp(1, 64 << 20),
            },
        })
    }

    /// Records that are there now, or `None`.
    pub(super) async fn fetch(&mut self) -> Result<Option<FetchBatch>, LogError> {
        self.store.ensure_open()?;
        if let Some(gone) = self.cursors.iter().find(|c| c.partition.is_deleted()) {
            return Err(LogError::UnknownTopic(gone.partition.name.to_string()));
        }
        self.cursors
            .fetch(&*self.store, self.limit, StartAt::Earliest)
            .await
    }

    /// The bounds that the partitions have now, by place.
    pub(super) fn ends(&self) -> Vec<(TopicPartition, i64)> {
        self.cursors
            .iter()
            .map(|c| (c.partition.name.clone(), c.partition.end()))
            .collect()
    }
}

#[async_trait::async_trait]
impl<S: Store> Reader for LocalReader<S> {
    async fn next(&mut self, timeout: Duration) -> Result<FetchBatch, LogError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(batch) = self.fetch().await? {
                return Ok(batch);
            }
            if timeout_at(deadline, self.waker.notified()).await.is_err() {
                return Ok(self.fetch().await?.unwrap_or_default());
            }
        }
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.cursors.positions()
    }
}
