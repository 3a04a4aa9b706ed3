//! rustls from `schema.registry.ssl.*`.

use std::sync::Arc;

use millrace_api::config::Secret;
use millrace_api::plugin::TaskError;
use millrace_tls::{ProtocolVersion, SettingError, StoreSettings, TlsClient};
use rustls::ClientConfig;

use crate::settings::{TlsConfig, refuse};

const PREFIX: &str = "schema.registry.ssl.";

/// The TLS configuration for https URLs.
///
/// # Errors
/// A setting that cannot be obeyed, by name, with what to do.
pub(crate) fn client_config(settings: &TlsConfig) -> Result<Arc<ClientConfig>, TaskError> {
    refuse_what_is_java(settings)?;
    let stores = StoreSettings {
        truststore_location: settings.truststore_location.as_deref(),
        truststore_type: Some(&settings.truststore_type),
        truststore_password: exposed(&settings.truststore_password),
        truststore_certificates: exposed(&settings.truststore_certificates),
        keystore_location: settings.keystore_location.as_deref(),
        keystore_type: Some(&settings.keystore_type),
        keystore_password: exposed(&settings.keystore_password),
        keystore_chain: exposed(&settings.keystore_chain),
        keystore_key: exposed(&settings.keystore_key),
        key_password: exposed(&settings.key_password),
    };
    let verify_host = match settings.endpoint_identification.as_str() {
        "" => false,
        name if name.eq_ignore_ascii_case("https") => true,
        name => {
            return Err(named(
                "endpoint.identification.algorithm",
                Some(name),
                "it must be `https`, or empty (the host name is not compared)",
            ));
        }
    };
    let refused = |error: SettingError| named(error.key, error.value.as_deref(), &error.message);
    TlsClient {
        authorities: stores.authorities().map_err(refused)?,
        identity: stores.identity().map_err(refused)?,
        verify_host,
        versions: versions(settings)?,
    }
    .config()
    .map_err(refused)
}

fn exposed(value: &Option<Secret<String>>) -> Option<&str> {
    value.as_ref().map(|secret| secret.expose().as_str())
}

fn named(key: &str, value: Option<&str>, why: &str) -> TaskError {
    refuse(&format!("{PREFIX}{key}"), value, why)
}

fn refuse_what_is_java(settings: &TlsConfig) -> Result<(), TaskError> {
    let set = |value: &Option<String>| value.clone().filter(|v| !v.is_empty());
    if let Some(class) = set(&settings.engine_factory) {
        return Err(named(
            "engine.factory.class",
            Some(&class),
            "Java classes cannot be loaded; leave it out",
        ));
    }
    if let Some(provider) = set(&settings.provider) {
        return Err(named(
            "provider",
            Some(&provider),
            "there are no Java security providers here; leave it out",
        ));
    }
    if let Some(suites) = settings.cipher_suites.as_ref().filter(|s| !s.is_empty()) {
        let why = "cipher suites cannot be chosen (TLS 1.2 and 1.3 with strong suites are used); leave it out";
        return Err(named("cipher.suites", Some(&suites.join(",")), why));
    }
    Ok(())
}

fn versions(settings: &TlsConfig) -> Result<Vec<ProtocolVersion>, TaskError> {
    let allowed = "allowed are TLSv1.2 and TLSv1.3";
    if !matches!(settings.protocol.as_str(), "TLS" | "TLSv1.2" | "TLSv1.3") {
        return Err(named("protocol", Some(&settings.protocol), allowed));
    }
    let mut versions = Vec::new();
    for name in &settings.enabled_protocols {
        versions.push(
            ProtocolVersion::from_name(name)
                .ok_or_else(|| named("enabled.protocols", Some(name), allowed))?,
        );
    }
    if versions.is_empty() {
        return Err(named("enabled.protocols", Some(""), allowed));
    }
    Ok(versions)
}
