use std::sync::{Arc, OnceLock};

use millrace_log::LogError;
use millrace_log::local::{Catalog, Coordinator, Groups};
use tokio_util::sync::CancellationToken;

use crate::options::EmbeddedOptions;
use crate::tail::Tail;

/// Bytes of recent batches kept in memory.
const TAIL_BYTES: usize = 16 << 20;

/// What all threads and clients of an open log see.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: EmbeddedOptions,
    pub(crate) catalog: Catalog,
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) tail: Tail,
    /// Why the log cannot go on; set once.
    poison: OnceLock<LogError>,
    /// Cancelled when the log is closed.
    pub(crate) closing: CancellationToken,
    /// Groups of memberships.
    pub(crate) groups: Arc<Groups>,
}

impl Shared {
    pub(crate) fn new(options: EmbeddedOptions, catalog: Catalog) -> Self {
        let coordinator = Arc::new(Coordinator::default());
        coordinator.set_topics(catalog.sizes());
        Self {
            options,
            catalog,
            coordinator,
            tail: Tail::new(TAIL_BYTES),
            poison: OnceLock::new(),
            closing: CancellationToken::new(),
            groups: Arc::default(),
        }
    }

    pub(crate) fn ensure_open(&self) -> Result<(), LogError> {
        if self.closing.is_cancelled() {
            return Err(LogError::Closed);
        }
        self.poison.get().cloned().map_or(Ok(()), Err)
    }

    /// Whether the log was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Why the log stopped answering.
    pub(crate) fn reason(&self) -> LogError {
        self.poison.get().cloned().unwrap_or(LogError::Closed)
    }

    /// After this every call fails with `error`.
    pub(crate) fn poison(&self, error: &LogError) {
        tracing::error!(error = error as &dyn std::error::Error, dir = %self.options.dir.display(), "the embedded log stops");
        // Only the first reason counts.
        let _ = self.poison.set(error.clone());
        self.wake_all();
    }

    /// After this every call fails with [`LogError::Closed`].
    pub(crate) fn mark_closed(&self) {
        self.closing.cancel();
        self.wake_all();
    }

    fn wake_all(&self) {
        self.catalog.wake_all();
        self.coordinator.wake_all();
    }
}
