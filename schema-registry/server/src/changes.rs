//! The leader's loop: changes are planned, written together where they do not touch each other, read back, and answered.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use registry_core::{Answer, Command, Pending, Plan, Registry, RegistryError, TopicWrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::cluster::election::Leadership;
use crate::failures::{Failure, broken};
use crate::topic::records::table_write;
use crate::topic::writer::{TopicWriter, WriteError};

/// Changes that one round may hold.
const MOST_IN_A_ROUND: usize = 256;

/// After this time of planning a round is written with what it has, so that cheap changes do not wait for many dear ones.
const PLANNING: Duration = Duration::from_millis(50);

/// While the lease has run out it is looked at this often: heartbeats may prolong it any moment.
const LEASE_LOOK: Duration = Duration::from_millis(20);

/// A change that waits for its turn.
#[derive(Debug)]
pub(crate) struct Change {
    command: Arc<Command>,
    reply: oneshot::Sender<Changed>,
    /// How often another leader's record came first.
    conflicts: u32,
    /// Whether it is written on its own, because a round with it was too large.
    alone: bool,
}

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    Done(Result<Answer, RegistryError>),
    /// This registry does not lead; nothing was done.
    NotLeader,
}

/// Where changes are put.
#[derive(Debug, Clone)]
pub(crate) struct ChangeQueue(mpsc::Sender<Change>);

impl ChangeQueue {
    /// A queue that holds as many changes as `length` at most.
    pub(crate) fn new(length: usize) -> (Self, mpsc::Receiver<Change>) {
        let (sender, receiver) = mpsc::channel(length);
        (Self(sender), receiver)
    }

    /// Puts a change at the end; `Err` when there is no room.
    pub(crate) fn put(&self, command: Arc<Command>) -> Result<oneshot::Receiver<Changed>, Failure> {
        let (reply, answer) = oneshot::channel();
        let change = Change {
            command,
            reply,
            conflicts: 0,
            alone: false,
        };
        match self.0.try_send(change) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Failure::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Failure::NoLeader),
        }
    }
}

impl Change {
    fn answer(self, answer: Result<Answer, RegistryError>) {
        // A client that has gone gets no answer; what was done stays done.
        let _ = self.reply.send(Changed::Done(answer));
    }

    fn fail(self, failure: Failure) {
        let error = failure.of(&self.command);
        self.answer(Err(error));
    }
}

/// The loop and what it works on.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) registry: Arc<Registry>,
    pub(crate) topic: Arc<TopicWriter>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) queue: mpsc::Receiver<Change>,
    pub(crate) corrections: mpsc::Receiver<TopicWrite>,
    /// `kafkastore.timeout.ms`
    pub(crate) timeout: Duration,
    /// `kafkastore.write.max.retries`
    pub(crate) most_conflicts: u32,
    /// So much of the lease must be left for a write to begin: it takes effect some time after it was looked at.
    pub(crate) margin: Duration,
}

/// A change that was planned and must be written.
struct Planned {
    change: Change,
    writes: Vec<TopicWrite>,
    pending: Pending,
}

#[derive(Default)]
struct Round {
    /// Those that need nothing written.
    answered: Vec<(Change, Result<Answer, RegistryError>)>,
    planned: Vec<Planned>,
    /// Those that must see the others' effects first.
    left: VecDeque<Change>,
}

impl Changes {
    /// Runs until every [`ChangeQueue`] is gone.
    pub(crate) async fn run(mut self) {
        let mut waiting = VecDeque::new();
        // Whether the end of the topic is not known to have been applied.
        let mut behind = false;
        loop {
            if waiting.is_empty() {
                tokio::select! {
                    change = self.queue.recv() => match change {
                        Some(change) => waiting.push_back(change),
                        None => return,
                    },
                    Some(correction) = self.corrections.recv() => {
                        self.correct(correction).await;
                        continue;
                    }
                }
            }
            while waiting.len() < MOST_IN_A_ROUND {
                match self.queue.try_recv() {
                    Ok(change) => waiting.push_back(change),
                    Err(_) => break,
                }
            }
            self.round(&mut waiting, &mut behind).await;
        }
    }

    async fn round(&mut self, waiting: &mut VecDeque<Change>, behind: &mut bool) {
        match self.lead().await {
            Lead::Held => {}
            Lead::Lapsed => return fail_all(waiting.drain(..), Failure::TimedOut),
            Lead::None => {
                for change in waiting.drain(..) {
                    let _ = change.reply.send(Changed::NotLeader);
                }
                return;
            }
        }
        if *behind {
            if let Err(error) = self.topic.read_to_end(self.timeout).await {
                tracing::warn!(%error, changes = waiting.len(), "the end of the schemas topic is not known, nothing can be written");
                return fail_all(waiting.drain(..), failure(&error));
            }
            *behind = false;
        }
        let changes = std::mem::take(waiting);
        let registry = Arc::clone(&self.registry);
        let Ok(round) = tokio::task::spawn_blocking(move || plan(&registry, changes)).await else {
            // The changes are gone with the thread; their clients see that nobody answers.
            tracing::error!("planning broke down");
            return;
        };
        *waiting = round.left;
        for (change, answer) in round.answered {
            change.answer(answer);
        }
        if round.planned.is_empty() {
            return;
        }
        let planned = round.planned;
        // Planning took its time: whoever holds the lead now must be known right before anything is written.
        if !self.holds_lead() {
            return fail_all(
                planned.into_iter().map(|planned| planned.change),
                Failure::TimedOut,
            );
        }
        let mut records = Vec::with_capacity(planned.len());
        let mut written = Vec::with_capacity(planned.len());
        for Planned {
            change,
            writes,
            pending,
        } in planned
        {
            records.extend(writes.into_iter().map(table_write));
            written.push((change, pending));
        }
        match self.topic.write(records, self.timeout).await {
            Ok(()) => {
                for (change, pending) in written {
                    self.finish(change, pending, waiting);
                }
            }
            Err(WriteError::TooLarge(_)) if written.len() > 1 => {
                *behind = true;
                while let Some((mut change, pending)) = written.pop() {
                    drop(pending);
                    change.alone = true;
                    waiting.push_front(change);
                }
            }
            Err(error) => {
                *behind = true;
                tracing::warn!(%error, changes = written.len(), "changes could not be written to the schemas topic");
                // Ids that were given out are free again once the end of the topic is known; the last one first, so that no hole stays.
                while let Some((change, pending)) = written.pop() {
                    drop(pending);
                    change.fail(failure(&error));
                }
            }
        }
    }

    fn finish(&self, mut change: Change, pending: Pending, waiting: &mut VecDeque<Change>) {
        match catch_unwind(AssertUnwindSafe(|| pending.answer(&self.registry))) {
            Ok(Err(error)) if error.code == 50001 && change.conflicts < self.most_conflicts => {
                tracing::warn!(%error, "another leader's record came first, planning the change again");
                change.conflicts += 1;
                waiting.push_front(change);
            }
            Ok(answer) => change.answer(answer),
            Err(_) => change.answer(Err(broken())),
        }
    }

    fn holds_lead(&self) -> bool {
        matches!(*self.leadership.borrow(), Leadership::Me { until, .. } if Instant::now() + self.margin < until)
    }

    /// Whether this registry may write. A lease that has run out is waited for: the lead may have passed on, or heartbeats are late.
    async fn lead(&self) -> Lead {
        let deadline = Instant::now() + self.timeout;
        loop {
            match *self.leadership.borrow() {
                Leadership::Me { until, .. } if Instant::now() + self.margin < until => {
                    return Lead::Held;
                }
                Leadership::Me { .. } => {}
                Leadership::Unknown(_) | Leadership::Other(_) => return Lead::None,
            }
            if Instant::now() >= deadline {
                return Lead::Lapsed;
            }
            tokio::time::sleep(LEASE_LOOK).await;
        }
    }

    async fn correct(&self, correction: TopicWrite) {
        if !self.holds_lead() {
            return;
        }
        tracing::warn!(
            key = correction.key,
            "a record conflicts with an earlier one and is put right"
        );
        if let Err(error) = self
            .topic
            .write(vec![table_write(correction)], self.timeout)
            .await
        {
            tracing::warn!(%error, "a conflicting record could not be put right");
        }
    }
}

enum Lead {
    Held,
    /// This registry leads by all it knows, but may have lost the lead without noticing.
    Lapsed,
    None,
}

fn failure(error: &WriteError) -> Failure {
    match error {
        WriteError::TimedOut => Failure::TimedOut,
        WriteError::TooLarge(_) => Failure::TooLarge,
        WriteError::Failed(_) => Failure::Store,
    }
}

fn fail_all(changes: impl IntoIterator<Item = Change>, failure: Failure) {
    for change in changes {
        change.fail(failure);
    }
}

/// Plans as many changes as can be written together, in their order.
fn plan(registry: &Registry, changes: VecDeque<Change>) -> Round {
    let began = Instant::now();
    let mut round = Round::default();
    for change in changes {
        if change.reply.is_closed() {
            continue;
        }
        let full = round.planned.iter().any(|planned| planned.change.alone)
            || (change.alone && !round.planned.is_empty())
            || (began.elapsed() >= PLANNING && !round.planned.is_empty());
        if full {
            round.left.push_back(change);
            continue;
        }
        match catch_unwind(AssertUnwindSafe(|| registry.plan(&change.command))) {
            Ok(Ok(Plan::Write(writes, pending))) => {
                if round
                    .planned
                    .iter()
                    .all(|planned| pending.is_independent_of(&planned.pending))
                {
                    round.planned.push(Planned {
                        change,
                        writes,
                        pending,
                    });
                } else {
                    round.left.push_back(change);
                }
            }
            Ok(Ok(Plan::Answer(answer))) => round.answered.push((change, Ok(answer))),
            Ok(Err(error)) => round.answered.push((change, Err(error))),
            Err(_) => {
                tracing::error!("planning a change broke down");
                round.answered.push((change, Err(broken())));
            }
        }
    }
    round
}
