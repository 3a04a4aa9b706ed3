//! The state machine of a member.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::events::{Exchange, Wish};
use super::{
    GroupCoordinator, Joined, Lease, Membership, MembershipEvent, MembershipOptions, Refusal,
};
use crate::LogError;

/// The shortest and the longest pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Joins the group that `coordinator` coordinates, and stays in it on a task of its own until the membership is dropped or left, or `closed` is cancelled.
///
/// # Errors
/// [`LogError::Config`] when the options contradict themselves.
pub fn join_group(
    options: &MembershipOptions,
    coordinator: Arc<dyn GroupCoordinator>,
    closed: CancellationToken,
) -> Result<Box<dyn Membership>, LogError> {
    check(options)?;
    if closed.is_cancelled() {
        return Err(LogError::Closed);
    }
    let exchange = Arc::new(Exchange::new(options.protocols.clone()));
    let member = Member {
        exchange: Arc::clone(&exchange),
        coordinator,
        group: Arc::from(options.group_id.as_str()),
        session_timeout: options.session_timeout,
        heartbeat_interval: options.heartbeat_interval,
        id: String::new(),
        known: false,
    };
    let end = End(Arc::clone(&exchange));
    let task = tokio::spawn(async move {
        tokio::select! {
            biased;
            () = closed.cancelled() => end.0.end(LogError::Closed),
            error = member.run() => end.0.end(error),
        }
    });
    Ok(Box::new(Handle {
        exchange,
        session_timeout: options.session_timeout,
        task,
    }))
}

fn check(options: &MembershipOptions) -> Result<(), LogError> {
    let MembershipOptions {
        group_id,
        session_timeout,
        heartbeat_interval,
        ..
    } = options;
    let refuse = |why: String| Err(LogError::Config(why));
    if group_id.is_empty() {
        return refuse("group.id is empty: name the group".to_owned());
    }
    if options.protocols.is_empty() {
        return refuse(format!("a member of group '{group_id}' needs a protocol"));
    }
    if heartbeat_interval.is_zero() || heartbeat_interval >= session_timeout {
        return refuse(format!(
            "heartbeat.interval.ms={} of group '{group_id}' must be above 0 and below session.timeout.ms={}, better below a third of it",
            heartbeat_interval.as_millis(),
            session_timeout.as_millis()
        ));
    }
    for (key, value) in [
        ("session.timeout.ms", session_timeout),
        ("rebalance.timeout.ms", &options.rebalance_timeout),
    ] {
        if i32::try_from(value.as_millis()).is_err() {
            return refuse(format!(
                "{key}={} of group '{group_id}' is above {}",
                value.as_millis(),
                i32::MAX
            ));
        }
    }
    Ok(())
}

/// The owner must not wait for a task that is gone, whatever ended it.
struct End(Arc<Exchange>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end(LogError::fatal(
            "the task that keeps the group membership has ended unexpectedly",
        ));
    }
}

/// What the owner holds.
#[derive(Debug)]
struct Handle {
    exchange: Arc<Exchange>,
    session_timeout: Duration,
    task: JoinHandle<()>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait::async_trait]
impl Membership for Handle {
    async fn next(&mut self) -> Result<MembershipEvent, LogError> {
        self.exchange.next().await
    }

    async fn assign(
        &mut self,
        generation: i32,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<(), LogError> {
        self.exchange.assign(generation, assignments)
    }

    fn lease(&self) -> Option<Lease> {
        self.exchange.lease()
    }

    fn set_protocols(&mut self, protocols: Vec<(String, Bytes)>) {
        self.exchange.set_protocols(protocols);
    }

    fn rejoin(&mut self) {
        self.exchange.wish(Wish::Rejoin);
    }

    async fn leave(mut self: Box<Self>) {
        self.exchange.wish(Wish::Leave);
        // Past this time the group has forgotten the member anyway.
        drop(timeout(self.session_timeout, &mut self.task).await);
    }
}

/// Why a generation is over for this member.
#[derive(Debug)]
enum Over {
    /// The next one forms.
    Rebalance,
    /// The owner asked for the next one; carries the number of this one.
    Rejoin(i32),
    /// The group went on without this member, and no longer knows its id when it is `forgotten`.
    Lost {
        reason: &'static str,
        forgotten: bool,
    },
    Leave,
    Failed(LogError),
}

struct Member {
    exchange: Arc<Exchange>,
    coordinator: Arc<dyn GroupCoordinator>,
    group: Arc<str>,
    session_timeout: Duration,
    heartbeat_interval: Duration,
    /// Empty until the coordinator has given one.
    id: String,
    /// Whether a generation has begun with that id.
    known: bool,
}

impl Member {
    /// Runs until there is nothing more to do; returns why.
    async fn run(mut self) -> LogError {
        let mut asked_in = None;
        loop {
            let over = match self.join(asked_in.take()).await {
                Ok(joined) => self.stay(&joined).await,
                Err(over) => over,
            };
            tracing::debug!(
                group = &*self.group,
                member = self.id,
                ?over,
                "a generation is over"
            );
            match over {
                Over::Rebalance => self.exchange.rebalancing(),
                Over::Rejoin(generation) => {
                    self.exchange.rebalancing();
                    asked_in = Some(generation);
                }
                Over::Lost { reason, forgotten } => self.lose(reason, forgotten),
                Over::Leave => {
                    self.leave().await;
                    return LogError::Closed;
                }
                Over::Failed(error) => return error,
            }
        }
    }

    /// Joins the next generation. `asked_in` is the generation in which the owner asked for another one.
    async fn join(&mut self, mut asked_in: Option<i32>) -> Result<Joined, Over> {
        let mut patience = Patience::new(&self.group, "joining the group");
        loop {
            let protocols = self.exchange.protocols_to_join();
            let answer = tokio::select! {
                biased;
                _ = self.exchange.wished(false) => return Err(Over::Leave),
                answer = self.coordinator.join(&self.id, &protocols) => answer,
            };
            let cause = match answer {
                // A follower that joins again with the metadata it had is told the generation that there is.
                Ok(joined) if asked_in.take() == Some(joined.generation) => {
                    self.id = joined.member_id;
                    self.leave().await;
                    self.forget();
                    continue;
                }
                Ok(joined) => {
                    self.id.clone_from(&joined.member_id);
                    self.known = true;
                    return Ok(joined);
                }
                Err(Refusal::MemberIdRequired(id)) if self.id.is_empty() => {
                    self.id = id;
                    continue;
                }
                Err(Refusal::MemberIdRequired(id)) => {
                    self.id = id;
                    LogError::retriable("the coordinator gives one member id after the other")
                }
                Err(Refusal::UnknownMember) => {
                    self.lose("its session had expired when it joined again", true);
                    LogError::retriable("the coordinator does not know the member id")
                }
                Err(Refusal::RebalanceInProgress | Refusal::IllegalGeneration) => {
                    LogError::retriable("another generation forms")
                }
                Err(Refusal::Unavailable(error)) => error,
                Err(Refusal::Final(error)) => return Err(Over::Failed(error)),
            };
            tokio::select! {
                biased;
                _ = self.exchange.wished(false) => return Err(Over::Leave),
                () = patience.pause(&cause) => {}
            }
        }
    }

    /// Lives through one generation; heartbeats never wait for anything else that happens in it.
    async fn stay(&self, joined: &Joined) -> Over {
        let mut over = pin!(self.beat(joined));
        let assignments = if joined.must_assign() {
            self.exchange.lead(joined);
            let assigned = tokio::select! {
                over = &mut over => return over,
                assigned = self.exchange.assigned(joined.generation) => assigned,
            };
            match assigned {
                Ok(assignments) => assignments,
                Err(wish) => return ended_by(wish, joined),
            }
        } else {
            Vec::new()
        };
        let (assignment, sent) = tokio::select! {
            over = &mut over => return over,
            wish = self.exchange.wished(true) => return ended_by(wish, joined),
            synced = self.sync(joined, &assignments) => match synced {
                Ok(synced) => synced,
                Err(over) => return over,
            },
        };
        self.exchange
            .begin(joined, assignment, sent, self.session_timeout);
        tracing::info!(
            group = &*self.group,
            generation = joined.generation,
            member = joined.member_id,
            leader = joined.leader_id,
            "in the group"
        );
        tokio::select! {
            over = over => over,
            wish = self.exchange.wished(true) => ended_by(wish, joined),
        }
    }

    /// This member's assignment, and when the call that got it was sent.
    async fn sync(
        &self,
        joined: &Joined,
        assignments: &[(String, Bytes)],
    ) -> Result<(Bytes, Instant), Over> {
        let mut patience = Patience::new(&self.group, "asking for the assignment");
        loop {
            let sent = Instant::now();
            match self.coordinator.sync(joined, assignments).await {
                Ok(assignment) => return Ok((assignment, sent)),
                Err(Refusal::Unavailable(error)) => patience.pause(&error).await,
                Err(refusal) => return Err(over_by(refusal)),
            }
        }
    }

    /// Heartbeats until the generation is over.
    async fn beat(&self, joined: &Joined) -> Over {
        let mut patience = Patience::new(&self.group, "heartbeats");
        let mut next = Instant::now() + self.heartbeat_interval;
        loop {
            sleep_until(next).await;
            let sent = Instant::now();
            match self.coordinator.heartbeat(joined).await {
                Ok(()) => {
                    self.exchange.prolong(sent, self.session_timeout);
                    patience.reset();
                    next = sent + self.heartbeat_interval;
                }
                Err(Refusal::Unavailable(error)) => {
                    next = Instant::now() + patience.next(&error).min(self.heartbeat_interval);
                }
                Err(refusal) => return over_by(refusal),
            }
        }
    }

    fn lose(&mut self, reason: &'static str, forgotten: bool) {
        if self.known {
            tracing::warn!(
                group = &*self.group,
                member = self.id,
                reason,
                "lost the place in the group; joining again"
            );
            self.exchange
                .lost(format!("group '{}': {reason}", self.group));
        }
        if forgotten {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.id.clear();
        self.known = false;
    }

    /// Tells the group, for at most the session timeout.
    async fn leave(&self) {
        if self.id.is_empty() {
            return;
        }
        self.exchange.rebalancing();
        let leaving = async {
            let mut patience = Patience::new(&self.group, "leaving the group");
            while let Err(refusal) = self.coordinator.leave(&self.id).await {
                match refusal {
                    Refusal::Unavailable(error) => patience.pause(&error).await,
                    other => {
                        tracing::debug!(group = &*self.group, ?other, "not left");
                        return;
                    }
                }
            }
        };
        drop(timeout(self.session_timeout, leaving).await);
    }
}

fn ended_by(wish: Wish, joined: &Joined) -> Over {
    match wish {
        Wish::Rejoin => Over::Rejoin(joined.generation),
        Wish::Leave => Over::Leave,
    }
}

/// What a refusal in the middle of a generation means.
fn over_by(refusal: Refusal) -> Over {
    match refusal {
        Refusal::RebalanceInProgress | Refusal::Unavailable(_) => Over::Rebalance,
        Refusal::IllegalGeneration => Over::Lost {
            reason: "it has gone on to another generation without this member",
            forgotten: false,
        },
        Refusal::UnknownMember | Refusal::MemberIdRequired(_) => Over::Lost {
            reason: "the session of this member has expired",
            forgotten: true,
        },
        Refusal::Final(error) => Over::Failed(error),
    }
}

/// After so many failures in a row they are worth a warning: every group has a few when it begins or its coordinator moves.
const WORTH_A_WARNING: u32 = 5;

/// Pauses between attempts, longer and longer.
struct Patience {
    group: Arc<str>,
    doing: &'static str,
    failures: u32,
}

impl Patience {
    fn new(group: &Arc<str>, doing: &'static str) -> Self {
        Self {
            group: Arc::clone(group),
            doing,
            failures: 0,
        }
    }

    fn reset(&mut self) {
        if self.failures >= WORTH_A_WARNING {
            tracing::info!(
                group = &*self.group,
                doing = self.doing,
                "the group's coordinator answers again"
            );
        }
        self.failures = 0;
    }

    fn next(&mut self, error: &LogError) -> Duration {
        let pause = (PAUSE * (1 << self.failures.min(8))).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        if self.failures == WORTH_A_WARNING {
            tracing::warn!(group = &*self.group, doing = self.doing, %error, "the group's coordinator does not answer as it should; trying again until it does");
        } else {
            tracing::debug!(group = &*self.group, doing = self.doing, %error, "trying again");
        }
        pause
    }

    async fn pause(&mut self, error: &LogError) {
        sleep(self.next(error)).await;
    }
}
