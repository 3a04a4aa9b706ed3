//! The publication.

use std::collections::BTreeSet;

use millrace_api::plugin::TaskError;
use millrace_cdc::TableId;
use pg_replication::quote_identifier;

use crate::config::{AutocreateMode, PostgresConfig};
use crate::sql::{SqlClient, sql_error};

/// Makes or adjusts the publication as `publication.autocreate.mode` says. `captured`: tables that the filters accept now.
pub(crate) async fn ensure(
    sql: &SqlClient,
    config: &PostgresConfig,
    captured: &[TableId],
    skipped_given: bool,
) -> Result<(), TaskError> {
    let name = &config.publication_name;
    let existing = sql
        .query_opt(
            "SELECT puballtables FROM pg_catalog.pg_publication WHERE pubname = $1",
            &[name],
        )
        .await
        .map_err(|e| sql_error("reading pg_publication", &e))?;
    let all_tables: Option<bool> = existing.map(|row| row.get(0));
    match (config.publication_autocreate, all_tables) {
        (AutocreateMode::Disabled, None) => Err(TaskError::config(
            "postgres.publication.missing",
            format!(
                "Publication autocreation is disabled, please create one and restart the connector. (publication '{name}' does not exist)"
            ),
        )),
        (
            AutocreateMode::Disabled | AutocreateMode::AllTables | AutocreateMode::NoTables,
            Some(_),
        ) => Ok(()),
        (AutocreateMode::AllTables, None) => {
            if sql
                .text(
                    "SELECT pg_catalog.pg_is_in_recovery()::text",
                    "asking whether the server is a standby",
                )
                .await?
                .as_deref()
                == Some("true")
            {
                return Ok(());
            }
            create(sql, config, " FOR ALL TABLES", skipped_given).await
        }
        (AutocreateMode::NoTables, None) => create(sql, config, "", skipped_given).await,
        (AutocreateMode::Filtered, None) => {
            if captured.is_empty() {
                return Err(TaskError::config(
                    "postgres.publication.empty",
                    format!("No table filters found for filtered publication {name}"),
                ));
            }
            create(
                sql,
                config,
                &format!(" FOR TABLE {}", list(captured)),
                skipped_given,
            )
            .await
        }
        (AutocreateMode::Filtered, Some(true)) => Err(TaskError::config(
            "postgres.publication.all-tables",
            format!(
                "A logical publication for all tables named '{name}' for plugin 'pgoutput' and database '{}' is already active on the server and can not be altered. \
                     If you need to exclude some tables or include only specific subset, please recreate the publication with necessary configuration. \
                     Otherwise please use different publication name.",
                config.dbname
            ),
        )),
        (AutocreateMode::Filtered, Some(false)) => adjust(sql, config, captured).await,
    }
}

async fn create(
    sql: &SqlClient,
    config: &PostgresConfig,
    tables: &str,
    skipped_given: bool,
) -> Result<(), TaskError> {
    let mut with = Vec::new();
    if config.publish_via_partition_root {
        with.push("publish_via_partition_root = true".to_owned());
    }
    if skipped_given {
        let published = [
            ("c", "insert"),
            ("u", "update"),
            ("d", "delete"),
            ("t", "truncate"),
        ];
        let names: Vec<&str> = published
            .iter()
            .filter(|(code, _)| !config.skips(code))
            .map(|(_, name)| *name)
            .collect();
        with.push(format!("publish = '{}'", names.join(",")));
    }
    let with = if with.is_empty() {
        String::new()
    } else {
        format!(" WITH ({})", with.join(", "))
    };
    let statement = format!(
        "CREATE PUBLICATION {}{tables}{with}",
        quote_identifier(&config.publication_name)
    );
    let created = sql.batch_execute(&statement).await;
    match created {
        Err(e) if e.code().is_some_and(|c| c.code() == "42501") => Err(TaskError::fatal(
            "postgres.publication.rights",
            format!(
                "user '{}' may not run {statement}: {}. FOR ALL TABLES needs a superuser, FOR TABLE needs CREATE on the database and ownership of each table; or create the \
                 publication yourself and set publication.autocreate.mode=disabled",
                config.user,
                e.as_db_error().map_or("", |d| d.message())
            ),
        )),
        // Another connector was quicker.
        Err(e) if e.code().is_some_and(|c| c.code() == "42710") => Ok(()),
        result => result.map_err(|e| {
            sql_error(
                &format!("creating publication '{}'", config.publication_name),
                &e,
            )
        }),
    }
}

async fn adjust(
    sql: &SqlClient,
    config: &PostgresConfig,
    captured: &[TableId],
) -> Result<(), TaskError> {
    let name = &config.publication_name;
    if captured.is_empty() {
        tracing::warn!(
            publication = name,
            "no table matches the filters: the publication stays as it is"
        );
        return Ok(());
    }
    let rows = sql
        .query("SELECT schemaname::text, tablename::text FROM pg_catalog.pg_publication_tables WHERE pubname = $1", &[name])
        .await
        .map_err(|e| sql_error("reading pg_publication_tables", &e))?;
    let published: BTreeSet<TableId> = rows
        .iter()
        .map(|r| TableId::new(r.get::<_, String>(0), r.get::<_, String>(1)))
        .collect();
    if published == captured.iter().cloned().collect() {
        return Ok(());
    }
    let statement = format!(
        "ALTER PUBLICATION {} SET TABLE {}",
        quote_identifier(name),
        list(captured)
    );
    sql.run(
        &statement,
        &format!("changing the tables of publication '{name}'"),
    )
    .await
}

fn list(tables: &[TableId]) -> String {
    tables.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// `"schema"."table"`
pub(crate) fn quoted(table: &TableId) -> String {
    format!(
        "{}.{}",
        quote_identifier(&table.schema),
        quote_identifier(&table.table)
    )
}
