use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use millrace_kafka::KafkaLog;
use millrace_log::{
    Assigned, GroupConsumer, GroupConsumerOptions, GroupEvent, Log as _, LogError, NewTopic,
    StartAt, Subscription, TopicPartition,
};
use millrace_testkit::unique;

use crate::client::{PATIENCE, append, settings, shared, topic};

const TICK: Duration = Duration::from_millis(100);

async fn member(
    log: &KafkaLog,
    group: &str,
    subscription: Subscription,
    pairs: &[(&str, &str)],
) -> Result<Box<dyn GroupConsumer>> {
    let mut all = vec![
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "300"),
        ("metadata.max.age.ms", "500"),
    ];
    all.extend(pairs);
    Ok(log
        .group_consumer(GroupConsumerOptions {
            group: group.into(),
            client_id: "test".into(),
            subscription,
            start_at: StartAt::Earliest,
            settings: settings(&all),
        })
        .await?)
}

fn topics(name: &str) -> Subscription {
    Subscription::Topics(vec![name.to_owned()])
}

/// Runs `step` on events of `consumer` until it returns a value.
async fn until<T>(
    consumer: &mut dyn GroupConsumer,
    what: &str,
    mut step: impl FnMut(GroupEvent) -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(value) = step(consumer.next(TICK).await?) {
            return Ok(value);
        }
    }
    bail!("not within {PATIENCE:?}: {what}")
}

async fn assigned(consumer: &mut dyn GroupConsumer) -> Result<Vec<Assigned>> {
    until(consumer, "an assignment", |event| match event {
        GroupEvent::Assigned(a) if !a.is_empty() => Some(a),
        _ => None,
    })
    .await
}

async fn read(consumer: &mut dyn GroupConsumer, count: usize) -> Result<Vec<String>> {
    let mut out = Vec::new();
    until(consumer, &format!("{count} records"), |event| {
        if let GroupEvent::Records(batch) = event {
            out.extend(
                batch
                    .records
                    .iter()
                    .map(|r| String::from_utf8_lossy(batch.value(r).unwrap()).into_owned()),
            );
        }
        (out.len() >= count).then_some(())
    })
    .await?;
    Ok(out)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_reads_commits_and_another_goes_on_there() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 1, &[]).await?;
    let at = TopicPartition::new(&*topic, 0);
    append(&*log, &topic, 0, (0..10).map(|n| n.to_string())).await?;
    let group = unique("group");
    let mut first = member(&log, &group, topics(&topic), &[("max.poll.records", "4")]).await?;
    assert_eq!(
        assigned(&mut *first).await?,
        [Assigned {
            partition: at.clone(),
            position: 0
        }]
    );
    let event = until(&mut *first, "records", |e| {
        if let GroupEvent::Records(b) = e {
            Some(b)
        } else {
            None
        }
    })
    .await?;
    assert_eq!(event.records.len(), 4);
    assert_eq!(log.admin().group_members(&group).await?, 1);
    first.commit(&[(at.clone(), 4)]).await?;
    assert!(matches!(
        first.commit(&[(TopicPartition::new("other", 0), 4)]).await,
        Err(LogError::Fenced(_))
    ));
    first.close().await?;
    assert_eq!(log.admin().group_members(&group).await?, 0);
    assert_eq!(log.admin().group_offsets(&group).await?[0].offset, 4);

    let mut second = member(&log, &group, topics(&topic), &[]).await?;
    assert_eq!(
        assigned(&mut *second).await?,
        [Assigned {
            partition: at.clone(),
            position: 4
        }]
    );
    assert_eq!(read(&mut *second, 6).await?, ["4", "5", "6", "7", "8", "9"]);
    let deadline = Instant::now() + PATIENCE;
    while second.lag() != [(at.clone(), 0)] {
        assert!(Instant::now() < deadline, "{:?}", second.lag());
        drop(second.next(TICK).await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_move_only_after_they_were_released() -> Result<()> {
    for strategy in [
        "org.apache.kafka.clients.consumer.RangeAssignor",
        "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    ] {
        let log = shared().await?;
        let topic = topic(&*log, 4, &[]).await?;
        for p in 0..4 {
            append(&*log, &topic, p, (0..3).map(|n| format!("{p}:{n}"))).await?;
        }
        let group = unique("group");
        let pairs = [("partition.assignment.strategy", strategy)];
        let mut one = member(&log, &group, topics(&topic), &pairs).await?;
        assert_eq!(assigned(&mut *one).await?.len(), 4);
        read(&mut *one, 12).await?;

        let mut two = member(&log, &group, topics(&topic), &pairs).await?;
        let revoked = until(&mut *one, "a revocation", |e| {
            if let GroupEvent::Revoking(p) = e {
                Some(p)
            } else {
                None
            }
        })
        .await?;
        // Until it is released, the partition is ours: commits are taken, and the other one has nothing.
        let offsets: Vec<_> = revoked.iter().map(|p| (p.clone(), 2)).collect();
        one.commit(&offsets).await?;
        match two.next(Duration::from_millis(500)).await? {
            GroupEvent::Idle => {}
            GroupEvent::Assigned(none) => assert_eq!(none, []),
            other => panic!("{other:?}"),
        }
        one.release().await?;
        assert!(matches!(
            one.commit(&offsets).await,
            Err(LogError::Fenced(_))
        ));

        let mut owned: BTreeMap<&str, BTreeSet<TopicPartition>> = BTreeMap::new();
        if strategy.contains("Cooperative") {
            assert_eq!(revoked.len(), 2);
            let kept = (0..4)
                .map(|p| TopicPartition::new(&*topic, p))
                .filter(|p| !revoked.contains(p))
                .collect();
            owned.insert("one", kept);
        }
        let deadline = Instant::now() + PATIENCE;
        while owned.values().map(BTreeSet::len).sum::<usize>() < 4 {
            assert!(Instant::now() < deadline, "{owned:?}");
            for (name, consumer) in [("one", &mut one), ("two", &mut two)] {
                if let GroupEvent::Assigned(got) = consumer.next(TICK).await? {
                    for Assigned {
                        partition,
                        position,
                    } in got
                    {
                        assert_eq!(position, 2, "{partition}");
                        owned.entry(name).or_default().insert(partition);
                    }
                }
            }
        }
        assert_eq!((owned["one"].len(), owned["two"].len()), (2, 2));
        assert!(owned["one"].is_disjoint(&owned["two"]));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_holds_records_back_and_seek_drops_what_was_fetched() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 2, &[]).await?;
    for p in 0..2 {
        append(&*log, &topic, p, (0..50).map(|n| format!("{p}:{n}"))).await?;
    }
    let zero = TopicPartition::new(&*topic, 0);
    let mut consumer = member(
        &log,
        &unique("group"),
        topics(&topic),
        &[("max.poll.records", "7")],
    )
    .await?;
    assigned(&mut *consumer).await?;
    consumer.pause(std::slice::from_ref(&zero))?;
    let seen = read(&mut *consumer, 50).await?;
    assert_eq!(seen, (0..50).map(|n| format!("1:{n}")).collect::<Vec<_>>());
    assert!(matches!(
        consumer.next(Duration::from_millis(500)).await?,
        GroupEvent::Idle
    ));
    consumer.resume(std::slice::from_ref(&zero))?;
    assert_eq!(
        read(&mut *consumer, 50).await?,
        (0..50).map(|n| format!("0:{n}")).collect::<Vec<_>>()
    );
    consumer.seek(&zero, 40).await?;
    assert_eq!(
        read(&mut *consumer, 10).await?,
        (40..50).map(|n| format!("0:{n}")).collect::<Vec<_>>()
    );
    consumer.seek(&zero, 0).await?;
    assert_eq!(read(&mut *consumer, 7).await?[0], "0:0");
    // Batches of the first read are waiting by now.
    consumer.seek(&zero, 30).await?;
    assert_eq!(
        read(&mut *consumer, 20).await?,
        (30..50).map(|n| format!("0:{n}")).collect::<Vec<_>>()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_takes_whole_names_and_new_topics() -> Result<()> {
    let log = shared().await?;
    let prefix = unique("pattern");
    let create = async |name: String| {
        log.admin()
            .create_topic(&NewTopic {
                name,
                partitions: 1,
                replication_factor: 1,
                settings: Vec::new(),
            })
            .await
    };
    create(format!("{prefix}-1")).await?;
    create(format!("{prefix}-1-not")).await?;
    append(
        &*log,
        &format!("{prefix}-1"),
        0,
        std::iter::once("one".to_owned()),
    )
    .await?;
    append(
        &*log,
        &format!("{prefix}-1-not"),
        0,
        std::iter::once("wrong".to_owned()),
    )
    .await?;
    let mut consumer = member(
        &log,
        &unique("group"),
        Subscription::Pattern(format!("{prefix}-\\d")),
        &[],
    )
    .await?;
    assert_eq!(read(&mut *consumer, 1).await?, ["one"]);
    create(format!("{prefix}-2")).await?;
    append(
        &*log,
        &format!("{prefix}-2"),
        0,
        std::iter::once("two".to_owned()),
    )
    .await?;
    let mut seen = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while !seen.contains(&"two".to_owned()) {
        assert!(Instant::now() < deadline, "{seen:?}");
        match consumer.next(TICK).await? {
            GroupEvent::Records(batch) => seen.extend(
                batch
                    .records
                    .iter()
                    .map(|r| String::from_utf8_lossy(batch.value(r).unwrap()).into_owned()),
            ),
            GroupEvent::Revoking(_) => consumer.release().await?,
            _ => {}
        }
    }
    assert!(!seen.contains(&"wrong".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_appears_later_is_read() -> Result<()> {
    let log = shared().await?;
    let name = unique("later");
    let mut consumer = member(&log, &unique("group"), topics(&name), &[]).await?;
    assert!(!matches!(
        consumer.next(Duration::from_millis(300)).await?,
        GroupEvent::Records(_)
    ));
    log.admin()
        .create_topic(&NewTopic {
            name: name.clone(),
            partitions: 1,
            replication_factor: 1,
            settings: Vec::new(),
        })
        .await?;
    append(&*log, &name, 0, std::iter::once("here".to_owned())).await?;
    assert_eq!(read(&mut *consumer, 1).await?, ["here"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_a_group_are_set_and_removed_only_without_members() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 2, &[]).await?;
    let (a, b) = (
        TopicPartition::new(&*topic, 0),
        TopicPartition::new(&*topic, 1),
    );
    let group = unique("group");
    let admin = log.admin();
    assert_eq!(admin.group_offsets(&group).await?, []);
    admin
        .alter_group_offsets(&group, &[(a.clone(), Some(3)), (b.clone(), Some(4))])
        .await?;
    let offsets: Vec<_> = admin
        .group_offsets(&group)
        .await?
        .into_iter()
        .map(|o| (o.partition, o.offset))
        .collect();
    assert_eq!(offsets, [(a.clone(), 3), (b.clone(), 4)]);
    admin
        .alter_group_offsets(&group, &[(a.clone(), None), (b.clone(), Some(5))])
        .await?;
    let offsets: Vec<_> = admin
        .group_offsets(&group)
        .await?
        .into_iter()
        .map(|o| (o.partition, o.offset))
        .collect();
    assert_eq!(offsets, [(b.clone(), 5)]);
    admin
        .alter_group_offsets(&unique("nobody"), &[(a.clone(), None)])
        .await?;

    let mut consumer = member(&log, &group, topics(&topic), &[]).await?;
    assigned(&mut *consumer).await?;
    let error = admin
        .alter_group_offsets(&group, &[(b, Some(1))])
        .await
        .unwrap_err();
    assert!(
        error.is_retriable() && error.to_string().contains("members"),
        "{error}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_stopped_polling_is_fenced() -> Result<()> {
    let log = shared().await?;
    let topic = topic(&*log, 1, &[]).await?;
    append(&*log, &topic, 0, (0..100).map(|n| n.to_string())).await?;
    let at = TopicPartition::new(&*topic, 0);
    let mut consumer = member(
        &log,
        &unique("group"),
        topics(&topic),
        &[("max.poll.interval.ms", "6000"), ("max.poll.records", "1")],
    )
    .await?;
    assigned(&mut *consumer).await?;
    // Nothing is taken, so the queue fills and polling stops.
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        match consumer.commit(&[(at.clone(), 1)]).await {
            Ok(()) => assert!(Instant::now() < deadline, "never fenced"),
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(error, LogError::Fenced(_)), "{error:?}");
    let lost = until(&mut *consumer, "the loss", |e| {
        if let GroupEvent::Lost(p) = e {
            Some(p)
        } else {
            None
        }
    })
    .await?;
    assert_eq!(lost, [at]);
    // It joins again by itself.
    assert_eq!(assigned(&mut *consumer).await?[0].position, 1);
    Ok(())
}

/// A static member with `strategy` is away while its topic `later` is created; `before` are the topics that it had besides.
async fn returns_to_a_new_topic(strategy: &str, before: &[String], session_ms: &str) -> Result<()> {
    let log = shared().await?;
    let (group, later) = (unique("group"), unique("later"));
    let pairs = [
        ("group.instance.id", "the-one"),
        ("session.timeout.ms", session_ms),
        ("partition.assignment.strategy", strategy),
    ];
    let subscription = || {
        let mut names = before.to_vec();
        names.push(later.clone());
        Subscription::Topics(names)
    };
    let mut first = member(&log, &group, subscription(), &pairs).await?;
    match before {
        // Without a topic there is nothing to wait for.
        [] => drop(first.next(TICK).await?),
        _ => assert_eq!(assigned(&mut *first).await?.len(), before.len()),
    }
    // As when it is killed: a static member never says that it leaves.
    drop(first);
    log.admin()
        .create_topic(&NewTopic {
            name: later.clone(),
            partitions: 2,
            replication_factor: 1,
            settings: Vec::new(),
        })
        .await?;
    append(&*log, &later, 1, std::iter::once("late".to_owned())).await?;

    let mut again = member(&log, &group, subscription(), &pairs).await?;
    let mut seen = Vec::new();
    let deadline = Instant::now() + PATIENCE / 2;
    while !seen.contains(&"late".to_owned()) {
        if Instant::now() > deadline {
            bail!("{strategy}: only {seen:?} came");
        }
        match again.next(TICK).await? {
            GroupEvent::Records(batch) => seen.extend(
                batch
                    .records
                    .iter()
                    .map(|r| String::from_utf8_lossy(batch.value(r).unwrap()).into_owned()),
            ),
            GroupEvent::Revoking(_) => again.release().await?,
            _ => {}
        }
    }
    again.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_gets_a_topic_that_came_while_it_was_away() -> Result<()> {
    let log = shared().await?;
    let here = [topic(&*log, 1, &[]).await?];
    // The group must not forget the member meanwhile.
    let long = "60000";
    let range = "org.apache.kafka.clients.consumer.RangeAssignor";
    let sticky = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    tokio::try_join!(
        returns_to_a_new_topic(range, &here, long),
        returns_to_a_new_topic(sticky, &here, long),
        returns_to_a_new_topic(range, &[], long),
    )?;
    Ok(())
}
