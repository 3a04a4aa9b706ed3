//! The process that writes is killed with SIGKILL, again and again; what it was told is committed must be there, and nothing may be half there.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use millrace_embedded::{Durability, EmbeddedLog, EmbeddedOptions};
use millrace_log::{Log, NewTopic, ProducerOptions, ReaderOptions, RecordBatch, TopicPartition};
use tempfile::TempDir;

const DIR: &str = "MILLRACE_CRASH_TEST_DIR";
const TOPIC: &str = "changes";
const GROUP: &str = "source";
const PARTITIONS: i32 = 2;

/// Fixed, so that a failure repeats.
struct Rng(u64);

impl Rng {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn options(dir: &Path, durability: Durability) -> EmbeddedOptions {
    let mut options = EmbeddedOptions::new(dir);
    options.durability = durability;
    // Some transactions go through the staging table.
    options.transaction_max_bytes = 30_000;
    options
}

/// Not a test of its own: what the killed process does. Appends transactions of some records and the position behind them, and says how far it got after each.
#[tokio::test]
async fn writer_process() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let durability = if std::env::var("MILLRACE_CRASH_TEST_FSYNC").is_ok() {
        Durability::Fsync
    } else {
        Durability::Process
    };
    let log = EmbeddedLog::open(options(dir.as_ref(), durability)).unwrap();
    let mut next = stored_offset(&log).await;
    let mut producer = log
        .transactional_producer("writer", ProducerOptions::default())
        .await
        .unwrap();
    let mut out = std::io::stdout();
    let place = TopicPartition::new(TOPIC, 0);
    let mut batch = RecordBatch::new();
    loop {
        batch.clear();
        let topic = batch.topic(TOPIC);
        let count = 1 + next % 97;
        for n in next..next + count {
            let filler = vec![b'x'; (n % 613) as usize];
            batch.append(
                topic,
                (n % i64::from(PARTITIONS)) as i32,
                n,
                Some(&n.to_be_bytes()),
                Some(&filler),
            );
        }
        producer.append(&batch).await.unwrap();
        if next % 5 == 4 {
            producer.abort().await.unwrap();
            producer.append(&batch).await.unwrap();
        }
        producer
            .commit_group_offsets(GROUP, &[(place.clone(), next + count)])
            .await
            .unwrap();
        producer.commit().await.unwrap();
        next += count;
        writeln!(out, "acked {next}").unwrap();
        out.flush().unwrap();
    }
}

async fn stored_offset(log: &Arc<EmbeddedLog>) -> i64 {
    log.admin()
        .group_offsets(GROUP)
        .await
        .unwrap()
        .first()
        .map_or(0, |o| o.offset)
}

fn spawn(dir: &Path, durability: Durability) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "writer_process", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if durability == Durability::Fsync {
        command.env("MILLRACE_CRASH_TEST_FSYNC", "1");
    }
    command.spawn().unwrap()
}

/// Runs the writer until it has acknowledged `commits` transactions, kills it, and returns the last number it has seen acknowledged.
fn run_and_kill(dir: &Path, durability: Durability, commits: u64) -> i64 {
    let mut child = spawn(dir, durability);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acked = None;
    let mut seen = 0;
    while seen < commits {
        let line = lines.next().expect("the writer goes on").unwrap();
        if let Some(number) = line.strip_prefix("acked ") {
            acked = Some(number.parse().unwrap());
            seen += 1;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died counts; a torn last line does not.
    for line in lines.map_while(Result::ok) {
        acked = line
            .strip_prefix("acked ")
            .and_then(|n| n.parse().ok())
            .max(acked);
    }
    acked.unwrap()
}

/// Checks that the log holds exactly the records below the stored position, each once and in order; returns the position.
async fn check(dir: &Path, durability: Durability) -> i64 {
    let log = EmbeddedLog::open(options(dir, durability)).unwrap();
    let stored = stored_offset(&log).await;
    let places: Vec<TopicPartition> = (0..PARTITIONS)
        .map(|n| TopicPartition::new(TOPIC, n))
        .collect();
    let ends = log.admin().offsets(&places).await.unwrap();
    assert_eq!(
        ends.iter().map(|(_, end)| end).sum::<i64>(),
        stored,
        "the stored position is the end of the log"
    );
    let from = places.iter().map(|p| (p.clone(), -2)).collect();
    let mut reader = log
        .reader(ReaderOptions {
            client_id: String::new(),
            from,
            settings: Vec::new(),
        })
        .await
        .unwrap();
    let mut next: Vec<i64> = (0..i64::from(PARTITIONS)).collect();
    let mut count = 0;
    while count < stored {
        let batch = reader.next(Duration::from_secs(10)).await.unwrap();
        assert!(
            !batch.records.is_empty(),
            "{count} of {stored} records are there"
        );
        for record in &batch.records {
            let next = &mut next[batch.topic_partition(record).partition as usize];
            assert_eq!(batch.key(record), Some(&next.to_be_bytes()[..]));
            assert_eq!(
                (record.timestamp, batch.value(record).map(<[u8]>::len)),
                (*next, Some((*next % 613) as usize))
            );
            *next += i64::from(PARTITIONS);
            count += 1;
        }
    }
    assert_eq!(count, stored);
    log.close().await.unwrap();
    stored
}

async fn prepare(dir: &Path) {
    let log = EmbeddedLog::open(EmbeddedOptions::new(dir)).unwrap();
    let topic = NewTopic {
        name: TOPIC.to_owned(),
        partitions: PARTITIONS,
        replication_factor: -1,
        settings: vec![("retention.ms".into(), "-1".into())],
    };
    log.admin().create_topic(&topic).await.unwrap();
    log.close().await.unwrap();
}

/// Bytes of the WAL that a checkpoint may have copied into the file. SQLite syncs them before it copies, so no power cut takes them away.
fn checkpointed(dir: &Path) -> usize {
    // In the WAL index, behind two headers of 48 bytes: WalCkptInfo.nBackfillAttempted.
    let index = std::fs::read(dir.join("log.db-shm")).unwrap();
    let frames = u32::from_ne_bytes(index[128..132].try_into().unwrap()) as usize;
    32 + frames * (24 + 16384)
}

/// A copy of the log as a power cut may leave it: the end of the WAL is gone or never reached the disk.
fn copy_with_broken_wal(from: &Path, to: &Path, rng: &mut Rng) {
    std::fs::create_dir(to).unwrap();
    std::fs::copy(from.join("log.db"), to.join("log.db")).unwrap();
    let Ok(mut wal) = std::fs::read(from.join("log.db-wal")) else {
        return;
    };
    let keep = checkpointed(from);
    if wal.len() > keep {
        let cut = keep + rng.below((wal.len() - keep) as u64) as usize;
        match rng.below(2) {
            0 => wal.truncate(cut),
            _ => wal[cut..].fill(0xa5),
        }
    }
    std::fs::write(to.join("log.db-wal"), wal).unwrap();
}

async fn kill_twenty_times(durability: Durability, seed: u64) {
    let base = TempDir::new().unwrap();
    let dir = base.path().join("log");
    prepare(&dir).await;
    let mut rng = Rng(seed);
    let mut before = 0;
    for round in 0..20 {
        let commits = 1 + rng.below(60);
        let acked = run_and_kill(&dir, durability, commits);
        let broken = base.path().join(format!("broken-{round}"));
        copy_with_broken_wal(&dir, &broken, &mut rng);
        let stored = check(&dir, durability).await;
        assert!(
            stored >= acked,
            "round {round}: {acked} was acknowledged, {stored} is stored"
        );
        assert!(stored > before);
        before = stored;
        // Acknowledged commits may be missing here, but never half a transaction.
        let prefix = check(&broken, durability).await;
        assert!(prefix <= stored, "round {round}");
        std::fs::remove_dir_all(&broken).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing_with_fsync() {
    kill_twenty_times(Durability::Fsync, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing_without_fsync() {
    kill_twenty_times(Durability::Process, 2).await;
}
