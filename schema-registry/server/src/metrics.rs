//! What is measured, under the names that the original gives to JMX.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::topic::records::{Format, SchemaRecord};

/// All counters of one registry.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    leads: AtomicI64,
    nodes: AtomicI64,
    leader_initialization: AtomicU64,
    success: AtomicU64,
    failure: AtomicU64,
    registered: PerFormat,
    deleted: PerFormat,
    calls: RwLock<HashMap<&'static str, Arc<Calls>>>,
}

#[derive(Debug, Default)]
struct PerFormat {
    avro: AtomicU64,
    json: AtomicU64,
    protobuf: AtomicU64,
}

/// Counters of one call.
#[derive(Debug, Default)]
struct Calls {
    count: AtomicU64,
    errors: AtomicU64,
    nanoseconds: AtomicU64,
    slowest: AtomicU64,
    /// How many took at most as long as [`BOUNDS`] says.
    within: [AtomicU64; BOUNDS.len()],
}

/// Upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0,
];

impl PerFormat {
    fn of(&self, format: Format) -> &AtomicU64 {
        match format {
            Format::Avro => &self.avro,
            Format::Json => &self.json,
            Format::Protobuf => &self.protobuf,
        }
    }

    fn all(&self) -> u64 {
        [&self.avro, &self.json, &self.protobuf]
            .into_iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }
}

impl Metrics {
    pub(crate) fn leads(&self, leads: bool) {
        self.leads.store(i64::from(leads), Ordering::Relaxed);
    }

    pub(crate) fn nodes(&self, count: usize) {
        self.nodes
            .store(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn leader_initialization(&self, took: Duration) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.leader_initialization
            .store(milliseconds, Ordering::Relaxed);
    }

    /// Counts a record of the topic.
    pub(crate) fn schema(&self, record: SchemaRecord) {
        let counters = if record.live {
            &self.registered
        } else {
            &self.deleted
        };
        counters.of(record.format).fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that was answered.
    pub(crate) fn call(&self, name: &'static str, status: u16, took: Duration) {
        let success = (200..300).contains(&status);
        let total = if success {
            &self.success
        } else {
            &self.failure
        };
        total.fetch_add(1, Ordering::Relaxed);
        let calls = self.calls_of(name);
        calls.count.fetch_add(1, Ordering::Relaxed);
        if !success {
            calls.errors.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        calls.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        calls.slowest.fetch_max(nanoseconds, Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            calls.within[bucket].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn calls_of(&self, name: &'static str) -> Arc<Calls> {
        if let Some(calls) = self.calls.read().get(name) {
            return Arc::clone(calls);
        }
        Arc::clone(self.calls.write().entry(name).or_default())
    }

    /// Everything in the text format of Prometheus.
    pub(crate) fn text(&self) -> String {
        let mut out = String::with_capacity(8 << 10);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut plain = |name: &str, kind: &str, help: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                "# HELP kafka_schema_registry_{name} {help}\n# TYPE kafka_schema_registry_{name} {kind}\nkafka_schema_registry_{name} {value}\n"
            );
        };
        let gauge = |value: &AtomicI64| value.load(Ordering::Relaxed).to_string();
        plain(
            "master_slave_role",
            "gauge",
            "1 while this node leads.",
            gauge(&self.leads),
        );
        plain(
            "node_count",
            "gauge",
            "Nodes in the group, as the group's leader last saw them.",
            gauge(&self.nodes),
        );
        plain(
            "leader_initialization_latency",
            "gauge",
            "Milliseconds that taking up the lead last took.",
            load(&self.leader_initialization).to_string(),
        );
        plain(
            "custom_schema_provider_count",
            "gauge",
            "Schema providers that were plugged in.",
            "0".to_owned(),
        );
        plain(
            "api_success_count",
            "counter",
            "Calls answered with 2xx.",
            load(&self.success).to_string(),
        );
        plain(
            "api_failure_count",
            "counter",
            "Calls answered otherwise.",
            load(&self.failure).to_string(),
        );
        plain(
            "registered_count",
            "counter",
            "Versions registered.",
            self.registered.all().to_string(),
        );
        plain(
            "deleted_count",
            "counter",
            "Versions deleted.",
            self.deleted.all().to_string(),
        );
        for (format, name) in [
            (Format::Avro, "avro"),
            (Format::Json, "json"),
            (Format::Protobuf, "protobuf"),
        ] {
            plain(
                &format!("{name}_schemas_created"),
                "counter",
                "Versions registered, of one format.",
                load(self.registered.of(format)).to_string(),
            );
            plain(
                &format!("{name}_schemas_deleted"),
                "counter",
                "Versions deleted, of one format.",
                load(self.deleted.of(format)).to_string(),
            );
        }
        self.calls_text(&mut out);
        out
    }

    fn calls_text(&self, out: &mut String) {
        let mut calls: Vec<_> = self
            .calls
            .read()
            .iter()
            .map(|(name, calls)| (*name, Arc::clone(calls)))
            .collect();
        calls.sort_unstable_by_key(|(name, _)| *name);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let seconds = |nanoseconds: u64| Duration::from_nanos(nanoseconds).as_secs_f64();
        out.push_str("# HELP kafka_schema_registry_request_latency_seconds How long calls took.\n# TYPE kafka_schema_registry_request_latency_seconds histogram\n");
        for (name, calls) in &calls {
            let mut sum = 0;
            for (bound, count) in BOUNDS.iter().zip(&calls.within) {
                sum += load(count);
                let _ = writeln!(
                    out,
                    "kafka_schema_registry_request_latency_seconds_bucket{{endpoint=\"{name}\",le=\"{bound}\"}} {sum}"
                );
            }
            let _ = write!(
                out,
                "kafka_schema_registry_request_latency_seconds_bucket{{endpoint=\"{name}\",le=\"+Inf\"}} {count}\n\
                 kafka_schema_registry_request_latency_seconds_sum{{endpoint=\"{name}\"}} {}\n\
                 kafka_schema_registry_request_latency_seconds_count{{endpoint=\"{name}\"}} {count}\n",
                seconds(load(&calls.nanoseconds)),
                count = load(&calls.count),
            );
        }
        out.push_str("# HELP kafka_schema_registry_request_latency_max_seconds The slowest call.\n# TYPE kafka_schema_registry_request_latency_max_seconds gauge\n");
        for (name, calls) in &calls {
            let _ = writeln!(
                out,
                "kafka_schema_registry_request_latency_max_seconds{{endpoint=\"{name}\"}} {}",
                seconds(load(&calls.slowest))
            );
        }
        out.push_str("# HELP kafka_schema_registry_request_errors Calls that were not answered with 2xx.\n# TYPE kafka_schema_registry_request_errors counter\n");
        for (name, calls) in &calls {
            let _ = writeln!(
                out,
                "kafka_schema_registry_request_errors{{endpoint=\"{name}\"}} {}",
                load(&calls.errors)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_out_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.leads(true);
        metrics.call("subjects.list", 200, Duration::from_micros(200));
        metrics.call("subjects.list", 404, Duration::from_secs(20));
        metrics.schema(SchemaRecord {
            format: Format::Json,
            live: true,
        });
        let text = metrics.text();
        for line in [
            "kafka_schema_registry_master_slave_role 1",
            "kafka_schema_registry_api_success_count 1",
            "kafka_schema_registry_api_failure_count 1",
            "kafka_schema_registry_registered_count 1",
            "kafka_schema_registry_json_schemas_created 1",
            "kafka_schema_registry_avro_schemas_created 0",
            "kafka_schema_registry_request_latency_seconds_bucket{endpoint=\"subjects.list\",le=\"0.00025\"} 1",
            "kafka_schema_registry_request_latency_seconds_bucket{endpoint=\"subjects.list\",le=\"10\"} 1",
            "kafka_schema_registry_request_latency_seconds_bucket{endpoint=\"subjects.list\",le=\"+Inf\"} 2",
            "kafka_schema_registry_request_latency_seconds_count{endpoint=\"subjects.list\"} 2",
            "kafka_schema_registry_request_latency_max_seconds{endpoint=\"subjects.list\"} 20",
            "kafka_schema_registry_request_errors{endpoint=\"subjects.list\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
