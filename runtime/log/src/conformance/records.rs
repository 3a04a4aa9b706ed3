use std::sync::Arc;
use std::time::Duration;

use super::Subject;
use super::ground::{Ground, batch, settings, texts};
use crate::partitioner::{murmur2, partition_for_key};
use crate::{
    LogError, NewTopic, ProducerOptions, ReaderOptions, RecordBatch, TableOptions, TimestampType,
    TopicPartition,
};

pub(super) async fn order_is_kept_within_a_partition(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("order", 3, &[]).await;
    let mut producer = ground.producer().await;
    for round in 0..5 {
        let values: Vec<String> = (0..300).map(|i| format!("{}", round * 300 + i)).collect();
        let records: Vec<(i32, &str, &str)> = values
            .iter()
            .enumerate()
            .map(|(i, v)| (i as i32 % 3, "k", v.as_str()))
            .collect();
        let results = ground
            .send_all(&mut *producer, &batch(&topic, &records))
            .await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    let got = ground.read(&topic, 3, 1500).await;
    for partition in 0..3 {
        let mine: Vec<_> = got.iter().filter(|r| r.partition == partition).collect();
        assert!(
            mine.is_sorted_by(|a, b| a.offset < b.offset),
            "offsets rise"
        );
        let values: Vec<i32> = mine
            .iter()
            .map(|r| r.text().parse().expect("a number"))
            .collect();
        assert_eq!(
            values,
            (0..1500).filter(|v| v % 3 == partition).collect::<Vec<_>>()
        );
    }
}

pub(super) async fn deliveries_name_where_records_are_read(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("place", 2, &[]).await;
    let places = ground
        .write(
            &topic,
            &[(0, "a", "0"), (1, "b", "1"), (0, "c", "2"), (1, "d", "3")],
        )
        .await;
    let got = ground.read(&topic, 2, 4).await;
    for (i, place) in places.iter().enumerate() {
        let record = got
            .iter()
            .find(|r| r.text() == i.to_string())
            .expect("the record");
        assert_eq!((record.partition, record.offset), *place);
    }
}

pub(super) async fn null_and_empty_are_kept_apart(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("null", 1, &[]).await;
    type Bytes<'a> = Option<&'a [u8]>;
    let cases: [(Bytes<'_>, Bytes<'_>); 5] = [
        (None, None),
        (Some(b""), Some(b"")),
        (None, Some(b"v")),
        (Some(b"k"), None),
        (Some(b""), None),
    ];
    let mut records = RecordBatch::new();
    let index = records.topic(&topic);
    for (key, value) in cases {
        records.append(index, 0, -1, key, value);
    }
    ground
        .send_all(&mut *ground.producer().await, &records)
        .await;
    let got = ground.read(&topic, 1, 5).await;
    let got: Vec<_> = got
        .iter()
        .map(|r| (r.key.as_deref(), r.value.as_deref()))
        .collect();
    assert_eq!(got, cases);
}

pub(super) async fn headers_are_kept_in_order(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("headers", 1, &[]).await;
    let headers: [(&str, Option<&[u8]>); 5] = [
        ("b", Some(b"1")),
        ("a", None),
        ("b", Some(b"")),
        ("b", Some(b"1")),
        ("ü", Some(&[0, 255])),
    ];
    let mut records = RecordBatch::new();
    let index = records.topic(&topic);
    records.begin();
    records.end_key(false);
    records.arena().extend_from_slice(b"with");
    records.end_value(true);
    for (name, value) in headers {
        records.header(&Arc::from(name), value);
    }
    records.push(index, 0, -1);
    records.append(index, 0, -1, None, Some(b"without"));
    ground
        .send_all(&mut *ground.producer().await, &records)
        .await;
    let got = ground.read(&topic, 1, 2).await;
    assert_eq!(texts(&got), ["with", "without"]);
    let first: Vec<_> = got[0]
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_deref()))
        .collect();
    assert_eq!(first, headers);
    assert!(got[1].headers.is_empty());
}

pub(super) async fn timestamps_are_kept(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    // Without the guard a broker would refuse records from the year 1970.
    let topic = ground.topic("stamps", 1, &[("retention.ms", "-1")]).await;
    let mut records = RecordBatch::new();
    let index = records.topic(&topic);
    let stamps = [
        1_700_000_000_123,
        subject.least_timestamp(),
        1_699_999_999_999,
        1_700_000_000_123,
    ];
    for stamp in stamps {
        records.append(index, 0, stamp, None, Some(b"v"));
    }
    let before = crate::local::now_ms();
    records.append(index, 0, -1, None, Some(b"now"));
    ground
        .send_all(&mut *ground.producer().await, &records)
        .await;
    let got = ground.read(&topic, 1, 5).await;
    assert_eq!(
        got[..4].iter().map(|r| r.timestamp).collect::<Vec<_>>(),
        stamps
    );
    assert!(
        (before - 60_000..=crate::local::now_ms() + 60_000).contains(&got[4].timestamp),
        "{} is now",
        got[4].timestamp
    );
    assert!(
        got.iter()
            .all(|r| r.timestamp_type == TimestampType::CreateTime)
    );
}

pub(super) async fn append_time_replaces_the_senders(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground
        .topic(
            "append-time",
            1,
            &[("message.timestamp.type", "LogAppendTime")],
        )
        .await;
    let mut records = RecordBatch::new();
    let index = records.topic(&topic);
    records.append(index, 0, 1_700_000_000_123, None, Some(b"v"));
    let before = crate::local::now_ms();
    ground
        .send_all(&mut *ground.producer().await, &records)
        .await;
    let got = ground.read(&topic, 1, 1).await;
    assert_eq!(got[0].timestamp_type, TimestampType::LogAppendTime);
    assert!(got[0].timestamp >= before - 60_000);
}

pub(super) async fn keys_go_where_java_sends_them(subject: &dyn Subject) {
    assert_eq!(murmur2(b"21"), -973_932_308, "the hash itself");
    let ground = Ground::new(subject).await;
    let topic = ground.topic("keys", 7, &[]).await;
    let keys: Vec<String> = (0..100).map(|i| format!("key-{i}")).collect();
    let records: Vec<(i32, &str, &str)> = keys.iter().map(|k| (-1, k.as_str(), "v")).collect();
    for (key, (partition, _)) in keys.iter().zip(ground.write(&topic, &records).await) {
        assert_eq!(
            partition,
            partition_for_key(key.as_bytes(), 7),
            "partition of {key}"
        );
    }
}

pub(super) async fn a_large_batch_passes_through_a_small_buffer(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("large", 2, &[]).await;
    let mut records = RecordBatch::new();
    let index = records.topic(&topic);
    for i in 0..20_000i32 {
        records.append(index, i % 2, -1, Some(&i.to_be_bytes()), Some(&[7; 200]));
    }
    let options = ProducerOptions {
        client_id: "small".into(),
        settings: settings(&[("buffer.memory", "1048576")]),
    };
    let mut producer = ground.log.producer(options).await.expect("a producer");
    let results = ground.send_all(&mut *producer, &records).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 20_000);
    producer
        .flush(subject.patience())
        .await
        .expect("nothing is in flight");
    let got = ground.read(&topic, 2, 20_000).await;
    for partition in 0..2 {
        let keys: Vec<i32> = got
            .iter()
            .filter(|r| r.partition == partition)
            .map(key_number)
            .collect();
        assert_eq!(
            keys,
            (0..20_000)
                .filter(|i| i % 2 == partition)
                .collect::<Vec<_>>()
        );
    }
}

fn key_number(record: &super::ground::Got) -> i32 {
    i32::from_be_bytes(
        record
            .key
            .as_deref()
            .and_then(|k| k.try_into().ok())
            .expect("a key of 4 bytes"),
    )
}

pub(super) async fn a_record_that_is_too_large_is_refused_alone(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground
        .topic("too-large", 1, &[("max.message.bytes", "20000")])
        .await;
    // Bytes that no codec can shrink, so that every log sees the size.
    let noise: Vec<u8> = (0..60_000u32)
        .map(|i| (murmur2(&i.to_be_bytes()) >> 8) as u8)
        .collect();
    let mut producer = ground.producer().await;
    let mut records = RecordBatch::new();
    let index = records.topic(&topic);
    records.append(index, 0, -1, None, Some(&noise));
    let results = ground.send_all(&mut *producer, &records).await;
    assert!(
        matches!(&results[0], Err(LogError::RecordTooLarge { topic: t, .. }) if *t == topic),
        "{results:?}"
    );
    assert!(
        ground
            .send_all(&mut *producer, &batch(&topic, &[(0, "k", "small")]))
            .await[0]
            .is_ok()
    );
    assert_eq!(texts(&ground.read(&topic, 1, 1).await), ["small"]);
}

pub(super) async fn a_partition_that_does_not_exist_is_refused(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("no-partition", 2, &[]).await;
    let results = ground
        .send_all(
            &mut *ground.producer().await,
            &batch(&topic, &[(0, "k", "a"), (2, "k", "b")]),
        )
        .await;
    assert!(
        results[0].is_ok() && matches!(results[1], Err(LogError::UnknownTopic(_))),
        "{results:?}"
    );
}

pub(super) async fn a_missing_topic_is_made_by_the_first_record(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = subject.unique("made");
    assert_eq!(
        ground
            .write(&topic, &[(-1, "k", "a"), (-1, "k", "b")])
            .await
            .len(),
        2
    );
    assert_eq!(texts(&ground.read(&topic, 1, 2).await), ["a", "b"]);
}

pub(super) async fn readers_start_where_they_are_told(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("start", 2, &[]).await;
    let records = [
        (0, "k", "a"),
        (0, "k", "b"),
        (0, "k", "c"),
        (1, "k", "x"),
        (1, "k", "y"),
    ];
    let places = ground.write(&topic, &records).await;
    let mut oldest = ground.reader(&topic, &[(0, -2)]).await;
    assert_eq!(texts(&ground.take(&mut *oldest, 3).await), ["a", "b", "c"]);
    let mut exact = ground
        .reader(&topic, &[(0, places[1].1), (1, places[4].1)])
        .await;
    let mut got = texts(&ground.take(&mut *exact, 3).await);
    got.sort();
    assert_eq!(got, ["b", "c", "y"]);
    let next: i64 = exact
        .positions()
        .iter()
        .filter(|(p, _)| p.partition == 0)
        .map(|(_, o)| *o)
        .sum();
    assert!(next > places[2].1, "the position is behind the last record");
    let mut end = ground.reader(&topic, &[(0, -1), (1, -2)]).await;
    // What was there comes only from partition 1; once it is here, the start in partition 0 is settled.
    assert_eq!(texts(&ground.take(&mut *end, 2).await), ["x", "y"]);
    ground.write(&topic, &[(0, "k", "new")]).await;
    assert_eq!(texts(&ground.take(&mut *end, 1).await), ["new"]);
}

pub(super) async fn a_reader_hears_of_new_records(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("news", 1, &[]).await;
    let mut reader = ground.reader(&topic, &[(0, -2)]).await;
    assert!(
        reader
            .next(Duration::from_millis(20))
            .await
            .expect("an empty batch")
            .records
            .is_empty()
    );
    for i in 0..20 {
        let value = i.to_string();
        let (got, _) = tokio::join!(ground.take(&mut *reader, 1), async {
            ground.write(&topic, &[(0, "k", &value)]).await
        });
        assert_eq!(texts(&got), [value]);
    }
}

pub(super) async fn a_reader_of_an_unknown_topic_fails(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let from = vec![(TopicPartition::new(subject.unique("nowhere"), 0), -2)];
    let options = ReaderOptions {
        client_id: "conformance".into(),
        from,
        settings: Vec::new(),
    };
    let error = match ground.log.reader(options).await {
        Err(error) => error,
        Ok(mut reader) => {
            let deadline = ground.deadline();
            loop {
                assert!(
                    std::time::Instant::now() < deadline,
                    "reading an unknown topic goes on"
                );
                if let Err(error) = reader.next(Duration::from_millis(200)).await {
                    break error;
                }
            }
        }
    };
    assert!(matches!(error, LogError::UnknownTopic(_)), "{error:?}");
}

pub(super) async fn a_closed_log_refuses_everything(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("closed", 1, &[]).await;
    let mut producer = ground.producer().await;
    let mut transactional = ground.transactional(&subject.unique("closed")).await;
    let admin = ground.admin();
    ground.log.close().await.expect("closing");
    let closed = |error: LogError| assert!(matches!(error, LogError::Closed), "{error:?}");
    closed(
        producer
            .send(&batch(&topic, &[(0, "k", "v")]), 0)
            .expect_err("send"),
    );
    closed(
        transactional
            .append(&batch(&topic, &[(0, "k", "v")]))
            .await
            .expect_err("append"),
    );
    closed(
        ground
            .log
            .producer(ProducerOptions::default())
            .await
            .expect_err("a producer"),
    );
    closed(ground.log.cluster_id().await.expect_err("the id"));
    closed(admin.list_topics().await.expect_err("the topics"));
    closed(
        admin
            .create_topic(&NewTopic {
                name: topic.clone(),
                partitions: 1,
                replication_factor: -1,
                settings: Vec::new(),
            })
            .await
            .expect_err("a topic"),
    );
    let table = TableOptions {
        topic,
        partitions: 1,
        replication_factor: -1,
        clamp_replication: false,
        check_policy: true,
        topic_settings: Vec::new(),
        client_id: String::new(),
        settings: Vec::new(),
        named_by: "x",
        purpose: "x",
    };
    closed(ground.log.table(table).await.expect_err("a table"));
}
