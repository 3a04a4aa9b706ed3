//! The client's side of TLS.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;

use crate::any_host::AnyHost;
use crate::error::StoreError;
use crate::settings::SettingError;
use crate::store::Identity;

/// A version of TLS that can be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolVersion {
    /// `TLSv1.2`
    Tls12,
    /// `TLSv1.3`
    Tls13,
}

impl ProtocolVersion {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Tls13, Self::Tls12];

    /// By Java's name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "TLSv1.2" => Some(Self::Tls12),
            "TLSv1.3" => Some(Self::Tls13),
            _ => None,
        }
    }

    /// Several, as `ssl.enabled.protocols` lists them: names with commas between.
    ///
    /// # Errors
    /// A name that is none of them, or none at all.
    pub fn list(names: &str) -> Result<Vec<Self>, SettingError> {
        let found: Option<Vec<Self>> = names
            .split(',')
            .map(|name| Self::from_name(name.trim()))
            .collect();
        found.ok_or_else(|| SettingError {
            key: "enabled.protocols",
            value: Some(names.to_owned()),
            message: "allowed are TLSv1.2 and TLSv1.3".to_owned(),
        })
    }

    /// As rustls names it.
    pub fn rustls(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

/// Whom to trust, and who we are.
#[derive(Debug)]
pub struct TlsClient {
    /// Authorities to trust; `None`: those of the system.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// Our certificate and key, for servers that ask.
    pub identity: Option<Identity>,
    /// Whether the server's certificate must name the host.
    pub verify_host: bool,
    /// Versions to offer.
    pub versions: Vec<ProtocolVersion>,
}

impl TlsClient {
    /// A configuration for rustls.
    ///
    /// # Errors
    /// A certificate that cannot be used, a key that does not belong to its certificate, a system without authorities.
    pub fn config(self) -> Result<Arc<ClientConfig>, SettingError> {
        let named = |key, message: String| SettingError {
            key,
            value: None,
            message,
        };
        let trust = |message| named("truststore.location", message);
        let roots = match self.authorities {
            Some(authorities) => roots(authorities),
            None => system_roots(),
        };
        let roots = roots.map_err(|error| trust(error.message))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|e| trust(format!("the trust store is not usable: {e}")))?;
        let versions: Vec<_> = self
            .versions
            .iter()
            .map(|version| version.rustls())
            .collect();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|e| named("enabled.protocols", format!("TLS cannot be set up: {e}")))?;
        let builder = if self.verify_host {
            builder.with_webpki_verifier(verifier)
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyHost(verifier)))
        };
        let config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain, identity.key)
                .map_err(|e| {
                    named(
                        "keystore.location",
                        format!("our certificate and private key are not usable: {e}"),
                    )
                })?,
        };
        Ok(Arc::new(config))
    }
}

/// Authorities as rustls takes them.
///
/// # Errors
/// One of them cannot be used.
pub fn roots(authorities: Vec<CertificateDer<'static>>) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate).map_err(|e| {
            StoreError::store(format!(
                "a certificate of the trust store is not usable: {e}"
            ))
        })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(StoreError::store(
            "no trust store is set, and the system has no certificate authorities; name a file with those to trust",
        ));
    }
    Ok(roots)
}
