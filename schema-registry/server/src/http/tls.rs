//! `ssl.*`: certificates of `https` listeners, and of calls to the leader.

use std::sync::Arc;

use millrace_api::config::Secret;
use millrace_tls::{Identity, ProtocolVersion, SettingError, StoreSettings, TlsClient};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::StartError;

/// `ssl.client.authentication`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuthentication {
    /// Clients need no certificate.
    #[default]
    None,
    /// A certificate that a client sends must be trusted.
    Requested,
    /// Every client must send a trusted certificate.
    Required,
}

/// Where certificates are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// `ssl.keystore.location`: a file (PEM, JKS or PKCS12) with the server's certificate and those that vouch for it, and its key unless that has a file of its own.
    pub keystore: Option<String>,
    /// `ssl.keystore.type`
    pub keystore_type: Option<String>,
    /// `ssl.keystore.password`
    pub keystore_password: Option<Secret<String>>,
    /// `ssl.key.location`: a PEM file with the server's key; the key store is then PEM too.
    pub key: Option<String>,
    /// `ssl.key.password`: opens the key; where it is not set, the key store's does.
    pub key_password: Option<Secret<String>>,
    /// `ssl.truststore.location`: a file with the authorities whose certificates are trusted: clients', and the leader's.
    pub truststore: Option<String>,
    /// `ssl.truststore.type`
    pub truststore_type: Option<String>,
    /// `ssl.truststore.password`
    pub truststore_password: Option<Secret<String>>,
    /// `ssl.enabled.protocols`; empty: all.
    pub versions: Vec<ProtocolVersion>,
    /// `ssl.client.authentication`
    pub client_authentication: ClientAuthentication,
}

impl TlsFiles {
    /// What `https` listeners accept connections with.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, StartError> {
        let identity = self.identity()?.ok_or_else(|| {
            StartError::setting(
                "ssl.keystore.location",
                "",
                "it is missing, but there is an https listener; give a file with the certificate chain and the private key",
            )
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: Vec<_> = self.versions().iter().map(|v| v.rustls()).collect();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|error| StartError::Config(format!("TLS cannot be set up: {error}")))?;
        let builder = match self.client_authentication {
            ClientAuthentication::None => builder.with_no_client_auth(),
            wanted => {
                let authorities = self.stores().authorities().map_err(refused)?;
                let authorities = authorities.ok_or_else(|| {
                    StartError::setting(
                        "ssl.truststore.location",
                        "",
                        "it is missing, but 'ssl.client.authentication' asks for certificates; give a file with the authorities of the clients' certificates",
                    )
                })?;
                let unusable = |error: &dyn std::fmt::Display| {
                    StartError::setting("ssl.truststore.location", "", error)
                };
                let roots = millrace_tls::roots(authorities).map_err(|error| unusable(&error))?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if wanted == ClientAuthentication::Requested {
                    verifier.allow_unauthenticated()
                } else {
                    verifier
                };
                builder
                    .with_client_cert_verifier(verifier.build().map_err(|error| unusable(&error))?)
            }
        };
        let mut config = builder
            .with_single_cert(identity.chain, identity.key)
            .map_err(|error| {
                let path = self.keystore.as_deref().unwrap_or_default();
                let (key, value) = match &self.key {
                    Some(key) => ("ssl.key.location", key.as_str()),
                    None => ("ssl.keystore.location", path),
                };
                StartError::setting(
                    key,
                    value,
                    format!("the key does not go with the certificate in '{path}': {error}"),
                )
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// What followers reach an `https` leader with; `None` without a truststore.
    pub(crate) fn connector(&self) -> Result<Option<TlsConnector>, StartError> {
        let Some(authorities) = self.stores().authorities().map_err(refused)? else {
            return Ok(None);
        };
        let identity = match self.client_authentication {
            ClientAuthentication::None => None,
            _ => self.identity()?,
        };
        let client = TlsClient {
            authorities: Some(authorities),
            identity,
            verify_host: true,
            versions: self.versions().to_vec(),
        };
        Ok(Some(TlsConnector::from(client.config().map_err(refused)?)))
    }

    fn versions(&self) -> &[ProtocolVersion] {
        if self.versions.is_empty() {
            &ProtocolVersion::ALL
        } else {
            &self.versions
        }
    }

    fn stores(&self) -> StoreSettings<'_> {
        StoreSettings {
            truststore_location: self.truststore.as_deref(),
            truststore_type: self.truststore_type.as_deref(),
            truststore_password: exposed(&self.truststore_password),
            keystore_location: self.keystore.as_deref(),
            keystore_type: self.keystore_type.as_deref(),
            keystore_password: exposed(&self.keystore_password),
            key_password: exposed(&self.key_password),
            ..StoreSettings::default()
        }
    }

    fn identity(&self) -> Result<Option<Identity>, StartError> {
        let (Some(chain), Some(key)) = (&self.keystore, &self.key) else {
            return self.stores().identity().map_err(refused);
        };
        let (chain, key) = (
            text("ssl.keystore.location", chain)?,
            text("ssl.key.location", key)?,
        );
        let stores = StoreSettings {
            keystore_chain: Some(chain.expose()),
            keystore_key: Some(key.expose()),
            key_password: exposed(&self.key_password).or(exposed(&self.keystore_password)),
            ..StoreSettings::default()
        };
        stores.identity().map_err(|error| {
            // What came from a file is named by its file.
            match (error.key, &self.keystore, &self.key) {
                ("keystore.certificate.chain", Some(path), _) => {
                    StartError::setting("ssl.keystore.location", path, error.message)
                }
                ("keystore.key", _, Some(path)) => {
                    StartError::setting("ssl.key.location", path, error.message)
                }
                _ => refused(error),
            }
        })
    }
}

fn refused(error: SettingError) -> StartError {
    StartError::setting(
        &format!("ssl.{}", error.key),
        error.value.as_deref().unwrap_or_default(),
        error.message,
    )
}

fn exposed(value: &Option<Secret<String>>) -> Option<&str> {
    value.as_ref().map(|secret| secret.expose().as_str())
}

/// A PEM file.
fn text(key: &str, path: &str) -> Result<Secret<String>, StartError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        StartError::setting(
            key,
            path,
            format!("the file cannot be read as text: {error}"),
        )
    };
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    // The error would hold the bytes.
    let text = String::from_utf8(bytes).map_err(|error| unreadable(&error.utf8_error()))?;
    Ok(Secret::new(text))
}
