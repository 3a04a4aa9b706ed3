//! The wall clock of the machine.

use std::time::{SystemTime, UNIX_EPOCH};

use millrace_api::plugin::Clock;

/// [`SystemTime`] as a plugin's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_nanos(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    }
}
