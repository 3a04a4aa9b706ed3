//! PostgreSQL logical replication: the streaming transport and a decoder for `pgoutput`.
mod auth;
mod connection;
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
pub use error::{ReplicationError, ServerError};
pub use frame::{Frame, PayloadRange, XLogData};
pub use low_water::{LowWaterStream, Socket};
pub use lsn::{Lsn, ParseLsnError};
pub use options::{ChannelBindingMode, ConnectOptions, LowWater, Password, SslMode};
pub use slot::{CreatedSlot, SlotSnapshot, SystemIdentity};
pub use stream::{Positions, ReplicationStream};
pub use tls::client_config as tls_client_config;

/// An SQL identifier in double quotes.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal of the replication grammar, which knows no escape but the doubled quote.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
