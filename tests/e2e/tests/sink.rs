//! The JDBC sink in a worker: records that cannot be written, outages, tables that change, tasks that share a topic.

use anyhow::{Context as _, Result, ensure};
use millrace_e2e::{Capture, Ground, LogKind, PATIENCE, changed, table_rows, without_escapes};
use millrace_log::{ProducerOptions, RecordBatch};
use millrace_testkit::{Postgres, Shutdown, wait_until};

crate::on_both_logs!(
    one_bad_record_goes_to_the_dead_letters_alone,
    an_outage_of_the_database_is_sat_out,
    a_new_column_appears_in_the_copy
);

const SCHEMA: &str = "CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL)";

async fn wait_equal(ground: &Ground, except: &str, columns: &[&str]) -> Result<()> {
    let mut last = String::new();
    let outcome = wait_until(PATIENCE, "the copy is level", async || {
        let mut source = table_rows(&ground.sql, "item", &["id"], columns).await?;
        source.remove(except);
        let copy = table_rows(&ground.sql, &ground.copy_of("item"), &["id"], columns).await?;
        last = format!("{} rows, {} in the copy", source.len(), copy.len());
        Ok((source == copy).then_some(()))
    })
    .await;
    outcome.with_context(|| last)
}

async fn one_bad_record_goes_to_the_dead_letters_alone(log: LogKind) -> Result<()> {
    let ground = Ground::new(log, "poison", SCHEMA).await?;
    // The copy refuses what the source has.
    ground
        .sql
        .batch_execute(&format!(
            "CREATE TABLE {} (id int PRIMARY KEY, n int NOT NULL CHECK (n <> 13))",
            ground.copy_of("item")
        ))
        .await?;
    ground
        .sql
        .batch_execute("INSERT INTO item SELECT n, n FROM generate_series(1, 40) AS n")
        .await?;
    let worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&["item"]))
        .await?;
    let dead = format!("{}-dead", ground.id);
    let config = changed(
        &ground.sink(&["item"]),
        &[
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", &dead),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
            ("errors.deadletterqueue.context.headers.enable", "true"),
        ],
    );
    ground.create(&worker, "sink", &config).await?;
    wait_equal(&ground, "id=13", &["n"]).await?;
    // A later batch, with the bad row among others of its transaction.
    ground.sql.batch_execute("BEGIN; INSERT INTO item VALUES (50, 50), (51, 13), (52, 52); COMMIT; INSERT INTO item VALUES (53, 53)").await?;
    ground
        .sql
        .batch_execute("UPDATE item SET n = 14 WHERE id = 13")
        .await?;
    wait_equal(&ground, "id=51", &["n"]).await?;

    let mut capture = Capture::open(ground.log().await?, std::slice::from_ref(&dead)).await?;
    capture
        .read_until("two dead letters", |events| events.len() >= 2)
        .await?;
    capture.catch_up().await?;
    let ids: Vec<i64> = capture
        .events
        .iter()
        .filter_map(|event| event.key["id"].as_i64())
        .collect();
    ensure!(ids == [13, 51], "{ids:?}");
    for event in &capture.events {
        let header = |name: &str| {
            event
                .headers
                .get(&format!("__connect.errors.{name}"))
                .map_or("", String::as_str)
        };
        ensure!(
            header("topic") == ground.topic("item")
                && header("connector.name") == "sink"
                && header("stage") == "TASK_PUT",
            "{event:?}"
        );
        ensure!(
            header("exception.message").contains("check constraint"),
            "{:?}",
            header("exception.message")
        );
        // The record as it was read, not as transforms have left it.
        ensure!(event.after()["n"] == 13, "{event:?}");
    }
    worker
        .rest()
        .wait_connector_state("sink", "RUNNING", 1)
        .await?;
    if log == LogKind::Kafka {
        unreadable(&ground, &mut capture).await?;
        wait_equal(&ground, "id=51", &["n"]).await?;
        worker
            .rest()
            .wait_connector_state("sink", "RUNNING", 1)
            .await?;
    }
    Ok(())
}

/// A value that is no JSON at all.
async fn unreadable(ground: &Ground, capture: &mut Capture) -> Result<()> {
    let log = ground.log().await?;
    let mut producer = log
        .producer(ProducerOptions {
            client_id: "e2e".to_owned(),
            settings: Vec::new(),
        })
        .await?;
    let mut batch = RecordBatch::new();
    let topic = batch.topic(&ground.topic("item"));
    batch.append(topic, 0, -1, Some(b"\"unreadable\""), Some(b"7 {"));
    ensure!(producer.send(&batch, 0)? == 1);
    let mut deliveries = Vec::new();
    wait_until(PATIENCE, "the record is written", async || {
        producer.deliveries(&mut deliveries);
        Ok((!deliveries.is_empty()).then_some(()))
    })
    .await?;
    ground
        .sql
        .batch_execute("INSERT INTO item VALUES (60, 60)")
        .await?;
    // Not read here: it is no JSON in the dead letter queue either.
    let dead = capture.events[0].topic.to_string();
    let partition = millrace_log::TopicPartition::new(dead.as_str(), 0);
    wait_until(PATIENCE, "a third dead letter", async || {
        let ends = log
            .admin()
            .offsets(std::slice::from_ref(&partition))
            .await?;
        Ok((ends[0].1 == 3).then_some(()))
    })
    .await
}

async fn an_outage_of_the_database_is_sat_out(log: LogKind) -> Result<()> {
    let ground = Ground::new(log, "sat_out", SCHEMA).await?;
    let target = Postgres::start().await?;
    let worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&["item"]))
        .await?;
    let config = changed(
        &ground.sink(&["item"]),
        &[
            (
                "connection.url",
                &format!("jdbc:postgresql://127.0.0.1:{}/postgres", target.port()),
            ),
            ("max.retries", "10000"),
            ("retry.backoff.ms", "100"),
            ("connection.attempts", "10000"),
            ("connection.backoff.ms", "100"),
        ],
    );
    ground.create(&worker, "sink", &config).await?;
    ground
        .sql
        .batch_execute("INSERT INTO item SELECT n, n FROM generate_series(1, 50) AS n")
        .await?;
    let copied = async |count: i64| {
        wait_until(PATIENCE, &format!("{count} rows are copied"), async || {
            let Ok(sql) = target.connect().await else {
                return Ok(None);
            };
            let row = sql
                .query_one(
                    &format!("SELECT count(*), sum(n) FROM {}", ground.copy_of("item")),
                    &[],
                )
                .await;
            Ok(row
                .ok()
                .filter(|row| row.get::<_, i64>(0) == count)
                .map(|row| row.get::<_, i64>(1)))
        })
        .await
    };
    copied(50).await?;
    target.stop(Shutdown::Immediate).await?;
    let log_before = worker.log()?.len();
    ground.sql.batch_execute("INSERT INTO item SELECT n, n FROM generate_series(51, 80) AS n; UPDATE item SET n = 0 WHERE id = 1").await?;
    wait_until(PATIENCE, "the sink tries again", async || {
        let log = without_escapes(&worker.log()?[log_before..]);
        Ok((log.matches("trying again").count() >= 3).then_some(()))
    })
    .await?;
    worker
        .rest()
        .wait_connector_state("sink", "RUNNING", 1)
        .await?;
    target.start_again().await?;
    let sum = copied(80).await?;
    ensure!(sum == 80 * 81 / 2 - 1, "{sum}");
    Ok(())
}

async fn a_new_column_appears_in_the_copy(log: LogKind) -> Result<()> {
    let ground = Ground::new(log, "evolve", SCHEMA).await?;
    ground
        .sql
        .batch_execute("INSERT INTO item VALUES (1, 1)")
        .await?;
    let worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&["item"]))
        .await?;
    ground
        .create(&worker, "sink", &ground.sink(&["item"]))
        .await?;
    wait_equal(&ground, "", &["n"]).await?;
    ground.sql.batch_execute("ALTER TABLE item ADD COLUMN note text; INSERT INTO item VALUES (2, 2, 'new'); UPDATE item SET note = 'old' WHERE id = 1").await?;
    wait_until(PATIENCE, "the copy has the column", async || {
        let query = "SELECT 1 FROM information_schema.columns WHERE table_name = $1 AND column_name = 'note'";
        Ok(ground.sql.query_opt(query, &[&ground.topic("item")]).await?.map(|_| ()))
    })
    .await?;
    wait_equal(&ground, "", &["n", "note"]).await?;
    worker
        .rest()
        .wait_connector_state("sink", "RUNNING", 1)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tasks_share_a_topic_of_four_partitions() -> Result<()> {
    let ground = Ground::new(LogKind::Kafka, "share", SCHEMA).await?;
    ground
        .sql
        .batch_execute("INSERT INTO item SELECT n, n FROM generate_series(1, 100) AS n")
        .await?;
    let worker = ground.start().await?;
    let source = changed(
        &ground.source(&["item"]),
        &[
            ("topic.creation.default.partitions", "4"),
            ("topic.creation.default.replication.factor", "1"),
        ],
    );
    ground.create(&worker, "source", &source).await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["item"])).await?;
    capture
        .read_until("the snapshot is there", |events| events.len() == 100)
        .await?;
    let used: std::collections::BTreeSet<i32> =
        capture.events.iter().map(|event| event.partition).collect();
    ensure!(used.len() == 4, "{used:?}");
    let sink = changed(
        &ground.sink(&["item"]),
        &[
            ("tasks.max", "2"),
            ("consumer.override.group.instance.id", ""),
        ],
    );
    worker.rest().create_connector("sink", &sink).await?;
    worker
        .rest()
        .wait_connector_state("sink", "RUNNING", 2)
        .await?;
    wait_equal(&ground, "", &["n"]).await?;
    wait_until(PATIENCE, "each task has two partitions", async || {
        let text = worker.rest().get("/metrics").await?.success()?;
        let text = text.as_str().unwrap_or_default();
        let line = |task: u32| {
            format!(
                "kafka_connect_sink_task_partition_count{{connector=\"sink\",task=\"{task}\"}} 2"
            )
        };
        Ok((0..2)
            .all(|task| text.lines().any(|l| l == line(task)))
            .then_some(()))
    })
    .await?;
    // Both write, and an update of a row comes behind the row.
    ground
        .sql
        .batch_execute("UPDATE item SET n = n + 1000; DELETE FROM item WHERE id % 5 = 0")
        .await?;
    wait_equal(&ground, "", &["n"]).await
}
