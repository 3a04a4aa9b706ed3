//! The figures of docs/benchmarks.md, measured in one run on one machine.
//!
//! Every figure that depends on the machine is a ratio to something that runs beside it (`pg_recvlogical`, `psql`, apache-avro, Apicurio), or CPU time per record.

mod avro;
mod drain;
mod figures;
mod load;
mod machine;
mod processes;
mod registry;
mod sink;
mod snapshot;
mod startup;
mod table;

use anyhow::Result;
use clap::Parser;
use millrace_testkit::{Jvm, Kafka, KafkaOptions, Postgres};

use crate::figures::Figures;
use crate::table::BenchTable;

#[derive(Debug, Parser)]
#[command(
    about = "Measures Millrace beside pg_recvlogical, psql, apache-avro, Apicurio and a real Kafka"
)]
struct Args {
    /// Rows and changes.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Only these parts: drain, kafka, snapshot, sink, startup, avro, registry.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Further worker properties, to see what they change: `producer.batch.size=16384`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let wanted = |part: &str| args.only.is_empty() || args.only.iter().any(|o| o == part);
    machine::describe();
    processes::set_properties(&args.set)?;
    let mut figures = Figures::default();
    if wanted("startup") {
        startup::measure(&mut figures).await?;
    }
    if wanted("avro") {
        avro::measure(&mut figures).await?;
    }
    let needs_table = ["drain", "kafka", "snapshot"].iter().any(|p| wanted(p));
    let needs_kafka = ["kafka", "snapshot", "sink", "registry"]
        .iter()
        .any(|p| wanted(p));
    let kafka = if needs_kafka {
        Some(
            Kafka::start(KafkaOptions {
                jvm: Jvm::Production,
                ..KafkaOptions::default()
            })
            .await?,
        )
    } else {
        None
    };
    if needs_table {
        let postgres = Postgres::start().await?;
        println!(
            "filling a table with {} rows in transactions of 1,000, behind three slots",
            args.rows
        );
        let table = BenchTable::fill(&postgres, args.rows).await?;
        if wanted("drain") || wanted("kafka") {
            let floor = drain::pg_recvlogical(&postgres, &table, "floor").await?;
            if wanted("drain") {
                drain::into_null(&postgres, &table, floor, &mut figures).await?;
            }
            if let (true, Some(kafka)) = (wanted("kafka"), &kafka) {
                drain::into_kafka(&postgres, &table, kafka, floor, &mut figures).await?;
            }
        }
        if let (true, Some(kafka)) = (wanted("snapshot"), &kafka) {
            snapshot::measure(&postgres, &table, kafka, &mut figures).await?;
        }
    }
    if let (true, Some(kafka)) = (wanted("sink"), &kafka) {
        sink::measure(kafka, args.rows, &mut figures).await?;
    }
    if let (true, Some(kafka)) = (wanted("registry"), &kafka) {
        registry::measure(kafka, &mut figures).await?;
    }
    figures.print();
    Ok(())
}
