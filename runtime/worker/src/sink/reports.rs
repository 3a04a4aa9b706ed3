//! Records that a sink task reports because it cannot write them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use millrace_api::data::SinkRecord;
use millrace_api::plugin::{DataError, ErrantRecordReporter, TaskError};

use crate::errors::ErrorHandler;

/// A reported record by its original place.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) error: DataError,
}

/// Takes reports during a `put`; the runner writes them behind it. Holds no more than a task reports in one `put`.
#[derive(Debug)]
pub(super) struct Reports {
    tolerate_all: bool,
    queue: Mutex<Vec<Report>>,
    exceeded: AtomicBool,
}

impl Reports {
    pub(super) fn new(tolerate_all: bool) -> Self {
        Self {
            tolerate_all,
            queue: Mutex::default(),
            exceeded: AtomicBool::new(false),
        }
    }

    pub(super) fn take(&self) -> Vec<Report> {
        std::mem::take(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a record was reported that is not tolerated: the task fails even if it swallows the error.
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Acquire)
    }
}

impl ErrantRecordReporter for Reports {
    fn report(&self, record: &SinkRecord, mut error: DataError) -> Result<(), TaskError> {
        error.retriable = false;
        let cause = DataError::new(error.message.clone()).with_java_class(error.java_class);
        let report = Report {
            topic: record.original_topic.clone(),
            partition: record.original_partition,
            offset: record.offset,
            error,
        };
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(report);
        if self.tolerate_all {
            return Ok(());
        }
        self.exceeded.store(true, Ordering::Release);
        Err(ErrorHandler::tolerance_exceeded(cause))
    }
}
