//! The table under test, and slots in front of its changes.

use anyhow::Result;
use millrace_testkit::{Database, Postgres};
use serde_json::{Value, json};

/// A filled table, its publication `bench`, and the slots `floor`, `floor_again`, `nowhere`, `kafka` and `avro`, all before the first change.
#[derive(Debug)]
pub(crate) struct BenchTable {
    pub(crate) database: Database,
    pub(crate) rows: u64,
    /// End of the changes.
    pub(crate) end_lsn: String,
}

impl BenchTable {
    pub(crate) async fn fill(postgres: &Postgres, rows: u64) -> Result<Self> {
        let database = postgres.create_database("bench").await?;
        let client = database.connect().await?;
        // One by one: a slot cannot be made in a transaction that has written.
        for statement in [
            "CREATE TABLE bench (id bigint PRIMARY KEY, customer integer NOT NULL, amount integer, placed timestamp(3) NOT NULL, note text NOT NULL)",
            "CREATE PUBLICATION bench FOR TABLE bench",
            "SELECT pg_create_logical_replication_slot('floor', 'pgoutput')",
            "SELECT pg_copy_logical_replication_slot('floor', 'floor_again')",
            "SELECT pg_copy_logical_replication_slot('floor', 'nowhere')",
            "SELECT pg_copy_logical_replication_slot('floor', 'kafka')",
            "SELECT pg_copy_logical_replication_slot('floor', 'avro')",
        ] {
            client.batch_execute(statement).await?;
        }
        let insert = client
            .prepare(
                "INSERT INTO bench SELECT i, i % 10007, CASE WHEN i % 7 <> 0 THEN (i * 37) % 100000 END, timestamp '2026-01-01' + i * interval '1 second', \
                 rpad(md5(i::text), 150, 'abcdefghij') FROM generate_series($1::bigint, $2::bigint) AS i",
            )
            .await?;
        let mut next = 1;
        while next <= rows as i64 {
            let last = (next + 999).min(rows as i64);
            client.execute(&insert, &[&next, &last]).await?;
            next = last + 1;
        }
        client.batch_execute("VACUUM ANALYZE bench").await?;
        client.batch_execute("CHECKPOINT").await?;
        let end_lsn: String = client
            .query_one("SELECT pg_current_wal_lsn()::text", &[])
            .await?
            .get(0);
        Ok(Self {
            database,
            rows,
            end_lsn,
        })
    }

    /// A source connector on this table.
    pub(crate) fn source(&self, slot: &str, snapshot_mode: &str) -> Value {
        json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": self.database.host,
            "database.port": self.database.port.to_string(),
            "database.user": "postgres",
            "database.dbname": self.database.name,
            "topic.prefix": slot,
            "plugin.name": "pgoutput",
            "slot.name": slot,
            "publication.name": "bench",
            "publication.autocreate.mode": "disabled",
            "table.include.list": "public\\.bench",
            "snapshot.mode": snapshot_mode,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "false",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false"
        })
    }
}
