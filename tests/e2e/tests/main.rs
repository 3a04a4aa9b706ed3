//! The whole, from outside: a worker process, real PostgreSQL, and both logs. Servers are shared; each test has its own database and topics.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod crash;
mod registry;
mod restart;
mod shop;
mod sink;
mod source;

/// Makes a test for each log of `async fn NAME(log: LogKind) -> anyhow::Result<()>`.
macro_rules! on_both_logs {
    ($($name:ident),+ $(,)?) => {
        mod on_the_embedded_log {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                super::$name(millrace_e2e::LogKind::Embedded).await
            })+
        }
        mod on_kafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                super::$name(millrace_e2e::LogKind::Kafka).await
            })+
        }
    };
}
pub(crate) use on_both_logs;
