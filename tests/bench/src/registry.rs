//! The schema registry: reads, registrations, memory and start, beside Apicurio where it runs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_log::{Log, NewTopic, ProducerOptions, RecordBatch};
use millrace_testkit::{APICURIO_API, Apicurio, Kafka, Worker, WorkerOptions, unique};
use serde_json::json;

use crate::figures::{Figures, Must};
use crate::load::{get, load, port_of, post};

const READ_FOR: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 16;
const SCHEMAS: u32 = 50_000;
const VERSIONS: u32 = 5_000;

pub(crate) async fn measure(kafka: &Kafka, figures: &mut Figures) -> Result<()> {
    let idle = start(kafka, &unique("idle"), None).await?;
    figures.add(
        "registry: RSS when idle",
        idle.usage()?.rss as f64 / 1e6,
        "MB",
        Must::AtMost(25.0),
    );
    drop(idle);
    reads(kafka, figures).await?;
    registrations(kafka, figures).await?;
    many(kafka, figures).await?;
    versions(kafka, figures).await
}

async fn start(kafka: &Kafka, topic: &str, cpus: Option<&str>) -> Result<Worker> {
    let mut options = WorkerOptions::registry_on_kafka(&kafka.bootstrap())
        .set("kafkastore.topic", topic)
        .set("schema.registry.group.id", topic);
    if let Some(cpus) = cpus {
        options = options.cpus(cpus);
    }
    Worker::start(options).await
}

/// A schema of a table's row, about 1 KB.
fn schema(number: u32) -> String {
    let mut fields: Vec<String> = (0..12)
        .map(|i| format!(r#"{{"name":"column_{i}","type":["null","string"],"default":null}}"#))
        .collect();
    fields.push(format!(
        r#"{{"name":"own_{number}","type":["null",{{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}}],"default":null}}"#
    ));
    format!(
        r#"{{"type":"record","name":"Value","namespace":"db.public.table_{number}","fields":[{}]}}"#,
        fields.join(",")
    )
}

async fn reads(kafka: &Kafka, figures: &mut Figures) -> Result<()> {
    let topic = unique("reads");
    let worker = start(kafka, &topic, Some("0")).await?;
    let body = json!({"schema": schema(1)});
    worker
        .rest()
        .post("/subjects/reads-value/versions", &body)
        .await?
        .success()?;
    let port = port_of(worker.rest_url())?;
    let request = get("/schemas/ids/1");
    let warm = request.clone();
    load(port, CONNECTIONS, Duration::from_secs(1), move |_, _| {
        Some(warm.clone())
    })
    .await?;
    let before = worker.cpu_seconds()?;
    let ours = load(port, CONNECTIONS, READ_FOR, move |_, _| {
        Some(request.clone())
    })
    .await?;
    let cpu = worker.cpu_seconds()? - before;
    let ours_per_cpu = ours.requests as f64 / cpu;
    println!(
        "GET /schemas/ids/1, registry on one core: {:.0} req/s, {:.1} µs CPU each, p50 {:.2} ms, p99 {:.2} ms",
        ours.per_second(),
        1e6 / ours_per_cpu,
        ours.percentile(0.5),
        ours.percentile(0.99)
    );
    figures.add(
        "GET /schemas/ids/{id}, one core, 16 connections",
        ours.per_second(),
        "req/s",
        Must::AtLeast(40_000.0),
    );
    figures.add(
        "p99 of them",
        ours.percentile(0.99),
        "ms",
        Must::AtMost(2.0),
    );
    drop(worker);

    let apicurio = match Apicurio::start().await {
        Ok(apicurio) => apicurio,
        Err(error) => {
            println!("Apicurio is not measured beside it: {error:#}");
            return Ok(());
        }
    };
    let answer = apicurio
        .rest()
        .post(
            &format!("{APICURIO_API}/subjects/reads-value/versions"),
            &body,
        )
        .await?
        .success()?;
    let id = answer["id"].as_i64().context("Apicurio tells no id")?;
    let request = get(&format!("{APICURIO_API}/schemas/ids/{id}"));
    let warm = request.clone();
    let warmed = load(apicurio.port(), CONNECTIONS, READ_FOR * 2, move |_, _| {
        Some(warm.clone())
    })
    .await;
    if let Err(error) = warmed {
        println!("Apicurio is not measured beside it: {error:#}");
        return Ok(());
    }
    let before = apicurio.usage()?.cpu_seconds;
    let theirs = load(apicurio.port(), CONNECTIONS, READ_FOR, move |_, _| {
        Some(request.clone())
    })
    .await?;
    let cpu = apicurio.usage()?.cpu_seconds - before;
    let theirs_per_cpu = theirs.requests as f64 / cpu;
    println!(
        "the same from Apicurio on all cores: {:.0} req/s, {:.1} µs CPU each, p99 {:.2} ms, RSS {:.0} MB",
        theirs.per_second(),
        1e6 / theirs_per_cpu,
        theirs.percentile(0.99),
        apicurio.usage()?.rss as f64 / 1e6
    );
    figures.add(
        "requests per CPU second ÷ Apicurio's",
        ours_per_cpu / theirs_per_cpu,
        "",
        Must::AtLeast(5.0),
    );
    Ok(())
}

async fn registrations(kafka: &Kafka, figures: &mut Figures) -> Result<()> {
    let worker = start(kafka, &unique("registrations"), None).await?;
    let port = port_of(worker.rest_url())?;
    let request = |connection: usize, number: u64| {
        let number = number * CONNECTIONS as u64 + connection as u64;
        let body = json!({"schema": schema(number as u32)}).to_string();
        Some(post(
            &format!("/subjects/table-{number}-value/versions"),
            &body,
        ))
    };
    let before = worker.cpu_seconds()?;
    let broker = kafka.usage().await?.cpu_seconds;
    let load = load(port, CONNECTIONS, Duration::from_secs(5), request).await?;
    let cpu = worker.cpu_seconds()? - before;
    let broker = kafka.usage().await?.cpu_seconds - broker;
    println!(
        "registrations: {:.0}/s, registry {:.2} ms CPU each, broker {:.2} ms CPU each, p50 {:.1} ms, p99 {:.1} ms",
        load.per_second(),
        cpu * 1e3 / load.requests as f64,
        broker * 1e3 / load.requests as f64,
        load.percentile(0.5),
        load.percentile(0.99)
    );
    figures.add(
        "registrations of new schemas, 16 clients",
        load.per_second(),
        "/s",
        Must::AtLeast(1_000.0),
    );
    figures.add(
        "registry CPU per registration",
        cpu * 1e3 / load.requests as f64,
        "ms",
        Must::AtMost(0.3),
    );
    Ok(())
}

/// Fills a topic as a registry would have.
async fn fill(
    kafka: &Kafka,
    topic: &str,
    records: impl Iterator<Item = (String, String)>,
) -> Result<()> {
    let log = KafkaLog::connect(KafkaOptions {
        properties: vec![("bootstrap.servers".to_owned(), kafka.bootstrap())],
    })
    .await?;
    log.admin()
        .create_topic(&NewTopic {
            name: topic.to_owned(),
            partitions: 1,
            replication_factor: 1,
            settings: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
        })
        .await?;
    let mut producer = log
        .producer(ProducerOptions {
            client_id: "bench".to_owned(),
            settings: Vec::new(),
        })
        .await?;
    let mut batch = RecordBatch::new();
    let index = batch.topic(topic);
    let mut deliveries = Vec::new();
    for (key, value) in records {
        batch.clear();
        batch.append(index, 0, -1, Some(key.as_bytes()), Some(value.as_bytes()));
        let mut sent = 0;
        while sent < batch.len() {
            sent += producer.send(&batch, sent)?;
            deliveries.clear();
            producer.deliveries(&mut deliveries);
            if sent < batch.len() {
                producer.wait(Duration::from_millis(50)).await;
            }
        }
    }
    producer.flush(Duration::from_secs(60)).await?;
    log.close().await?;
    Ok(())
}

fn record(subject: &str, version: u32, id: u32, text: &str) -> (String, String) {
    (
        format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#),
        json!({"subject": subject, "version": version, "id": id, "schemaType": "AVRO", "schema": text, "deleted": false})
            .to_string(),
    )
}

async fn many(kafka: &Kafka, figures: &mut Figures) -> Result<()> {
    let topic = unique("many");
    let records = (1..=SCHEMAS).map(|i| record(&format!("table-{i}-value"), 1, i, &schema(i)));
    fill(kafka, &topic, records).await?;
    let started = Instant::now();
    let worker = start(kafka, &topic, None).await?;
    let took = started.elapsed();
    let answer = worker
        .rest()
        .get(&format!("/schemas/ids/{SCHEMAS}"))
        .await?
        .success()?;
    anyhow::ensure!(
        answer["schema"].as_str() == Some(&*schema(SCHEMAS)),
        "the last schema is not served: {answer}"
    );
    figures.add(
        format!("start with {SCHEMAS} schemas until it answers"),
        took.as_secs_f64(),
        "s",
        Must::AtMost(2.0),
    );
    // Every schema is asked for once, so that what is kept beside the texts is there.
    let port = port_of(worker.rest_url())?;
    load(
        port,
        CONNECTIONS,
        Duration::from_secs(60),
        |connection, number| {
            let id = number * CONNECTIONS as u64 + connection as u64 + 1;
            (id <= u64::from(SCHEMAS)).then(|| get(&format!("/schemas/ids/{id}")))
        },
    )
    .await?;
    figures.add(
        format!("RSS with {SCHEMAS} schemas of 1 KB, each read once"),
        worker.usage()?.rss as f64 / 1e6,
        "MB",
        Must::AtMost(200.0),
    );
    Ok(())
}

async fn versions(kafka: &Kafka, figures: &mut Figures) -> Result<()> {
    let topic = unique("versions");
    let same_name = |i: u32| schema(i).replace(&format!("table_{i}\""), "t\"");
    let records = (1..=VERSIONS).map(|i| record("deep-value", i, i, &same_name(i)));
    fill(kafka, &topic, records).await?;
    let worker = start(kafka, &topic, None).await?;
    worker
        .rest()
        .put(
            "/config/deep-value",
            &json!({"compatibility": "FULL_TRANSITIVE"}),
        )
        .await?
        .success()?;
    // The first one after the start reads every version; what is asked is what each further one costs.
    let mut times = Vec::new();
    for i in 1..=4 {
        let started = Instant::now();
        let answer = worker
            .rest()
            .post(
                "/subjects/deep-value/versions",
                &json!({"schema": same_name(VERSIONS + i)}),
            )
            .await?
            .success()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(
            answer["version"].as_u64() == Some(u64::from(VERSIONS + i)),
            "not the next version: {answer}"
        );
    }
    println!(
        "registrations under FULL_TRANSITIVE beyond {VERSIONS} versions: {} ms",
        times
            .iter()
            .map(|t| format!("{t:.1}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    figures.add(
        "registration of version 5,001 under FULL_TRANSITIVE, first after a start",
        times[0],
        "ms",
        Must::AtMost(50.0),
    );
    figures.add(
        "registration of the version after it",
        times[1],
        "ms",
        Must::AtMost(50.0),
    );
    Ok(())
}
