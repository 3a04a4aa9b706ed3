//! Commands that are planned and whose records are applied, as a leader does it, without a log.

mod accidents;
mod associations;
mod played;
mod tags;
