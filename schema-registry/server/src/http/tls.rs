//! `ssl.*`: certificates of `https` listeners, and of calls to the leader.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
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
    /// `ssl.keystore.location`: a PEM file with the server's certificate and those that vouch for it, and its key unless that has a file of its own.
    pub keystore: Option<String>,
    /// `ssl.keystore.type`
    pub keystore_type: Option<String>,
    /// `ssl.key.location`: a PEM file with the server's key.
    pub key: Option<String>,
    /// `ssl.truststore.location`: a PEM file with the authorities whose certificates are trusted: clients', and the leader's.
    pub truststore: Option<String>,
    /// `ssl.truststore.type`
    pub truststore_type: Option<String>,
    /// `ssl.client.authentication`
    pub client_authentication: ClientAuthentication,
}

impl TlsFiles {
    /// What `https` listeners accept connections with.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, StartError> {
        let path = self.keystore.as_deref().ok_or_else(|| {
            StartError::setting(
                "ssl.keystore.location",
                "",
                "it is missing, but there is an https listener; give a PEM file with the certificate chain and the private key",
            )
        })?;
        let store = pem(
            "ssl.keystore.location",
            path,
            self.keystore_type.as_deref(),
            "-nodes -out server.pem",
        )?;
        let chain = certificates("ssl.keystore.location", path, &store)?;
        let (key_name, key_path) = match &self.key {
            Some(path) => ("ssl.key.location", path.as_str()),
            None => ("ssl.keystore.location", path),
        };
        let key_text = match &self.key {
            Some(path) => pem(
                "ssl.key.location",
                path,
                Some("PEM"),
                "-nocerts -nodes -out key.pem",
            )?,
            None => store,
        };
        let key = private_key(key_name, key_path, &key_text)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| StartError::Config(format!("TLS cannot be set up: {error}")))?;
        let builder = match self.client_authentication {
            ClientAuthentication::None => builder.with_no_client_auth(),
            wanted => {
                let roots = self.roots()?.ok_or_else(|| {
                    StartError::setting(
                        "ssl.truststore.location",
                        "",
                        "it is missing, but 'ssl.client.authentication' asks for certificates; give a PEM file with the authorities of the clients' certificates",
                    )
                })?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if wanted == ClientAuthentication::Requested {
                    verifier.allow_unauthenticated()
                } else {
                    verifier
                };
                builder.with_client_cert_verifier(
                    verifier.build().map_err(|error| {
                        StartError::setting("ssl.truststore.location", "", error)
                    })?,
                )
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            StartError::setting(
                key_name,
                key_path,
                format!("the key does not go with the certificate in '{path}': {error}"),
            )
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// What followers reach an `https` leader with; `None` without a truststore.
    pub(crate) fn connector(&self) -> Result<Option<TlsConnector>, StartError> {
        let Some(roots) = self.roots()? else {
            return Ok(None);
        };
        let builder =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| StartError::Config(format!("TLS cannot be set up: {error}")))?
                .with_root_certificates(roots);
        let config = match (&self.keystore, self.client_authentication) {
            (Some(path), wanted) if wanted != ClientAuthentication::None => {
                let store = pem(
                    "ssl.keystore.location",
                    path,
                    self.keystore_type.as_deref(),
                    "-nodes -out server.pem",
                )?;
                let chain = certificates("ssl.keystore.location", path, &store)?;
                let (name, key_path, text) = match &self.key {
                    Some(key) => (
                        "ssl.key.location",
                        key,
                        pem(
                            "ssl.key.location",
                            key,
                            Some("PEM"),
                            "-nocerts -nodes -out key.pem",
                        )?,
                    ),
                    None => ("ssl.keystore.location", path, store),
                };
                let key = private_key(name, key_path, &text)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| StartError::setting("ssl.keystore.location", path, error))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Some(TlsConnector::from(Arc::new(config))))
    }

    fn roots(&self) -> Result<Option<RootCertStore>, StartError> {
        const KEY: &str = "ssl.truststore.location";
        let Some(path) = &self.truststore else {
            return Ok(None);
        };
        let text = pem(
            KEY,
            path,
            self.truststore_type.as_deref(),
            "-nokeys -out ca.pem",
        )?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(KEY, path, &text)? {
            roots.add(certificate).map_err(|error| {
                StartError::setting(KEY, path, format!("a certificate cannot be used: {error}"))
            })?;
        }
        Ok(Some(roots))
    }
}

/// The PEM text in a file; Java's own stores are refused with the commands that convert one.
fn pem(key: &str, path: &str, kind: Option<&str>, openssl: &str) -> Result<Vec<u8>, StartError> {
    let refuse = |name: &str| {
        StartError::setting(
            key,
            path,
            format!(
                "{name} stores cannot be read; convert it with: keytool -importkeystore -srckeystore {path} -destkeystore store.p12 -deststoretype PKCS12 && \
                 openssl pkcs12 -in store.p12 {openssl}, then set {key} to the new file and the type to PEM"
            ),
        )
    };
    if let Some(name) = kind.filter(|kind| !kind.eq_ignore_ascii_case("PEM")) {
        return Err(refuse(name));
    }
    let text = std::fs::read(path).map_err(|error| {
        StartError::setting(key, path, format!("the file cannot be read: {error}"))
    })?;
    if !text.windows(11).any(|window| window == b"-----BEGIN ") {
        return Err(if kind.is_none() {
            refuse("JKS and PKCS12")
        } else {
            StartError::setting(
                key,
                path,
                "there is no PEM text ('-----BEGIN …') in the file",
            )
        });
    }
    Ok(text)
}

fn certificates(
    key: &str,
    path: &str,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let all = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| StartError::setting(key, path, format!("broken PEM text: {error}")))?;
    if all.is_empty() {
        return Err(StartError::setting(
            key,
            path,
            "there is no '-----BEGIN CERTIFICATE-----' in the file",
        ));
    }
    Ok(all)
}

fn private_key(key: &str, path: &str, text: &[u8]) -> Result<PrivateKeyDer<'static>, StartError> {
    if text
        .windows(27)
        .any(|window| window == b"BEGIN ENCRYPTED PRIVATE KEY")
    {
        return Err(StartError::setting(
            key,
            path,
            "the private key is encrypted, which is not supported; decrypt it with: openssl pkcs8 -in KEY.pem -out PLAIN.pem, and keep that file readable for this user only",
        ));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        StartError::setting(
            key,
            path,
            format!("there is no usable '-----BEGIN PRIVATE KEY-----' in the file: {error}"),
        )
    })
}
