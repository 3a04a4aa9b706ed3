use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use throwaway_postgres::Watchdog;
use tokio::sync::{Mutex, OnceCell};

use crate::guarded::{Guarded, Signal};
use crate::naming::random;
use crate::usage::{Usage, usage_of};
use crate::{api_versions, free_port};

/// The folder that `tests/servers/install` fills.
const RELEASE: &str = "kafka-4.3.1";
const START_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// The JVM that runs a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jvm {
    /// Small and quick to start: serial collector, first compiler only, at most 512 MiB.
    #[default]
    Quick,
    /// The JVM's own choices and 2 GiB: for every number about a broker.
    Production,
}

/// What broker to start; the default is right for most.
#[derive(Debug, Clone, Default)]
pub struct KafkaOptions {
    /// Added to the broker's properties; these win: `("auto.create.topics.enable", "false")`.
    pub settings: Vec<(String, String)>,
    pub jvm: Jvm,
}

impl KafkaOptions {
    /// With one more broker setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A real Apache Kafka 4.3.1: one process, broker and KRaft controller, on 127.0.0.1. Gone with its data when dropped.
///
/// Replication factor 1, 5 partitions for the offsets and the transaction topic, no initial rebalance delay, sessions of group
/// members from 0.5 s; the rest are Kafka's defaults (so topics are created automatically, with 1 partition).
#[derive(Debug)]
pub struct Kafka {
    process: Mutex<Guarded>,
    port: u16,
    jvm: Jvm,
    // Last: removed after the process has ended.
    dir: TempDir,
}

impl Kafka {
    /// The broker that all tests of this process share; it ends with the process. Never stop this one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn shared() -> Result<&'static Kafka> {
        static SHARED: OnceCell<Kafka> = OnceCell::const_new();
        SHARED
            .get_or_try_init(|| Kafka::start(KafkaOptions::default()))
            .await
    }

    /// A broker of one test's own.
    ///
    /// # Errors
    /// When Kafka or Java is not installed (`tests/servers/install`) or the broker does not come up; the error has the end of its log.
    pub async fn start(options: KafkaOptions) -> Result<Self> {
        let release = release()?;
        let dir = tempfile::Builder::new()
            .prefix("millrace-kafka-")
            .tempdir()?;
        let port = free_port();
        let data = dir.path().join("data");
        copy_formatted(&release, &data)?;
        fs::write(
            dir.path().join("broker.properties"),
            properties(port, free_port(), &data, &options.settings),
        )?;
        let process = Guarded::new("Kafka", dir.path(), "kafka.log")?;
        let kafka = Kafka {
            process: Mutex::new(process),
            port,
            jvm: options.jvm,
            dir,
        };
        kafka.start_again().await?;
        Ok(kafka)
    }

    /// `127.0.0.1:PORT`, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops the broker and waits for its end. Data and port stay for [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub async fn stop(&self, signal: Signal) -> Result<()> {
        self.process.lock().await.stop(signal, STOP_TIMEOUT).await?;
        Ok(())
    }

    /// Starts a stopped broker with its data, on the same port; returns when it answers.
    ///
    /// # Errors
    /// When it does not come up; the error has the end of its log.
    pub async fn start_again(&self) -> Result<()> {
        let release = release()?;
        let mut command = Watchdog::command(java());
        match self.jvm {
            Jvm::Quick => command.args([
                "-Xms32m",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-UsePerfData",
            ]),
            Jvm::Production => command.arg("-Xmx2G"),
        };
        command
            .arg(format!(
                "-Dlog4j2.configurationFile=file:{}",
                release.join("log4j2.xml").display()
            ))
            .arg("-Dlog4j2.disableJmx=true")
            .arg("-cp")
            .arg(release.join("jars/*"))
            .arg("kafka.Kafka")
            .arg(self.dir.path().join("broker.properties"))
            .current_dir(self.dir.path());
        let mut process = self.process.lock().await;
        process.spawn(&mut command)?;
        process
            .await_ready(START_TIMEOUT, async || {
                api_versions::answered(self.port).await
            })
            .await
    }

    /// The broker's log4j output.
    pub fn log_file(&self) -> PathBuf {
        self.dir.path().join("kafka.log")
    }

    /// CPU time and memory of the broker's present process.
    ///
    /// # Errors
    /// When it is stopped.
    pub async fn usage(&self) -> Result<Usage> {
        usage_of(
            self.process
                .lock()
                .await
                .pid()
                .context("Kafka is stopped")?,
        )
    }
}

/// The folder in which `tests/servers/install` keeps what it fetches.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache() -> Result<PathBuf> {
    let cache = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
        (_, Some(home)) => Path::new(&home).join(".cache"),
        _ => bail!("neither XDG_CACHE_HOME nor HOME is set: servers are looked for below them"),
    };
    Ok(cache.join("millrace"))
}

fn release() -> Result<PathBuf> {
    let release = cache()?.join(RELEASE);
    if !release.join("jars").is_dir() {
        bail!(
            "no Kafka in {}: run tests/servers/install",
            release.display()
        );
    }
    Ok(release)
}

/// The Java that tests run: `JAVA_HOME`'s, else the one on `PATH`.
pub fn java() -> PathBuf {
    match env::var_os("JAVA_HOME") {
        Some(home) if !home.is_empty() => Path::new(&home).join("bin/java"),
        _ => PathBuf::from("java"),
    }
}

/// What `kafka-storage.sh format` leaves, made once by `tests/servers/install`; only the cluster is given an id of its own.
fn copy_formatted(release: &Path, data: &Path) -> Result<()> {
    let formatted = release.join("formatted");
    fs::create_dir(data)?;
    fs::copy(
        formatted.join("bootstrap.checkpoint"),
        data.join("bootstrap.checkpoint"),
    )?;
    let meta = fs::read_to_string(formatted.join("meta.properties"))?;
    let meta: String = meta
        .lines()
        .filter(|line| !line.starts_with("cluster.id="))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(
        data.join("meta.properties"),
        format!("{meta}cluster.id={}\n", cluster_id()),
    )?;
    Ok(())
}

/// 16 bytes in base64: 22 characters, of which the last holds two bits only. Kafka's own ids never begin with a dash.
fn cluster_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letters =
        (0..21).map(|n| ALPHABET[random() as usize % if n == 0 { 62 } else { 64 }] as char);
    letters.chain(['A']).collect()
}

fn properties(port: u16, controller: u16, data: &Path, settings: &[(String, String)]) -> String {
    let own = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         group.initial.rebalance.delay.ms=0\n\
         group.min.session.timeout.ms=500\n\
         log.cleaner.dedupe.buffer.size=8388608\n\
         offsets.topic.num.partitions=5\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.num.partitions=5\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n",
        data.display()
    );
    // The later of two lines with the same name wins.
    settings
        .iter()
        .fold(own, |text, (name, value)| text + name + "=" + value + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_settings_come_last() {
        let options = KafkaOptions::default()
            .set("node.id", "1")
            .set("auto.create.topics.enable", "false");
        let text = properties(1, 2, Path::new("/d"), &options.settings);
        assert!(
            text.ends_with("node.id=1\nauto.create.topics.enable=false\n"),
            "{text}"
        );
        assert!(text.contains("listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n"));
    }

    #[test]
    fn cluster_ids_are_kafkas_kind_of_uuid() {
        let id = cluster_id();
        assert_eq!(id.len(), 22);
        assert!(!id.starts_with(['-', '_']));
        assert_ne!(id, cluster_id());
    }
}
