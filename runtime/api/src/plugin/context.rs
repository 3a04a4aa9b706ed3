use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::future::BoxFuture;

use crate::data::OffsetMap;

/// Names a task: connector and number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// Connector name.
    pub connector: Arc<str>,
    /// Number, from 0.
    pub task: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connector, self.task)
    }
}

/// The wall clock, so that tests can stop it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Nanoseconds since the epoch.
    fn now_nanos(&self) -> i64;

    /// Milliseconds since the epoch.
    fn now_millis(&self) -> i64 {
        self.now_nanos() / 1_000_000
    }
}

/// Reads source offsets that were stored earlier, by this task or its predecessors.
pub trait OffsetReader: Send + Sync + fmt::Debug {
    /// The offset last stored for `partition` of this connector (partitions are compared as maps, not as bytes); `None` when there is none or it was reset.
    fn offset<'a>(
        &'a self,
        partition: &'a OffsetMap,
    ) -> BoxFuture<'a, Result<Option<OffsetMap>, super::TaskError>>;
}

/// A number that a task sets and `/metrics` shows. Cheap to set per batch.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to the value.
    pub fn add(&self, value: i64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a task registers metrics of its own; they carry the labels `connector` and `task` and vanish with the task.
pub trait TaskMetrics: Send + Sync + fmt::Debug {
    /// A gauge of this Prometheus name (`millrace_postgres_slot_lag_bytes`), made on the first call.
    fn gauge(&self, name: &'static str, help: &'static str) -> Gauge;
}
