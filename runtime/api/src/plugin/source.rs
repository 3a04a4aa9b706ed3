use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Clock, OffsetReader, TaskError, TaskId, TaskMetrics};
use crate::config::Props;
use crate::data::{OffsetMap, SourceOffset, SourceRecord};

/// What a source task may use of the worker.
#[derive(Clone)]
pub struct SourceTaskContext {
    /// Which task this is.
    pub id: TaskId,
    /// Stored offsets.
    pub offsets: Arc<dyn OffsetReader>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Metrics.
    pub metrics: Arc<dyn TaskMetrics>,
    /// Cancelled when the task shall stop: long waits inside `start` and `poll` end early on it.
    pub cancel: CancellationToken,
    /// Longest time that `poll` may wait for data before it returns [`Poll::Idle`].
    pub poll_timeout: Duration,
}

impl fmt::Debug for SourceTaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceTaskContext({})", self.id)
    }
}

/// Outcome of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// Something was appended, or there is more to come at once: poll again.
    Ready,
    /// Nothing within the poll timeout.
    Idle,
    /// The source has come to its end (a snapshot-only connector that is done): the task stays RUNNING and is polled no more until it is restarted.
    Finished,
}

/// What one poll brought: records in order, and positions that were passed without a record.
#[derive(Debug, Default)]
pub struct SourceBatch {
    records: Vec<SourceRecord>,
    progress: Vec<(usize, u32, SourceOffset)>,
    partitions: Vec<Arc<OffsetMap>>,
    bytes: usize,
}

impl SourceBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Index of a source partition, to put into records. Look it up once, not per record: indexes stay valid for the life of the task.
    pub fn partition(&mut self, partition: &OffsetMap) -> u32 {
        let at = self
            .partitions
            .iter()
            .position(|p| **p == *partition)
            .unwrap_or_else(|| {
                self.partitions.push(Arc::new(partition.clone()));
                self.partitions.len() - 1
            });
        at as u32
    }

    /// Source partition behind an index.
    pub fn partition_map(&self, index: u32) -> &Arc<OffsetMap> {
        &self.partitions[index as usize]
    }

    /// Appends a record. `bytes`: about how much memory it holds, for the byte budget.
    pub fn push(&mut self, record: SourceRecord, bytes: usize) {
        self.bytes += bytes;
        self.records.push(record);
    }

    /// Says that everything of `partition` up to `offset` has been seen, though the last of it made no record: the position becomes storable once all records
    /// before it are durable. Lets a source whose changes are all filtered out move on.
    pub fn push_progress(&mut self, partition: u32, offset: SourceOffset) {
        match self.progress.last_mut() {
            Some(last) if last.0 == self.records.len() && last.1 == partition => last.2 = offset,
            _ => self.progress.push((self.records.len(), partition, offset)),
        }
    }

    /// Records in order.
    pub fn records(&self) -> &[SourceRecord] {
        &self.records
    }

    /// Records in order, to transform in place.
    pub fn records_mut(&mut self) -> &mut [SourceRecord] {
        &mut self.records
    }

    /// Progress marks: (number of records before it, source partition, offset), in order.
    pub fn progress(&self) -> &[(usize, u32, SourceOffset)] {
        &self.progress
    }

    /// Sum of the sizes given to [`push`](Self::push).
    pub fn byte_size(&self) -> usize {
        self.bytes
    }

    /// Whether there is neither a record nor progress.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.progress.is_empty()
    }

    /// Drops records and progress, keeps the partitions and the capacity.
    pub fn clear(&mut self) {
        self.records.clear();
        self.progress.clear();
        self.bytes = 0;
    }
}

/// Positions that have just been stored, one per source partition that moved.
#[derive(Debug, Clone, Default)]
pub struct Watermark {
    /// (source partition, offset as it was stored).
    pub offsets: Vec<(Arc<OffsetMap>, Arc<OffsetMap>)>,
}

/// Copies data from another system into the log.
///
/// # Durability
///
/// The worker writes records in the order in which they were appended and stores an offset only when the record it belongs to, and every record of the same source
/// partition before it, is durable (I2). [`committed`](Self::committed) tells when an offset *is stored*; only then may the task release what it would need to send
/// those records again (confirm an LSN, delete a file): I1.
///
/// After a crash the task is started anew and reads the last stored offset: it must send everything after it again, and nothing that was not sent may be skipped.
/// On a log with atomic commits no record is written twice; elsewhere records after the stored offset may be.
#[async_trait::async_trait]
pub trait SourceTask: Send {
    /// Connects and finds the position to go on from. Called once. An error makes the task FAILED (retriable ones are tried again with a pause).
    async fn start(&mut self, context: SourceTaskContext, props: &Props) -> Result<(), TaskError>;

    /// Appends what is there to `out` (empty on entry) and returns; waits at most `context.poll_timeout` when nothing is there. A batch of a few thousand records or
    /// about a megabyte is a good size. Never called while the in-flight budget (records and bytes) is used up.
    ///
    /// Cancel-safe: when the future is dropped, whatever was not appended is delivered by the next call; what was appended is used.
    ///
    /// A retriable error means: call again after a pause; the task reconnects by itself. Records appended before an error are still written.
    async fn poll(&mut self, out: &mut SourceBatch) -> Result<Poll, TaskError>;

    /// Everything up to `watermark` is durable in the log and its offset is stored. Called between polls, also while nothing is polled.
    async fn committed(&mut self, watermark: &Watermark) -> Result<(), TaskError>;

    /// Renders a packed offset as the map to store. Called when it becomes the watermark, so rarely; tasks that use [`SourceOffset::Map`] never see it.
    fn render_offset(&self, packed: &[u64; 5]) -> OffsetMap;

    /// Releases everything. Called once, after the last commit, also when the task failed; not after a failed `start`.
    async fn stop(&mut self) -> Result<(), TaskError>;
}
