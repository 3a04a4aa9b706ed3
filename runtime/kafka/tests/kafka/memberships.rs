//! What the conformance cases of memberships cannot do: take the coordinator away.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use millrace_log::{Log as _, Membership, MembershipEvent, MembershipOptions};
use millrace_testkit::{Kafka, KafkaOptions, Signal, unique};

use crate::client::{PATIENCE, connect, topic};

pub(crate) fn options(prefix: &str) -> MembershipOptions {
    MembershipOptions {
        group_id: unique(prefix),
        protocol_type: "sr",
        protocols: vec![("v0".into(), Bytes::from_static(b"{}"))],
        group_instance_id: None,
        session_timeout: Duration::from_secs(6),
        rebalance_timeout: Duration::from_secs(30),
        heartbeat_interval: Duration::from_millis(300),
        client_id: "test".into(),
        settings: Vec::new(),
    }
}

/// Answers as a leader with the number of members until it is assigned; returns the generation, its id, and the number of members.
pub(crate) async fn assigned(member: &mut dyn Membership) -> Result<(i32, String, u8)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, member.next()).await?? {
            MembershipEvent::Lead {
                generation,
                members,
                ..
            } => {
                let count = Bytes::from(vec![u8::try_from(members.len())?]);
                let shares = members.into_iter().map(|m| (m.id, count.clone()));
                member.assign(generation, shares.collect()).await?;
            }
            MembershipEvent::Assigned {
                generation,
                member_id,
                assignment,
                ..
            } => {
                ensure!(assignment.len() == 1, "{assignment:?}");
                return Ok((generation, member_id, assignment[0]));
            }
            MembershipEvent::Rebalancing | MembershipEvent::Lost { .. } => {}
        }
    }
}

/// Both are in one generation of two. Whichever leads must answer, so neither is waited for alone: the other would wait for its share, and the group for both.
async fn together(one: &mut dyn Membership, two: &mut dyn Membership) -> Result<i32> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // Generation, and number of members as its leader saw it.
    let mut held: [Option<(i32, u8)>; 2] = [None; 2];
    loop {
        let (which, event) = tokio::select! {
            event = one.next() => (0, event?),
            event = two.next() => (1, event?),
            () = tokio::time::sleep_until(deadline) => bail!("they do not come together: {held:?}"),
        };
        match event {
            MembershipEvent::Lead {
                generation,
                members,
                ..
            } => {
                let count = Bytes::from(vec![u8::try_from(members.len())?]);
                let shares = members.into_iter().map(|m| (m.id, count.clone()));
                let shares = shares.collect();
                if which == 0 {
                    one.assign(generation, shares).await?;
                } else {
                    two.assign(generation, shares).await?;
                }
            }
            MembershipEvent::Assigned {
                generation,
                assignment,
                ..
            } => {
                ensure!(assignment.len() == 1, "{assignment:?}");
                held[which] = Some((generation, assignment[0]));
            }
            MembershipEvent::Rebalancing | MembershipEvent::Lost { .. } => held[which] = None,
        }
        if let [Some(first), Some(second)] = held
            && first == second
            && first.1 == 2
        {
            return Ok(first.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_survive_their_coordinator() -> Result<()> {
    let kafka = Kafka::start(KafkaOptions::default()).await?;
    let log = connect(&kafka.bootstrap()).await?;
    let options = options("survives");
    let mut one = log.membership(options.clone()).await?;
    let mut two = log.membership(options).await?;
    let mut generation = together(&mut *one, &mut *two).await?;
    for signal in [Signal::Term, Signal::Kill] {
        kafka.stop(signal).await?;
        let before = one.lease();
        // Long enough that leases end: nobody may believe to own anything then, and no event is needed for that.
        let deadline = Instant::now() + PATIENCE;
        for member in [&one, &two] {
            while member
                .lease()
                .is_some_and(|l| l.until > tokio::time::Instant::now())
            {
                ensure!(Instant::now() < deadline, "the lease does not end");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        kafka.start_again().await?;
        // Whether the group was forgotten meanwhile is the coordinator's affair; in the end they are together and their leases live.
        loop {
            ensure!(Instant::now() < deadline, "they did not come back");
            let mut alive = 0;
            for member in [&mut one, &mut two] {
                match tokio::time::timeout(Duration::from_millis(50), member.next()).await {
                    Ok(Ok(MembershipEvent::Lead {
                        generation,
                        members,
                        ..
                    })) => {
                        let shares = members.into_iter();
                        let shares = shares.map(|m| (m.id, Bytes::from_static(b"x")));
                        member.assign(generation, shares.collect()).await?;
                    }
                    Ok(Ok(_)) | Err(_) => {}
                    Ok(Err(error)) => bail!(error),
                }
                alive += usize::from(
                    member
                        .lease()
                        .is_some_and(|l| l.until > tokio::time::Instant::now()),
                );
            }
            let (a, b) = (one.lease(), two.lease());
            if alive == 2 && a.map(|l| l.generation) == b.map(|l| l.generation) {
                break;
            }
        }
        ensure!(before.is_some());
        let now = one.lease().map(|l| l.generation);
        ensure!(now >= Some(generation), "{now:?} after {generation}");
        generation = now.unwrap_or(generation);
    }
    // The group is alive.
    one.rejoin();
    together(&mut *one, &mut *two).await?;
    one.leave().await;
    ensure!(assigned(&mut *two).await?.2 == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_consumers_is_told_apart() -> Result<()> {
    let log = crate::client::shared().await?;
    let (options, topic) = (options("consumers"), topic(&*log, 1, &[]).await?);
    let consumer = log
        .group_consumer(millrace_log::GroupConsumerOptions {
            group: options.group_id.clone(),
            client_id: "billing".into(),
            subscription: millrace_log::Subscription::Topics(vec![topic]),
            start_at: millrace_log::StartAt::Earliest,
            settings: Vec::new(),
        })
        .await?;
    let deadline = Instant::now() + PATIENCE;
    while log.admin().group_members(&options.group_id).await? == 0 {
        ensure!(Instant::now() < deadline, "the consumer does not join");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut member = log.membership(options.clone()).await?;
    let error = tokio::time::timeout(PATIENCE, member.next())
        .await?
        .expect_err("a group of consumers")
        .to_string();
    for part in [&*options.group_id, "'sr'", "'consumer'", "billing"] {
        ensure!(error.contains(part), "{error:?} lacks {part:?}");
    }
    drop(consumer);
    Ok(())
}
