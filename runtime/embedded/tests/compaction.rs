//! Compaction and retention against a model.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_embedded::{Durability, EmbeddedLog, EmbeddedOptions};
use millrace_log::{Log, NewTopic, ProducerOptions, ReaderOptions, RecordBatch, TopicPartition};
use proptest::prelude::*;
use tempfile::TempDir;

type Row = (i64, u8, Option<Vec<u8>>);

/// One transaction's records: key and value, or a tombstone; then maybe a compaction.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(u8, Option<Vec<u8>>)>),
    Compact,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![3 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        6 => proptest::collection::vec((0u8..8, value), 1..30).prop_map(Step::Append),
        2 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ]
}

fn open(dir: &TempDir) -> Arc<EmbeddedLog> {
    let mut options = EmbeddedOptions::new(dir.path());
    options.durability = Durability::Process;
    EmbeddedLog::open(options).unwrap()
}

async fn make(log: &EmbeddedLog, settings: &[(&str, &str)]) {
    let settings = settings
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    log.admin()
        .create_topic(&NewTopic {
            name: "t".into(),
            partitions: 1,
            replication_factor: 1,
            settings,
        })
        .await
        .unwrap();
}

async fn append(log: &EmbeddedLog, records: &[(u8, Option<Vec<u8>>)], timestamp: i64) {
    let mut batch = RecordBatch::new();
    let topic = batch.topic("t");
    for (key, value) in records {
        batch.append(topic, 0, timestamp, Some(&[*key]), value.as_deref());
    }
    let mut producer = log
        .transactional_producer("t", ProducerOptions::default())
        .await
        .unwrap();
    producer.append(&batch).await.unwrap();
    producer.commit().await.unwrap();
}

async fn read(log: &EmbeddedLog, from: i64) -> Vec<Row> {
    let place = TopicPartition::new("t", 0);
    let end = log
        .admin()
        .offsets(std::slice::from_ref(&place))
        .await
        .unwrap()[0]
        .1;
    let mut reader = log
        .reader(ReaderOptions {
            client_id: String::new(),
            from: vec![(place, from)],
            settings: Vec::new(),
        })
        .await
        .unwrap();
    let mut rows = Vec::new();
    while reader.positions()[0].1 < end {
        let batch = reader.next(Duration::from_millis(1)).await.unwrap();
        rows.extend(batch.records.iter().map(|r| {
            (
                r.offset,
                batch.key(r).unwrap()[0],
                batch.value(r).map(<[u8]>::to_vec),
            )
        }));
    }
    rows
}

/// Last offset and value per key.
fn newest(rows: &[Row]) -> BTreeMap<u8, (i64, Option<Vec<u8>>)> {
    rows.iter()
        .map(|(offset, key, value)| (*key, (*offset, value.clone())))
        .collect()
}

async fn compaction_model(steps: Vec<Step>) {
    let dir = TempDir::new().unwrap();
    let mut log = open(&dir);
    make(&log, &[("cleanup.policy", "compact")]).await;
    let mut all: Vec<Row> = Vec::new();
    for step in steps {
        match step {
            Step::Append(records) => {
                append(&log, &records, -1).await;
                for (key, value) in records {
                    all.push((all.len() as i64, key, value));
                }
            }
            Step::Reopen => {
                log.close().await.unwrap();
                log = open(&dir);
            }
            Step::Compact => {
                log.compact("t").await.unwrap();
                let newest = newest(&all);
                let expected: Vec<Row> = all
                    .iter()
                    .filter(|(o, k, _)| newest[k].0 == *o)
                    .cloned()
                    .collect();
                // Tombstones are young, so exactly the newest record of every key stays.
                assert_eq!(read(&log, 0).await, expected);
            }
        }
        let rows = read(&log, 0).await;
        assert!(
            rows.iter().all(|row| all[row.0 as usize] == *row),
            "offsets and contents never change"
        );
        assert_eq!(newest(&rows), newest(&all));
        // From anywhere, what follows is the same.
        let from = all.len() as i64 / 2;
        assert_eq!(
            read(&log, from).await,
            rows.into_iter().filter(|r| r.0 >= from).collect::<Vec<_>>()
        );
        assert_eq!(
            log.admin()
                .offsets(&[TopicPartition::new("t", 0)])
                .await
                .unwrap()[0]
                .1,
            all.len() as i64
        );
    }
    log.close().await.unwrap();
}

async fn retention_model(sizes: Vec<usize>, keep: usize) {
    let dir = TempDir::new().unwrap();
    let log = open(&dir);
    make(&log, &[("retention.bytes", &keep.to_string())]).await;
    for size in &sizes {
        append(&log, &[(0, Some(vec![1; *size]))], -1).await;
    }
    log.enforce_retention("t").await.unwrap();
    let (start, end) = log
        .admin()
        .offsets(&[TopicPartition::new("t", 0)])
        .await
        .unwrap()[0];
    assert_eq!(end, sizes.len() as i64);
    let kept = &sizes[start as usize..];
    assert_eq!(read(&log, 0).await.len(), kept.len());
    // At least the limit stays (or everything), and without its first batch it would be less. A batch measures up to 40 bytes more than its value.
    let sum = |s: &[usize]| s.iter().sum::<usize>();
    assert!(
        start == 0 || sum(kept) + 40 * kept.len() >= keep,
        "{start} of {sizes:?}"
    );
    assert!(
        kept.len() < 2 || sum(&kept[1..]) < keep.max(1),
        "{start} of {sizes:?}"
    );
    log.close().await.unwrap();
}

fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(case);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compaction_keeps_the_newest_record_of_every_key(steps in proptest::collection::vec(step(), 1..12)) {
        run(compaction_model(steps));
    }

    #[test]
    fn retention_keeps_what_the_limit_asks_for(sizes in proptest::collection::vec(0usize..3000, 1..20), keep in 0usize..20_000) {
        run(retention_model(sizes, keep));
    }
}

#[tokio::test]
async fn old_tombstones_go_with_the_second_compaction() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir);
    make(
        &log,
        &[
            ("cleanup.policy", "compact"),
            ("delete.retention.ms", "1000"),
        ],
    )
    .await;
    append(
        &log,
        &[(1, Some(vec![1])), (2, Some(vec![2])), (1, None)],
        1_000_000,
    )
    .await;
    log.compact("t").await.unwrap();
    assert_eq!(read(&log, 0).await, [(1, 2, Some(vec![2])), (2, 1, None)]);
    log.compact("t").await.unwrap();
    assert_eq!(read(&log, 0).await, [(1, 2, Some(vec![2]))]);
}

#[tokio::test]
async fn young_records_wait_for_the_compaction_lag() {
    let dir = TempDir::new().unwrap();
    let log = open(&dir);
    make(
        &log,
        &[
            ("cleanup.policy", "compact"),
            ("min.compaction.lag.ms", "3600000"),
        ],
    )
    .await;
    append(&log, &[(1, Some(vec![1])), (1, Some(vec![2]))], 1_000_000).await;
    append(&log, &[(1, Some(vec![3])), (1, Some(vec![4]))], -1).await;
    log.compact("t").await.unwrap();
    assert_eq!(
        read(&log, 0).await.iter().map(|r| r.0).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}
