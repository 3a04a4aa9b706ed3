//! The worker (being written).
pub mod herder;
