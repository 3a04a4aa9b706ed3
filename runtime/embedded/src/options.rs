use std::path::PathBuf;
use std::time::Duration;

use millrace_log::LogError;
use millrace_log::local::TopicPolicy;

/// What an acknowledgement survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Written through to the disk: survives a kill and a power cut.
    #[default]
    Fsync,
    /// Handed to the operating system: survives a kill; a power cut may lose the last commits, never consistency.
    Process,
}

/// How an embedded log is opened. `log.…` names the worker property behind each field.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// `log.dir`: the directory; created when missing. It must be on a local file system.
    pub dir: PathBuf,
    /// `log.durability`: `fsync` or `process`.
    pub durability: Durability,
    /// `log.transaction.max.bytes`: what one open transaction may hold in memory; beyond that it spills to the file.
    pub transaction_max_bytes: usize,
    /// `log.num.partitions`: partitions of topics that are made without saying how many.
    pub default_partitions: i32,
    /// `log.max.bytes`: the file does not grow beyond; writes then fail as on a full disk. `None`: no limit but the disk's.
    pub max_bytes: Option<u64>,
    /// `log.retention.check.interval.ms`: how often retention and compaction are looked at.
    pub check_interval: Duration,
    /// `log.retention.ms`, `log.retention.bytes`, `log.message.max.bytes` and `log.cleaner.…`: settings of topics that do not set them.
    pub topic_defaults: TopicPolicy,
}

impl EmbeddedOptions {
    /// Defaults for a log in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::Fsync,
            transaction_max_bytes: 16 << 20,
            default_partitions: 1,
            max_bytes: None,
            check_interval: Duration::from_secs(15),
            topic_defaults: TopicPolicy::default(),
        }
    }

    /// Reads the `log.…` keys of a worker's properties; other keys are not looked at, but `bootstrap.servers` is refused. All errors are in one message.
    pub fn from_properties(properties: &[(String, String)]) -> Result<Self, LogError> {
        let mut options = Self::new("");
        let mut topic = Vec::new();
        let mut errors = Vec::new();
        for (key, value) in properties {
            let value = value.trim();
            let topic_key = match key.as_str() {
                "log.retention.ms" => Some("retention.ms"),
                "log.retention.bytes" => Some("retention.bytes"),
                "log.message.max.bytes" => Some("max.message.bytes"),
                "log.cleaner.delete.retention.ms" => Some("delete.retention.ms"),
                "log.cleaner.min.cleanable.ratio" => Some("min.cleanable.dirty.ratio"),
                "log.cleaner.min.compaction.lag.ms" => Some("min.compaction.lag.ms"),
                _ => None,
            };
            if let Some(name) = topic_key {
                let setting = (name.to_owned(), value.to_owned());
                match TopicPolicy::default().with(&vec![setting.clone()]) {
                    Ok(_) => topic.push(setting),
                    Err(error) => errors.push(format!("{key}: {error}")),
                }
                continue;
            }
            match key.as_str() {
                "log.dir" if value.is_empty() => errors.push("log.dir is empty: name a directory on a local disk".to_owned()),
                "log.dir" => options.dir = value.into(),
                "log.durability" => match value {
                    "fsync" => options.durability = Durability::Fsync,
                    "process" => options.durability = Durability::Process,
                    _ => errors.push(format!("log.durability={value}: allowed are fsync (survives a power cut) and process (survives a kill)")),
                },
                "log.transaction.max.bytes" => set(&mut errors, key, value, 1024, i64::MAX, |n| options.transaction_max_bytes = n as usize),
                "log.num.partitions" => set(&mut errors, key, value, 1, 10_000, |n| options.default_partitions = n as i32),
                "log.max.bytes" => set(&mut errors, key, value, 1 << 20, i64::MAX, |n| options.max_bytes = Some(n as u64)),
                "log.retention.check.interval.ms" => {
                    set(&mut errors, key, value, 1, i64::MAX, |n| options.check_interval = Duration::from_millis(n as u64));
                }
                "bootstrap.servers" => {
                    errors.push("bootstrap.servers beside log.dir: a worker uses either Kafka or an embedded log; remove one of the two".to_owned());
                }
                other if other.starts_with("log.") => errors.push(format!("{other} is unknown; known are {}", KEYS.join(", "))),
                _ => {}
            }
        }
        if options.dir.as_os_str().is_empty() && errors.is_empty() {
            errors.push("log.dir is missing: name a directory on a local disk".to_owned());
        }
        if !errors.is_empty() {
            return Err(LogError::Config(errors.join("; ")));
        }
        options.topic_defaults = options.topic_defaults.with(&topic)?;
        Ok(options)
    }
}

const KEYS: &[&str] = &[
    "log.dir",
    "log.durability",
    "log.transaction.max.bytes",
    "log.num.partitions",
    "log.max.bytes",
    "log.message.max.bytes",
    "log.retention.ms",
    "log.retention.bytes",
    "log.retention.check.interval.ms",
    "log.cleaner.delete.retention.ms",
    "log.cleaner.min.cleanable.ratio",
    "log.cleaner.min.compaction.lag.ms",
];

fn set(
    errors: &mut Vec<String>,
    key: &str,
    value: &str,
    least: i64,
    most: i64,
    store: impl FnOnce(i64),
) {
    match value.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => store(number),
        _ => errors.push(format!(
            "{key}={value}: a whole number from {least}{} is needed",
            if most == i64::MAX {
                String::new()
            } else {
                format!(" to {most}")
            }
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<EmbeddedOptions, LogError> {
        EmbeddedOptions::from_properties(
            &pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn keys_are_obeyed() {
        let pairs = [
            ("log.dir", "/var/x"),
            ("log.durability", "process"),
            ("log.transaction.max.bytes", "2048"),
            ("log.retention.ms", "-1"),
            ("rest.port", "1"),
        ];
        let options = read(&pairs).unwrap();
        assert_eq!(options.dir, PathBuf::from("/var/x"));
        assert_eq!(
            (options.durability, options.transaction_max_bytes),
            (Durability::Process, 2048)
        );
        assert_eq!(options.topic_defaults.retention_ms, None);
    }

    #[test]
    fn every_wrong_key_is_named_at_once() {
        let pairs = [
            ("log.dir", "x"),
            ("log.durability", "maybe"),
            ("log.max.bytes", "1k"),
            ("log.segment.bytes", "1"),
            ("log.retention.ms", "soon"),
            ("bootstrap.servers", "k:1"),
        ];
        let text = read(&pairs).unwrap_err().to_string();
        for part in [
            "log.durability=maybe",
            "log.max.bytes=1k",
            "log.segment.bytes is unknown",
            "log.retention.ms",
            "bootstrap.servers",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(
            read(&[])
                .unwrap_err()
                .to_string()
                .contains("log.dir is missing")
        );
    }
}
