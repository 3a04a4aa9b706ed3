//! Typed replication commands.

use crate::connection::{ReplicationConnection, Row};
use crate::error::ReplicationError;
use crate::{Lsn, quote_identifier};

/// What happens to the snapshot that a new slot is consistent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotSnapshot {
    /// Export it: other sessions can use it until the next command on this connection, or its end.
    Export,
    /// Throw it away.
    Nothing,
    /// Use it in the transaction in which the slot is created.
    Use,
}

impl SlotSnapshot {
    /// The value of the `SNAPSHOT` option (PostgreSQL 15 and later).
    fn option(self) -> &'static str {
        match self {
            SlotSnapshot::Export => "export",
            SlotSnapshot::Nothing => "nothing",
            SlotSnapshot::Use => "use",
        }
    }

    /// The keyword of older servers.
    fn keyword(self) -> &'static str {
        match self {
            SlotSnapshot::Export => "EXPORT_SNAPSHOT",
            SlotSnapshot::Nothing => "NOEXPORT_SNAPSHOT",
            SlotSnapshot::Use => "USE_SNAPSHOT",
        }
    }
}

/// The answer to `CREATE_REPLICATION_SLOT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSlot {
    /// The slot's name.
    pub name: String,
    /// Changes of transactions committed after this position will be streamed; all others are in the snapshot.
    pub consistent_point: Lsn,
    /// For `SET TRANSACTION SNAPSHOT`, with [`SlotSnapshot::Export`].
    pub snapshot_name: Option<String>,
}

/// The answer to `IDENTIFY_SYSTEM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemIdentity {
    /// Unique number of the cluster.
    pub system_id: String,
    /// Current timeline.
    pub timeline: u32,
    /// Current flush position (on a standby: replay position).
    pub flush_lsn: Lsn,
    /// The connected database.
    pub database: Option<String>,
}

fn field<'a>(row: &'a Row, column: &str, command: &str) -> Result<&'a str, ReplicationError> {
    row.get(column).ok_or_else(|| {
        ReplicationError::Protocol(format!(
            "the answer to {command} has no value for `{column}`"
        ))
    })
}

fn only_row(rows: &[Row], command: &str) -> Result<Row, ReplicationError> {
    match rows {
        [row] => Ok(row.clone()),
        rows => Err(ReplicationError::Protocol(format!(
            "the answer to {command} has {} rows instead of one",
            rows.len()
        ))),
    }
}

fn lsn(text: &str) -> Result<Lsn, ReplicationError> {
    text.parse()
        .map_err(|error: crate::ParseLsnError| ReplicationError::Protocol(error.to_string()))
}

impl ReplicationConnection {
    /// Which server this is, and where its log ends.
    ///
    /// # Errors
    /// As [`simple_query`](Self::simple_query).
    pub async fn identify_system(&mut self) -> Result<SystemIdentity, ReplicationError> {
        const COMMAND: &str = "IDENTIFY_SYSTEM";
        let row = only_row(&self.simple_query(COMMAND).await?, COMMAND)?;
        let timeline = field(&row, "timeline", COMMAND)?;
        Ok(SystemIdentity {
            system_id: field(&row, "systemid", COMMAND)?.to_owned(),
            timeline: timeline.parse().map_err(|_| {
                ReplicationError::Protocol(format!("timeline `{timeline}` is not a number"))
            })?,
            flush_lsn: lsn(field(&row, "xlogpos", COMMAND)?)?,
            database: row.get("dbname").map(str::to_owned),
        })
    }

    /// Creates a logical slot. Waits until all transactions that run at this moment have ended.
    ///
    /// An exported snapshot lives until the next command on this connection: keep the connection idle until
    /// every reader has taken it over.
    ///
    /// # Errors
    /// `Server`: 42710 the name is taken, 42602 the name is not allowed, 55000 `wal_level` is not `logical`, 53400 no
    /// free slot, 42704/58P01 no such plugin, 42501 no REPLICATION privilege, 57014/55P03 timeouts.
    /// `Options` when `failover` is asked of a server before 17.
    pub async fn create_slot(
        &mut self,
        name: &str,
        plugin: &str,
        temporary: bool,
        snapshot: SlotSnapshot,
        failover: bool,
    ) -> Result<CreatedSlot, ReplicationError> {
        let command = create_command(
            self.server_major(),
            name,
            plugin,
            temporary,
            snapshot,
            failover,
        )?;
        let row = only_row(
            &self.simple_query(&command).await?,
            "CREATE_REPLICATION_SLOT",
        )?;
        Ok(CreatedSlot {
            name: field(&row, "slot_name", "CREATE_REPLICATION_SLOT")?.to_owned(),
            consistent_point: lsn(field(&row, "consistent_point", "CREATE_REPLICATION_SLOT")?)?,
            snapshot_name: row.get("snapshot_name").map(str::to_owned),
        })
    }

    /// Drops a slot; with `wait`, once the session that uses it has ended.
    ///
    /// # Errors
    /// `Server`: 42704 no such slot, 55006 in use.
    pub async fn drop_slot(&mut self, name: &str, wait: bool) -> Result<(), ReplicationError> {
        let wait = if wait { " WAIT" } else { "" };
        let command = format!("DROP_REPLICATION_SLOT {}{wait}", quote_identifier(name));
        self.simple_query(&command).await.map(drop)
    }

    /// The value of a setting, as `SHOW` prints it.
    ///
    /// # Errors
    /// `Server`: 42704 no such setting.
    pub async fn show(&mut self, setting: &str) -> Result<String, ReplicationError> {
        // Settings of extensions have a dot, which must stay outside of the quotes.
        let name: Vec<String> = setting.split('.').map(quote_identifier).collect();
        let rows = self
            .simple_query(&format!("SHOW {}", name.join(".")))
            .await?;
        let row = only_row(&rows, "SHOW")?;
        Ok(row.values().first().cloned().flatten().unwrap_or_default())
    }
}

fn create_command(
    server_major: u32,
    name: &str,
    plugin: &str,
    temporary: bool,
    snapshot: SlotSnapshot,
    failover: bool,
) -> Result<String, ReplicationError> {
    let name = quote_identifier(name);
    let plugin = quote_identifier(plugin);
    let temporary = if temporary { " TEMPORARY" } else { "" };
    let mut command = format!("CREATE_REPLICATION_SLOT {name}{temporary} LOGICAL {plugin}");
    if failover && server_major < 17 {
        return Err(ReplicationError::Options(format!(
            "failover slots need PostgreSQL 17, the server is version {server_major}"
        )));
    }
    if server_major >= 15 {
        command.push_str(&format!(" (SNAPSHOT '{}'", snapshot.option()));
        if failover {
            command.push_str(", FAILOVER true");
        }
        command.push(')');
    } else {
        command.push(' ');
        command.push_str(snapshot.keyword());
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_follows_the_server() {
        let of = |major, failover| {
            create_command(
                major,
                "s\"1",
                "pgoutput",
                false,
                SlotSnapshot::Export,
                failover,
            )
        };
        assert_eq!(
            of(17, true).expect("allowed"),
            r#"CREATE_REPLICATION_SLOT "s""1" LOGICAL "pgoutput" (SNAPSHOT 'export', FAILOVER true)"#
        );
        assert_eq!(
            of(15, false).expect("allowed"),
            r#"CREATE_REPLICATION_SLOT "s""1" LOGICAL "pgoutput" (SNAPSHOT 'export')"#
        );
        assert_eq!(
            create_command(14, "s", "p", true, SlotSnapshot::Nothing, false).expect("allowed"),
            r#"CREATE_REPLICATION_SLOT "s" TEMPORARY LOGICAL "p" NOEXPORT_SNAPSHOT"#
        );
        let error = of(16, true).expect_err("too old");
        assert!(error.to_string().contains("PostgreSQL 17"), "{error}");
    }
}
