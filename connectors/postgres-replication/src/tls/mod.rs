//! TLS as libpq understands it, with rustls and ring.

mod channel_binding;
mod verifier;

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use self::channel_binding::tls_server_end_point;
use self::verifier::{Authorities, Check, Verifier};
use crate::error::ReplicationError;
use crate::low_water::LowWaterStream;
use crate::options::{ConnectOptions, SslMode};

fn failure(text: impl std::fmt::Display) -> ReplicationError {
    ReplicationError::Tls(text.to_string())
}

/// The client's side of TLS for these options: what their `ssl_*` fields ask for, with ring. For other connections to
/// the same server that shall be verified in the same way.
///
/// Reads files (and without `ssl_root_cert` the operating system's trust store): call it outside of async code.
///
/// # Errors
/// `Tls`, naming the option and the file.
pub fn client_config(options: &ConnectOptions) -> Result<ClientConfig, ReplicationError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let check = match options.ssl_mode {
        SslMode::VerifyCa => Check::Authority(authorities(options)?),
        SslMode::VerifyFull => Check::AuthorityAndName(authorities(options)?),
        SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => Check::Nothing,
    };
    let verifier = Arc::new(Verifier {
        check,
        provider: Arc::clone(&provider),
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failure)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match (&options.ssl_cert, &options.ssl_key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate, "sslcert")?;
            builder
                .with_client_auth_cert(chain, private_key(key)?)
                .map_err(|error| {
                    failure(format_args!(
                        "sslcert {} cannot be used with sslkey {}: {error}",
                        certificate.display(),
                        key.display()
                    ))
                })
        }
        (Some(certificate), None) => Err(failure(format_args!(
            "sslcert {} is given without sslkey: give the file of its private key too",
            certificate.display()
        ))),
        (None, Some(key)) => Err(failure(format_args!(
            "sslkey {} is given without sslcert: give the file of its certificate too",
            key.display()
        ))),
    }
}

fn authorities(options: &ConnectOptions) -> Result<Authorities, ReplicationError> {
    let mut store = RootCertStore::empty();
    let certificates = match &options.ssl_root_cert {
        Some(path) => {
            let certificates = certificates(path, "sslrootcert")?;
            for certificate in &certificates {
                store.add(certificate.clone()).map_err(|error| {
                    failure(format_args!(
                        "sslrootcert {} has a certificate that cannot be used as an authority: {error}",
                        path.display()
                    ))
                })?;
            }
            certificates
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs.iter().cloned());
            found.certs
        }
    };
    if store.is_empty() {
        return Err(failure(format_args!(
            "sslmode={} needs trusted authorities and this system has none: give sslrootcert",
            options.ssl_mode.as_str()
        )));
    }
    Ok(Authorities {
        store,
        certificates,
    })
}

fn read(path: &Path, option: &str) -> Result<Vec<u8>, ReplicationError> {
    std::fs::read(path).map_err(|error| {
        failure(format_args!(
            "cannot read {option} {}: {error}",
            path.display()
        ))
    })
}

fn is_pem(content: &[u8]) -> bool {
    content.windows(11).any(|window| window == b"-----BEGIN ")
}

fn certificates(
    path: &Path,
    option: &str,
) -> Result<Vec<CertificateDer<'static>>, ReplicationError> {
    let content = read(path, option)?;
    if !is_pem(&content) && content.first() == Some(&0x30) {
        return Ok(vec![CertificateDer::from(content)]);
    }
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&content)
        .collect::<Result<_, _>>()
        .map_err(|error| {
            failure(format_args!(
                "{option} {} is broken: {error}",
                path.display()
            ))
        })?;
    if certificates.is_empty() {
        return Err(failure(format_args!(
            "{option} {} has no certificate: expected PEM (-----BEGIN CERTIFICATE-----)",
            path.display()
        )));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ReplicationError> {
    let content = read(path, "sslkey")?;
    if !is_pem(&content) {
        return PrivateKeyDer::try_from(content).map_err(|_| {
            failure(format_args!(
                "sslkey {} is neither PEM nor an unencrypted DER key (PKCS#8, PKCS#1 or SEC1)",
                path.display()
            ))
        });
    }
    PrivateKeyDer::from_pem_slice(&content).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let encrypted = String::from_utf8_lossy(&content).contains("ENCRYPTED PRIVATE KEY");
            let what = if encrypted {
                "an encrypted key: decrypt it first (openssl pkcs8 -in KEY -out NEW -nocrypt … or openssl pkey)"
            } else {
                "no private key"
            };
            failure(format_args!("sslkey {} has {what}", path.display()))
        }
        other => failure(format_args!("sslkey {} is broken: {other}", path.display())),
    })
}

/// Does the handshake on a socket whose server has agreed to it.
pub(crate) async fn handshake(
    socket: LowWaterStream,
    options: &ConnectOptions,
) -> Result<Box<TlsStream<LowWaterStream>>, ReplicationError> {
    let name = match ServerName::try_from(options.host.clone()) {
        Ok(name) => name,
        Err(_) if options.ssl_mode == SslMode::VerifyFull => {
            return Err(failure(format_args!(
                "`{}` is no host name that a certificate could contain",
                options.host
            )));
        }
        // Not looked at without `verify-full`.
        Err(_) => ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()),
    };
    let for_thread = options.clone();
    // Key files and the system's trust store are read from disk.
    let config = tokio::task::spawn_blocking(move || client_config(&for_thread))
        .await
        .map_err(failure)??;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .map_err(|error| {
            failure(format_args!(
                "handshake with {} (sslmode={}) failed: {error}",
                options.address(),
                options.ssl_mode.as_str()
            ))
        })?;
    Ok(Box::new(stream))
}

/// What SCRAM binds itself to on this connection.
pub(crate) fn server_end_point(stream: &TlsStream<LowWaterStream>) -> Option<Vec<u8>> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    tls_server_end_point(certificate)
}
