//! The PostgreSQL source beside what its own crate and the recorded cases show: outages, what is confirmed when, quiet databases, metrics.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use millrace_e2e::{Capture, Ground, LogKind, PATIENCE, changed, without_escapes};
use millrace_testkit::{Database, Postgres, Shutdown, Worker, wait_until};
use serde_json::Value;
use tokio_postgres::Client;

crate::on_both_logs!(
    the_source_goes_on_where_the_server_was_cut_off,
    only_what_is_stored_is_confirmed
);

const SCHEMA: &str = "CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL);\
    INSERT INTO counter SELECT id, 0 FROM generate_series(1, 3) AS id;\
    CREATE TABLE other (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text);";

async fn count(sql: &Client, times: u32) -> Result<()> {
    for n in 0..times {
        sql.execute(
            "UPDATE counter SET n = n + 1 WHERE id = $1",
            &[&(1 + n as i32 % 3)],
        )
        .await?;
    }
    Ok(())
}

/// Every counter counts up by one, each number once; returns where they stand.
fn counted(capture: &Capture, topic: &str) -> Result<BTreeMap<i64, i64>> {
    let mut last = BTreeMap::new();
    for event in capture.of(topic) {
        let (id, n) = event.key["id"]
            .as_i64()
            .zip(event.after()["n"].as_i64())
            .context("a counter")?;
        match last.insert(id, n) {
            None => ensure!(event.op() == "r", "{id} begins with {event:?}"),
            Some(before) => ensure!(n == before + 1, "counter {id}: {n} after {before}"),
        }
    }
    Ok(last)
}

async fn the_source_goes_on_where_the_server_was_cut_off(log: LogKind) -> Result<()> {
    let postgres = Postgres::start().await?;
    let ground = Ground::on(&postgres, log, "outage", SCHEMA).await?;
    let worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&["counter"]))
        .await?;
    ground.wait_streaming().await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["counter"])).await?;
    for how in [Shutdown::Immediate, Shutdown::Fast, Shutdown::Crash] {
        // In the middle of the traffic: what was under way when the server went is lost or committed, the table will tell.
        let (database, postgres) = (&ground.database, &postgres);
        let traffic = async {
            let sql = database.connect().await?;
            while count(&sql, 1).await.is_ok() {}
            Ok::<_, anyhow::Error>(())
        };
        let cut = async {
            let seen = capture.events.len();
            capture
                .read_until("some events arrive", |events| events.len() > seen + 20)
                .await?;
            postgres.stop(how).await
        };
        tokio::try_join!(traffic, cut)?;
        postgres.start_again().await?;
        level(&ground.database, &mut capture, &ground.topic("counter"))
            .await
            .with_context(|| format!("after {how:?}"))?;
    }
    worker
        .rest()
        .wait_connector_state("source", "RUNNING", 1)
        .await?;
    let log = without_escapes(&worker.log()?);
    ensure!(
        log.contains("This connector will be restarted"),
        "the outage is not in the log:\n{log}"
    );
    Ok(())
}

/// Waits until the events say what the table says.
async fn level(database: &Database, capture: &mut Capture, topic: &str) -> Result<()> {
    let sql = database.connect().await?;
    count(&sql, 3).await?;
    let mut table = BTreeMap::new();
    for row in sql.query("SELECT id::bigint, n FROM counter", &[]).await? {
        table.insert(row.get::<_, i64>(0), row.get::<_, i64>(1));
    }
    wait_until(PATIENCE, "the events say what the table says", async || {
        capture.catch_up().await?;
        Ok((counted(capture, topic)? == table).then_some(()))
    })
    .await
}

/// `0/1A2B3C` as a number.
async fn confirmed(ground: &Ground) -> Result<i64> {
    let query = "SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots WHERE slot_name = $1";
    Ok(ground.sql.query_one(query, &[&ground.id]).await?.get(0))
}

async fn only_what_is_stored_is_confirmed(log: LogKind) -> Result<()> {
    let ground = Ground::new(log, "confirm", SCHEMA).await?;
    let worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&["counter"]))
        .await?;
    ground.wait_streaming().await?;
    let begin = confirmed(&ground).await?;
    let mut looks = 0;
    for _ in 0..150 {
        count(&ground.sql, 2).await?;
        // In this order: what is stored only grows.
        let confirmed = confirmed(&ground).await?;
        let Some(offset) = ground.offset(&worker, "source").await? else {
            continue;
        };
        let stored = offset["lsn_commit"]
            .as_i64()
            .max(offset["lsn_proc"].as_i64());
        if let Some(stored) = stored {
            looks += 1;
            ensure!(
                confirmed <= stored,
                "{confirmed} is confirmed, {offset} is stored"
            );
        }
    }
    ensure!(looks > 20, "only {looks} looks");
    let end: i64 = ground
        .sql
        .query_one("SELECT (pg_current_wal_lsn() - '0/0')::bigint", &[])
        .await?
        .get(0);
    wait_until(PATIENCE, "the slot moves on", async || {
        Ok((confirmed(&ground).await? >= end).then_some(()))
    })
    .await?;
    ensure!(end > begin);
    if log == LogKind::Kafka {
        nothing_stored_nothing_confirmed().await?;
    }
    Ok(())
}

/// Records are in the topic, and their offsets are not stored: on Kafka these are two things.
async fn nothing_stored_nothing_confirmed() -> Result<()> {
    let ground = Ground::new(LogKind::Kafka, "unstored", SCHEMA).await?;
    let worker = ground
        .start_with(ground.worker().set("offset.flush.interval.ms", "600000"))
        .await?;
    ground
        .create(&worker, "source", &ground.source(&["counter"]))
        .await?;
    ground.wait_streaming().await?;
    let begin = confirmed(&ground).await?;
    count(&ground.sql, 60).await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["counter"])).await?;
    capture
        .read_until("the events are there", |events| events.len() == 63)
        .await?;
    // Several status updates later.
    let replies = "SELECT reply_time FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE slot_name = $1";
    let mut seen = std::collections::BTreeSet::new();
    wait_until(PATIENCE, "the server is told the position", async || {
        let row = ground.sql.query_opt(replies, &[&ground.id]).await?;
        seen.extend(row.and_then(|row| row.get::<_, Option<std::time::SystemTime>>(0)));
        Ok((seen.len() > 4).then_some(()))
    })
    .await?;
    ensure!(
        confirmed(&ground).await? == begin,
        "{begin} became {}",
        confirmed(&ground).await?
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_that_is_not_captured_lets_the_slot_move_on() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "quiet", SCHEMA).await?;
    let worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&["counter"]))
        .await?;
    ground.wait_streaming().await?;
    for _ in 0..3 {
        ground
            .sql
            .batch_execute(
                "INSERT INTO other (text) SELECT md5(n::text) FROM generate_series(1, 500) AS n",
            )
            .await?;
        let end: i64 = ground
            .sql
            .query_one("SELECT (pg_current_wal_lsn() - '0/0')::bigint", &[])
            .await?
            .get(0);
        wait_until(
            PATIENCE,
            "the slot passes what is not captured",
            async || Ok((confirmed(&ground).await? >= end).then_some(())),
        )
        .await?;
    }
    // Also that was stored first.
    let (confirmed, offset) = (
        confirmed(&ground).await?,
        ground
            .offset(&worker, "source")
            .await?
            .context("an offset")?,
    );
    ensure!(
        confirmed <= offset["lsn_commit"].as_i64().context("lsn_commit")?,
        "{confirmed} is confirmed, {offset} is stored"
    );
    // And nothing that comes later was passed over.
    count(&ground.sql, 6).await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["counter"])).await?;
    capture
        .read_until("the events are there", |events| events.len() == 9)
        .await?;
    counted(&capture, &ground.topic("counter"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_come_and_run_their_query() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "beat", SCHEMA).await?;
    let worker = ground.start().await?;
    let query = "INSERT INTO other (text) VALUES ('beat')";
    let config = changed(
        &ground.source(&["counter"]),
        &[
            ("heartbeat.interval.ms", "100"),
            ("heartbeat.action.query", query),
        ],
    );
    ground.create(&worker, "source", &config).await?;
    let topic = format!("__debezium-heartbeat.{}", ground.id);
    let mut capture = Capture::open(ground.log().await?, std::slice::from_ref(&topic)).await?;
    capture
        .read_until("five heartbeats", |events| events.len() >= 5)
        .await?;
    for event in &capture.events {
        ensure!(
            event.key["serverName"] == ground.id
                && event
                    .value
                    .as_ref()
                    .is_some_and(|value| value["ts_ms"].is_i64()),
            "{event:?}"
        );
    }
    wait_until(PATIENCE, "the query runs", async || {
        let rows: i64 = ground
            .sql
            .query_one("SELECT count(*) FROM other WHERE text = 'beat'", &[])
            .await?
            .get(0);
        Ok((rows >= 3).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncate_is_an_event_when_it_is_wanted() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "truncate", SCHEMA).await?;
    let worker = ground.start().await?;
    let config = changed(
        &ground.source(&["counter"]),
        &[("skipped.operations", "none")],
    );
    ground.create(&worker, "source", &config).await?;
    ground.wait_streaming().await?;
    ground
        .sql
        .batch_execute("TRUNCATE counter; INSERT INTO counter VALUES (9, 0)")
        .await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["counter"])).await?;
    capture
        .read_until("the events are there", |events| events.len() >= 5)
        .await?;
    let ops: Vec<&str> = capture.events.iter().map(millrace_e2e::Event::op).collect();
    ensure!(ops == ["r", "r", "r", "t", "c"], "{ops:?}");
    let value = capture.events[3].value.as_ref().context("a value")?;
    ensure!(
        capture.events[3].key.is_null() && value["before"].is_null() && value["after"].is_null(),
        "{:?}",
        capture.events[3]
    );
    Ok(())
}

async fn samples(worker: &Worker) -> Result<BTreeMap<String, f64>> {
    let Value::String(text) = worker.rest().get("/metrics").await?.success()? else {
        bail!("/metrics is not text")
    };
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            line.rsplit_once(' ')
                .and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
                .with_context(|| line.to_owned())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_their_names_and_move() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "metrics", SCHEMA).await?;
    let worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&["counter"]))
        .await?;
    ground
        .create(&worker, "sink", &ground.sink(&["counter"]))
        .await?;
    ground.wait_streaming().await?;
    let of =
        |name: &str, connector: &str| format!("{name}{{connector=\"{connector}\",task=\"0\"}}");
    let (written, sent) = (
        of(
            "kafka_connect_source_task_source_record_write_total",
            "source",
        ),
        of("kafka_connect_sink_task_sink_record_send_total", "sink"),
    );
    let settled = async |goal: f64| {
        let what = format!("{goal} records are written and sent");
        wait_until(PATIENCE, &what, async || {
            let all = samples(&worker).await?;
            Ok((all.get(&written) == Some(&goal) && all.get(&sent) == Some(&goal)).then_some(all))
        })
        .await
    };
    let before = settled(3.0).await?;
    count(&ground.sql, 30).await?;
    let after = settled(33.0).await?;
    for name in [
        of(
            "kafka_connect_source_task_source_record_poll_total",
            "source",
        ),
        of(
            "kafka_connect_source_task_source_record_active_count",
            "source",
        ),
        of("kafka_connect_source_task_poll_batch_avg_time_ms", "source"),
        of("kafka_connect_sink_task_sink_record_read_total", "sink"),
        of("kafka_connect_sink_task_partition_count", "sink"),
        of("kafka_connect_connector_task_running_ratio", "sink"),
        of("kafka_connect_task_error_total_record_failures", "source"),
        of("millrace_task_lag_records", "sink"),
        of("millrace_task_lag_bytes", "sink"),
        of("millrace_task_lag_seconds", "sink"),
        of("millrace_source_lag_bytes", "source"),
        of("millrace_source_lag_milliseconds", "source"),
        "kafka_connect_worker_connector_count".to_owned(),
        "kafka_connect_worker_task_count".to_owned(),
        "process_resident_memory_bytes".to_owned(),
    ] {
        ensure!(
            after.contains_key(&name),
            "no {name} in {:#?}",
            after.keys()
        );
    }
    let poll = of(
        "kafka_connect_source_task_source_record_poll_total",
        "source",
    );
    ensure!(
        (before[&poll], after[&poll]) == (3.0, 33.0),
        "{} {}",
        before[&poll],
        after[&poll]
    );
    ensure!(
        after["kafka_connect_worker_connector_count"] == 2.0
            && after[&of("kafka_connect_sink_task_partition_count", "sink")] == 1.0
    );
    // A lag is there while the sink stands still.
    worker
        .rest()
        .put_empty("/connectors/sink/pause")
        .await?
        .success()?;
    worker
        .rest()
        .wait_connector_state("sink", "PAUSED", 1)
        .await?;
    count(&ground.sql, 12).await?;
    let lag = of("millrace_task_lag_records", "sink");
    wait_until(
        PATIENCE,
        "the paused sink lags behind by twelve records",
        async || Ok((samples(&worker).await?.get(&lag) == Some(&12.0)).then_some(())),
    )
    .await
}
