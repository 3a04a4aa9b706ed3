//! PostgreSQL CDC source: `io.debezium.connector.postgresql.PostgresConnector`.
//!
//! One task per connector. It reads the catalog over an ordinary connection (`sql`, `catalog`), takes a snapshot in one transaction (`snapshot`), then
//! streams from a replication slot (`streaming`, over `pg-replication`). Rows become values by a plan that is made once per table shape (`table`, `type_mapping`,
//! `convert`), events by `events`. Positions travel packed with the records (`offset`); `resume` decides after a restart which changes were sent before.
//!
//! What is confirmed to the server is never beyond what the worker has stored (I1, in `task`).

#[cfg(test)]
mod allocations;
mod catalog;
mod column_default;
mod config;
mod connector;
mod convert;
mod events;
mod key_columns;
mod offset;
mod publication;
mod reader;
mod resume;
mod setup;
mod slot;
mod snapshot;
mod source_info;
mod sql;
mod streaming;
mod table;
mod task;
mod type_mapping;

pub use connector::PostgresPlugin;
