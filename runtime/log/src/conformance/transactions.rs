use std::collections::BTreeSet;
use std::time::Duration;

use super::Subject;
use super::ground::{Ground, batch, texts};
use crate::{LogError, RecordBatch, TopicPartition};

pub(super) async fn a_transaction_is_seen_whole_across_partitions(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (a, b) = (
        ground.topic("whole-a", 2, &[]).await,
        ground.topic("whole-b", 1, &[]).await,
    );
    let mut producer = ground.transactional(&subject.unique("whole")).await;
    for i in 0..10 {
        let value = i.to_string();
        producer
            .append(&batch(&a, &[(0, "k", &value), (1, "k", &value)]))
            .await
            .expect("append");
        producer
            .append(&batch(&b, &[(0, "k", &value)]))
            .await
            .expect("append");
        match i % 3 {
            0 => producer.abort().await.expect("abort"),
            _ => producer.commit().await.expect("commit"),
        }
    }
    let kept: Vec<String> = (0..10)
        .filter(|i| i % 3 != 0)
        .map(|i| i.to_string())
        .collect();
    let got = ground.read(&a, 2, 2 * kept.len()).await;
    for partition in 0..2 {
        let mine: Vec<_> = got
            .iter()
            .filter(|r| r.partition == partition)
            .cloned()
            .collect();
        assert_eq!(texts(&mine), kept);
    }
    assert_eq!(texts(&ground.read(&b, 1, kept.len()).await), kept);
}

pub(super) async fn nothing_of_an_open_transaction_is_seen(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("open", 1, &[]).await;
    let mut reader = ground.reader(&topic, &[(0, -2)]).await;
    let mut producer = ground.transactional(&subject.unique("open")).await;
    producer
        .append(&batch(&topic, &[(0, "k", "a"), (0, "k", "b")]))
        .await
        .expect("append");
    assert!(
        reader
            .next(Duration::from_millis(200))
            .await
            .expect("nothing")
            .records
            .is_empty()
    );
    producer.commit().await.expect("commit");
    assert_eq!(texts(&ground.take(&mut *reader, 2).await), ["a", "b"]);
}

pub(super) async fn an_aborted_transaction_is_never_seen(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("aborted", 1, &[]).await;
    let mut producer = ground.transactional(&subject.unique("aborted")).await;
    producer
        .append(&batch(&topic, &[(0, "k", "dropped")]))
        .await
        .expect("append");
    producer.abort().await.expect("abort");
    producer
        .append(&batch(&topic, &[(0, "k", "kept")]))
        .await
        .expect("append");
    producer.commit().await.expect("commit");
    assert_eq!(texts(&ground.read(&topic, 1, 1).await), ["kept"]);
}

pub(super) async fn a_dropped_producer_leaves_nothing_behind(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("dropped", 1, &[]).await;
    let id = subject.unique("dropped");
    let mut first = ground.transactional(&id).await;
    first
        .append(&batch(&topic, &[(0, "k", "half")]))
        .await
        .expect("append");
    drop(first);
    let mut second = ground.transactional(&id).await;
    second
        .append(&batch(&topic, &[(0, "k", "whole")]))
        .await
        .expect("append");
    second.commit().await.expect("commit");
    assert_eq!(texts(&ground.read(&topic, 1, 1).await), ["whole"]);
}

pub(super) async fn positions_commit_with_their_records(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (input, output) = (
        ground.topic("in", 2, &[]).await,
        ground.topic("out", 1, &[]).await,
    );
    ground.write(&input, &[(0, "k", "a"), (1, "k", "b")]).await;
    let group = subject.unique("positions");
    let mut producer = ground.transactional(&group).await;
    producer
        .append(&batch(&output, &[(0, "k", "aborted")]))
        .await
        .expect("append");
    producer
        .commit_group_offsets(&group, &[(TopicPartition::new(input.as_str(), 0), 7)])
        .await
        .expect("positions");
    producer.abort().await.expect("abort");
    assert_eq!(
        ground
            .admin()
            .group_offsets(&group)
            .await
            .expect("positions"),
        []
    );

    producer
        .append(&batch(&output, &[(0, "k", "committed")]))
        .await
        .expect("append");
    let offsets = [
        (TopicPartition::new(input.as_str(), 1), 1),
        (TopicPartition::new(input.as_str(), 0), 1),
    ];
    producer
        .commit_group_offsets(&group, &offsets)
        .await
        .expect("positions");
    producer.commit().await.expect("commit");
    let stored = ground
        .admin()
        .group_offsets(&group)
        .await
        .expect("positions");
    assert_eq!(
        stored
            .iter()
            .map(|o| (o.partition.partition, o.offset))
            .collect::<Vec<_>>(),
        [(0, 1), (1, 1)]
    );
    assert_eq!(texts(&ground.read(&output, 1, 1).await), ["committed"]);
}

pub(super) async fn a_newer_producer_fences_the_older_one(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("fenced", 1, &[]).await;
    let group = subject.unique("fenced");
    let mut old = ground.transactional(&group).await;
    old.append(&batch(&topic, &[(0, "k", "before")]))
        .await
        .expect("append");
    old.commit().await.expect("commit");
    old.append(&batch(&topic, &[(0, "k", "late")]))
        .await
        .expect("append");
    old.commit_group_offsets(&group, &[(TopicPartition::new(topic.as_str(), 0), 1)])
        .await
        .expect("positions");
    let mut new = ground.transactional(&group).await;
    let error = old.commit().await.expect_err("the old producer's commit");
    assert!(matches!(error, LogError::Fenced(_)), "{error:?}");
    // Whichever of the two notices.
    let again = match old.append(&batch(&topic, &[(0, "k", "later")])).await {
        Ok(()) => old.commit().await,
        error => error,
    };
    assert!(matches!(again, Err(LogError::Fenced(_))), "{again:?}");
    new.append(&batch(&topic, &[(0, "k", "after")]))
        .await
        .expect("append");
    new.commit().await.expect("commit");
    assert_eq!(texts(&ground.read(&topic, 1, 2).await), ["before", "after"]);
    assert_eq!(
        ground
            .admin()
            .group_offsets(&group)
            .await
            .expect("positions"),
        []
    );
}

pub(super) async fn producers_with_other_ids_are_not_fenced(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("other-id", 1, &[]).await;
    let mut one = ground.transactional(&subject.unique("one")).await;
    let mut two = ground.transactional(&subject.unique("two")).await;
    one.append(&batch(&topic, &[(0, "k", "1")]))
        .await
        .expect("append");
    two.append(&batch(&topic, &[(0, "k", "2")]))
        .await
        .expect("append");
    one.commit().await.expect("commit");
    two.commit().await.expect("commit");
    let got: BTreeSet<String> = texts(&ground.read(&topic, 1, 2).await)
        .into_iter()
        .collect();
    assert_eq!(got, ["1".to_owned(), "2".to_owned()].into());
}

pub(super) async fn a_refused_record_spoils_its_transaction_only(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground
        .topic("spoiled", 1, &[("max.message.bytes", "20000")])
        .await;
    let noise: Vec<u8> = (0..60_000u32)
        .map(|i| (crate::partitioner::murmur2(&i.to_be_bytes()) >> 8) as u8)
        .collect();
    let mut large = RecordBatch::new();
    let index = large.topic(&topic);
    large.append(index, 0, -1, None, Some(&noise));
    let mut producer = ground.transactional(&subject.unique("spoiled")).await;
    producer
        .append(&batch(&topic, &[(0, "k", "with it")]))
        .await
        .expect("append");
    let result = match producer.append(&large).await {
        Ok(()) => producer.commit().await,
        error => error,
    };
    assert!(
        matches!(result, Err(LogError::RecordTooLarge { .. })),
        "{result:?}"
    );
    assert!(
        producer.commit().await.is_err(),
        "a spoiled transaction cannot be committed"
    );
    producer.abort().await.expect("abort");
    producer
        .append(&batch(&topic, &[(0, "k", "next")]))
        .await
        .expect("append");
    producer.commit().await.expect("commit");
    assert_eq!(texts(&ground.read(&topic, 1, 1).await), ["next"]);
}

pub(super) async fn a_large_transaction_is_one(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("large", 2, &[]).await;
    let mut producer = ground.transactional(&subject.unique("large")).await;
    for pass in 0..2 {
        let mut records = RecordBatch::new();
        let index = records.topic(&topic);
        for chunk in 0..10i32 {
            records.clear();
            for i in 0..500 {
                let number = chunk * 500 + i;
                records.append(
                    index,
                    number % 2,
                    -1,
                    Some(&number.to_be_bytes()),
                    Some(&[pass; 400]),
                );
            }
            producer.append(&records).await.expect("append");
        }
        match pass {
            0 => producer.abort().await.expect("abort"),
            _ => producer.commit().await.expect("commit"),
        }
    }
    let got = ground.read(&topic, 2, 5000).await;
    for partition in 0..2 {
        let mine: Vec<_> = got.iter().filter(|r| r.partition == partition).collect();
        assert!(
            mine.iter().all(|r| r.value == Some(vec![1; 400])),
            "nothing of the aborted one"
        );
        let keys: Vec<Vec<u8>> = mine.iter().filter_map(|r| r.key.clone()).collect();
        assert_eq!(
            keys,
            (0..5000i32)
                .filter(|i| i % 2 == partition)
                .map(|i| i.to_be_bytes().to_vec())
                .collect::<Vec<_>>()
        );
    }
}

pub(super) async fn committing_nothing_is_fine(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let mut producer = ground.transactional(&subject.unique("nothing")).await;
    producer.commit().await.expect("commit of nothing");
    producer.abort().await.expect("abort of nothing");
    producer
        .append(&RecordBatch::new())
        .await
        .expect("append of nothing");
    producer.commit().await.expect("commit of nothing");
}
