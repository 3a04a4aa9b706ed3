use std::sync::Mutex;
use std::time::Duration;

use super::rng::Rng;
use crate::local::{Disturbance, lock};

/// What can go wrong in the in-memory log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A record sent by a producer without transactions is written, yet its delivery is a [`Timeout`](crate::LogError::Timeout).
    LostAck,
    /// Such a record is not written; its delivery is a [`Retriable`](crate::LogError::Retriable) error.
    SendRetriable,
    /// Such a record is not written; its delivery is a [`Fatal`](crate::LogError::Fatal) error.
    SendFatal,
    /// [`Producer::send`](crate::Producer::send) takes nothing.
    QueueFull,
    /// A transaction is not written; its commit is a `Retriable` error.
    TransactionFails,
    /// A transaction is written, yet its commit is a `Timeout`.
    TransactionLostAck,
    /// Somebody else takes over the transactional id just before a commit: the commit is [`Fenced`](crate::LogError::Fenced).
    ProducerFenced,
    /// A table write is not written and fails with a `Retriable` error.
    TableWriteFails,
    /// A table write is written, yet fails with a `Timeout`.
    TableWriteLostAck,
    /// A commit of group positions is not stored and fails with a `Retriable` error.
    GroupCommitFails,
    /// A commit of group positions is stored, yet fails with a `Timeout`.
    GroupCommitLostAck,
    /// All members of a group are asked to give back everything before a member's next event.
    Rebalance,
    /// All members of a group lose everything before a member's next event.
    LostPartitions,
    /// A fetch takes [`Faults::slow_read`] longer.
    SlowRead,
    /// A [`Membership`](crate::Membership)'s heartbeat does not arrive.
    HeartbeatLost,
    /// A membership's session has expired when its heartbeat arrives.
    SessionExpired,
    /// The coordinator of a membership's group moves when it is called: members that wait for it get no answer, sessions begin anew.
    CoordinatorMoves,
}

const KINDS: usize = Fault::CoordinatorMoves as usize + 1;

/// Decides which calls fail: scripted ones first, then by chance, reproducibly for one seed and one order of calls.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    skip: [u32; KINDS],
    scripted: [u32; KINDS],
    probability: [f64; KINDS],
    injected: [u64; KINDS],
    slow_read: Duration,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        let state = State {
            rng: Rng::new(seed ^ 0xfa17_fa17),
            skip: [0; KINDS],
            scripted: [0; KINDS],
            probability: [0.0; KINDS],
            injected: [0; KINDS],
            slow_read: Duration::from_millis(50),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// The next `calls` calls that `fault` can hit are hit.
    pub fn script(&self, fault: Fault, calls: u32) {
        self.script_after(fault, 0, calls);
    }

    /// `skip` calls that `fault` can hit pass, the `calls` after them are hit.
    pub fn script_after(&self, fault: Fault, skip: u32, calls: u32) {
        let mut state = lock(&self.state);
        state.skip[fault as usize] = skip;
        state.scripted[fault as usize] = calls;
    }

    /// Every call that `fault` can hit is hit with probability `p` (0 to 1).
    pub fn probability(&self, fault: Fault, p: f64) {
        lock(&self.state).probability[fault as usize] = p.clamp(0.0, 1.0);
    }

    /// How much longer a [`Fault::SlowRead`] takes; 50 ms unless set. Tokio's clock, so a paused one skips it.
    pub fn slow_read(&self, delay: Duration) {
        lock(&self.state).slow_read = delay;
    }

    /// Nothing fails any more.
    pub fn clear(&self) {
        let mut state = lock(&self.state);
        state.skip = [0; KINDS];
        state.scripted = [0; KINDS];
        state.probability = [0.0; KINDS];
    }

    /// How often `fault` has hit so far.
    pub fn injected(&self, fault: Fault) -> u64 {
        lock(&self.state).injected[fault as usize]
    }

    pub(super) fn strikes(&self, fault: Fault) -> bool {
        let at = fault as usize;
        let mut state = lock(&self.state);
        let state = &mut *state;
        let hit = if state.skip[at] > 0 {
            state.skip[at] -= 1;
            false
        } else if state.scripted[at] > 0 {
            state.scripted[at] -= 1;
            true
        } else {
            state.probability[at] > 0.0 && state.rng.chance(state.probability[at])
        };
        state.injected[at] += u64::from(hit);
        hit
    }

    pub(super) fn delay(&self) -> Option<Duration> {
        self.strikes(Fault::SlowRead)
            .then(|| lock(&self.state).slow_read)
    }
}

/// The faults that concern memberships.
#[derive(Debug)]
pub(super) struct GroupFaults(pub(super) std::sync::Arc<Faults>);

impl Disturbance for GroupFaults {
    fn heartbeat_is_lost(&self) -> bool {
        self.0.strikes(Fault::HeartbeatLost)
    }

    fn session_expires(&self) -> bool {
        self.0.strikes(Fault::SessionExpired)
    }

    fn coordinator_moves(&self) -> bool {
        self.0.strikes(Fault::CoordinatorMoves)
    }
}
