use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Clock, DataError, TaskError, TaskId, TaskMetrics};
use crate::config::Props;
use crate::data::SinkRecord;

/// Positions by (topic, partition): the offset of the next record to consume.
pub type Offsets = Vec<((Arc<str>, i32), i64)>;

/// Takes records that a sink cannot write, so that the rest of a batch goes on.
pub trait ErrantRecordReporter: Send + Sync + fmt::Debug {
    /// Reports `record`. It is logged and written to the dead letter queue (as it was consumed, before transforms) before its offset is committed.
    ///
    /// `Err` when `errors.tolerance` is `none`: return it from `put`. The record has been reported all the same.
    fn report(&self, record: &SinkRecord, error: DataError) -> Result<(), TaskError>;
}

/// What a sink task may use of the worker.
#[derive(Clone)]
pub struct SinkTaskContext {
    /// Which task this is.
    pub id: TaskId,
    /// Where records go that cannot be written; `None` unless a dead letter queue is set or `errors.log.enable` is on (then a poison record must fail `put`).
    pub reporter: Option<Arc<dyn ErrantRecordReporter>>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Metrics.
    pub metrics: Arc<dyn TaskMetrics>,
    /// Cancelled when the task shall stop.
    pub cancel: CancellationToken,
}

impl fmt::Debug for SinkTaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SinkTaskContext({})", self.id)
    }
}

/// Records for one `put`, in offset order per original partition.
#[derive(Debug, Default)]
pub struct SinkBatch {
    /// The records.
    pub records: Vec<SinkRecord>,
}

/// Copies records from the log into another system.
#[async_trait::async_trait]
pub trait SinkTask: Send {
    /// Connects. Called once, before any partition is opened.
    async fn start(&mut self, context: SinkTaskContext, props: &Props) -> Result<(), TaskError>;

    /// These partitions were added to what this task has.
    async fn open(&mut self, partitions: &[(Arc<str>, i32)]) -> Result<(), TaskError> {
        let _ = partitions;
        Ok(())
    }

    /// Writes a batch. The records stay with the worker: after a retriable error the same batch is put again, records of partitions lost meanwhile left out, so a
    /// write must be repeatable. `Ok` means accepted: durable, or held by the task until [`pre_commit`](Self::pre_commit) says so. Never called with an empty
    /// batch; a task that must act on time does so in `pre_commit`.
    async fn put(&mut self, batch: &SinkBatch) -> Result<(), TaskError>;

    /// What may be committed: the worker offers the positions after the last accepted `put`; the task returns those up to which everything is durable on the other
    /// side. Called every `offset.flush.interval.ms`, before partitions are given back and before `stop`. The default is for tasks that are durable when `put`
    /// returns.
    async fn pre_commit(&mut self, put_up_to: &Offsets) -> Result<Offsets, TaskError> {
        Ok(put_up_to.clone())
    }

    /// These partitions are gone: drop what is held for them.
    async fn close(&mut self, partitions: &[(Arc<str>, i32)]) -> Result<(), TaskError> {
        let _ = partitions;
        Ok(())
    }

    /// Releases everything. Called once, also when the task failed; not after a failed `start`.
    async fn stop(&mut self) -> Result<(), TaskError>;
}
