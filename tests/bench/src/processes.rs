//! CPU time of processes that come and go, and waiting for a worker's counters.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use millrace_testkit::{Worker, WorkerOptions};
use tokio::process::Command;

/// Wall and CPU seconds of a command that runs to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

/// Runs a command to its end.
pub(crate) async fn run(program: &str, args: &[&str]) -> Result<Run> {
    let before = ended_children_cpu()?;
    let started = Instant::now();
    let output = Command::new(program)
        .args(args)
        .output()
        .await
        .with_context(|| format!("running {program}"))?;
    let wall = started.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!(
            "{program} has failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(Run {
        wall,
        cpu: ended_children_cpu()? - before,
    })
}

/// CPU seconds of this process's children that have ended.
fn ended_children_cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_ascii_whitespace()
        .collect();
    let ticks = |i: usize| {
        fields
            .get(i)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    Ok((ticks(13) + ticks(14)) / 100.0)
}

/// Waits until a counter of one of the worker's tasks reaches `value`; fails when the task does.
pub(crate) async fn wait_counter(
    worker: &Worker,
    metric: &str,
    connector: &str,
    value: u64,
    within: Duration,
) -> Result<()> {
    let deadline = Instant::now() + within;
    let prefix = format!("{metric}{{connector=\"{connector}\",task=\"0\"}} ");
    let client = worker.rest();
    loop {
        let text = client.get("/metrics").await?.body;
        let text = text.as_str().unwrap_or_default();
        let now = text
            .lines()
            .find_map(|l| l.strip_prefix(&prefix))
            .and_then(|v| v.trim().parse::<f64>().ok())
            .unwrap_or(0.0);
        if now >= value as f64 {
            return Ok(());
        }
        if Instant::now() > deadline {
            let status = client
                .get(&format!("/connectors/{connector}/status"))
                .await?
                .body;
            bail!(
                "{prefix}is {now} and not {value}; {status}\n{}",
                worker.log()?
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Properties of the command line, for every worker of this run.
static PROPERTIES: OnceLock<Vec<(String, String)>> = OnceLock::new();

/// Takes note of `KEY=VALUE` properties.
pub(crate) fn set_properties(pairs: &[String]) -> Result<()> {
    let parsed = pairs.iter().map(|pair| {
        pair.split_once('=')
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .with_context(|| format!("--set {pair}: KEY=VALUE is expected"))
    });
    let _ = PROPERTIES.set(parsed.collect::<Result<_>>()?);
    Ok(())
}

/// Starts a worker with the settings that every part of the bench has.
pub(crate) async fn start_worker(options: WorkerOptions) -> Result<Worker> {
    let json = "org.apache.kafka.connect.json.JsonConverter";
    let mut options = options
        .set("key.converter", json)
        .set("value.converter", json);
    for (key, value) in PROPERTIES.get().into_iter().flatten() {
        options = options.set(key, value);
    }
    Worker::start(options).await
}
