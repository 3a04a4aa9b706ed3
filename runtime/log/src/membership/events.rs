//! What the task that keeps the membership and its owner tell each other.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Joined, Lease, MembershipEvent};
use crate::LogError;
use crate::local::lock;

type Assignments = Vec<(String, Bytes)>;

/// Shared by the owner's handle and the task.
#[derive(Debug)]
pub(super) struct Exchange {
    state: Mutex<State>,
    /// There is something new for the owner.
    news: Notify,
    /// The owner wishes something new.
    wishes: Notify,
}

#[derive(Debug)]
struct State {
    /// Never more than three: an event makes those obsolete that it overtakes.
    events: VecDeque<MembershipEvent>,
    told: Told,
    /// Why there are no more events.
    ended: Option<LogError>,
    lease: Option<Lease>,
    /// When the last call was sent that kept the session alive in this generation.
    alive: Option<Instant>,
    protocols: Vec<(String, Bytes)>,
    rejoin: bool,
    leave: bool,
    assignments: Option<(i32, Assignments)>,
}

/// What the owner has last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Assigned,
    Rebalancing,
}

/// What the owner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Rejoin,
    Leave,
}

impl Exchange {
    pub(super) fn new(protocols: Vec<(String, Bytes)>) -> Self {
        Self {
            state: Mutex::new(State {
                events: VecDeque::new(),
                told: Told::Nothing,
                ended: None,
                lease: None,
                alive: None,
                protocols,
                rejoin: false,
                leave: false,
                assignments: None,
            }),
            news: Notify::new(),
            wishes: Notify::new(),
        }
    }

    // The owner's side.

    /// The next event. Cancel-safe: an event is taken at the moment it is returned.
    pub(super) async fn next(&self) -> Result<MembershipEvent, LogError> {
        loop {
            let news = self.news.notified();
            if let Some(result) = self.take() {
                return result;
            }
            news.await;
        }
    }

    fn take(&self) -> Option<Result<MembershipEvent, LogError>> {
        let mut state = lock(&self.state);
        let Some(event) = state.events.pop_front() else {
            return state.ended.clone().map(Err);
        };
        match &event {
            MembershipEvent::Lead { .. } => {}
            MembershipEvent::Assigned { .. } => state.told = Told::Assigned,
            MembershipEvent::Rebalancing => state.told = Told::Rebalancing,
            MembershipEvent::Lost { .. } => state.told = Told::Nothing,
        }
        Some(Ok(event))
    }

    pub(super) fn assign(&self, generation: i32, assignments: Assignments) -> Result<(), LogError> {
        let mut state = lock(&self.state);
        state.ended.clone().map_or(Ok(()), Err)?;
        state.assignments = Some((generation, assignments));
        self.wishes.notify_one();
        Ok(())
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        lock(&self.state).lease
    }

    pub(super) fn set_protocols(&self, protocols: Vec<(String, Bytes)>) {
        lock(&self.state).protocols = protocols;
    }

    pub(super) fn wish(&self, wish: Wish) {
        let mut state = lock(&self.state);
        match wish {
            Wish::Rejoin => state.rejoin = true,
            Wish::Leave => state.leave = true,
        }
        self.wishes.notify_one();
    }

    // The task's side.

    /// Waits for a wish; a wish to rejoin counts only with `and_rejoin` and is then taken.
    pub(super) async fn wished(&self, and_rejoin: bool) -> Wish {
        loop {
            let wishes = self.wishes.notified();
            {
                let mut state = lock(&self.state);
                if state.leave {
                    return Wish::Leave;
                }
                if and_rejoin && std::mem::take(&mut state.rejoin) {
                    return Wish::Rejoin;
                }
            }
            wishes.await;
        }
    }

    /// Waits for what the owner assigns in `generation`, or for a wish. One wait for all, since each notification wakes only one.
    pub(super) async fn assigned(&self, generation: i32) -> Result<Assignments, Wish> {
        loop {
            let wishes = self.wishes.notified();
            {
                let mut state = lock(&self.state);
                if state.leave {
                    return Err(Wish::Leave);
                }
                if std::mem::take(&mut state.rejoin) {
                    return Err(Wish::Rejoin);
                }
                match state.assignments.take() {
                    Some((of, assignments)) if of == generation => return Ok(assignments),
                    // For a generation that is over.
                    _ => {}
                }
            }
            wishes.await;
        }
    }

    /// The protocols for a join that begins now: it fulfils every wish to rejoin made before.
    pub(super) fn protocols_to_join(&self) -> Vec<(String, Bytes)> {
        let mut state = lock(&self.state);
        state.rejoin = false;
        state.protocols.clone()
    }

    pub(super) fn lead(&self, joined: &Joined) {
        self.push(MembershipEvent::Lead {
            generation: joined.generation,
            member_id: joined.member_id.clone(),
            protocol: joined.protocol.clone(),
            members: joined.members.clone(),
        });
    }

    /// A generation has begun, after a sync that was sent at `sent`.
    pub(super) fn begin(
        &self,
        joined: &Joined,
        assignment: Bytes,
        sent: Instant,
        session_timeout: Duration,
    ) {
        self.prolong(sent, session_timeout);
        let mut state = lock(&self.state);
        state.lease = state.alive.map(|alive| Lease {
            generation: joined.generation,
            until: alive + session_timeout,
        });
        drop(state);
        self.push(MembershipEvent::Assigned {
            generation: joined.generation,
            member_id: joined.member_id.clone(),
            leader_id: joined.leader_id.clone(),
            protocol: joined.protocol.clone(),
            assignment,
        });
    }

    /// The coordinator has taken a sign of life that was sent at `sent`.
    pub(super) fn prolong(&self, sent: Instant, session_timeout: Duration) {
        let mut state = lock(&self.state);
        let alive = state.alive.map_or(sent, |before| before.max(sent));
        state.alive = Some(alive);
        if let Some(lease) = &mut state.lease {
            lease.until = alive + session_timeout;
        }
    }

    /// The generation is over.
    pub(super) fn rebalancing(&self) {
        let mut state = lock(&self.state);
        state.obsolete();
        if state.told == Told::Assigned && state.events.is_empty() {
            state.events.push_back(MembershipEvent::Rebalancing);
            self.news.notify_one();
        }
    }

    /// The group went on without this member.
    pub(super) fn lost(&self, reason: String) {
        let mut state = lock(&self.state);
        state.events.clear();
        state.obsolete();
        if state.told != Told::Nothing {
            state.events.push_back(MembershipEvent::Lost { reason });
            self.news.notify_one();
        }
    }

    /// There will be no more events.
    pub(super) fn end(&self, error: LogError) {
        let mut state = lock(&self.state);
        if state.ended.is_none() {
            state.events.clear();
            state.obsolete();
            state.ended = Some(error);
        }
        self.news.notify_one();
    }

    fn push(&self, event: MembershipEvent) {
        lock(&self.state).events.push_back(event);
        self.news.notify_one();
    }
}

impl State {
    /// Takes back what belongs to the generation that is over.
    fn obsolete(&mut self) {
        self.lease = None;
        self.alive = None;
        self.events.retain(|e| {
            matches!(
                e,
                MembershipEvent::Rebalancing | MembershipEvent::Lost { .. }
            )
        });
    }
}
