use crate::{ClientSettings, LogError};

/// Topic settings that a local log obeys.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicPolicy {
    /// `cleanup.policy` contains `compact`.
    pub compact: bool,
    /// `cleanup.policy` contains `delete`.
    pub delete: bool,
    /// `retention.ms`; `None` is -1, for ever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes` per partition; `None` is -1, any size.
    pub retention_bytes: Option<i64>,
    /// `max.message.bytes`: the most that key, value and headers of one record may measure.
    pub max_message_bytes: usize,
    /// `message.timestamp.type=LogAppendTime`.
    pub log_append_time: bool,
    /// `delete.retention.ms`: how long tombstones stay visible.
    pub delete_retention_ms: i64,
    /// `min.cleanable.dirty.ratio`: share of not yet compacted bytes that starts the cleaner.
    pub min_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: younger records are not compacted.
    pub min_compaction_lag_ms: i64,
}

impl Default for TopicPolicy {
    fn default() -> Self {
        Self {
            compact: false,
            delete: true,
            retention_ms: Some(7 * 24 * 3600 * 1000),
            retention_bytes: None,
            max_message_bytes: 1_048_588,
            log_append_time: false,
            delete_retention_ms: 24 * 3600 * 1000,
            min_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
        }
    }
}

/// Kafka's topic settings about replication, files on a broker's disk and the wire format, none of which a local log has: accepted without effect.
const WITHOUT_MEANING: &[&str] = &[
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "follower.replication.throttled.replicas",
    "index.interval.bytes",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "message.downconversion.enable",
    "message.format.version",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.difference.max.ms",
    "min.insync.replicas",
    "preallocate",
    "segment.bytes",
    "segment.index.bytes",
    "segment.jitter.ms",
    "segment.ms",
    "unclean.leader.election.enable",
];

const OBEYED: &[&str] = &[
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "max.message.bytes",
    "message.timestamp.type",
    "delete.retention.ms",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
];

impl TopicPolicy {
    /// These defaults with `settings` on top. Fails naming the first setting that is unknown or has a value that is not allowed.
    pub fn with(&self, settings: &ClientSettings) -> Result<Self, LogError> {
        let mut policy = self.clone();
        for (key, value) in settings {
            let value = value.trim();
            match key.as_str() {
                "cleanup.policy" => {
                    (policy.compact, policy.delete) = (false, false);
                    for part in value.split(',').map(str::trim) {
                        match part {
                            "compact" => policy.compact = true,
                            "delete" => policy.delete = true,
                            _ => {
                                return Err(refused(
                                    key,
                                    value,
                                    "compact, delete, or both separated by a comma",
                                ));
                            }
                        }
                    }
                }
                "retention.ms" => policy.retention_ms = limit(key, value)?,
                "retention.bytes" => policy.retention_bytes = limit(key, value)?,
                "max.message.bytes" => policy.max_message_bytes = number(key, value, 0)? as usize,
                "message.timestamp.type" => {
                    policy.log_append_time = match value {
                        "CreateTime" => false,
                        "LogAppendTime" => true,
                        _ => return Err(refused(key, value, "CreateTime or LogAppendTime")),
                    }
                }
                "delete.retention.ms" => policy.delete_retention_ms = number(key, value, 0)?,
                "min.compaction.lag.ms" => policy.min_compaction_lag_ms = number(key, value, 0)?,
                "min.cleanable.dirty.ratio" => {
                    policy.min_dirty_ratio = value
                        .parse()
                        .ok()
                        .filter(|r| (0.0..=1.0).contains(r))
                        .ok_or_else(|| refused(key, value, "a number from 0 to 1"))?;
                }
                other if WITHOUT_MEANING.contains(&other) => {}
                _ => {
                    let known = OBEYED
                        .iter()
                        .chain(WITHOUT_MEANING)
                        .copied()
                        .collect::<Vec<_>>()
                        .join(", ");
                    return Err(LogError::Config(format!(
                        "topic setting '{key}' is unknown; known are {known}"
                    )));
                }
            }
        }
        Ok(policy)
    }

    /// `cleanup.policy` as text.
    pub fn cleanup_policy(&self) -> &'static str {
        match (self.compact, self.delete) {
            (true, true) => "compact,delete",
            (true, false) => "compact",
            _ => "delete",
        }
    }

    /// All settings in force, sorted by name.
    pub fn to_settings(&self) -> ClientSettings {
        let limit = |v: Option<i64>| v.unwrap_or(-1).to_string();
        let stamps = if self.log_append_time {
            "LogAppendTime"
        } else {
            "CreateTime"
        };
        [
            ("cleanup.policy", self.cleanup_policy().to_owned()),
            ("delete.retention.ms", self.delete_retention_ms.to_string()),
            ("max.message.bytes", self.max_message_bytes.to_string()),
            ("message.timestamp.type", stamps.to_owned()),
            (
                "min.cleanable.dirty.ratio",
                self.min_dirty_ratio.to_string(),
            ),
            (
                "min.compaction.lag.ms",
                self.min_compaction_lag_ms.to_string(),
            ),
            ("retention.bytes", limit(self.retention_bytes)),
            ("retention.ms", limit(self.retention_ms)),
        ]
        .map(|(k, v)| (k.to_owned(), v))
        .into()
    }

    /// Refuses a record that the topic does not take: too large, or without a key where keys decide what is kept.
    pub fn check_record(&self, topic: &str, size: usize, has_key: bool) -> Result<(), LogError> {
        if size > self.max_message_bytes {
            return Err(LogError::RecordTooLarge {
                topic: topic.to_owned(),
                size,
                limit: self.max_message_bytes,
            });
        }
        if self.compact && !has_key {
            return Err(LogError::fatal(format!(
                "topic '{topic}' is compacted and takes no record without a key"
            )));
        }
        Ok(())
    }
}

fn refused(key: &str, value: &str, allowed: &str) -> LogError {
    LogError::Config(format!("topic setting {key}={value}: allowed is {allowed}"))
}

fn number(key: &str, value: &str, least: i64) -> Result<i64, LogError> {
    value
        .parse()
        .ok()
        .filter(|n| *n >= least)
        .ok_or_else(|| refused(key, value, &format!("a whole number from {least}")))
}

fn limit(key: &str, value: &str) -> Result<Option<i64>, LogError> {
    number(key, value, -1).map(|n| (n >= 0).then_some(n))
}

/// Refuses a topic name that Kafka would refuse.
pub fn check_topic_name(name: &str) -> Result<(), LogError> {
    let legal = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if legal && (1..=249).contains(&name.len()) && name != "." && name != ".." {
        return Ok(());
    }
    Err(LogError::Config(format!(
        "topic name '{name}' is not allowed: 1 to 249 characters of a-z, A-Z, 0-9, '.', '_' and '-', and not '.' or '..'"
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> ClientSettings {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn settings_survive_a_round_trip() {
        let given = settings(&[
            ("cleanup.policy", "delete, compact"),
            ("retention.bytes", "-1"),
            ("retention.ms", "5"),
            ("segment.bytes", "7"),
        ]);
        let policy = TopicPolicy::default().with(&given).unwrap();
        assert_eq!(
            (
                policy.compact,
                policy.delete,
                policy.retention_ms,
                policy.retention_bytes
            ),
            (true, true, Some(5), None)
        );
        assert_eq!(
            TopicPolicy::default().with(&policy.to_settings()).unwrap(),
            policy
        );
    }

    #[test]
    fn what_would_not_be_obeyed_is_refused_by_name() {
        for (key, value) in [
            ("cleanup.policy", "shred"),
            ("retention.ms", "-2"),
            ("retention.mss", "1"),
            ("min.cleanable.dirty.ratio", "1.5"),
        ] {
            let error = TopicPolicy::default()
                .with(&settings(&[(key, value)]))
                .unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
