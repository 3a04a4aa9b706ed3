//! SIGKILL at named places and at any time; afterwards the ledger is checked.
//!
//! `MILLRACE_CRASH_KILLS`: how many kills all these tests do together (64). `MILLRACE_CRASH_SEED`: decides where and when; empty is a new one in each run. The seed
//! is printed, and a failure comes with it.

mod plan;
mod snapshot;
mod streaming;
mod writers;

crate::on_both_logs!(
    crash_while_streaming,
    crash_during_the_snapshot,
    crash_before_a_delete_that_no_snapshot_shows
);

use snapshot::{crash_before_a_delete_that_no_snapshot_shows, crash_during_the_snapshot};
use streaming::crash_while_streaming;
