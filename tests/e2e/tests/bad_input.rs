//! Wrong configurations, missing rights, full disks: each gets one clear message that names what is wrong and what to do, and nothing is lost.

use anyhow::{Context as _, Result, ensure};
use millrace_e2e::{Capture, Ground, LogKind, PATIENCE, changed, without_escapes};
use millrace_testkit::{
    Postgres, PostgresOptions, Reply, Worker, WorkerOptions, free_port, unique, wait_until,
};
use serde_json::{Value, json};

const SCHEMA: &str =
    "CREATE TABLE item (id int PRIMARY KEY, text text); INSERT INTO item VALUES (1, 'one')";

/// The message has all of these.
fn says(message: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(message.contains(part), "no '{part}' in: {message}");
    }
    Ok(())
}

/// Connect's answer for what the caller did wrong.
fn refusal(reply: &Reply) -> Result<&str> {
    ensure!(
        reply.status.as_u16() == 400 && reply.body["error_code"] == 400,
        "{reply:?}"
    );
    reply.body["message"].as_str().context("a message")
}

async fn post(worker: &Worker, name: &str, config: &Value) -> Result<Reply> {
    worker
        .rest()
        .post("/connectors", &json!({ "name": name, "config": config }))
        .await
}

/// The trace of a task that has failed. No secret of the configuration is in it, nor in the log.
async fn failure(worker: &Worker, name: &str) -> Result<String> {
    let task = worker.rest().wait_task_state(name, 0, "FAILED").await?;
    secrets_are_kept(worker, &["secret-of-the-source", "secret-of-the-sink"])?;
    let trace = task["trace"].as_str().context("a trace")?.to_owned();
    ensure!(!trace.contains("secret-of"), "{trace}");
    Ok(trace)
}

fn secrets_are_kept(worker: &Worker, secrets: &[&str]) -> Result<()> {
    let log = worker.log()?;
    let told = secrets.iter().find(|secret| log.contains(**secret));
    ensure!(told.is_none(), "the log has {told:?}:\n{log}");
    Ok(())
}

async fn wait_logged(worker: &Worker, part: &str) -> Result<String> {
    let found = wait_until(PATIENCE, &format!("the log says '{part}'"), async || {
        let log = without_escapes(&worker.log()?);
        Ok(log
            .lines()
            .find(|line| line.contains(part))
            .map(str::to_owned))
    })
    .await;
    found.with_context(|| without_escapes(&worker.log().unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_reached_is_refused_by_address() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "nobody", SCHEMA).await?;
    let worker = ground.start().await?;
    let port = free_port().to_string();
    let reply = post(
        &worker,
        "source",
        &changed(&ground.source(&["item"]), &[("database.port", &port)]),
    )
    .await?;
    says(
        refusal(&reply)?,
        &[
            &format!("127.0.0.1:{port}"),
            "database.hostname",
            "database.port",
            "refused",
        ],
    )?;
    let reply = post(
        &worker,
        "source",
        &changed(&ground.source(&["item"]), &[("database.dbname", "nowhere")]),
    )
    .await?;
    says(
        refusal(&reply)?,
        &["nowhere", "database.dbname", "does not exist"],
    )?;
    let url = format!("jdbc:postgresql://127.0.0.1:{port}/postgres");
    let sink = changed(
        &ground.sink(&["item"]),
        &[
            ("connection.url", &url),
            ("connection.attempts", "2"),
            ("connection.backoff.ms", "10"),
        ],
    );
    let reply = post(&worker, "sink", &sink).await?;
    let message = if reply.status.is_success() {
        // Accepted: then the first record meets the refusal.
        ground
            .create(&worker, "source", &ground.source(&["item"]))
            .await?;
        failure(&worker, "sink").await?
    } else {
        refusal(&reply)?.to_owned()
    };
    says(
        &message,
        &[
            &format!("127.0.0.1:{port}"),
            "refused",
            "Check that the hostname and port are correct",
        ],
    )?;
    secrets_are_kept(&worker, &["secret-of-the-source", "secret-of-the-sink"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused_and_told_to_nobody() -> Result<()> {
    let postgres = Postgres::start().await?;
    let ground = Ground::on(&postgres, LogKind::Embedded, "password", SCHEMA).await?;
    let role = "CREATE ROLE capture LOGIN SUPERUSER REPLICATION PASSWORD 'the-right-secret'";
    ground.sql.batch_execute(role).await?;
    let rules = "host all capture 127.0.0.1/32 scram-sha-256\nhost replication capture 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    postgres.write_data_file("pg_hba.conf", rules).await?;
    ground.sql.batch_execute("SELECT pg_reload_conf()").await?;
    let worker = ground.start().await?;
    let wrong = changed(
        &ground.source(&["item"]),
        &[
            ("database.user", "capture"),
            ("database.password", "a-wrong-secret"),
        ],
    );
    // The server reads its rules in its own time.
    let message = wait_until(PATIENCE, "the wrong password is refused", async || {
        let reply = worker
            .rest()
            .put(
                "/connector-plugins/PostgresConnector/config/validate",
                &changed(&wrong, &[("name", "source")]),
            )
            .await?
            .success()?;
        let text = reply.to_string();
        ensure!(!reply["configs"].to_string().contains("the-right-secret"));
        Ok(text
            .contains("password authentication failed")
            .then_some(text))
    })
    .await?;
    says(&message, &["database.password", "capture"])?;
    let reply = post(&worker, "source", &wrong).await?;
    let message = refusal(&reply)?;
    says(
        message,
        &[
            "'capture'",
            "database.password",
            "password authentication failed",
        ],
    )?;
    ensure!(!message.contains("a-wrong-secret"), "{message}");

    // It was right, then it was changed: the next connection fails for good.
    ground
        .create(
            &worker,
            "source",
            &changed(&wrong, &[("database.password", "the-right-secret")]),
        )
        .await?;
    ground.wait_streaming().await?;
    ground.sql.batch_execute("ALTER ROLE capture PASSWORD 'a-new-secret'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'capture'").await?;
    let trace = failure(&worker, "source").await?;
    says(
        &trace,
        &[
            "'capture'",
            "database.password",
            "password authentication failed",
        ],
    )?;
    ensure!(!trace.contains("-secret"), "{trace}");
    for path in ["/connectors?expand=status", "/connectors/source/status"] {
        let body = worker.rest().get(path).await?.success()?.to_string();
        ensure!(!body.contains("the-right-secret"), "{body}");
    }
    secrets_are_kept(
        &worker,
        &["a-wrong-secret", "the-right-secret", "a-new-secret"],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_logical_decoding_is_named() -> Result<()> {
    let options = PostgresOptions {
        settings: vec![("wal_level".to_owned(), "replica".to_owned())],
        ..PostgresOptions::default()
    };
    let postgres = Postgres::start_with(options).await?;
    let ground = Ground::on(&postgres, LogKind::Embedded, "level", SCHEMA).await?;
    let worker = ground.start().await?;
    let reply = post(&worker, "source", &ground.source(&["item"])).await?;
    let message = if reply.status.is_success() {
        failure(&worker, "source").await?
    } else {
        refusal(&reply)?.to_owned()
    };
    says(
        &message,
        &["wal_level", "'logical'", "'replica'", "restart the server"],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_rights_are_named_with_the_grant_that_helps() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "rights", SCHEMA).await?;
    let (reader, plain) = (unique("reader"), unique("plain"));
    ground.sql.batch_execute(&format!("CREATE ROLE {reader} LOGIN REPLICATION; CREATE ROLE {plain} LOGIN; CREATE PUBLICATION ready FOR TABLE item")).await?;
    let worker = ground.start().await?;
    worker
        .rest()
        .create_connector(
            "publication",
            &changed(&ground.source(&["item"]), &[("database.user", &reader)]),
        )
        .await?;
    says(
        &failure(&worker, "publication").await?,
        &[
            &reader,
            "CREATE PUBLICATION",
            "publication.autocreate.mode=disabled",
            "owner",
        ],
    )?;
    let own = [
        ("database.user", &*plain),
        ("publication.name", "ready"),
        ("publication.autocreate.mode", "disabled"),
        ("topic.prefix", "plain"),
    ];
    worker
        .rest()
        .create_connector("replication", &changed(&ground.source(&["item"]), &own))
        .await?;
    says(
        &failure(&worker, "replication").await?,
        &[&plain, "REPLICATION", "ALTER ROLE"],
    )?;
    let missing = [
        ("publication.name", "not_there"),
        ("publication.autocreate.mode", "disabled"),
        ("topic.prefix", "missing"),
    ];
    worker
        .rest()
        .create_connector("missing", &changed(&ground.source(&["item"]), &missing))
        .await?;
    says(
        &failure(&worker, "missing").await?,
        &["not_there", "does not exist", "create one"],
    )?;
    // Nothing is left behind that somebody would have to clean up.
    let slots: i64 = ground
        .sql
        .query_one(
            "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()",
            &[],
        )
        .await?
        .get(0);
    ensure!(slots == 0, "{slots} slots were made");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_has_one_user() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "slot", SCHEMA).await?;
    let worker = ground.start().await?;
    ground
        .create(&worker, "first", &ground.source(&["item"]))
        .await?;
    ground.wait_streaming().await?;
    let second = changed(
        &ground.source(&["item"]),
        &[
            ("topic.prefix", "second"),
            ("slot.max.retries", "2"),
            ("slot.retry.delay.ms", "20"),
        ],
    );
    worker.rest().create_connector("second", &second).await?;
    says(
        &failure(&worker, "second").await?,
        &[&ground.id, "in use", "distinct replication slot name"],
    )?;
    ground
        .sql
        .batch_execute("INSERT INTO item VALUES (2, 'two')")
        .await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["item"])).await?;
    capture
        .read_until("the first goes on", |events| events.len() == 2)
        .await?;
    worker
        .rest()
        .wait_connector_state("first", "RUNNING", 1)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_match_nothing_are_warned_about() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "filter", SCHEMA).await?;
    let worker = ground.start().await?;
    let config = changed(
        &ground.source(&["later"]),
        &[
            ("publication.autocreate.mode", "all_tables"),
            ("table.includ.list", "x"),
        ],
    );
    ground.create(&worker, "source", &config).await?;
    wait_logged(&worker, "no table matches table.include.list").await?;
    // A misspelt key is named with the one that was meant.
    says(
        &wait_logged(&worker, "table.includ.list").await?,
        &["table.include.list'?"],
    )?;
    ground.wait_streaming().await?;
    ground
        .sql
        .batch_execute("CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1)")
        .await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["later"])).await?;
    capture
        .read_until("a table that comes later is captured", |events| {
            events.len() == 1
        })
        .await?;
    worker
        .rest()
        .wait_connector_state("source", "RUNNING", 1)
        .await?;
    // A publication of no tables cannot be made.
    let filtered = changed(
        &ground.source(&["never"]),
        &[
            ("topic.prefix", "never"),
            ("slot.name", &unique("never")),
            ("publication.name", "never"),
        ],
    );
    worker
        .rest()
        .create_connector("filtered", &filtered)
        .await?;
    says(
        &failure(&worker, "filtered").await?,
        &["No table filters found for filtered publication never"],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_make_no_sense_are_answered() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "request", SCHEMA).await?;
    let worker = ground.start().await?;
    let reply = post(
        &worker,
        "x",
        &changed(
            &ground.source(&["item"]),
            &[("connector.class", "com.example.Nothing")],
        ),
    )
    .await?;
    ensure!(
        reply.status.is_client_error() || reply.status.is_server_error(),
        "{reply:?}"
    );
    let message = reply.body["message"].as_str().context("a message")?;
    says(
        message,
        &[
            "com.example.Nothing",
            "available connectors are",
            "PostgresConnector",
            "JdbcSinkConnector",
        ],
    )?;
    ensure!(!message.contains("secret-of"), "{message}");
    for body in ["{", "[]", r#"{"name": "x", "config": {"a": {"b": 1}}}"#, ""] {
        let reply = worker
            .rest()
            .send("POST".parse()?, "/connectors", Some(body.to_owned()))
            .await?;
        ensure!(reply.status.as_u16() >= 400, "{body}: {reply:?}");
        ensure!(
            reply.body["error_code"] == reply.status.as_u16()
                && reply.body["message"]
                    .as_str()
                    .is_some_and(|m| !m.is_empty()),
            "{body}: {reply:?}"
        );
    }
    // All that is wrong at once, each with its key.
    let wrong = [
        ("database.port", "many"),
        ("snapshot.mode", "sometimes"),
        ("topic.prefix", ""),
    ];
    let reply = post(&worker, "x", &changed(&ground.source(&["item"]), &wrong)).await?;
    says(
        refusal(&reply)?,
        &[
            "'database.port' value is invalid",
            "'snapshot.mode' value is invalid",
            "initial_only",
            "'topic.prefix' value is invalid",
        ],
    )?;
    let list = worker.rest().get("/connectors").await?.success()?;
    ensure!(list == json!([]), "{list}");
    secrets_are_kept(&worker, &["secret-of-the-source"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_has_one_worker() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "two", SCHEMA).await?;
    let worker = ground.start().await?;
    let (status, log) = Worker::expect_refusal(ground.worker()).await?;
    ensure!(!status.success(), "{status}");
    let pid = worker.pid().context("it runs")?.to_string();
    says(
        &without_escapes(&log),
        &["in use by another worker", &pid, "log.dir"],
    )?;
    ensure!(worker.rest().get("/").await?.status.is_success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_worker_properties_are_all_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let embedded = || {
        WorkerOptions::on_embedded_log(dir.path())
            .set("key.converter", "K")
            .set("value.converter", "V")
    };
    let refused = async |options: WorkerOptions, parts: &[&str]| {
        let (status, log) = Worker::expect_refusal(options).await?;
        ensure!(!status.success(), "{status}: {log}");
        says(&without_escapes(&log), parts)
    };
    let wrong = WorkerOptions::on_embedded_log(dir.path())
        .set("offset.flush.interval.ms", "soon")
        .set("offset.storage.partitions", "some");
    refused(
        wrong,
        &[
            "key.converter",
            "value.converter",
            "offset.flush.interval.ms",
            "soon",
            "offset.storage.partitions",
        ],
    )
    .await?;
    refused(
        embedded()
            .set("log.durability", "maybe")
            .set("log.max.bytes", "1k"),
        &[
            "log.durability=maybe",
            "fsync",
            "process",
            "log.max.bytes=1k",
        ],
    )
    .await?;
    refused(
        embedded().set("bootstrap.servers", "127.0.0.1:1"),
        &["bootstrap.servers", "log.dir", "remove one"],
    )
    .await?;
    refused(
        WorkerOptions::default()
            .set("key.converter", "K")
            .set("value.converter", "V"),
        &["bootstrap.servers", "log.dir"],
    )
    .await?;
    refused(
        embedded().set("listeners", "ftp://x"),
        &["listeners", "ftp://x"],
    )
    .await?;
    // One that is only misspelt does not stop the worker.
    let ground = Ground::new(LogKind::Embedded, "misspelt", SCHEMA).await?;
    let worker = ground
        .start_with(ground.worker().set("ofset.flush.interval.ms", "1000"))
        .await?;
    says(
        &wait_logged(&worker, "ofset.flush.interval.ms").await?,
        &["offset.flush.interval.ms'?"],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_is_waited_for() -> Result<()> {
    let ground = Ground::new(LogKind::Embedded, "full", SCHEMA).await?;
    let mut worker = ground
        .start_with(ground.worker().set("log.max.bytes", "2000000"))
        .await?;
    ground
        .create(&worker, "source", &ground.source(&["item"]))
        .await?;
    ground.wait_streaming().await?;
    // Texts that do not shrink when they are compressed.
    let texts = "SELECT n, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 60) WHERE n > 0) FROM generate_series(2, 2001) AS n";
    ground
        .sql
        .batch_execute(&format!("INSERT INTO item {texts}"))
        .await?;
    says(
        &wait_logged(&worker, "is full").await?,
        &["log.max.bytes", "free space"],
    )?;
    worker
        .rest()
        .wait_connector_state("source", "RUNNING", 1)
        .await?;
    worker.terminate().await?;
    worker.set_property("log.max.bytes", None);
    worker.start_again().await?;
    let mut capture = Capture::open(ground.log().await?, &ground.topics(&["item"])).await?;
    capture
        .read_until("all rows have arrived", |events| events.len() >= 2001)
        .await?;
    capture.catch_up().await?;
    let ids: Vec<i64> = capture
        .events
        .iter()
        .filter_map(|event| event.key["id"].as_i64())
        .collect();
    ensure!(
        ids == (1..=2001).collect::<Vec<i64>>(),
        "{} records",
        ids.len()
    );
    worker
        .rest()
        .wait_connector_state("source", "RUNNING", 1)
        .await?;
    Ok(())
}
