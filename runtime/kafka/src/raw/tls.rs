//! rustls from the same settings that librdkafka gets.

use std::sync::Arc;

use millrace_tls::{ProtocolVersion, SettingError, StoreSettings, TlsClient};
use rustls::ClientConfig;

use crate::security::Tls;

/// A TLS client configuration; the error says which part of the settings is unusable.
pub(crate) fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, SettingError> {
    let stores = StoreSettings {
        truststore_certificates: tls.authorities.as_deref(),
        keystore_chain: tls.identity.as_ref().map(|(chain, _)| chain.as_str()),
        keystore_key: tls.identity.as_ref().map(|(_, key)| key.expose()),
        ..StoreSettings::default()
    };
    TlsClient {
        authorities: stores.authorities()?,
        identity: stores.identity()?,
        verify_host: tls.verify_host,
        versions: ProtocolVersion::ALL.to_vec(),
    }
    .config()
}
