use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Subject;
use super::ground::{Ground, Member, texts, topics};
use crate::{GroupEvent, LogError, StartAt, Subscription, TopicPartition};

fn place(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

pub(super) async fn a_member_goes_on_where_its_group_has_committed(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (
        ground.topic("resume", 1, &[]).await,
        subject.unique("resume"),
    );
    let places = ground
        .write(&topic, &[(0, "k", "a"), (0, "k", "b"), (0, "k", "c")])
        .await;
    let mut member = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    member
        .until(&ground, "three records", |m| m.got.len() == 3)
        .await;
    member
        .consumer
        .commit(&[(place(&topic, 0), places[1].1)])
        .await
        .expect("commit");
    assert_eq!(
        ground
            .admin()
            .group_offsets(&group)
            .await
            .expect("positions")[0]
            .offset,
        places[1].1
    );
    member.consumer.close().await.expect("close");
    let mut next = ground
        .member(&group, topics(&[&topic]), StartAt::Latest)
        .await;
    next.until(&ground, "the rest", |m| m.got.len() == 2).await;
    assert_eq!(next.texts(), ["b", "c"]);
    assert_eq!(next.owned, [(place(&topic, 0), places[1].1)]);
}

pub(super) async fn without_a_position_the_start_is_as_asked(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = ground.topic("start-at", 1, &[]).await;
    ground.write(&topic, &[(0, "k", "old")]).await;
    let mut latest = ground
        .member(
            &subject.unique("latest"),
            topics(&[&topic]),
            StartAt::Latest,
        )
        .await;
    latest
        .until(&ground, "an assignment", |m| !m.owned.is_empty())
        .await;
    ground.write(&topic, &[(0, "k", "new")]).await;
    latest
        .until(&ground, "the new record", |m| !m.got.is_empty())
        .await;
    assert_eq!(latest.texts(), ["new"]);
    let mut earliest = ground
        .member(
            &subject.unique("earliest"),
            topics(&[&topic]),
            StartAt::Earliest,
        )
        .await;
    earliest
        .until(&ground, "both records", |m| m.got.len() == 2)
        .await;
    assert_eq!(earliest.texts(), ["old", "new"]);
}

/// Has two members go on in turn until `done`.
async fn together(
    ground: &Ground<'_>,
    one: &mut Member,
    two: &mut Member,
    what: &str,
    done: impl Fn(&Member, &Member) -> bool,
) {
    let deadline = ground.deadline();
    while !done(one, two) {
        assert!(
            Instant::now() < deadline,
            "{what} did not happen: {:?} and {:?}",
            one.owned,
            two.owned
        );
        one.go_on().await;
        two.go_on().await;
    }
}

pub(super) async fn two_members_share_and_nothing_is_lost_or_doubled(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (ground.topic("share", 4, &[]).await, subject.unique("share"));
    let mut written = BTreeSet::new();
    let mut write = async |from: i32| {
        let values: Vec<String> = (from..from + 100).map(|i| format!("{i:04}")).collect();
        let records: Vec<(i32, &str, &str)> = values
            .iter()
            .enumerate()
            .map(|(i, v)| (i as i32 % 4, "k", v.as_str()))
            .collect();
        ground.write(&topic, &records).await;
        written.extend(values);
    };
    write(0).await;
    let mut one = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    one.until(&ground, "all four partitions", |m| m.owned.len() == 4)
        .await;
    write(100).await;
    let mut two = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    together(&ground, &mut one, &mut two, "sharing", |a, b| {
        a.owned.len() == 2 && b.owned.len() == 2
    })
    .await;
    write(200).await;
    together(&ground, &mut one, &mut two, "300 records", |a, b| {
        a.got.len() + b.got.len() >= 300
    })
    .await;
    // One leaves as a worker does: commits, then closes.
    let positions = one.positions();
    one.consumer.commit(&positions).await.expect("commit");
    let first = one.texts();
    one.consumer.close().await.expect("close");
    write(300).await;
    two.until(&ground, "the last 100 records", |m| {
        m.owned.len() == 4 && first.len() + m.got.len() >= 400
    })
    .await;
    let all: Vec<String> = first.into_iter().chain(two.texts()).collect();
    assert_eq!(all.len(), 400, "nothing twice");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), written);
}

pub(super) async fn a_partition_is_handed_over_only_after_its_release(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (
        ground.topic("handover", 2, &[]).await,
        subject.unique("handover"),
    );
    ground.write(&topic, &[(0, "k", "a"), (1, "k", "b")]).await;
    let mut one = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    one.until(&ground, "both records", |m| m.got.len() == 2)
        .await;
    let mut two = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    let deadline = ground.deadline();
    while one.asked.is_empty() {
        assert!(Instant::now() < deadline, "nobody asked for a partition");
        one.step().await;
        two.step().await;
    }
    // Nothing moves while the first one has not let go, and its commit still counts.
    for _ in 0..3 {
        one.step().await;
        two.step().await;
    }
    assert!(
        two.owned.is_empty() && two.got.is_empty(),
        "{:?}",
        two.owned
    );
    one.give_back().await;
    together(&ground, &mut one, &mut two, "sharing", |a, b| {
        a.owned.len() == 1 && b.owned.len() == 1
    })
    .await;
    assert!(
        two.got.is_empty(),
        "what was committed is not delivered again: {:?}",
        two.texts()
    );
    ground.write(&topic, &[(0, "k", "c"), (1, "k", "d")]).await;
    together(&ground, &mut one, &mut two, "new records", |a, b| {
        a.got.len() >= 3 && b.got.len() == 1
    })
    .await;
}

pub(super) async fn a_former_owner_cannot_commit(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (
        ground.topic("former", 2, &[]).await,
        subject.unique("former"),
    );
    ground.write(&topic, &[(0, "k", "a"), (1, "k", "b")]).await;
    let mut one = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    one.until(&ground, "both records", |m| m.got.len() == 2)
        .await;
    let mut two = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    together(&ground, &mut one, &mut two, "sharing", |a, b| {
        a.owned.len() == 1 && b.owned.len() == 1
    })
    .await;
    let (gone, position) = two.owned[0].clone();
    let error = one
        .consumer
        .commit(&[(gone.clone(), 0)])
        .await
        .expect_err("a commit by the former owner");
    assert!(matches!(error, LogError::Fenced(_)), "{error:?}");
    let stored = ground
        .admin()
        .group_offsets(&group)
        .await
        .expect("positions");
    assert_eq!(
        stored
            .iter()
            .find(|o| o.partition == gone)
            .map(|o| o.offset),
        Some(position)
    );
    two.consumer
        .commit(&[(gone, position)])
        .await
        .expect("a commit by the owner");
}

pub(super) async fn a_member_that_leaves_makes_room(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (
        ground.topic("leaves", 2, &[]).await,
        subject.unique("leaves"),
    );
    let mut one = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    let mut two = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    together(&ground, &mut one, &mut two, "sharing", |a, b| {
        a.owned.len() == 1 && b.owned.len() == 1
    })
    .await;
    assert_eq!(
        ground.admin().group_members(&group).await.expect("members"),
        2
    );
    two.consumer.close().await.expect("close");
    one.until(&ground, "both partitions", |m| m.owned.len() == 2)
        .await;
    drop(one);
    let deadline = ground.deadline();
    while ground.admin().group_members(&group).await.expect("members") > 0 {
        assert!(Instant::now() < deadline, "a dropped member stays");
        tokio::task::yield_now().await;
    }
}

pub(super) async fn paused_partitions_deliver_nothing(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (
        ground.topic("paused", 2, &[]).await,
        subject.unique("paused"),
    );
    let mut member = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    member
        .until(&ground, "both partitions", |m| m.owned.len() == 2)
        .await;
    member.consumer.pause(&[place(&topic, 0)]).expect("pause");
    ground
        .write(&topic, &[(0, "k", "held"), (1, "k", "a"), (1, "k", "b")])
        .await;
    member
        .until(&ground, "what is not paused", |m| m.got.len() == 2)
        .await;
    for _ in 0..3 {
        member.go_on().await;
    }
    assert_eq!(member.texts(), ["a", "b"]);
    member.consumer.resume(&[place(&topic, 0)]).expect("resume");
    member
        .until(&ground, "what was paused", |m| m.got.len() == 3)
        .await;
    assert_eq!(member.texts()[2], "held");
    assert!(
        member.consumer.pause(&[place(&topic, 9)]).is_err(),
        "pausing what is not assigned"
    );
}

pub(super) async fn a_seek_goes_back_and_forth(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (ground.topic("seek", 1, &[]).await, subject.unique("seek"));
    let places = ground
        .write(&topic, &[(0, "k", "a"), (0, "k", "b"), (0, "k", "c")])
        .await;
    let mut member = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    member
        .until(&ground, "three records", |m| m.got.len() == 3)
        .await;
    member
        .consumer
        .seek(&place(&topic, 0), places[1].1)
        .await
        .expect("seek");
    member
        .until(&ground, "the last two again", |m| m.got.len() == 5)
        .await;
    assert_eq!(member.texts()[3..], ["b", "c"]);
    member
        .consumer
        .seek(&place(&topic, 0), places[0].1)
        .await
        .expect("seek");
    member
        .consumer
        .seek(&place(&topic, 0), places[2].1)
        .await
        .expect("seek");
    member
        .until(&ground, "the last one again", |m| m.got.len() == 6)
        .await;
    assert_eq!(member.texts()[5], "c");
}

pub(super) async fn a_pattern_finds_new_topics(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let prefix = subject.unique("pattern");
    ground.make_topic(&format!("{prefix}.orders"), 1, &[]).await;
    // The whole name has to match.
    ground
        .make_topic(&format!("x{prefix}.orders"), 1, &[])
        .await;
    ground
        .make_topic(&format!("{prefix}.orders.x"), 1, &[])
        .await;
    let pattern = Subscription::Pattern(format!("{prefix}\\.(orders|items)"));
    let mut member = ground
        .member(&subject.unique("pattern"), pattern, StartAt::Earliest)
        .await;
    member
        .until(&ground, "the first topic", |m| m.owned.len() == 1)
        .await;
    ground.make_topic(&format!("{prefix}.items"), 1, &[]).await;
    for (topic, value) in [("orders.x", "no"), ("items", "i"), ("orders", "o")] {
        ground
            .write(&format!("{prefix}.{topic}"), &[(0, "k", value)])
            .await;
    }
    member
        .until(&ground, "records of both topics", |m| m.got.len() == 2)
        .await;
    assert_eq!(
        member.texts().into_iter().collect::<BTreeSet<_>>(),
        ["i".to_owned(), "o".to_owned()].into()
    );
    assert_eq!(member.owned.len(), 2);
}

pub(super) async fn a_subscribed_topic_may_come_later(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let topic = subject.unique("later");
    let mut member = ground
        .member(
            &subject.unique("later"),
            topics(&[&topic]),
            StartAt::Earliest,
        )
        .await;
    member.step().await;
    assert_eq!(
        ground
            .admin()
            .describe_topic(&topic)
            .await
            .expect("a description"),
        None,
        "subscribing does not make a topic"
    );
    ground.make_topic(&topic, 2, &[]).await;
    ground.write(&topic, &[(0, "k", "a"), (1, "k", "b")]).await;
    member
        .until(&ground, "its records", |m| m.got.len() == 2)
        .await;
}

pub(super) async fn lag_is_what_is_left(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (ground.topic("lag", 1, &[]).await, subject.unique("lag"));
    let mut member = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    member
        .until(&ground, "an assignment", |m| m.owned.len() == 1)
        .await;
    ground
        .write(&topic, &[(0, "k", "a"), (0, "k", "b"), (0, "k", "c")])
        .await;
    member
        .until(&ground, "three records", |m| m.got.len() == 3)
        .await;
    let places: Vec<i64> = member.got.iter().map(|(_, r)| r.offset).collect();
    member.consumer.pause(&[place(&topic, 0)]).expect("pause");
    member
        .consumer
        .seek(&place(&topic, 0), places[0])
        .await
        .expect("seek");
    let deadline = ground.deadline();
    while member
        .consumer
        .lag()
        .iter()
        .find(|(p, _)| *p == place(&topic, 0))
        .is_none_or(|(_, lag)| *lag < 3)
    {
        assert!(Instant::now() < deadline, "lag {:?}", member.consumer.lag());
        member.go_on().await;
    }
}

pub(super) async fn positions_of_a_group_with_members_are_not_altered(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (
        ground.topic("altered", 1, &[]).await,
        subject.unique("altered"),
    );
    let places = ground.write(&topic, &[(0, "k", "a"), (0, "k", "b")]).await;
    let mut member = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    member
        .until(&ground, "an assignment", |m| m.owned.len() == 1)
        .await;
    let change = [(place(&topic, 0), Some(places[1].1))];
    let error = ground
        .admin()
        .alter_group_offsets(&group, &change)
        .await
        .expect_err("altering positions of a live group");
    assert!(matches!(error, LogError::Retriable { .. }), "{error:?}");
    member.consumer.close().await.expect("close");
    let deadline = ground.deadline();
    while let Err(error) = ground.admin().alter_group_offsets(&group, &change).await {
        assert!(
            error.is_retriable() && Instant::now() < deadline,
            "{error:?}"
        );
        tokio::task::yield_now().await;
    }
    let mut next = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    next.until(&ground, "the second record", |m| !m.got.is_empty())
        .await;
    assert_eq!(next.texts(), ["b"]);
}

pub(super) async fn cancelled_waiting_loses_nothing(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (topic, group) = (
        ground.topic("cancelled", 1, &[]).await,
        subject.unique("cancelled"),
    );
    let mut member = ground
        .member(&group, topics(&[&topic]), StartAt::Earliest)
        .await;
    let values: Vec<String> = (0..200).map(|i| format!("{i:03}")).collect();
    let records: Vec<(i32, &str, &str)> = values.iter().map(|v| (0, "k", v.as_str())).collect();
    ground.write(&topic, &records).await;
    let mut reader = ground.reader(&topic, &[(0, -2)]).await;
    let deadline = ground.deadline();
    let (mut from_group, mut from_reader) = (Vec::new(), Vec::new());
    while from_group.len() < 200 || from_reader.len() < 200 {
        assert!(
            Instant::now() < deadline,
            "{} and {} records came",
            from_group.len(),
            from_reader.len()
        );
        // Dropped at some await inside, more often than not.
        tokio::select! {
            biased;
            event = member.consumer.next(Duration::from_secs(5)) => {
                if let GroupEvent::Records(batch) = event.expect("an event") {
                    from_group.extend(super::ground::owned(&batch));
                }
            }
            () = yield_some() => {}
        }
        tokio::select! {
            biased;
            batch = reader.next(Duration::from_secs(5)) => from_reader.extend(super::ground::owned(&batch.expect("a batch"))),
            () = yield_some() => {}
        }
    }
    assert_eq!(texts(&from_group), values);
    assert_eq!(texts(&from_reader), values);
}

async fn yield_some() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}
