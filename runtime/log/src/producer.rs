use std::fmt::Debug;
use std::time::Duration;

use crate::{ClientSettings, LogError, RecordBatch, TopicPartition};

/// What a producer is made from.
#[derive(Debug, Clone, Default)]
pub struct ProducerOptions {
    /// `client.id`, for broker logs and metrics.
    pub client_id: String,
    /// Settings of a Java producer, without prefix.
    pub settings: ClientSettings,
}

/// What became of one record that was sent.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The record's number: 0 for the first record this producer took, then 1, 2, …
    pub sequence: u64,
    /// Partition and offset, or why it will never be written.
    pub result: Result<(i32, i64), LogError>,
}

/// Appends records without transactions.
///
/// Order: records of one partition are written in the order in which they were sent, retries included (I3). A delivery error leaves a hole; what follows may
/// still be written, so a caller that cares about order stops at the first error.
///
/// Dropping a producer drops what is still queued; call [`flush`](Self::flush) first.
#[async_trait::async_trait]
pub trait Producer: Send + Debug {
    /// Takes records `from..` of `batch` and returns how many; fewer than all (0 included) when the producer's queue is full: wait with
    /// [`wait`](Self::wait), then go on from there. Does not block and does not keep `batch`.
    fn send(&mut self, batch: &RecordBatch, from: usize) -> Result<usize, LogError>;

    /// Moves the deliveries known so far to the end of `out`, in any order across partitions.
    fn deliveries(&mut self, out: &mut Vec<Delivery>);

    /// Returns once a delivery is waiting or `timeout` has passed. Cancel-safe.
    async fn wait(&mut self, timeout: Duration);

    /// Waits until nothing is in flight, or fails with [`LogError::Timeout`]. Deliveries stay to be taken.
    async fn flush(&mut self, timeout: Duration) -> Result<(), LogError>;
}

/// Appends records in transactions.
///
/// One transaction is open at a time; it opens with the first [`append`](Self::append) or [`commit_group_offsets`](Self::commit_group_offsets). After
/// [`LogError::Fenced`] the producer is of no more use.
#[async_trait::async_trait]
pub trait TransactionalProducer: Send + Debug {
    /// Adds all records of `batch` to the open transaction, waiting for room as long as it takes. Not cancel-safe: after cancelling, [`abort`](Self::abort).
    async fn append(&mut self, batch: &RecordBatch) -> Result<(), LogError>;

    /// Adds consumed positions of `group` (offset of the next record to read) to the open transaction.
    async fn commit_group_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), LogError>;

    /// Makes the open transaction durable and visible, all of it. A no-op when none is open. On [`LogError::Timeout`] or a retriable error the outcome is
    /// unknown to the caller: make a new producer (which settles it) and read back where the log stands.
    async fn commit(&mut self) -> Result<(), LogError>;

    /// Drops the open transaction. A no-op when none is open.
    async fn abort(&mut self) -> Result<(), LogError>;
}
