//! Differential cases of the PostgreSQL source.
//!
//! A [`Scenario`] is run against [`Servers`] by [`run`]; the outcome is an [`Answer`], normalised so that two runs can be compared:
//! positions in the WAL, transaction ids and commit times become their rank among all of their kind in the scenario (`<lsn2>`, `<tx1>`,
//! `<ts3>`), clock times `<now>`, names of the run `PFX`, `DB`, `SLOT`. All else stays the text that was in Kafka. [`differences`] compares
//! it with the recorded one.

mod answer;
mod cases;
mod compare;
mod connector;
mod database;
mod json_text;
mod names;
mod normalise;
mod run;
mod scenario;
mod servers;
mod topics;

pub use answer::{Answer, Record, Status};
pub use cases::{Case, Verdict, cases, matches, scenarios};
pub use compare::differences;
pub use run::run;
pub use scenario::Scenario;
pub use servers::Servers;
