//! From the start of the process to an answer of its REST API.

use std::time::{Duration, Instant};

use anyhow::Result;
use millrace_testkit::WorkerOptions;

use crate::figures::{Figures, Must};
use crate::processes::start_worker;

pub(crate) async fn measure(figures: &mut Figures) -> Result<()> {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let dir = tempfile::tempdir()?;
        let started = Instant::now();
        let worker = start_worker(WorkerOptions::on_embedded_log(&dir.path().join("log"))).await?;
        best = best.min(started.elapsed());
        drop(worker);
    }
    // `Worker::start` looks every 20 ms, so this is an upper bound.
    figures.add(
        "start → REST answers (embedded log, best of five)",
        best.as_secs_f64(),
        "s",
        Must::AtMost(0.3),
    );
    Ok(())
}
