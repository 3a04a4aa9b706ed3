//! JDBC connectors: the sink that speaks Confluent's configuration (`io.confluent.connect.jdbc.JdbcSinkConnector`) to PostgreSQL.
//!
//! The configuration, the tables that it creates and the rows that it leaves behind are those of the Java connector, so that the same connector JSON can move
//! between the two. What differs on purpose:
//!
//! * A batch is one statement over `unnest` of typed arrays instead of one statement per row; keys are folded first, because PostgreSQL refuses to upsert a row
//!   twice in one statement.
//! * A record that the database refuses is searched for in the batch at once when there is somewhere to report it, without retries; without a reporter the batch is
//!   retried `max.retries` times as in Java (someone may be repairing the table) and then the task fails with the name of the record.
//! * Identifiers with quotes are escaped, strings go into enumerations, `inet`, timestamps and so on by a cast, deletes by a `uuid` key work.
//!
//! # Durability
//!
//! `put` returns when its transaction is committed, so whatever the worker commits afterwards is in the database. A connection that is lost during COMMIT leaves
//! open whether the batch was written, and the batch is put again: with `insert.mode=upsert`, `update` and with deletes that changes nothing, with `insert` it can
//! insert rows a second time where the table has no key that forbids it, and fails on the key where it has one. Use `upsert` where that matters.

mod jdbc_url;
mod postgres;
mod sink;

pub use sink::{JdbcSinkConfig, JdbcSinkPlugin};
