//! The worker: runs connectors and their tasks on a log, keeps what they must not forget, and answers what front ends ask.
//!
//! The door for REST is [`herder::Herder`]; [`standalone`] implements it for a worker that is alone. [`source`] and [`sink`] run tasks, [`stores`] keep
//! configurations, offsets and statuses in the log with Java's own bytes.
//!
//! # Data-integrity invariants
//!
//! Cited as `// I1` … where they are upheld. Breaking one makes the named tests fail.
//!
//! * **I1: nothing is acknowledged upstream before it is durable downstream.** A source's `committed` names only positions whose records and offset are in the log;
//!   a sink's positions are committed only after `pre_commit` and after the dead letters of their records are durable.
//!   `source::tests::i2_i3_acked_prefix_loses_nothing_and_keeps_the_order_of_keys` (the fake source checks every `committed` against the log),
//!   `sink::tests::i1_reported_records_are_in_the_queue_before_their_offsets_are_committed`.
//! * **I2: an offset never moves past a record that is not acknowledged.** `source::ring::tests::the_ring_is_the_naive_model`,
//!   `source::ring::tests::i2_an_unacked_record_holds_back_its_own_partition_only`, `sink::positions::tests::i2_a_task_cannot_commit_what_it_has_not_accepted`,
//!   `sink::tests::i1_i2_i3_a_sink_group_loses_nothing`.
//! * **I3: the order of a key survives retries and restarts.** After a failed delivery a source sends nothing more; a sink puts the same batch again before anything
//!   else. `source::tests::i2_i3_acked_prefix_loses_nothing_and_keeps_the_order_of_keys`, `sink::tests::i1_i2_i3_a_sink_group_loses_nothing`.
//! * **I4: a fenced writer writes nothing.** The transactional producer is made before the task reads where to go on from, and a writer whose offsets somebody else
//!   moved gives up. `source::tests::i4_i5_atomic_writes_every_change_exactly_once`, `source::tests::i4_a_task_that_was_taken_over_from_writes_no_more`.
//! * **I5: state that decides where to resume changes atomically with what it describes.** Offsets are in the transaction of their records; a task set counts only
//!   once its commit record is there. `source::tests::i4_i5_atomic_writes_every_change_exactly_once`,
//!   `stores::config::tests::tasks_take_effect_at_their_commit_only`, `stores::offset::tests::two_spellings_become_one`.

pub mod clock;
mod connector_config;
pub mod errors;
pub mod failpoint;
#[cfg(test)]
mod fakes;
pub mod herder;
pub mod metrics;
mod pipeline;
pub mod plugins;
pub mod properties;
pub mod sink;
pub mod source;
pub mod standalone;
pub mod stores;
pub mod task;
pub mod worker_config;

pub use herder::Herder;
pub use plugins::PluginRegistry;
pub use standalone::{Worker, WorkerOptions};
pub use worker_config::WorkerConfig;
