//! Apicurio Registry: a Java registry with the same API, to be measured beside ours.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use throwaway_postgres::Watchdog;

use crate::guarded::Guarded;
use crate::kafka::cache;
use crate::usage::{Usage, usage_of};
use crate::{RestClient, free_port};

/// A registry in memory, as it comes, with the JVM's own choices and at most 1 GB of heap. Ends with this value.
#[derive(Debug)]
pub struct Apicurio {
    process: Guarded,
    rest: RestClient,
    port: u16,
    _dir: TempDir,
}

/// Path of the API that is Confluent's.
pub const APICURIO_API: &str = "/apis/ccompat/v7";

impl Apicurio {
    /// Starts it; returns when its API answers.
    ///
    /// # Errors
    /// When it is not installed (`tests/servers/install --for bench`), no Java 21 or newer is found, or it does not come up.
    pub async fn start() -> Result<Self> {
        let folder = cache()?.join("apicurio-3.3.3");
        if !folder.join("quarkus-run.jar").is_file() {
            bail!(
                "{} is missing: run tests/servers/install --for bench",
                folder.display()
            );
        }
        let java =
            java_21().context("no Java 21 or newer on PATH, in JAVA_HOME or below /usr/lib/jvm")?;
        let dir = tempfile::Builder::new()
            .prefix("millrace-apicurio-")
            .tempdir()?;
        let port = free_port();
        let management = free_port();
        let mut command = Watchdog::command(java);
        command
            .args(["-Xmx1G", "-jar", "quarkus-run.jar"])
            .env("QUARKUS_HTTP_HOST", "127.0.0.1")
            .env("QUARKUS_HTTP_PORT", port.to_string())
            .env("QUARKUS_MANAGEMENT_HOST", "127.0.0.1")
            .env("QUARKUS_MANAGEMENT_PORT", management.to_string())
            .current_dir(&folder);
        let mut process = Guarded::new("Apicurio", dir.path(), "apicurio.log")?;
        process.spawn(&mut command)?;
        let rest = RestClient::new(format!("http://127.0.0.1:{port}"));
        process
            .await_ready(Duration::from_secs(120), async || {
                rest.get(&format!("{APICURIO_API}/subjects"))
                    .await
                    .is_ok_and(|reply| reply.status.is_success())
            })
            .await?;
        Ok(Self {
            process,
            rest,
            port,
            _dir: dir,
        })
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its API, without [`APICURIO_API`] in the base.
    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// CPU time and memory.
    ///
    /// # Errors
    /// When it is not running.
    pub fn usage(&self) -> Result<Usage> {
        usage_of(self.process.pid().context("Apicurio is not running")?)
    }
}

fn java_21() -> Option<PathBuf> {
    let mut candidates = vec![PathBuf::from("java")];
    candidates.extend(env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java")));
    let installed = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten();
    candidates.extend(
        installed
            .flatten()
            .map(|entry| entry.path().join("bin/java")),
    );
    candidates
        .into_iter()
        .find(|java| version_of(java) >= Some(21))
}

fn version_of(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, rest) = text.split_once("version \"")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
