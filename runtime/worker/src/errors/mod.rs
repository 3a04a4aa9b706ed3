//! What becomes of a record that cannot be converted, transformed or written: retries, tolerance, the log and the dead letter queue.

mod dead_letters;

pub use dead_letters::{DeadLetters, OriginalRecord};

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use millrace_api::plugin::{Clock, DataError, Stage, TaskError, TaskId};
use tokio::time::Instant;

use crate::metrics::TaskMeter;

/// The `errors.*` keys of a connector.
#[derive(Debug, Clone)]
pub struct ErrorPolicy {
    /// `errors.retry.timeout`; `None`: for ever.
    pub retry_timeout: Option<Duration>,
    /// `errors.retry.delay.max.ms`
    pub retry_delay_max: Duration,
    /// `errors.tolerance=all`
    pub tolerate_all: bool,
    /// `errors.log.enable`
    pub log: bool,
    /// `errors.log.include.messages`
    pub log_messages: bool,
}

/// Attempts on one record at one stage; begin a new one for the next record.
#[derive(Debug, Default, Clone, Copy)]
pub struct Attempts {
    count: u32,
    since: Option<Instant>,
}

/// What to do after a failed operation.
#[derive(Debug)]
pub enum Outcome {
    /// Try the same again after a pause.
    Retry(Duration),
    /// Report the record and leave it out.
    Skip,
    /// Report the record and fail the task.
    Fail,
}

/// Where an operation failed.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Which step.
    pub stage: Stage,
    /// Java class that was executing.
    pub class: &'a str,
}

/// Applies the policy of one task and counts what it does.
#[derive(Debug)]
pub struct ErrorHandler {
    policy: ErrorPolicy,
    task: TaskId,
    meter: Arc<TaskMeter>,
    clock: Arc<dyn Clock>,
}

impl ErrorHandler {
    /// For one task.
    pub fn new(
        policy: ErrorPolicy,
        task: TaskId,
        meter: Arc<TaskMeter>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            policy,
            task,
            meter,
            clock,
        }
    }

    /// The policy.
    pub fn policy(&self) -> &ErrorPolicy {
        &self.policy
    }

    /// An operation failed. A retriable error is tried again until `errors.retry.timeout`; what is left is skipped or fails the task, as `errors.tolerance` says.
    ///
    /// A Java worker leaves a record out, even with tolerance `none`, when it fails with a *retriable* error until the time is over. Here that needs tolerance
    /// `all`, as every other loss does.
    pub fn failed(&self, error: &DataError, attempts: &mut Attempts) -> Outcome {
        let counters = &self.meter.errors;
        counters.failures.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let since = *attempts.since.get_or_insert(now);
        if error.retriable {
            let left = self
                .policy
                .retry_timeout
                .map(|timeout| timeout.saturating_sub(now.duration_since(since)));
            if left.is_none_or(|left| !left.is_zero()) {
                attempts.count += 1;
                counters.retries.fetch_add(1, Ordering::Relaxed);
                let delay = self.delay(attempts.count);
                return Outcome::Retry(left.map_or(delay, |left| delay.min(left)));
            }
        }
        counters
            .last
            .store(self.clock.now_millis(), Ordering::Relaxed);
        counters.errors.fetch_add(1, Ordering::Relaxed);
        if self.policy.tolerate_all {
            counters.skipped.fetch_add(1, Ordering::Relaxed);
            Outcome::Skip
        } else {
            Outcome::Fail
        }
    }

    fn delay(&self, attempt: u32) -> Duration {
        let delay = Duration::from_millis(300)
            .saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        if delay <= self.policy.retry_delay_max {
            return delay;
        }
        let max = self.policy.retry_delay_max.as_millis().max(1) as u64;
        Duration::from_millis(RandomState::new().build_hasher().finish() % max)
    }

    /// Writes a failed record to the log, if `errors.log.enable` is on. `record` describes it, if `errors.log.include.messages` is on.
    pub fn log(&self, error: &DataError, place: Place<'_>, record: impl FnOnce() -> String) {
        if !self.policy.log {
            return;
        }
        self.meter.errors.logged.fetch_add(1, Ordering::Relaxed);
        let mut text = format!(
            "Error encountered in task {}. Executing stage '{}' with class '{}'",
            self.task,
            place.stage.name(),
            place.class
        );
        if self.policy.log_messages {
            text.push_str(", where ");
            text.push_str(&record());
        }
        text.push('.');
        tracing::error!(task = %self.task, error = error as &dyn std::error::Error, "{text}");
    }

    /// Counts a send to the dead letter queue.
    pub(crate) fn dead_letter(&self, taken: bool) {
        let errors = &self.meter.errors;
        errors.dlq_requests.fetch_add(1, Ordering::Relaxed);
        if !taken {
            errors.dlq_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The error that fails a task whose record is not tolerated.
    pub fn tolerance_exceeded(error: DataError) -> TaskError {
        TaskError::fatal("errors.tolerance", "Tolerance exceeded in error handler")
            .with_source(error)
    }
}

/// `class: message`, then one `Caused by:` line per cause: the trace of a record's error as the dead letter queue carries it.
pub(crate) fn data_trace(error: &DataError) -> String {
    let mut text = format!("{}: {}", error.java_class, error.message);
    let mut cause: Option<&(dyn std::error::Error + 'static)> =
        error.source.as_deref().map(|e| e as _);
    while let Some(inner) = cause {
        text.push_str(&format!("\nCaused by: {inner}"));
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::herder::ConnectorType;

    fn handler(retry_timeout: Option<u64>, max: u64, all: bool) -> ErrorHandler {
        let policy = ErrorPolicy {
            retry_timeout: retry_timeout.map(Duration::from_millis),
            retry_delay_max: Duration::from_millis(max),
            tolerate_all: all,
            log: false,
            log_messages: false,
        };
        let id = TaskId {
            connector: "c".into(),
            task: 0,
        };
        ErrorHandler::new(
            policy,
            id,
            TaskMeter::detached(ConnectorType::Source),
            Arc::new(SystemClock),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn retries_double_up_to_the_limit_and_end_at_the_timeout() {
        let handler = handler(Some(1000), 60_000, true);
        let error = DataError::new("x").retriable();
        let mut attempts = Attempts::default();
        let mut pauses = Vec::new();
        loop {
            match handler.failed(&error, &mut attempts) {
                Outcome::Retry(pause) => {
                    pauses.push(pause.as_millis());
                    tokio::time::advance(pause).await;
                }
                Outcome::Skip => break,
                Outcome::Fail => unreachable!("all is tolerated"),
            }
        }
        assert_eq!(pauses, [300, 600, 100]);
        let counters = &handler.meter.errors;
        let counts = [
            &counters.failures,
            &counters.retries,
            &counters.errors,
            &counters.skipped,
        ]
        .map(|c| c.load(Ordering::Relaxed));
        assert_eq!(counts, [4, 3, 1, 1]);
    }

    #[test]
    fn tolerance_decides_what_cannot_be_retried() {
        let fatal = DataError::new("x");
        assert!(matches!(
            handler(None, 1, false).failed(&fatal, &mut Attempts::default()),
            Outcome::Fail
        ));
        assert!(matches!(
            handler(None, 1, true).failed(&fatal, &mut Attempts::default()),
            Outcome::Skip
        ));
        let retriable = DataError::new("x").retriable();
        assert!(
            matches!(
                handler(Some(0), 1, false).failed(&retriable, &mut Attempts::default()),
                Outcome::Fail
            ),
            "nothing is lost in silence"
        );
        assert!(matches!(
            handler(None, 1, false).failed(&retriable, &mut Attempts::default()),
            Outcome::Retry(_)
        ));
    }
}
