//! rustls from the same settings that librdkafka gets.

use std::sync::Arc;

use millrace_tls::{ProtocolVersion, StoreError, TlsClient};
use rustls::ClientConfig;

use crate::security::Tls;

/// A TLS client configuration; the error says which part of the settings is unusable.
pub(crate) fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, StoreError> {
    let authorities = match &tls.authorities {
        Some(pem) => Some(millrace_tls::authorities(
            pem.as_bytes(),
            Some("PEM"),
            None,
        )?),
        None => None,
    };
    let identity = match &tls.identity {
        Some((chain, key)) => Some(millrace_tls::pem_identity(chain, key.expose(), None)?),
        None => None,
    };
    TlsClient {
        authorities,
        identity,
        verify_host: tls.verify_host,
        versions: ProtocolVersion::ALL.to_vec(),
    }
    .config()
}
