use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_log::{
    Log as _, LogError, NewTopic, ProducerOptions, ReaderOptions, RecordBatch, TimestampType,
    TopicPartition,
};
use millrace_testkit::{Kafka, free_port, unique, wait_until};

use crate::client::{
    PATIENCE, append, batch, connect, producer, send_all, settings, shared, topic, values,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_is_identified_and_a_missing_one_is_named() -> Result<()> {
    let log = shared().await?;
    assert_eq!(log.cluster_id().await?.len(), 22);
    assert_eq!(log.kind(), "kafka");

    let nobody = format!("127.0.0.1:{}", free_port());
    let start = Instant::now();
    // On a task of its own, as a worker may do it.
    let options = KafkaOptions {
        properties: settings(&[
            ("bootstrap.servers", &nobody),
            ("default.api.timeout.ms", "7000"),
        ]),
    };
    let error = tokio::spawn(async move { KafkaLog::connect(options).await.map(|_| ()) })
        .await?
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("bootstrap.servers") && error.contains(&nobody),
        "{error}"
    );
    // Longer than one round of complaints, and no longer than it was told.
    let waited = start.elapsed();
    assert!(
        (Duration::from_secs(6)..Duration::from_secs(15)).contains(&waited),
        "{waited:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_values_headers_and_timestamps_come_back_as_sent() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 1, &[]).await?;
    let mut batch = RecordBatch::new();
    let t = batch.topic(&topic);
    let name: Arc<str> = Arc::from("h");
    batch.begin();
    batch.end_key(false);
    batch.arena().extend_from_slice(b"v");
    batch.end_value(true);
    batch.header(&name, Some(b"1"));
    batch.header(&name, None);
    batch.header(&name, Some(b""));
    batch.push(t, 0, 1_700_000_000_123);
    batch.append(t, 0, 5, Some(b""), Some(b""));
    batch.append(t, 0, 6, Some(b"k"), None);
    let mut producer = producer(&*log, &[]).await?;
    let deliveries = send_all(&mut *producer, &batch).await?;
    let mut placed: Vec<_> = deliveries
        .into_iter()
        .map(|d| (d.sequence, d.result.unwrap()))
        .collect();
    placed.sort_unstable();
    assert_eq!(placed, vec![(0, (0, 0)), (1, (0, 1)), (2, (0, 2))]);

    let mut reader = log
        .reader(ReaderOptions {
            client_id: "r".into(),
            from: vec![(TopicPartition::new(&*topic, 0), 0)],
            settings: Vec::new(),
        })
        .await?;
    let got = reader.next(PATIENCE).await?;
    assert_eq!(got.records.len(), 3);
    let [a, b, c] = &got.records[..] else {
        unreachable!()
    };
    assert_eq!((got.key(a), got.value(a)), (None, Some(&b"v"[..])));
    assert_eq!(
        (a.timestamp, a.timestamp_type),
        (1_700_000_000_123, TimestampType::CreateTime)
    );
    let headers: Vec<_> = got
        .headers(a)
        .map(|(n, v)| (n.to_string(), v.map(|v| got.slice(v).to_vec())))
        .collect();
    assert_eq!(
        headers,
        vec![
            ("h".into(), Some(b"1".to_vec())),
            ("h".into(), None),
            ("h".into(), Some(Vec::new()))
        ]
    );
    assert_eq!(
        (got.key(b), got.value(b), b.timestamp),
        (Some(&b""[..]), Some(&b""[..]), 5)
    );
    assert_eq!((got.key(c), got.value(c)), (Some(&b"k"[..]), None));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_takes_fewer_and_loses_nothing() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 1, &[]).await?;
    let big = "x".repeat(10_000);
    let batch = batch(&topic, 0, (0..2_000).map(|n| format!("{n}:{big}")));
    let mut producer = producer(&*log, &[("buffer.memory", "1000000")]).await?;
    let first = producer.send(&batch, 0)?;
    assert!(
        first > 0 && first < 200,
        "{first} records in a queue of 1 MB"
    );
    let (mut taken, mut out) = (first, Vec::new());
    while out.len() < batch.len() {
        producer.wait(PATIENCE).await;
        producer.deliveries(&mut out);
        taken += producer.send(&batch, taken)?;
    }
    let numbers: Vec<usize> = values(&*log, &topic, 0)
        .await?
        .iter()
        .map(|v| v.split(':').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (0..2_000).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_fails_alone() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 1, &[]).await?;
    let batch = batch(
        &topic,
        0,
        [
            "small".to_owned(),
            "x".repeat(2_000_000),
            "after".to_owned(),
        ]
        .into_iter(),
    );
    let mut producer = producer(&*log, &[]).await?;
    for delivery in send_all(&mut *producer, &batch).await? {
        match (delivery.sequence, delivery.result) {
            (1, Err(LogError::RecordTooLarge { size, limit, .. })) => {
                assert_eq!((size, limit), (2_000_003, 1_048_576))
            }
            (0 | 2, Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(values(&*log, &topic, 0).await?, ["small", "after"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_partition_is_reported_by_the_delivery() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 1, &[]).await?;
    let mut producer = producer(&*log, &[]).await?;
    let out = send_all(
        &mut *producer,
        &batch(&topic, 7, std::iter::once("x".to_owned())),
    )
    .await?;
    assert!(
        matches!(&out[0].result, Err(LogError::UnknownTopic(t)) if *t == topic),
        "{out:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_to_the_partition_that_java_chooses() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 12, &[]).await?;
    let mut batch = RecordBatch::new();
    let t = batch.topic(&topic);
    // murmur2 as in org.apache.kafka.common.utils.Utils, positive, modulo 12.
    let keys: [(&[u8], i32); 4] = [
        (b"21", 0),
        (b"foobar", 0),
        (b"a-little-bit-long-string", 0),
        (b"", 0),
    ];
    for (key, _) in keys {
        batch.append(t, -1, -1, Some(key), Some(b"v"));
    }
    let expected: Vec<i32> = [-973_932_308_i32, -790_332_482, -985_981_536, 275_646_681]
        .iter()
        .map(|h| (h & 0x7fff_ffff) % 12)
        .collect();
    let mut producer = producer(&*log, &[]).await?;
    let mut out = send_all(&mut *producer, &batch).await?;
    out.sort_by_key(|d| d.sequence);
    let got: Vec<i32> = out.into_iter().map(|d| d.result.unwrap().0).collect();
    assert_eq!(got, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_waits_for_everything_and_tells_when_it_cannot() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 1, &[]).await?;
    // A linger that would outlast the test, if flush did not cut it short.
    let mut producer = producer(&*log, &[("linger.ms", "300000")]).await?;
    producer.send(&batch(&topic, 0, (0..10).map(|n| n.to_string())), 0)?;
    producer.flush(PATIENCE).await?;
    let mut out = Vec::new();
    producer.deliveries(&mut out);
    assert_eq!(out.len(), 10);
    assert!(out.iter().all(|d| d.result.is_ok()));

    let lost = producer_to_nowhere(&log).await?;
    let mut lost = lost;
    lost.send(&batch(&topic, 0, std::iter::once("x".to_owned())), 0)?;
    assert!(matches!(
        lost.flush(Duration::from_millis(200)).await,
        Err(LogError::Timeout(_))
    ));
    Ok(())
}

async fn producer_to_nowhere(
    log: &millrace_kafka::KafkaLog,
) -> Result<Box<dyn millrace_log::Producer>> {
    let nobody = format!("127.0.0.1:{}", free_port());
    producer(log, &[("bootstrap.servers", &nobody)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_seen_whole_or_not_at_all() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 2, &[]).await?;
    let id = unique("txn");
    let mut producer = log
        .transactional_producer(&id, ProducerOptions::default())
        .await?;
    producer
        .append(&batch(&topic, 0, (0..3).map(|n| format!("a{n}"))))
        .await?;
    producer
        .append(&batch(&topic, 1, (0..3).map(|n| format!("b{n}"))))
        .await?;
    producer.commit().await?;
    producer
        .append(&batch(&topic, 0, (0..3).map(|n| format!("aborted{n}"))))
        .await?;
    producer.abort().await?;
    producer
        .append(&batch(&topic, 0, std::iter::once("last".to_owned())))
        .await?;
    let group = unique("group");
    producer
        .commit_group_offsets(&group, &[(TopicPartition::new(&*topic, 1), 2)])
        .await?;
    assert_eq!(values_below_open(&log, &topic).await?, ["a0", "a1", "a2"]);
    let start = Instant::now();
    producer.commit().await?;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(values(&*log, &topic, 0).await?, ["a0", "a1", "a2", "last"]);
    assert_eq!(values(&*log, &topic, 1).await?, ["b0", "b1", "b2"]);
    let offsets = log.admin().group_offsets(&group).await?;
    assert_eq!(offsets.iter().map(|o| o.offset).collect::<Vec<_>>(), [2]);
    Ok(())
}

/// What a reader sees of partition 0 while a transaction is open on it.
async fn values_below_open(log: &millrace_kafka::KafkaLog, topic: &str) -> Result<Vec<String>> {
    let mut reader = log
        .reader(ReaderOptions {
            client_id: "r".into(),
            from: vec![(TopicPartition::new(topic, 0), -2)],
            settings: Vec::new(),
        })
        .await?;
    let mut out = Vec::new();
    while out.len() < 3 {
        let got = reader.next(PATIENCE).await?;
        out.extend(
            got.records
                .iter()
                .map(|r| String::from_utf8_lossy(got.value(r).unwrap()).into_owned()),
        );
    }
    let more = reader.next(Duration::from_millis(300)).await?;
    assert!(more.records.is_empty());
    Ok(out)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_producer_with_the_same_id_is_fenced() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 1, &[]).await?;
    let id = unique("txn");
    let mut old = log
        .transactional_producer(&id, ProducerOptions::default())
        .await?;
    old.append(&batch(
        &topic,
        0,
        std::iter::once("of the old one".to_owned()),
    ))
    .await?;
    let mut new = log
        .transactional_producer(&id, ProducerOptions::default())
        .await?;
    let fenced = match old
        .append(&batch(&topic, 0, std::iter::once("late".to_owned())))
        .await
    {
        Ok(()) => old.commit().await,
        error => error,
    };
    assert!(matches!(fenced, Err(LogError::Fenced(_))), "{fenced:?}");
    new.append(&batch(
        &topic,
        0,
        std::iter::once("of the new one".to_owned()),
    ))
    .await?;
    new.commit().await?;
    assert_eq!(values(&*log, &topic, 0).await?, ["of the new one"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_described_and_deleted() -> Result<()> {
    let log = shared().await?;
    let admin = log.admin();
    let name = topic(&*log, 3, &[("retention.ms", "1234567")]).await?;
    let described = admin.describe_topic(&name).await?.unwrap();
    assert_eq!((described.partitions, described.replication_factor), (3, 1));
    let again = NewTopic {
        name: name.clone(),
        partitions: 1,
        replication_factor: 1,
        settings: Vec::new(),
    };
    assert!(matches!(admin.create_topic(&again).await, Err(LogError::TopicExists(t)) if t == name));
    let bad = NewTopic {
        name: unique("t"),
        partitions: 1,
        replication_factor: 1,
        settings: settings(&[("retention.ms", "soon")]),
    };
    let error = admin.create_topic(&bad).await.unwrap_err();
    assert!(
        matches!(error, LogError::Config(_)) && error.to_string().contains("retention.ms"),
        "{error}"
    );
    let found = admin.topic_settings(&name).await?;
    assert!(
        found.contains(&("retention.ms".into(), "1234567".into()))
            && found.contains(&("cleanup.policy".into(), "delete".into()))
    );
    assert!(admin.list_topics().await?.contains(&name));
    append(&*log, &name, 1, (0..5).map(|n| n.to_string())).await?;
    let all: Vec<_> = (0..3).map(|p| TopicPartition::new(&*name, p)).collect();
    assert_eq!(admin.offsets(&all).await?, [(0, 0), (0, 5), (0, 0)]);
    assert!(matches!(
        admin.offsets(&[TopicPartition::new(&*name, 9)]).await,
        Err(LogError::UnknownTopic(_))
    ));
    admin.delete_topic(&name).await?;
    assert_eq!(admin.describe_topic(&name).await?, None);
    assert!(matches!(
        admin.delete_topic(&name).await,
        Err(LogError::UnknownTopic(_))
    ));
    assert!(matches!(
        admin.topic_settings(&name).await,
        Err(LogError::UnknownTopic(_))
    ));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_log_ends_its_threads_and_refuses_calls() -> Result<()> {
    let log = connect(&Kafka::shared().await?.bootstrap()).await?;
    let topic = topic(&*log, 1, &[]).await?;
    let mut producer = producer(&*log, &[]).await?;
    let mut reader = log
        .reader(ReaderOptions {
            client_id: "r".into(),
            from: vec![(TopicPartition::new(&*topic, 0), -2)],
            settings: Vec::new(),
        })
        .await?;
    log.close().await?;
    assert!(matches!(
        producer.send(&batch(&topic, 0, std::iter::once("x".to_owned())), 0),
        Err(LogError::Closed)
    ));
    wait_until(PATIENCE, "the reader is closed", async || {
        Ok(matches!(reader.next(Duration::ZERO).await, Err(LogError::Closed)).then_some(()))
    })
    .await?;
    assert!(matches!(
        log.producer(ProducerOptions::default()).await,
        Err(LogError::Closed)
    ));
    assert!(matches!(
        log.admin().list_topics().await,
        Err(LogError::Closed)
    ));
    Ok(())
}
