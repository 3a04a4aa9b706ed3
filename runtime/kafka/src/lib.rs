//! The log seam on Apache Kafka.
//!
//! The data path is librdkafka (`rdkafka`): producers, transactions, consumers. What its Rust API lacks (group offsets, members, topic settings, offsets of many partitions
//! in one call) goes through a small client of our own on `kafka-protocol`. Both are set up from the same Java-named settings.
//!
//! Brokers from Apache Kafka 2.1 on are served.
//!
//! # Where this differs from a Java client
//!
//! * Producers have one request in flight and no idempotence by default, as Connect's: order per partition is kept, a retry may write records twice.
//!   `enable.idempotence=true` prevents that and costs about twice the CPU on a busy partition.
//! * Batches are large and compressed by default (`batch.size` 1 MB, `compression.type` lz4); both obey their settings.
//! * Group members use the range assignor by default, which a Java member with its own defaults agrees on; `partition.assignment.strategy` takes Java's class names.
//! * `max.poll.records` is 5000 when it is not set, and a batch ends at 1 MiB.
//! * A missing topic is not created by subscribing to it, unless `allow.auto.create.topics=true`.
//! * A record's timestamp 0 (1970-01-01T00:00:00Z) is written as 1: librdkafka cannot tell 0 from "now".

mod admin;
mod completions;
mod context;
mod errors;
mod fetcher;
mod group;
mod jaas;
mod log;
mod membership;
mod probe;
mod producer;
mod properties;
mod raw;
mod reader;
mod security;
mod table;
mod threads;
mod transactions;

pub use log::{KafkaLog, KafkaOptions};
