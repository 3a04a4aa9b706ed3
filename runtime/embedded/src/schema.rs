use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millrace_log::local::{Catalog, Partition, Topic, TopicPolicy};
use millrace_log::{ClientSettings, LogError, TopicPartition};
use rusqlite::{Connection, OpenFlags, params};

use crate::error::from_sqlite;
use crate::options::{Durability, EmbeddedOptions};

/// The file in `log.dir`.
pub(crate) const FILE: &str = "log.db";

/// Before it, a checkpoint on one connection could lose commits when another one reset the WAL at the same moment.
const LEAST_SQLITE: i32 = 3_051_003;

const VERSION: i64 = 1;

/// Bits of a row id that hold the offset; the rest holds the partition's id.
const OFFSET_BITS: u32 = 44;
/// Partition ids stay below.
pub(crate) const MAX_PARTITION_ID: i64 = 1 << (63 - OFFSET_BITS);
/// Offsets stay below.
pub(crate) const MAX_OFFSET: i64 = 1 << OFFSET_BITS;

const TABLES: &str = "
    CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    INSERT INTO meta VALUES ('cluster_id', lower(hex(randomblob(16))));
    CREATE TABLE topic(id INTEGER PRIMARY KEY, name TEXT UNIQUE, uuid BLOB, configs TEXT, state INTEGER);
    CREATE TABLE part(id INTEGER PRIMARY KEY, topic INTEGER, n INTEGER, log_start INTEGER, log_end INTEGER, bytes INTEGER, cleaned_to INTEGER,
        UNIQUE(topic, n));
    CREATE TABLE batch(id INTEGER PRIMARY KEY, last INTEGER, max_ts INTEGER, count INTEGER, data BLOB);
    CREATE TABLE producer(txn_id TEXT PRIMARY KEY, pid INTEGER, epoch INTEGER) WITHOUT ROWID;
    CREATE TABLE group_offset(grp TEXT, part INTEGER, offset INTEGER, metadata TEXT, ts INTEGER, PRIMARY KEY(grp, part)) WITHOUT ROWID;
    CREATE TABLE staged(id INTEGER PRIMARY KEY, pid INTEGER, last_delta INTEGER, max_ts INTEGER, count INTEGER, data BLOB);
    CREATE INDEX staged_pid ON staged(pid);
";

/// Row id of the batch that begins at `offset`.
pub(crate) fn row_id(partition: i64, offset: i64) -> i64 {
    (partition << OFFSET_BITS) | offset
}

/// Offset of the first record of the batch in row `id`.
pub(crate) fn base_offset(id: i64) -> i64 {
    id & (MAX_OFFSET - 1)
}

fn check_version() -> Result<(), LogError> {
    let found = rusqlite::version_number();
    if found >= LEAST_SQLITE {
        return Ok(());
    }
    Err(LogError::fatal(format!(
        "this binary was built with SQLite {}, which can lose committed data in WAL mode; build it with the bundled SQLite 3.51.3 or newer",
        rusqlite::version()
    )))
}

/// Opens the connection that writes, creating the file when it is missing.
pub(crate) fn open_writer(options: &EmbeddedOptions) -> Result<Connection, LogError> {
    check_version()?;
    let dir = &options.dir;
    let open = || -> rusqlite::Result<(Connection, String)> {
        let conn = Connection::open(dir.join(FILE))?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.set_prepared_statement_cache_capacity(64);
        let version: i64 = conn.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        let empty: bool =
            conn.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |r| r.get(0))?;
        if empty {
            conn.execute_batch("PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL;")?;
        }
        let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |r| r.get(0))?;
        let synchronous = if options.durability == Durability::Fsync {
            "FULL"
        } else {
            "NORMAL"
        };
        conn.execute_batch(&format!("PRAGMA synchronous = {synchronous}; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384;"))?;
        if empty {
            conn.execute_batch(&format!(
                "BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
            ))?;
        } else if version == VERSION {
            conn.execute("DELETE FROM staged", [])?;
        }
        if let Some(most) = options.max_bytes {
            let page_size: i64 = conn.query_row("PRAGMA page_size", [], |r| r.get(0))?;
            conn.query_row(
                &format!("PRAGMA max_page_count = {}", most as i64 / page_size),
                [],
                |_| Ok(()),
            )?;
        }
        Ok((conn, mode))
    };
    let (conn, mode) = open().map_err(|e| from_sqlite(e, "opening it", dir))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(LogError::Config(format!(
            "{} cannot use write-ahead logging (journal mode is {mode}): log.dir must be on a local file system",
            dir.display()
        )));
    }
    check_layout(&conn, dir)?;
    Ok(conn)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(dir: &Path) -> Result<Connection, LogError> {
    check_version()?;
    let open = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(dir.join(FILE), flags)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.execute_batch("PRAGMA cache_size = -4096;")?;
        Ok(conn)
    };
    open().map_err(|e| from_sqlite(e, "opening it for reading", dir))
}

/// Refuses a file of another layout.
pub(crate) fn check_layout(conn: &Connection, dir: &Path) -> Result<(), LogError> {
    let version: i64 = conn
        .query_row("PRAGMA user_version", [], |r| r.get(0))
        .map_err(|e| from_sqlite(e, "reading its version", dir))?;
    match version == VERSION {
        true => Ok(()),
        false => Err(LogError::Config(format!(
            "{} has layout {version}, this binary knows {VERSION}: use the version of millrace that wrote it, or another log.dir",
            dir.join(FILE).display()
        ))),
    }
}

/// The id that the log got when it was made.
pub(crate) fn cluster_id(conn: &Connection, dir: &Path) -> Result<String, LogError> {
    conn.query_row(
        "SELECT value FROM meta WHERE name = 'cluster_id'",
        [],
        |r| r.get(0),
    )
    .map_err(|e| from_sqlite(e, "reading its id", dir))
}

/// Settings as they stand in `topic.configs`: one `name=value` a line.
pub(crate) fn settings_text(settings: &ClientSettings) -> Result<String, LogError> {
    if let Some((key, _)) = settings
        .iter()
        .find(|(k, v)| k.contains(['=', '\n']) || v.contains('\n'))
    {
        return Err(LogError::Config(format!(
            "topic setting '{key}': neither a line break nor '=' in the name is allowed"
        )));
    }
    Ok(settings.iter().map(|(k, v)| format!("{k}={v}\n")).collect())
}

fn parse_settings(text: &str) -> ClientSettings {
    text.lines()
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

/// A partition as it stands in `part`.
#[derive(Debug)]
pub(crate) struct PartitionRow {
    pub(crate) id: i64,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// All topics that are not deleted, with the partitions' bounds. One read transaction.
pub(crate) fn load_topics(
    conn: &Connection,
    defaults: &TopicPolicy,
    dir: &Path,
) -> Result<Vec<(Topic, Vec<PartitionRow>)>, LogError> {
    type Row = (i64, String, String, PartitionRow);
    let rows = || -> rusqlite::Result<Vec<Row>> {
        let sql = "SELECT t.id, t.name, t.configs, p.id, p.log_start, p.log_end FROM topic t JOIN part p ON p.topic = t.id WHERE t.state = 0 ORDER BY t.id, p.n";
        let mut statement = conn.prepare(sql)?;
        let rows = statement.query_map(params![], |r| {
            Ok((
                r.get(0)?,
                r.get(1)?,
                r.get(2)?,
                PartitionRow {
                    id: r.get(3)?,
                    start: r.get(4)?,
                    end: r.get(5)?,
                },
            ))
        })?;
        rows.collect()
    };
    let mut topics: Vec<(Topic, Vec<PartitionRow>)> = Vec::new();
    for (id, name, configs, row) in rows().map_err(|e| from_sqlite(e, "reading its topics", dir))? {
        if topics.last().is_none_or(|(t, _)| t.id != id) {
            let policy = defaults.with(&parse_settings(&configs))?;
            topics.push((
                Topic {
                    name: Arc::from(name),
                    id,
                    policy,
                    partitions: Vec::new(),
                },
                Vec::new(),
            ));
        }
        if let Some((topic, rows)) = topics.last_mut() {
            let name = TopicPartition::new(Arc::clone(&topic.name), topic.partitions.len() as i32);
            topic
                .partitions
                .push(Arc::new(Partition::new(name, row.id, row.start, row.end)));
            rows.push(row);
        }
    }
    Ok(topics)
}

/// Fills an empty catalogue.
pub(crate) fn load_catalog(
    conn: &Connection,
    defaults: &TopicPolicy,
    dir: &Path,
) -> Result<Catalog, LogError> {
    let catalog = Catalog::default();
    for (topic, _) in load_topics(conn, defaults, dir)? {
        catalog.insert(Arc::new(topic));
    }
    Ok(catalog)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_sqlite_does_not_lose_commits() {
        assert!(
            rusqlite::version_number() >= LEAST_SQLITE,
            "SQLite {}",
            rusqlite::version()
        );
        const { assert!(libsqlite3_sys::SQLITE_VERSION_NUMBER >= LEAST_SQLITE) };
    }

    #[test]
    fn row_ids_hold_partition_and_offset() {
        let id = row_id(MAX_PARTITION_ID - 1, MAX_OFFSET - 1);
        assert!(id > 0);
        assert_eq!(base_offset(id), MAX_OFFSET - 1);
        assert!(row_id(1, MAX_OFFSET - 1) < row_id(2, 0));
    }
}
