//! The sink against a real PostgreSQL.
#![allow(clippy::unwrap_used)]

mod deletes;
mod errors;
mod harness;
mod modes;
mod outages;
mod tables;
mod types;
mod validation;
