use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use throwaway_postgres::Watchdog;

use crate::guarded::{Guarded, Signal};
use crate::usage::{Usage, usage_of};
use crate::{RestClient, free_port};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// What `millrace standalone`, or `millrace registry`, is started with.
#[derive(Debug, Clone, Default)]
pub struct WorkerOptions {
    registry: bool,
    cpus: Option<String>,
    properties: BTreeMap<String, String>,
    connectors: Vec<PathBuf>,
    env: BTreeMap<String, String>,
    binary: Option<PathBuf>,
}

impl WorkerOptions {
    /// A worker on a Kafka.
    #[must_use]
    pub fn on_kafka(bootstrap: &str) -> Self {
        Self::default().set("bootstrap.servers", bootstrap)
    }

    /// A worker on the embedded log in `dir`, which is the caller's and stays.
    #[must_use]
    pub fn on_embedded_log(dir: &Path) -> Self {
        Self::default().set("log.dir", &dir.display().to_string())
    }

    /// A worker on a log that counts and drops.
    #[must_use]
    pub fn on_null_log() -> Self {
        Self::default().set("millrace.log", "null")
    }

    /// A schema registry of its own on a Kafka.
    #[must_use]
    pub fn registry_on_kafka(bootstrap: &str) -> Self {
        Self {
            registry: true,
            ..Self::default()
        }
        .set("kafkastore.bootstrap.servers", bootstrap)
    }

    /// A schema registry of its own on the embedded log in `dir`, which is the caller's and stays.
    #[must_use]
    pub fn registry_on_embedded_log(dir: &Path) -> Self {
        Self {
            registry: true,
            ..Self::on_embedded_log(dir)
        }
    }

    /// On these CPUs only, as `taskset` names them.
    #[must_use]
    pub fn cpus(mut self, list: &str) -> Self {
        self.cpus = Some(list.to_owned());
        self
    }

    /// With one more worker property. Without `listeners` a free port on 127.0.0.1 is taken.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a connector's JSON file on the command line.
    #[must_use]
    pub fn connector(mut self, file: impl Into<PathBuf>) -> Self {
        self.connectors.push(file.into());
        self
    }

    /// With another binary than the one that [`Worker`] finds.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// With an environment variable (failpoints).
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// The `millrace` binary as a child process. Port, properties and log file stay the same over restarts. Killed when dropped.
///
/// The binary is `$MILLRACE_BIN`, else the one beside the running test or bench in cargo's target directory.
#[derive(Debug)]
pub struct Worker {
    options: WorkerOptions,
    binary: PathBuf,
    rest: RestClient,
    process: Guarded,
    // Last: removed after the process has ended.
    dir: TempDir,
}

impl Worker {
    /// Starts a worker; returns when `GET /` answers.
    ///
    /// # Errors
    /// When the binary is not built or ends while starting; the error has the end of its log.
    pub async fn start(options: WorkerOptions) -> Result<Self> {
        let mut worker = Self::prepare(options)?;
        worker.start_again().await?;
        Ok(worker)
    }

    /// Starts a worker that is expected to refuse; returns how it ended and its whole output.
    ///
    /// # Errors
    /// When it is still running after a minute.
    pub async fn expect_refusal(options: WorkerOptions) -> Result<(ExitStatus, String)> {
        let mut worker = Self::prepare(options)?;
        worker.spawn()?;
        let status = worker.wait_exit(START_TIMEOUT).await?;
        Ok((status, worker.log()?))
    }

    fn prepare(mut options: WorkerOptions) -> Result<Self> {
        let binary = options.binary.take().map_or_else(millrace_binary, Ok)?;
        let dir = tempfile::Builder::new()
            .prefix("millrace-worker-")
            .tempdir()?;
        let listeners = options
            .properties
            .entry("listeners".to_owned())
            .or_insert_with(|| format!("http://127.0.0.1:{}", free_port()));
        let rest = RestClient::new(listeners.clone());
        let process = Guarded::new("millrace", dir.path(), "worker.log")?;
        Ok(Worker {
            options,
            binary,
            rest,
            process,
            dir,
        })
    }

    /// Starts a worker that ended or was stopped, with its present properties and environment; returns when `GET /` answers.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_again(&mut self) -> Result<()> {
        self.spawn()?;
        let rest = &self.rest;
        self.process
            .await_ready(START_TIMEOUT, async || {
                rest.get("/")
                    .await
                    .is_ok_and(|reply| reply.status.is_success())
            })
            .await
    }

    fn spawn(&mut self) -> Result<()> {
        let file = self.dir.path().join("worker.properties");
        let text: String = self
            .options
            .properties
            .iter()
            .map(|(name, value)| format!("{name}={}\n", escape(value)))
            .collect();
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = match &self.options.cpus {
            // taskset becomes the program: the process id is the worker's.
            Some(list) => {
                let mut command = Watchdog::command("taskset");
                command.args(["--cpu-list", list]).arg(&self.binary);
                command
            }
            None => Watchdog::command(&self.binary),
        };
        command
            .arg(if self.options.registry {
                "registry"
            } else {
                "standalone"
            })
            .arg(file)
            .args(&self.options.connectors)
            .envs(&self.options.env)
            .current_dir(self.dir.path());
        self.process.spawn(&mut command)
    }

    /// `http://127.0.0.1:PORT`
    pub fn rest_url(&self) -> &str {
        self.rest.base()
    }

    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// SIGKILL; returns when the process is gone.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.stop(Signal::Kill, STOP_TIMEOUT).await?;
        Ok(())
    }

    /// SIGTERM; returns the exit status, `None` when it was not running.
    ///
    /// # Errors
    /// When it has not ended within a minute; the error has the end of its log.
    pub async fn terminate(&mut self) -> Result<Option<ExitStatus>> {
        self.process.stop(Signal::Term, STOP_TIMEOUT).await
    }

    /// [`terminate`](Self::terminate), then [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// As these two.
    pub async fn restart(&mut self) -> Result<()> {
        self.terminate().await?;
        self.start_again().await
    }

    /// Waits until the process ends by itself (a failpoint that aborts).
    ///
    /// # Errors
    /// When it is still running after `within`; the error has the end of its log.
    pub async fn wait_exit(&mut self, within: Duration) -> Result<ExitStatus> {
        self.process.wait_exit(within).await
    }

    /// Changes a property of the next start; `None` removes it.
    pub fn set_property(&mut self, name: &str, value: Option<&str>) {
        set(&mut self.options.properties, name, value);
    }

    /// Changes an environment variable of the next start; `None` removes it.
    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        set(&mut self.options.env, name, value);
    }

    /// All that the worker has printed, over all its starts.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.process.log())?).into_owned())
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// CPU time and memory of the present process.
    ///
    /// # Errors
    /// When it is not running.
    pub fn usage(&self) -> Result<Usage> {
        usage_of(self.pid().context("the worker is not running")?)
    }

    /// User and system time of the present process.
    ///
    /// # Errors
    /// When it is not running.
    pub fn cpu_seconds(&self) -> Result<f64> {
        Ok(self.usage()?.cpu_seconds)
    }

    /// The most memory the present process had resident, in bytes.
    ///
    /// # Errors
    /// When it is not running.
    pub fn peak_rss(&self) -> Result<u64> {
        Ok(self.usage()?.peak_rss)
    }
}

fn set(map: &mut BTreeMap<String, String>, name: &str, value: Option<&str>) {
    match value {
        Some(value) => drop(map.insert(name.to_owned(), value.to_owned())),
        None => drop(map.remove(name)),
    }
}

/// As `java.util.Properties` reads a value back.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for (at, c) in value.chars().enumerate() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            ' ' if at == 0 => escaped.push_str("\\ "),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The `millrace` binary: `$MILLRACE_BIN`, else the one beside the running test or bench in cargo's target directory.
///
/// # Errors
/// When there is none.
pub fn millrace_binary() -> Result<PathBuf> {
    if let Some(given) = env::var_os("MILLRACE_BIN") {
        let given = PathBuf::from(given);
        if !given.is_file() {
            bail!("MILLRACE_BIN={}: there is no such file", given.display());
        }
        return Ok(given);
    }
    // target/debug/deps/TEST-HASH beside target/debug/millrace, or target/PROFILE/BENCH beside target/PROFILE/millrace.
    let here = env::current_exe()?;
    let found = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("millrace"))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "no millrace binary near {}: run `cargo build -p millrace`, or set MILLRACE_BIN",
            here.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_as_properties_want_it() {
        assert_eq!(escape(r" a\d =b c"), r"\ a\\d =b c");
        assert_eq!(escape("a\nb"), r"a\nb");
    }
}
