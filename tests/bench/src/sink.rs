//! From a topic into a PostgreSQL table by upsert.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_log::{Log, NewTopic, ProducerOptions, RecordBatch};
use millrace_testkit::{Kafka, Postgres, WorkerOptions};
use serde_json::json;

use crate::figures::{Figures, Must};
use crate::processes::{start_worker, wait_counter};

const TOPIC: &str = "order_lines";
const KEY_SCHEMA: &str = r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"}],"optional":false,"name":"Key"}"#;
const VALUE_SCHEMA: &str = r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"},{"type":"int32","optional":false,"field":"customer"},{"type":"int32","optional":true,"field":"amount"},{"type":"int64","optional":false,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"placed"},{"type":"string","optional":false,"field":"note"}],"optional":false,"name":"Value"}"#;

pub(crate) async fn measure(kafka: &Kafka, rows: u64, figures: &mut Figures) -> Result<()> {
    println!("filling a topic with {rows} records");
    fill(kafka, rows).await?;
    let postgres = Postgres::start().await?;
    let database = postgres.create_database("sink").await?;
    let worker = start_worker(WorkerOptions::on_kafka(&kafka.bootstrap())).await?;
    let (before, server) = (worker.cpu_seconds()?, postgres.usage()?);
    let started = Instant::now();
    worker
        .rest()
        .create_connector(
            "sink",
            &json!({
                "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
                "topics": TOPIC,
                "connection.url": format!("jdbc:postgresql://{}:{}/{}", database.host, database.port, database.name),
                "connection.user": "postgres",
                "insert.mode": "upsert",
                "pk.mode": "record_key",
                "auto.create": "true",
                "key.converter": "org.apache.kafka.connect.json.JsonConverter",
                "value.converter": "org.apache.kafka.connect.json.JsonConverter"
            }),
        )
        .await?;
    wait_counter(
        &worker,
        "kafka_connect_sink_task_sink_record_send_total",
        "sink",
        rows,
        Duration::from_secs(300),
    )
    .await?;
    let wall = started.elapsed().as_secs_f64();
    let cpu = worker.cpu_seconds()? - before;
    let server = (postgres.usage()? - server).cpu_seconds;
    let found: i64 = database
        .connect()
        .await?
        .query_one(&format!("SELECT count(*) FROM {TOPIC}"), &[])
        .await?
        .get(0);
    if found as u64 != rows {
        bail!("{found} rows in the table, not {rows}");
    }
    println!(
        "sink: {wall:.2} s ({:.0} rows/s), worker {cpu:.2} CPU s, PostgreSQL {server:.2} CPU s, peak RSS {:.0} MB",
        rows as f64 / wall,
        worker.peak_rss()? as f64 / 1e6
    );
    figures.add(
        "topic → PostgreSQL upsert",
        rows as f64 / wall,
        "row/s",
        Must::AtLeast(40_000.0),
    );
    figures.add(
        "worker CPU per upserted row (fetch, JSON with schema, SQL)",
        cpu * 1e6 / rows as f64,
        "µs",
        Must::AtMost(5.0),
    );
    Ok(())
}

async fn fill(kafka: &Kafka, rows: u64) -> Result<()> {
    let log = KafkaLog::connect(KafkaOptions {
        properties: vec![("bootstrap.servers".to_owned(), kafka.bootstrap())],
    })
    .await?;
    log.admin()
        .create_topic(&NewTopic {
            name: TOPIC.to_owned(),
            partitions: 1,
            replication_factor: 1,
            settings: Vec::new(),
        })
        .await?;
    let mut producer = log
        .producer(ProducerOptions {
            client_id: "bench".to_owned(),
            settings: Vec::new(),
        })
        .await?;
    let mut batch = RecordBatch::new();
    let topic = batch.topic(TOPIC);
    let mut deliveries = Vec::new();
    let mut next = 0;
    while next < rows {
        batch.clear();
        for i in next..(next + 2_000).min(rows) {
            let key = format!(r#"{{"schema":{KEY_SCHEMA},"payload":{{"id":{i}}}}}"#);
            let note = format!(
                "{:0>32}{}",
                i.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                "abcdefghij".repeat(11)
            );
            let value = format!(
                r#"{{"schema":{VALUE_SCHEMA},"payload":{{"id":{i},"customer":{},"amount":{},"placed":{},"note":"{note}"}}}}"#,
                i % 10_007,
                i * 37 % 100_000,
                1_767_225_600_000 + i * 1_000
            );
            batch.append(topic, -1, -1, Some(key.as_bytes()), Some(value.as_bytes()));
        }
        let mut sent = 0;
        while sent < batch.len() {
            sent += producer.send(&batch, sent)?;
            deliveries.clear();
            producer.deliveries(&mut deliveries);
            if sent < batch.len() {
                producer.wait(Duration::from_millis(50)).await;
            }
        }
        next += batch.len() as u64;
    }
    producer.flush(Duration::from_secs(60)).await?;
    log.close().await?;
    Ok(())
}
