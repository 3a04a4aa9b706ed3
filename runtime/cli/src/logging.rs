//! Logs to standard error; levels by `RUST_LOG`, and at run time by `/admin/loggers`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_worker::herder::{LoggerControl, LoggerLevel};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

/// A handle on the levels that are in force, and the level that logging started with.
pub(crate) struct Levels {
    handle: reload::Handle<EnvFilter, Registry>,
    initial: String,
}

/// Starts logging at `level`, unless `RUST_LOG` says otherwise. `MILLRACE_LOG_FORMAT=json` writes one JSON object per line.
pub(crate) fn start(level: &str) -> Levels {
    let initial = std::env::var("RUST_LOG")
        .ok()
        .filter(|l| !l.trim().is_empty())
        .unwrap_or_else(|| level.to_owned());
    let filter = EnvFilter::try_new(&initial).unwrap_or_else(|_| EnvFilter::new(level));
    let (filter, handle) = reload::Layer::new(filter);
    let json = std::env::var("MILLRACE_LOG_FORMAT").is_ok_and(|f| f == "json");
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = if json {
        lines.json().boxed()
    } else {
        lines.boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
    Levels { handle, initial }
}

/// Levels by name of logger. A logger is a target of `tracing`: a Rust module path, or a name that a Java user looks for.
pub(crate) struct Loggers {
    levels: Levels,
    set: Mutex<BTreeMap<String, LoggerLevel>>,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loggers")
    }
}

impl Loggers {
    pub(crate) fn new(levels: Levels) -> Self {
        // Only a plain level can be shown as the root's; directives of RUST_LOG for single targets stay in force until the root is set.
        let root = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "OFF"]
            .into_iter()
            .find(|l| levels.initial.eq_ignore_ascii_case(l))
            .unwrap_or("INFO");
        let set = BTreeMap::from([(
            "root".to_owned(),
            LoggerLevel {
                level: root.to_owned(),
                last_modified: None,
            },
        )]);
        Self {
            levels,
            set: Mutex::new(set),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, LoggerLevel>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoggerControl for Loggers {
    fn list(&self) -> indexmap::IndexMap<String, LoggerLevel> {
        self.lock()
            .iter()
            .map(|(name, level)| (name.clone(), level.clone()))
            .collect()
    }

    fn get(&self, name: &str) -> Option<LoggerLevel> {
        let name = if name.eq_ignore_ascii_case("root") {
            "root"
        } else {
            name
        };
        self.lock().get(name).cloned()
    }

    fn set(&self, name: &str, level: &str) -> Vec<String> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |t| t.as_millis() as i64);
        let name = if name.eq_ignore_ascii_case("root") {
            "root"
        } else {
            name
        };
        let mut set = self.lock();
        set.entry(name.to_owned()).or_insert_with(|| LoggerLevel {
            level: String::new(),
            last_modified: None,
        });
        let below = |logger: &str| {
            name == "root"
                || logger == name
                || logger
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['.', ':']))
        };
        let mut changed = Vec::new();
        for (logger, entry) in set.iter_mut().filter(|(logger, _)| below(logger)) {
            if entry.level != level {
                *entry = LoggerLevel {
                    level: level.to_owned(),
                    last_modified: Some(now),
                };
                changed.push(logger.clone());
            }
        }
        let directives: Vec<String> = set
            .iter()
            .map(|(logger, entry)| {
                let level = directive(&entry.level);
                if logger == "root" {
                    level.to_owned()
                } else {
                    format!("{logger}={level}")
                }
            })
            .collect();
        match EnvFilter::try_new(directives.join(",")) {
            Ok(filter) => {
                if let Err(error) = self.levels.handle.reload(filter) {
                    tracing::error!(%error, "the levels cannot be changed");
                }
            }
            Err(error) => tracing::error!(%error, "the levels cannot be changed"),
        }
        changed
    }
}

/// Java's levels in `tracing`'s words.
fn directive(level: &str) -> &'static str {
    match level {
        "OFF" => "off",
        "FATAL" | "ERROR" => "error",
        "WARN" => "warn",
        "DEBUG" => "debug",
        "TRACE" | "ALL" => "trace",
        _ => "info",
    }
}
