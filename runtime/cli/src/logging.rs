//! Logs to standard error; levels by `RUST_LOG`, and at run time by `/admin/loggers`.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, reload};

/// A handle on the levels that are in force.
pub(crate) type Levels = reload::Handle<EnvFilter, tracing_subscriber::Registry>;

/// Starts logging at `level`, unless `RUST_LOG` says otherwise. `MILLRACE_LOG_FORMAT=json` writes one JSON object per line.
pub(crate) fn start(level: &str) -> Levels {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let (filter, handle) = reload::Layer::new(filter);
    let json = std::env::var("MILLRACE_LOG_FORMAT").is_ok_and(|f| f == "json");
    let (text, json) = if json { (None, Some(fmt::layer().json().with_writer(std::io::stderr))) } else { (Some(fmt::layer().with_writer(std::io::stderr)), None) };
    tracing_subscriber::registry().with(filter).with(text).with(json).init();
    handle
}
