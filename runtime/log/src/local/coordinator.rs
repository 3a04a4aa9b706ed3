use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::assignment::{Candidate, assign};
use super::lock;
use crate::{LogError, Subscription, TopicPartition};

/// The group coordinator of a log that lives in one process: members, generations, and who owns which partition.
///
/// A partition moves in two steps, as with Kafka's cooperative protocol: its owner is asked to give it back and keeps it until it has; only then does the next
/// owner get it. So there is no moment at which two members own a partition, and what the first one committed is there before the second one starts.
#[derive(Debug, Default)]
pub struct Coordinator {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<Arc<str>, i32>,
    groups: BTreeMap<Arc<str>, Group>,
    next_id: u64,
}

#[derive(Debug, Default)]
struct Group {
    generation: u64,
    members: BTreeMap<u64, Member>,
}

#[derive(Debug)]
struct Member {
    wanted: Wanted,
    waker: Arc<Notify>,
    max_poll_interval: Duration,
    last_poll: Instant,
    /// False once it has not polled for too long; it joins again with its next poll.
    active: bool,
    /// What it has, `fresh` and `revoking` included.
    owned: BTreeSet<TopicPartition>,
    /// What it will have once all are done.
    target: BTreeSet<TopicPartition>,
    /// Owned, but the member has not been told yet.
    fresh: BTreeSet<TopicPartition>,
    /// The member was asked for these and has not released them.
    revoking: BTreeSet<TopicPartition>,
    /// Taken away; the member has not been told yet.
    lost: BTreeSet<TopicPartition>,
    /// Everything must be given back once, as in Kafka's eager protocol.
    revoke_all: bool,
    /// Has been told its first assignment, which may be empty.
    joined: bool,
}

#[derive(Debug)]
enum Wanted {
    Topics(BTreeSet<Arc<str>>),
    Pattern(fancy_regex::Regex),
}

impl Wanted {
    fn new(subscription: &Subscription) -> Result<Self, LogError> {
        match subscription {
            Subscription::Topics(names) => Ok(Self::Topics(
                names.iter().map(|n| Arc::from(n.as_str())).collect(),
            )),
            Subscription::Pattern(pattern) => fancy_regex::Regex::new(&format!("^(?:{pattern})$"))
                .map(Self::Pattern)
                .map_err(|error| {
                    LogError::Config(format!(
                        "topic pattern '{pattern}' is not a regular expression: {error}"
                    ))
                }),
        }
    }

    fn select(&self, topics: &BTreeMap<Arc<str>, i32>) -> BTreeSet<Arc<str>> {
        match self {
            Self::Topics(names) => names
                .iter()
                .filter(|n| topics.contains_key(*n))
                .cloned()
                .collect(),
            // A pattern that runs into the engine's backtracking limit does not match.
            Self::Pattern(pattern) => topics
                .keys()
                .filter(|n| pattern.is_match(&***n).unwrap_or(false))
                .cloned()
                .collect(),
        }
    }
}

/// Names one member of one group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MemberRef {
    /// `group.id`.
    pub group: Arc<str>,
    id: u64,
}

/// What a member has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MemberEvent {
    Lost(Vec<TopicPartition>),
    Revoking(Vec<TopicPartition>),
    /// Asked, not yet released: deliver nothing.
    AwaitingRelease,
    Assigned(Vec<TopicPartition>),
    Nothing,
}

impl Coordinator {
    /// Adds a member; `waker` is notified whenever it should poll.
    pub(super) fn join(
        &self,
        group: &str,
        subscription: &Subscription,
        max_poll_interval: Duration,
        waker: &Arc<Notify>,
    ) -> Result<MemberRef, LogError> {
        let wanted = Wanted::new(subscription)?;
        let mut state = lock(&self.state);
        state.next_id += 1;
        let member = MemberRef {
            group: Arc::from(group),
            id: state.next_id,
        };
        let entry = Member {
            wanted,
            waker: Arc::clone(waker),
            max_poll_interval,
            last_poll: Instant::now(),
            active: true,
            owned: BTreeSet::new(),
            target: BTreeSet::new(),
            fresh: BTreeSet::new(),
            revoking: BTreeSet::new(),
            lost: BTreeSet::new(),
            revoke_all: false,
            joined: false,
        };
        let State { topics, groups, .. } = &mut *state;
        let group = groups.entry(Arc::clone(&member.group)).or_default();
        group.members.insert(member.id, entry);
        group.rebalance(topics);
        Ok(member)
    }

    /// Removes a member; what it had goes to the others at once.
    pub(super) fn leave(&self, member: &MemberRef) {
        let mut state = lock(&self.state);
        let State { topics, groups, .. } = &mut *state;
        let Some(group) = groups.get_mut(&member.group) else {
            return;
        };
        if group.members.remove(&member.id).is_none() {
            return;
        }
        if group.members.is_empty() {
            groups.remove(&member.group);
        } else {
            group.rebalance(topics);
        }
    }

    /// The member's next event; each is returned once.
    pub(super) fn poll(&self, member: &MemberRef) -> MemberEvent {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let State { topics, groups, .. } = &mut *state;
        let Some(group) = groups.get_mut(&member.group) else {
            return MemberEvent::Nothing;
        };
        if let Some(me) = group.members.get_mut(&member.id) {
            me.last_poll = now;
            if !me.active {
                me.active = true;
                me.joined = false;
                group.rebalance(topics);
            }
        }
        if group.expel_idle(now) {
            group.rebalance(topics);
        }
        let Some(me) = group.members.get_mut(&member.id) else {
            return MemberEvent::Nothing;
        };
        if !me.lost.is_empty() {
            return MemberEvent::Lost(std::mem::take(&mut me.lost).into_iter().collect());
        }
        if !me.revoking.is_empty() {
            return MemberEvent::AwaitingRelease;
        }
        let leaving: BTreeSet<TopicPartition> = match std::mem::take(&mut me.revoke_all) {
            true => me.owned.difference(&me.fresh).cloned().collect(),
            false => me.owned.difference(&me.target).cloned().collect(),
        };
        if !leaving.is_empty() {
            me.revoking.clone_from(&leaving);
            return MemberEvent::Revoking(leaving.into_iter().collect());
        }
        if !me.fresh.is_empty() || !me.joined {
            me.joined = true;
            return MemberEvent::Assigned(std::mem::take(&mut me.fresh).into_iter().collect());
        }
        MemberEvent::Nothing
    }

    /// The member gives back what it was last asked for.
    pub(super) fn release(&self, member: &MemberRef) -> Vec<TopicPartition> {
        let mut state = lock(&self.state);
        let Some(group) = state.groups.get_mut(&member.group) else {
            return Vec::new();
        };
        let Some(me) = group.members.get_mut(&member.id) else {
            return Vec::new();
        };
        let released = std::mem::take(&mut me.revoking);
        me.owned.retain(|p| !released.contains(p));
        group.hand_out();
        released.into_iter().collect()
    }

    /// Fails with [`LogError::Fenced`] unless `member` owns each of `partitions` now.
    pub fn check_owner<'a>(
        &self,
        member: &MemberRef,
        partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Result<(), LogError> {
        let state = lock(&self.state);
        let me = state
            .groups
            .get(&member.group)
            .and_then(|g| g.members.get(&member.id));
        for partition in partitions {
            // What it has not been told of yet it cannot mean: it owned that before, if ever.
            if !me.is_some_and(|m| m.owned.contains(partition) && !m.fresh.contains(partition)) {
                return Err(LogError::Fenced(format!(
                    "this member of group '{}' does not own partition {partition} any more; its commit was not stored",
                    member.group
                )));
            }
        }
        Ok(())
    }

    /// Number of live members of `group`.
    pub fn members(&self, group: &str) -> usize {
        lock(&self.state)
            .groups
            .get(group)
            .map_or(0, |g| g.members.values().filter(|m| m.active).count())
    }

    /// Counts the rebalances of `group` since its first member joined.
    pub fn generation(&self, group: &str) -> u64 {
        lock(&self.state)
            .groups
            .get(group)
            .map_or(0, |g| g.generation)
    }

    /// Tells the coordinator which topics there are: name and number of partitions.
    pub fn set_topics(&self, topics: BTreeMap<Arc<str>, i32>) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        for group in state.groups.values_mut() {
            let touched = group
                .members
                .values()
                .any(|m| m.wanted.select(&topics) != m.wanted.select(&state.topics));
            if touched {
                group.rebalance(&topics);
            }
        }
        state.topics = topics;
    }

    /// Wakes every member: the log was closed or broke.
    pub fn wake_all(&self) {
        lock(&self.state)
            .groups
            .values()
            .flat_map(|g| g.members.values())
            .for_each(|m| m.waker.notify_one());
    }

    /// Has every member of `group` give back all it owns, as a rebalance of Kafka's eager protocol does.
    pub fn force_rebalance(&self, group: &str) {
        let mut state = lock(&self.state);
        let State { topics, groups, .. } = &mut *state;
        if let Some(group) = groups.get_mut(group) {
            group.members.values_mut().for_each(|m| m.revoke_all = true);
            group.rebalance(topics);
        }
    }

    /// Takes all partitions from all members of `group` without asking, then hands them out anew.
    pub fn lose_partitions(&self, group: &str) {
        let mut state = lock(&self.state);
        let State { topics, groups, .. } = &mut *state;
        if let Some(group) = groups.get_mut(group) {
            group.members.values_mut().for_each(Member::lose_all);
            group.rebalance(topics);
        }
    }
}

impl Member {
    fn lose_all(&mut self) {
        let owned = std::mem::take(&mut self.owned);
        self.lost
            .extend(owned.into_iter().filter(|p| !self.fresh.contains(p)));
        self.fresh.clear();
        self.revoking.clear();
        self.revoke_all = false;
    }
}

impl Group {
    /// Computes targets anew and hands out what is free.
    fn rebalance(&mut self, topics: &BTreeMap<Arc<str>, i32>) {
        self.generation += 1;
        let exists = |p: &TopicPartition| topics.get(&p.topic).is_some_and(|n| p.partition < *n);
        for member in self.members.values_mut() {
            let gone: Vec<TopicPartition> = member
                .owned
                .iter()
                .filter(|p| !exists(p))
                .cloned()
                .collect();
            for partition in gone {
                member.owned.remove(&partition);
                member.revoking.remove(&partition);
                if !member.fresh.remove(&partition) {
                    member.lost.insert(partition);
                }
            }
        }
        let candidates: Vec<Candidate<'_>> = self
            .members
            .iter()
            .filter(|(_, m)| m.active)
            .map(|(id, m)| Candidate {
                id: *id,
                topics: m.wanted.select(topics),
                owned: &m.owned,
            })
            .collect();
        let mut targets = assign(topics, &candidates);
        for (id, member) in &mut self.members {
            member.target = targets.remove(id).unwrap_or_default();
            // What the member does not know of yet can go without asking.
            let Member {
                owned,
                fresh,
                target,
                ..
            } = member;
            fresh.retain(|p| target.contains(p) || !owned.remove(p));
        }
        self.hand_out();
    }

    /// Gives every free partition to the member that is to have it, and wakes all members.
    fn hand_out(&mut self) {
        let taken: BTreeSet<TopicPartition> = self
            .members
            .values()
            .flat_map(|m| m.owned.iter().cloned())
            .collect();
        for member in self.members.values_mut() {
            let free: Vec<TopicPartition> = member.target.difference(&taken).cloned().collect();
            member.owned.extend(free.iter().cloned());
            member.fresh.extend(free);
            member.waker.notify_one();
        }
    }

    /// Takes the partitions of members that have not polled within `max.poll.interval.ms`; true when there were any.
    fn expel_idle(&mut self, now: Instant) -> bool {
        let mut expelled = false;
        for member in self.members.values_mut() {
            if member.active && now.duration_since(member.last_poll) > member.max_poll_interval {
                member.active = false;
                member.lose_all();
                expelled = true;
            }
        }
        expelled
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn coordinator(partitions: i32) -> Coordinator {
        let coordinator = Coordinator::default();
        coordinator.set_topics([(Arc::from("t"), partitions)].into());
        coordinator
    }

    fn join(coordinator: &Coordinator) -> MemberRef {
        let subscription = Subscription::Topics(vec!["t".into()]);
        coordinator
            .join(
                "g",
                &subscription,
                Duration::from_secs(300),
                &Arc::new(Notify::new()),
            )
            .unwrap()
    }

    fn parts(numbers: &[i32]) -> Vec<TopicPartition> {
        numbers
            .iter()
            .map(|n| TopicPartition::new("t", *n))
            .collect()
    }

    #[test]
    fn a_partition_changes_hands_only_after_its_release() {
        let c = coordinator(2);
        let first = join(&c);
        assert_eq!(c.poll(&first), MemberEvent::Assigned(parts(&[0, 1])));
        let second = join(&c);
        assert_eq!(c.poll(&second), MemberEvent::Assigned(vec![]));
        assert_eq!(c.poll(&first), MemberEvent::Revoking(parts(&[1])));
        assert_eq!(c.poll(&first), MemberEvent::AwaitingRelease);
        assert_eq!(c.poll(&second), MemberEvent::Nothing);
        c.check_owner(&first, parts(&[1]).iter()).unwrap();
        c.release(&first);
        assert!(matches!(
            c.check_owner(&first, parts(&[1]).iter()),
            Err(LogError::Fenced(_))
        ));
        assert_eq!(c.poll(&second), MemberEvent::Assigned(parts(&[1])));
        c.leave(&first);
        assert_eq!(c.poll(&second), MemberEvent::Assigned(parts(&[0])));
        assert_eq!(c.members("g"), 1);
    }

    #[test]
    fn a_deleted_topic_is_lost_without_asking() {
        let c = coordinator(1);
        let member = join(&c);
        assert_eq!(c.poll(&member), MemberEvent::Assigned(parts(&[0])));
        c.set_topics(BTreeMap::new());
        assert_eq!(c.poll(&member), MemberEvent::Lost(parts(&[0])));
        c.set_topics([(Arc::from("t"), 1)].into());
        assert_eq!(c.poll(&member), MemberEvent::Assigned(parts(&[0])));
    }

    #[test]
    fn a_forced_rebalance_asks_for_everything_and_gives_it_back() {
        let c = coordinator(2);
        let member = join(&c);
        c.poll(&member);
        c.force_rebalance("g");
        assert_eq!(c.poll(&member), MemberEvent::Revoking(parts(&[0, 1])));
        c.release(&member);
        assert_eq!(c.poll(&member), MemberEvent::Assigned(parts(&[0, 1])));
        c.lose_partitions("g");
        assert_eq!(c.poll(&member), MemberEvent::Lost(parts(&[0, 1])));
        assert_eq!(c.poll(&member), MemberEvent::Assigned(parts(&[0, 1])));
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_that_does_not_poll_loses_what_it_has() {
        let c = coordinator(2);
        let sleepy = join(&c);
        c.poll(&sleepy);
        let other = join(&c);
        assert_eq!(c.poll(&other), MemberEvent::Assigned(vec![]));
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(c.poll(&other), MemberEvent::Assigned(parts(&[0, 1])));
        assert_eq!(c.members("g"), 1);
        assert_eq!(c.poll(&sleepy), MemberEvent::Lost(parts(&[0, 1])));
        assert_eq!(c.members("g"), 2);
    }
}
