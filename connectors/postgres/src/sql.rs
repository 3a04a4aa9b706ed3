//! Ordinary connections: catalog, publications, snapshots.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use millrace_api::plugin::{ErrorKind, TaskError};
use pg_replication::{ReplicationError, SslMode, tls_client_config};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, NoTls};

use crate::config::PostgresConfig;

/// A connection and the task that drives it; both end together.
#[derive(Debug)]
pub(crate) struct SqlClient {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for SqlClient {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl std::ops::Deref for SqlClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl SqlClient {
    /// Connects with the settings that make text output the same everywhere, and runs the initial statements.
    pub(crate) async fn connect(
        config: &PostgresConfig,
        application: &str,
    ) -> Result<Self, TaskError> {
        let mut pg = tokio_postgres::Config::new();
        pg.host(&*config.hostname)
            .port(u16::try_from(config.port).unwrap_or(5432))
            .user(&*config.user)
            .dbname(&*config.dbname)
            .application_name(application)
            .connect_timeout(config.connection_timeout)
            .keepalives(config.tcp_keep_alive)
            .options("-c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c extra_float_digits=3 -c bytea_output=hex");
        if let Some(password) = &config.password {
            pg.password(password.expose());
        }
        let options = config.connect_options(application);
        let fail = |e| connection_error(config, &e);
        let connected = if options.ssl_mode == SslMode::Disable {
            let (client, connection) = pg.connect(NoTls).await.map_err(fail)?;
            let driver = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to PostgreSQL has ended");
                }
            });
            Self { client, driver }
        } else {
            pg.ssl_mode(match options.ssl_mode {
                SslMode::Allow | SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
                _ => tokio_postgres::config::SslMode::Require,
            });
            let tls = tls_client_config(&options)
                .map_err(|e| replication_error(config, "connecting", &e))?;
            let (client, connection) = pg.connect(MakeRustls(Arc::new(tls))).await.map_err(fail)?;
            let driver = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to PostgreSQL has ended");
                }
            });
            Self { client, driver }
        };
        if config.query_timeout_ms > 0 {
            connected
                .run(
                    &format!("SET statement_timeout = {}", config.query_timeout_ms),
                    "setting the statement timeout",
                )
                .await?;
        }
        for statement in initial_statements(config.initial_statements.as_deref().unwrap_or("")) {
            connected
                .run(&statement, "running database.initial.statements")
                .await?;
        }
        Ok(connected)
    }

    /// Runs statements without parameters.
    pub(crate) async fn run(&self, sql: &str, what: &str) -> Result<(), TaskError> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|e| sql_error(what, &e))
    }

    /// One text from a query of one column; `None`: no row or NULL.
    pub(crate) async fn text(&self, sql: &str, what: &str) -> Result<Option<String>, TaskError> {
        let row = self
            .client
            .query_opt(sql, &[])
            .await
            .map_err(|e| sql_error(what, &e))?;
        Ok(row.and_then(|r| r.get(0)))
    }
}

/// Statements are separated by `;`, and `;;` is a semicolon.
pub(crate) fn initial_statements(text: &str) -> Vec<String> {
    text.replace(";;", "\0")
        .split(';')
        .map(|s| s.trim().replace('\0', ";"))
        .filter(|s| !s.is_empty())
        .collect()
}

/// Whether trying again later may help, by the server's code.
fn kind_of(sqlstate: Option<&str>) -> ErrorKind {
    match sqlstate {
        // No code: the connection itself failed.
        None => ErrorKind::Retriable,
        // Authentication, privileges, missing databases and objects, syntax: somebody has to change something.
        Some(code)
            if code.starts_with("28")
                || code.starts_with("42")
                || code.starts_with("3D")
                || code.starts_with("0A") =>
        {
            ErrorKind::Fatal
        }
        // The server is not set up for it (wal_level, too many slots).
        Some("55000" | "53400") => ErrorKind::Fatal,
        Some(_) => ErrorKind::Retriable,
    }
}

/// An error of a statement.
pub(crate) fn sql_error(what: &str, error: &tokio_postgres::Error) -> TaskError {
    let code = error.code().map(|c| c.code().to_owned());
    let detail = match error.as_db_error() {
        Some(db) => {
            let hint = db.hint().map(|h| format!(" ({h})")).unwrap_or_default();
            format!("{}{hint}", db.message())
        }
        None => error_chain(error),
    };
    let state = code
        .as_deref()
        .map(|c| format!(" [SQLSTATE {c}]"))
        .unwrap_or_default();
    TaskError::new(
        kind_of(code.as_deref()),
        "postgres.sql",
        format!("{what} failed: {detail}{state}"),
    )
}

fn connection_error(config: &PostgresConfig, error: &tokio_postgres::Error) -> TaskError {
    let place = format!(
        "connecting to database '{}' on {}:{} as '{}'",
        config.dbname, config.hostname, config.port, config.user
    );
    let mut failure = sql_error(&place, error);
    failure.code = "postgres.connect";
    failure.message.push_str(": check database.hostname, database.port, database.dbname, database.user and database.password, and that pg_hba.conf lets this host in");
    failure
}

/// An error on the replication connection.
pub(crate) fn replication_error(
    config: &PostgresConfig,
    what: &str,
    error: &ReplicationError,
) -> TaskError {
    let kind = match error {
        ReplicationError::Io { .. }
        | ReplicationError::Closed(_)
        | ReplicationError::Timeout { .. } => ErrorKind::Retriable,
        ReplicationError::Server(server) => kind_of(Some(&server.code)),
        _ => ErrorKind::Fatal,
    };
    TaskError::new(
        kind,
        "postgres.replication",
        format!(
            "{what} ({}:{}, slot '{}') failed: {}",
            config.hostname,
            config.port,
            config.slot_name,
            error_chain(error)
        ),
    )
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// TLS for `tokio-postgres` by the rules that the replication connection has.
#[derive(Clone)]
struct MakeRustls(Arc<rustls::ClientConfig>);

struct Rustls(Arc<rustls::ClientConfig>, String);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for MakeRustls {
    type Stream = RustlsStream<S>;
    type TlsConnect = Rustls;
    type Error = std::io::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Rustls, Self::Error> {
        Ok(Rustls(Arc::clone(&self.0), host.to_owned()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Rustls {
    type Stream = RustlsStream<S>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<RustlsStream<S>, std::io::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            // A host that is no name a certificate could contain is not looked at below verify-full.
            let name = ServerName::try_from(self.1).unwrap_or(ServerName::IpAddress(
                std::net::Ipv4Addr::UNSPECIFIED.into(),
            ));
            let tls = tokio_rustls::TlsConnector::from(self.0)
                .connect(name, stream)
                .await?;
            Ok(RustlsStream(tls))
        })
    }
}

struct RustlsStream<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for RustlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for RustlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for RustlsStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_statements_are_split_and_unescaped() {
        assert_eq!(
            initial_statements("SET a = 1; SELECT ';;' ;"),
            ["SET a = 1", "SELECT ';'"]
        );
    }
}
