//! The member of the group `sr`: it follows elections and says who leads.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_log::{Log, LogError, Membership, MembershipEvent, MembershipOptions};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::assignment::{Assignment, explain};
use super::identity::Identity;
use crate::metrics::Metrics;
use crate::options::GroupOptions;
use crate::topic::writer::CatchUp;

/// The only protocol that registries speak.
const PROTOCOL: &str = "v0";

/// The lease is looked at this often at least: heartbeats prolong it.
const LEASE_LOOK: Duration = Duration::from_millis(250);

/// Between attempts of what failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Who leads, as far as this member knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leadership {
    /// Nobody, or nobody is known: why.
    Unknown(Arc<str>),
    /// This member, until then at least: past that moment the group may have given the lead to another.
    Me {
        /// Number of the generation.
        generation: i32,
        /// End of the lease.
        until: Instant,
    },
    /// Another.
    Other(Arc<Identity>),
}

impl Leadership {
    pub(crate) fn unknown(why: &str) -> Self {
        Self::Unknown(Arc::from(why))
    }
}

/// The member and what it reports to.
#[derive(Debug)]
pub(crate) struct Election {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) options: GroupOptions,
    pub(crate) identity: Identity,
    pub(crate) leadership: watch::Sender<Leadership>,
    /// Reads the topic to its end before a lead is taken up.
    pub(crate) catch_up: CatchUp,
    pub(crate) metrics: Arc<Metrics>,
}

/// What the first election came to: `Err` names a problem that only an operator can mend.
pub(crate) type FirstResult = Result<(), String>;

impl Election {
    /// Takes part in elections until `stop` is told, then leaves the group. Errors do not end it: a registry without an election would never write again.
    pub(crate) async fn run(
        mut self,
        first: oneshot::Sender<FirstResult>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut first = Some(first);
        loop {
            let joined = tokio::select! {
                joined = self.join() => joined,
                () = stopped(&mut stop) => return,
            };
            let error = match joined {
                Ok(mut membership) => {
                    let result = tokio::select! {
                        result = self.follow(&mut membership, &mut first) => result,
                        () = stopped(&mut stop) => {
                            self.leadership.send_replace(Leadership::unknown("this registry is stopping"));
                            membership.leave().await;
                            return;
                        }
                    };
                    self.leadership.send_replace(Leadership::unknown(
                        "this registry is no member of the group",
                    ));
                    self.metrics.leads(false);
                    let Err(error) = result else { continue };
                    error
                }
                Err(error) => error,
            };
            if !error.is_retriable() && first.is_some() {
                report(
                    &mut first,
                    Err(format!(
                        "the group '{}' ('schema.registry.group.id') cannot be joined: {error}",
                        self.options.group_id
                    )),
                );
            }
            tracing::error!(%error, group = self.options.group_id, "the group of schema registries failed, joining again");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    async fn join(&self) -> Result<Box<dyn Membership>, LogError> {
        self.log
            .membership(MembershipOptions {
                group_id: self.options.group_id.clone(),
                protocol_type: "sr",
                protocols: protocols(&self.identity),
                group_instance_id: None,
                session_timeout: self.options.session_timeout,
                rebalance_timeout: self.options.rebalance_timeout,
                heartbeat_interval: self.options.heartbeat_interval,
                client_id: format!("sr-{}", self.identity.url()),
                settings: self.options.client_settings.clone(),
            })
            .await
    }

    /// Follows the events of one membership; ends only with an error.
    async fn follow(
        &mut self,
        membership: &mut Box<dyn Membership>,
        first: &mut Option<oneshot::Sender<FirstResult>>,
    ) -> Result<(), LogError> {
        // A lead that was assigned, and is taken up once the topic is read to its end.
        let mut taking_up: Option<TakingUp> = None;
        let look =
            (self.options.heartbeat_interval / 2).clamp(Duration::from_millis(5), LEASE_LOOK);
        loop {
            let event = tokio::select! {
                event = membership.next() => event?,
                (generation, took) = caught_up(&mut taking_up) => {
                    taking_up = None;
                    // An assignment that was lost meanwhile has no lease; the event that says so is about to come.
                    let lease = membership.lease().filter(|lease| lease.generation == generation);
                    let until = lease.map_or_else(Instant::now, |lease| lease.until);
                    tracing::info!(generation, ?took, "this registry leads");
                    self.metrics.leader_initialization(took);
                    self.metrics.leads(true);
                    self.leadership.send_replace(Leadership::Me { generation, until });
                    report(first, Ok(()));
                    continue;
                }
                () = tokio::time::sleep(look) => {
                    self.prolong(membership.as_ref());
                    continue;
                }
            };
            match event {
                MembershipEvent::Lead {
                    generation,
                    members,
                    ..
                } => {
                    self.metrics.nodes(members.len());
                    let assignments = self.assign(&members);
                    membership.assign(generation, assignments).await?;
                }
                MembershipEvent::Assigned {
                    generation,
                    member_id,
                    assignment,
                    ..
                } => {
                    taking_up = self
                        .assigned(
                            membership.as_mut(),
                            generation,
                            &member_id,
                            &assignment,
                            first,
                        )
                        .map(|generation| TakingUp {
                            generation,
                            catch_up: Box::pin(read_to_end(self.catch_up.clone())),
                        });
                }
                MembershipEvent::Rebalancing => {
                    tracing::info!("the group of schema registries elects again");
                    taking_up = None;
                    if !self.options.sticky {
                        self.give_up("an election is under way");
                    }
                }
                MembershipEvent::Lost { reason } => {
                    tracing::warn!(
                        reason,
                        "the group of schema registries went on without this one"
                    );
                    taking_up = None;
                    self.give_up("this registry was put out of the group and joins again");
                }
            }
        }
    }

    fn give_up(&self, why: &str) {
        self.leadership.send_replace(Leadership::unknown(why));
        self.metrics.leads(false);
    }

    fn prolong(&self, membership: &dyn Membership) {
        self.leadership
            .send_if_modified(|leadership| match (leadership, membership.lease()) {
                (Leadership::Me { generation, until }, Some(lease))
                    if lease.generation == *generation =>
                {
                    *until = lease.until;
                    // Nobody waits for this; whoever looks sees it.
                    false
                }
                _ => false,
            });
    }

    /// The assignments of all members; one whose metadata cannot be read takes no part in the choice.
    fn assign(&self, members: &[millrace_log::GroupMember]) -> Vec<(String, Bytes)> {
        let mut known = Vec::with_capacity(members.len());
        for member in members {
            match Identity::from_json(&member.metadata) {
                Ok(identity) => known.push((member.id.clone(), identity)),
                Err(problem) => tracing::error!(
                    member = member.id,
                    "a member of the group cannot lead: {problem}"
                ),
            }
        }
        let chosen = Assignment::choose(&known, self.options.sticky);
        tracing::info!(?chosen, members = members.len(), "elected");
        let text = Bytes::from(chosen.to_json());
        members
            .iter()
            .map(|member| (member.id.clone(), text.clone()))
            .collect()
    }

    /// Takes note of an election's result; the generation in which this member must take up the lead, if it was elected.
    fn assigned(
        &mut self,
        membership: &mut dyn Membership,
        generation: i32,
        member_id: &str,
        assignment: &[u8],
        first: &mut Option<oneshot::Sender<FirstResult>>,
    ) -> Option<i32> {
        let assignment = match Assignment::from_json(assignment) {
            Ok(assignment) => assignment,
            Err(problem) => {
                tracing::error!(problem, "the result of the election cannot be read");
                self.give_up("the result of the election cannot be read");
                return None;
            }
        };
        let leader = match assignment {
            Assignment::Failed(error) => {
                let problem = explain(error);
                tracing::error!(problem, "there is no leader");
                self.give_up(&problem);
                report(first, Err(problem));
                return None;
            }
            Assignment::Leader(None) => {
                tracing::warn!(
                    "no registry of the group may lead ('leader.eligibility'): reads are answered, writes are not"
                );
                self.give_up("no registry of the group may lead");
                report(first, Ok(()));
                return None;
            }
            Assignment::Leader(Some(leader)) => leader,
        };
        let (id, identity) = leader;
        let mine = id == member_id || identity.url() == self.identity.url();
        if self.options.sticky && self.identity.leader != mine {
            self.identity.leader = mine;
            membership.set_protocols(protocols(&self.identity));
        }
        if !mine {
            tracing::info!(
                leader = identity.url(),
                generation,
                "another registry leads"
            );
            self.leadership
                .send_replace(Leadership::Other(Arc::new(identity)));
            self.metrics.leads(false);
            report(first, Ok(()));
            return None;
        }
        let lease = membership
            .lease()
            .filter(|lease| lease.generation == generation);
        let goes_on = matches!(*self.leadership.borrow(), Leadership::Me { .. });
        if let (true, Some(lease)) = (goes_on, lease) {
            // Under `sticky` the lead was not given up: there is nothing to catch up with.
            self.leadership.send_replace(Leadership::Me {
                generation,
                until: lease.until,
            });
            return None;
        }
        self.give_up("this registry was elected and reads the topic to its end");
        Some(generation)
    }
}

/// A lead that was assigned but is not taken up yet.
struct TakingUp {
    generation: i32,
    catch_up: Pin<Box<dyn Future<Output = Duration> + Send>>,
}

/// Waits until the lead can be taken up; for ever when there is none to take up.
async fn caught_up(taking_up: &mut Option<TakingUp>) -> (i32, Duration) {
    match taking_up {
        Some(taking_up) => (taking_up.generation, taking_up.catch_up.as_mut().await),
        None => std::future::pending().await,
    }
}

/// Reads the topic to its end, however often that fails; how long it took.
async fn read_to_end(catch_up: CatchUp) -> Duration {
    let began = Instant::now();
    loop {
        match catch_up.to_end().await {
            Ok(()) => return began.elapsed(),
            Err(error) => {
                tracing::error!(%error, "the lead cannot be taken up: the schemas topic cannot be read to its end; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn report(first: &mut Option<oneshot::Sender<FirstResult>>, result: FirstResult) {
    if let Some(first) = first.take() {
        // Nobody waits any more when the start has timed out.
        let _ = first.send(result);
    }
}

fn protocols(identity: &Identity) -> Vec<(String, Bytes)> {
    vec![(PROTOCOL.to_owned(), Bytes::from(identity.to_json()))]
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
