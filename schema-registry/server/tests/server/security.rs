//! Users, tokens, certificates.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use millrace_log::memory::MemoryLog;
use reqwest::Client;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use schema_registry::RegistryServer;

use super::ground::{options, registry, registry_on, seen};

#[tokio::test]
async fn basic_authentication() {
    let folder = tempfile::tempdir().expect("a folder");
    let users = folder.path().join("users");
    fs::write(&users, "ann: secret,admin\nbob: other,reader\n").expect("a file");
    let (registry, _log) = registry(&[
        ("authentication.method", "BASIC"),
        ("authentication.realm", "SR"),
        ("authentication.roles", "admin"),
        ("authentication.skip.paths", "/v1/metadata/*"),
        (
            "millrace.registry.users.file",
            users.to_str().expect("a path"),
        ),
    ])
    .await;
    let client = Client::new();
    let url = format!("{}/subjects", registry.url());
    let unknown = client.get(&url).send().await.expect("an answer");
    assert_eq!(unknown.headers()["www-authenticate"], "basic realm=\"SR\"");
    assert_eq!(
        seen(unknown).await,
        (
            401,
            Some("application/json".to_owned()),
            r#"{"error_code":401,"message":"Unauthorized"}"#.to_owned()
        )
    );
    for (user, password, status) in [
        ("ann", "secret", 200),
        ("ann", "wrong", 401),
        ("bob", "other", 403),
    ] {
        let answer = client
            .get(&url)
            .basic_auth(user, Some(password))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{user}");
    }
    let open = client
        .get(format!("{}/v1/metadata/id", registry.url()))
        .send()
        .await
        .expect("an answer");
    assert_eq!(open.status(), 200);
    registry.stop().await;
}

#[tokio::test]
async fn followers_pass_the_credentials_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, "abc123==ann\n").expect("a file");
    let entries = [
        ("authentication.method", "BEARER"),
        (
            "millrace.registry.tokens.file",
            tokens.to_str().expect("a path"),
        ),
    ];
    let log = MemoryLog::new(1);
    let one = registry_on(log.clone(), &entries).await;
    let other = registry_on(log.clone(), &entries).await;
    super::ground::eventually("an election", || async {
        (one.is_leader() != other.is_leader()).then_some(())
    })
    .await;
    let follower = if one.is_leader() { &other } else { &one };
    let client = Client::new();
    let url = format!("{}/subjects/s/versions", follower.url());
    let request = client
        .post(&url)
        .bearer_auth("abc123=")
        .body(super::ground::record("a"));
    assert_eq!(seen(request.send().await.expect("an answer")).await.0, 200);
    let request = client
        .post(&url)
        .bearer_auth("wrong")
        .body(super::ground::record("a"));
    assert_eq!(seen(request.send().await.expect("an answer")).await.0, 401);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_calls_for_its_own_process_with_its_own_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let users = folder.path().join("users");
    fs::write(&users, "node: secret,admin\nguest: guest,reader\n").expect("a file");
    let key = "millrace.registry.leader.basic.auth.user.info";
    let log = MemoryLog::new(1);
    let leader = registry_on(
        log.clone(),
        &[
            ("authentication.method", "BASIC"),
            ("authentication.roles", "admin"),
            (
                "millrace.registry.users.file",
                users.to_str().expect("a path"),
            ),
        ],
    )
    .await;
    for (number, (user_info, status, named)) in [
        (None, 401, key),
        (Some("node:wrong"), 401, key),
        (Some("guest:guest"), 403, key),
        (Some("node:secret"), 200, "\"id\":1"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut entries = vec![("leader.eligibility", "false")];
        entries.extend(user_info.map(|user_info| (key, user_info)));
        let follower = registry_on(log.clone(), &entries).await;
        let path = format!("/subjects/s{number}/versions");
        let answer = follower
            .local()
            .call("POST", &path, Some(super::ground::record("a")))
            .await
            .expect("an answer");
        assert_eq!(answer.0, status, "{user_info:?}: {}", answer.1);
        assert!(answer.1.contains(named), "{user_info:?}: {}", answer.1);
        // They are not lent to whoever calls over HTTP.
        if status == 200 {
            let (status, _, text) = super::ground::call(
                &follower,
                "POST",
                "/subjects/t/versions",
                Some(&super::ground::record("b")),
            )
            .await;
            assert_eq!(status, 401, "{text}");
        }
        follower.stop().await;
    }
    leader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tls_with_client_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (chain, key) = (
        certificate.cert.pem(),
        certificate.signing_key.serialize_pem(),
    );
    let path = |name: &str| {
        folder
            .path()
            .join(name)
            .to_str()
            .expect("a path")
            .to_owned()
    };
    fs::write(path("server.pem"), format!("{chain}{key}")).expect("a file");
    fs::write(path("ca.pem"), &chain).expect("a file");
    let (keystore, truststore) = (path("server.pem"), path("ca.pem"));
    let entries = [
        ("listeners", "https://localhost:0"),
        ("ssl.keystore.location", keystore.as_str()),
        ("ssl.truststore.location", truststore.as_str()),
        ("ssl.client.authentication", "REQUIRED"),
    ];
    let log = MemoryLog::new(1);
    let one = registry_on(log.clone(), &entries).await;
    assert!(one.url().starts_with("https://localhost:"), "{}", one.url());
    let port = one.addresses()[0].port();
    let (text, refused) = tokio::task::spawn_blocking(move || {
        let identity = (
            vec![CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM")],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
        );
        (
            https_get(port, &chain, Some(identity)),
            https_get(port, &chain, None),
        )
    })
    .await
    .expect("calls");
    let text = text.expect("an answer");
    assert!(
        text.starts_with("HTTP/1.1 200") && text.ends_with("[]"),
        "{text}"
    );
    assert!(refused.is_err(), "{refused:?}");
    // A follower reaches an https leader with the same files.
    let other = registry_on(log.clone(), &entries).await;
    super::ground::eventually("an election", || async {
        (one.is_leader() != other.is_leader()).then_some(())
    })
    .await;
    let follower = if one.is_leader() { &other } else { &one };
    let answer = follower
        .local()
        .call(
            "POST",
            "/subjects/s/versions",
            Some(super::ground::record("a")),
        )
        .await
        .expect("a call");
    assert_eq!(answer.0, 200, "{}", answer.1);
    one.stop().await;
    other.stop().await;
}

fn https_get(
    port: u16,
    authority: &str,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM"))
        .expect("an authority");
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("versions")
    .with_root_certificates(roots);
    let config = match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .expect("an identity"),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("localhost").expect("a name");
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut socket = TcpStream::connect(("localhost", port))?;
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    stream.write_all(b"GET /subjects HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// A file of the tests of millrace-tls: made by keytool.
fn java_store(name: &str) -> String {
    format!(
        "{}/../../runtime/tls/tests/stores/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

#[tokio::test]
async fn java_s_own_stores_are_read() {
    let authority = fs::read_to_string(java_store("ca.pem")).expect("an authority");
    let pem = |name: &str| fs::read_to_string(java_store(name)).expect("PEM text");
    for (store, kind, key_password) in [
        ("server.jks", None, "changeit"),
        ("server-two-passwords.jks", Some("JKS"), "another-one"),
        ("server.p12", Some("PKCS12"), "changeit"),
    ] {
        let (store, trust) = (java_store(store), java_store("trust.jks"));
        let mut entries = vec![
            ("listeners", "https://127.0.0.1:0"),
            ("ssl.keystore.location", store.as_str()),
            ("ssl.keystore.password", "changeit"),
            ("ssl.key.password", key_password),
            ("ssl.truststore.location", trust.as_str()),
            ("ssl.truststore.password", "changeit"),
            ("ssl.client.authentication", "REQUIRED"),
        ];
        entries.extend(kind.map(|kind| ("ssl.keystore.type", kind)));
        let server = RegistryServer::start(MemoryLog::new(1), options(&entries))
            .await
            .expect(&store);
        let port = server.addresses()[0].port();
        // The server's own certificate serves the client: the authority signed it.
        let identity = millrace_tls::pem_identity(&pem("chain.pem"), &pem("key.pem"), None)
            .map(|identity| (identity.chain, identity.key))
            .expect("an identity");
        let authority = authority.clone();
        let answer =
            tokio::task::spawn_blocking(move || https_get(port, &authority, Some(identity)))
                .await
                .expect("a thread")
                .expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        server.stop().await;
    }
    let store = java_store("server.jks");
    for (key, value) in [
        ("ssl.keystore.password", "s3cret"),
        ("ssl.key.password", "s3cret"),
        ("ssl.keystore.type", "BCFKS"),
    ] {
        let mut entries = vec![
            ("listeners", "https://127.0.0.1:0"),
            ("ssl.keystore.location", store.as_str()),
            ("ssl.keystore.password", "changeit"),
        ];
        entries.retain(|(name, _)| *name != key);
        entries.push((key, value));
        let error = RegistryServer::start(MemoryLog::new(1), options(&entries))
            .await
            .expect_err(key)
            .to_string();
        assert!(
            error.contains(&format!("'{key}'")) && !error.contains("s3cret"),
            "{error}"
        );
    }
}
