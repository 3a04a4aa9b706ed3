//! What a worker knows after it was stopped or killed, and what it does not do again.

use anyhow::{Context as _, Result, ensure};
use millrace_e2e::{Capture, Ground, LogKind, PATIENCE, changed, ledger};
use millrace_log::NewTopic;
use millrace_testkit::{Worker, wait_until};
use serde_json::Value;

crate::on_both_logs!(
    connectors_survive_stops_and_kills,
    an_orderly_stop_leaves_nothing_to_do_again,
    target_states_and_deletes_survive,
);

const SCHEMA: &str =
    "CREATE TABLE item (id int PRIMARY KEY, text text); INSERT INTO item VALUES (0, 'first')";

async fn insert(ground: &Ground, ids: std::ops::Range<i32>) -> Result<()> {
    for id in ids {
        ground
            .sql
            .execute("INSERT INTO item VALUES ($1, 'x')", &[&id])
            .await?;
    }
    Ok(())
}

async fn wait_copied(ground: &Ground, count: i64) -> Result<()> {
    let query = format!("SELECT count(*) FROM {}", ground.copy_of("item"));
    wait_until(PATIENCE, &format!("{count} rows are copied"), async || {
        // The table comes with the first record.
        let copied: Option<i64> = ground
            .sql
            .query_one(&query, &[])
            .await
            .ok()
            .map(|row| row.get(0));
        Ok((copied == Some(count)).then_some(()))
    })
    .await
}

async fn connectors(worker: &Worker) -> Result<Value> {
    worker
        .rest()
        .get("/connectors?expand=info")
        .await?
        .success()
}

async fn connectors_survive_stops_and_kills(log: LogKind) -> Result<()> {
    let ground = Ground::new(log, "restart", SCHEMA).await?;
    let mut worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&["item"]))
        .await?;
    ground
        .create(&worker, "sink", &ground.sink(&["item"]))
        .await?;
    wait_copied(&ground, 1).await?;
    let before = connectors(&worker).await?;

    insert(&ground, 1..20).await?;
    wait_copied(&ground, 20).await?;
    let status = worker.terminate().await?.context("it was running")?;
    ensure!(status.success(), "after SIGTERM: {status}");
    insert(&ground, 20..40).await?;
    worker.start_again().await?;
    ensure!(
        connectors(&worker).await? == before,
        "after SIGTERM: {}",
        connectors(&worker).await?
    );
    wait_copied(&ground, 40).await?;

    worker.kill().await?;
    insert(&ground, 40..60).await?;
    worker.start_again().await?;
    ensure!(
        connectors(&worker).await? == before,
        "after SIGKILL: {}",
        connectors(&worker).await?
    );
    wait_copied(&ground, 60).await?;
    for name in ["source", "sink"] {
        worker
            .rest()
            .wait_connector_state(name, "RUNNING", 1)
            .await?;
    }
    // One snapshot, the first: the offset was there after each start.
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["item"])).await?;
    capture.catch_up().await?;
    let read = capture
        .events
        .iter()
        .filter(|event| event.op() == "r")
        .count();
    ensure!(read == 1, "{read} snapshot records");
    let entries = ledger::entries(capture.events.iter()).map_err(anyhow::Error::msg)?;
    let findings = ledger::check(&entries, &Default::default()).map_err(anyhow::Error::msg)?;
    ensure!(findings.changes == 60, "{findings:?}");
    Ok(())
}

async fn an_orderly_stop_leaves_nothing_to_do_again(log: LogKind) -> Result<()> {
    let ground = Ground::new(log, "orderly", SCHEMA).await?;
    // Nothing is stored but at the end.
    let mut worker = ground
        .start_with(ground.worker().set("offset.flush.interval.ms", "600000"))
        .await?;
    ground
        .create(&worker, "source", &ground.source(&["item"]))
        .await?;
    ground
        .create(&worker, "sink", &ground.sink(&["item"]))
        .await?;
    ground.wait_streaming().await?;
    for round in 1..=3 {
        insert(&ground, round * 50..round * 50 + 50).await?;
        wait_copied(&ground, 1 + i64::from(round) * 50).await?;
        worker.restart().await?;
    }
    insert(&ground, 1000..1001).await?;
    wait_copied(&ground, 152).await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["item"])).await?;
    capture.catch_up().await?;
    ensure!(
        capture.events.len() == 152,
        "{} records of 152 rows",
        capture.events.len()
    );
    // Nor did the sink take anything twice: its first batch after the last start was the last row.
    let read = metric(
        &worker,
        "kafka_connect_sink_task_sink_record_read_total{connector=\"sink\"",
    )
    .await?;
    ensure!(
        read == Some(1.0),
        "the sink has read {read:?} records since it was started"
    );
    Ok(())
}

async fn metric(worker: &Worker, sample: &str) -> Result<Option<f64>> {
    let text = worker.rest().get("/metrics").await?.success()?;
    let line = text
        .as_str()
        .and_then(|text| text.lines().find(|line| line.starts_with(sample)));
    Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()))
}

async fn target_states_and_deletes_survive(log: LogKind) -> Result<()> {
    let ground = Ground::new(log, "targets", SCHEMA).await?;
    let mut worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&["item"]))
        .await?;
    ground
        .create(&worker, "sink", &ground.sink(&["item"]))
        .await?;
    let gone = changed(
        &ground.sink(&["item"]),
        &[("consumer.override.group.id", &format!("{}-gone", ground.id))],
    );
    ground.create(&worker, "gone", &gone).await?;
    wait_copied(&ground, 1).await?;
    worker
        .rest()
        .put_empty("/connectors/source/pause")
        .await?
        .success()?;
    worker
        .rest()
        .put_empty("/connectors/sink/stop")
        .await?
        .success()?;
    worker.rest().delete("/connectors/gone").await?.success()?;
    worker
        .rest()
        .wait_connector_state("source", "PAUSED", 1)
        .await?;
    worker
        .rest()
        .wait_connector_state("sink", "STOPPED", 0)
        .await?;
    insert(&ground, 1..5).await?;
    for crash in [true, false] {
        if crash {
            worker.kill().await?;
        } else {
            worker.terminate().await?;
        }
        worker.start_again().await?;
        worker
            .rest()
            .wait_connector_state("source", "PAUSED", 1)
            .await?;
        worker
            .rest()
            .wait_connector_state("sink", "STOPPED", 0)
            .await?;
        let names = worker.rest().get("/connectors").await?.success()?;
        let mut names: Vec<&str> = names
            .as_array()
            .context("names")?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        names.sort_unstable();
        ensure!(names == ["sink", "source"], "{names:?}");
        let gone = worker.rest().get("/connectors/gone/status").await?;
        ensure!(gone.status.as_u16() == 404, "{gone:?}");
    }
    // Nothing was captured meanwhile, and nothing is lost.
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["item"])).await?;
    capture.catch_up().await?;
    ensure!(capture.events.len() == 1, "{:?}", capture.events);
    for name in ["source", "sink"] {
        worker
            .rest()
            .put_empty(&format!("/connectors/{name}/resume"))
            .await?
            .success()?;
        worker
            .rest()
            .wait_connector_state(name, "RUNNING", 1)
            .await?;
    }
    wait_copied(&ground, 5).await
}

/// The group does not rebalance for a static member that comes back, whatever topics there are by then; the sink has to see to that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_sink_gets_a_topic_that_came_while_its_worker_was_dead() -> Result<()> {
    let schema = format!("{SCHEMA}; CREATE TABLE later (id int PRIMARY KEY, text text)");
    let ground = Ground::new(LogKind::Kafka, "static", &schema).await?;
    let mut worker = ground.start().await?;
    let tables = ["item", "later"];
    ground
        .create(&worker, "source", &ground.source(&tables))
        .await?;
    let sink = changed(
        &ground.sink(&tables),
        &[
            ("consumer.override.group.instance.id", "the-one"),
            // The group must not forget the member while the worker is dead.
            ("consumer.override.session.timeout.ms", "60000"),
        ],
    );
    ground.create(&worker, "sink", &sink).await?;
    wait_copied(&ground, 1).await?;
    worker.kill().await?;
    ground
        .log()
        .await?
        .admin()
        .create_topic(&NewTopic {
            name: ground.topic("later"),
            partitions: 1,
            replication_factor: 1,
            settings: Vec::new(),
        })
        .await?;
    ground
        .sql
        .batch_execute("INSERT INTO later VALUES (1, 'late')")
        .await?;
    worker.start_again().await?;
    let query = format!("SELECT text FROM {}", ground.copy_of("later"));
    wait_until(PATIENCE, "the row of the new topic is copied", async || {
        // The table comes with the first record.
        Ok(ground.sql.query_one(&query, &[]).await.ok().map(drop))
    })
    .await
}
