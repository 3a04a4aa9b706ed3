//! `_schemas` topics as one finds them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_log::{Log, NewTopic, ProducerOptions, RecordBatch};
use millrace_testkit::{Kafka, Worker, unique, wait_until};
use serde_json::json;

use super::{node, record, register, wait_writable};

async fn topic(
    kafka: &Kafka,
    name: &str,
    partitions: i32,
    settings: &[(&str, &str)],
    records: &[(Option<&str>, Option<&str>)],
) -> Result<()> {
    let log = KafkaLog::connect(KafkaOptions {
        properties: vec![("bootstrap.servers".to_owned(), kafka.bootstrap())],
    })
    .await?;
    log.admin()
        .create_topic(&NewTopic {
            name: name.to_owned(),
            partitions,
            replication_factor: 1,
            settings: settings
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        })
        .await?;
    let mut producer = log
        .producer(ProducerOptions {
            client_id: "test".to_owned(),
            settings: Vec::new(),
        })
        .await?;
    let mut batch = RecordBatch::new();
    let index = batch.topic(name);
    for (key, value) in records {
        batch.append(
            index,
            0,
            -1,
            key.map(str::as_bytes),
            value.map(str::as_bytes),
        );
    }
    let mut sent = 0;
    while sent < batch.len() {
        sent += producer.send(&batch, sent)?;
        producer.wait(Duration::from_millis(50)).await;
    }
    producer.flush(Duration::from_secs(30)).await?;
    log.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_gaps_and_foreign_records_do_not_keep_a_registry_from_starting() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let id = unique("garbage");
    let records = [
        // No key takes part in compaction, so a compacted topic holds none; everything else may be there.
        (Some("not json"), Some("not json either")),
        (
            Some(r#"{"keytype":"SCHEMA","subject":"gone","version":4,"magic":1}"#),
            None,
        ),
        (
            Some(r#"{"keytype":"DELETE_SUBJECT","subject":"never-there","magic":0}"#),
            Some(r#"{"subject":"never-there","version":3}"#),
        ),
        (Some(r#"{"keytype":"SOMETHING","magic":0}"#), Some("{}")),
        (
            Some(r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":9}"#),
            Some("{}"),
        ),
        (
            Some(r#"{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}"#),
            Some("{bad"),
        ),
        (
            Some(r#"{"keytype":"SCHEMA","subject":"kept","version":7,"magic":1}"#),
            Some(r#"{"subject":"kept","version":7,"id":41,"schema":"\"string\"","deleted":true}"#),
        ),
        (
            Some(r#"{"keytype":"SCHEMA","subject":"kept","version":3,"magic":1}"#),
            Some(
                r#"{"subject":"kept","version":3,"id":40,"schema":"\"int\"","deleted":false,"more":1}"#,
            ),
        ),
        // The same id for another text: ignored.
        (
            Some(r#"{"keytype":"SCHEMA","subject":"thief","version":1,"magic":1}"#),
            Some(r#"{"subject":"thief","version":1,"id":40,"schema":"\"long\"","deleted":false}"#),
        ),
        (
            Some(r#"{"keytype":"CONFIG","subject":null,"magic":0}"#),
            Some(r#"{"compatibilityLevel":"NONE"}"#),
        ),
        (Some(r#"{"keytype":"NOOP","magic":0}"#), None),
    ];
    topic(
        kafka,
        &format!("{id}-schemas"),
        1,
        &[("cleanup.policy", "compact")],
        &records,
    )
    .await?;
    let worker = Worker::start(node(&kafka.bootstrap(), &id)).await?;
    let get = async |path: &str| worker.rest().get(path).await?.success();
    ensure!(get("/subjects/kept/versions").await? == json!([3]));
    ensure!(get("/subjects/kept/versions?deleted=true").await? == json!([3, 7]));
    ensure!(get("/schemas/ids/40").await?["schema"] == "\"int\"");
    ensure!(get("/config").await?["compatibilityLevel"] == "NONE");
    let next = wait_until(
        millrace_e2e::PATIENCE,
        "a registration goes through",
        async || Ok(register(worker.rest(), "kept", "\"bytes\"").await.ok()),
    )
    .await?;
    ensure!(next["version"] == 8, "{next}");
    ensure!(next["id"].as_i64().context("an id")? > 41, "{next}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_would_lose_schemas_is_refused_by_name() -> Result<()> {
    let kafka = Kafka::shared().await?;
    for (name, partitions, policy, says) in [
        ("delete", 1, "delete", "compact"),
        ("both", 1, "compact,delete", "compact"),
        ("wide", 3, "compact", "partition"),
    ] {
        let id = unique(name);
        let topic_name = format!("{id}-schemas");
        topic(
            kafka,
            &topic_name,
            partitions,
            &[("cleanup.policy", policy)],
            &[],
        )
        .await?;
        let (status, log) = Worker::expect_refusal(node(&kafka.bootstrap(), &id)).await?;
        ensure!(!status.success(), "{status}");
        ensure!(
            log.contains(&topic_name) && log.contains(says),
            "the refusal names neither topic nor what is wrong: {log}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_after_compaction_is_read_back_equal() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let id = unique("compaction");
    let topic_name = format!("{id}-schemas");
    // Segments that close at once and are cleaned at once.
    topic(
        kafka,
        &topic_name,
        1,
        &[
            ("cleanup.policy", "compact"),
            ("segment.ms", "100"),
            ("min.cleanable.dirty.ratio", "0.001"),
            ("delete.retention.ms", "0"),
            ("min.compaction.lag.ms", "0"),
        ],
        &[],
    )
    .await?;
    let mut worker = Worker::start(node(&kafka.bootstrap(), &id)).await?;
    wait_writable(&worker, "ready").await?;
    let client = worker.rest().clone();
    for i in 0..6 {
        register(&client, "evolving", &record("R", &format!("f{i}"))).await?;
    }
    client
        .put("/config/evolving", &json!({"compatibility": "FULL"}))
        .await?
        .success()?;
    client
        .put("/config/evolving", &json!({"compatibility": "NONE"}))
        .await?
        .success()?;
    client
        .delete("/subjects/evolving/versions/2")
        .await?
        .success()?;
    client
        .delete("/subjects/evolving/versions/3")
        .await?
        .success()?;
    client
        .delete("/subjects/evolving/versions/3?permanent=true")
        .await?
        .success()?;
    register(&client, "dropped", &record("D", "x")).await?;
    client.delete("/subjects/dropped").await?.success()?;
    register(&client, "erased", &record("E", "x")).await?;
    client.delete("/subjects/erased").await?.success()?;
    client
        .delete("/subjects/erased?permanent=true")
        .await?
        .success()?;
    client
        .put("/mode/dropped", &json!({"mode": "READONLY"}))
        .await?
        .success()?;
    let everything =
        async |client: &millrace_testkit::RestClient| -> Result<Vec<serde_json::Value>> {
            let mut all = Vec::new();
            for path in [
                "/schemas?deleted=true",
                "/subjects?deleted=true",
                "/subjects/evolving/versions?deleted=true",
                "/config",
                "/config/evolving",
                "/mode/dropped",
                "/schemas/ids/3",
                "/schemas/ids/4/subjects?deleted=true",
            ] {
                let reply = client.get(path).await?;
                all.push(json!([path, reply.status.as_u16(), reply.body]));
            }
            Ok(all)
        };
    let told = everything(&client).await?;

    // New segments come with new records; the cleaner has run when fewer records are read than were written.
    let log = KafkaLog::connect(KafkaOptions {
        properties: vec![("bootstrap.servers".to_owned(), kafka.bootstrap())],
    })
    .await?;
    let mut round = 0;
    wait_until(
        millrace_e2e::PATIENCE,
        "the topic is compacted",
        async || {
            round += 1;
            let level = if round % 2 == 0 { "FULL" } else { "NONE" };
            client
                .put("/config/turning", &json!({"compatibility": level}))
                .await?
                .success()?;
            let mut reader = log
                .reader(millrace_log::ReaderOptions {
                    client_id: "test".to_owned(),
                    from: vec![(millrace_log::TopicPartition::new(&*topic_name, 0), -2)],
                    settings: Vec::new(),
                })
                .await?;
            let mut evolving = 0;
            loop {
                let batch = reader.next(Duration::from_millis(300)).await?;
                if batch.records.is_empty() {
                    break;
                }
                evolving += batch
                    .records
                    .iter()
                    .filter(|r| {
                        batch.key(r).is_some_and(|key| {
                            key.starts_with(br#"{"keytype":"CONFIG","subject":"evolving""#)
                        })
                    })
                    .count();
            }
            Ok((evolving == 1).then_some(()))
        },
    )
    .await?;
    log.close().await?;
    worker.restart().await?;
    let read = everything(worker.rest()).await?;
    ensure!(told == read, "before {told:?}\nafter {read:?}");
    Ok(())
}
