//! Opening a connection in replication mode and running commands on it.

use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::AsyncWriteExt;

use crate::auth::{self, Authentication};
use crate::error::ReplicationError;
use crate::options::{ConnectOptions, SslMode};
use crate::session::{Session, unexpected};
use crate::stream::ReplicationStream;
use crate::transport::Transport;
use crate::wire::{self, Body};
use crate::{Lsn, quote_identifier, quote_literal};

/// A session with `replication=database`: runs replication commands and SQL, then becomes a
/// [`ReplicationStream`].
///
/// Commands are not cancel-safe: after dropping the future of one, drop the connection too. They have no limit
/// of time of their own (creating a slot waits for running transactions): wrap them in `tokio::time::timeout`.
#[derive(Debug)]
pub struct ReplicationConnection {
    pub(crate) session: Session,
}

/// A row of a simple query: text values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Option<String>>,
}

impl Row {
    /// The column names.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The values in order; `None` is NULL.
    pub fn values(&self) -> &[Option<String>] {
        &self.values
    }

    /// The value of the first column of this name; `None` when it is NULL or there is no such column.
    pub fn get(&self, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.values.get(index)?.as_deref()
    }
}

impl ReplicationConnection {
    /// Connects, encrypts and authenticates, within [`ConnectOptions::connect_timeout`].
    ///
    /// The session is set up so that values have one text form whatever the database's settings are: UTF-8, ISO dates,
    /// `postgres` intervals, UTC, all digits of floats, `bytea` in hexadecimal.
    ///
    /// # Errors
    /// `Io` (unreachable), `Tls`, `Auth`, `Server` (SQLSTATE class 28: refused; 3D000: no such database; 53300: too
    /// many connections; 57P03: starting up), `Protocol`, `Closed`, `Timeout`, `Options`.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, ReplicationError> {
        let limit = options.connect_timeout;
        // Boxed: the handshakes' state is large and needed once.
        match tokio::time::timeout(limit, Box::pin(Self::connect_by_ssl_mode(options))).await {
            Ok(result) => result,
            Err(_) => Err(ReplicationError::Timeout {
                during: "connecting",
                limit,
            }),
        }
    }

    async fn connect_by_ssl_mode(options: &ConnectOptions) -> Result<Self, ReplicationError> {
        let local = options.unix_socket().is_some();
        match options.ssl_mode {
            SslMode::Disable => Self::connect_once(options, false).await,
            _ if local => Self::connect_once(options, false).await,
            SslMode::Allow => match Self::connect_once(options, false).await {
                Err(first) if refused_by_host_rules(&first) => {
                    or_first(first, Self::connect_once(options, true).await)
                }
                result => result,
            },
            SslMode::Prefer => match Self::connect_once(options, true).await {
                Err(first)
                    if refused_by_host_rules(&first)
                        || matches!(first, ReplicationError::Tls(_)) =>
                {
                    or_first(first, Self::connect_once(options, false).await)
                }
                result => result,
            },
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                Self::connect_once(options, true).await
            }
        }
    }

    async fn connect_once(
        options: &ConnectOptions,
        encrypt: bool,
    ) -> Result<Self, ReplicationError> {
        let transport = Transport::connect(options, encrypt).await?;
        let mut session = Session::new(transport, options.low_water);
        let mut out = BytesMut::new();
        start_up(options, &mut out)?;
        session.send(&out).await?;

        let encrypted = session.transport.is_encrypted();
        let binding = session.transport.server_end_point();
        let mut authentication = Authentication::new(options, encrypted, binding);
        loop {
            match session.receive().await? {
                (b'R', body) => {
                    out.clear();
                    match authentication.step(&body, &mut out)? {
                        auth::Step::Answer => session.send(&out).await?,
                        auth::Step::Wait => {}
                        auth::Step::Done => break,
                    }
                }
                (b'E', body) => return Err(wire::server_error(&body).into()),
                // NegotiateProtocolVersion: a subset of what was asked for is no problem.
                (b'v', _) => {}
                (tag, _) => return Err(unexpected(tag, "during authentication")),
            }
        }
        loop {
            match session.receive().await? {
                (b'Z', _) => return Ok(ReplicationConnection { session }),
                // BackendKeyData: nothing here is ever cancelled through a second connection.
                (b'K' | b'v', _) => {}
                (b'E', body) => return Err(wire::server_error(&body).into()),
                (tag, _) => return Err(unexpected(tag, "after authentication")),
            }
        }
    }

    pub(crate) fn from_session(session: Session) -> Self {
        ReplicationConnection { session }
    }

    /// `server_version` as the server reports it, such as `15.14 (Debian 15.14-0+deb12u1)`.
    pub fn server_version(&self) -> &str {
        &self.session.server_version
    }

    /// The server's major version, such as 15; 0 when the server did not tell it.
    pub fn server_major(&self) -> u32 {
        self.session.server_major()
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.session.transport.is_encrypted()
    }

    /// Runs a replication command or SQL and collects its rows.
    ///
    /// # Errors
    /// `Server` leaves the connection usable unless the error was fatal; after any other error it is not.
    pub async fn simple_query(&mut self, sql: &str) -> Result<Vec<Row>, ReplicationError> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out).map_err(auth::message_error)?;
        self.session.send(&out).await?;

        let mut columns: Arc<[String]> = Arc::new([]);
        let mut rows = Vec::new();
        let mut failure = None;
        loop {
            match self.session.receive().await {
                Ok((b'T', body)) => columns = column_names(&body)?,
                Ok((b'D', body)) => rows.push(Row {
                    columns: Arc::clone(&columns),
                    values: row_values(&body)?,
                }),
                Ok((b'C' | b'I', _)) => {}
                Ok((b'E', body)) => {
                    let error = wire::server_error(&body);
                    if error.is_fatal() {
                        return Err(error.into());
                    }
                    failure = Some(error);
                }
                Ok((b'Z', _)) => {
                    return match failure {
                        Some(error) => Err(error.into()),
                        None => Ok(rows),
                    };
                }
                Ok((tag, _)) => return Err(unexpected(tag, "in the answer to a query")),
                Err(error) => return Err(failure.map_or(error, Into::into)),
            }
        }
    }

    /// `START_REPLICATION SLOT slot LOGICAL start_lsn (options…)`.
    ///
    /// The server begins at the slot's confirmed position when `start_lsn` is before it, without telling.
    /// Option names and values are quoted here; the names inside of `publication_names` are SQL identifiers that the
    /// caller quotes, see [`quote_identifier`].
    ///
    /// # Errors
    /// `Server`: 42704 no such slot, 55006 slot in use, 55000 slot cannot be used (WAL removed, other database),
    /// 22023/42601 options not understood. The publication is looked up by the server only when it decodes.
    pub async fn start_replication(
        mut self,
        slot: &str,
        start_lsn: Lsn,
        options: &[(&str, &str)],
    ) -> Result<ReplicationStream, ReplicationError> {
        let mut command = format!(
            "START_REPLICATION SLOT {} LOGICAL {start_lsn}",
            quote_identifier(slot)
        );
        for (index, (name, value)) in options.iter().enumerate() {
            command.push_str(if index == 0 { " (" } else { ", " });
            command.push_str(&quote_identifier(name));
            command.push(' ');
            command.push_str(&quote_literal(value));
        }
        if !options.is_empty() {
            command.push(')');
        }
        let mut out = BytesMut::new();
        frontend::query(&command, &mut out).map_err(auth::message_error)?;
        self.session.send(&out).await?;
        match self.session.receive().await? {
            (b'W', _) => {
                let low_water = self.session.low_water;
                self.session.transport.set_batching(low_water)?;
                Ok(ReplicationStream::new(self.session))
            }
            (b'E', body) => Err(wire::server_error(&body).into()),
            (tag, _) => Err(unexpected(tag, "in the answer to START_REPLICATION")),
        }
    }

    /// Takes leave of the server and closes the connection.
    ///
    /// # Errors
    /// `Io` when the server is no longer there; the connection is closed all the same.
    pub async fn close(mut self) -> Result<(), ReplicationError> {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        self.session.send(&out).await?;
        let closing = self.session.transport.shutdown().await;
        closing.map_err(ReplicationError::io("closing the connection"))
    }
}

/// SQLSTATE 28000 before any password was looked at: `pg_hba.conf` has no rule for this kind of connection.
fn refused_by_host_rules(error: &ReplicationError) -> bool {
    error.sqlstate() == Some("28000")
}

/// The second attempt's result; its error only if the server itself answered, as otherwise the first says more.
fn or_first<T>(
    first: ReplicationError,
    second: Result<T, ReplicationError>,
) -> Result<T, ReplicationError> {
    second.map_err(|second| match second {
        ReplicationError::Server(_) if matches!(first, ReplicationError::Server(_)) => second,
        ReplicationError::Server(_) | ReplicationError::Tls(_) => first,
        other => other,
    })
}

fn start_up(options: &ConnectOptions, out: &mut BytesMut) -> Result<(), ReplicationError> {
    let mut parameters = vec![
        ("user", options.user.as_str()),
        ("database", options.database.as_str()),
        ("replication", "database"),
        ("application_name", options.application_name.as_str()),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO"),
        ("IntervalStyle", "postgres"),
        ("TimeZone", "UTC"),
        ("extra_float_digits", "3"),
        ("bytea_output", "hex"),
    ];
    if let Some(options) = &options.options {
        parameters.push(("options", options));
    }
    for (name, value) in &options.parameters {
        parameters.retain(|(set, _)| !set.eq_ignore_ascii_case(name));
        parameters.push((name, value));
    }
    frontend::startup_message(parameters, out).map_err(auth::message_error)
}

fn column_names(body: &[u8]) -> Result<Arc<[String]>, ReplicationError> {
    let mut body = Body::new(body, "RowDescription");
    let count = body.i16()?;
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(body.text()?);
        // Table, attribute, type, size, modifier, format: all values are text here.
        body.bytes(18)?;
    }
    Ok(names.into())
}

fn row_values(body: &[u8]) -> Result<Vec<Option<String>>, ReplicationError> {
    let mut body = Body::new(body, "DataRow");
    let count = body.i16()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let length = body.i32()?;
        values.push(match usize::try_from(length) {
            Ok(length) => Some(String::from_utf8_lossy(body.bytes(length)?).into_owned()),
            // -1 is NULL.
            Err(_) => None,
        });
    }
    Ok(values)
}
