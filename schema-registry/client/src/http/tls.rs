//! rustls from `schema.registry.ssl.*`.

use std::sync::Arc;

use millrace_api::config::Secret;
use millrace_api::plugin::TaskError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use crate::settings::{TlsConfig, refuse};

const PREFIX: &str = "schema.registry.ssl.";

/// The TLS configuration for https URLs.
///
/// # Errors
/// A setting that cannot be obeyed, by name, with what to do.
pub(crate) fn client_config(settings: &TlsConfig) -> Result<Arc<ClientConfig>, TaskError> {
    let identity = identity(settings)?;
    let roots = Arc::new(roots(settings)?);
    refuse_what_is_java(settings)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|e| {
            named(
                "truststore.location",
                None,
                &format!("the trust store cannot be used: {e}"),
            )
        })?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(settings)?)
        .map_err(|e| named("enabled.protocols", None, &e.to_string()))?;
    let builder = match settings.endpoint_identification.as_str() {
        "" => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyHost(verifier))),
        name if name.eq_ignore_ascii_case("https") => builder.with_webpki_verifier(verifier),
        name => {
            return Err(named(
                "endpoint.identification.algorithm",
                Some(name),
                "it must be `https`, or empty (the host name is not compared)",
            ));
        }
    };
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.chain.expose().as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|e| {
                    named(
                        identity.chain_key,
                        None,
                        &format!("a certificate is not valid PEM: {e}"),
                    )
                })?;
            // The parser's error could quote the key.
            let key =
                PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes()).map_err(|_| {
                    named(
                        identity.key_key,
                        None,
                        "there is no private key in PEM form (`-----BEGIN PRIVATE KEY-----`)",
                    )
                })?;
            builder.with_client_auth_cert(chain, key).map_err(|e| {
                named(
                    identity.chain_key,
                    None,
                    &format!("certificate and private key cannot be used: {e}"),
                )
            })?
        }
    };
    Ok(Arc::new(config))
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
    let passwords = [
        ("truststore.password", &settings.truststore_password),
        ("keystore.password", &settings.keystore_password),
        ("key.password", &settings.key_password),
    ];
    for (key, password) in passwords {
        if password
            .as_ref()
            .is_some_and(|password| !password.expose().is_empty())
        {
            return Err(named(
                key,
                None,
                "stores and keys are PEM files without a password (see `ssl.truststore.location` and `ssl.keystore.location`); leave it out",
            ));
        }
    }
    Ok(())
}

fn versions(settings: &TlsConfig) -> Result<Vec<&'static SupportedProtocolVersion>, TaskError> {
    let known = |name: &str| match name {
        "TLSv1.2" => Some(&rustls::version::TLS12),
        "TLSv1.3" => Some(&rustls::version::TLS13),
        _ => None,
    };
    let allowed = "allowed are TLSv1.2 and TLSv1.3";
    if !matches!(settings.protocol.as_str(), "TLS" | "TLSv1.2" | "TLSv1.3") {
        return Err(named("protocol", Some(&settings.protocol), allowed));
    }
    let mut versions = Vec::new();
    for name in &settings.enabled_protocols {
        versions.push(known(name).ok_or_else(|| named("enabled.protocols", Some(name), allowed))?);
    }
    if versions.is_empty() {
        return Err(named("enabled.protocols", Some(""), allowed));
    }
    Ok(versions)
}

fn roots(settings: &TlsConfig) -> Result<RootCertStore, TaskError> {
    let mut roots = RootCertStore::empty();
    let (key, pem) = match (
        &settings.truststore_certificates,
        &settings.truststore_location,
    ) {
        (Some(pem), _) => ("truststore.certificates", pem.clone()),
        (None, Some(path)) if !path.is_empty() => (
            "truststore.location",
            store("truststore", path, &settings.truststore_type, |path| {
                format!("keytool -list -rfc -keystore {path} > ca.pem")
            })?,
        ),
        _ => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                let why = "it is not set, and the system has no certificate authorities; name a PEM file with those to trust, and set the type to PEM";
                return Err(named("truststore.location", None, why));
            }
            return Ok(roots);
        }
    };
    for certificate in CertificateDer::pem_slice_iter(pem.expose().as_bytes()) {
        let certificate = certificate
            .map_err(|e| named(key, None, &format!("a certificate is not valid PEM: {e}")))?;
        roots
            .add(certificate)
            .map_err(|e| named(key, None, &format!("a certificate cannot be used: {e}")))?;
    }
    if roots.is_empty() {
        return Err(named(
            key,
            None,
            "there is no `-----BEGIN CERTIFICATE-----` in it",
        ));
    }
    Ok(roots)
}

struct Identity {
    chain_key: &'static str,
    chain: Secret<String>,
    key_key: &'static str,
    key: Secret<String>,
}

fn identity(settings: &TlsConfig) -> Result<Option<Identity>, TaskError> {
    let identity = match (&settings.keystore_chain, &settings.keystore_key) {
        (Some(chain), Some(key)) => Identity {
            chain_key: "keystore.certificate.chain",
            chain: chain.clone(),
            key_key: "keystore.key",
            key: key.clone(),
        },
        (Some(_), None) => {
            return Err(named(
                "keystore.key",
                None,
                "it is missing, but the certificate chain is set; set both or none",
            ));
        }
        (None, Some(_)) => {
            return Err(named(
                "keystore.certificate.chain",
                None,
                "it is missing, but the private key is set; set both or none",
            ));
        }
        (None, None) => {
            let Some(path) = settings
                .keystore_location
                .as_deref()
                .filter(|path| !path.is_empty())
            else {
                return Ok(None);
            };
            let command = |path: &str| {
                format!(
                    "keytool -importkeystore -srckeystore {path} -destkeystore client.p12 -deststoretype PKCS12 && openssl pkcs12 -in client.p12 -nodes -out client.pem"
                )
            };
            let pem = store("keystore", path, &settings.keystore_type, command)?;
            Identity {
                chain_key: "keystore.location",
                chain: pem.clone(),
                key_key: "keystore.location",
                key: pem,
            }
        }
    };
    if identity
        .key
        .expose()
        .contains("BEGIN ENCRYPTED PRIVATE KEY")
    {
        let why = "the private key is encrypted, which is not supported; decrypt it with `openssl pkcs8 -in KEY.pem -out PLAIN.pem` and keep that file readable for this user only";
        return Err(named(identity.key_key, None, why));
    }
    Ok(Some(identity))
}

/// The text of a PEM store.
fn store(
    kind: &str,
    path: &str,
    format: &str,
    command: impl Fn(&str) -> String,
) -> Result<Secret<String>, TaskError> {
    let location = format!("{kind}.location");
    let bytes = std::fs::read(path).map_err(|e| {
        named(
            &location,
            Some(path),
            &format!("the file cannot be read: {e}"),
        )
    })?;
    let pem = String::from_utf8(bytes)
        .ok()
        .filter(|text| text.contains("-----BEGIN "));
    match pem {
        // The type's default is Java's JKS: a PEM file needs no type.
        Some(pem) => Ok(Secret::new(pem)),
        None if format.eq_ignore_ascii_case("PEM") => Err(named(
            &location,
            Some(path),
            "the file holds no PEM text (`-----BEGIN …`)",
        )),
        None => Err(named(
            &location,
            Some(path),
            &format!(
                "{format} stores cannot be read; make a PEM file with `{}`, name that one here and set `{PREFIX}{kind}.type` to PEM",
                command(path)
            ),
        )),
    }
}

/// Everything is checked but the name: an empty `ssl.endpoint.identification.algorithm` asks for that.
#[derive(Debug)]
struct AnyHost(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self
            .0
            .verify_server_cert(end_entity, intermediates, name, ocsp, now)
        {
            // The name is checked last, after chain and dates.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
