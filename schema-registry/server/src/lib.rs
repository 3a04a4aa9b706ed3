//! The schema registry's server: HTTP, the topic, the election.
//!
//! [`RegistryServer::start`] runs a registry on a log. What schemas mean, which calls answer what and which records a change writes is `registry-core`'s business; here
//! is what it leaves out: the schemas topic is read for ever, changes are written by the elected leader and answered once they were read back, followers pass them on,
//! and every call comes over HTTP or, inside one process, through [`RegistryServer::local`].
//!
//! ```text
//!  HTTP ──► Api ──► Node ──► registry-core ◄── Follower ◄── topic
//!  LocalRegistry ──►  │                                       ▲
//!                     ├─ leads ──► Changes ──► TopicWriter ───┘
//!                     └─ follows ─► the leader's HTTP
//!  Election ──► Leadership, watched by Node and Changes
//! ```

mod changes;
mod cluster;
mod error;
mod failures;
mod from_properties;
mod http;
mod leader_credentials;
mod local;
mod metrics;
mod node;
mod options;
mod properties;
mod server;
mod topic;

pub use error::StartError;
pub use http::access::Access;
pub use http::cross_origin::CrossOrigin;
pub use http::listener::{ListenerUri, Scheme};
pub use http::tls::{ClientAuthentication, TlsFiles};
pub use leader_credentials::LeaderCredentials;
pub use local::LocalRegistry;
pub use options::{GroupOptions, HttpOptions, RegistryOptions, TopicOptions};
pub use server::RegistryServer;
