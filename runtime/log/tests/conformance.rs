//! The in-memory log under the conformance suite.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_log::Log;
use millrace_log::conformance::Subject;
use millrace_log::memory::MemoryLog;

#[derive(Debug)]
struct Memory {
    log: Mutex<Arc<MemoryLog>>,
    names: AtomicU64,
}

impl Memory {
    fn new() -> Self {
        Self {
            log: Mutex::new(MemoryLog::new(7)),
            names: AtomicU64::new(0),
        }
    }
}

#[async_trait::async_trait]
impl Subject for Memory {
    async fn open(&self) -> Arc<dyn Log> {
        Arc::clone(&*self.log.lock().unwrap()) as Arc<dyn Log>
    }

    fn unique(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    async fn reopen_after_crash(&self, _log: Arc<dyn Log>) -> Option<Arc<dyn Log>> {
        let mut log = self.log.lock().unwrap();
        *log = log.reopen();
        Some(Arc::clone(&*log) as Arc<dyn Log>)
    }

    async fn enforce_retention(&self, _log: &Arc<dyn Log>, topic: &str) -> bool {
        self.log.lock().unwrap().enforce_retention(topic).is_ok()
    }

    async fn compact(&self, _log: &Arc<dyn Log>, topic: &str) -> bool {
        self.log.lock().unwrap().compact(topic).is_ok()
    }

    fn least_session_timeout(&self) -> Duration {
        Duration::from_millis(600)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}

millrace_log::conformance_tests!(Memory::new());
