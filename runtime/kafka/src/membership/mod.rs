//! Memberships of groups of any type: Kafka's classic group protocol on the raw client.
//!
//! The state machine is the seam's (`millrace_log::membership`); here is what it takes to reach a coordinator over the wire: finding it and finding it again, versions
//! from brokers of any age, and two connections, so that heartbeats do not queue behind a join that the coordinator holds back.

mod lane;
#[cfg(test)]
mod played;
mod refusals;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;
use millrace_log::membership::{GroupCoordinator, Joined, Refusal};
use millrace_log::{GroupMember, LogError, MembershipOptions};

use crate::raw::{RawClient, Target};
use lane::{Lane, Limits};
use refusals::{INCONSISTENT_GROUP_PROTOCOL, MEMBER_ID_REQUIRED, moved, refusal};

/// What an answer may take beyond the time for which the coordinator holds it back.
const SLACK: Duration = Duration::from_secs(5);
/// What finding the coordinator and connecting to it may take at least where nothing hurries: several brokers may have to be asked.
const CONNECT: Duration = Duration::from_secs(30);
/// `client.id` when the owner gives none.
const CLIENT_ID: &str = "millrace-member";

/// The coordinator of a group on Kafka, for one member.
pub(crate) struct KafkaGroupCoordinator {
    raw: RawClient,
    options: MembershipOptions,
    /// Joins, syncs and leaving.
    calls: Lane,
    heartbeats: Lane,
}

impl fmt::Debug for KafkaGroupCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaGroupCoordinator")
            .field("group", &self.options.group_id)
            .field("raw", &self.raw)
            .finish_non_exhaustive()
    }
}

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

/// Within what `join_group` has checked.
fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

impl KafkaGroupCoordinator {
    /// `settings` are those of the worker and of the options together. Does not connect.
    pub(crate) fn new(
        settings: &[(String, String)],
        options: MembershipOptions,
    ) -> Result<Self, LogError> {
        let id = match options.client_id.as_str() {
            "" => CLIENT_ID,
            id => id,
        };
        Ok(Self {
            raw: RawClient::new(settings, id)?,
            calls: Lane::default(),
            heartbeats: Lane::default(),
            options,
        })
    }

    fn group(&self) -> GroupId {
        GroupId(text(&self.options.group_id))
    }

    fn instance(&self) -> Option<StrBytes> {
        self.options.group_instance_id.as_deref().map(text)
    }

    /// Joins and syncs are held back by the coordinator until all members have come.
    fn held_back(&self) -> Limits {
        Limits {
            connect: self.options.session_timeout.max(CONNECT),
            answer: (self.options.rebalance_timeout + SLACK).max(self.raw.request_timeout()),
        }
    }

    /// A heartbeat that gets no answer leaves time for others on new connections before the session is over.
    fn prompt(&self) -> Limits {
        let third = self.options.session_timeout / 3;
        Limits {
            connect: third.max(Duration::from_secs(1)),
            answer: third
                .max(Duration::from_millis(500))
                .min(self.raw.request_timeout()),
        }
    }

    /// The refusal that stands in an answer, if any; has the coordinator looked up again when it has moved.
    async fn check(&self, doing: &str, code: i16) -> Result<(), Refusal> {
        if code == 0 {
            return Ok(());
        }
        if moved(code) {
            self.calls.forget();
            self.heartbeats.forget();
        }
        let others = match code {
            INCONSISTENT_GROUP_PROTOCOL => self.others().await,
            _ => None,
        };
        Err(refusal(&self.options, doing, code, others.as_deref()))
    }

    /// Who else is in the group, in words; `None` when that cannot be found out.
    async fn others(&self) -> Option<String> {
        let request = DescribeGroupsRequest::default().with_groups(vec![self.group()]);
        let target = Target::Coordinator(&self.options.group_id);
        let described = self.raw.once(target, 5, &request).await.ok()?;
        let group = described.groups.into_iter().find(|g| g.error_code == 0)?;
        let mut clients: Vec<String> = group
            .members
            .iter()
            .map(|m| format!("'{}' on {}", &*m.client_id, &*m.client_host))
            .collect();
        clients.sort_unstable();
        clients.dedup();
        let shown = clients.len().min(3);
        let more = match clients.len() - shown {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Some(refusals::others(
            &group.protocol_type,
            &group.protocol_data,
            &(clients[..shown].join(", ") + &more),
        ))
    }

    fn join_request(
        &self,
        version: i16,
        member_id: &str,
        protocols: &[(String, Bytes)],
    ) -> Result<JoinGroupRequest, LogError> {
        let protocols = protocols
            .iter()
            .map(|(name, metadata)| {
                JoinGroupRequestProtocol::default()
                    .with_name(text(name))
                    .with_metadata(metadata.clone())
            })
            .collect();
        let mut request = JoinGroupRequest::default()
            .with_group_id(self.group())
            .with_session_timeout_ms(millis(self.options.session_timeout))
            .with_member_id(text(member_id))
            .with_protocol_type(StrBytes::from_static_str(self.options.protocol_type))
            .with_protocols(protocols);
        if version >= 1 {
            request = request.with_rebalance_timeout_ms(millis(self.options.rebalance_timeout));
        }
        match self.instance() {
            None => {}
            Some(instance) if version >= 5 => {
                request = request.with_group_instance_id(Some(instance))
            }
            Some(instance) => {
                return Err(LogError::Config(format!(
                    "group.instance.id={} for group '{}' needs a broker from Apache Kafka 2.3 on",
                    &*instance, self.options.group_id
                )));
            }
        }
        Ok(request)
    }
}

fn joined(response: JoinGroupResponse) -> Joined {
    let member_id = response.member_id.to_string();
    let members = response
        .members
        .into_iter()
        .map(|m| GroupMember {
            id: m.member_id.to_string(),
            group_instance_id: m.group_instance_id.map(|i| i.to_string()),
            metadata: m.metadata,
        })
        .collect();
    Joined {
        generation: response.generation_id,
        member_id,
        leader_id: response.leader.to_string(),
        protocol: response
            .protocol_name
            .map(|n| n.to_string())
            .unwrap_or_default(),
        members,
        skip_assignment: response.skip_assignment,
    }
}

#[async_trait::async_trait]
impl GroupCoordinator for KafkaGroupCoordinator {
    async fn join(
        &self,
        member_id: &str,
        protocols: &[(String, Bytes)],
    ) -> Result<Joined, Refusal> {
        let build = |version| self.join_request(version, member_id, protocols);
        let response = self.calls.call(self, 9, self.held_back(), build).await?;
        if response.error_code == MEMBER_ID_REQUIRED {
            return Err(Refusal::MemberIdRequired(response.member_id.to_string()));
        }
        self.check("join", response.error_code).await?;
        Ok(joined(response))
    }

    async fn sync(&self, of: &Joined, assignments: &[(String, Bytes)]) -> Result<Bytes, Refusal> {
        let build = |version| {
            let assignments = assignments
                .iter()
                .map(|(id, assignment)| {
                    SyncGroupRequestAssignment::default()
                        .with_member_id(text(id))
                        .with_assignment(assignment.clone())
                })
                .collect();
            let mut request = SyncGroupRequest::default()
                .with_group_id(self.group())
                .with_generation_id(of.generation)
                .with_member_id(text(&of.member_id))
                .with_assignments(assignments);
            if version >= 3 {
                request = request.with_group_instance_id(self.instance());
            }
            if version >= 5 {
                request = request
                    .with_protocol_type(Some(StrBytes::from_static_str(self.options.protocol_type)))
                    .with_protocol_name(Some(text(&of.protocol)));
            }
            Ok(request)
        };
        let response = self.calls.call(self, 5, self.held_back(), build).await?;
        self.check("sync", response.error_code).await?;
        Ok(response.assignment)
    }

    async fn heartbeat(&self, of: &Joined) -> Result<(), Refusal> {
        let build = |version| {
            let request = HeartbeatRequest::default()
                .with_group_id(self.group())
                .with_generation_id(of.generation)
                .with_member_id(text(&of.member_id));
            Ok(match version {
                3.. => request.with_group_instance_id(self.instance()),
                _ => request,
            })
        };
        let response = self.heartbeats.call(self, 4, self.prompt(), build).await?;
        self.check("heartbeat", response.error_code).await
    }

    async fn leave(&self, member_id: &str) -> Result<(), Refusal> {
        let build = |version| {
            let request = LeaveGroupRequest::default().with_group_id(self.group());
            Ok(match version {
                3.. => request.with_members(vec![
                    MemberIdentity::default()
                        .with_member_id(text(member_id))
                        .with_group_instance_id(self.instance()),
                ]),
                _ => request.with_member_id(text(member_id)),
            })
        };
        let response = self.calls.call(self, 5, self.prompt(), build).await?;
        // What stands in the list of members is that the group does not know it, which is as good.
        self.check("leave", response.error_code).await
    }
}
