//! What the end-to-end tests and the benches stand on: real servers, a real worker process, and waiting for conditions.
//!
//! * [`Postgres`], [`Kafka`]: servers that live as long as the test process, shared by all its tests (`shared()`) or one test's own
//!   (`start`). `tests/servers/install` brings what they are made of.
//! * [`Worker`]: the `millrace` binary as a child process that can be killed at any instruction and started again.
//! * [`RestClient`]: Connect's REST interface.
//! * [`wait_until`]: the only way to wait; tests never sleep.
//!
//! Every child ends with the test process, even when that is killed with SIGKILL (see [`throwaway_postgres::Watchdog`]). Tests that
//! share a server name their databases, topics and slots with [`unique`].

mod api_versions;
mod apicurio;
mod guarded;
mod kafka;
mod naming;
mod postgres;
mod rest;
mod usage;
mod wait;
mod worker;

pub use apicurio::{APICURIO_API, Apicurio};
pub use guarded::Signal;
pub use kafka::{Jvm, Kafka, KafkaOptions, cache, java};
pub use naming::{free_port, unique};
pub use postgres::{Database, Postgres, PostgresOptions};
pub use rest::{Reply, RestClient};
pub use throwaway_postgres::Shutdown;
pub use usage::{Usage, usage_of, usage_of_tree};
pub use wait::wait_until;
pub use worker::{Worker, WorkerOptions, millrace_binary};
