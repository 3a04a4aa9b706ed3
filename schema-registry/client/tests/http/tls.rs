use std::sync::Arc;

use rcgen::{CertificateParams, Issuer, KeyPair};
use registry_client::Registries;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::server::{Server, answer, tunnel_proxy};
use super::{BY_ID, client, props};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Certificate and key for a name, as PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new([name.to_owned()])
            .expect("a name")
            .signed_by(&key, &self.issuer)
            .expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    fn acceptor(&self, name: &str, wants_client: bool) -> TlsAcceptor {
        use rustls::pki_types::pem::PemObject as _;
        let (chain, key) = self.issue(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if wants_client {
            let mut roots = rustls::RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM"))
                .expect("usable");
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots),
                provider,
            )
            .build()
            .expect("a verifier");
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        TlsAcceptor::from(Arc::new(
            builder.with_single_cert(chain, key).expect("usable"),
        ))
    }
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}", server.port)
}

#[tokio::test]
async fn the_server_must_be_signed_by_who_is_trusted_and_have_the_name() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, &authority.pem).expect("written");
    let location = file.to_str().expect("UTF-8");

    let server = Server::start_tls(authority.acceptor("localhost", false), |_, _| {
        answer(200, BY_ID)
    })
    .await;
    let trusting = [
        ("schema.registry.ssl.truststore.location", location),
        ("schema.registry.ssl.truststore.type", "PEM"),
        ("max.retries", "0"),
    ];
    client(&url(&server), &trusting)
        .by_id(1, None)
        .await
        .expect("found");

    let not_trusting = [
        (
            "schema.registry.ssl.truststore.certificates",
            stranger.pem.as_str(),
        ),
        ("max.retries", "0"),
    ];
    let error = client(&url(&server), &not_trusting)
        .by_id(1, None)
        .await
        .expect_err("not trusted");
    assert!(error.message.contains("TLS failed"), "{}", error.message);

    let elsewhere = Server::start_tls(authority.acceptor("elsewhere", false), |_, _| {
        answer(200, BY_ID)
    })
    .await;
    client(&url(&elsewhere), &trusting)
        .by_id(1, None)
        .await
        .expect_err("another name");
    let mut any_name = trusting.to_vec();
    any_name.push(("schema.registry.ssl.endpoint.identification.algorithm", ""));
    client(&url(&elsewhere), &any_name)
        .by_id(1, None)
        .await
        .expect("found");
}

#[tokio::test]
async fn our_certificate_is_sent_through_a_tunnel_too() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.acceptor("localhost", true), |_, _| {
        answer(200, BY_ID)
    })
    .await;
    let (chain, key) = authority.issue("client");
    let (proxy, targets) = tunnel_proxy().await;
    let proxy = proxy.to_string();
    let settings = [
        (
            "schema.registry.ssl.truststore.certificates",
            authority.pem.as_str(),
        ),
        (
            "schema.registry.ssl.keystore.certificate.chain",
            chain.as_str(),
        ),
        ("schema.registry.ssl.keystore.key", key.as_str()),
        ("proxy.host", "127.0.0.1"),
        ("proxy.port", proxy.as_str()),
        ("max.retries", "0"),
    ];
    client(&url(&server), &settings)
        .by_id(1, None)
        .await
        .expect("found");
    assert_eq!(*targets.lock(), [format!("localhost:{}", server.port)]);
    let mut anonymous = settings.to_vec();
    anonymous.retain(|(key, _)| !key.contains("keystore"));
    client(&url(&server), &anonymous)
        .by_id(1, None)
        .await
        .expect_err("a certificate is wanted");
}

#[test]
fn stores_that_cannot_be_opened_are_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let jks = directory.path().join("store.jks");
    std::fs::write(&jks, [[0xfe, 0xed, 0xfe, 0xed], [0; 4]].concat().repeat(4)).expect("written");
    let jks = jks.to_str().expect("UTF-8");
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\ns3cret\n-----END ENCRYPTED PRIVATE KEY-----";
    let wrong: [(&[(&str, &str)], &str); 7] = [
        (
            &[
                ("schema.registry.ssl.truststore.location", jks),
                ("schema.registry.ssl.truststore.password", "s3cret"),
            ],
            "schema.registry.ssl.truststore.password",
        ),
        (
            &[
                ("schema.registry.ssl.keystore.location", jks),
                ("schema.registry.ssl.keystore.type", "BCFKS"),
            ],
            "allowed are PEM, JKS and PKCS12",
        ),
        (
            &[("schema.registry.ssl.truststore.location", "/none")],
            "cannot be read",
        ),
        (
            &[
                ("schema.registry.ssl.keystore.key", key),
                (
                    "schema.registry.ssl.keystore.certificate.chain",
                    "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
                ),
            ],
            "schema.registry.ssl.key.password",
        ),
        (
            &[("schema.registry.ssl.keystore.key", key)],
            "ssl.keystore.certificate.chain",
        ),
        (
            &[("schema.registry.ssl.enabled.protocols", "TLSv1.1")],
            "TLSv1.2",
        ),
        (
            &[("schema.registry.ssl.engine.factory.class", "a.B")],
            "ssl.engine.factory.class",
        ),
    ];
    for (settings, named) in wrong {
        let error = Registries::new()
            .client(&props("https://localhost:1", settings))
            .expect_err(named);
        assert!(
            error.message.contains(named) && !error.message.contains("s3cret"),
            "{}",
            error.message
        );
    }
}
