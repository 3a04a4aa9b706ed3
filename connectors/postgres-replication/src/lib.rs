//! PostgreSQL logical replication: the streaming transport and a decoder for `pgoutput`.
//!
//! ```text
//!  ConnectOptions ─► ReplicationConnection ─ start_replication ─► ReplicationStream ─► (Bytes, Vec<Frame>)
//!                    commands, slots         ◄──────── stop ─────                              │ payload
//!                                                                                              ▼
//!                    socket ─ LowWaterStream ─ TLS? ─ Transport              pgoutput::Decoder ─► Message<'_>
//! ```
//!
//! * [`pgoutput`] does no I/O: bytes in, borrowed messages out, no allocation, no panic on any input.
//! * [`ReplicationConnection`] starts a session (`replication=database`), authenticates (trust, password, MD5,
//!   SCRAM with and without channel binding, client certificate), creates and drops slots, runs SQL.
//! * [`ReplicationStream`] is the session in CopyBoth mode. It is pulled by its owner and has no task, channel or
//!   retry of its own.
//! * [`LowWaterStream`] makes reading many small messages cheap.
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//! use pg_replication::pgoutput::{Decoder, Message, ProtoVersion};
//! use pg_replication::{ConnectOptions, Frame, Lsn, ReplicationConnection, ReplicationError};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = ConnectOptions::new("localhost", 5432, "replicator", "shop");
//! let mut stream = ReplicationConnection::connect(&options)
//!     .await?
//!     .start_replication("slot", Lsn::INVALID, &[("proto_version", "1"), ("publication_names", "\"shop\"")])
//!     .await?;
//! let mut decoder = Decoder::new(ProtoVersion::V1);
//! let mut frames = Vec::new();
//! loop {
//!     let buffer = stream.next_batch(&mut frames, Duration::from_millis(500)).await?;
//!     let mut done = Lsn::INVALID;
//!     for frame in &frames {
//!         let Frame::XLogData(data) = frame else { continue };
//!         if let Message::Commit(commit) = decoder.decode(&buffer[data.payload.as_range()])? {
//!             done = commit.end_lsn;
//!         }
//!     }
//!     // … make everything up to `done` durable, and only then:
//!     stream.standby_status(done, done, done, false).await?;
//! }
//! # }
//! ```
//!
//! # What is confirmed
//!
//! The slot moves only to what the owner gave to [`ReplicationStream::standby_status`] as `flushed`. Answers to the
//! server's keep-alives and the periodic updates inside of [`ReplicationStream::next_batch`] repeat it; before it was
//! given for the first time they say `0/0`, which confirms nothing. A server that shuts down in `fast` mode waits until
//! what it has sent is confirmed.
//!
//! # Cancellation
//!
//! `next_batch` and `standby_status` can be dropped at any point and called again: received bytes stay in the
//! connection's buffer, a half-written message is finished by the next call. `connect`, `start_replication`, `stop` and
//! the commands cannot be resumed; dropping one closes (or, for commands, spoils) the connection.
//!
//! # Memory
//!
//! Input is read into chunks of 256 KiB (more only while a larger message is arriving, growing with it) and handed out as
//! one [`bytes::Bytes`] per batch. Values are slices of it, so keeping one value keeps its chunk.
//!
//! # Cost
//!
//! PostgreSQL 15 on the same two cores, 1,000,000 inserts of 200 bytes in transactions of 1,000, `examples/drain.rs`
//! (decodes every column) against `pg_recvlogical` writing to `/dev/null`, over loopback TCP unless said otherwise:
//!
//! | otherwise idle machine | elapsed | client CPU |
//! | --- | --- | --- |
//! | `pg_recvlogical` | 6.5 s | 3.0–3.2 s |
//! | `drain` | 5.7–6.2 s | 0.53–0.70 s, 0.1 s of it in user mode |
//! | `drain lowat=off` | 6.6–6.7 s | 2.8–3.5 s |
//!
//! | machine kept busy by others (load 4–5) | elapsed | client CPU |
//! | --- | --- | --- |
//! | `pg_recvlogical` | 5.5–7.2 s | 1.5–2.6 s |
//! | `drain` | 6.2–11.2 s | 0.5–0.8 s |
//! | `drain lowat=off` | 6.1–6.4 s | 1.6–2.0 s |
//! | `pg_recvlogical`, TLS | 9.6–12.1 s | 4.2–5.0 s |
//! | `drain tls=on` | 9.8–12.4 s | 1.0–1.4 s |
//! | `drain` on a Unix socket | 5.4–7.9 s | 1.8–1.9 s |
//!
//! So a row costs about 0.6 µs, nothing is allocated or copied for it, and the walsender is the limit. On an overloaded
//! machine batching saves CPU but the drain took longer; the cause is not established (the kernel counted no time in which
//! the sender waited for the window or its buffer).
//!
//! # Differences from libpq
//!
//! * `sslmode=require` never verifies, also when a root certificate is given.
//! * `verify-full` looks at the certificate's subject alternative names only, not at its common name.
//! * Without a root certificate the operating system's authorities are trusted.
//! * GSSAPI, SSPI, encrypted private keys and revocation lists are not supported.

mod auth;
mod connection;
mod copy;
mod error;
mod frame;
mod low_water;
mod lsn;
mod options;
pub mod pgoutput;
mod session;
mod slot;
mod stream;
mod tls;
mod transport;
mod wire;

pub use connection::{ReplicationConnection, Row};
pub use copy::CopyOut;
pub use error::{ReplicationError, ServerError};
pub use frame::{Frame, PayloadRange, XLogData};
pub use low_water::{LowWaterStream, Socket};
pub use lsn::{Lsn, ParseLsnError};
pub use options::{ChannelBindingMode, ConnectOptions, LowWater, Password, SslMode};
pub use slot::{CreatedSlot, SlotSnapshot, SystemIdentity};
pub use stream::{Positions, ReplicationStream};
pub use tls::{client_config as tls_client_config, tls_server_end_point};

/// An SQL identifier in double quotes.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal of the replication grammar, which knows no escape but the doubled quote.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_literal("a'b\\"), "'a''b\\'");
    }

    #[test]
    fn everything_can_move_between_threads() {
        fn is_send<T: Send>() {}
        is_send::<ReplicationConnection>();
        is_send::<ReplicationStream>();
        is_send::<ReplicationError>();
        is_send::<pgoutput::Message<'_>>();
    }
}
