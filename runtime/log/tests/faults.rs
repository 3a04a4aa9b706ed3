//! What the in-memory log does when it is told to fail.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use millrace_log::memory::{Fault, MemoryLog};
use millrace_log::{
    Delivery, GroupConsumerOptions, GroupEvent, Log, LogError, Producer, ProducerOptions,
    ReaderOptions, RecordBatch, StartAt, Subscription, TableOptions, TableWrite, TopicPartition,
};

fn batch(values: &[&str]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.topic("t");
    values
        .iter()
        .for_each(|v| batch.append(topic, 0, -1, Some(b"k"), Some(v.as_bytes())));
    batch
}

async fn send(producer: &mut dyn Producer, values: &[&str]) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    assert_eq!(producer.send(&batch(values), 0).unwrap(), values.len());
    producer.deliveries(&mut deliveries);
    deliveries
}

async fn written(log: &MemoryLog) -> Vec<String> {
    if log.admin().describe_topic("t").await.unwrap().is_none() {
        return Vec::new();
    }
    let options = ReaderOptions {
        client_id: String::new(),
        from: vec![(TopicPartition::new("t", 0), -2)],
        settings: Vec::new(),
    };
    let batch = log
        .reader(options)
        .await
        .unwrap()
        .next(Duration::ZERO)
        .await
        .unwrap();
    batch
        .records
        .iter()
        .map(|r| String::from_utf8(batch.value(r).unwrap().to_vec()).unwrap())
        .collect()
}

#[tokio::test]
async fn sends_fail_as_scripted_and_only_lost_acknowledgements_are_written() {
    let log = MemoryLog::new(1);
    let mut producer = log.producer(ProducerOptions::default()).await.unwrap();
    for (fault, value) in [
        (Fault::LostAck, "lost"),
        (Fault::SendRetriable, "again"),
        (Fault::SendFatal, "never"),
    ] {
        log.faults().script_after(fault, 1, 1);
        let deliveries = send(&mut *producer, &["before", value, "after"]).await;
        let results: Vec<_> = deliveries.iter().map(|d| &d.result).collect();
        assert!(results[0].is_ok() && results[2].is_ok());
        match fault {
            Fault::LostAck => assert!(matches!(results[1], Err(LogError::Timeout(_)))),
            Fault::SendRetriable => assert!(results[1].as_ref().unwrap_err().is_retriable()),
            _ => assert!(matches!(results[1], Err(LogError::Fatal { .. }))),
        }
        assert_eq!(log.faults().injected(fault), 1);
    }
    assert_eq!(
        written(&log).await,
        [
            "before", "lost", "after", "before", "after", "before", "after"
        ]
    );
    log.faults().script(Fault::QueueFull, 1);
    assert_eq!(producer.send(&batch(&["x"]), 0).unwrap(), 0);
    assert_eq!(producer.send(&batch(&["x"]), 0).unwrap(), 1);
}

#[tokio::test]
async fn a_producer_is_full_until_its_deliveries_are_taken() {
    let log = MemoryLog::new(1);
    let mut producer = log.producer(ProducerOptions::default()).await.unwrap();
    let large = batch(&["v"; 25_000]);
    let taken = producer.send(&large, 0).unwrap();
    assert!(taken < 25_000);
    assert_eq!(producer.send(&large, taken).unwrap(), 0);
    producer.deliveries(&mut Vec::new());
    assert!(producer.send(&large, taken).unwrap() > 0);
}

#[tokio::test]
async fn transactions_fail_as_scripted() {
    let log = MemoryLog::new(1);
    for (fault, value, kept) in [
        (Fault::TransactionFails, "a", false),
        (Fault::TransactionLostAck, "b", true),
        (Fault::ProducerFenced, "c", false),
    ] {
        let mut producer = log
            .transactional_producer("x", ProducerOptions::default())
            .await
            .unwrap();
        log.faults().script(fault, 1);
        producer.append(&batch(&[value])).await.unwrap();
        let error = producer.commit().await.unwrap_err();
        assert_eq!(
            matches!(error, LogError::Fenced(_)),
            fault == Fault::ProducerFenced
        );
        // The outcome is open, so this producer must not go on.
        assert!(producer.append(&batch(&["more"])).await.is_err());
        assert_eq!(
            written(&log).await.contains(&value.to_owned()),
            kept,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn table_writes_fail_as_scripted() {
    let log = MemoryLog::new(1);
    let options = TableOptions {
        topic: "table".into(),
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
    let mut table = log.table(options).await.unwrap();
    let put = |key: &str| {
        [TableWrite {
            key: key.as_bytes().to_vec(),
            value: Some(Vec::new()),
        }]
    };
    log.faults().script(Fault::TableWriteFails, 1);
    assert!(matches!(
        table.writer().put(&put("fails")).await,
        Err(LogError::Retriable { .. })
    ));
    log.faults().script(Fault::TableWriteLostAck, 1);
    assert!(matches!(
        table.writer().put(&put("lost")).await,
        Err(LogError::Timeout(_))
    ));
    let mut keys = Vec::new();
    table
        .read_to_end(&mut |r| keys.push(r.key.unwrap().to_vec()))
        .await
        .unwrap();
    assert_eq!(keys, [b"lost"]);
}

#[tokio::test(start_paused = true)]
async fn groups_are_disturbed_as_scripted() {
    let log = MemoryLog::new(1);
    send(
        &mut *log.producer(ProducerOptions::default()).await.unwrap(),
        &["a"],
    )
    .await;
    let options = GroupConsumerOptions {
        group: "g".into(),
        client_id: String::new(),
        subscription: Subscription::Pattern("t|u".into()),
        start_at: StartAt::Earliest,
        settings: Vec::new(),
    };
    let place = TopicPartition::new("t", 0);
    let mut member = log.group_consumer(options).await.unwrap();
    let second = Duration::from_secs(1);
    assert!(matches!(member.next(second).await.unwrap(), GroupEvent::Assigned(a) if a.len() == 1));
    log.faults().script(Fault::SlowRead, 1);
    log.faults().slow_read(Duration::from_secs(7));
    let before = tokio::time::Instant::now();
    assert!(matches!(
        member.next(second).await.unwrap(),
        GroupEvent::Records(_)
    ));
    assert_eq!(before.elapsed(), Duration::from_secs(7));

    log.faults().script(Fault::GroupCommitFails, 1);
    assert!(matches!(
        member.commit(&[(place.clone(), 1)]).await,
        Err(LogError::Retriable { .. })
    ));
    assert!(log.admin().group_offsets("g").await.unwrap().is_empty());
    log.faults().script(Fault::GroupCommitLostAck, 1);
    assert!(matches!(
        member.commit(&[(place.clone(), 1)]).await,
        Err(LogError::Timeout(_))
    ));
    assert_eq!(log.admin().group_offsets("g").await.unwrap()[0].offset, 1);

    log.faults().script(Fault::Rebalance, 1);
    assert!(
        matches!(member.next(second).await.unwrap(), GroupEvent::Revoking(p) if p == [place.clone()])
    );
    assert!(matches!(
        member.next(second).await.unwrap(),
        GroupEvent::Idle
    ));
    member.commit(&[(place.clone(), 1)]).await.unwrap();
    member.release().await.unwrap();
    assert!(matches!(
        member.commit(&[(place.clone(), 1)]).await,
        Err(LogError::Fenced(_))
    ));
    assert!(
        matches!(member.next(second).await.unwrap(), GroupEvent::Assigned(a) if a[0].position == 1)
    );
    log.faults().script(Fault::LostPartitions, 1);
    assert!(
        matches!(member.next(second).await.unwrap(), GroupEvent::Lost(p) if p == [place.clone()])
    );
    assert!(matches!(
        member.next(second).await.unwrap(),
        GroupEvent::Assigned(_)
    ));
}

/// Outcome of every record of a run with faults by chance, and where the written ones are.
async fn outcomes(seed: u64) -> Vec<Option<i64>> {
    let log = MemoryLog::new(seed);
    log.faults().probability(Fault::SendRetriable, 0.2);
    let mut producer = log.producer(ProducerOptions::default()).await.unwrap();
    send(&mut *producer, &["v"; 200])
        .await
        .into_iter()
        .map(|d| d.result.ok().map(|(_, offset)| offset))
        .collect()
}

#[tokio::test]
async fn one_seed_gives_one_run() {
    let first = outcomes(5).await;
    assert_eq!(first, outcomes(5).await);
    assert_ne!(first, outcomes(6).await);
    let failed = first.iter().filter(|o| o.is_none()).count();
    assert!((15..75).contains(&failed), "{failed} of 200");
    let offsets: Vec<i64> = first.into_iter().flatten().collect();
    assert!(
        offsets.windows(2).any(|w| w[1] > w[0] + 1),
        "offsets have gaps"
    );
}

#[tokio::test]
async fn reopening_closes_the_old_one_and_keeps_what_was_acknowledged() {
    let log = MemoryLog::new(1);
    let mut producer = log.producer(ProducerOptions::default()).await.unwrap();
    send(&mut *producer, &["a"]).await;
    let again: Arc<MemoryLog> = log.reopen();
    assert!(matches!(
        producer.send(&batch(&["b"]), 0),
        Err(LogError::Closed)
    ));
    assert_eq!(written(&again).await, ["a"]);
}
