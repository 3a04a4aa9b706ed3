//! Numbers about the worker, its connectors and its tasks, and their text for Prometheus.
//!
//! Names are those that the usual exporter rules give Java's metrics (`kafka_connect_source_task_source_record_poll_total{connector,task}`); what Java does not
//! have begins with `millrace_`. Counters are added to once per batch.

mod process;
mod sampled;
mod task;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use millrace_api::plugin::TaskId;

pub use sampled::{Sampled, Summary};
pub use task::{Lag, TaskMeter};
pub use text::{Exposition, Kind};

use crate::herder::ConnectorType;
use crate::stores::status::RunState;

/// Facts about a connector.
#[derive(Debug, Clone)]
pub struct ConnectorFacts {
    /// Java class name.
    pub class: String,
    /// Version of the plugin.
    pub version: String,
    /// Source or sink.
    pub kind: ConnectorType,
    /// State.
    pub state: RunState,
}

/// How starts went.
#[derive(Debug, Default)]
struct Starts {
    success: AtomicU64,
    failure: AtomicU64,
}

impl Starts {
    fn record(&self, success: bool) {
        if success {
            &self.success
        } else {
            &self.failure
        }
        .fetch_add(1, Ordering::Relaxed);
    }
}

/// All metrics of one worker.
#[derive(Debug, Default)]
pub struct Metrics {
    tasks: Mutex<BTreeMap<TaskId, Arc<TaskMeter>>>,
    connectors: Mutex<BTreeMap<String, ConnectorFacts>>,
    connector_starts: Starts,
    task_starts: Starts,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// The meter of a task, made anew: a task that starts counts from 0.
    pub fn task(&self, id: &TaskId, kind: ConnectorType) -> Arc<TaskMeter> {
        let meter = Arc::new(TaskMeter::new(kind));
        lock(&self.tasks).insert(id.clone(), Arc::clone(&meter));
        meter
    }

    /// Drops a task's meter.
    pub fn remove_task(&self, id: &TaskId) {
        lock(&self.tasks).remove(id);
    }

    /// Sets what is known of a connector.
    pub fn connector(&self, name: &str, facts: ConnectorFacts) {
        lock(&self.connectors).insert(name.to_owned(), facts);
    }

    /// Drops a connector.
    pub fn remove_connector(&self, name: &str) {
        lock(&self.connectors).remove(name);
    }

    /// Counts a start of a connector.
    pub fn connector_started(&self, success: bool) {
        self.connector_starts.record(success);
    }

    /// Counts a start of a task.
    pub fn task_started(&self, success: bool) {
        self.task_starts.record(success);
    }

    /// Everything as text.
    pub fn render(&self) -> String {
        let mut out = Exposition::default();
        self.render_worker(&mut out);
        for (name, facts) in &*lock(&self.connectors) {
            let mut fact = |attribute: &str, value: &str| {
                let name_of = format!("kafka_connect_connector_{attribute}");
                out.sample(
                    Kind::Gauge,
                    &name_of,
                    "A fact about the connector, in the label; always 1.",
                    &[("connector", name), (attribute, value)],
                    1.0,
                );
            };
            fact("connector_class", &facts.class);
            fact("connector_type", facts.kind.name());
            fact("connector_version", &facts.version);
            fact("status", facts.state.metric_name());
        }
        let tasks: Vec<_> = lock(&self.tasks)
            .iter()
            .map(|(id, meter)| (id.clone(), Arc::clone(meter)))
            .collect();
        let mut states: BTreeMap<&str, BTreeMap<&str, u32>> = BTreeMap::new();
        for (id, meter) in &tasks {
            meter.render(id, &mut out);
            let counts = states.entry(&id.connector).or_default();
            *counts.entry("total").or_default() += 1;
            *counts.entry(meter.state().metric_name()).or_default() += 1;
        }
        for (connector, counts) in states {
            for state in [
                "total",
                "running",
                "paused",
                "failed",
                "unassigned",
                "destroyed",
                "restarting",
            ] {
                let count = counts.get(state).copied().unwrap_or(0);
                let name = format!("kafka_connect_worker_connector_{state}_task_count");
                out.sample(
                    Kind::Gauge,
                    &name,
                    "Tasks of the connector on this worker, by state.",
                    &[("connector", connector)],
                    count.into(),
                );
            }
        }
        out.render()
    }

    fn render_worker(&self, out: &mut Exposition) {
        out.sample(
            Kind::Gauge,
            "kafka_connect_worker_connector_count",
            "Connectors on this worker.",
            &[],
            lock(&self.connectors).len() as f64,
        );
        out.sample(
            Kind::Gauge,
            "kafka_connect_worker_task_count",
            "Tasks on this worker.",
            &[],
            lock(&self.tasks).len() as f64,
        );
        for (what, starts) in [
            ("connector", &self.connector_starts),
            ("task", &self.task_starts),
        ] {
            let success = starts.success.load(Ordering::Relaxed) as f64;
            let failure = starts.failure.load(Ordering::Relaxed) as f64;
            let total = success + failure;
            let share = |part: f64| if total > 0.0 { part / total } else { 0.0 };
            let name = |attribute: &str| format!("kafka_connect_worker_{what}_startup_{attribute}");
            out.sample(
                Kind::Counter,
                &name("attempts_total"),
                "Starts.",
                &[],
                total,
            );
            out.sample(
                Kind::Counter,
                &name("success_total"),
                "Starts that succeeded.",
                &[],
                success,
            );
            out.sample(
                Kind::Counter,
                &name("failure_total"),
                "Starts that failed.",
                &[],
                failure,
            );
            out.sample(
                Kind::Gauge,
                &name("success_percentage"),
                "Share of starts that succeeded, 0 to 1.",
                &[],
                share(success),
            );
            out.sample(
                Kind::Gauge,
                &name("failure_percentage"),
                "Share of starts that failed, 0 to 1.",
                &[],
                share(failure),
            );
        }
        if let Some((cpu, resident)) = process::usage() {
            out.sample(
                Kind::Counter,
                "process_cpu_seconds_total",
                "CPU time of this process in seconds.",
                &[],
                cpu,
            );
            out.sample(
                Kind::Gauge,
                "process_resident_memory_bytes",
                "Resident memory of this process in bytes.",
                &[],
                resident,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_api::plugin::TaskMetrics;

    use super::*;

    #[test]
    fn names_are_those_of_the_exporter_rules() {
        let metrics = Metrics::default();
        metrics.connector(
            "c",
            ConnectorFacts {
                class: "C".into(),
                version: "1".into(),
                kind: ConnectorType::Source,
                state: RunState::Running,
            },
        );
        let id = TaskId {
            connector: "c".into(),
            task: 0,
        };
        let meter = metrics.task(&id, ConnectorType::Source);
        meter.set_state(RunState::Running);
        meter.polled(7, std::time::Duration::from_millis(2));
        meter.written(5);
        meter
            .gauge("millrace_postgres_slot_lag_bytes", "WAL held by the slot.")
            .set(9);
        metrics.task_started(true);
        let text = metrics.render();
        for line in [
            "kafka_connect_source_task_source_record_poll_total{connector=\"c\",task=\"0\"} 7",
            "kafka_connect_source_task_source_record_write_total{connector=\"c\",task=\"0\"} 5",
            "kafka_connect_connector_status{connector=\"c\",task=\"0\",status=\"running\"} 1",
            "kafka_connect_connector_connector_class{connector=\"c\",connector_class=\"C\"} 1",
            "kafka_connect_connector_task_batch_size_max{connector=\"c\",task=\"0\"} 7",
            "kafka_connect_task_error_total_record_failures{connector=\"c\",task=\"0\"} 0",
            "kafka_connect_worker_task_startup_success_total 1",
            "kafka_connect_worker_connector_running_task_count{connector=\"c\"} 1",
            "millrace_postgres_slot_lag_bytes{connector=\"c\",task=\"0\"} 9",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
        }
        metrics.remove_task(&id);
        assert!(!metrics.render().contains("task=\"0\""));
    }
}
