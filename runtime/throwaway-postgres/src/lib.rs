//! A PostgreSQL server that lives as long as the process that started it.
//!
//! [`ThrowawayPostgres::start`] runs `initdb` and `postgres` from an installed PostgreSQL in a fresh directory, tuned for
//! logical decoding and for losing everything. The server ends, and its directory goes, when the value is dropped and also
//! when the owning process is killed with SIGKILL: a [`Watchdog`] process holds the other end of a pipe and acts when that
//! pipe closes. Nothing here needs `unsafe`, a signal handler or a second thread.
//!
//! PostgreSQL refuses to run as root. A process of root's runs it as user `postgres`, or `nobody` where there is none; the
//! directory is handed to that user.
//!
//! ```no_run
//! use throwaway_postgres::{Options, ThrowawayPostgres};
//!
//! let server = ThrowawayPostgres::start(Options::default())?;
//! println!("psql {}", server.url());
//! # Ok::<(), throwaway_postgres::StartError>(())
//! ```

mod account;
mod binaries;
mod directory;
mod error;
mod server;
mod watchdog;

pub use binaries::find_binaries;
pub use error::StartError;
pub use server::{Options, Shutdown, ThrowawayPostgres};
pub use watchdog::{Watchdog, send_signal};
