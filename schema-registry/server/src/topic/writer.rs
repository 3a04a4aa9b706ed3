//! Writing to the topic, and waiting until what was written is read back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use millrace_log::{Log, LogError, Table, TableWrite, TableWriter};
use parking_lot::RwLock;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::records::noop;
use super::validation::table_options;
use crate::options::TopicOptions;

/// Why a write is not known to have taken effect.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum WriteError {
    /// It was not acknowledged, or not read back, in time.
    #[error("the write was not acknowledged and read back in time")]
    TimedOut,
    /// A record is larger than the topic takes.
    #[error("{0}")]
    TooLarge(LogError),
    /// Anything else.
    #[error("{0}")]
    Failed(LogError),
}

/// The only writer of this process. One write is under way at a time, so that a NOOP after a write whose outcome is unknown really comes after it.
pub(crate) struct TopicWriter {
    log: Arc<dyn Log>,
    options: TopicOptions,
    writer: RwLock<Arc<dyn TableWriter>>,
    applied: watch::Receiver<i64>,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    /// A write that was given up waiting for.
    write: Option<JoinHandle<Result<Vec<i64>, LogError>>>,
    /// The writer failed in a way that it does not recover from.
    broken: bool,
}

impl fmt::Debug for TopicWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicWriter")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl TopicWriter {
    /// Writes through `table`'s writer. `applied` tells the offset of the last record that was read and applied.
    pub(crate) fn new(
        log: Arc<dyn Log>,
        options: TopicOptions,
        table: &dyn Table,
        applied: watch::Receiver<i64>,
    ) -> Self {
        Self {
            log,
            options,
            writer: RwLock::new(table.writer()),
            applied,
            under_way: Mutex::default(),
        }
    }

    /// Appends the records and waits until they have been applied; each of the two may take `timeout`.
    pub(crate) async fn write(
        &self,
        writes: Vec<TableWrite>,
        timeout: Duration,
    ) -> Result<(), WriteError> {
        let last = self.append(writes, Instant::now() + timeout).await?;
        self.wait_applied(last, Instant::now() + timeout).await
    }

    /// Writes a NOOP and waits until everything before it has been applied.
    pub(crate) async fn read_to_end(&self, timeout: Duration) -> Result<(), WriteError> {
        self.write(vec![noop()], timeout).await
    }

    async fn append(&self, writes: Vec<TableWrite>, deadline: Instant) -> Result<i64, WriteError> {
        let late = |_| WriteError::TimedOut;
        let mut under_way = timeout_at(deadline, self.under_way.lock())
            .await
            .map_err(late)?;
        if let Some(earlier) = &mut under_way.write {
            // Its outcome no longer matters to anybody: whoever sent it has been told that it is unknown.
            let _ = timeout_at(deadline, earlier).await.map_err(late)?;
            under_way.write = None;
        }
        if under_way.broken {
            let again = timeout_at(deadline, self.log.table(table_options(&self.options)))
                .await
                .map_err(late)?;
            *self.writer.write() = again.map_err(WriteError::Failed)?.writer();
            under_way.broken = false;
        }
        let writer = Arc::clone(&self.writer.read());
        let mut write = tokio::spawn(async move { writer.put(&writes).await });
        let Ok(outcome) = timeout_at(deadline, &mut write).await else {
            under_way.write = Some(write);
            return Err(WriteError::TimedOut);
        };
        match outcome {
            Ok(Ok(offsets)) => Ok(offsets.iter().copied().max().unwrap_or(-1)),
            Ok(Err(LogError::Timeout(_))) => Err(WriteError::TimedOut),
            Ok(Err(error @ LogError::RecordTooLarge { .. })) => Err(WriteError::TooLarge(error)),
            Ok(Err(error)) => {
                under_way.broken = !error.is_retriable();
                Err(WriteError::Failed(error))
            }
            Err(panicked) => {
                under_way.broken = true;
                Err(WriteError::Failed(LogError::fatal(format!(
                    "writing to the schemas topic broke down: {panicked}"
                ))))
            }
        }
    }

    async fn wait_applied(&self, offset: i64, deadline: Instant) -> Result<(), WriteError> {
        let mut applied = self.applied.clone();
        match timeout_at(deadline, applied.wait_for(|applied| *applied >= offset)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(WriteError::Failed(LogError::Closed)),
            Err(_) => Err(WriteError::TimedOut),
        }
    }
}

/// Reads the topic to its end before a lead is taken up.
#[derive(Debug, Clone)]
pub(crate) struct CatchUp {
    pub(crate) topic: Arc<TopicWriter>,
    /// `kafkastore.init.timeout.ms`
    pub(crate) timeout: Duration,
}

impl CatchUp {
    pub(crate) async fn to_end(&self) -> Result<(), WriteError> {
        self.topic.read_to_end(self.timeout).await
    }
}
