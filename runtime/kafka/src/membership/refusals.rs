//! What a coordinator's error codes mean to a member.

use kafka_protocol::error::ResponseError as E;
use millrace_log::membership::Refusal;
use millrace_log::{LogError, MembershipOptions};

use crate::errors::from_response;

pub(super) const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
pub(super) const MEMBER_ID_REQUIRED: i16 = 79;

/// Whether the answer came from a broker that is not the coordinator (any more).
pub(super) fn moved(code: i16) -> bool {
    matches!(
        E::try_from_code(code),
        Some(E::CoordinatorNotAvailable | E::NotCoordinator)
    )
}

/// An error code as a refusal. `others` says who else is in the group, where that was looked up.
pub(super) fn refusal(
    options: &MembershipOptions,
    doing: &str,
    code: i16,
    others: Option<&str>,
) -> Refusal {
    let group = &options.group_id;
    let what = format!("cannot {doing} group '{group}'");
    match E::try_from_code(code) {
        Some(E::RebalanceInProgress) => Refusal::RebalanceInProgress,
        Some(E::IllegalGeneration) => Refusal::IllegalGeneration,
        Some(E::UnknownMemberId) => Refusal::UnknownMember,
        Some(E::FencedInstanceId) => Refusal::Final(LogError::Fenced(format!(
            "another member of group '{group}' has taken over group.instance.id={}: give each member one of its own",
            options.group_instance_id.as_deref().unwrap_or_default()
        ))),
        Some(E::InconsistentGroupProtocol) => Refusal::Final(LogError::Config(format!(
            "group '{group}' refuses this member, which is of protocol type '{}' and speaks {}: {}; give one of them another group.id",
            options.protocol_type,
            names(options.protocols.iter().map(|(name, _)| name.as_str())),
            others.unwrap_or(
                "other software is in this group, or members that speak none of these protocols"
            )
        ))),
        Some(E::InvalidSessionTimeout) => Refusal::Final(LogError::Config(format!(
            "{what}: the broker does not take session.timeout.ms={}: choose one from its group.min.session.timeout.ms (6000 by default) to its group.max.session.timeout.ms (1800000)",
            options.session_timeout.as_millis()
        ))),
        Some(E::GroupAuthorizationFailed) => Refusal::Final(LogError::Authorization(format!(
            "{what}: the principal needs READ and DESCRIBE on this group"
        ))),
        // Members may leave.
        Some(E::GroupMaxSizeReached) => Refusal::Unavailable(LogError::retriable(format!(
            "{what}: it has as many members as the broker's group.max.size allows"
        ))),
        _ => match from_response(&what, code, None) {
            error if error.is_retriable() => Refusal::Unavailable(error),
            error => Refusal::Final(error),
        },
    }
}

/// Who is in a group, for [`refusal`].
pub(super) fn others(protocol_type: &str, protocol: &str, clients: &str) -> String {
    let software = match protocol_type {
        "consumer" => " (consumers)",
        "connect" => " (Kafka Connect workers)",
        "sr" => " (schema registries)",
        _ => "",
    };
    let speaking = match protocol {
        "" => String::new(),
        name => format!(" and speak {name}"),
    };
    format!("its members are of protocol type '{protocol_type}'{software}{speaking}: {clients}")
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.collect::<Vec<_>>().join(", ")
}
