//! The scenario's own database and its sessions.

use std::collections::HashMap;
use std::pin::pin;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures::SinkExt as _;
use millrace_testkit::{Postgres, wait_until};
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, Row};

use super::run::PATIENCE;

/// Sessions by name, opened when first used.
#[derive(Debug)]
pub(super) struct Database {
    url: String,
    name: String,
    admin: Client,
    sessions: HashMap<String, Client>,
}

/// A session that no step uses.
const WATCH: &str = "watch";

impl Database {
    pub(super) async fn create(postgres: &Postgres, name: &str) -> Result<Self> {
        let admin = postgres.connect().await?;
        admin
            .batch_execute(&format!(
                "create database {name} template template0 encoding 'UTF8'"
            ))
            .await?;
        let (host, port) = (postgres.host(), postgres.port());
        Ok(Database {
            url: format!("postgres://postgres@{host}:{port}/{name}"),
            name: name.to_owned(),
            admin,
            sessions: HashMap::new(),
        })
    }

    /// Drops the slots whose name has `id`, then the database.
    pub(super) async fn drop(mut self, id: &str) -> Result<()> {
        self.sessions.clear();
        let slots = format!(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like '%{id}%'"
        );
        wait_until(PATIENCE, "the slots can be dropped", async || {
            Ok(self.admin.batch_execute(&slots).await.ok())
        })
        .await?;
        self.admin
            .batch_execute(&format!("drop database {} with (force)", self.name))
            .await?;
        Ok(())
    }

    async fn session(&mut self, name: &str) -> Result<&Client> {
        if !self.sessions.contains_key(name) {
            let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
            // Its error reaches the caller through the client's next call.
            drop(tokio::spawn(connection));
            self.sessions.insert(name.to_owned(), client);
        }
        Ok(&self.sessions[name])
    }

    pub(super) async fn execute(&mut self, session: &str, sql: &str) -> Result<()> {
        let client = self.session(session).await?;
        client
            .batch_execute(sql)
            .await
            .with_context(|| format!("SQL: {sql}"))
    }

    pub(super) async fn copy(&mut self, sql: &str, data: &str) -> Result<()> {
        let client = self.session("main").await?;
        let mut sink = pin!(client.copy_in(sql).await?);
        sink.send(Bytes::copy_from_slice(data.as_bytes())).await?;
        sink.finish().await.with_context(|| format!("SQL: {sql}"))?;
        Ok(())
    }

    /// Rows of a query, as JSON.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Value> {
        let client = self.session("main").await?;
        let rows = client
            .query(sql, &[])
            .await
            .with_context(|| format!("SQL: {sql}"))?;
        rows.iter().map(row).collect()
    }

    /// A boolean from a session that no step uses.
    async fn ask(&mut self, sql: &str) -> Result<bool> {
        let client = self.session(WATCH).await?;
        Ok(client.query_one(sql, &[]).await?.get(0))
    }

    /// The process that streams changes of `slot`.
    pub(super) async fn walsender(&mut self, slot: &str) -> Result<Option<i32>> {
        let sql = format!(
            "select r.pid from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid \
             where s.slot_name = '{slot}' and r.state in ('streaming', 'catchup')"
        );
        let client = self.session(WATCH).await?;
        let row = client.query_opt(&sql, &[]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    pub(super) async fn wait_slot_free(&mut self, slot: &str) -> Result<()> {
        let sql = format!(
            "select not exists (select from pg_replication_slots where slot_name = '{slot}' and active)"
        );
        wait_until(PATIENCE, "nobody uses the slot", async || {
            Ok(self.ask(&sql).await?.then_some(()))
        })
        .await
    }

    pub(super) async fn drop_slot(&mut self, slot: &str) -> Result<()> {
        self.wait_slot_free(slot).await?;
        let sql = format!("select pg_drop_replication_slot('{slot}')");
        self.execute(WATCH, &sql).await
    }

    pub(super) async fn kill_walsender(&mut self, slot: &str) -> Result<()> {
        let sql = format!(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{slot}'"
        );
        self.execute(WATCH, &sql).await
    }

    /// Waits until the walsenders of all slots whose name has `id` have sent everything that is in the WAL now.
    pub(super) async fn wait_sent(&mut self, id: &str) -> Result<()> {
        let client = self.session(WATCH).await?;
        let row = client
            .query_one("select pg_current_wal_lsn()::text", &[])
            .await?;
        let end: String = row.get(0);
        let sql = format!(
            "select coalesce(bool_and(r.sent_lsn >= '{end}'::pg_lsn), true) from pg_replication_slots s \
             join pg_stat_replication r on r.pid = s.active_pid where s.slot_name like '%{id}%'"
        );
        wait_until(PATIENCE, "the walsender has sent everything", async || {
            Ok(self.ask(&sql).await?.then_some(()))
        })
        .await
    }
}

fn row(row: &Row) -> Result<Value> {
    let cell = |n: usize| -> Result<Value> {
        let column = &row.columns()[n];
        Ok(match *column.type_() {
            Type::BOOL => row.try_get::<_, Option<bool>>(n)?.into(),
            Type::INT2 => row.try_get::<_, Option<i16>>(n)?.into(),
            Type::INT4 => row.try_get::<_, Option<i32>>(n)?.into(),
            Type::INT8 => row.try_get::<_, Option<i64>>(n)?.into(),
            Type::TEXT | Type::VARCHAR | Type::NAME => row.try_get::<_, Option<String>>(n)?.into(),
            _ => bail!(
                "facts cannot show column {} of type {}: cast it to text",
                column.name(),
                column.type_()
            ),
        })
    };
    (0..row.len()).map(cell).collect()
}
