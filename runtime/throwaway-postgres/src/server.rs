use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::StartError;
use crate::account::Account;
use crate::binaries::{find_binaries, holds_server};
use crate::directory::{Directory, random};
use crate::watchdog::{Watchdog, send_signal};

/// Ports are taken below the range from which the system serves outgoing connections, so that none of those sits on the
/// server's port while it restarts.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const PORT_TRIES: usize = 20;
const POLL: Duration = Duration::from_millis(10);

/// Logical decoding with room for many slots. Nothing is forced to disk, yet a commit still waits for its WAL to be written: with
/// `synchronous_commit=off` a replication client would see it only when the WAL writer's next turn comes.
const SETTINGS: &[(&str, &str)] = &[
    ("wal_level", "logical"),
    ("max_wal_senders", "40"),
    ("max_replication_slots", "40"),
    ("max_prepared_transactions", "10"),
    ("max_connections", "200"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "64MB"),
    ("max_wal_size", "4GB"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] %q%u@%d "),
];

/// What to start; the default is right for most.
#[derive(Debug, Clone)]
pub struct Options {
    /// A new or empty directory, removed with the server. `None`: a new one below the system's directory for temporary files.
    pub dir: Option<PathBuf>,
    /// Added to `postgresql.conf` after this crate's own settings, so these win: `("wal_level".into(), "replica".into())`.
    pub settings: Vec<(String, String)>,
    /// The folder with `initdb` and `postgres`. `None`: what [`find_binaries`] finds.
    pub binaries: Option<PathBuf>,
    /// A TCP port to take when it is free; else, and by default, any free one.
    pub preferred_port: Option<u16>,
    /// How long the server may take to become ready, `initdb` not included. 60 s.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            dir: None,
            settings: Vec::new(),
            binaries: None,
            preferred_port: None,
            timeout: Duration::from_secs(60),
        }
    }
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// SIGINT: sessions are cut, WAL is sent to replication clients, a checkpoint is written.
    Fast,
    /// SIGQUIT: ends at once; the next start recovers from WAL.
    Immediate,
    /// SIGKILL to the postmaster: a crash.
    Crash,
}

impl Shutdown {
    fn signal(self) -> &'static str {
        match self {
            Shutdown::Fast => "INT",
            Shutdown::Immediate => "QUIT",
            Shutdown::Crash => "KILL",
        }
    }
}

/// A running (or, after [`stop`](ThrowawayPostgres::stop), a stopped) server. Dropping it ends the server and removes its directory.
///
/// Superuser `postgres` with the database `postgres`, any user trusted, UTF-8, C locale, UTC; on 127.0.0.1 and on a Unix socket. All
/// calls block.
#[derive(Debug)]
pub struct ThrowawayPostgres {
    watchdog: Watchdog,
    server: Option<Child>,
    dir: PathBuf,
    account: Option<Account>,
    binaries: PathBuf,
    port: u16,
    timeout: Duration,
}

impl ThrowawayPostgres {
    /// Makes a database cluster and starts its server; returns when it accepts connections. Takes about a second, most of it `initdb`.
    ///
    /// # Errors
    /// [`StartError`] says what is missing; nothing is left behind then.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let binaries = match options.binaries {
            Some(folder) if holds_server(&folder) => folder,
            Some(folder) => return Err(StartError::NotBinaries { folder }),
            None => find_binaries()?,
        };
        let Directory { path: dir, account } = Directory::prepare(options.dir)?;
        // From here on the watchdog removes the directory, whatever fails.
        let watchdog = match Watchdog::start("QUIT", Some(&dir)) {
            Ok(watchdog) => watchdog,
            Err(error) => {
                let _ = fs::remove_dir_all(&dir);
                return Err(StartError::io("cannot start sh, which guards the server")(
                    error,
                ));
            }
        };
        let mut this = ThrowawayPostgres {
            watchdog,
            server: None,
            dir,
            account,
            binaries,
            port: 0,
            timeout: options.timeout,
        };
        this.initdb()?;
        this.configure(&options.settings)?;
        this.launch_on_free_port(options.preferred_port)?;
        Ok(this)
    }

    /// Where the Unix socket is, for `host=` in a connection string.
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// The port, on 127.0.0.1 and in the socket's name. Stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `postgres://postgres@127.0.0.1:PORT/postgres`
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same for another database. `database` goes into the URL as it is.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The data directory, with `pg_hba.conf` and `postgresql.conf`.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The server's log.
    pub fn log_file(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// The postmaster's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Writes a file into the data directory as the server's user may read it and nobody else (a certificate, a `pg_hba.conf`).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_data_file(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.data_dir().join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(content)?;
        if let Some(account) = &self.account {
            chown(&path, Some(account.uid), Some(account.gid))?;
        }
        Ok(())
    }

    /// Stops the server and waits for its end; after [`Shutdown::Fast`] has taken 30 s, because a client does not take its WAL, it
    /// is ended at once. Does nothing when it is stopped already. The data stay: see [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// When the process cannot be signalled or waited for.
    pub fn stop(&mut self, how: Shutdown) -> io::Result<()> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        if server.try_wait()?.is_none() {
            send_signal(server.id(), how.signal())?;
            if !ends_within(server, Duration::from_secs(30))? {
                // Not SIGKILL yet: that would leave shared memory behind.
                send_signal(server.id(), Shutdown::Immediate.signal())?;
                if !ends_within(server, Duration::from_secs(10))? {
                    server.kill()?;
                    server.wait()?;
                }
            }
        }
        self.server = None;
        self.watchdog.forget();
        Ok(())
    }

    /// Starts a stopped server with its data, on the same port.
    ///
    /// # Errors
    /// [`StartError`], with the end of the server's log where it ended.
    pub fn start_again(&mut self) -> Result<(), StartError> {
        if self.server.is_some() {
            return Ok(());
        }
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.launch() {
                // After a crash the old backends need a moment to notice that their postmaster is gone.
                Err(StartError::Ended { log })
                    if log.contains("pre-existing shared memory block")
                        && Instant::now() < deadline =>
                {
                    pause()
                }
                outcome => return outcome,
            }
        }
    }

    /// A fast shutdown and a new start: every session is cut, the port stays.
    ///
    /// # Errors
    /// As [`stop`](Self::stop) and [`start_again`](Self::start_again).
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.stop(Shutdown::Fast)
            .map_err(StartError::io("cannot stop the PostgreSQL server"))?;
        self.start_again()
    }

    fn initdb(&mut self) -> Result<(), StartError> {
        let log_path = self.dir.join("initdb.log");
        let log = File::create(&log_path).map_err(StartError::io_at("cannot create", &log_path))?;
        let data = self.data_dir();
        let mut command = Watchdog::command(self.binaries.join("initdb"));
        command
            .args([
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--username=postgres",
                "--pgdata",
            ])
            .arg(&data)
            .current_dir(&self.dir)
            .env("HOME", &self.dir)
            .stdout(
                log.try_clone()
                    .map_err(StartError::io_at("cannot write", &log_path))?,
            )
            .stderr(log);
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        let ended = self
            .watchdog
            .spawn(&mut command)
            .and_then(|mut initdb| initdb.wait());
        self.watchdog.forget();
        let status = ended.map_err(StartError::io_at(
            "cannot run",
            &self.binaries.join("initdb"),
        ))?;
        if status.success() {
            Ok(())
        } else {
            Err(StartError::Initdb {
                log: end_of(&log_path, 0),
            })
        }
    }

    /// In the file, not on the command line: `ALTER SYSTEM` cannot override the latter.
    fn configure(&self, own: &[(String, String)]) -> Result<(), StartError> {
        let path = self.data_dir().join("postgresql.conf");
        let settings = SETTINGS.iter().copied().chain(
            own.iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let lines: String = settings
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(StartError::io_at("cannot write", &path))
    }

    /// Another process may take the port between our look at it and the server's: then the next one is tried.
    fn launch_on_free_port(&mut self, preferred: Option<u16>) -> Result<(), StartError> {
        let mut last = None;
        let any = || PORTS.start + (random() % u64::from(PORTS.end - PORTS.start)) as u16;
        for port in preferred.into_iter().chain((0..PORT_TRIES).map(|_| any())) {
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
                continue;
            }
            self.port = port;
            match self.launch() {
                Err(StartError::Ended { log }) if log.contains("could not bind") => {
                    last = Some(StartError::Ended { log })
                }
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or_else(|| {
            StartError::io(format!(
                "no free port found between {} and {}",
                PORTS.start, PORTS.end
            ))(io::ErrorKind::AddrInUse.into())
        }))
    }

    fn launch(&mut self) -> Result<(), StartError> {
        let log_path = self.log_file();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(StartError::io_at("cannot open", &log_path))?;
        let log_start = log.metadata().map_or(0, |metadata| metadata.len());
        let mut command = Watchdog::command(self.binaries.join("postgres"));
        command
            .arg("-D")
            .arg(self.data_dir())
            .args([
                "-p",
                &self.port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-k",
            ])
            .arg(&self.dir)
            .current_dir(&self.dir)
            .env("HOME", &self.dir)
            .env_remove("PGDATA")
            .env_remove("TZ")
            .stdout(
                log.try_clone()
                    .map_err(StartError::io_at("cannot open", &log_path))?,
            )
            .stderr(log);
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        let server = self
            .watchdog
            .spawn(&mut command)
            .map_err(StartError::io("cannot start the PostgreSQL server"))?;
        self.server = Some(server);
        let outcome = self.await_ready(&log_path, log_start);
        if outcome.is_err() {
            self.stop(Shutdown::Immediate)
                .map_err(StartError::io("cannot stop the PostgreSQL server"))?;
        }
        outcome
    }

    fn await_ready(&mut self, log: &Path, log_start: u64) -> Result<(), StartError> {
        let deadline = Instant::now() + self.timeout;
        let pid_file = self.data_dir().join("postmaster.pid");
        while !self.pid().is_some_and(|pid| says_ready(&pid_file, pid)) {
            let ended = self.server.as_mut().map(Child::try_wait).transpose();
            if let Some(Some(_)) =
                ended.map_err(StartError::io("cannot wait for the PostgreSQL server"))?
            {
                return Err(StartError::Ended {
                    log: end_of(log, log_start),
                });
            }
            if Instant::now() > deadline {
                return Err(StartError::TimedOut {
                    after: self.timeout,
                    log: end_of(log, log_start),
                });
            }
            pause();
        }
        Ok(())
    }
}

impl Drop for ThrowawayPostgres {
    fn drop(&mut self) {
        // Immediate: a fast shutdown would wait for replication clients. On an error the watchdog, dropped after this, tries again.
        if self.stop(Shutdown::Immediate).is_ok() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// The last line of `postmaster.pid` is the server's state, the first its process: a crashed server leaves a file that says "ready"
/// too. (That file must stay: by it the next server sees whether backends of the old one still live.)
fn says_ready(postmaster_pid: &Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(postmaster_pid) else {
        return false;
    };
    let (first, last) = (text.lines().next(), text.lines().last());
    first.and_then(|line| line.trim().parse().ok()) == Some(pid)
        && last.is_some_and(|state| state.trim_end() == "ready")
}

fn ends_within(child: &mut Child, time: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + time;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            return Ok(false);
        }
        pause();
    }
    Ok(true)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a blocking interface: nothing else runs on this thread"
)]
fn pause() {
    thread::sleep(POLL);
}

/// At most the last 4 KiB of what was written to the log since `start`.
fn end_of(log: &Path, start: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(length.saturating_sub(4096))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_or_else(
        |error| format!("(cannot read {}: {error})", log.display()),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}
