//! What every Debezium-like source shares: filters, topic names, the event envelope, context headers and heartbeats.
//!
//! Depends on `millrace-api` alone; nothing here talks to a database.

mod context_headers;
mod envelope;
mod filters;
mod heartbeat;
mod name_adjustment;
mod regex_list;
mod run_id;
mod topic_naming;
pub mod transforms;

pub use context_headers::ContextHeaders;
pub use envelope::{Envelope, EventTime, Operation, transaction_block_schema};
pub use filters::{ColumnFilter, FilterError, TableFilter, TableId};
pub use heartbeat::Heartbeat;
pub use name_adjustment::NameAdjustment;
pub use regex_list::{RegexList, RegexListError};
pub use run_id::run_id;
pub use topic_naming::TopicNaming;
