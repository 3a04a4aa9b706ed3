//! Certificates and private keys from the files that users of Java have, and rustls from those.
//!
//! A store is PEM text, Java's old format (JKS) or PKCS#12; which of them is seen from its bytes, as Java itself does for the latter two. Kafka's clients, the registry's
//! server and its client read their `ssl.*` settings through here, so all of them take the same files and refuse the same ones.

mod any_host;
mod client;
mod ec_key;
mod error;
mod jks;
mod pem;
mod pkcs12;
mod settings;
mod store;

pub use client::{ProtocolVersion, TlsClient, roots};
pub use error::{Concern, StoreError};
pub use pem::{certificates_to_pem, key_to_pem};
pub use settings::{SettingError, StoreSettings};
pub use store::{Identity, authorities, identity, pem_identity};
