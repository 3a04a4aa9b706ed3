//! A first connection by librdkafka, for what it says when it cannot.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_log::LogError;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::errors::from_client;

/// Keeps the last complaint.
#[derive(Debug, Default)]
struct Complaints(Mutex<String>);

impl ClientContext for Complaints {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        crate::context::error(&error, reason);
        // Says no more than that all failed; the reason came before.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            return;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason.to_owned();
    }
}

impl ConsumerContext for Complaints {}

/// The id of the cluster that librdkafka reaches with `config`, or its last complaint after `limit`. Blocks.
pub(crate) fn cluster_id(
    config: &ClientConfig,
    limit: Duration,
) -> Result<Result<String, String>, LogError> {
    let client: BaseConsumer<Complaints> = config
        .create_with_context(Complaints::default())
        .map_err(|e| from_client("cannot make a Kafka client", e))?;
    let deadline = Instant::now() + limit;
    loop {
        // Asks for metadata, which is what makes it connect.
        if client
            .fetch_metadata(Some("__consumer_offsets"), Duration::from_secs(1))
            .is_ok()
            && let Some(id) = client.client().fetch_cluster_id(Duration::from_secs(1))
        {
            return Ok(Ok(id));
        }
        // One event each.
        for _ in 0..20 {
            drop(client.poll(Duration::from_millis(1)));
        }
        if Instant::now() >= deadline {
            let complaint = client
                .context()
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            return Ok(Err(complaint));
        }
    }
}
