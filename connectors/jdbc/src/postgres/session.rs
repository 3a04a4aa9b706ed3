//! The one connection of a task.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};

use super::array::ArrayBuffer;
use super::catalog::{COLUMNS, ColumnDefinition, RELATION, TableDefinition, TableId, TableKind};
use super::identifier::{Quoting, UnquotableName, cut};
use super::options::{ServerType, Target};
use super::server_error::ServerError;
use crate::sink::TableName;

/// A connection with what is known about its database.
#[derive(Debug)]
pub(crate) struct Session {
    connection: PgConnection,
    database: String,
    schema: Option<String>,
    identifier_limit: usize,
}

/// Why a table's name cannot be used on this connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableIdError {
    /// See [`UnquotableName`].
    #[error(transparent)]
    Name(#[from] UnquotableName),
    /// Another database.
    #[error(
        "table name '{catalog}.{schema}.{table}' names the database '{catalog}', but the connection is to '{database}' and PostgreSQL cannot write to another; \
             set table.name.format (\"${{topic}}\" in quotes keeps dots in the name) or route the topic"
    )]
    OtherDatabase {
        /// The database that is named.
        catalog: String,
        /// The schema that is named.
        schema: String,
        /// The table that is named.
        table: String,
        /// The database of the connection.
        database: String,
    },
    /// No schema.
    #[error(
        "table '{0}' is named without a schema, and the search path of the connection has no schema that exists; set currentSchema in connection.url"
    )]
    NoSchema(String),
}

/// A relation in the catalog.
#[derive(Debug)]
pub(crate) enum Relation {
    /// There is none of this name.
    Missing,
    /// It is one that rows can be written to.
    Found(TableDefinition),
    /// It is something else: an index, a sequence, a materialised view.
    Unusable,
}

impl Session {
    /// Connects to the first server of `target` that answers and is of the wanted type.
    ///
    /// # Errors
    /// The message of the last server, in pgjdbc's words where it has some.
    pub(crate) async fn connect(target: &Target) -> Result<Self, String> {
        let mut problem = String::from("no host is named");
        for (name, options) in &target.servers {
            let login = async {
                let mut connection = PgConnection::connect_with(options).await?;
                let row = connection
                    .fetch_one(
                        "SELECT current_database()::text, current_schema()::text, current_setting('max_identifier_length')::int4, \
                         pg_catalog.pg_is_in_recovery() OR current_setting('transaction_read_only')::bool",
                    )
                    .await?;
                Ok::<_, sqlx::Error>((connection, row))
            };
            let outcome = match target.login_timeout {
                Some(limit) => tokio::time::timeout(limit, login)
                    .await
                    .unwrap_or_else(|_| Err(timed_out(limit))),
                None => login.await,
            };
            match outcome.and_then(|(connection, row)| Self::of(connection, &row)) {
                Ok((_, true)) if target.server_type == ServerType::Primary => {
                    problem =
                        format!("server {name} does not take writes (targetServerType=primary)")
                }
                Ok((session, _)) => return Ok(session),
                Err(error) => problem = login_problem(name, &error),
            }
        }
        Err(problem)
    }

    fn of(connection: PgConnection, row: &PgRow) -> Result<(Self, bool), sqlx::Error> {
        let limit: i32 = row.try_get(2)?;
        let session = Self {
            connection,
            database: row.try_get(0)?,
            schema: row.try_get(1)?,
            identifier_limit: usize::try_from(limit).unwrap_or(63),
        };
        Ok((session, row.try_get(3)?))
    }

    /// The full name of a table: what the name lacks is the connection's, and the table's name is cut as the server cuts it.
    pub(crate) fn table_id(
        &self,
        name: &TableName,
        quoting: Quoting,
    ) -> Result<TableId, TableIdError> {
        let catalog = name.catalog.as_deref().unwrap_or(&self.database);
        let table = cut(&quoting.stored(&name.table), self.identifier_limit).to_owned();
        let Some(schema) = name.schema.as_deref().or(self.schema.as_deref()) else {
            return Err(TableIdError::NoSchema(table));
        };
        if *quoting.stored(catalog) != self.database && catalog != self.database {
            return Err(TableIdError::OtherDatabase {
                catalog: catalog.to_owned(),
                schema: schema.to_owned(),
                table,
                database: self.database.clone(),
            });
        }
        let sql = match quoting {
            Quoting::Always => format!(
                "{}.{}.{}",
                quoting.name(catalog)?,
                quoting.name(schema)?,
                quoting.name(&table)?
            ),
            // The database's and schema's own names may need quotes though nobody wrote them.
            Quoting::Never => match (&name.catalog, &name.schema) {
                (Some(_), _) => format!(
                    "{}.{}.{}",
                    quoting.name(catalog)?,
                    quoting.name(schema)?,
                    quoting.name(&table)?
                ),
                (None, Some(_)) => format!("{}.{}", quoting.name(schema)?, quoting.name(&table)?),
                (None, None) => format!(
                    "{}.{}",
                    Quoting::Always.name(schema)?,
                    quoting.name(&table)?
                ),
            },
        };
        let stored = if name.schema.is_some() {
            quoting.stored(schema).into_owned()
        } else {
            schema.to_owned()
        };
        Ok(TableId {
            catalog: self.database.clone(),
            schema: stored,
            table,
            sql: sql.into(),
        })
    }

    /// Looks a table up.
    pub(crate) async fn relation(&mut self, table: &TableId) -> Result<Relation, ServerError> {
        let found = sqlx::query(RELATION)
            .bind(&table.schema)
            .bind(&table.table)
            .fetch_optional(&mut self.connection)
            .await?;
        let Some(row) = found else {
            return Ok(Relation::Missing);
        };
        let (oid, relkind): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let Some(kind) = TableKind::of(&relkind) else {
            return Ok(Relation::Unusable);
        };
        let rows = sqlx::query(COLUMNS)
            .bind(oid)
            .fetch_all(&mut self.connection)
            .await?;
        let columns = rows
            .iter()
            .map(|row| {
                Ok(ColumnDefinition {
                    name: row.try_get(0)?,
                    base_type: row.try_get(1)?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()?;
        Ok(Relation::Found(TableDefinition { kind, columns }))
    }

    /// Runs a fixed command: BEGIN and the like.
    pub(crate) async fn control(&mut self, sql: &'static str) -> Result<(), ServerError> {
        self.connection.execute(sql).await?;
        Ok(())
    }

    /// Commits; an error says that it came from here.
    pub(crate) async fn commit(&mut self) -> Result<(), ServerError> {
        match self.connection.execute("COMMIT").await {
            Ok(_) => Ok(()),
            Err(error) => Err(ServerError::at_commit(error)),
        }
    }

    /// Runs DDL that was built from names and literals escaped by [`Quoting`] and `ddl`.
    pub(crate) async fn define(&mut self, sql: String) -> Result<(), ServerError> {
        sqlx::raw_sql(built(sql))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Runs a statement of `dml` with one array for each of its columns. It is prepared once on this connection.
    pub(crate) async fn write(
        &mut self,
        sql: &Arc<str>,
        columns: &mut [ArrayBuffer],
    ) -> Result<(), ServerError> {
        let mut arguments = PgArguments::default();
        let size = columns.iter().map(ArrayBuffer::byte_size).sum();
        sqlx::Arguments::reserve(&mut arguments, columns.len(), size);
        for column in columns {
            sqlx::Arguments::add(&mut arguments, column.finish()).map_err(sqlx::Error::Encode)?;
        }
        sqlx::query_with(built(Arc::clone(sql)), arguments)
            .persistent(true)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Says good-bye.
    pub(crate) async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "connection was not closed in order");
        }
    }
}

/// The one place where SQL that is not a literal of this program gets to the server. Whatever comes here was put together in `ddl` and `dml` from fixed words, names
/// that went through [`Quoting::name`], names of types out of `format_type`, and literals whose quotes are doubled. Values of records never do: they are parameters.
fn built<T>(sql: T) -> AssertSqlSafe<T> {
    AssertSqlSafe(sql)
}

fn timed_out(limit: Duration) -> sqlx::Error {
    std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        format!("no login within {} s", limit.as_secs()),
    )
    .into()
}

fn login_problem(server: &str, error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            format!(
                "Connection to {server} refused. Check that the hostname and port are correct and that the postmaster is accepting TCP/IP connections."
            )
        }
        sqlx::Error::Database(error) => format!("FATAL: {}", error.message()),
        other => format!("The connection attempt to {server} failed: {other}"),
    }
}
