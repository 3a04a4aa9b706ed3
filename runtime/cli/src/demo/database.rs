//! The demo's PostgreSQL: a throw-away server, or one that exists.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use throwaway_postgres::{Options, ThrowawayPostgres};
use tokio_postgres::{Client, Config, NoTls};

use super::TABLES;

/// Where the connector files say that the database is.
const IN_THE_FILES: (&str, u16, &str, &str, &str) =
    ("localhost", 5432, "postgres", "postgres", "shop");

/// A database for the shop.
#[derive(Debug)]
pub(crate) struct Database {
    /// Blocks when it stops, so it is taken out for that.
    server: Option<ThrowawayPostgres>,
    config: Config,
    host: String,
    port: u16,
    user: String,
    password: String,
    name: String,
    client: Client,
}

impl Database {
    /// Starts a throw-away server, or connects to the database at `url`.
    pub(crate) async fn open(url: Option<&str>) -> Result<Self> {
        let (server, config) = match url {
            Some(url) => (
                None,
                url.parse::<Config>()
                    .context("--database takes postgres://user:password@host:port/name")?,
            ),
            None => {
                let options = Options {
                    preferred_port: Some(IN_THE_FILES.1),
                    ..Options::default()
                };
                let server =
                    tokio::task::spawn_blocking(|| ThrowawayPostgres::start(options)).await??;
                let admin = connect(&server.url().parse()?).await?;
                admin
                    .batch_execute(&format!("CREATE DATABASE {}", IN_THE_FILES.4))
                    .await?;
                let config = server.url_of(IN_THE_FILES.4).parse::<Config>()?;
                (Some(server), config)
            }
        };
        let (host, port, user, password, name) = match &server {
            // The server trusts everybody, so that the password of the files does.
            Some(server) => (
                "localhost".to_owned(),
                server.port(),
                "postgres".to_owned(),
                "postgres".to_owned(),
                IN_THE_FILES.4.to_owned(),
            ),
            None => {
                let host = config.get_hosts().iter().find_map(|h| match h {
                    tokio_postgres::config::Host::Tcp(host) => Some(host.clone()),
                    tokio_postgres::config::Host::Unix(_) => None,
                });
                let Some(host) = host else {
                    bail!("--database must name a TCP host: the connectors reach it that way")
                };
                let user = config.get_user().unwrap_or("postgres").to_owned();
                let password = config
                    .get_password()
                    .map(|p| String::from_utf8_lossy(p).into_owned())
                    .unwrap_or_default();
                let name = config.get_dbname().unwrap_or(&user).to_owned();
                (
                    host,
                    config.get_ports().first().copied().unwrap_or(5432),
                    user,
                    password,
                    name,
                )
            }
        };
        let client = connect(&config).await?;
        Ok(Self {
            server,
            config,
            host,
            port,
            user,
            password,
            name,
            client,
        })
    }

    /// Host, port and name, without credentials.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.name)
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Client> {
        connect(&self.config).await
    }

    /// Tables and first rows.
    pub(crate) async fn create_shop(&self) -> Result<()> {
        let level: String = self.client.query_one("SHOW wal_level", &[]).await?.get(0);
        if level != "logical" {
            bail!(
                "wal_level of {} is '{level}': set wal_level = logical in postgresql.conf and restart the server",
                self.address()
            );
        }
        let taken: Option<String> = self
            .client
            .query_one("SELECT string_agg(relname, ', ') FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1)", &[&TABLES.to_vec()])
            .await?
            .get(0);
        if let Some(taken) = taken {
            bail!(
                "the database {} has tables of the demo's names already ({taken}): give an empty one with --database",
                self.address()
            );
        }
        self.client
            .batch_execute(include_str!("../../../../configs/shop.sql"))
            .await
            .context("creating the shop's tables")?;
        Ok(())
    }

    /// The connector's JSON for this database, and what had to be changed in it.
    pub(crate) fn connector_json(&self, text: &str) -> Result<(Value, String)> {
        let mut body: Value =
            serde_json::from_str(text).context("the connector file is not JSON")?;
        let mut changed = Vec::new();
        let here = (
            &*self.host,
            self.port,
            &*self.user,
            &*self.password,
            &*self.name,
        );
        if here != IN_THE_FILES
            && let Some(config) = body.get_mut("config").and_then(Value::as_object_mut)
        {
            let mut set = |key: &str, value: String| {
                if let Some(old) = config
                    .get_mut(key)
                    .filter(|old| old.as_str() != Some(&value))
                {
                    *old = Value::String(value);
                    changed.push(key.to_owned());
                }
            };
            set("database.hostname", self.host.clone());
            set("database.port", self.port.to_string());
            set("database.user", self.user.clone());
            set("database.password", self.password.clone());
            set("database.dbname", self.name.clone());
            set(
                "connection.url",
                format!(
                    "jdbc:postgresql://{}:{}/{}",
                    self.host, self.port, self.name
                ),
            );
            set("connection.user", self.user.clone());
            set("connection.password", self.password.clone());
        }
        Ok((body, changed.join(", ")))
    }

    /// Bytes of WAL that the slot holds back.
    pub(crate) async fn slot_bytes(&self, slot: &str) -> Result<Option<u64>> {
        let row = self
            .client
            .query_opt("SELECT (pg_current_wal_lsn() - restart_lsn)::bigint FROM pg_replication_slots WHERE slot_name = $1", &[&slot])
            .await?;
        Ok(row
            .and_then(|r| r.get::<_, Option<i64>>(0))
            .map(|bytes| bytes.max(0) as u64))
    }

    /// Removes what the demo made: the server, or its tables, slot and publication.
    pub(crate) async fn close(self) -> Result<()> {
        if let Some(server) = self.server {
            tokio::task::spawn_blocking(move || drop(server)).await?;
            return Ok(());
        }
        let copies: String = TABLES
            .iter()
            .map(|t| format!("DROP TABLE IF EXISTS \"shop.public.{t}\";"))
            .collect();
        self.client
            .batch_execute(&format!(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'shop' AND NOT active;\
                 DROP PUBLICATION IF EXISTS shop; DROP TABLE IF EXISTS order_lines, orders, products, customers; {copies}"
            ))
            .await
            .context("removing the demo's tables, slot and publication")
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }
}

async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config
        .connect(NoTls)
        .await
        .context("connecting to PostgreSQL")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of the demo has ended");
        }
    });
    Ok(client)
}
