//! The worker (being written).

pub mod clock;
mod connector_config;
pub mod errors;
pub mod failpoint;
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
#[cfg(test)]
mod fakes;
