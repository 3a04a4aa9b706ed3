//! Draining a slot: `pg_recvlogical`, then the worker into nothing and into Kafka.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use millrace_testkit::{Kafka, Postgres, Worker, WorkerOptions};

use crate::figures::{Figures, Must};
use crate::processes::{Run, run, start_worker, wait_counter};
use crate::table::BenchTable;

const WRITTEN: &str = "kafka_connect_source_task_source_record_write_total";

/// How long `pg_recvlogical` needs for all changes, to /dev/null.
pub(crate) async fn pg_recvlogical(
    postgres: &Postgres,
    table: &BenchTable,
    slot: &str,
) -> Result<Run> {
    let server = postgres.usage()?;
    let floor = run(
        "pg_recvlogical",
        &[
            "--dbname",
            &table.database.url,
            "--slot",
            slot,
            "--start",
            "--no-loop",
            "--endpos",
            &table.end_lsn,
            "--option",
            "proto_version=1",
            "--option",
            "publication_names=bench",
            "--file",
            "/dev/null",
        ],
    )
    .await?;
    let walsender = (postgres.usage()? - server).cpu_seconds;
    println!(
        "pg_recvlogical: {:.2} s, {:.2} CPU s, walsender {walsender:.2} CPU s",
        floor.wall, floor.cpu
    );
    Ok(floor)
}

pub(crate) async fn into_null(
    postgres: &Postgres,
    table: &BenchTable,
    before: Run,
    figures: &mut Figures,
) -> Result<()> {
    let worker = start_worker(WorkerOptions::on_null_log()).await?;
    let run = drain(&worker, postgres, table, "nowhere", |_| {}).await?;
    println!("into nothing: {}", run.text);
    // Before and after: two runs of the same program differ by a fifth here.
    let after = pg_recvlogical(postgres, table, "floor_again").await?;
    let floor = (before.wall + after.wall) / 2.0;
    figures.add(
        "draining 200 B changes through envelope and JSON into nothing ÷ pg_recvlogical",
        floor / run.wall,
        "",
        Must::AtLeast(0.9),
    );
    figures.add(
        "peak RSS of that worker",
        worker.peak_rss()? as f64 / 1e6,
        "MB",
        Must::AtMost(100.0),
    );
    Ok(())
}

pub(crate) async fn into_kafka(
    postgres: &Postgres,
    table: &BenchTable,
    kafka: &Kafka,
    floor: Run,
    figures: &mut Figures,
) -> Result<()> {
    let worker = start_worker(WorkerOptions::on_kafka(&kafka.bootstrap())).await?;
    let broker = kafka.usage().await?;
    let run = drain(&worker, postgres, table, "kafka", |_| {}).await?;
    let broker = (kafka.usage().await? - broker).cpu_seconds;
    println!(
        "into Kafka: {}, broker {broker:.2} CPU s; busiest: {}",
        run.text,
        busiest(
            &[
                ("worker", run.cpu),
                ("walsender", run.server_cpu),
                ("broker", broker)
            ],
            run.wall
        )
    );
    let per_change = |cpu: f64| cpu * 1e6 / table.rows as f64;
    figures.add(
        "the same into Kafka on the same cores ÷ pg_recvlogical",
        floor.wall / run.wall,
        "",
        Must::AtLeast(0.45),
    );
    figures.add(
        "worker CPU per change into Kafka, JSON without schemas",
        per_change(run.cpu),
        "µs",
        Must::AtMost(6.0),
    );
    figures.add(
        "broker CPU per change",
        per_change(broker),
        "µs",
        Must::AtMost(6.0),
    );
    figures.add(
        "peak RSS of that worker",
        worker.peak_rss()? as f64 / 1e6,
        "MB",
        Must::AtMost(100.0),
    );
    drop(worker);
    let registry = format!("http://127.0.0.1:{}", millrace_testkit::free_port());
    let worker = start_worker(
        WorkerOptions::on_kafka(&kafka.bootstrap()).set("schema.registry.listeners", &registry),
    )
    .await?;
    let avro = drain(&worker, postgres, table, "avro", |config| {
        for role in ["key", "value"] {
            config[format!("{role}.converter")] = "io.confluent.connect.avro.AvroConverter".into();
            config[format!("{role}.converter.schema.registry.url")] = registry.clone().into();
        }
    })
    .await?;
    println!("into Kafka as Avro: {}", avro.text);
    figures.add(
        "worker CPU per change with the Avro converter ÷ JSON without schemas",
        avro.cpu / run.cpu,
        "",
        Must::AtMost(1.0),
    );
    Ok(())
}

struct Drained {
    wall: f64,
    cpu: f64,
    server_cpu: f64,
    text: String,
}

async fn drain(
    worker: &Worker,
    postgres: &Postgres,
    table: &BenchTable,
    slot: &str,
    change: impl FnOnce(&mut Value),
) -> Result<Drained> {
    let (before, server) = (worker.cpu_seconds()?, postgres.usage()?);
    let started = Instant::now();
    let mut config = table.source(slot, "no_data");
    change(&mut config);
    worker.rest().create_connector(slot, &config).await?;
    wait_counter(worker, WRITTEN, slot, table.rows, Duration::from_secs(300)).await?;
    let wall = started.elapsed().as_secs_f64();
    let cpu = worker.cpu_seconds()? - before;
    let server_cpu = (postgres.usage()? - server).cpu_seconds;
    // The next worker on the same Kafka would go on with it.
    worker.rest().delete(&format!("/connectors/{slot}")).await?;
    let text = format!(
        "{wall:.2} s ({:.0} changes/s), worker {cpu:.2} CPU s, walsender {server_cpu:.2} CPU s",
        table.rows as f64 / wall
    );
    Ok(Drained {
        wall,
        cpu,
        server_cpu,
        text,
    })
}

fn busiest(processes: &[(&str, f64)], wall: f64) -> String {
    let (name, cpu) = processes
        .iter()
        .copied()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or(("none", 0.0));
    format!("{name} at {:.0} % of a core", cpu * 100.0 / wall)
}
