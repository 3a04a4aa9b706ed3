//! Writes and tails records through the embedded log and prints records/s and CPU per record.
//!
//! `cargo run --profile bench-run -p millrace-embedded --example throughput [records [directory]]`
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_embedded::{Durability, EmbeddedLog, EmbeddedOptions};
use millrace_log::{Log, NewTopic, ProducerOptions, ReaderOptions, RecordBatch, TopicPartition};

const BATCH: usize = 500;

/// CPU time of this process so far: user and system.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    // In clock ticks, 100 a second on every Linux that runs this.
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|f| f.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn peak_rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

async fn read(log: Arc<EmbeddedLog>, count: usize, from: i64) {
    let options = ReaderOptions {
        client_id: String::new(),
        from: vec![(TopicPartition::new("t", 0), from)],
        settings: Vec::new(),
    };
    let mut reader = log.reader(options).await.unwrap();
    let mut seen = 0;
    while seen < count {
        seen += reader
            .next(Duration::from_secs(10))
            .await
            .unwrap()
            .records
            .len();
    }
}

fn report(what: &str, records: usize, start: Instant, before: Duration) {
    let (wall, cpu) = (start.elapsed(), cpu() - before);
    let rate = records as f64 / wall.as_secs_f64() / 1e6;
    println!(
        "{what:<40} {rate:>6.2} M records/s  {:>5.2} µs CPU/record",
        cpu.as_secs_f64() * 1e6 / records as f64
    );
}

async fn write(log: &EmbeddedLog, records: usize) {
    let mut producer = log
        .transactional_producer("bench", ProducerOptions::default())
        .await
        .unwrap();
    let mut batch = RecordBatch::new();
    let value = [b'v'; 300];
    for first in (0..records).step_by(BATCH) {
        batch.clear();
        let topic = batch.topic("t");
        for n in first..first + BATCH {
            let arena = batch.begin();
            arena.extend_from_slice(b"key-00");
            arena.extend_from_slice(&(n as u64).to_be_bytes());
            batch.end_key(true);
            batch.arena().extend_from_slice(&value);
            batch.end_value(true);
            batch.push(topic, 0, 1_700_000_000_000 + n as i64);
        }
        producer.append(&batch).await.unwrap();
        producer.commit().await.unwrap();
    }
}

async fn measure(dir: PathBuf, durability: Durability, records: usize) {
    for readers in [0, 1] {
        let mut options = EmbeddedOptions::new(&dir);
        options.durability = durability;
        let log = EmbeddedLog::open(options).unwrap();
        let topic = NewTopic {
            name: "t".into(),
            partitions: 1,
            replication_factor: 1,
            settings: vec![("retention.ms".into(), "-1".into())],
        };
        log.admin().create_topic(&topic).await.unwrap();
        let (start, before) = (Instant::now(), cpu());
        let tails: Vec<_> = (0..readers)
            .map(|_| tokio::spawn(read(Arc::clone(&log), records, -2)))
            .collect();
        write(&log, records).await;
        for tail in tails {
            tail.await.unwrap();
        }
        report(
            &format!("{durability:?}: write, {readers} tailing readers"),
            records,
            start,
            before,
        );
        if readers == 1 {
            let (start, before) = (Instant::now(), cpu());
            read(Arc::clone(&log), records, 0).await;
            report("read again from offset 0", records, start, before);
        }
        log.close().await.unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let records = arguments.next().map_or(1_000_000, |n| n.parse().unwrap()) / BATCH * BATCH;
    let dir = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join(format!("millrace-throughput-{}", std::process::id()));
    println!(
        "{records} records of 314 bytes in transactions of {BATCH}, in {}",
        dir.display()
    );
    for durability in [Durability::Process, Durability::Fsync] {
        measure(dir.clone(), durability, records).await;
    }
    println!("peak RSS {} MB", peak_rss_mb());
}
