//! The Kafka implementation of the log seam against a real broker.

#![allow(clippy::unwrap_used)]

mod client;
mod conformance;
mod crash;
mod groups;
mod memberships;
mod outage;
mod secure;
mod tables;
mod writing;
