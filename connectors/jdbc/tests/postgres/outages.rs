//! Connections and servers that go away, and what resolves itself.

use std::sync::Arc;
use std::time::Duration;

use millrace_api::data::{Data, Schema};
use millrace_api::plugin::ErrorKind;
use throwaway_postgres::{Options, Shutdown, ThrowawayPostgres};

use crate::harness::{Database, Reporter, Sink, UPSERT, item, key, pairs, row, values};

#[tokio::test]
async fn a_connection_that_dies_between_batches_costs_no_retry() {
    let mut db = Database::new().await;
    let mut settings = UPSERT.to_vec();
    settings.push(("max.retries", "0"));
    let mut sink = Sink::start(&db, &settings).await;
    sink.put(pairs("w", vec![(key(1), item(1, "a", 1))]))
        .await
        .unwrap();
    db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
    sink.put(pairs("w", vec![(key(2), item(2, "b", 2))]))
        .await
        .unwrap();
    assert_eq!(
        db.rows("SELECT nr FROM w ORDER BY nr").await,
        ["(1)", "(2)"]
    );
}

#[tokio::test]
async fn a_server_that_restarts_is_waited_for_and_one_that_stays_away_fails_the_task() {
    let mut server =
        tokio::task::spawn_blocking(|| ThrowawayPostgres::start(Options::default()).unwrap())
            .await
            .unwrap();
    let mut db = Database::on(server.port(), "restarts").await;
    let mut settings = UPSERT.to_vec();
    settings.extend([
        ("connection.attempts", "200"),
        ("connection.backoff.ms", "50"),
    ]);
    let mut sink = Sink::start(&db, &settings).await;
    sink.put(pairs("w", vec![(key(1), item(1, "a", 1))]))
        .await
        .unwrap();

    let mut server = tokio::task::spawn_blocking(move || {
        server.stop(Shutdown::Crash).unwrap();
        server
    })
    .await
    .unwrap();
    let restarting = tokio::task::spawn_blocking(move || {
        server.start_again().unwrap();
        server
    });
    let written = sink
        .put_until_settled(pairs(
            "w",
            vec![(key(1), item(1, "b", 2)), (key(2), item(2, "c", 3))],
        ))
        .await;
    let mut server = restarting.await.unwrap();
    written.unwrap();
    db.reconnect().await;
    assert_eq!(
        db.rows("SELECT * FROM w ORDER BY nr").await,
        ["(1,b,2)", "(2,c,3)"]
    );

    let mut hasty = Sink::start(&db, UPSERT).await;
    tokio::task::spawn_blocking(move || server.stop(Shutdown::Immediate).unwrap())
        .await
        .unwrap();
    let error = hasty
        .put(pairs("w", vec![(key(1), item(1, "b", 2))]))
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Fatal, "jdbc.connect"));
    assert!(error.message.contains("refused"), "{}", error.message);
    // A task that is stopped does not wait for a server.
    sink.cancel.cancel();
    assert_eq!(
        sink.put(pairs("w", vec![(key(1), item(1, "b", 2))]))
            .await
            .unwrap_err()
            .kind,
        ErrorKind::Retriable
    );
}

/// A connection that is cut while a statement waits for a lock.
#[tokio::test]
async fn a_connection_that_dies_in_a_batch_is_retried_at_most_max_retries_times() {
    let mut db = Database::new().await;
    db.execute("CREATE TABLE w (nr int PRIMARY KEY, title text, amount int); INSERT INTO w VALUES (1,'a',1)").await;
    let mut sink = Sink::start(&db, UPSERT).await;
    let mut watcher = Database::on(db.port, &format!("{}_watch", db.name)).await;
    db.execute("BEGIN; LOCK TABLE w").await;
    let records = pairs("w", vec![(key(1), item(1, "b", 2))]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let batch = records.clone();
        let name = db.name.clone();
        let cut = async {
            let waiting = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
            );
            while watcher.rows(&waiting).await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let (outcome, cut) = tokio::join!(
            sink.put(batch),
            tokio::time::timeout(Duration::from_secs(20), cut)
        );
        cut.expect("the sink waits for the lock");
        kinds.push(outcome.unwrap_err().kind);
    }
    assert_eq!(kinds, [ErrorKind::Retriable, ErrorKind::Fatal]);
}

#[tokio::test]
async fn deadlocks_and_serialization_failures_are_retried_and_never_reported() {
    let mut db = Database::new().await;
    db.execute(
        "CREATE TABLE w (nr int PRIMARY KEY, title text, amount int); CREATE SEQUENCE tries; \
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n bigint := nextval('tries'); BEGIN \
           IF n = 1 THEN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF; \
           IF n = 2 THEN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END IF; \
           IF n = 3 THEN RAISE EXCEPTION 'out of memory' USING ERRCODE = '53200'; END IF; RETURN new; END $$; \
         CREATE TRIGGER tr BEFORE INSERT ON w FOR EACH ROW EXECUTE FUNCTION f()",
    )
    .await;
    let reporter = Arc::new(Reporter::default());
    let mut settings = UPSERT.to_vec();
    settings.push(("max.retries", "3"));
    let mut sink = Sink::with_reporter(&db, &settings, Some(reporter.clone())).await;
    assert_eq!(
        sink.put_until_settled(pairs("w", vec![(key(1), item(1, "a", 1))]))
            .await
            .unwrap(),
        3
    );
    assert!(reporter.offsets().is_empty());
    assert_eq!(db.rows("SELECT * FROM w").await, ["(1,a,1)"]);

    db.execute("ALTER SEQUENCE tries RESTART").await;
    settings.push(("max.retries", "2"));
    let mut sink = Sink::with_reporter(&db, &settings, Some(reporter.clone())).await;
    let error = sink
        .put_until_settled(pairs("w", vec![(key(2), item(2, "a", 1))]))
        .await
        .unwrap_err();
    assert_eq!(error.code, "jdbc.retries-exhausted");
    assert!(
        error.message.contains("53200") && error.message.contains("2 retries"),
        "{}",
        error.message
    );
}

/// An insert whose first half was committed by DDL is not inserted again when the batch is redelivered.
#[tokio::test]
async fn what_a_structure_change_committed_is_not_written_twice() {
    let mut db = Database::new().await;
    db.execute(
        "CREATE TABLE w (nr int, title text, amount int); CREATE SEQUENCE tries; \
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF new.title = 'later' AND nextval('tries') = 1 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF; RETURN new; END $$; \
         CREATE TRIGGER tr BEFORE INSERT ON w FOR EACH ROW EXECUTE FUNCTION f()",
    )
    .await;
    let mut sink = Sink::start(&db, &[("auto.evolve", "true")]).await;
    let wide = row(vec![
        ("nr", Schema::int32(), 2.into()),
        ("title", Schema::string().to_optional(), "later".into()),
        ("bonus", Schema::int32().to_optional(), 7.into()),
    ]);
    assert_eq!(
        sink.put_until_settled(values("w", vec![item(1, "a", 1), wide]))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        db.rows("SELECT nr, bonus FROM w ORDER BY nr").await,
        ["(1,)", "(2,7)"]
    );
    assert!(sink.put(values("w", vec![Data::NONE])).await.is_err());
}
