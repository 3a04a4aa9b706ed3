//! Groups of any type: what registries and workers elect leaders and share work with.
//!
//! The owner sees [`Membership`]. Behind it stands one state machine for all logs, [`join_group`]; a log brings a [`GroupCoordinator`], which is Kafka's classic group
//! protocol reduced to four calls.

mod events;
mod member;
mod protocol;

pub use member::join_group;
pub use protocol::{GroupCoordinator, Joined, Refusal};

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{ClientSettings, LogError};

/// How a member joins a group.
#[derive(Debug, Clone)]
pub struct MembershipOptions {
    /// `group.id`
    pub group_id: String,
    /// Protocol type: `sr` for schema registries, `connect` for workers. Members of another type are refused by the group.
    pub protocol_type: &'static str,
    /// The protocols this member speaks, best first, each with its metadata: opaque bytes that the group's leader sees.
    pub protocols: Vec<(String, Bytes)>,
    /// `group.instance.id`, for static membership.
    pub group_instance_id: Option<String>,
    /// After this time without a heartbeat the group goes on without the member.
    pub session_timeout: Duration,
    /// How long members may take to join again in a rebalance.
    pub rebalance_timeout: Duration,
    /// Time between heartbeats; below a third of the session timeout.
    pub heartbeat_interval: Duration,
    /// `client.id`
    pub client_id: String,
    /// Further client settings, without prefix.
    pub settings: ClientSettings,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Member id.
    pub id: String,
    /// `group.instance.id`, if it has one.
    pub group_instance_id: Option<String>,
    /// Metadata under the protocol that the group chose.
    pub metadata: Bytes,
}

/// What happens to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipEvent {
    /// A generation begins to form and this member leads it: answer with [`Membership::assign`]. Assignments of every member, itself included, are expected.
    Lead {
        /// Its number.
        generation: i32,
        /// This member's id.
        member_id: String,
        /// The protocol chosen.
        protocol: String,
        /// All members.
        members: Vec<GroupMember>,
    },
    /// A generation has begun.
    Assigned {
        /// Its number.
        generation: i32,
        /// This member's id.
        member_id: String,
        /// The leader's id.
        leader_id: String,
        /// The protocol chosen.
        protocol: String,
        /// What the leader gave this member; may be empty.
        assignment: Bytes,
    },
    /// The generation is over and the member joins the next one by itself: what was assigned must be given up now where two owners would do harm.
    Rebalancing,
    /// The group went on without this member (session expired, fenced): everything is lost. The member joins again by itself, unless it was fenced by a static member of
    /// the same instance id, which is an error of [`Membership::next`].
    Lost {
        /// Why.
        reason: String,
    },
}

/// How long what was assigned may be relied on.
///
/// Heartbeats prolong it. The end is computed from when the last successful heartbeat was *sent*, so that it comes before the group can have given the same to
/// another member: whoever must not act twice checks it right before acting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The generation it belongs to.
    pub generation: i32,
    /// Its end.
    pub until: Instant,
}

/// One member of a group of any type.
///
/// It joins when it is made, heartbeats on a timer of its own (never held up by the owner), follows its coordinator, and joins again after every rebalance until it
/// leaves. Coordinators that move, brokers that are away and expired sessions are its business; the owner sees events.
#[async_trait::async_trait]
pub trait Membership: Send + Debug {
    /// Waits for the next event. Cancel-safe.
    ///
    /// # Errors
    /// Only what waiting cannot mend: not authorized, another protocol type in the group, fenced by another static member, closed.
    async fn next(&mut self) -> Result<MembershipEvent, LogError>;

    /// The leader's answer to [`MembershipEvent::Lead`]: assignments by member id. Ignored when that generation is over.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    async fn assign(
        &mut self,
        generation: i32,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<(), LogError>;

    /// The lease on the present assignment; `None` without one.
    fn lease(&self) -> Option<Lease>;

    /// New metadata for the next join.
    fn set_protocols(&mut self, protocols: Vec<(String, Bytes)>);

    /// Starts a rebalance: every member joins again.
    fn rejoin(&mut self);

    /// Leaves the group, so that it need not wait for the session to expire; at most for the session timeout.
    async fn leave(self: Box<Self>);
}
