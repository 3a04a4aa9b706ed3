use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use millrace_embedded::EmbeddedLog;
use millrace_log::Log;
use millrace_testkit::{Postgres, Worker, WorkerOptions, free_port, wait_until};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use super::run::PATIENCE;

/// One PostgreSQL, and for each compatibility level a worker with a registry and a log of its own.
#[derive(Debug)]
pub struct Servers {
    pub(super) postgres: &'static Postgres,
    nodes: BTreeMap<String, Node>,
    // Last: removed when the workers have ended.
    _dir: TempDir,
}

/// A worker, the registry inside it, and its log as one beside it sees it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) worker: Worker,
    pub(super) log: Arc<dyn Log>,
    pub(super) registry: String,
    /// Whose case holds the worker.
    holding: Mutex<()>,
}

/// A worker that stands still until this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    pid: u32,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // If it fails the worker stands still, and the next condition does not come about.
        let _ = signal("CONT", self.pid);
    }
}

fn signal(name: &str, pid: u32) -> Result<()> {
    let command = format!("kill -{name} {pid}");
    let status = Command::new("sh").args(["-c", &command]).status()?;
    ensure!(status.success(), "{command}: {status}");
    Ok(())
}

impl Servers {
    /// With a worker for each of these global compatibility levels.
    ///
    /// # Errors
    /// When one of them is not installed, not built or does not start.
    pub async fn start<'a>(levels: impl Iterator<Item = &'a str>) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("millrace-converters-")
            .tempdir()?;
        let mut nodes = BTreeMap::new();
        for level in levels {
            if !nodes.contains_key(level) {
                let node = Node::start(level, &dir.path().join(level)).await?;
                nodes.insert(level.to_owned(), node);
            }
        }
        let postgres = Postgres::shared().await?;
        // An idle sender asks for the receiver's position after half of it: that is how soon a case sees its end.
        postgres.set("wal_sender_timeout", "5s").await?;
        Ok(Self {
            postgres,
            nodes,
            _dir: dir,
        })
    }

    pub(super) fn of(&self, level: &str) -> Result<&Node> {
        self.nodes
            .get(level)
            .with_context(|| format!("no worker with compatibility {level} was started"))
    }

    /// All that the workers have printed.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn worker_logs(&self) -> Result<String> {
        self.nodes.values().map(|node| node.worker.log()).collect()
    }
}

impl Node {
    /// Stops the worker's process (SIGSTOP) and waits until it stands still.
    pub(super) async fn hold(&self) -> Result<Held<'_>> {
        let turn = self.holding.lock().await;
        let pid = self.worker.pid().context("the worker is not running")?;
        signal("STOP", pid)?;
        let held = Held { pid, _turn: turn };
        wait_until(PATIENCE, "the worker stands still", async || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // The state follows the name, which is in parentheses.
            let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            Ok(state.starts_with('T').then_some(()))
        })
        .await?;
        Ok(held)
    }

    async fn start(level: &str, dir: &Path) -> Result<Self> {
        let registry = format!("http://127.0.0.1:{}", free_port());
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let options = WorkerOptions::on_embedded_log(dir)
            .set("schema.registry.listeners", &registry)
            .set("schema.registry.schema.compatibility.level", level)
            .set("key.converter", json)
            .set("value.converter", json)
            .set("offset.flush.interval.ms", "200");
        Ok(Self {
            worker: Worker::start(options).await?,
            log: EmbeddedLog::open_read_only(dir)?,
            registry,
            holding: Mutex::new(()),
        })
    }
}
