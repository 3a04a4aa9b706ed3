use std::fmt::Debug;

use bytes::Bytes;

use super::GroupMember;
use crate::LogError;

/// A group's coordinator as one member reaches it: Kafka's classic group protocol without its wire format.
///
/// Group, protocol type, instance id and time-outs are the coordinator's own, since it is made for one member. Calls may run at the same time: a heartbeat must not
/// wait for a join or a sync, which the coordinator holds back until other members have done their part. Dropping a call's future gives the call up.
#[async_trait::async_trait]
pub trait GroupCoordinator: Send + Sync + Debug + 'static {
    /// Joins; returns when the next generation forms. `member_id` is empty at first.
    async fn join(&self, member_id: &str, protocols: &[(String, Bytes)])
    -> Result<Joined, Refusal>;

    /// Hands in the leader's assignments (followers have none) and returns this member's own.
    async fn sync(
        &self,
        joined: &Joined,
        assignments: &[(String, Bytes)],
    ) -> Result<Bytes, Refusal>;

    /// Tells that the member is alive.
    async fn heartbeat(&self, joined: &Joined) -> Result<(), Refusal>;

    /// Leaves the group. Leaving a group that does not know the member is fine.
    async fn leave(&self, member_id: &str) -> Result<(), Refusal>;
}

/// The answer to a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Number of the generation.
    pub generation: i32,
    /// This member's id from now on.
    pub member_id: String,
    /// The leader's id.
    pub leader_id: String,
    /// The protocol that was chosen.
    pub protocol: String,
    /// All members, for the leader; empty for the others.
    pub members: Vec<GroupMember>,
    /// The leader has come back as a static member and the assignments stay: it must not hand in new ones.
    pub skip_assignment: bool,
}

impl Joined {
    /// Whether this member has to assign.
    pub fn must_assign(&self) -> bool {
        self.member_id == self.leader_id && !self.skip_assignment
    }
}

/// Why a coordinator did not do what it was asked for.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// Join again with this id: the coordinator wants to know that the member heard of it.
    MemberIdRequired(String),
    /// A new generation forms: join it.
    RebalanceInProgress,
    /// The group has gone on to a generation without this member.
    IllegalGeneration,
    /// The group does not know this member (any more).
    UnknownMember,
    /// The coordinator is away, loading or has moved: the same call may succeed later.
    Unavailable(LogError),
    /// Waiting cannot mend it.
    Final(LogError),
}
