//! What the log does with its directory and its file.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millrace_embedded::{EmbeddedLog, EmbeddedOptions};
use millrace_log::{
    GroupConsumerOptions, Log, LogError, NewTopic, ProducerOptions, ReaderOptions, RecordBatch,
    StartAt, Subscription, TableOptions, TableWrite, TopicPartition,
};
use rusqlite::Connection;
use tempfile::TempDir;

fn open(dir: &Path) -> Arc<EmbeddedLog> {
    EmbeddedLog::open(EmbeddedOptions::new(dir)).unwrap()
}

async fn topic(log: &EmbeddedLog, name: &str, settings: &[(&str, &str)]) {
    let settings = settings
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    log.admin()
        .create_topic(&NewTopic {
            name: name.to_owned(),
            partitions: 1,
            replication_factor: 3,
            settings,
        })
        .await
        .unwrap();
}

fn batch(topic: &str, count: usize, size: usize) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let index = batch.topic(topic);
    for n in 0..count {
        batch.append(
            index,
            0,
            -1,
            Some(&(n as u64).to_be_bytes()),
            Some(&vec![7; size]),
        );
    }
    batch
}

async fn append(log: &EmbeddedLog, batch: &RecordBatch) -> Result<(), LogError> {
    let mut producer = log
        .transactional_producer("test", ProducerOptions::default())
        .await?;
    producer.append(batch).await?;
    producer.commit().await
}

async fn count(log: &EmbeddedLog, topic: &str) -> Result<usize, LogError> {
    let place = TopicPartition::new(topic, 0);
    let end = log.admin().offsets(std::slice::from_ref(&place)).await?[0].1;
    let options = ReaderOptions {
        client_id: String::new(),
        from: vec![(place, -2)],
        settings: Vec::new(),
    };
    let mut reader = log.reader(options).await?;
    let mut count = 0;
    while reader.positions()[0].1 < end {
        count += reader.next(Duration::from_millis(10)).await?.records.len();
    }
    Ok(count)
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done().await {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_second_owner_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let log = open(dir.path());
    let error = EmbeddedLog::open(EmbeddedOptions::new(dir.path())).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LogError::Config(_)));
    for part in [
        dir.path().to_str().unwrap(),
        "in use by another worker",
        &std::process::id().to_string(),
        "another log.dir",
    ] {
        assert!(text.contains(part), "{text}");
    }
    log.close().await.unwrap();
    open(dir.path());
    // Dropping without closing frees it as well.
    open(dir.path());
}

#[tokio::test]
async fn layout_is_as_documented_and_another_one_is_refused() {
    let dir = TempDir::new().unwrap();
    let log = open(dir.path());
    let id = log.cluster_id().await.unwrap();
    log.close().await.unwrap();
    let file = dir.path().join("log.db");
    assert!(
        !dir.path().join("log.db-wal").exists(),
        "after a clean end there is one file"
    );
    let conn = Connection::open(&file).unwrap();
    let pragma = |name: &str| {
        conn.query_row(&format!("PRAGMA {name}"), [], |r| {
            r.get::<_, rusqlite::types::Value>(0)
        })
        .unwrap()
    };
    assert_eq!(pragma("page_size"), 16384i64.into());
    assert_eq!(pragma("auto_vacuum"), 2i64.into());
    assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
    assert_eq!(open(dir.path()).cluster_id().await.unwrap(), id);
    conn.pragma_update(None, "user_version", 9).unwrap();
    let error = EmbeddedLog::open(EmbeddedOptions::new(dir.path()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("layout 9") && error.contains("log.db"),
        "{error}"
    );
    drop(conn);
    std::fs::write(&file, vec![b'?'; 40_000]).unwrap();
    let error = EmbeddedLog::open(EmbeddedOptions::new(dir.path())).unwrap_err();
    assert!(
        error.to_string().contains("is damaged") && matches!(error, LogError::Fatal { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_batch_is_named_and_the_others_are_read() {
    let dir = TempDir::new().unwrap();
    let log = open(dir.path());
    for name in ["good", "bad"] {
        topic(&log, name, &[]).await;
        append(&log, &batch(name, 3, 100)).await.unwrap();
        append(&log, &batch(name, 3, 100)).await.unwrap();
    }
    log.close().await.unwrap();
    let conn = Connection::open(dir.path().join("log.db")).unwrap();
    let sql = "UPDATE batch SET data = CAST(substr(data, 1, 60) || x'00' || substr(data, 62) AS BLOB) WHERE id = (SELECT max(id) FROM batch)";
    assert_eq!(conn.execute(sql, []).unwrap(), 1);
    drop(conn);
    let log = open(dir.path());
    assert_eq!(count(&log, "good").await.unwrap(), 6);
    let error = count(&log, "bad").await.unwrap_err();
    assert!(
        error.to_string().contains("bad-0-3") && matches!(error, LogError::Fatal { .. }),
        "{error}"
    );
    append(&log, &batch("good", 1, 1)).await.unwrap();
}

#[tokio::test]
async fn a_full_file_is_retriable_and_goes_on_after_making_room() {
    let dir = TempDir::new().unwrap();
    let mut options = EmbeddedOptions::new(dir.path());
    options.max_bytes = Some(3 << 20);
    let log = EmbeddedLog::open(options).unwrap();
    topic(&log, "t", &[("retention.bytes", "1")]).await;
    let mut written = 0;
    let error = loop {
        match append(&log, &batch("t", 100, 2000)).await {
            Ok(()) => written += 100,
            Err(error) => break error,
        }
        assert!(written < 10_000, "the file does not fill up");
    };
    assert!(
        error.is_retriable() && error.to_string().contains(dir.path().to_str().unwrap()),
        "{error}"
    );
    assert!(error.to_string().contains("is full"), "{error}");
    let place = TopicPartition::new("t", 0);
    assert_eq!(
        log.admin().offsets(&[place]).await.unwrap(),
        [(0, written)],
        "nothing of the failed one is there"
    );
    assert_eq!(count(&log, "t").await.unwrap() as i64, written);
    log.enforce_retention("t").await.unwrap();
    append(&log, &batch("t", 100, 2000)).await.unwrap();
}

#[tokio::test]
async fn another_process_may_look_on() {
    let dir = TempDir::new().unwrap();
    let error = EmbeddedLog::open_read_only(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains("there is no embedded log"),
        "{error}"
    );
    let log = open(dir.path());
    topic(&log, "old", &[]).await;
    append(&log, &batch("old", 10, 10)).await.unwrap();
    let looking = EmbeddedLog::open_read_only(dir.path()).unwrap();
    assert_eq!(count(&looking, "old").await.unwrap(), 10);
    assert_eq!(
        looking.cluster_id().await.unwrap(),
        log.cluster_id().await.unwrap()
    );
    let options = ReaderOptions {
        client_id: String::new(),
        from: vec![(TopicPartition::new("old", 0), -1)],
        settings: Vec::new(),
    };
    let mut tail = looking.reader(options).await.unwrap();
    append(&log, &batch("old", 5, 10)).await.unwrap();
    assert_eq!(
        tail.next(Duration::from_secs(20))
            .await
            .unwrap()
            .records
            .len(),
        5
    );
    topic(&log, "new", &[]).await;
    log.admin()
        .alter_group_offsets("g", &[(TopicPartition::new("old", 0), Some(4))])
        .await
        .unwrap();
    until("the new topic", async || {
        looking
            .admin()
            .describe_topic("new")
            .await
            .unwrap()
            .is_some()
    })
    .await;
    assert_eq!(
        looking.admin().group_offsets("g").await.unwrap()[0].offset,
        4
    );
    log.admin().delete_topic("new").await.unwrap();
    until("the topic's end", async || {
        looking
            .admin()
            .describe_topic("new")
            .await
            .unwrap()
            .is_none()
    })
    .await;

    let refused = |error: LogError| {
        assert!(
            error.to_string().contains("open for reading only"),
            "{error}"
        )
    };
    refused(
        looking
            .producer(ProducerOptions::default())
            .await
            .unwrap_err(),
    );
    refused(
        looking
            .transactional_producer("x", ProducerOptions::default())
            .await
            .unwrap_err(),
    );
    refused(looking.admin().delete_topic("old").await.unwrap_err());
    let member = GroupConsumerOptions {
        group: "g".into(),
        client_id: String::new(),
        subscription: Subscription::Topics(vec!["old".into()]),
        start_at: StartAt::Earliest,
        settings: Vec::new(),
    };
    refused(looking.group_consumer(member).await.unwrap_err());
    looking.close().await.unwrap();
    // Also when the owner is gone.
    log.close().await.unwrap();
    let looking = EmbeddedLog::open_read_only(dir.path()).unwrap();
    assert_eq!(count(&looking, "old").await.unwrap(), 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wal_stays_bounded_while_readers_run() {
    let dir = TempDir::new().unwrap();
    let mut options = EmbeddedOptions::new(dir.path());
    options.durability = millrace_embedded::Durability::Process;
    let log = EmbeddedLog::open(options).unwrap();
    topic(&log, "t", &[]).await;
    append(&log, &batch("t", 100, 1000)).await.unwrap();
    let (stop, largest, read) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut readers = Vec::new();
    for _ in 0..4 {
        let (log, stop, read) = (Arc::clone(&log), Arc::clone(&stop), Arc::clone(&read));
        readers.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                // From the start each time: from the file, not from memory.
                let options = ReaderOptions {
                    client_id: String::new(),
                    from: vec![(TopicPartition::new("t", 0), -2)],
                    settings: Vec::new(),
                };
                let mut reader = log.reader(options).await.unwrap();
                for _ in 0..20 {
                    read.fetch_add(
                        reader.next(Duration::ZERO).await.unwrap().records.len() as u64,
                        Ordering::Relaxed,
                    );
                }
            }
        }));
    }
    let wal = dir.path().join("log.db-wal");
    let mut producer = log
        .transactional_producer("test", ProducerOptions::default())
        .await
        .unwrap();
    for _ in 0..200 {
        producer.append(&batch("t", 1000, 1000)).await.unwrap();
        producer.commit().await.unwrap();
        largest.fetch_max(std::fs::metadata(&wal).unwrap().len(), Ordering::Relaxed);
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let largest = largest.load(Ordering::Relaxed);
    assert!(
        largest < 96 << 20,
        "the WAL of a 200 MB log grew to {} MB",
        largest >> 20
    );
    assert!(read.load(Ordering::Relaxed) > 1000);
}

#[tokio::test]
async fn deleting_gives_pages_back_and_a_deleted_topic_leaves_no_rows() {
    let dir = TempDir::new().unwrap();
    let mut options = EmbeddedOptions::new(dir.path());
    options.check_interval = Duration::from_millis(20);
    let log = EmbeddedLog::open(options).unwrap();
    topic(&log, "short", &[("retention.bytes", "1")]).await;
    topic(&log, "gone", &[]).await;
    for _ in 0..20 {
        append(&log, &batch("short", 1000, 1000)).await.unwrap();
    }
    append(&log, &batch("gone", 1000, 100)).await.unwrap();
    let look = Connection::open_with_flags(
        dir.path().join("log.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    let number = |sql: &str| look.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap();
    // Retention runs by itself.
    until("retention", async || {
        number("SELECT bytes FROM part WHERE topic = 1") < 3 << 20
    })
    .await;
    log.enforce_retention("short").await.unwrap();
    assert_eq!(number("PRAGMA freelist_count"), 0);
    assert!(
        number("PRAGMA page_count") * 16384 < 8 << 20,
        "{} pages",
        number("PRAGMA page_count")
    );
    assert_eq!(
        number("SELECT bytes FROM part WHERE topic = 1"),
        number("SELECT sum(length(data)) FROM batch WHERE id >> 44 = 1")
    );

    log.admin().delete_topic("gone").await.unwrap();
    assert!(matches!(
        count(&log, "gone").await,
        Err(LogError::UnknownTopic(_))
    ));
    until("the topic's rows", async || {
        number("SELECT count(*) FROM topic") == 1
    })
    .await;
    assert_eq!(
        (
            number("SELECT count(*) FROM part"),
            number("SELECT count(*) FROM batch WHERE id >> 44 = 2")
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn a_dirty_table_is_compacted_by_itself() {
    let dir = TempDir::new().unwrap();
    let mut options = EmbeddedOptions::new(dir.path());
    options.check_interval = Duration::from_millis(20);
    let log = EmbeddedLog::open(options).unwrap();
    let options = TableOptions {
        topic: "offsets".into(),
        partitions: 1,
        replication_factor: 1,
        clamp_replication: false,
        check_policy: true,
        topic_settings: Vec::new(),
        client_id: String::new(),
        settings: Vec::new(),
        named_by: "offset.storage.topic",
        purpose: "source connector offsets",
    };
    let table = log.table(options.clone()).await.unwrap();
    for n in 0..30u32 {
        let writes: Vec<TableWrite> = (0..50u32)
            .map(|k| TableWrite {
                key: k.to_be_bytes().to_vec(),
                value: Some(vec![n as u8; 1000]),
            })
            .collect();
        table.writer().put(&writes).await.unwrap();
    }
    let look = Connection::open_with_flags(
        dir.path().join("log.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    until("compaction", async || {
        look.query_row("SELECT bytes FROM part", [], |r| r.get::<_, i64>(0))
            .unwrap()
            < 1 << 20
    })
    .await;
    let mut newest = std::collections::HashMap::new();
    let mut table = log.table(options).await.unwrap();
    table
        .read_to_end(&mut |r| newest.extend([(r.key.unwrap().to_vec(), r.value.unwrap()[0])]))
        .await
        .unwrap();
    assert_eq!(newest.len(), 50);
    assert!(newest.values().all(|v| *v == 29));
}
