//! What is done at each start: connect, look at slot, publication and stored offset, and decide whether to take a snapshot and where to stream from.

use std::sync::Arc;

use millrace_api::config::ConfigEnum as _;
use millrace_api::data::OffsetMap;
use millrace_api::plugin::TaskError;
use millrace_cdc::{RegexList, TableFilter, TableId};
use pg_replication::{CreatedSlot, Lsn, ReplicationConnection, SlotSnapshot};

use crate::catalog::{self, TypeRegistry};
use crate::config::{IsolationMode, LockingMode, PostgresConfig, SnapshotMode};
use crate::offset::{Position, SnapshotProgress};
use crate::publication;
use crate::slot;
use crate::sql::{SqlClient, initial_statements, replication_error, sql_error};
use crate::streaming;

/// Everything that does not change while the task lives.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) config: PostgresConfig,
    pub(crate) filter: TableFilter,
    /// Whether `skipped.operations` was given explicitly.
    pub(crate) skipped_given: bool,
    /// SELECTs of `snapshot.select.statement.overrides` by table.
    pub(crate) overrides: Vec<(String, String)>,
}

/// Connections and decisions of one start.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) sql: SqlClient,
    pub(crate) types: TypeRegistry,
    pub(crate) snapshot: Option<SnapshotPlan>,
    /// Where to stream from; `None`: not at all.
    pub(crate) stream: Option<StreamPlan>,
}

/// A snapshot to take. Its transaction is open on [`Setup::sql`].
#[derive(Debug)]
pub(crate) struct SnapshotPlan {
    pub(crate) tables: Vec<TableId>,
    /// Where rows are copied: a connection of its own in a transaction that sees the same snapshot.
    pub(crate) copy: ReplicationConnection,
    pub(crate) lsn: Lsn,
    pub(crate) tx_id: Option<u32>,
    pub(crate) ts_usec: i64,
}

/// A stream to start.
#[derive(Debug)]
pub(crate) struct StreamPlan {
    pub(crate) connection: ReplicationConnection,
    /// Where to go on; after a snapshot its position.
    pub(crate) position: Position,
}

pub(crate) async fn prepare(
    fixed: Arc<Fixed>,
    stored: Option<OffsetMap>,
) -> Result<Setup, TaskError> {
    let config = &fixed.config;
    let mode = config.snapshot_mode;
    let streams = mode != SnapshotMode::InitialOnly;
    let sql = SqlClient::connect(config, "Debezium General").await?;
    if streams {
        check_wal_level(&sql).await?;
    }
    let types = TypeRegistry::load(&sql)
        .await
        .map_err(|e| sql_error("reading the types of the database", &e))?;
    let captured = captured_tables(&sql, &fixed).await?;
    let mut stored = stored.as_ref().and_then(Position::from_map);
    let interrupted = stored.is_some_and(|p| p.snapshot == Some(SnapshotProgress::Running));
    if interrupted && mode == SnapshotMode::NoData {
        return Err(TaskError::config(
            "postgres.snapshot.forbidden",
            "The connector previously stopped while taking a snapshot, but now the connector is configured to never allow snapshots. Reconfigure the connector to use snapshots \
             initially or when needed.",
        ));
    }
    let existing = if streams {
        slot::find(&sql, config).await?
    } else {
        None
    };
    if let Some(position) = stored.filter(|_| streams && !interrupted)
        && let Some(processed) = position.lsn_proc
        && existing.is_none_or(|slot| slot.restart.0 > processed)
    {
        if mode != SnapshotMode::WhenNeeded {
            return Err(lost_position(config, &position, existing.is_some()));
        }
        tracing::warn!(
            slot = config.slot_name,
            "the stored position is no longer available on the server: a new snapshot is taken"
        );
        stored = None;
    }
    let snapshots = match mode {
        SnapshotMode::Always => true,
        SnapshotMode::NoData => false,
        SnapshotMode::Initial | SnapshotMode::InitialOnly | SnapshotMode::WhenNeeded => {
            stored.is_none() || interrupted
        }
    };
    let mut exported = None;
    let mut replication = None;
    let mut slot_position = existing.map(|s| s.confirmed);
    if streams {
        publication::ensure(&sql, config, &captured, fixed.skipped_given).await?;
        let mut connection = streaming::connect(config).await?;
        if existing.is_none() {
            let failover = config.slot_failover && connection.server_major() >= 17;
            let created = slot::create(&mut connection, config, failover).await?;
            slot_position = Some(created.consistent_point);
            exported = Some(created);
        }
        replication = Some(connection);
    }
    // A slot without a stored offset is what a run leaves that was killed before it had stored one: it may have sent records all the same.
    let unfinished = interrupted || existing.is_some() && stored.is_none();
    let mut witness = None;
    let mut snapshot = if snapshots {
        tokio::time::sleep(config.snapshot_delay).await;
        if streams && existing.is_some() && !unfinished {
            witness = snapshot_point(config).await;
        }
        let exported = exported.as_ref().or(witness.as_ref().map(|(_, slot)| slot));
        let exported = exported.and_then(|e| {
            e.snapshot_name
                .clone()
                .map(|name| (name, e.consistent_point))
        });
        Some(begin_snapshot(&sql, &fixed, &captured, exported, existing.is_some()).await?)
    } else {
        None
    };
    let behind = unfinished || existing.is_some() && witness.is_none();
    drop(witness);
    if let (Some(snapshot), Some(slot), true) = (&mut snapshot, slot_position, behind) {
        // After an unfinished run the stream starts where the slot stands: changes between that point and the new snapshot come again, but a delete of a row that the
        // unfinished one has sent is not lost. The stored offsets say so too, or a crash before the first streamed change would lose it after all.
        snapshot.lsn = slot;
    }
    let stream = match (replication, slot_position) {
        (Some(connection), Some(slot)) => {
            let position = match (&snapshot, stored) {
                (Some(snapshot), _) => Position {
                    lsn: snapshot.lsn.0,
                    tx_id: snapshot.tx_id,
                    ts_usec: snapshot.ts_usec,
                    ..Position::default()
                },
                (None, Some(stored)) => Position {
                    snapshot: None,
                    ..stored
                },
                (None, None) => Position {
                    lsn: slot.0,
                    ..Position::default()
                },
            };
            Some(StreamPlan {
                connection,
                position,
            })
        }
        _ => None,
    };
    Ok(Setup {
        sql,
        types,
        snapshot,
        stream,
    })
}

/// A snapshot together with the exact place in the WAL from which on it sees nothing, where the connector's slot stands already: what a new slot gives, and a
/// temporary one is enough. The present end of the WAL is not that place: a transaction may have written its commit there and not be visible yet, and would be
/// neither in the snapshot nor in the stream. `None`: the server has no slot free; then the stream begins where the connector's slot stands.
async fn snapshot_point(config: &PostgresConfig) -> Option<(ReplicationConnection, CreatedSlot)> {
    let name = format!("{:.40}_snapshot_{}", config.slot_name, std::process::id());
    let mut connection = streaming::connect(config).await.ok()?;
    let made = connection
        .create_slot(
            &name,
            config.plugin.literal(),
            true,
            SlotSnapshot::Export,
            false,
        )
        .await;
    match made {
        Ok(slot) => Some((connection, slot)),
        Err(error) => {
            tracing::warn!(slot = config.slot_name, %error, "no temporary slot for the snapshot: changes since the slot's position are sent beside it");
            None
        }
    }
}

async fn check_wal_level(sql: &SqlClient) -> Result<(), TaskError> {
    match sql
        .text("SHOW wal_level", "reading wal_level")
        .await?
        .as_deref()
    {
        Some("logical") => Ok(()),
        other => Err(TaskError::config(
            "postgres.wal-level",
            format!(
                "Postgres server wal_level property must be 'logical' but is: '{}'. Set wal_level = logical in postgresql.conf (or ALTER SYSTEM SET wal_level = 'logical') and \
                 restart the server",
                other.unwrap_or("")
            ),
        )),
    }
}

/// Tables that the filters accept now, in snapshot order.
async fn captured_tables(sql: &SqlClient, fixed: &Fixed) -> Result<Vec<TableId>, TaskError> {
    let all = catalog::tables(sql)
        .await
        .map_err(|e| sql_error("reading the tables of the database", &e))?;
    let mut captured: Vec<TableId> = all
        .into_iter()
        .filter(|t| fixed.filter.accepts(t))
        .collect();
    // Stable: within a rank the catalog's order stays.
    captured.sort_by_key(|t| fixed.filter.rank(t));
    if captured.is_empty() {
        tracing::warn!(
            database = fixed.config.dbname,
            "no table matches table.include.list, table.exclude.list, schema.include.list and schema.exclude.list: nothing will be captured until one does"
        );
    }
    Ok(captured)
}

fn lost_position(config: &PostgresConfig, position: &Position, slot_exists: bool) -> TaskError {
    let why = if slot_exists {
        "the slot has moved beyond it"
    } else {
        "the slot does not exist"
    };
    TaskError::fatal(
        "postgres.position.lost",
        format!(
            "The connector is trying to read change stream starting at {}, but this is no longer available on the server. Reconfigure the connector to use a snapshot mode when \
             needed. (slot '{}': {why})",
            Lsn(position.lsn_proc.unwrap_or(position.lsn)),
            config.slot_name
        ),
    )
}

/// Opens the snapshot's transaction and notes its position.
async fn begin_snapshot(
    sql: &SqlClient,
    fixed: &Fixed,
    captured: &[TableId],
    exported: Option<(String, Lsn)>,
    slot_existed: bool,
) -> Result<SnapshotPlan, TaskError> {
    let config = &fixed.config;
    let only = match &config.snapshot_include {
        Some(list) => Some(RegexList::parse(list).map_err(|e| {
            TaskError::config(
                "postgres.config",
                format!("The 'snapshot.include.collection.list' value is invalid: {e}"),
            )
        })?),
        None => None,
    };
    let tables: Vec<TableId> = captured
        .iter()
        .filter(|t| {
            only.as_ref().is_none_or(|list| {
                list.matches(&t.to_string()) || list.matches(&publication::quoted(t))
            })
        })
        .cloned()
        .collect();
    // A snapshot may take hours; its statements have no limit.
    sql.run("SET statement_timeout = 0", "lifting the statement timeout")
        .await?;
    let what = "opening the snapshot's transaction";
    match &exported {
        Some((name, _)) => {
            sql.run(
                &format!(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT {}",
                    pg_replication::quote_literal(name)
                ),
                what,
            )
            .await?;
        }
        // The slot stands before this snapshot, so what commits meanwhile comes again in the stream; one point in time for all tables all the same.
        None if slot_existed => {
            sql.run("BEGIN ISOLATION LEVEL REPEATABLE READ", what)
                .await?
        }
        None => {
            let isolation = match config.snapshot_isolation {
                IsolationMode::Serializable => "SERIALIZABLE",
                IsolationMode::RepeatableRead => "REPEATABLE READ",
                IsolationMode::ReadCommitted => "READ COMMITTED",
                IsolationMode::ReadUncommitted => "READ UNCOMMITTED",
            };
            sql.run(&format!("BEGIN ISOLATION LEVEL {isolation}"), what)
                .await?;
        }
    }
    if config.snapshot_locking == LockingMode::Shared && !tables.is_empty() {
        let locks: String = tables
            .iter()
            .map(|t| {
                format!(
                    "LOCK TABLE {} IN ACCESS SHARE MODE;",
                    publication::quoted(t)
                )
            })
            .collect();
        sql.run(
            &format!(
                "SET lock_timeout = {};{locks}",
                config.snapshot_lock_timeout_ms
            ),
            "locking the tables (snapshot.locking.mode=shared)",
        )
        .await?;
    }
    let row = sql
        .query_one(
            "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() ELSE pg_catalog.pg_current_wal_lsn() END::text, \
             CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE pg_catalog.txid_current() END, \
             (pg_catalog.date_part('epoch', CURRENT_TIMESTAMP) * 1000000)::int8",
            &[],
        )
        .await
        .map_err(|e| sql_error("reading the snapshot's position", &e))?;
    let current: Option<Lsn> = row.get::<_, Option<String>>(0).and_then(|t| t.parse().ok());
    let (name, point) = match exported {
        Some((name, point)) => (name, Some(point)),
        None => {
            let name = sql
                .text(
                    "SELECT pg_catalog.pg_export_snapshot()",
                    "exporting the snapshot",
                )
                .await?;
            (name.unwrap_or_default(), current)
        }
    };
    Ok(SnapshotPlan {
        tables,
        copy: copy_connection(config, &name).await?,
        lsn: point.unwrap_or(Lsn(0)),
        tx_id: row.get::<_, Option<i64>>(1).map(|id| id as u32),
        ts_usec: row.get(2),
    })
}

/// A connection for `COPY` that sees the exported snapshot `name`.
async fn copy_connection(
    config: &PostgresConfig,
    name: &str,
) -> Result<ReplicationConnection, TaskError> {
    let fail = |e: &pg_replication::ReplicationError| {
        replication_error(config, "opening the connection for the snapshot", e)
    };
    let mut options = config.connect_options("Debezium Snapshot");
    // An ordinary backend: a walsender is not needed for SQL.
    options
        .parameters
        .push(("replication".to_owned(), "false".to_owned()));
    let mut connection = ReplicationConnection::connect(&options)
        .await
        .map_err(|e| fail(&e))?;
    for statement in initial_statements(config.initial_statements.as_deref().unwrap_or("")) {
        connection
            .simple_query(&statement)
            .await
            .map_err(|e| fail(&e))?;
    }
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT {}",
        pg_replication::quote_literal(name)
    );
    connection
        .simple_query(&begin)
        .await
        .map_err(|e| fail(&e))?;
    Ok(connection)
}
