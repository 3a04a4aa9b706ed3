//! Registries on logs in memory, called over HTTP.

mod changes;
mod cluster;
mod ground;
mod in_process;
mod outage;
mod protocol;
mod security;
mod start;
