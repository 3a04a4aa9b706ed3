use std::time::{Duration, Instant};

use super::Subject;
use super::ground::{Ground, settings};
use crate::partitioner::partition_for_key;
use crate::{LogError, Table, TableOptions, TableWrite};

/// Partition, key and value of a table's record.
type Row = (i32, Option<String>, Option<String>);

fn options(topic: &str, partitions: i32) -> TableOptions {
    TableOptions {
        topic: topic.to_owned(),
        partitions,
        replication_factor: -1,
        clamp_replication: false,
        check_policy: true,
        topic_settings: Vec::new(),
        client_id: "conformance".into(),
        settings: Vec::new(),
        named_by: "offset.storage.topic",
        purpose: "source connector offsets",
    }
}

fn put(key: &str, value: Option<&str>) -> TableWrite {
    TableWrite {
        key: key.as_bytes().to_vec(),
        value: value.map(|v| v.as_bytes().to_vec()),
    }
}

fn collect(rows: &mut Vec<Row>) -> impl for<'a> FnMut(crate::TableRecord<'a>) + Send {
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    move |record| rows.push((record.partition, text(record.key), text(record.value)))
}

async fn read_to_end(table: &mut dyn Table) -> Vec<Row> {
    let mut rows = Vec::new();
    table
        .read_to_end(&mut collect(&mut rows))
        .await
        .expect("reading to the end");
    rows
}

fn values(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|r| r.2.as_deref().unwrap_or("-")).collect()
}

pub(super) async fn a_table_is_read_to_its_end_then_followed(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = subject.unique("table");
    let mut table = ground.log.table(options(&topic, 3)).await.expect("a table");
    assert_eq!(table.partitions(), 3);
    let keys: Vec<String> = (0..50).map(|i| format!("k{i}")).collect();
    let writes: Vec<TableWrite> = keys.iter().map(|k| put(k, Some("1"))).collect();
    table.writer().put(&writes).await.expect("put");
    let rows = read_to_end(&mut *table).await;
    assert_eq!(rows.len(), 50);
    for (partition, key, _) in &rows {
        assert_eq!(
            *partition,
            partition_for_key(key.as_deref().expect("a key").as_bytes(), 3)
        );
    }
    let (writer, mut followed) = (table.writer(), Vec::new());
    let deadline = ground.deadline();
    let writing = async { writer.put(&[put("new", Some("2"))]).await.expect("put") };
    let following = async {
        loop {
            let mut rows = Vec::new();
            let count = table
                .follow(Duration::from_millis(200), &mut collect(&mut rows))
                .await
                .expect("follow");
            assert_eq!(count, rows.len());
            followed.extend(rows);
            if !followed.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "the new record did not come");
        }
    };
    tokio::join!(following, writing);
    assert_eq!(values(&followed), ["2"]);
    assert_eq!(read_to_end(&mut *table).await, []);
}

pub(super) async fn a_table_sees_its_own_writes(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let mut table = ground
        .log
        .table(options(&subject.unique("own"), 2))
        .await
        .expect("a table");
    for i in 0..20 {
        table
            .writer()
            .put(&[put("k", Some(&i.to_string()))])
            .await
            .expect("put");
        let rows = read_to_end(&mut *table).await;
        assert_eq!(values(&rows), [i.to_string()]);
    }
}

pub(super) async fn tombstones_and_order_of_a_key_are_kept(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let mut table = ground
        .log
        .table(options(&subject.unique("tombstones"), 1))
        .await
        .expect("a table");
    table
        .writer()
        .put(&[
            put("a", Some("1")),
            put("a", None),
            put("b", Some("")),
            put("a", Some("2")),
        ])
        .await
        .expect("put");
    let rows = read_to_end(&mut *table).await;
    assert_eq!(values(&rows), ["1", "-", "", "2"]);
    assert_eq!(rows[1].1.as_deref(), Some("a"));
}

pub(super) async fn every_opening_starts_at_the_beginning(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = subject.unique("twice");
    let mut first = ground.log.table(options(&topic, 1)).await.expect("a table");
    first
        .writer()
        .put(&[put("a", Some("1")), put("b", Some("2"))])
        .await
        .expect("put");
    assert_eq!(read_to_end(&mut *first).await.len(), 2);
    let mut second = ground.log.table(options(&topic, 1)).await.expect("a table");
    assert_eq!(values(&read_to_end(&mut *second).await), ["1", "2"]);
    second
        .writer()
        .put(&[put("c", Some("3"))])
        .await
        .expect("put");
    assert_eq!(values(&read_to_end(&mut *first).await), ["3"]);
}

pub(super) async fn a_missing_topic_is_made_compacted(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = subject.unique("made-compacted");
    let mut asked = options(&topic, 4);
    asked.topic_settings = settings(&[("delete.retention.ms", "1234")]);
    ground.log.table(asked).await.expect("a table");
    let found = ground
        .admin()
        .topic_settings(&topic)
        .await
        .expect("settings");
    let value = |key: &str| {
        found
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    };
    assert_eq!(
        (value("cleanup.policy"), value("delete.retention.ms")),
        (Some("compact"), Some("1234"))
    );
    assert_eq!(
        ground
            .admin()
            .describe_topic(&topic)
            .await
            .expect("a description")
            .map(|d| d.partitions),
        Some(4)
    );
    // An existing topic is taken as it is.
    assert_eq!(
        ground
            .log
            .table(options(&topic, 9))
            .await
            .expect("a table")
            .partitions(),
        4
    );
}

pub(super) async fn a_topic_that_forgets_is_refused(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    for policy in ["delete", "compact,delete"] {
        let topic = ground
            .topic("forgets", 1, &[("cleanup.policy", policy)])
            .await;
        let error = ground
            .log
            .table(options(&topic, 1))
            .await
            .expect_err("a table");
        assert!(matches!(error, LogError::Config(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!(
                "Topic '{topic}' supplied via the 'offset.storage.topic' property is required to have 'cleanup.policy=compact' to guarantee consistency and \
                 durability of source connector offsets, but found the topic currently has 'cleanup.policy={policy}'. Continuing would likely result in \
                 eventually losing source connector offsets and problems restarting this Connect cluster in the future. Change the 'offset.storage.topic' \
                 property in the Connect worker configurations to use a topic with 'cleanup.policy=compact'."
            )
        );
    }
}

pub(super) async fn a_topic_that_forgets_is_taken_when_told_so(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground
        .topic("unchecked", 1, &[("cleanup.policy", "delete")])
        .await;
    let unchecked = TableOptions {
        check_policy: false,
        ..options(&topic, 1)
    };
    let mut table = ground.log.table(unchecked).await.expect("a table");
    table
        .writer()
        .put(&[put("a", Some("1"))])
        .await
        .expect("put");
    assert_eq!(values(&read_to_end(&mut *table).await), ["1"]);
}

pub(super) async fn more_replicas_than_brokers_are_lowered_when_told_so(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = subject.unique("replicas");
    let clamped = TableOptions {
        replication_factor: 3,
        clamp_replication: true,
        ..options(&topic, 1)
    };
    let mut table = ground.log.table(clamped).await.expect("a table");
    assert_eq!(read_to_end(&mut *table).await, []);
    let found = ground.admin().describe_topic(&topic).await;
    assert!(found.expect("a description").is_some());
}

pub(super) async fn a_write_tells_where_its_records_are(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let mut table = ground
        .log
        .table(options(&subject.unique("offsets"), 3))
        .await
        .expect("a table");
    let mut told = Vec::new();
    for round in 0..3 {
        let keys: Vec<String> = (0..40)
            .map(|i| format!("k{}", (i * 7 + round) % 11))
            .collect();
        let writes: Vec<TableWrite> = keys.iter().map(|k| put(k, Some("v"))).collect();
        let offsets = table.writer().put(&writes).await.expect("put");
        assert_eq!(offsets.len(), writes.len());
        let places = keys.into_iter().zip(offsets);
        told.extend(places.map(|(k, o)| (partition_for_key(k.as_bytes(), 3), o, k)));
    }
    let mut read = Vec::new();
    table
        .read_to_end(&mut |r| {
            let key = String::from_utf8_lossy(r.key.expect("a key")).into_owned();
            read.push((r.partition, r.offset, key));
        })
        .await
        .expect("reading to the end");
    told.sort();
    read.sort();
    assert_eq!(told, read);
}

pub(super) async fn an_empty_table_ends_at_once(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let mut table = ground
        .log
        .table(options(&subject.unique("empty"), 5))
        .await
        .expect("a table");
    assert_eq!(read_to_end(&mut *table).await, []);
    let offsets = table.writer().put(&[]).await.expect("putting nothing");
    assert_eq!(offsets, []);
    let none = table
        .follow(Duration::from_millis(10), &mut |_| {})
        .await
        .expect("follow");
    assert_eq!(none, 0);
}

pub(super) async fn a_compacted_topic_takes_no_record_without_a_key(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground
        .topic("keyless", 1, &[("cleanup.policy", "compact")])
        .await;
    let mut records = crate::RecordBatch::new();
    let index = records.topic(&topic);
    records.append(index, 0, -1, None, Some(b"v"));
    let results = ground
        .send_all(&mut *ground.producer().await, &records)
        .await;
    assert!(
        results[0].as_ref().is_err_and(|e| !e.is_retriable()),
        "{results:?}"
    );
}
