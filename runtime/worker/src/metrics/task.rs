use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use millrace_api::plugin::{Gauge, TaskId, TaskMetrics};
use tokio::time::Instant;

use super::{Exposition, Kind, Sampled, lock};
use crate::herder::ConnectorType;
use crate::stores::status::RunState;

/// Counters of one task. Everything is added per batch; nothing here is touched per record.
#[derive(Debug)]
pub struct TaskMeter {
    kind: ConnectorType,
    states: Mutex<StateTimes>,
    /// Polled (source) or read (sink) records.
    taken: AtomicU64,
    taken_rate: Sampled,
    /// Written (source) or put (sink) records.
    given: AtomicU64,
    given_rate: Sampled,
    batch_sizes: Sampled,
    batch_times: Sampled,
    commit_times: Sampled,
    commits: AtomicU64,
    commit_failures: AtomicU64,
    commits_skipped: AtomicU64,
    active: AtomicI64,
    active_bytes: AtomicI64,
    partitions: AtomicI64,
    lag: Mutex<Option<Lag>>,
    /// Failures of records; see the methods of the same names.
    pub(crate) errors: ErrorCounters,
    gauges: Mutex<BTreeMap<&'static str, (&'static str, Gauge)>>,
}

/// Counters of `task-error-metrics`.
#[derive(Debug, Default)]
pub(crate) struct ErrorCounters {
    pub(crate) failures: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) logged: AtomicU64,
    pub(crate) dlq_requests: AtomicU64,
    pub(crate) dlq_failures: AtomicU64,
    pub(crate) last: AtomicI64,
}

/// How far a task is behind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lag {
    /// Records not yet taken.
    pub records: i64,
    /// Their bytes, estimated from those taken.
    pub bytes: i64,
    /// Age of the last record taken, 0 when there is nothing more.
    pub seconds: f64,
}

#[derive(Debug)]
struct StateTimes {
    state: RunState,
    since: Instant,
    running: Duration,
    paused: Duration,
    other: Duration,
}

impl StateTimes {
    fn settle(&mut self) {
        let now = Instant::now();
        let spent = now.duration_since(self.since);
        *match self.state {
            RunState::Running => &mut self.running,
            RunState::Paused => &mut self.paused,
            _ => &mut self.other,
        } += spent;
        self.since = now;
    }
}

impl TaskMeter {
    pub(super) fn new(kind: ConnectorType) -> Self {
        let states = StateTimes {
            state: RunState::Unassigned,
            since: Instant::now(),
            running: Duration::ZERO,
            paused: Duration::ZERO,
            other: Duration::ZERO,
        };
        Self {
            kind,
            states: Mutex::new(states),
            taken: AtomicU64::default(),
            taken_rate: Sampled::default(),
            given: AtomicU64::default(),
            given_rate: Sampled::default(),
            batch_sizes: Sampled::default(),
            batch_times: Sampled::default(),
            commit_times: Sampled::default(),
            commits: AtomicU64::default(),
            commit_failures: AtomicU64::default(),
            commits_skipped: AtomicU64::default(),
            active: AtomicI64::default(),
            active_bytes: AtomicI64::default(),
            partitions: AtomicI64::default(),
            lag: Mutex::default(),
            errors: ErrorCounters::default(),
            gauges: Mutex::default(),
        }
    }

    /// A meter that nobody looks at: for runners under test.
    pub fn detached(kind: ConnectorType) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self::new(kind))
    }

    /// Sets the state.
    pub fn set_state(&self, state: RunState) {
        let mut states = lock(&self.states);
        states.settle();
        states.state = state;
    }

    /// The state.
    pub fn state(&self) -> RunState {
        lock(&self.states).state
    }

    /// A poll brought `records` in `time`.
    pub fn polled(&self, records: usize, time: Duration) {
        self.took(records);
        self.batch_sizes.record(records as f64);
        self.batch_times.record(time.as_secs_f64() * 1000.0);
    }

    /// `records` were read from the log.
    pub fn took(&self, records: usize) {
        self.taken.fetch_add(records as u64, Ordering::Relaxed);
        self.taken_rate.record(records as f64);
    }

    /// `records` were acknowledged by the log.
    pub fn written(&self, records: usize) {
        self.given.fetch_add(records as u64, Ordering::Relaxed);
        self.given_rate.record(records as f64);
    }

    /// A put of `records` succeeded in `time`.
    pub fn put(&self, records: usize, time: Duration) {
        self.written(records);
        self.batch_sizes.record(records as f64);
        self.batch_times.record(time.as_secs_f64() * 1000.0);
    }

    /// An offset commit ended after `time`.
    pub fn committed(&self, success: bool, time: Duration) {
        if success {
            self.commits.fetch_add(1, Ordering::Relaxed);
            self.commit_times.record(time.as_secs_f64() * 1000.0);
        } else {
            self.commit_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An offset commit had nothing to do.
    pub fn commit_skipped(&self) {
        self.commits_skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// Records (and their bytes) taken and not yet finished.
    pub fn set_active(&self, records: usize, bytes: usize) {
        self.active.store(records as i64, Ordering::Relaxed);
        self.active_bytes.store(bytes as i64, Ordering::Relaxed);
    }

    /// Partitions assigned to a sink.
    pub fn set_partitions(&self, count: usize) {
        self.partitions.store(count as i64, Ordering::Relaxed);
    }

    /// How far behind the task is.
    pub fn set_lag(&self, lag: Lag) {
        *lock(&self.lag) = Some(lag);
    }

    /// Records written (source) or put (sink) so far.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    pub(super) fn render(&self, id: &TaskId, out: &mut Exposition) {
        let task = id.task.to_string();
        let labels: [(&str, &str); 2] = [("connector", &id.connector), ("task", &task)];
        let mut put =
            |kind, name: &str, help: &str, value: f64| out.sample(kind, name, help, &labels, value);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        self.render_task(&mut put);
        let (taken, given, times) = (
            self.taken_rate.summary(),
            self.given_rate.summary(),
            self.batch_times.summary(),
        );
        let active = self.active.load(Ordering::Relaxed) as f64;
        if self.kind == ConnectorType::Source {
            let name = |attribute: &str| format!("kafka_connect_source_task_{attribute}");
            put(
                Kind::Counter,
                &name("source_record_poll_total"),
                "Records polled.",
                count(&self.taken),
            );
            put(
                Kind::Gauge,
                &name("source_record_poll_rate"),
                "Records polled per second.",
                taken.rate,
            );
            put(
                Kind::Counter,
                &name("source_record_write_total"),
                "Records acknowledged by the log.",
                count(&self.given),
            );
            put(
                Kind::Gauge,
                &name("source_record_write_rate"),
                "Records acknowledged per second.",
                given.rate,
            );
            put(
                Kind::Gauge,
                &name("poll_batch_max_time_ms"),
                "Longest poll.",
                times.max,
            );
            put(
                Kind::Gauge,
                &name("poll_batch_avg_time_ms"),
                "Mean time of a poll.",
                times.avg,
            );
            put(
                Kind::Gauge,
                &name("source_record_active_count"),
                "Records polled and not acknowledged.",
                active,
            );
            let bytes = self.active_bytes.load(Ordering::Relaxed) as f64;
            put(
                Kind::Gauge,
                "millrace_source_task_active_bytes",
                "Encoded bytes sent and not acknowledged.",
                bytes,
            );
        } else {
            let name = |attribute: &str| format!("kafka_connect_sink_task_{attribute}");
            let commits = count(&self.commits);
            put(
                Kind::Counter,
                &name("sink_record_read_total"),
                "Records read.",
                count(&self.taken),
            );
            put(
                Kind::Gauge,
                &name("sink_record_read_rate"),
                "Records read per second.",
                taken.rate,
            );
            put(
                Kind::Counter,
                &name("sink_record_send_total"),
                "Records put.",
                count(&self.given),
            );
            put(
                Kind::Gauge,
                &name("sink_record_send_rate"),
                "Records put per second.",
                given.rate,
            );
            put(
                Kind::Gauge,
                &name("partition_count"),
                "Assigned partitions.",
                self.partitions.load(Ordering::Relaxed) as f64,
            );
            put(
                Kind::Gauge,
                &name("offset_commit_seq_no"),
                "Number of the last offset commit.",
                commits + count(&self.commit_failures),
            );
            put(
                Kind::Counter,
                &name("offset_commit_completion_total"),
                "Offset commits done.",
                commits,
            );
            put(
                Kind::Counter,
                &name("offset_commit_skip_total"),
                "Offset commits without anything new.",
                count(&self.commits_skipped),
            );
            put(
                Kind::Gauge,
                &name("put_batch_max_time_ms"),
                "Longest put.",
                times.max,
            );
            put(
                Kind::Gauge,
                &name("put_batch_avg_time_ms"),
                "Mean time of a put.",
                times.avg,
            );
            put(
                Kind::Gauge,
                &name("sink_record_active_count"),
                "Records read and not committed.",
                active,
            );
        }
        if let Some(lag) = *lock(&self.lag) {
            put(
                Kind::Gauge,
                "millrace_task_lag_records",
                "Records in the log that the task has not taken.",
                lag.records as f64,
            );
            put(
                Kind::Gauge,
                "millrace_task_lag_bytes",
                "Bytes of these, estimated from the records taken.",
                lag.bytes as f64,
            );
            put(
                Kind::Gauge,
                "millrace_task_lag_seconds",
                "Age of the last record taken while there are more.",
                lag.seconds,
            );
        }
        for (name, (help, gauge)) in &*lock(&self.gauges) {
            put(Kind::Gauge, name, help, gauge.get() as f64);
        }
        let state = self.state().metric_name();
        let labels: [(&str, &str); 3] = [
            ("connector", &id.connector),
            ("task", &task),
            ("status", state),
        ];
        out.sample(
            Kind::Gauge,
            "kafka_connect_connector_status",
            "State of the task, in the label; always 1.",
            &labels,
            1.0,
        );
    }

    fn render_task(&self, put: &mut impl FnMut(Kind, &str, &str, f64)) {
        let name = |attribute: &str| format!("kafka_connect_connector_task_{attribute}");
        let (running, paused) = {
            let mut states = lock(&self.states);
            states.settle();
            let total = (states.running + states.paused + states.other).as_secs_f64();
            let share = |part: Duration| {
                if total > 0.0 {
                    part.as_secs_f64() / total
                } else {
                    0.0
                }
            };
            (share(states.running), share(states.paused))
        };
        put(
            Kind::Gauge,
            &name("running_ratio"),
            "Share of time in state RUNNING, 0 to 1.",
            running,
        );
        put(
            Kind::Gauge,
            &name("pause_ratio"),
            "Share of time in state PAUSED, 0 to 1.",
            paused,
        );
        let (sizes, times) = (self.batch_sizes.summary(), self.commit_times.summary());
        put(
            Kind::Gauge,
            &name("batch_size_max"),
            "Most records in a batch.",
            sizes.max,
        );
        put(
            Kind::Gauge,
            &name("batch_size_avg"),
            "Mean records in a batch.",
            sizes.avg,
        );
        put(
            Kind::Gauge,
            &name("offset_commit_max_time_ms"),
            "Longest offset commit.",
            times.max,
        );
        put(
            Kind::Gauge,
            &name("offset_commit_avg_time_ms"),
            "Mean time of an offset commit.",
            times.avg,
        );
        let commits = self.commits.load(Ordering::Relaxed) as f64;
        let failures = self.commit_failures.load(Ordering::Relaxed) as f64;
        let share = |part: f64| {
            if commits + failures > 0.0 {
                part / (commits + failures)
            } else {
                0.0
            }
        };
        put(
            Kind::Gauge,
            &name("offset_commit_success_percentage"),
            "Share of offset commits that succeeded, 0 to 1.",
            share(commits),
        );
        put(
            Kind::Gauge,
            &name("offset_commit_failure_percentage"),
            "Share of offset commits that failed, 0 to 1.",
            share(failures),
        );
        let e = &self.errors;
        for (attribute, help, counter) in [
            (
                "total_record_failures",
                "Failed attempts on records.",
                &e.failures,
            ),
            (
                "total_record_errors",
                "Operations on records that failed for good.",
                &e.errors,
            ),
            ("total_records_skipped", "Records left out.", &e.skipped),
            ("total_retries", "Attempts repeated.", &e.retries),
            (
                "total_errors_logged",
                "Errors written to the log.",
                &e.logged,
            ),
            (
                "deadletterqueue_produce_requests",
                "Records sent to the dead letter queue.",
                &e.dlq_requests,
            ),
            (
                "deadletterqueue_produce_failures",
                "Records that the dead letter queue did not take.",
                &e.dlq_failures,
            ),
        ] {
            put(
                Kind::Counter,
                &format!("kafka_connect_task_error_{attribute}"),
                help,
                counter.load(Ordering::Relaxed) as f64,
            );
        }
        let last = e.last.load(Ordering::Relaxed) as f64;
        put(
            Kind::Gauge,
            "kafka_connect_task_error_last_error_timestamp",
            "When a record last failed, in milliseconds since the epoch.",
            last,
        );
    }
}

impl TaskMetrics for TaskMeter {
    fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        lock(&self.gauges)
            .entry(name)
            .or_insert_with(|| (help, Gauge::default()))
            .1
            .clone()
    }
}
