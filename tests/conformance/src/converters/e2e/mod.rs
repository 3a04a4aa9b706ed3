//! Debezium's PostgreSQL source in front of Confluent's converters, recorded in `converters/e2e`: a case is a connector's settings and steps of SQL, its answer what was
//! registered and every record of the tables' topics.

mod answer;
mod compare;
mod run;
mod servers;

use std::path::PathBuf;

pub use compare::differences;
pub use run::answer;
pub use servers::Servers;

/// Where cases and answers lie.
pub fn folder() -> PathBuf {
    super::folder().join("e2e")
}
