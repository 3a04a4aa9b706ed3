//! The embedded log under the conformance suite.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_embedded::{EmbeddedLog, EmbeddedOptions};
use millrace_log::Log;
use millrace_log::conformance::Subject;
use tempfile::TempDir;

#[derive(Debug)]
struct Embedded {
    dir: TempDir,
    log: Mutex<Option<Arc<EmbeddedLog>>>,
    names: AtomicU64,
}

impl Embedded {
    fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            log: Mutex::new(None),
            names: AtomicU64::new(0),
        }
    }

    fn open_in(&self, name: &str) -> Arc<EmbeddedLog> {
        let mut options = EmbeddedOptions::new(self.dir.path().join(name));
        // Small, so that larger transactions go through the file.
        options.transaction_max_bytes = 100_000;
        let log = EmbeddedLog::open(options).unwrap();
        *self.log.lock().unwrap() = Some(Arc::clone(&log));
        log
    }

    fn current(&self) -> Arc<EmbeddedLog> {
        self.log.lock().unwrap().clone().unwrap()
    }
}

#[async_trait::async_trait]
impl Subject for Embedded {
    async fn open(&self) -> Arc<dyn Log> {
        self.open_in("log")
    }

    fn unique(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// A killed process leaves the files as they are at that moment.
    async fn reopen_after_crash(&self, log: Arc<dyn Log>) -> Option<Arc<dyn Log>> {
        let (from, to) = (self.dir.path().join("log"), self.dir.path().join("after"));
        std::fs::create_dir(&to).unwrap();
        for file in ["log.db", "log.db-wal"] {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
        log.close().await.unwrap();
        Some(self.open_in("after"))
    }

    async fn enforce_retention(&self, _log: &Arc<dyn Log>, topic: &str) -> bool {
        self.current().enforce_retention(topic).await.unwrap();
        true
    }

    async fn compact(&self, _log: &Arc<dyn Log>, topic: &str) -> bool {
        self.current().compact(topic).await.unwrap();
        true
    }

    fn least_session_timeout(&self) -> Duration {
        Duration::from_millis(600)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

millrace_log::conformance_tests!(Embedded::new());
