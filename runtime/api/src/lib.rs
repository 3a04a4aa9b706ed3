//! What a Millrace plugin is written against: the data model ([`data`]), the contracts of connectors, converters and transforms ([`plugin`]) and configuration
//! ([`config`]).
//!
//! No I/O, no clock, no async runtime: a plugin gets time, the log and spawning from the context that the worker hands it, so everything here can be tested and
//! fuzzed in microseconds.

pub mod config;
pub mod data;
pub mod plugin;

pub use millrace_api_derive::{ConfigEnum, ConnectConfig};
