//! Recorded answers of Kafka Connect, Debezium and Confluent's schema registry, and the runners that put the same questions to this worker and compare.
//!
//! * [`cdc`]: scenarios of SQL and REST steps against a PostgreSQL source. Everything that arrives in Kafka, the stored offset, the states
//!   and the REST answers are compared with what Debezium produced, byte by byte but for positions, times and names of the run.
//! * [`connect`]: REST calls, and what a Java worker answered.
//! * [`converters`]: what Confluent's converters write and read, by themselves and behind Debezium.
//! * [`registry`]: requests to Confluent's schema registry, and what it answered and wrote to its topic.
//!
//! The data files lie beside the sources: `cdc/scenarios` (what to do), `cdc/answers` (what Debezium did), `cdc/cases.txt` (which of them
//! must be equal, and why the others are not compared), and `connect`.

pub mod cdc;
pub mod connect;
pub mod converters;
pub mod registry;
mod topic_ends;
