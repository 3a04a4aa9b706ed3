//! A throw-away PostgreSQL with TLS and one role per way to log in.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use pg_replication::{ConnectOptions, ReplicationConnection, SslMode};
use tempfile::TempDir;

use crate::certificates::Certificates;

/// The directory of the server binaries.
fn binaries() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("postgres").exists().then_some((major, bin))
        })
        .collect();
    found.sort();
    match found.pop() {
        Some((_, bin)) => bin,
        None => panic!(
            "these tests need the PostgreSQL server binaries in /usr/lib/postgresql/<version>/bin: \
             install the package postgresql-15 or newer"
        ),
    }
}

/// PostgreSQL refuses to run as root.
fn server_account() -> Option<(u32, u32)> {
    let status = fs::metadata("/proc/self").expect("/proc");
    if std::os::unix::fs::MetadataExt::uid(&status) != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let find = |name: &str| {
        accounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let is_it = fields.first() == Some(&name);
            is_it.then(|| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))?
        })
    };
    find("postgres").or_else(|| find("nobody"))
}

const HOST_RULES: &str = "\
local all all trust
host all postgres 127.0.0.1/32 trust
host all u_clear 127.0.0.1/32 password
host all u_md5 127.0.0.1/32 md5
host all u_scram 127.0.0.1/32 scram-sha-256
hostssl all u_only_tls 127.0.0.1/32 trust
hostnossl all u_only_plain 127.0.0.1/32 trust
hostssl all u_cert 127.0.0.1/32 cert
hostnossl all u_gss 127.0.0.1/32 gss
";

const ROLES: &str = "\
CREATE ROLE u_only_tls LOGIN REPLICATION;
CREATE ROLE u_only_plain LOGIN REPLICATION;
CREATE ROLE u_cert LOGIN REPLICATION;
CREATE ROLE u_gss LOGIN REPLICATION;
SET password_encryption = 'md5';
CREATE ROLE u_md5 LOGIN REPLICATION PASSWORD 'pässwörd md5';
SET password_encryption = 'scram-sha-256';
CREATE ROLE u_clear LOGIN REPLICATION PASSWORD 'pässwörd clear';
CREATE ROLE u_scram LOGIN REPLICATION PASSWORD 'pässwörd scram';
";

pub(crate) struct Server {
    directory: TempDir,
    bin: PathBuf,
    pub(crate) port: u16,
    pub(crate) certificates: Certificates,
}

/// The server that tests share while any of them runs.
static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

impl Server {
    pub(crate) async fn shared() -> Arc<Server> {
        tokio::task::spawn_blocking(|| {
            let mut shared = SHARED
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            if let Some(server) = shared.upgrade() {
                return server;
            }
            let server = Arc::new(Server::start());
            *shared = Arc::downgrade(&server);
            server
        })
        .await
        .expect("the server starts")
    }

    pub(crate) fn start() -> Server {
        let bin = binaries();
        let directory = tempfile::Builder::new()
            .prefix("pg-replication-")
            .tempdir_in("/tmp")
            .expect("a directory in /tmp");
        let certificates = Certificates::make(directory.path());
        for file in [
            directory.path(),
            &certificates.server_key,
            &certificates.server,
        ] {
            if let Some((user, group)) = server_account() {
                chown(file, Some(user), Some(group)).expect("chown");
            }
        }
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).expect("chmod");
        fs::set_permissions(&certificates.server_key, fs::Permissions::from_mode(0o600))
            .expect("chmod");

        // Free at this moment; the server fails to start if someone else takes it.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let server = Server {
            directory,
            bin,
            port,
            certificates,
        };
        server.initialise();
        server.launch();
        server
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        if let Some((user, group)) = server_account() {
            command.uid(user).gid(group);
        }
        command
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    fn initialise(&self) {
        let output = self
            .command("initdb")
            .args([
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
                "-U",
                "postgres",
                "-D",
            ])
            .arg(self.data())
            .output()
            .expect("initdb runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        fs::write(self.data().join("pg_hba.conf"), HOST_RULES).expect("pg_hba.conf");
        let show = |path: &Path| path.display().to_string();
        let settings = format!(
            "wal_level = logical\n\
             fsync = off\n\
             max_wal_senders = 30\n\
             max_replication_slots = 40\n\
             max_prepared_transactions = 5\n\
             listen_addresses = '127.0.0.1'\n\
             port = {}\n\
             unix_socket_directories = '{}'\n\
             ssl = on\n\
             ssl_cert_file = '{}'\n\
             ssl_key_file = '{}'\n\
             ssl_ca_file = '{}'\n\
             datestyle = 'german'\n\
             intervalstyle = 'iso_8601'\n\
             extra_float_digits = -10\n\
             bytea_output = 'escape'\n\
             timezone = 'Asia/Tokyo'\n",
            self.port,
            show(self.path()),
            show(&self.certificates.server),
            show(&self.certificates.server_key),
            show(&self.certificates.authority),
        );
        let file = self.data().join("postgresql.conf");
        let old = fs::read_to_string(&file).expect("postgresql.conf");
        fs::write(file, old + &settings).expect("postgresql.conf");
    }

    fn launch(&self) {
        let output = self
            .command("pg_ctl")
            .args(["start", "-w", "-t", "60", "-l"])
            .arg(self.path().join("log"))
            .arg("-D")
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("pg_ctl runs");
        assert!(
            output.success(),
            "the server does not start: {}",
            self.log()
        );
        let sql = self
            .command("psql")
            .args([
                "-h",
                &self.path().display().to_string(),
                "-p",
                &self.port.to_string(),
            ])
            .args(["-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qc", ROLES])
            .output()
            .expect("psql runs");
        assert!(
            sql.status.success(),
            "{}",
            String::from_utf8_lossy(&sql.stderr)
        );
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// Shuts the server down (`fast`, `immediate`) and waits until it is gone.
    pub(crate) fn stop(&self, mode: &str) {
        let _ = self
            .command("pg_ctl")
            .args(["stop", "-w", "-t", "60", "-m", mode, "-D"])
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }

    /// Options for TCP as the superuser, who needs no password.
    pub(crate) fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new("127.0.0.1", self.port, "postgres", "postgres");
        options.ssl_mode = SslMode::Disable;
        options
    }

    pub(crate) fn options_for(&self, user: &str, password: Option<&str>) -> ConnectOptions {
        let mut options = self.options();
        options.user = user.to_owned();
        options.password = password.map(Into::into);
        options
    }

    pub(crate) fn unix_options(&self) -> ConnectOptions {
        let host = self.path().display().to_string();
        ConnectOptions::new(host, self.port, "postgres", "postgres")
    }

    pub(crate) async fn connect(&self) -> ReplicationConnection {
        ReplicationConnection::connect(&self.options())
            .await
            .expect("a connection")
    }

    /// A database of its own, so that publications and changes of other tests do not show.
    pub(crate) async fn database(&self, name: &str) -> ConnectOptions {
        sql(
            &mut self.connect().await,
            &format!("CREATE DATABASE {name}"),
        )
        .await;
        let mut options = self.options();
        options.database = name.to_owned();
        options
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop("immediate");
    }
}

/// Runs statements one by one.
pub(crate) async fn sql(connection: &mut ReplicationConnection, statements: &str) {
    connection
        .simple_query(statements)
        .await
        .unwrap_or_else(|error| panic!("{statements}: {error}"));
}

/// The single value of a query.
pub(crate) async fn value(connection: &mut ReplicationConnection, query: &str) -> Option<String> {
    let rows = connection.simple_query(query).await;
    let rows = rows.unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.first()?.values().first()?.clone()
}

/// Limits a loop that waits for something.
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn seconds(seconds: u64) -> Self {
        Deadline(Instant::now() + Duration::from_secs(seconds))
    }

    pub(crate) fn check(&self, waiting_for: &str) {
        assert!(Instant::now() < self.0, "waited in vain for {waiting_for}");
    }
}
