use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Subject;
use super::ground::Ground;
use crate::{GroupMember, LogError, Membership, MembershipEvent, MembershipOptions};

const TICK: Duration = Duration::from_millis(20);

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// What a leader gives to a member: something that is neither text nor the metadata itself.
fn share_of(metadata: &[u8]) -> Bytes {
    let mut share = vec![0, 0xff, 0x80];
    share.extend(metadata);
    share.into()
}

fn options(subject: &dyn Subject, group: &str, metadata: &str) -> MembershipOptions {
    let session_timeout = subject.least_session_timeout();
    MembershipOptions {
        group_id: group.to_owned(),
        protocol_type: "conformance",
        protocols: vec![("v1".to_owned(), bytes(metadata))],
        group_instance_id: None,
        session_timeout,
        rebalance_timeout: Duration::from_secs(20),
        heartbeat_interval: session_timeout / 6,
        client_id: format!("member-{metadata}"),
        settings: Vec::new(),
    }
}

/// A member that does what it must, and what it has seen.
struct Peer {
    membership: Box<dyn Membership>,
    /// The last generation it was assigned in, `None` while there is none.
    now: Option<Generation>,
    /// Members it was shown as the last leader.
    led: Vec<GroupMember>,
    lost: usize,
    rebalanced: usize,
    /// Whether it answers when it leads.
    answers: bool,
}

#[derive(Debug, Clone)]
struct Generation {
    number: i32,
    member_id: String,
    leader_id: String,
    protocol: String,
    assignment: Bytes,
}

impl Peer {
    async fn join(ground: &Ground<'_>, options: MembershipOptions) -> Self {
        Self {
            membership: ground.log.membership(options).await.expect("a membership"),
            now: None,
            led: Vec::new(),
            lost: 0,
            rebalanced: 0,
            answers: true,
        }
    }

    async fn step(&mut self) -> Result<(), LogError> {
        let Ok(event) = tokio::time::timeout(TICK, self.membership.next()).await else {
            return Ok(());
        };
        match event? {
            MembershipEvent::Lead {
                generation,
                members,
                member_id,
                ..
            } => {
                assert!(members.iter().any(|m| m.id == member_id));
                self.led = members;
                if self.answers {
                    let shares = self.led.iter();
                    let shares = shares.map(|m| (m.id.clone(), share_of(&m.metadata)));
                    self.membership.assign(generation, shares.collect()).await?;
                }
            }
            MembershipEvent::Assigned {
                generation,
                member_id,
                leader_id,
                protocol,
                assignment,
            } => {
                assert!(
                    self.now.is_none(),
                    "a generation without the end of the last"
                );
                self.now = Some(Generation {
                    number: generation,
                    member_id,
                    leader_id,
                    protocol,
                    assignment,
                });
            }
            MembershipEvent::Rebalancing => {
                assert!(self.now.take().is_some(), "the end of no generation");
                self.rebalanced += 1;
            }
            MembershipEvent::Lost { .. } => {
                self.now = None;
                self.lost += 1;
            }
        }
        Ok(())
    }

    fn generation(&self) -> &Generation {
        self.now.as_ref().expect("a generation")
    }

    fn leads(&self) -> bool {
        self.now
            .as_ref()
            .is_some_and(|n| n.leader_id == n.member_id)
    }

    fn shown(&self) -> Vec<String> {
        let mut shown: Vec<String> = self
            .led
            .iter()
            .map(|m| String::from_utf8_lossy(&m.metadata).into_owned())
            .collect();
        shown.sort();
        shown
    }
}

/// Lets all peers go on until `done`.
async fn until(
    ground: &Ground<'_>,
    what: &str,
    peers: &mut [&mut Peer],
    done: impl Fn(&[&mut Peer]) -> bool,
) {
    let deadline = ground.deadline();
    while !done(peers) {
        let seen: Vec<_> = peers.iter().map(|p| &p.now).collect();
        assert!(Instant::now() < deadline, "{what} did not happen: {seen:?}");
        for peer in peers.iter_mut() {
            peer.step().await.expect("an event");
        }
    }
}

/// All peers are in one generation of exactly them.
async fn together(ground: &Ground<'_>, peers: &mut [&mut Peer]) {
    until(ground, "a generation of all", peers, |peers| {
        let first = peers[0].now.as_ref().map(|n| n.number);
        let leader = peers.iter().find(|p| p.leads());
        first.is_some()
            && peers
                .iter()
                .all(|p| p.now.as_ref().map(|n| n.number) == first)
            && leader.is_some_and(|l| l.led.len() == peers.len())
    })
    .await;
}

async fn error_of(ground: &Ground<'_>, peer: &mut Peer) -> LogError {
    let deadline = ground.deadline();
    loop {
        assert!(Instant::now() < deadline, "the error did not come");
        if let Err(error) = peer.step().await {
            return error;
        }
    }
}

pub(super) async fn a_member_alone_leads(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("alone");
    let mut peer = Peer::join(&ground, options(subject, &group, "a")).await;
    assert_eq!(peer.membership.lease(), None);
    together(&ground, &mut [&mut peer]).await;
    assert!(peer.leads());
    assert_eq!(peer.shown(), ["a"]);
    let generation = peer.generation();
    assert_eq!(generation.protocol, "v1");
    assert_eq!(generation.assignment, share_of(b"a"));
    let lease = peer.membership.lease().expect("a lease");
    assert_eq!(lease.generation, generation.number);
}

pub(super) async fn a_second_member_brings_a_new_generation(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("second");
    let mut first = Peer::join(&ground, options(subject, &group, "a")).await;
    together(&ground, &mut [&mut first]).await;
    let before = first.generation().clone();
    let mut second = Peer::join(&ground, options(subject, &group, "b")).await;
    together(&ground, &mut [&mut first, &mut second]).await;
    assert!(first.leads(), "the leader stays");
    assert_eq!(first.shown(), ["a", "b"]);
    assert!(first.generation().number > before.number);
    assert_eq!(first.generation().member_id, before.member_id);
    assert_eq!((first.rebalanced, first.lost, second.lost), (1, 0, 0));
    assert_eq!(second.generation().leader_id, before.member_id);
    assert_ne!(second.generation().member_id, before.member_id);
    assert!(second.led.is_empty(), "only the leader sees members");
    assert_eq!(second.generation().assignment, share_of(b"b"));
}

pub(super) async fn a_leader_that_leaves_is_replaced_at_once(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("leaves");
    let mut slow = options(subject, &group, "a");
    // The point is that nobody waits for it.
    slow.session_timeout = Duration::from_secs(60);
    let mut first = Peer::join(&ground, slow).await;
    together(&ground, &mut [&mut first]).await;
    let mut second = Peer::join(&ground, options(subject, &group, "b")).await;
    together(&ground, &mut [&mut first, &mut second]).await;
    let left = Instant::now();
    first.membership.leave().await;
    together(&ground, &mut [&mut second]).await;
    assert!(
        left.elapsed() < Duration::from_secs(20),
        "{:?}",
        left.elapsed()
    );
    assert_eq!(second.shown(), ["b"]);
    assert_eq!(second.lost, 0);
}

pub(super) async fn a_member_that_dies_is_evicted_when_its_session_expires(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("dies");
    let mut first = Peer::join(&ground, options(subject, &group, "a")).await;
    let mut second = Peer::join(&ground, options(subject, &group, "b")).await;
    together(&ground, &mut [&mut first, &mut second]).await;
    let (dead, mut alive) = match first.leads() {
        true => (first, second),
        false => (second, first),
    };
    let lease = dead.membership.lease().expect("a lease");
    drop(dead);
    together(&ground, &mut [&mut alive]).await;
    assert!(
        tokio::time::Instant::now() >= lease.until,
        "another generation began before the lease of the dead leader ended"
    );
    assert_eq!(alive.shown().len(), 1);
}

pub(super) async fn metadata_and_assignments_arrive_unchanged(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("bytes");
    let large: Vec<u8> = (0..100_000u32).map(|i| (i * 7 % 251) as u8).collect();
    let all: [Vec<u8>; 3] = [Vec::new(), (0..=255).collect(), large];
    let mut peers = Vec::new();
    for metadata in &all {
        let mut with = options(subject, &group, "x");
        with.protocols = vec![("v1".to_owned(), Bytes::from(metadata.clone()))];
        peers.push(Peer::join(&ground, with).await);
    }
    let mut all_peers: Vec<&mut Peer> = peers.iter_mut().collect();
    together(&ground, &mut all_peers).await;
    for (peer, metadata) in peers.iter().zip(&all) {
        assert!(peer.generation().assignment == share_of(metadata));
    }
}

pub(super) async fn a_member_that_joins_again_shows_its_new_metadata(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("rejoins");
    let mut first = Peer::join(&ground, options(subject, &group, "a")).await;
    together(&ground, &mut [&mut first]).await;
    let mut second = Peer::join(&ground, options(subject, &group, "b")).await;
    together(&ground, &mut [&mut first, &mut second]).await;
    for (at, metadata) in [(0, "a2"), (1, "b2")] {
        let before = first.generation().number;
        let peer = match at {
            0 => &mut first,
            _ => &mut second,
        };
        peer.membership
            .set_protocols(vec![("v1".to_owned(), bytes(metadata))]);
        peer.membership.rejoin();
        until(
            &ground,
            "the next generation",
            &mut [&mut first, &mut second],
            |peers| peers[0].now.as_ref().is_some_and(|n| n.number > before),
        )
        .await;
        together(&ground, &mut [&mut first, &mut second]).await;
    }
    assert_eq!(first.shown(), ["a2", "b2"]);
    assert_eq!(second.generation().assignment, share_of(b"b2"));
    assert_eq!((first.lost, second.lost), (0, 0));
}

pub(super) async fn a_follower_can_bring_a_new_generation_without_news(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("forced");
    let mut first = Peer::join(&ground, options(subject, &group, "a")).await;
    together(&ground, &mut [&mut first]).await;
    let mut second = Peer::join(&ground, options(subject, &group, "b")).await;
    together(&ground, &mut [&mut first, &mut second]).await;
    let before = first.generation().number;
    second.membership.rejoin();
    until(
        &ground,
        "the next generation",
        &mut [&mut first, &mut second],
        |peers| {
            peers
                .iter()
                .all(|p| p.now.as_ref().is_some_and(|n| n.number > before))
        },
    )
    .await;
    together(&ground, &mut [&mut first, &mut second]).await;
    assert_eq!(first.shown(), ["a", "b"]);
    assert_eq!((first.lost, second.lost), (0, 0));
}

pub(super) async fn leases_are_prolonged_and_end_with_the_generation(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("lease");
    let mut peer = Peer::join(&ground, options(subject, &group, "a")).await;
    together(&ground, &mut [&mut peer]).await;
    let session = subject.least_session_timeout();
    let first = peer.membership.lease().expect("a lease");
    assert!(first.until <= tokio::time::Instant::now() + session);
    let deadline = ground.deadline();
    // Over several sessions, with an owner that does nothing.
    while peer
        .membership
        .lease()
        .is_none_or(|l| l.until < first.until + session * 2)
    {
        assert!(Instant::now() < deadline, "the lease is not prolonged");
        tokio::time::sleep(TICK).await;
    }
    assert_eq!(peer.rebalanced + peer.lost, 0);
    peer.membership.rejoin();
    let number = peer.generation().number;
    until(&ground, "the end", &mut [&mut peer], |p| {
        p[0].rebalanced == 1
    })
    .await;
    assert!(
        peer.membership
            .lease()
            .is_none_or(|l| l.generation > number)
    );
    together(&ground, &mut [&mut peer]).await;
}

pub(super) async fn an_owner_that_is_busy_stays_in_the_group(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("busy");
    let mut first = Peer::join(&ground, options(subject, &group, "a")).await;
    together(&ground, &mut [&mut first]).await;
    // The leader's owner is slow to assign: longer than a session.
    first.answers = false;
    let mut second = Peer::join(&ground, options(subject, &group, "b")).await;
    until(
        &ground,
        "the question",
        &mut [&mut first, &mut second],
        |p| p[0].led.len() == 2,
    )
    .await;
    let slow = Instant::now() + subject.least_session_timeout() * 2;
    while Instant::now() < slow {
        second.step().await.expect("an event");
    }
    assert!(second.now.is_none(), "nobody has assigned anything yet");
    first.answers = true;
    let shares: Vec<_> = first
        .led
        .iter()
        .map(|m| (m.id.clone(), share_of(&m.metadata)))
        .collect();
    // Answers to other generations do not count.
    first
        .membership
        .assign(-7, Vec::new())
        .await
        .expect("assign");
    first.membership.assign(2, shares).await.expect("assign");
    until(
        &ground,
        "the assignment",
        &mut [&mut first, &mut second],
        |p| p.iter().all(|p| p.now.is_some()),
    )
    .await;
    assert_eq!(second.generation().number, 2);
    assert_eq!(second.generation().assignment, share_of(b"b"));
    assert_eq!((first.lost, second.lost), (0, 0));
}

pub(super) async fn the_protocol_that_all_members_speak_is_chosen(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("protocols");
    let both = |metadata: &str| {
        let mut with = options(subject, &group, metadata);
        with.protocols
            .insert(0, ("v2".to_owned(), bytes(&format!("{metadata}-v2"))));
        with
    };
    let mut new = Peer::join(&ground, both("a")).await;
    together(&ground, &mut [&mut new]).await;
    assert_eq!(new.generation().protocol, "v2");
    assert_eq!(new.shown(), ["a-v2"]);
    let mut old = Peer::join(&ground, options(subject, &group, "b")).await;
    together(&ground, &mut [&mut new, &mut old]).await;
    assert_eq!(old.generation().protocol, "v1");
    assert_eq!(new.shown(), ["a", "b"]);
}

pub(super) async fn groups_do_not_disturb_each_other(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let (one, two) = (subject.unique("one"), subject.unique("two"));
    let mut first = Peer::join(&ground, options(subject, &one, "a")).await;
    together(&ground, &mut [&mut first]).await;
    let before = first.generation().number;
    let mut with = options(subject, &two, "b");
    with.protocol_type = "conformance-too";
    let mut second = Peer::join(&ground, with).await;
    together(&ground, &mut [&mut second]).await;
    second.membership.leave().await;
    for _ in 0..10 {
        first.step().await.expect("an event");
    }
    assert_eq!(first.generation().number, before);
    assert_eq!(first.shown(), ["a"]);
}

pub(super) async fn another_protocol_type_is_refused(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("types");
    let mut first = Peer::join(&ground, options(subject, &group, "a")).await;
    together(&ground, &mut [&mut first]).await;
    let mut with = options(subject, &group, "b");
    with.protocol_type = "something-else";
    let mut stranger = Peer::join(&ground, with).await;
    for _ in 0..2 {
        let error = error_of(&ground, &mut stranger).await;
        assert!(matches!(error, LogError::Config(_)), "{error:?}");
        assert!(error.to_string().contains(&group), "{error}");
        assert!(error.to_string().contains("something-else"), "{error}");
    }
    assert!(stranger.membership.assign(1, Vec::new()).await.is_err());
    stranger.membership.leave().await;
    let mut other = options(subject, &group, "c");
    other.protocols = vec![("v9".to_owned(), bytes("c"))];
    let mut stranger = Peer::join(&ground, other).await;
    let error = error_of(&ground, &mut stranger).await;
    assert!(matches!(error, LogError::Config(_)), "{error:?}");
    first.step().await.expect("an event");
    assert_eq!(first.rebalanced, 0);
}

pub(super) async fn a_static_member_comes_back_without_a_rebalance(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("static");
    let fixed = |metadata: &str| {
        let mut with = options(subject, &group, metadata);
        with.group_instance_id = Some(format!("instance-{metadata}"));
        with.session_timeout = Duration::from_secs(20);
        with
    };
    let mut first = Peer::join(&ground, fixed("a")).await;
    together(&ground, &mut [&mut first]).await;
    assert_eq!(
        first.led[0].group_instance_id.as_deref(),
        Some("instance-a")
    );
    let mut second = Peer::join(&ground, fixed("b")).await;
    together(&ground, &mut [&mut first, &mut second]).await;
    let before = first.generation().number;
    // Once the follower, once the leader.
    let share = second.generation().assignment.clone();
    drop(second);
    let mut second = Peer::join(&ground, fixed("b")).await;
    until(&ground, "the return", &mut [&mut second], |p| {
        p[0].now.is_some()
    })
    .await;
    assert_eq!(second.generation().number, before);
    assert_eq!(second.generation().assignment, share);
    let share = first.generation().assignment.clone();
    drop(first);
    let mut first = Peer::join(&ground, fixed("a")).await;
    until(&ground, "the return", &mut [&mut first], |p| {
        p[0].now.is_some()
    })
    .await;
    assert_eq!(first.generation().number, before);
    assert_eq!(first.generation().assignment, share);
    assert!(first.led.is_empty(), "it must not assign anew");
    second.step().await.expect("an event");
    assert_eq!((second.rebalanced, second.lost), (0, 0));
}

pub(super) async fn a_static_member_is_fenced_by_its_double(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("double");
    let mut with = options(subject, &group, "a");
    with.group_instance_id = Some("the-one".to_owned());
    let mut first = Peer::join(&ground, with.clone()).await;
    together(&ground, &mut [&mut first]).await;
    let mut double = Peer::join(&ground, with).await;
    until(&ground, "the takeover", &mut [&mut double], |p| {
        p[0].now.is_some()
    })
    .await;
    let error = error_of(&ground, &mut first).await;
    assert!(matches!(error, LogError::Fenced(_)), "{error:?}");
    assert!(error.to_string().contains("the-one"), "{error}");
    assert_eq!(first.membership.lease(), None);
    assert!(double.membership.lease().is_some());
}

pub(super) async fn a_closed_log_ends_memberships(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let group = subject.unique("closed");
    let mut peer = Peer::join(&ground, options(subject, &group, "a")).await;
    together(&ground, &mut [&mut peer]).await;
    ground.log.close().await.expect("close");
    assert!(matches!(
        error_of(&ground, &mut peer).await,
        LogError::Closed
    ));
    assert_eq!(peer.membership.lease(), None);
    assert!(matches!(
        ground.log.membership(options(subject, &group, "a")).await,
        Err(LogError::Closed)
    ));
    peer.membership.leave().await;
}

pub(super) async fn options_that_cannot_work_are_refused(subject: &dyn Subject) {
    let ground = Ground::new(subject).await;
    let good = options(subject, "group", "a");
    let nameless = MembershipOptions {
        group_id: String::new(),
        ..good.clone()
    };
    let mute = MembershipOptions {
        protocols: Vec::new(),
        ..good.clone()
    };
    let faint = MembershipOptions {
        heartbeat_interval: good.session_timeout,
        ..good.clone()
    };
    for (bad, named) in [
        (nameless, "group.id"),
        (mute, "protocol"),
        (faint, "heartbeat.interval.ms"),
    ] {
        let error = ground.log.membership(bad).await.expect_err(named);
        assert!(matches!(error, LogError::Config(_)), "{error:?}");
        assert!(error.to_string().contains(named), "{error}");
    }
}
