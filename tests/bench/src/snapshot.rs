//! A snapshot of the table: beside `psql \copy`, and into Kafka.

use std::time::{Duration, Instant};

use anyhow::Result;
use millrace_testkit::{Kafka, Postgres, Worker, WorkerOptions};

use crate::figures::{Figures, Must};
use crate::processes::{run, start_worker, wait_counter};
use crate::table::BenchTable;

pub(crate) async fn measure(
    postgres: &Postgres,
    table: &BenchTable,
    kafka: &Kafka,
    figures: &mut Figures,
) -> Result<()> {
    let copy = run(
        "psql",
        &[
            &table.database.url,
            "--quiet",
            "--command",
            "\\copy bench to '/dev/null'",
        ],
    )
    .await?;
    println!("psql \\copy: {:.2} s, {:.2} CPU s", copy.wall, copy.cpu);
    let worker = start_worker(WorkerOptions::on_null_log()).await?;
    let (wall, cpu) = snapshot(&worker, table, "snapshot_nowhere").await?;
    println!(
        "snapshot into nothing: {wall:.2} s ({:.0} rows/s), worker {cpu:.2} CPU s",
        table.rows as f64 / wall
    );
    figures.add(
        "snapshot rows/s into nothing ÷ psql \\copy",
        copy.wall / wall,
        "",
        Must::AtLeast(0.5),
    );
    drop(worker);
    let worker = start_worker(WorkerOptions::on_kafka(&kafka.bootstrap())).await?;
    let (broker, server) = (kafka.usage().await?, postgres.usage()?);
    let (wall, cpu) = snapshot(&worker, table, "snapshot_kafka").await?;
    let (broker, server) = (
        (kafka.usage().await? - broker).cpu_seconds,
        (postgres.usage()? - server).cpu_seconds,
    );
    println!(
        "snapshot into Kafka: {wall:.2} s ({:.0} rows/s), worker {cpu:.2} CPU s, broker {broker:.2} CPU s, PostgreSQL {server:.2} CPU s",
        table.rows as f64 / wall
    );
    figures.add(
        "worker CPU per row of a snapshot into Kafka",
        cpu * 1e6 / table.rows as f64,
        "µs",
        Must::AtMost(5.0),
    );
    Ok(())
}

async fn snapshot(worker: &Worker, table: &BenchTable, name: &str) -> Result<(f64, f64)> {
    let before = worker.cpu_seconds()?;
    let started = Instant::now();
    worker
        .rest()
        .create_connector(name, &table.source(name, "initial_only"))
        .await?;
    wait_counter(
        worker,
        "kafka_connect_source_task_source_record_write_total",
        name,
        table.rows,
        Duration::from_secs(300),
    )
    .await?;
    let figures = (
        started.elapsed().as_secs_f64(),
        worker.cpu_seconds()? - before,
    );
    // The next worker on the same Kafka would go on with it.
    worker.rest().delete(&format!("/connectors/{name}")).await?;
    Ok(figures)
}
