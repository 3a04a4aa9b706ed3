//! Kafka's error codes as the seam's errors.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use millrace_log::LogError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// librdkafka's error as a [`LogError`]. `what` says what was attempted, on which object.
///
/// Values of settings never get into the text: they may be passwords.
pub(crate) fn from_client(what: &str, error: KafkaError) -> LogError {
    match error {
        KafkaError::ClientConfig(_, reason, key, _) => LogError::Config(format!(
            "{what}: librdkafka refuses its setting '{key}': {}",
            without_value(&reason)
        )),
        KafkaError::ClientCreation(reason) => LogError::Config(format!("{what}: {reason}")),
        KafkaError::Canceled => LogError::Closed,
        KafkaError::Transaction(error) if error.is_fatal() && !is_fenced(error.code()) => {
            LogError::Fatal {
                message: format!("{what}: {error}"),
                source: Some(Arc::new(KafkaError::Transaction(error))),
            }
        }
        error => match error.rdkafka_error_code() {
            Some(code) => from_code(what, code, Some(error)),
            None => LogError::Retriable {
                message: format!("{what}: {error}"),
                source: Some(Arc::new(error)),
            },
        },
    }
}

/// The same for a bare code.
pub(crate) fn from_code(what: &str, code: Code, cause: Option<KafkaError>) -> LogError {
    let message = format!("{what}: {code}");
    let source = cause.map(|c| Arc::new(c) as Arc<dyn std::error::Error + Send + Sync>);
    match code {
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => LogError::Authorization(message),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            LogError::UnknownTopic(format!("({what})"))
        }
        code if is_fenced(code) => LogError::Fenced(message),
        Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::TimedOutQueue => LogError::Timeout(message),
        Code::InvalidTopic
        | Code::InvalidConfig
        | Code::InvalidPartitions
        | Code::PolicyViolation
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::InvalidTransactionTimeout
        | Code::InconsistentGroupProtocol
        | Code::InvalidTimestamp
        | Code::InvalidRecord => LogError::Config(message),
        code if is_retriable(code) => LogError::Retriable { message, source },
        _ => LogError::Fatal { message, source },
    }
}

fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::InvalidProducerIdMapping
            | Code::FencedInstanceId
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::AssignmentLost
            | Code::TransactionCoordinatorFenced
    )
}

fn is_retriable(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::SSL
            | Code::QueueFull
            | Code::WaitingForCoordinator
            | Code::WaitCache
            | Code::InProgress
            | Code::PreviousInProgress
            | Code::Retry
            | Code::PurgeQueue
            | Code::PurgeInflight
            | Code::State
            | Code::Conflict
            | Code::BrokerDestroy
            | Code::DestroyBroker
            | Code::ISRInsufficient
            | Code::InvalidMessage
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotController
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::InvalidReplicationFactor
            | Code::RebalanceInProgress
            | Code::MemberIdRequired
            | Code::NonEmptyGroup
            | Code::GroupMaxSizeReached
            | Code::ConcurrentTransactions
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::UnstableOffsetCommit
            | Code::ThrottlingQuotaExceeded
            | Code::PollExceeded
    )
}

/// A code from a response of the protocol, with the broker's own text when it sent one.
pub(crate) fn from_response(what: &str, code: i16, text: Option<&str>) -> LogError {
    let error = ResponseError::try_from_code(code);
    let name = error
        .as_ref()
        .map_or_else(|| format!("error {code}"), |e| format!("{e:?}"));
    let message = match text {
        Some(text) if !text.is_empty() => format!("{what}: {name}: {text}"),
        _ => format!("{what}: {name}"),
    };
    use ResponseError as E;
    match error {
        Some(
            E::TopicAuthorizationFailed
            | E::GroupAuthorizationFailed
            | E::ClusterAuthorizationFailed
            | E::TransactionalIdAuthorizationFailed
            | E::SaslAuthenticationFailed
            | E::UnsupportedSaslMechanism
            | E::IllegalSaslState,
        ) => LogError::Authorization(message),
        Some(E::UnknownTopicOrPartition) => LogError::UnknownTopic(format!("({what})")),
        Some(E::RequestTimedOut) => LogError::Timeout(message),
        Some(
            E::FencedInstanceId
            | E::IllegalGeneration
            | E::ProducerFenced
            | E::InvalidProducerEpoch,
        ) => LogError::Fenced(message),
        Some(
            E::UnknownMemberId
            | E::NonEmptyGroup
            | E::GroupSubscribedToTopic
            | E::RebalanceInProgress
            | E::InvalidReplicationFactor,
        ) => LogError::retriable(message),
        Some(
            E::InvalidTopicException
            | E::InvalidPartitions
            | E::InvalidConfig
            | E::PolicyViolation
            | E::InvalidGroupId
            | E::InvalidReplicaAssignment,
        ) => LogError::Config(message),
        Some(error) if error.is_retriable() => LogError::retriable(message),
        _ => LogError::fatal(message),
    }
}

/// librdkafka quotes the value in some of its complaints: `Invalid value "x" for configuration property "y"`.
fn without_value(reason: &str) -> String {
    let mut out = String::with_capacity(reason.len());
    let mut quoted = false;
    for c in reason.chars() {
        if c == '"' {
            quoted = !quoted;
            if quoted {
                out.push_str("\"…\"");
            }
        } else if !quoted {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_land_in_the_kind_that_callers_act_on() {
        let kind = |code| from_code("x", code, None);
        assert!(matches!(kind(Code::Fenced), LogError::Fenced(_)));
        assert!(matches!(kind(Code::IllegalGeneration), LogError::Fenced(_)));
        assert!(matches!(
            kind(Code::TopicAuthorizationFailed),
            LogError::Authorization(_)
        ));
        assert!(kind(Code::NotLeaderForPartition).is_retriable());
        assert!(kind(Code::MessageTimedOut).is_retriable());
        assert!(matches!(
            kind(Code::OutOfOrderSequenceNumber),
            LogError::Fatal { .. }
        ));
        assert!(from_response("x", 25, None).is_retriable());
        assert!(matches!(
            from_response("x", 30, None),
            LogError::Authorization(_)
        ));
    }

    #[test]
    fn a_refused_setting_is_named_without_its_value() {
        assert_eq!(
            without_value("Invalid value \"hunter2\" for property \"a\""),
            "Invalid value \"…\" for property \"…\""
        );
    }
}
