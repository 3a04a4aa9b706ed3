//! Against a real PostgreSQL, which the tests start themselves. Without its binaries they fail.

mod certificates;
mod connecting;
mod server;
mod slots;
mod streaming;
