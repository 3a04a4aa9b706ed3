//! Groups of any type among the members of one process: Kafka's classic group protocol, served from memory.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::lock;
use crate::membership::{GroupCoordinator, Joined, Refusal};
use crate::{GroupMember, LogError, MembershipOptions};

type Protocols = Vec<(String, Bytes)>;
type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

/// All groups of a log.
#[derive(Debug)]
pub struct Groups {
    state: Mutex<State>,
    disturbance: Box<dyn Disturbance>,
}

/// What goes wrong between members and their coordinator.
pub trait Disturbance: Send + Sync + Debug {
    /// The next heartbeat does not arrive.
    fn heartbeat_is_lost(&self) -> bool {
        false
    }

    /// The member of the next heartbeat has just lost its session.
    fn session_expires(&self) -> bool {
        false
    }

    /// The coordinator moves at the next call: whoever waits for an answer gets none.
    fn coordinator_moves(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct Undisturbed;

impl Disturbance for Undisturbed {}

impl Default for Groups {
    fn default() -> Self {
        Self::disturbed(Box::new(Undisturbed))
    }
}

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<String, Group>,
    next_id: u64,
}

/// A group stays when its last member is gone, so that its generations go on counting.
#[derive(Debug)]
struct Group {
    generation: i32,
    phase: Phase,
    protocol_type: &'static str,
    protocol: String,
    /// Id of the leader.
    leader: String,
    /// In the order in which they joined first.
    members: Vec<Member>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Members join, until all that are known have or the time is over.
    Joining { until: Instant },
    /// Members wait for what the leader assigns.
    Syncing { until: Instant },
    /// The generation lives; also the phase of an empty group.
    Stable,
}

#[derive(Debug)]
struct Member {
    id: String,
    group_instance_id: Option<String>,
    protocols: Protocols,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    alive: Instant,
    joining: Option<Answer<Joined>>,
    syncing: Option<Answer<Bytes>>,
    assignment: Bytes,
}

impl Member {
    /// Whether it waits for an answer: its session cannot expire meanwhile, unless nobody waits any more.
    fn waits(&self) -> bool {
        self.joining.as_ref().is_some_and(|j| !j.is_closed())
            || self.syncing.as_ref().is_some_and(|s| !s.is_closed())
    }

    fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find(|(name, _)| name == protocol)
            .map(|(_, metadata)| metadata)
    }
}

impl Groups {
    /// Groups in which `disturbance` strikes.
    pub fn disturbed(disturbance: Box<dyn Disturbance>) -> Self {
        Self {
            state: Mutex::default(),
            disturbance,
        }
    }

    /// The coordinator for one member.
    pub fn coordinator(self: &Arc<Self>, options: MembershipOptions) -> Arc<dyn GroupCoordinator> {
        Arc::new(LocalGroupCoordinator {
            groups: Arc::clone(self),
            options,
        })
    }

    /// Runs `work` on the group after everything has happened in it that time brings.
    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Group, &mut u64) -> T) -> T {
        let mut state = lock(&self.state);
        let State { groups, next_id } = &mut *state;
        let group = groups.entry(name.to_owned()).or_insert_with(Group::new);
        group.pass_time(Instant::now());
        work(group, next_id)
    }

    /// Waits for an answer that the coordinator holds back. Nobody else may be there to notice that time passes.
    async fn answer<T>(
        &self,
        group: &str,
        mut answer: oneshot::Receiver<Result<T, Refusal>>,
        look_every: Duration,
    ) -> Result<T, Refusal> {
        loop {
            let until = self.with(group, |g, _| g.next_deadline());
            let now = Instant::now();
            let wait = until.map_or(look_every, |u| {
                u.saturating_duration_since(now).min(look_every)
            });
            match timeout(wait.max(Duration::from_millis(1)), &mut answer).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => return Err(moved()),
                Err(_) => {}
            }
        }
    }

    fn disturb(&self, group: &str) -> Result<(), Refusal> {
        if self.disturbance.coordinator_moves() {
            self.with(group, |g, _| g.move_away());
            return Err(moved());
        }
        Ok(())
    }
}

fn moved() -> Refusal {
    Refusal::Unavailable(LogError::retriable("the group's coordinator has moved"))
}

impl Group {
    fn new() -> Self {
        Self {
            generation: 0,
            phase: Phase::Stable,
            protocol_type: "",
            protocol: String::new(),
            leader: String::new(),
            members: Vec::new(),
        }
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.members.iter().position(|m| m.id == id)
    }

    /// The member that speaks, unless the group does not know it or another has its instance id.
    fn known(&self, id: &str, options: &MembershipOptions) -> Result<usize, Refusal> {
        if let Some(at) = self.instance(options) {
            return match self.members[at].id == id {
                true => Ok(at),
                false => Err(fenced(options)),
            };
        }
        self.position(id).ok_or(Refusal::UnknownMember)
    }

    fn instance(&self, options: &MembershipOptions) -> Option<usize> {
        let instance = options.group_instance_id.as_ref()?;
        self.members
            .iter()
            .position(|m| m.group_instance_id.as_ref() == Some(instance))
    }

    fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Joining { until } | Phase::Syncing { until } => Some(until),
            Phase::Stable => None,
        };
        self.members
            .iter()
            .filter(|m| !m.waits())
            .map(|m| m.alive + m.session_timeout)
            .chain(phase)
            .min()
    }

    /// Drops members whose time is over.
    fn pass_time(&mut self, now: Instant) {
        let before = self.members.len();
        let late = match self.phase {
            Phase::Joining { until } | Phase::Syncing { until } => now >= until,
            Phase::Stable => false,
        };
        self.members
            .retain(|m| m.waits() || (!late && now < m.alive + m.session_timeout));
        if self.members.len() != before {
            self.changed(now);
        }
    }

    /// After members have gone.
    fn changed(&mut self, now: Instant) {
        match self.phase {
            Phase::Joining { .. } => self.finish_joining(now),
            _ => self.rebalance(now),
        }
    }

    /// Has all members join again.
    fn rebalance(&mut self, now: Instant) {
        for member in &mut self.members {
            if let Some(syncing) = member.syncing.take() {
                drop(syncing.send(Err(Refusal::RebalanceInProgress)));
            }
        }
        self.phase = Phase::Joining {
            until: now + self.rebalance_timeout(),
        };
        self.finish_joining(now);
    }

    fn rebalance_timeout(&self) -> Duration {
        self.members
            .iter()
            .map(|m| m.rebalance_timeout)
            .max()
            .unwrap_or_default()
    }

    /// Begins the next generation when all members have joined.
    fn finish_joining(&mut self, now: Instant) {
        if self.members.iter().any(|m| m.joining.is_none()) {
            return;
        }
        self.generation += 1;
        if self.members.is_empty() {
            self.phase = Phase::Stable;
            self.leader.clear();
            return;
        }
        self.phase = Phase::Syncing {
            until: now + self.rebalance_timeout(),
        };
        self.protocol = self.elect_protocol();
        if self.position(&self.leader).is_none() {
            self.leader.clone_from(&self.members[0].id);
        }
        for at in 0..self.members.len() {
            let joined = self.joined(at, false);
            let member = &mut self.members[at];
            member.alive = now;
            member.assignment = Bytes::new();
            if let Some(joining) = member.joining.take() {
                drop(joining.send(Ok(joined)));
            }
        }
    }

    /// Each member votes for the first of its protocols that all others speak too.
    fn elect_protocol(&self) -> String {
        let mut votes: Vec<(&str, usize)> = Vec::new();
        for member in &self.members {
            let choice = member
                .protocols
                .iter()
                .map(|(name, _)| name.as_str())
                .find(|name| self.members.iter().all(|m| m.metadata(name).is_some()));
            if let Some(name) = choice {
                match votes.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, count)) => *count += 1,
                    None => votes.push((name, 1)),
                }
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max();
        votes
            .into_iter()
            .find(|(_, count)| Some(*count) == most)
            .map(|(name, _)| name.to_owned())
            .unwrap_or_default()
    }

    fn joined(&self, at: usize, skip_assignment: bool) -> Joined {
        let me = &self.members[at];
        let members = if me.id == self.leader {
            let seen = |m: &Member| GroupMember {
                id: m.id.clone(),
                group_instance_id: m.group_instance_id.clone(),
                metadata: m.metadata(&self.protocol).cloned().unwrap_or_default(),
            };
            self.members.iter().map(seen).collect()
        } else {
            Vec::new()
        };
        Joined {
            generation: self.generation,
            member_id: me.id.clone(),
            leader_id: self.leader.clone(),
            protocol: self.protocol.clone(),
            members,
            skip_assignment,
        }
    }

    /// Another coordinator takes over: sessions begin anew, and what was being answered is not.
    fn move_away(&mut self) {
        let now = Instant::now();
        for member in &mut self.members {
            member.alive = now;
            member.joining = None;
            member.syncing = None;
        }
        if matches!(self.phase, Phase::Syncing { .. }) {
            self.rebalance(now);
        }
    }

    fn speaks_with_all(&self, except: Option<usize>, protocols: &[(String, Bytes)]) -> bool {
        let mut others = self
            .members
            .iter()
            .enumerate()
            .filter(|(at, _)| Some(*at) != except)
            .peekable();
        others.peek().is_none() || {
            let others: Vec<&Member> = others.map(|(_, m)| m).collect();
            protocols
                .iter()
                .any(|(name, _)| others.iter().all(|m| m.metadata(name).is_some()))
        }
    }

    /// Takes a member in; the answer comes at once or with the next generation.
    fn join(
        &mut self,
        next_id: &mut u64,
        options: &MembershipOptions,
        id: &str,
        protocols: &[(String, Bytes)],
        answer: Answer<Joined>,
    ) -> Result<(), Refusal> {
        let now = Instant::now();
        let at = match id {
            "" => self.instance(options),
            id => Some(self.known(id, options)?),
        };
        let others = self.members.len() - usize::from(at.is_some());
        if others > 0 && self.protocol_type != options.protocol_type
            || !self.speaks_with_all(at, protocols)
        {
            return Err(inconsistent(
                options,
                self.protocol_type,
                self.protocol_names(),
            ));
        }
        self.protocol_type = options.protocol_type;
        let unchanged = at.is_some_and(|at| self.members[at].protocols == protocols);
        let replaced = at.is_some() && id.is_empty();
        let id = match id {
            "" => {
                *next_id += 1;
                let name = options
                    .group_instance_id
                    .as_deref()
                    .unwrap_or(&options.client_id);
                format!("{name}-{next_id}")
            }
            id => id.to_owned(),
        };
        let at = match at {
            Some(at) => {
                let member = &mut self.members[at];
                if replaced {
                    if member.id == self.leader {
                        self.leader.clone_from(&id);
                    }
                    // Whoever waits with the old id is fenced.
                    if let Some(joining) = member.joining.take() {
                        drop(joining.send(Err(fenced(options))));
                    }
                    if let Some(syncing) = member.syncing.take() {
                        drop(syncing.send(Err(fenced(options))));
                    }
                }
                member.id = id;
                member.protocols = protocols.to_vec();
                member.alive = now;
                member.session_timeout = options.session_timeout;
                member.rebalance_timeout = options.rebalance_timeout;
                at
            }
            None => {
                self.members.push(Member {
                    id,
                    group_instance_id: options.group_instance_id.clone(),
                    protocols: protocols.to_vec(),
                    session_timeout: options.session_timeout,
                    rebalance_timeout: options.rebalance_timeout,
                    alive: now,
                    joining: None,
                    syncing: None,
                    assignment: Bytes::new(),
                });
                self.members.len() - 1
            }
        };
        let leads = self.members[at].id == self.leader;
        match self.phase {
            Phase::Joining { .. } => {
                self.members[at].joining = Some(answer);
                self.finish_joining(now);
            }
            // It did not hear the answer, or comes back as the static member it was.
            Phase::Syncing { .. } if unchanged => drop(answer.send(Ok(self.joined(at, false)))),
            Phase::Stable if unchanged && (replaced || !leads) => {
                drop(answer.send(Ok(self.joined(at, replaced))));
            }
            _ => {
                self.members[at].joining = Some(answer);
                self.rebalance(now);
            }
        }
        Ok(())
    }

    fn protocol_names(&self) -> String {
        let mut names: Vec<&str> = self
            .members
            .iter()
            .flat_map(|m| m.protocols.iter().map(|(name, _)| name.as_str()))
            .collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }

    fn check_generation(
        &self,
        joined: &Joined,
        options: &MembershipOptions,
    ) -> Result<usize, Refusal> {
        let at = self.known(&joined.member_id, options)?;
        match joined.generation == self.generation {
            true => Ok(at),
            false => Err(Refusal::IllegalGeneration),
        }
    }

    fn sync(
        &mut self,
        options: &MembershipOptions,
        joined: &Joined,
        assignments: &[(String, Bytes)],
        answer: Answer<Bytes>,
    ) -> Result<(), Refusal> {
        let at = self.check_generation(joined, options)?;
        let now = Instant::now();
        self.members[at].alive = now;
        match self.phase {
            Phase::Joining { .. } => return Err(Refusal::RebalanceInProgress),
            Phase::Stable => drop(answer.send(Ok(self.members[at].assignment.clone()))),
            Phase::Syncing { .. } => {
                self.members[at].syncing = Some(answer);
                if joined.member_id == self.leader {
                    self.phase = Phase::Stable;
                    for member in &mut self.members {
                        member.alive = now;
                        member.assignment = assignments
                            .iter()
                            .find(|(id, _)| *id == member.id)
                            .map_or_else(Bytes::new, |(_, assignment)| assignment.clone());
                        if let Some(syncing) = member.syncing.take() {
                            drop(syncing.send(Ok(member.assignment.clone())));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, at: usize) {
        self.members.remove(at);
        self.changed(Instant::now());
    }
}

fn fenced(options: &MembershipOptions) -> Refusal {
    Refusal::Final(LogError::Fenced(format!(
        "another member of group '{}' has taken over group.instance.id={}: give each member one of its own",
        options.group_id,
        options.group_instance_id.as_deref().unwrap_or_default()
    )))
}

fn inconsistent(options: &MembershipOptions, theirs: &str, names: String) -> Refusal {
    let ours: Vec<&str> = options.protocols.iter().map(|(n, _)| n.as_str()).collect();
    Refusal::Final(LogError::Config(format!(
        "group '{}' refuses this member, which is of type '{}' and speaks {}: its members are of type '{theirs}' and speak {names}; give one of them another group.id",
        options.group_id,
        options.protocol_type,
        ours.join(", ")
    )))
}

/// [`Groups`] as one member reaches them.
#[derive(Debug)]
struct LocalGroupCoordinator {
    groups: Arc<Groups>,
    options: MembershipOptions,
}

impl LocalGroupCoordinator {
    fn look_every(&self) -> Duration {
        self.options.session_timeout / 3
    }
}

#[async_trait::async_trait]
impl GroupCoordinator for LocalGroupCoordinator {
    async fn join(
        &self,
        member_id: &str,
        protocols: &[(String, Bytes)],
    ) -> Result<Joined, Refusal> {
        let group = &self.options.group_id;
        self.groups.disturb(group)?;
        let (answer, joined) = oneshot::channel();
        self.groups.with(group, |g, next_id| {
            g.join(next_id, &self.options, member_id, protocols, answer)
        })?;
        self.groups.answer(group, joined, self.look_every()).await
    }

    async fn sync(
        &self,
        joined: &Joined,
        assignments: &[(String, Bytes)],
    ) -> Result<Bytes, Refusal> {
        let group = &self.options.group_id;
        self.groups.disturb(group)?;
        let (answer, assignment) = oneshot::channel();
        self.groups.with(group, |g, _| {
            g.sync(&self.options, joined, assignments, answer)
        })?;
        self.groups
            .answer(group, assignment, self.look_every())
            .await
    }

    async fn heartbeat(&self, joined: &Joined) -> Result<(), Refusal> {
        let group = &self.options.group_id;
        self.groups.disturb(group)?;
        if self.groups.disturbance.heartbeat_is_lost() {
            return Err(Refusal::Unavailable(LogError::retriable(
                "injected: a heartbeat was lost",
            )));
        }
        let expires = self.groups.disturbance.session_expires();
        self.groups.with(group, |g, _| {
            let at = g.known(&joined.member_id, &self.options)?;
            if expires {
                g.remove(at);
                return Err(Refusal::UnknownMember);
            }
            let at = g.check_generation(joined, &self.options)?;
            g.members[at].alive = Instant::now();
            match g.phase {
                Phase::Joining { .. } => Err(Refusal::RebalanceInProgress),
                _ => Ok(()),
            }
        })
    }

    async fn leave(&self, member_id: &str) -> Result<(), Refusal> {
        let group = &self.options.group_id;
        self.groups.disturb(group)?;
        self.groups.with(group, |g, _| {
            if let Ok(at) = g.known(member_id, &self.options) {
                g.remove(at);
            }
        });
        Ok(())
    }
}
