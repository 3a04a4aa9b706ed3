//! Stores that keytool and openssl wrote (`tests/stores/make.sh`).

use millrace_tls::{
    Concern, Identity, ProtocolVersion, StoreError, StoreSettings, TlsClient, authorities,
    certificates_to_pem, identity, key_to_pem, pem_identity,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

const PASSWORD: Option<&str> = Some("changeit");

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/stores/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).expect("PEM text")
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(&file(name))
        .collect::<Result<_, _>>()
        .expect("certificates")
}

/// The key's own number: formats differ in what else they say of a key.
fn secret_number(key: &PrivateKeyDer<'_>) -> [u8; 32] {
    // SEC 1: version 1, then the number as 32 octets.
    let der = key.secret_der();
    let prefix = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = der
        .windows(prefix.len())
        .position(|window| window == prefix)
        .expect("an EC key");
    der[at + prefix.len()..][..32].try_into().expect("32 bytes")
}

#[track_caller]
fn is_the_server(found: Result<Identity, StoreError>) {
    let found = found.expect("an identity");
    assert_eq!(found.chain, certificates("chain.pem"), "the chain");
    let key = PrivateKeyDer::from_pem_slice(&file("key.pem")).expect("the key");
    assert_eq!(secret_number(&found.key), secret_number(&key), "the key");
    // rustls compares key and certificate.
    let client = TlsClient {
        authorities: Some(certificates("ca.pem")),
        identity: Some(found),
        verify_host: true,
        versions: ProtocolVersion::ALL.to_vec(),
    };
    client.config().expect("a configuration");
}

#[track_caller]
fn refused<T: std::fmt::Debug>(found: Result<T, StoreError>, concern: Concern, part: &str) {
    let error = found.expect_err("a store that cannot be used");
    assert_eq!(error.concern, concern, "{error}");
    assert!(error.message.contains(part), "{error}");
    assert!(!error.message.contains("changeit"), "a password: {error}");
}

#[test]
fn key_stores_of_every_format_hold_the_same() {
    for name in [
        "server.p12",
        "server-old.p12",
        "server-openssl.p12",
        "server.jks",
    ] {
        println!("{name}");
        is_the_server(identity(&file(name), None, PASSWORD, None));
    }
}

#[test]
fn the_type_of_a_java_store_may_be_either() {
    is_the_server(identity(
        &file("server.jks"),
        Some("PKCS12"),
        PASSWORD,
        None,
    ));
    is_the_server(identity(&file("server.p12"), Some("jks"), PASSWORD, None));
    refused(
        identity(&file("server.p12"), Some("BCFKS"), PASSWORD, None),
        Concern::Format,
        "'BCFKS' is not a type of store that can be read; allowed are PEM, JKS and PKCS12",
    );
    refused(
        identity(&file("server.p12"), Some("PEM"), PASSWORD, None),
        Concern::Store,
        "no PEM text",
    );
    refused(
        identity(&file("server.jceks"), None, PASSWORD, None),
        Concern::Store,
        "-deststoretype PKCS12",
    );
}

#[test]
fn a_key_may_have_a_password_of_its_own() {
    let store = file("server-two-passwords.jks");
    is_the_server(identity(&store, None, PASSWORD, Some("another-one")));
    refused(
        identity(&store, None, PASSWORD, None),
        Concern::KeyPassword,
        "does not open the private key",
    );
}

#[test]
fn wrong_and_missing_passwords_are_told() {
    for name in [
        "server.p12",
        "server-old.p12",
        "server-openssl.p12",
        "server.jks",
    ] {
        println!("{name}");
        let store = file(name);
        refused(
            identity(&store, None, Some("wrong"), None),
            Concern::Password,
            "does not open the store",
        );
        refused(
            identity(&store, None, None, None),
            Concern::Password,
            "it is missing",
        );
    }
}

#[test]
fn trust_stores_of_every_format_hold_the_same() {
    let names = [
        "ca.pem",
        "trust.jks",
        "trust.p12",
        "trust-openssl.p12",
        "trust-open.p12",
    ];
    for name in names {
        println!("{name}");
        let found = authorities(&file(name), None, PASSWORD).expect("authorities");
        assert_eq!(found, certificates("ca.pem"));
    }
    // Java reads these without a password too.
    for name in ["trust.jks", "trust-open.p12"] {
        let found = authorities(&file(name), None, None).expect("authorities");
        assert_eq!(found, certificates("ca.pem"));
    }
    refused(
        authorities(&file("trust.jks"), None, Some("wrong")),
        Concern::Password,
        "does not open the store",
    );
    refused(
        authorities(&file("key.pem"), None, None),
        Concern::Store,
        "BEGIN CERTIFICATE",
    );
}

#[test]
fn pem_keys_may_be_encrypted() {
    let chain = text("chain.pem");
    is_the_server(pem_identity(&chain, &text("key.pem"), None));
    for name in ["key-aes.pem", "key-3des.pem"] {
        println!("{name}");
        let key = text(name);
        is_the_server(pem_identity(&chain, &key, PASSWORD));
        // In one file with the certificates, and with the store's password for the key.
        let both = format!("{chain}{key}");
        is_the_server(identity(both.as_bytes(), Some("PEM"), PASSWORD, None));
        refused(
            pem_identity(&chain, &key, Some("wrong")),
            Concern::KeyPassword,
            "does not open",
        );
        refused(
            pem_identity(&chain, &key, None),
            Concern::KeyPassword,
            "it is missing",
        );
    }
    refused(
        pem_identity(&chain, &text("key-old-way.pem"), PASSWORD),
        Concern::Store,
        "openssl pkcs8 -topk8",
    );
    refused(
        pem_identity(&chain, &chain, None),
        Concern::Store,
        "BEGIN PRIVATE KEY",
    );
}

#[test]
fn what_is_printed_is_read_again() {
    let found = identity(&file("server.jks"), None, PASSWORD, None).expect("an identity");
    let chain = certificates_to_pem(&found.chain);
    assert_eq!(chain.replace('\r', ""), text("chain.pem").replace('\r', ""));
    is_the_server(pem_identity(&chain, &key_to_pem(&found.key), None));
}

#[test]
fn damaged_stores_are_refused_at_whichever_byte_they_end() {
    for name in [
        "server.jks",
        "server.p12",
        "trust.jks",
        "trust.p12",
        "trust-open.p12",
    ] {
        let store = file(name);
        // PKCS12 stores take long to open: their keys are stretched.
        let step = if name.ends_with("jks") { 1 } else { 97 };
        for end in (0..store.len()).step_by(step) {
            let cut = &store[..end];
            assert!(identity(cut, None, PASSWORD, None).is_err(), "{name} {end}");
            assert!(authorities(cut, None, PASSWORD).is_err(), "{name} {end}");
            // Without the password nothing tells that a JKS store was cut but its own structure.
            let _ = authorities(cut, None, None);
        }
    }
    let mut flipped = file("server.jks");
    for at in 0..flipped.len() {
        flipped[at] ^= 0x80;
        let _ = identity(&flipped, None, PASSWORD, None);
        let _ = authorities(&flipped, None, None);
        flipped[at] ^= 0x80;
    }
}

#[test]
fn the_setting_at_fault_is_named() {
    let path = |name: &str| format!("{}/tests/stores/{name}", env!("CARGO_MANIFEST_DIR"));
    let (jks, chain, key) = (
        path("server-two-passwords.jks"),
        text("chain.pem"),
        text("key-aes.pem"),
    );
    let none = StoreSettings::default();
    assert!(none.authorities().expect("nothing").is_none());
    assert!(none.identity().expect("nothing").is_none());
    let store = StoreSettings {
        keystore_location: Some(&jks),
        keystore_type: Some("JKS"),
        keystore_password: PASSWORD,
        key_password: Some("another-one"),
        ..none
    };
    assert!(store.identity().expect("an identity").is_some());
    let texts = StoreSettings {
        keystore_chain: Some(&chain),
        keystore_key: Some(&key),
        key_password: PASSWORD,
        ..none
    };
    assert!(texts.identity().expect("an identity").is_some());
    let wrong = [
        (
            StoreSettings {
                keystore_location: Some("/none"),
                ..none
            },
            "keystore.location",
            Some("/none"),
        ),
        (
            StoreSettings {
                keystore_type: Some("BKS"),
                ..store
            },
            "keystore.type",
            Some("BKS"),
        ),
        (
            StoreSettings {
                keystore_password: Some("s3cret"),
                ..store
            },
            "keystore.password",
            None,
        ),
        (
            StoreSettings {
                key_password: Some("s3cret"),
                ..store
            },
            "key.password",
            None,
        ),
        (
            StoreSettings {
                keystore_key: None,
                ..texts
            },
            "keystore.key",
            None,
        ),
        (
            StoreSettings {
                keystore_chain: None,
                ..texts
            },
            "keystore.certificate.chain",
            None,
        ),
        (
            StoreSettings {
                keystore_chain: Some("x"),
                ..texts
            },
            "keystore.certificate.chain",
            None,
        ),
        (
            StoreSettings {
                keystore_key: Some("x"),
                ..texts
            },
            "keystore.key",
            None,
        ),
        (
            StoreSettings {
                key_password: None,
                ..texts
            },
            "key.password",
            None,
        ),
    ];
    for (settings, key, value) in wrong {
        let error = settings.identity().expect_err(key);
        assert_eq!((error.key, error.value.as_deref()), (key, value), "{error}");
        assert!(!error.message.contains("s3cret"), "{error}");
    }
    let wrong = [
        (
            StoreSettings {
                truststore_location: Some(&jks),
                truststore_password: Some("s3cret"),
                ..none
            },
            "truststore.password",
        ),
        (
            StoreSettings {
                truststore_certificates: Some("x"),
                ..none
            },
            "truststore.certificates",
        ),
    ];
    for (settings, key) in wrong {
        let error = settings.authorities().expect_err(key);
        assert_eq!((error.key, error.value), (key, None));
    }
}
