//! The cases that every implementation of the seam passes.

use std::sync::Arc;
use std::time::Duration;

use millrace_log::Log;
use millrace_log::conformance::Subject;
use millrace_testkit::{Kafka, unique};
use tokio::runtime::Handle;

use crate::client::connect;

#[derive(Debug)]
struct SharedKafka;

#[async_trait::async_trait]
impl Subject for SharedKafka {
    async fn open(&self) -> Arc<dyn Log> {
        // Starting the broker is no `Send` future.
        tokio::task::block_in_place(|| {
            Handle::current().block_on(async {
                let kafka = Kafka::shared().await.expect("a broker");
                let log: Arc<dyn Log> = connect(&kafka.bootstrap()).await.expect("a connection");
                log
            })
        })
    }

    fn unique(&self, prefix: &str) -> String {
        unique(prefix)
    }

    /// The process cannot be killed here (see the `crash` tests); what a new one finds is the same: a new client, and the old one's work left as it was.
    async fn reopen_after_crash(&self, log: Arc<dyn Log>) -> Option<Arc<dyn Log>> {
        drop(log);
        Some(self.open().await)
    }

    fn least_timestamp(&self) -> i64 {
        1
    }

    /// What the broker of the test kit is set to.
    fn least_session_timeout(&self) -> Duration {
        Duration::from_millis(1_500)
    }

    /// Longer than the broker lets the transaction of a dead producer stay open.
    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }
}

millrace_log::conformance_tests!(SharedKafka);
