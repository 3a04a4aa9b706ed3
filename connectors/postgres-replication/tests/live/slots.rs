//! Slots and their snapshots.

use std::time::Duration;

use pg_replication::{Lsn, ReplicationConnection, SlotSnapshot};

use crate::server::{Server, sql, value};

#[tokio::test]
async fn an_exported_snapshot_shows_what_was_before_the_slot() {
    let server = Server::shared().await;
    let options = server.database("slot_export").await;
    let mut writer = ReplicationConnection::connect(&options)
        .await
        .expect("connects");
    sql(&mut writer, "CREATE TABLE t (id int PRIMARY KEY)").await;
    sql(&mut writer, "INSERT INTO t VALUES (1), (2)").await;

    let mut owner = ReplicationConnection::connect(&options)
        .await
        .expect("connects");
    let slot = owner
        .create_slot(
            "slot_export",
            "pgoutput",
            false,
            SlotSnapshot::Export,
            false,
        )
        .await
        .expect("a slot");
    assert_eq!(slot.name, "slot_export");
    assert!(slot.consistent_point.is_valid());
    let snapshot = slot.snapshot_name.expect("a snapshot");
    sql(&mut writer, "INSERT INTO t VALUES (3)").await;

    let mut reader = ReplicationConnection::connect(&options)
        .await
        .expect("connects");
    sql(&mut reader, "BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    sql(
        &mut reader,
        &format!("SET TRANSACTION SNAPSHOT '{snapshot}'"),
    )
    .await;
    assert_eq!(
        value(&mut reader, "SELECT count(*) FROM t")
            .await
            .as_deref(),
        Some("2")
    );
    sql(&mut reader, "COMMIT").await;
    assert_eq!(
        value(&mut reader, "SELECT count(*) FROM t")
            .await
            .as_deref(),
        Some("3")
    );

    // The next command ends the snapshot.
    owner.identify_system().await.expect("an identity");
    sql(&mut reader, "BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    let gone = reader
        .simple_query(&format!("SET TRANSACTION SNAPSHOT '{snapshot}'"))
        .await
        .expect_err("gone");
    assert!(gone.server().is_some(), "{gone}");
    sql(&mut reader, "ROLLBACK").await;

    owner
        .drop_slot("slot_export", false)
        .await
        .expect("dropped");
    let again = owner
        .drop_slot("slot_export", true)
        .await
        .expect_err("gone");
    assert_eq!(again.sqlstate(), Some("42704"));
}

#[tokio::test]
async fn slots_without_snapshot_and_temporary_ones() {
    let server = Server::shared().await;
    let mut connection = server.connect().await;
    let slot = connection
        .create_slot(
            "slot_temporary",
            "pgoutput",
            true,
            SlotSnapshot::Nothing,
            false,
        )
        .await
        .expect("a slot");
    assert_eq!(slot.snapshot_name, None);
    let query = "SELECT temporary FROM pg_replication_slots WHERE slot_name = 'slot_temporary'";
    assert_eq!(value(&mut connection, query).await.as_deref(), Some("t"));

    sql(
        &mut connection,
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    )
    .await;
    let used = connection
        .create_slot("slot_used", "pgoutput", true, SlotSnapshot::Use, false)
        .await
        .expect("a slot");
    assert_eq!(used.snapshot_name, None);
    sql(&mut connection, "COMMIT").await;
}

#[tokio::test]
async fn refusals_leave_the_connection_usable() {
    let server = Server::shared().await;
    let mut connection = server.connect().await;
    let mut create = async |name: &str, plugin: &str| {
        let created = connection
            .create_slot(name, plugin, true, SlotSnapshot::Nothing, false)
            .await;
        created
            .map(drop)
            .map_err(|error| error.sqlstate().map(str::to_owned))
    };
    assert_eq!(create("slot_refused", "pgoutput").await, Ok(()));
    assert_eq!(
        create("slot_refused", "pgoutput").await,
        Err(Some("42710".into()))
    );
    assert_eq!(
        create("Not Allowed", "pgoutput").await,
        Err(Some("42602".into()))
    );
    assert_eq!(
        create("slot_refused_2", "no_such_plugin").await,
        Err(Some("58P01".into()))
    );

    let syntax = connection
        .simple_query("SELEKT 1")
        .await
        .expect_err("nonsense");
    let error = syntax.server().expect("the server's");
    assert_eq!(
        (error.severity.as_str(), error.code.as_str()),
        ("ERROR", "42601")
    );
    assert!(error.message.contains("SELEKT"), "{error}");
    let rows = connection
        .simple_query("SELECT 1 AS one, NULL AS nothing, 'ü' AS \"three\"")
        .await
        .expect("rows");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].columns(), ["one", "nothing", "three"]);
    assert_eq!(
        (
            rows[0].get("one"),
            rows[0].get("nothing"),
            rows[0].get("three")
        ),
        (Some("1"), None, Some("ü"))
    );
}

#[tokio::test]
async fn slots_that_cannot_be_streamed() {
    let server = Server::shared().await;
    let options = [("proto_version", "1"), ("publication_names", "none")];
    let missing = server
        .connect()
        .await
        .start_replication("slot_missing", Lsn::INVALID, &options)
        .await
        .expect_err("no such slot");
    assert_eq!(missing.sqlstate(), Some("42704"));

    let mut owner = server.connect().await;
    owner
        .create_slot("slot_busy", "pgoutput", false, SlotSnapshot::Nothing, false)
        .await
        .expect("a slot");
    let stream = owner
        .start_replication("slot_busy", Lsn::INVALID, &options)
        .await
        .expect("a stream");
    let busy = server
        .connect()
        .await
        .start_replication("slot_busy", Lsn::INVALID, &options)
        .await
        .expect_err("in use");
    assert_eq!(busy.sqlstate(), Some("55006"));

    let mut owner = stream.stop(Duration::from_secs(20)).await.expect("stopped");
    owner
        .drop_slot("slot_busy", true)
        .await
        .expect("dropped by the same connection");
}
