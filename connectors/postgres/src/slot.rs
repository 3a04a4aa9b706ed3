//! The replication slot.

use millrace_api::config::ConfigEnum;
use millrace_api::plugin::TaskError;
use pg_replication::{CreatedSlot, Lsn, ReplicationConnection, SlotSnapshot};

use crate::config::PostgresConfig;
use crate::sql::{SqlClient, replication_error, sql_error};

/// A slot that exists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlotState {
    /// Everything before it is confirmed.
    pub(crate) confirmed: Lsn,
    /// WAL is kept from here.
    pub(crate) restart: Lsn,
}

/// Looks the slot up; `None` when it does not exist.
pub(crate) async fn find(
    sql: &SqlClient,
    config: &PostgresConfig,
) -> Result<Option<SlotState>, TaskError> {
    let what = "reading pg_replication_slots";
    let row = sql
        .query_opt(
            "SELECT plugin::text, database::text, confirmed_flush_lsn::text, restart_lsn::text FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
            &[&config.slot_name],
        )
        .await
        .map_err(|e| sql_error(what, &e))?;
    let Some(row) = row else { return Ok(None) };
    let (plugin, database): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    if plugin.as_deref() != Some(config.plugin.literal())
        || database.as_deref() != Some(&*config.dbname)
    {
        return Err(TaskError::fatal(
            "postgres.slot.other",
            format!(
                "Creation of replication slot failed; when setting up multiple connectors for the same database host, please make sure to use a distinct replication slot name \
                 for each. Slot '{}' exists for plugin {} and database {}: choose another slot.name or drop that slot",
                config.slot_name,
                plugin.as_deref().unwrap_or("none (physical)"),
                database.as_deref().unwrap_or("none")
            ),
        ));
    }
    let parse = |text: Option<String>| text.and_then(|t| t.parse::<Lsn>().ok());
    let (confirmed, restart) = (parse(row.get(2)), parse(row.get(3)));
    match confirmed.or(restart) {
        Some(position) => Ok(Some(SlotState {
            confirmed: position,
            restart: restart.unwrap_or(position),
        })),
        None => Err(TaskError::retriable(
            "postgres.slot.pending",
            format!(
                "Unable to obtain valid replication slot. Make sure there are no long-running transactions running in parallel: slot '{}' has no position yet",
                config.slot_name
            ),
        )),
    }
}

/// Makes the slot and exports the snapshot it is consistent with; the connection must stay open and idle as long as that snapshot is to be used.
pub(crate) async fn create(
    connection: &mut ReplicationConnection,
    config: &PostgresConfig,
    failover: bool,
) -> Result<CreatedSlot, TaskError> {
    let mut tries = 0;
    loop {
        let error = match connection
            .create_slot(
                &config.slot_name,
                config.plugin.literal(),
                false,
                SlotSnapshot::Export,
                failover,
            )
            .await
        {
            Ok(slot) => return Ok(slot),
            Err(error) => error,
        };
        match error.sqlstate() {
            // Cancelled by a timeout: a long transaction is in the way.
            Some("57014" | "55P03") if tries < config.slot_max_retries => {
                tries += 1;
                tracing::warn!(
                    slot = config.slot_name,
                    tries,
                    "making the slot timed out and is tried again"
                );
                tokio::time::sleep(config.slot_retry_delay).await;
            }
            Some("57014" | "55P03") => {
                return Err(TaskError::fatal(
                    "postgres.slot.timeout",
                    "Creation of replication slot failed; query to create replication slot timed out, please make sure that there are no long running queries on the database.",
                ));
            }
            Some("42710") => {
                return Err(TaskError::fatal(
                    "postgres.slot.other",
                    "Creation of replication slot failed; when setting up multiple connectors for the same database host, please make sure to use a distinct replication slot name \
                     for each.",
                ));
            }
            Some("42501") => {
                return Err(TaskError::fatal(
                    "postgres.slot.rights",
                    format!(
                        "user '{}' may not make the replication slot '{}': grant it with ALTER ROLE \"{}\" REPLICATION",
                        config.user, config.slot_name, config.user
                    ),
                ));
            }
            _ => {
                return Err(replication_error(
                    config,
                    "making the replication slot",
                    &error,
                ));
            }
        }
    }
}

/// Drops the slot at an orderly stop; a slot that is still in use is tried three times.
pub(crate) async fn drop_slot(sql: &SqlClient, config: &PostgresConfig) -> Result<(), TaskError> {
    let mut tries = 0;
    loop {
        let result = sql
            .execute(
                "SELECT pg_catalog.pg_drop_replication_slot($1)",
                &[&config.slot_name],
            )
            .await;
        match result {
            Ok(_) => return Ok(()),
            Err(e) if e.code().is_some_and(|c| c.code() == "55006") && tries < 2 => {
                tries += 1;
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            Err(e) if e.code().is_some_and(|c| c.code() == "42704") => return Ok(()),
            Err(e) => return Err(sql_error("dropping the replication slot", &e)),
        }
    }
}
