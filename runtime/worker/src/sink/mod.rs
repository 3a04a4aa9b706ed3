//! Runs sink tasks: consume in a group, convert, transform, put, and commit what the task says is durable.

mod decode;
mod positions;
mod reports;
mod runner;
#[cfg(test)]
mod tests;

pub use runner::SinkRunner;
pub(crate) use runner::group_of;
