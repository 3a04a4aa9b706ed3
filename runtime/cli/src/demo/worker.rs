//! The worker of the demo: this very binary, as a process of its own, so that its CPU and memory are its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::format::Format;

/// What the worker has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) rss_bytes: u64,
    pub(crate) peak_rss_bytes: u64,
}

/// A worker process with a directory of its own.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    child: Child,
    dir: tempfile::TempDir,
    bootstrap: Option<String>,
    format: Format,
    url: String,
    registry_url: String,
    started_in: Duration,
    client: reqwest::Client,
}

impl WorkerProcess {
    /// Starts the worker and waits until its REST API answers.
    pub(crate) async fn start(bootstrap: Option<&str>, format: Format) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("millrace-demo-")
            .tempdir()?;
        let (url, registry_url) = (free_url()?, free_url()?);
        let log = match bootstrap {
            // Names of its own, so that a demo on a cluster that is in use disturbs nobody.
            Some(servers) => {
                let id = std::process::id();
                format!(
                    "bootstrap.servers={servers}\ngroup.id=millrace-demo-{id}\nconfig.storage.topic=millrace-demo-{id}-configs\noffset.storage.topic=millrace-demo-{id}-offsets\n\
                     status.storage.topic=millrace-demo-{id}-status\n\
                     schema.registry.kafkastore.topic=millrace-demo-{id}-schemas\nschema.registry.group.id=millrace-demo-{id}-schemas\n"
                )
            }
            None => format!("log.dir={}\n", dir.path().join("log").display()),
        };
        let registry = if format.needs_registry() {
            format!("schema.registry.listeners={registry_url}\n")
        } else {
            String::new()
        };
        let converters = format.worker_properties(&registry_url);
        let properties =
            format!("{log}listeners={url}\n{registry}{converters}offset.flush.interval.ms=1000\n");
        let file = dir.path().join("worker.properties");
        std::fs::write(&file, properties)?;
        let output = std::fs::File::create(dir.path().join("worker.log"))?;
        let begun = Instant::now();
        let child = Command::new(std::env::current_exe()?)
            .arg("standalone")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .context("starting the worker")?;
        let mut this = Self {
            child,
            dir,
            bootstrap: bootstrap.map(str::to_owned),
            format,
            url,
            registry_url,
            started_in: Duration::ZERO,
            client: reqwest::Client::new(),
        };
        while this.client.get(&this.url).send().await.is_err() {
            if let Some(status) = this.child.try_wait()? {
                bail!("the worker has ended with {status}:\n{}", this.end_of_log());
            }
            if begun.elapsed() > Duration::from_secs(60) {
                bail!(
                    "the worker does not answer at {}:\n{}",
                    this.url,
                    this.end_of_log()
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        this.started_in = begun.elapsed();
        Ok(this)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Where the registry answers, when the format needs one.
    pub(crate) fn registry_url(&self) -> &str {
        &self.registry_url
    }

    pub(crate) fn started_in(&self) -> Duration {
        self.started_in
    }

    pub(crate) fn bootstrap(&self) -> Option<&str> {
        self.bootstrap.as_deref()
    }

    /// Directory of the embedded log.
    pub(crate) fn log_dir(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn log_name(&self) -> String {
        match &self.bootstrap {
            Some(servers) => format!("Kafka at {servers}"),
            None => "embedded (no broker)".to_owned(),
        }
    }

    /// Creates a connector.
    pub(crate) async fn submit(&self, body: &Value) -> Result<()> {
        let response = self
            .client
            .post(format!("{}/connectors", self.url))
            .json(body)
            .send()
            .await?;
        let status = response.status();
        if !status.is_success() {
            bail!(
                "POST /connectors was answered {status}: {}\n{}",
                response.text().await?,
                self.end_of_log()
            );
        }
        Ok(())
    }

    /// Waits until a connector and its task run.
    pub(crate) async fn wait_running(&self, connector: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.status(connector).await?;
            let running = |v: &Value| v["state"] == "RUNNING";
            if running(&status["connector"])
                && status["tasks"]
                    .as_array()
                    .is_some_and(|t| !t.is_empty() && t.iter().all(running))
            {
                return Ok(());
            }
            if let Some(trace) = trace(&status) {
                bail!("{connector} has failed: {trace}");
            }
            if Instant::now() > deadline {
                bail!("{connector} does not run: {status}\n{}", self.end_of_log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Why a connector or task has failed, if it has.
    pub(crate) async fn failure(&self, connector: &str) -> Result<Option<String>> {
        Ok(trace(&self.status(connector).await?))
    }

    async fn status(&self, connector: &str) -> Result<Value> {
        Ok(self
            .client
            .get(format!("{}/connectors/{connector}/status", self.url))
            .send()
            .await?
            .json()
            .await?)
    }

    /// CPU time and memory of the process.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let pid = self.child.id().context("the worker has ended")?;
        let proc = Path::new("/proc").join(pid.to_string());
        let stat = std::fs::read_to_string(proc.join("stat"))?;
        // Behind the command's name, which may contain blanks: fields 14 and 15 are ticks of a hundredth of a second.
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
        let status = std::fs::read_to_string(proc.join("status"))?;
        let kilobytes = |key: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(key));
            line.and_then(|l| l.split_ascii_whitespace().next()?.parse::<u64>().ok())
                .unwrap_or(0)
        };
        Ok(Usage {
            cpu_seconds: (ticks(11) + ticks(12)) / 100.0,
            rss_bytes: kilobytes("VmRSS:") * 1024,
            peak_rss_bytes: kilobytes("VmHWM:") * 1024,
        })
    }

    /// Stops the worker in an orderly way.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.child.id() {
            let asked = throwaway_postgres::send_signal(pid, "TERM");
            let ended = tokio::time::timeout(Duration::from_secs(15), self.child.wait()).await;
            if asked.is_err() || ended.is_err() {
                self.child.kill().await.context("stopping the worker")?;
            }
        }
        Ok(())
    }

    fn end_of_log(&self) -> String {
        let text = std::fs::read_to_string(self.dir.path().join("worker.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn free_url() -> Result<String> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(format!("http://{}", listener.local_addr()?))
}

fn trace(status: &Value) -> Option<String> {
    let all = std::iter::once(&status["connector"])
        .chain(status["tasks"].as_array().into_iter().flatten());
    all.filter(|s| s["state"] == "FAILED")
        .map(|s| s["trace"].as_str().unwrap_or("no trace").to_owned())
        .next()
}
