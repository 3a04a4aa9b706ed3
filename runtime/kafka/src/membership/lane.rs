use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_protocol::protocol::Request;
use millrace_log::LogError;
use millrace_log::membership::Refusal;
use tokio::time::timeout;

use super::KafkaGroupCoordinator;
use crate::raw::Connection;

/// What a call may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Finding the coordinator and connecting to it.
    pub(super) connect: Duration,
    /// From the request to the answer.
    pub(super) answer: Duration,
}

/// One connection to the coordinator, opened when it is needed and kept while it is good; calls on it follow each other.
#[derive(Default)]
pub(super) struct Lane {
    /// With the count of its time.
    connection: tokio::sync::Mutex<Option<(u64, Connection)>>,
    /// Counts how often the coordinator was declared gone; a connection of an older count is not used again.
    forgotten: AtomicU64,
}

impl Lane {
    /// Has the next call look the coordinator up again.
    pub(super) fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
    }

    /// Sends what `build` makes for the version in use, at most version `cap`. Dropping the future closes the connection: an answer to a call that was given up may
    /// still come, and a coordinator that holds one back would not read the next call.
    pub(super) async fn call<R: Request>(
        &self,
        coordinator: &KafkaGroupCoordinator,
        cap: i16,
        limits: Limits,
        build: impl Fn(i16) -> Result<R, LogError>,
    ) -> Result<R::Response, Refusal> {
        let mut place = self.connection.lock().await;
        let count = self.forgotten.load(Ordering::Acquire);
        let mut connection = match place.take() {
            Some((of, connection)) if of == count => connection,
            _ => coordinator.connect(limits.connect).await.map_err(passing)?,
        };
        let version = connection.version::<R>(cap).map_err(passing)?;
        let request = build(version).map_err(passing)?;
        let response = connection
            .call_within(version, &request, limits.answer)
            .await
            .map_err(passing)?;
        *place = Some((count, connection));
        Ok(response)
    }
}

impl KafkaGroupCoordinator {
    /// Finds the coordinator and connects to it.
    async fn connect(&self, limit: Duration) -> Result<Connection, LogError> {
        let connecting = async {
            let at = self.raw.find_coordinator(&self.options.group_id).await?;
            if let Err(error) = self.raw.learn_brokers().await {
                tracing::debug!(%error, "the brokers of the cluster are not known");
            }
            self.raw.connect(&at).await
        };
        timeout(limit, connecting).await.unwrap_or_else(|_| {
            Err(LogError::Timeout(format!(
                "the coordinator of group '{}' cannot be reached within {} ms",
                self.options.group_id,
                limit.as_millis()
            )))
        })
    }
}

/// A failure to reach the coordinator.
fn passing(error: LogError) -> Refusal {
    match error.is_retriable() {
        true => Refusal::Unavailable(error),
        false => Refusal::Final(error),
    }
}
