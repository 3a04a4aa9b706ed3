//! What the end-to-end tests share: a database, a log and a worker of one test's own ([`Ground`]), everything that its topics hold ([`Capture`]), and the
//! judgement of what a log may hold after crashes ([`ledger`]).

mod capture;
mod ground;
pub mod ledger;
mod rows;

pub use capture::{Capture, Event};
pub use ground::{Ground, LogKind, PATIENCE, ShownWorker, changed, without_escapes};
pub use rows::{Rows, replay, table_rows};
