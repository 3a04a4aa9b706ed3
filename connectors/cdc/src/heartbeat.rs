use std::sync::Arc;

use millrace_api::data::{Data, Headers, Record, Schema, SchemaBuilder, Struct, Value};

/// Heartbeat records: they carry the position when nothing captured changes.
#[derive(Debug)]
pub struct Heartbeat {
    topic: Arc<str>,
    key: Data,
    value_schema: Schema,
    interval_ms: i64,
    next_ms: i64,
}

impl Heartbeat {
    /// Heartbeats to `topic` every `interval_ms` (0: never), the first one after an interval from `now_ms`.
    pub fn new(topic: &str, prefix: &str, interval_ms: i64, now_ms: i64) -> Self {
        let key_schema = SchemaBuilder::structure()
            .name("io.debezium.connector.common.ServerNameKey")
            .version(1)
            .field("serverName", Schema::string())
            .build_valid();
        let value_schema = SchemaBuilder::structure()
            .name("io.debezium.connector.common.Heartbeat")
            .version(1)
            .field("ts_ms", Schema::int64())
            .build_valid();
        let key = Struct::new(key_schema.clone(), vec![Value::from(prefix)]);
        Self {
            topic: Arc::from(topic),
            key: Data::new(key_schema, key),
            value_schema,
            interval_ms,
            next_ms: now_ms.saturating_add(interval_ms),
        }
    }

    /// Whether heartbeats are on.
    pub fn enabled(&self) -> bool {
        self.interval_ms > 0
    }

    /// A record when the interval has passed.
    pub fn due(&mut self, now_ms: i64) -> Option<Record> {
        (self.enabled() && now_ms >= self.next_ms).then(|| self.forced(now_ms))
    }

    /// A record now; the interval starts again.
    pub fn forced(&mut self, now_ms: i64) -> Record {
        self.next_ms = now_ms.saturating_add(self.interval_ms);
        let value = Struct::new(self.value_schema.clone(), vec![Value::Int64(now_ms)]);
        Record {
            topic: Arc::clone(&self.topic),
            partition: Some(0),
            timestamp: None,
            key: self.key.clone(),
            value: Data::new(self.value_schema.clone(), value),
            headers: Headers::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_once_per_interval() {
        let mut h = Heartbeat::new("hb", "p", 100, 0);
        assert!(h.due(99).is_none());
        assert!(h.due(100).is_some());
        assert!(h.due(150).is_none());
        assert!(Heartbeat::new("hb", "p", 0, 0).due(i64::MAX).is_none());
    }
}
