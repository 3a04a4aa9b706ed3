//! What a change event costs on its way into Kafka and out again: CPU per record of this process and of the broker, for the compression and batching settings that
//! matter. A broker of its own, with the JVM's own choices, on this machine.
//!
//! `cargo run -p millrace-kafka --profile bench-run --example produce_rate -- [RECORDS [SETTING=VALUE]...]`; with settings only that variant is measured.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_log::{Log, NewTopic, ProducerOptions, ReaderOptions, RecordBatch, TopicPartition};
use millrace_testkit::{Jvm, Kafka, unique, usage_of};

/// Not a setting of the producer: over how many partitions the keys spread.
const PARTITIONS: &str = "partitions";
/// Records per `send`: about 256 KB, as a source's batch.
const BATCH: u64 = 400;

const VARIANTS: &[&[(&str, &str)]] = &[
    &[("compression.type", "lz4"), ("linger.ms", "5")],
    &[("compression.type", "lz4"), ("linger.ms", "10")],
    &[("compression.type", "lz4"), ("linger.ms", "20")],
    &[("compression.type", "none"), ("linger.ms", "10")],
    &[("compression.type", "snappy"), ("linger.ms", "10")],
    &[
        ("compression.type", "zstd"),
        ("compression.zstd.level", "1"),
        ("linger.ms", "10"),
    ],
    &[
        ("compression.type", "lz4"),
        ("linger.ms", "10"),
        ("batch.size", "262144"),
    ],
    &[
        ("compression.type", "lz4"),
        ("linger.ms", "5"),
        ("batch.size", "16384"),
    ],
    &[("enable.idempotence", "false")],
    &[
        ("enable.idempotence", "false"),
        ("max.in.flight.requests.per.connection", "5"),
    ],
    &[("max.in.flight.requests.per.connection", "1")],
    &[("max.in.flight.requests.per.connection", "2")],
    &[("acks", "1")],
    &[],
];

#[tokio::main]
async fn main() -> Result<()> {
    let records: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |n| n.parse())?;
    let kafka = Kafka::start(millrace_testkit::KafkaOptions {
        jvm: Jvm::Production,
        ..Default::default()
    })
    .await?;
    let log = KafkaLog::connect(KafkaOptions {
        properties: vec![("bootstrap.servers".into(), kafka.bootstrap())],
    })
    .await?;
    let mut fill = RecordBatch::new();
    change_events(&mut fill, "t", 0);
    println!("{records} records of {} B", fill.byte_size() as u64 / BATCH);
    // The broker's JIT compiler takes a while to learn.
    for variant in [VARIANTS[0], VARIANTS[3]] {
        produce(&kafka, &log, records / 2, variant).await?;
    }
    let only: Vec<String> = std::env::args().skip(2).collect();
    let only: Vec<(&str, &str)> = only
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let variants = if only.is_empty() {
        VARIANTS
    } else {
        &[&only[..]]
    };
    for variant in variants {
        let run = produce(&kafka, &log, records, variant).await?;
        println!(
            "write {:>9.0}/s  client {:.2} µs  broker {:.2} µs  {:.1} MB/s compressed  rss {:.0} MB  {variant:?}",
            records as f64 / run.seconds,
            run.client,
            run.broker,
            run.stored / run.seconds / 1e6,
            run.rss
        );
        if variant.is_empty() {
            consume(&kafka, &log, records, &run.topic).await?;
        }
    }
    log.close().await?;
    Ok(())
}

struct Run {
    topic: String,
    seconds: f64,
    /// CPU per record, in microseconds.
    client: f64,
    broker: f64,
    /// Bytes in the broker's log.
    stored: f64,
    /// Peak of this process so far, in MB.
    rss: f64,
}

async fn produce(
    kafka: &Kafka,
    log: &KafkaLog,
    records: u64,
    variant: &[(&str, &str)],
) -> Result<Run> {
    let topic = unique("rate");
    let partitions: i32 = variant
        .iter()
        .find(|(key, _)| *key == PARTITIONS)
        .map_or(Ok(1), |(_, n)| n.parse())?;
    log.admin()
        .create_topic(&NewTopic {
            name: topic.clone(),
            partitions,
            replication_factor: 1,
            settings: Vec::new(),
        })
        .await?;
    let settings = variant
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let mut producer = log
        .producer(ProducerOptions {
            client_id: "rate".into(),
            settings,
        })
        .await?;
    // Enough different ones that no compressor sees the same record twice in a batch of 1 MB.
    let batches: Vec<RecordBatch> = (0..16)
        .map(|n| {
            let mut batch = RecordBatch::new();
            change_events(&mut batch, &topic, n * BATCH);
            batch
        })
        .collect();
    let mut turn = batches.iter().cycle();

    let (own, broker, start) = (
        usage_of(std::process::id())?,
        kafka.usage().await?,
        Instant::now(),
    );
    let (mut sent, mut acked, mut out) = (0, 0, Vec::new());
    while acked < records {
        let (mut taken, batch) = (0, turn.next().unwrap_or(&batches[0]));
        while sent < records && taken < batch.len() {
            let n = producer.send(batch, taken)?;
            taken += n;
            sent += n as u64;
            if taken < batch.len() {
                producer.wait(Duration::from_millis(100)).await;
                producer.deliveries(&mut out);
                acked += out.len() as u64;
                ensure!(
                    out.drain(..).all(|d| d.result.is_ok()),
                    "a record was not written"
                );
            }
        }
        if sent >= records {
            producer.flush(Duration::from_secs(60)).await?;
        }
        producer.deliveries(&mut out);
        acked += out.len() as u64;
        ensure!(
            out.drain(..).all(|d| d.result.is_ok()),
            "a record was not written"
        );
    }
    let seconds = start.elapsed().as_secs_f64();
    let (own, broker) = (
        usage_of(std::process::id())? - own,
        kafka.usage().await? - broker,
    );
    let per = |cpu: f64| cpu * 1e6 / acked as f64;
    let folder = kafka
        .log_file()
        .with_file_name("data")
        .join(format!("{topic}-0"));
    let stored = std::fs::read_dir(folder)?
        .flatten()
        .filter(|f| f.path().extension().is_some_and(|e| e == "log"))
        .map(|f| f.metadata().map_or(0, |m| m.len()))
        .sum::<u64>();
    Ok(Run {
        topic,
        seconds,
        client: per(own.cpu_seconds),
        broker: per(broker.cpu_seconds),
        stored: stored as f64,
        rss: own.peak_rss as f64 / 1e6,
    })
}

async fn consume(kafka: &Kafka, log: &KafkaLog, records: u64, topic: &str) -> Result<()> {
    let (own, broker, start) = (
        usage_of(std::process::id())?,
        kafka.usage().await?,
        Instant::now(),
    );
    let options = ReaderOptions {
        client_id: "rate".into(),
        from: vec![(TopicPartition::new(topic, 0), 0)],
        settings: Vec::new(),
    };
    let mut reader = log.reader(options).await?;
    let (mut read, mut batches) = (0, 0u64);
    while read < records {
        let batch = reader.next(Duration::from_secs(10)).await?;
        ensure!(
            !batch.records.is_empty(),
            "the reader stands still at {read}"
        );
        read += batch.records.len() as u64;
        batches += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    let (own, broker) = (
        usage_of(std::process::id())? - own,
        kafka.usage().await? - broker,
    );
    let per = |cpu: f64| cpu * 1e6 / read as f64;
    println!(
        "read  {:>9.0}/s  client {:.2} µs  broker {:.2} µs  {} records per batch  rss {:.0} MB",
        read as f64 / seconds,
        per(own.cpu_seconds),
        per(broker.cpu_seconds),
        read / batches,
        own.peak_rss as f64 / 1e6
    );
    Ok(())
}

/// Change events of a table with seven columns as a JsonConverter without schemas writes them.
fn change_events(batch: &mut RecordBatch, topic: &str, first: u64) {
    let topic = batch.topic(topic);
    let mut text = String::new();
    let mut random = 0x9E37_79B9_7F4A_7C15u64 ^ first;
    for n in first..first + BATCH {
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        text.clear();
        let lsn = 23_456_789_000 + n * 312;
        let _infallible = write!(
            text,
            "{{\"before\":null,\"after\":{{\"id\":{n},\"customer_id\":{},\"status\":\"{}\",\"note\":\"{:016x}{:016x}{:016x} ordered by telephone\",\"amount\":\"{}.{:02}\",\
             \"created_at\":{},\"updated_at\":{}}},\"source\":{{\"version\":\"3.7.0.Final\",\"connector\":\"postgresql\",\"name\":\"shop\",\"ts_ms\":{},\"snapshot\":\"false\",\
             \"db\":\"shop\",\"sequence\":\"[\\\"{}\\\",\\\"{lsn}\\\"]\",\"ts_us\":{},\"ts_ns\":{},\"schema\":\"public\",\"table\":\"orders\",\"txId\":{},\"lsn\":{lsn},\"xmin\":null}},\
             \"transaction\":null,\"op\":\"c\",\"ts_ms\":{},\"ts_us\":{},\"ts_ns\":{}}}",
            next() % 100_000,
            ["new", "paid", "sent", "returned"][(next() % 4) as usize],
            next(),
            next(),
            next(),
            next() % 1_000,
            next() % 100,
            1_700_000_000_000_000 + n * 1_000,
            1_700_000_000_000_000 + n * 1_003,
            1_700_000_000_000 + n,
            lsn - 312,
            1_700_000_000_000_000 + n * 1_000,
            1_700_000_000_000_000_000 + n * 1_000_000,
            4_711 + n / 1_000,
            1_700_000_000_100 + n,
            1_700_000_000_100_000 + n * 1_000,
            1_700_000_000_100_000_000 + n * 1_000_000,
        );
        let key = format!("{{\"id\":{n}}}");
        batch.append(
            topic,
            -1,
            1_700_000_000_000 + n as i64,
            Some(key.as_bytes()),
            Some(text.as_bytes()),
        );
    }
}
