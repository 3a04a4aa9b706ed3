//! What librdkafka tells about itself, as log lines.

use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

pub(crate) fn log(level: Level, facility: &str, message: &str) {
    match level {
        Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
            tracing::error!(target: "librdkafka", facility, "{message}")
        }
        Level::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        Level::Notice | Level::Info => tracing::info!(target: "librdkafka", facility, "{message}"),
        Level::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

pub(crate) fn error(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        // librdkafka reconnects by itself for as long as it takes.
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::OperationTimedOut) => {
            tracing::info!(target: "librdkafka", "{reason}")
        }
        _ => tracing::warn!(target: "librdkafka", "{error}: {reason}"),
    }
}
