//! Memberships on the in-memory log, on a clock of their own and with disturbances.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_log::memory::{Fault, MemoryLog};
use millrace_log::{Log, Membership, MembershipEvent, MembershipOptions};
use tokio::time::{Instant, timeout};

const SESSION: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(3);
const REBALANCE: Duration = Duration::from_secs(60);

fn options(name: &str) -> MembershipOptions {
    MembershipOptions {
        group_id: "g".into(),
        protocol_type: "test",
        protocols: vec![("v1".into(), Bytes::copy_from_slice(name.as_bytes()))],
        group_instance_id: None,
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        heartbeat_interval: HEARTBEAT,
        client_id: name.into(),
        settings: Vec::new(),
    }
}

/// A member and what it was told.
struct Peer {
    membership: Box<dyn Membership>,
    answers: bool,
    /// Generation, own id, leader's id.
    now: Option<(i32, String, String)>,
    events: Vec<&'static str>,
}

impl Peer {
    async fn join(log: &MemoryLog, name: &str) -> Self {
        Self::join_with(log, options(name)).await
    }

    async fn join_with(log: &MemoryLog, options: MembershipOptions) -> Self {
        Self {
            membership: log.membership(options).await.unwrap(),
            answers: true,
            now: None,
            events: Vec::new(),
        }
    }

    async fn take(&mut self, event: MembershipEvent) {
        match event {
            MembershipEvent::Lead {
                generation,
                members,
                ..
            } => {
                self.events.push("lead");
                if self.answers {
                    let shares = members.into_iter().map(|m| (m.id, m.metadata)).collect();
                    self.membership.assign(generation, shares).await.unwrap();
                }
            }
            MembershipEvent::Assigned {
                generation,
                member_id,
                leader_id,
                ..
            } => {
                self.events.push("assigned");
                self.now = Some((generation, member_id, leader_id));
            }
            MembershipEvent::Rebalancing => {
                self.events.push("rebalancing");
                self.now = None;
            }
            MembershipEvent::Lost { .. } => {
                self.events.push("lost");
                self.now = None;
            }
        }
    }

    /// Takes what happens within `time`.
    async fn live(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(event) = tokio::time::timeout_at(end, self.membership.next()).await {
            let event = event.unwrap();
            self.take(event).await;
        }
    }

    /// Whether it may act as a leader now.
    fn may_lead(&self) -> bool {
        let lease = self.membership.lease();
        self.now.as_ref().is_some_and(|(generation, me, leader)| {
            me == leader
                && lease.is_some_and(|l| l.generation == *generation && l.until > Instant::now())
        })
    }
}

/// Lets all live for `time`, in steps short enough to look in between.
async fn live(peers: &mut [Peer], time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        for peer in peers.iter_mut() {
            peer.live(Duration::from_millis(10)).await;
        }
        let leaders = peers.iter().filter(|p| p.may_lead()).count();
        assert!(leaders <= 1, "{leaders} leaders at the same time");
    }
}

fn united(peers: &[Peer]) -> bool {
    let first = peers[0].now.as_ref().map(|(generation, _, _)| *generation);
    first.is_some()
        && peers
            .iter()
            .all(|p| p.now.as_ref().map(|(generation, _, _)| *generation) == first)
        && peers.iter().filter(|p| p.may_lead()).count() == 1
}

async fn pair(log: &MemoryLog) -> Vec<Peer> {
    let mut peers = vec![Peer::join(log, "a").await, Peer::join(log, "b").await];
    live(&mut peers, HEARTBEAT * 3).await;
    assert!(united(&peers));
    peers
}

#[tokio::test(start_paused = true)]
async fn lost_heartbeats_shorten_the_lease_but_not_the_membership() {
    let log = MemoryLog::new(1);
    let mut peer = Peer::join(&log, "a").await;
    peer.live(HEARTBEAT + Duration::from_millis(1)).await;
    let before = peer.membership.lease().unwrap();
    assert_eq!(
        before.until,
        Instant::now() - Duration::from_millis(1) + SESSION
    );
    log.faults().script(Fault::HeartbeatLost, 4);
    peer.live(HEARTBEAT + Duration::from_millis(300)).await;
    assert_eq!(peer.membership.lease(), Some(before));
    peer.live(HEARTBEAT * 2).await;
    assert!(peer.membership.lease().unwrap().until > before.until);
    assert_eq!(peer.events, ["lead", "assigned"]);
    assert_eq!(log.faults().injected(Fault::HeartbeatLost), 4);
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_loses_everything_and_joins_again() {
    let log = MemoryLog::new(1);
    let mut peers = pair(&log).await;
    let (generation, id, _) = peers[0].now.clone().unwrap();
    peers.iter_mut().for_each(|p| p.events.clear());
    log.faults().script(Fault::SessionExpired, 1);
    live(&mut peers, HEARTBEAT * 4).await;
    assert!(united(&peers));
    let lost = usize::from(peers[1].events.contains(&"lost"));
    assert_eq!(peers[lost].events[0], "lost");
    assert_eq!(peers[1 - lost].events[0], "rebalancing");
    assert!(peers[0].now.clone().unwrap().0 > generation);
    assert_eq!(peers[0].now.clone().unwrap().1 == id, lost == 1);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_moves_at_any_call_is_followed() {
    for skip in 0..12 {
        let log = MemoryLog::new(1);
        log.faults().script_after(Fault::CoordinatorMoves, skip, 1);
        let mut peers = vec![Peer::join(&log, "a").await, Peer::join(&log, "b").await];
        live(&mut peers, HEARTBEAT * 6).await;
        assert_eq!(log.faults().injected(Fault::CoordinatorMoves), 1);
        assert!(united(&peers), "moved at call {skip}");
        assert!(peers.iter().all(|p| !p.events.contains(&"lost")));
    }
}

#[tokio::test(start_paused = true)]
async fn the_group_goes_on_without_a_dead_member_only_after_its_lease() {
    let log = MemoryLog::new(1);
    let mut peers = pair(&log).await;
    let leader = peers.iter().position(Peer::may_lead).unwrap();
    let dead = peers.remove(leader);
    let lease = dead.membership.lease().unwrap();
    drop(dead);
    peers[0].events.clear();
    peers[0].live(lease.until - Instant::now()).await;
    assert_eq!(peers[0].events, [""; 0]);
    peers[0].live(HEARTBEAT + Duration::from_millis(10)).await;
    assert_eq!(peers[0].events, ["rebalancing", "lead", "assigned"]);
    assert!(peers[0].may_lead());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_does_not_assign_is_replaced() {
    let log = MemoryLog::new(1);
    let mut peers = vec![Peer::join(&log, "a").await];
    live(&mut peers, HEARTBEAT).await;
    peers[0].answers = false;
    peers.push(Peer::join(&log, "b").await);
    live(&mut peers, REBALANCE).await;
    assert!(peers.iter().all(|p| p.now.is_none()));
    peers[0].answers = true;
    live(&mut peers, HEARTBEAT * 4).await;
    assert!(united(&peers));
    assert!(peers[1].may_lead());
    assert!(peers[0].events.contains(&"lost"));
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_looks_away_finds_only_what_still_holds() {
    let log = MemoryLog::new(1);
    let mut peers = pair(&log).await;
    let leader = usize::from(peers[1].may_lead());
    let mut away = peers.remove(1 - leader);
    away.events.clear();
    for _ in 0..4 {
        peers[0].membership.rejoin();
        live(&mut peers, HEARTBEAT * 2).await;
    }
    assert!(united(&peers));
    away.live(Duration::from_millis(10)).await;
    assert_eq!(away.events, ["rebalancing", "assigned"]);
    assert_eq!(
        away.now.as_ref().map(|n| n.0),
        peers[0].now.as_ref().map(|n| n.0)
    );
}

#[tokio::test(start_paused = true)]
async fn under_disturbances_there_is_never_a_second_leader() {
    for seed in 0..40 {
        let log = MemoryLog::new(seed);
        let faults = log.faults();
        faults.probability(Fault::HeartbeatLost, 0.2);
        faults.probability(Fault::SessionExpired, 0.1);
        faults.probability(Fault::CoordinatorMoves, 0.1);
        let mut peers = Vec::new();
        for name in ["a", "b", "c"] {
            peers.push(Peer::join(&log, name).await);
        }
        for round in 0..8 {
            live(&mut peers, HEARTBEAT * 2).await;
            match (seed + round) % 4 {
                0 => peers[round as usize % 3].membership.rejoin(),
                1 => drop(peers.remove(round as usize % 3)),
                2 => {
                    let left = peers.remove(round as usize % 3);
                    left.membership.leave().await;
                }
                _ => {}
            }
            while peers.len() < 3 {
                peers.push(Peer::join(&log, "again").await);
            }
        }
        faults.clear();
        live(&mut peers, SESSION + HEARTBEAT * 4).await;
        assert!(united(&peers), "seed {seed} does not come to rest");
    }
}

#[tokio::test(start_paused = true)]
async fn generations_go_on_counting_after_the_last_member_left() {
    let log = MemoryLog::new(1);
    let mut last = 0;
    for _ in 0..3 {
        let mut peer = Peer::join(&log, "a").await;
        peer.live(HEARTBEAT).await;
        let (generation, _, _) = peer.now.clone().unwrap();
        assert!(generation > last);
        last = generation;
        peer.membership.leave().await;
    }
}

#[tokio::test(start_paused = true)]
async fn reopening_ends_memberships_of_the_old_log() {
    let log: Arc<MemoryLog> = MemoryLog::new(1);
    let mut peer = Peer::join(&log, "a").await;
    peer.live(HEARTBEAT).await;
    let again = log.reopen();
    let ended = timeout(Duration::from_secs(1), peer.membership.next()).await;
    assert!(ended.unwrap().is_err());
    assert_eq!(peer.membership.lease(), None);
    let mut peer = Peer::join(&again, "a").await;
    peer.live(HEARTBEAT).await;
    assert!(peer.may_lead());
}
