use std::time::Instant;

use super::Subject;
use super::ground::{Ground, batch, texts};
use crate::{LogError, NewTopic, RecordBatch, TopicPartition};

pub(super) async fn asking_for_a_missing_topic_does_not_make_it(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = subject.unique("missing");
    for _ in 0..3 {
        assert_eq!(
            ground
                .admin()
                .describe_topic(&topic)
                .await
                .expect("a description"),
            None
        );
    }
    assert!(
        !ground
            .admin()
            .list_topics()
            .await
            .expect("topics")
            .contains(&topic)
    );
}

pub(super) async fn topics_are_made_listed_and_deleted(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (a, b) = (
        ground.topic("a", 3, &[]).await,
        ground.topic("b", 1, &[]).await,
    );
    let description = ground
        .admin()
        .describe_topic(&a)
        .await
        .expect("a description")
        .expect("the topic");
    assert_eq!(
        (
            description.name.as_str(),
            description.partitions,
            description.replication_factor
        ),
        (a.as_str(), 3, 1)
    );
    let listed = ground.admin().list_topics().await.expect("topics");
    assert!(
        listed.is_sorted() && listed.contains(&a) && listed.contains(&b),
        "{listed:?}"
    );
    let again = NewTopic {
        name: a.clone(),
        partitions: 1,
        replication_factor: -1,
        settings: Vec::new(),
    };
    let error = ground
        .admin()
        .create_topic(&again)
        .await
        .expect_err("making it twice");
    assert!(
        matches!(&error, LogError::TopicExists(t) if *t == a),
        "{error:?}"
    );
    ground.write(&a, &[(0, "k", "gone")]).await;
    ground.admin().delete_topic(&a).await.expect("deleting");
    let deadline = ground.deadline();
    while ground
        .admin()
        .describe_topic(&a)
        .await
        .expect("a description")
        .is_some()
    {
        assert!(Instant::now() < deadline, "the topic stays");
        tokio::task::yield_now().await;
    }
    let error = ground
        .admin()
        .delete_topic(&a)
        .await
        .expect_err("deleting it twice");
    assert!(matches!(error, LogError::UnknownTopic(_)), "{error:?}");
    // A topic of the same name is a new one.
    let deadline = ground.deadline();
    while let Err(error) = ground.admin().create_topic(&again).await {
        assert!(
            matches!(error, LogError::TopicExists(_)) && Instant::now() < deadline,
            "{error:?}"
        );
        tokio::task::yield_now().await;
    }
    ground.write(&a, &[(0, "k", "new")]).await;
    assert_eq!(texts(&ground.read(&a, 1, 1).await), ["new"]);
}

pub(super) async fn settings_in_force_are_told(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground
        .topic(
            "settings",
            1,
            &[("cleanup.policy", "compact"), ("retention.ms", "12345")],
        )
        .await;
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
        (
            value("cleanup.policy"),
            value("retention.ms"),
            value("retention.bytes")
        ),
        (Some("compact"), Some("12345"), Some("-1"))
    );
    let wrong = NewTopic {
        name: subject.unique("wrong"),
        partitions: 1,
        replication_factor: -1,
        settings: vec![("cleanup.policy".to_owned(), "shred".to_owned())],
    };
    assert!(
        ground.admin().create_topic(&wrong).await.is_err(),
        "a setting that cannot be obeyed"
    );
    let nameless = NewTopic {
        name: "no such/name".to_owned(),
        partitions: 1,
        replication_factor: -1,
        settings: Vec::new(),
    };
    assert!(
        ground.admin().create_topic(&nameless).await.is_err(),
        "a name that is not allowed"
    );
}

pub(super) async fn offsets_span_the_records(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("span", 2, &[]).await;
    let places: Vec<TopicPartition> = (0..2)
        .map(|n| TopicPartition::new(topic.as_str(), n))
        .collect();
    assert_eq!(
        ground.admin().offsets(&places).await.expect("offsets"),
        [(0, 0), (0, 0)]
    );
    let written = ground.write(&topic, &[(1, "k", "a"), (1, "k", "b")]).await;
    let offsets = ground.admin().offsets(&places).await.expect("offsets");
    assert_eq!(offsets[0], (0, 0));
    assert!(
        offsets[1].0 <= written[0].1 && offsets[1].1 > written[1].1,
        "{offsets:?} {written:?}"
    );
}

pub(super) async fn positions_are_set_and_removed(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("set", 3, &[]).await;
    let group = subject.unique("set");
    let place = |n| TopicPartition::new(topic.as_str(), n);
    let admin = ground.admin();
    assert_eq!(admin.group_offsets(&group).await.expect("positions"), []);
    admin
        .alter_group_offsets(&group, &[(place(2), Some(5)), (place(0), Some(3))])
        .await
        .expect("setting");
    let stored = async || {
        admin
            .group_offsets(&group)
            .await
            .expect("positions")
            .iter()
            .map(|o| (o.partition.partition, o.offset))
            .collect::<Vec<_>>()
    };
    assert_eq!(stored().await, [(0, 3), (2, 5)]);
    admin
        .alter_group_offsets(&group, &[(place(0), None), (place(2), Some(6))])
        .await
        .expect("removing");
    assert_eq!(stored().await, [(2, 6)]);
    assert_eq!(admin.group_members(&group).await.expect("members"), 0);
}

pub(super) async fn what_is_unknown_is_called_so(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let missing = subject.unique("unknown");
    let unknown =
        |error: LogError| assert!(matches!(error, LogError::UnknownTopic(_)), "{error:?}");
    unknown(
        ground
            .admin()
            .topic_settings(&missing)
            .await
            .expect_err("settings"),
    );
    unknown(
        ground
            .admin()
            .delete_topic(&missing)
            .await
            .expect_err("deleting"),
    );
    unknown(
        ground
            .admin()
            .offsets(&[TopicPartition::new(missing.as_str(), 0)])
            .await
            .expect_err("offsets"),
    );
    let topic = ground.topic("known", 1, &[]).await;
    unknown(
        ground
            .admin()
            .offsets(&[TopicPartition::new(topic.as_str(), 1)])
            .await
            .expect_err("offsets"),
    );
}

/// Writes ten batches of 4 kB with the given timestamp.
async fn fill(ground: &Ground<'_>, topic: &str, timestamp: i64) {
    let mut producer = ground.producer().await;
    for n in 0..10u8 {
        let mut records = RecordBatch::new();
        let index = records.topic(topic);
        records.append(index, 0, timestamp, Some(b"k"), Some(&[n; 4000]));
        let results = ground.send_all(&mut *producer, &records).await;
        assert!(results[0].is_ok(), "{results:?}");
    }
}

pub(super) async fn retention_by_size_drops_the_oldest(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground
        .topic("by-size", 1, &[("retention.bytes", "10000")])
        .await;
    fill(&ground, &topic, -1).await;
    let place = [TopicPartition::new(topic.as_str(), 0)];
    let before = ground.admin().offsets(&place).await.expect("offsets")[0];
    if !subject.enforce_retention(&ground.log, &topic).await {
        return;
    }
    let after = ground.admin().offsets(&place).await.expect("offsets")[0];
    assert!(
        after.0 > before.0 && after.1 == before.1,
        "the start moves, the end stays: {before:?} {after:?}"
    );
    // The newest records stay, and a reader from the old start begins at the new one.
    let mut reader = ground.reader(&topic, &[(0, before.0)]).await;
    let mut got = Vec::new();
    while got
        .last()
        .is_none_or(|r: &super::ground::Got| r.value != Some(vec![9; 4000]))
    {
        got.extend(ground.take(&mut *reader, 1).await);
    }
    assert!((3..10).contains(&got.len()), "{} records stay", got.len());
    assert!(got[0].offset >= after.0);
}

pub(super) async fn retention_by_age_drops_the_oldest(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground
        .topic("by-age", 1, &[("retention.ms", "3600000")])
        .await;
    fill(&ground, &topic, crate::local::now_ms() - 7_200_000).await;
    ground.write(&topic, &[(0, "k", "young")]).await;
    if subject.enforce_retention(&ground.log, &topic).await {
        assert_eq!(texts(&ground.read(&topic, 1, 1).await), ["young"]);
    }
}

pub(super) async fn compaction_keeps_the_last_value_and_offsets(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground
        .topic("compacted", 1, &[("cleanup.policy", "compact")])
        .await;
    let mut last = std::collections::BTreeMap::new();
    for round in 0..5 {
        let records: Vec<(String, String)> = (0..40)
            .map(|i| (format!("k{}", i % (7 + round)), format!("{round}-{i}")))
            .collect();
        let records: Vec<(i32, &str, &str)> = records
            .iter()
            .map(|(k, v)| (0, k.as_str(), v.as_str()))
            .collect();
        for ((_, key, value), place) in records.iter().zip(ground.write(&topic, &records).await) {
            last.insert((*key).to_owned(), ((*value).to_owned(), place.1));
        }
    }
    let place = [TopicPartition::new(topic.as_str(), 0)];
    let before = ground.admin().offsets(&place).await.expect("offsets")[0];
    if !subject.compact(&ground.log, &topic).await {
        return;
    }
    assert_eq!(
        ground.admin().offsets(&place).await.expect("offsets")[0].1,
        before.1,
        "the end stays"
    );
    let got = ground.read(&topic, 1, last.len()).await;
    assert!(got.is_sorted_by(|a, b| a.offset < b.offset));
    let got: std::collections::BTreeMap<_, _> = got
        .iter()
        .map(|r| {
            (
                String::from_utf8_lossy(r.key.as_deref().unwrap_or_default()).into_owned(),
                (r.text(), r.offset),
            )
        })
        .collect();
    assert_eq!(got, last);
    // A new record goes behind the old end.
    assert!(ground.write(&topic, &[(0, "k0", "new")]).await[0].1 >= before.1);
}

pub(super) async fn what_was_acknowledged_survives_a_crash(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (ground.topic("crash", 2, &[]).await, subject.unique("crash"));
    let places = ground
        .write(&topic, &[(0, "k", "plain"), (1, "k", "other")])
        .await;
    let mut producer = ground.transactional(&group).await;
    producer
        .append(&batch(&topic, &[(0, "k", "transaction")]))
        .await
        .expect("append");
    producer
        .commit_group_offsets(&group, &[(TopicPartition::new(topic.as_str(), 1), 1)])
        .await
        .expect("positions");
    producer.commit().await.expect("commit");
    producer
        .append(&batch(&topic, &[(0, "k", "open")]))
        .await
        .expect("append");
    let Some(log) = subject
        .reopen_after_crash(std::sync::Arc::clone(&ground.log))
        .await
    else {
        return;
    };
    let ground = Ground { subject, log };
    assert_eq!(
        ground
            .admin()
            .group_offsets(&group)
            .await
            .expect("positions")[0]
            .offset,
        1
    );
    let after = ground.write(&topic, &[(0, "k", "after")]).await;
    assert!(after[0].1 > places[0].1 + 1, "offsets do not come back");
    let got: Vec<String> = texts(&ground.read(&topic, 2, 4).await);
    let first: Vec<&String> = got.iter().filter(|t| *t != "other").collect();
    assert_eq!(first, ["plain", "transaction", "after"]);
}

pub(super) async fn fencing_survives_a_crash(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, id) = (
        ground.topic("crash-fence", 1, &[]).await,
        subject.unique("crash-fence"),
    );
    let mut old = ground.transactional(&id).await;
    old.append(&batch(&topic, &[(0, "k", "late")]))
        .await
        .expect("append");
    let Some(log) = subject
        .reopen_after_crash(std::sync::Arc::clone(&ground.log))
        .await
    else {
        return;
    };
    let ground = Ground { subject, log };
    let mut new = ground.transactional(&id).await;
    assert!(
        old.commit().await.is_err(),
        "a producer from before the crash writes nothing"
    );
    new.append(&batch(&topic, &[(0, "k", "new")]))
        .await
        .expect("append");
    new.commit().await.expect("commit");
    assert_eq!(texts(&ground.read(&topic, 1, 1).await), ["new"]);
}
