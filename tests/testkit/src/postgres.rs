use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use throwaway_postgres::{Options, Shutdown, ThrowawayPostgres};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio_postgres::{Client, NoTls};

use crate::unique;
use crate::usage::{Usage, usage_of_tree};

pub use throwaway_postgres::Options as PostgresOptions;

/// A real PostgreSQL server: `wal_level=logical`, 40 slots, no fsync, superuser `postgres` trusted on 127.0.0.1. Gone when dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Arc<Mutex<ThrowawayPostgres>>,
    port: u16,
    socket_dir: PathBuf,
}

impl Postgres {
    /// The server that all tests of this process share; it ends with the process. Never stop, restart or reconfigure this one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn shared() -> Result<&'static Postgres> {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(Postgres::start).await
    }

    /// A server of one test's own.
    ///
    /// # Errors
    /// When none is installed (`tests/servers/install`) or it cannot be started.
    pub async fn start() -> Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// The same with other settings, another version's `binaries` or a directory.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(options: PostgresOptions) -> Result<Self> {
        let server = spawn_blocking(|| ThrowawayPostgres::start(options))
            .await?
            .context("no PostgreSQL (tests/servers/install brings it)")?;
        let (port, socket_dir) = (server.port(), server.socket_dir().to_owned());
        Ok(Postgres {
            server: Arc::new(Mutex::new(server)),
            port,
            socket_dir,
        })
    }

    /// Always `127.0.0.1`.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the Unix socket.
    pub fn socket_dir(&self) -> &std::path::Path {
        &self.socket_dir
    }

    /// `postgres://postgres@127.0.0.1:PORT/postgres`
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A session in the database `postgres`.
    ///
    /// # Errors
    /// When the server refuses or is stopped.
    pub async fn connect(&self) -> Result<Client> {
        connect(&self.url()).await
    }

    /// An empty database with a name of its own.
    ///
    /// # Errors
    /// When the server refuses or is stopped.
    pub async fn create_database(&self, prefix: &str) -> Result<Database> {
        let name = unique(prefix);
        self.connect()
            .await?
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await?;
        Ok(Database {
            url: self.url_of(&name),
            host: self.host(),
            port: self.port,
            name,
        })
    }

    /// `ALTER SYSTEM SET name = 'value'`, reloaded at once; what needs a restart takes effect after [`restart`](Self::restart).
    ///
    /// # Errors
    /// When the server refuses the setting.
    pub async fn set(&self, name: &str, value: &str) -> Result<()> {
        let client = self.connect().await?;
        client
            .batch_execute(&format!(
                "ALTER SYSTEM SET {name} = '{}'",
                value.replace('\'', "''")
            ))
            .await?;
        client.batch_execute("SELECT pg_reload_conf()").await?;
        Ok(())
    }

    /// Writes a file into the data directory, readable for the server only: `pg_hba.conf`, `server.crt`, `server.key`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn write_data_file(&self, name: &str, content: impl Into<Vec<u8>>) -> Result<()> {
        let (name, content) = (name.to_owned(), content.into());
        self.blocking(move |server| Ok(server.write_data_file(&name, &content)?))
            .await
    }

    /// Fast shutdown and new start; every session is cut, data and port stay.
    ///
    /// # Errors
    /// When it does not come up again; the error has the end of its log.
    pub async fn restart(&self) -> Result<()> {
        self.blocking(|server| Ok(server.restart()?)).await
    }

    /// Stops the server and waits for its end. Data and port stay for [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn stop(&self, how: Shutdown) -> Result<()> {
        self.blocking(move |server| Ok(server.stop(how)?)).await
    }

    /// Starts a stopped server.
    ///
    /// # Errors
    /// When it does not come up; the error has the end of its log.
    pub async fn start_again(&self) -> Result<()> {
        self.blocking(|server| Ok(server.start_again()?)).await
    }

    /// CPU time of the postmaster and all its backends (a replication client's `walsender` too).
    ///
    /// # Errors
    /// When the server is stopped.
    pub fn usage(&self) -> Result<Usage> {
        let pid = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pid();
        usage_of_tree(pid.context("PostgreSQL is stopped")?)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut ThrowawayPostgres) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let server = Arc::clone(&self.server);
        spawn_blocking(move || act(&mut server.lock().unwrap_or_else(PoisonError::into_inner)))
            .await?
    }
}

/// A database of one test's own on a [`Postgres`].
#[derive(Debug, Clone)]
pub struct Database {
    pub name: String,
    /// `postgres://postgres@127.0.0.1:PORT/NAME`
    pub url: String,
    pub host: &'static str,
    pub port: u16,
}

impl Database {
    /// A session of superuser `postgres`.
    ///
    /// # Errors
    /// When the server refuses or is stopped.
    pub async fn connect(&self) -> Result<Client> {
        connect(&self.url).await
    }
}

/// The connection is driven by a task of the current runtime and ends with the client.
async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .with_context(|| format!("cannot connect to {url}"))?;
    // Its error reaches the caller through the client's next call.
    drop(tokio::spawn(connection));
    Ok(client)
}
