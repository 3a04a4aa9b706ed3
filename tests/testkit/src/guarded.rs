use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use throwaway_postgres::{Watchdog, send_signal};

use crate::wait_until;

/// How a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: an orderly stop.
    Term,
    /// SIGKILL: a crash.
    Kill,
}

/// A child process with a log file that can be stopped and started again, and that never outlives this process.
#[derive(Debug)]
pub(crate) struct Guarded {
    name: &'static str,
    watchdog: Watchdog,
    child: Option<Child>,
    log: PathBuf,
    /// Where the log of the present start begins.
    log_start: u64,
}

impl Guarded {
    /// `dir` is removed with this value, and also when this process is killed.
    pub(crate) fn new(name: &'static str, dir: &Path, log: &str) -> Result<Self> {
        let watchdog = Watchdog::start("KILL", Some(dir)).context("cannot start sh")?;
        Ok(Guarded {
            name,
            watchdog,
            child: None,
            log: dir.join(log),
            log_start: 0,
        })
    }

    /// Starts `command`, made by [`Watchdog::command`], with its output appended to the log.
    pub(crate) fn spawn(&mut self, command: &mut Command) -> Result<()> {
        if self.child.is_some() {
            bail!("{} is running already", self.name);
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        self.log_start = log.metadata()?.len();
        command.stdout(log.try_clone()?).stderr(log);
        let child = self
            .watchdog
            .spawn(command)
            .with_context(|| format!("cannot start {}: {command:?}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until `ready`; when the process ends instead, or it takes longer than `within`, the error has the end of its log.
    pub(crate) async fn await_ready(
        &mut self,
        within: Duration,
        mut ready: impl AsyncFnMut() -> bool,
    ) -> Result<()> {
        let name = self.name;
        let outcome = wait_until(within, &format!("{name} answers"), async || {
            if let Some(status) = self.try_wait()? {
                bail!("{name} ended while starting ({status})");
            }
            Ok(ready().await.then_some(()))
        })
        .await;
        outcome
            .with_context(|| format!("the end of {}:\n{}", self.log.display(), self.end_of_log()))
    }

    pub(crate) async fn stop(
        &mut self,
        signal: Signal,
        within: Duration,
    ) -> Result<Option<ExitStatus>> {
        let Some(pid) = self.pid() else {
            return Ok(None);
        };
        if let Some(status) = self.try_wait()? {
            return Ok(Some(status));
        }
        let name = match signal {
            Signal::Term => "TERM",
            Signal::Kill => "KILL",
        };
        send_signal(pid, name)?;
        Ok(Some(
            self.wait_exit(within)
                .await
                .with_context(|| format!("after SIG{name}"))?,
        ))
    }

    pub(crate) async fn wait_exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let name = self.name;
        if self.child.is_none() {
            bail!("{name} is not running");
        }
        let outcome = wait_until(within, &format!("{name} ends"), async || self.try_wait()).await;
        outcome
            .with_context(|| format!("the end of {}:\n{}", self.log.display(), self.end_of_log()))
    }

    /// The exit status, once, when the process has ended.
    fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let status = self
            .child
            .as_mut()
            .map(Child::try_wait)
            .transpose()?
            .flatten();
        if status.is_some() {
            self.child = None;
            self.watchdog.forget();
        }
        Ok(status)
    }

    /// At most the last 8 KiB of what the present start has printed.
    fn end_of_log(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(
                self.log_start.max(length.saturating_sub(8192)),
            ))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_or_else(
            |error| format!("(cannot be read: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The log goes with the directory: a test that fails shows it.
        if std::thread::panicking() {
            eprintln!(
                "the end of the log of {}:\n{}",
                self.name,
                self.end_of_log()
            );
        }
        if let Some(mut child) = self.child.take() {
            // Gone already, if not killed: either is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
            self.watchdog.forget();
        }
    }
}
