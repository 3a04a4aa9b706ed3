//! TLS and SASL, with certificates made here: both clients from one set of settings.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, RequestHeader,
    ResponseHeader,
};
use kafka_protocol::protocol::{
    Decodable as _, Encodable as _, HeaderVersion as _, Request as _, StrBytes,
};
use millrace_log::{Log as _, LogError, ProducerOptions, ReaderOptions, TopicPartition};
use millrace_testkit::{Kafka, KafkaOptions, Signal, free_port, java};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use sha2::{Digest, Sha256, Sha512};

use crate::client::{PATIENCE, batch, connect_with, send_all, settings, topic};

const PASSWORD: &str = "se;cr\"et=";
const PLAIN_MODULE: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

/// PEM texts.
struct Certificates {
    authority: String,
    stranger: String,
    server: String,
    client: String,
}

fn certificates() -> Result<Certificates> {
    // Names of their own: OpenSSL takes a certificate whose issuer has the same name for self-signed.
    let named = |name: &str, mut params: CertificateParams| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let authority = || -> Result<(String, Issuer<'static, KeyPair>)> {
        let key = KeyPair::generate()?;
        let mut params = named("authority", CertificateParams::new(Vec::new())?);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok((params.self_signed(&key)?.pem(), Issuer::new(params, key)))
    };
    let (ca, issuer) = authority()?;
    let leaf = |name: &str| -> Result<String> {
        let key = KeyPair::generate()?;
        let certificate =
            named(name, CertificateParams::new(vec![name.to_owned()])?).signed_by(&key, &issuer)?;
        Ok(key.serialize_pem() + &certificate.pem())
    };
    Ok(Certificates {
        authority: ca,
        stranger: authority()?.0,
        server: leaf("localhost")?,
        client: leaf("client")?,
    })
}

/// What a user of Java has.
struct JavaStores {
    trust: String,
    jks: String,
    pkcs12: String,
    /// The client's, as PEM text.
    certificate: String,
}

fn java_stores(dir: &Path, authority: &str) -> Result<JavaStores> {
    let path = |name: &str| dir.join(name).display().to_string();
    let (trust, jks, pkcs12) = (path("trust.jks"), path("client.jks"), path("client.p12"));
    keytool(&[
        "-importcert",
        "-noprompt",
        "-alias",
        "ca",
        "-file",
        authority,
        "-keystore",
        &trust,
        "-storetype",
        "JKS",
    ])?;
    keytool(&[
        "-genkeypair",
        "-alias",
        "client",
        "-keyalg",
        "RSA",
        "-dname",
        "CN=java",
        "-keystore",
        &jks,
        "-storetype",
        "JKS",
        "-keypass",
        "of-the-key",
    ])?;
    keytool(&[
        "-importkeystore",
        "-noprompt",
        "-srckeystore",
        &jks,
        "-srcalias",
        "client",
        "-srcstorepass",
        "changeit",
        "-srckeypass",
        "of-the-key",
        "-destkeystore",
        &pkcs12,
        "-deststoretype",
        "PKCS12",
        "-destkeypass",
        "changeit",
    ])?;
    let certificate = keytool(&["-exportcert", "-rfc", "-alias", "client", "-keystore", &jks])?;
    Ok(JavaStores {
        trust,
        jks,
        pkcs12,
        certificate,
    })
}

fn keytool(arguments: &[&str]) -> Result<String> {
    // importkeystore calls the password of the store that it writes by another name.
    let store_password = if arguments[0] == "-importkeystore" {
        "-deststorepass"
    } else {
        "-storepass"
    };
    let output = Command::new(java().with_file_name("keytool"))
        .args(arguments)
        .args([store_password, "changeit"])
        .output()
        .context("keytool, which is part of Java")?;
    ensure!(
        output.status.success(),
        "keytool {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn jaas(module: &str, user: &str, password: &str) -> String {
    format!(
        "{module} required username=\"{user}\" password=\"{}\";",
        password.replace('"', "\\\"")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_every_sasl_mechanism_work_and_their_failures_are_told() -> Result<()> {
    let kafka = Kafka::start(KafkaOptions::default()).await?;
    let dir = kafka
        .log_file()
        .parent()
        .context("the broker's folder")?
        .to_owned();
    let pem = certificates()?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = dir.join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let (server, ca, stranger, client) = (
        file("server.pem", &pem.server)?,
        file("ca.pem", &pem.authority)?,
        file("stranger.pem", &pem.stranger)?,
        file("client.pem", &pem.client)?,
    );
    let java = java_stores(&dir, &ca)?;
    let (tls, sasl_tls, sasl) = (free_port(), free_port(), free_port());
    kafka.stop(Signal::Term).await?;
    let trusted = file("trusted.pem", &(pem.authority.clone() + &java.certificate))?;
    add_listeners(&dir, &server, &trusted, tls, sasl_tls, sasl)?;
    kafka.start_again().await?;
    let plain = kafka.bootstrap();
    tokio::task::spawn_blocking(move || create_scram_users(&plain)).await??;

    let at = |port: u16| format!("localhost:{port}");
    let trust = [
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", ca.as_str()),
    ];
    let mutual = [
        ("security.protocol", "SSL"),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.location", client.as_str()),
    ];
    let bootstrap = at(tls);
    let with_tls: Vec<_> = [("bootstrap.servers", bootstrap.as_str())]
        .into_iter()
        .chain(trust)
        .chain(mutual)
        .collect();
    round_trip(&with_tls)
        .await
        .context("TLS with a client certificate")?;
    for (key_store, key_password) in [(&java.jks, "of-the-key"), (&java.pkcs12, "changeit")] {
        round_trip(&[
            ("bootstrap.servers", &bootstrap),
            ("security.protocol", "SSL"),
            ("ssl.truststore.location", &java.trust),
            ("ssl.truststore.password", "changeit"),
            ("ssl.keystore.location", key_store),
            ("ssl.keystore.password", "changeit"),
            ("ssl.key.password", key_password),
        ])
        .await
        .with_context(|| format!("TLS with Java's {key_store}"))?;
    }

    let (plain_user, scram_user) = (
        jaas(PLAIN_MODULE, "alice", PASSWORD),
        jaas(SCRAM_MODULE, "alice", PASSWORD),
    );
    let bootstrap = at(sasl_tls);
    for (mechanism, login) in [
        ("PLAIN", &plain_user),
        ("SCRAM-SHA-256", &scram_user),
        ("SCRAM-SHA-512", &scram_user),
    ] {
        let own = [
            ("bootstrap.servers", bootstrap.as_str()),
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", mechanism),
            ("sasl.jaas.config", login),
        ];
        let all: Vec<_> = own.into_iter().chain(trust).collect();
        round_trip(&all)
            .await
            .with_context(|| format!("SASL_SSL with {mechanism}"))?;
    }
    let bootstrap = at(sasl);
    let over_tcp = [
        ("bootstrap.servers", bootstrap.as_str()),
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.jaas.config", &scram_user),
    ];
    round_trip(&over_tcp).await.context("SASL_PLAINTEXT")?;

    // A wrong password, for each mechanism.
    let wrong = "not-the-password";
    for (mechanism, module) in [("PLAIN", PLAIN_MODULE), ("SCRAM-SHA-256", SCRAM_MODULE)] {
        let login = jaas(module, "alice", wrong);
        let own = [
            ("bootstrap.servers", bootstrap.as_str()),
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", mechanism),
            ("sasl.jaas.config", &login),
        ];
        let error = connect_with(&own).await.unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(LogError::Authorization(_))),
            "{error:?}"
        );
        let text = format!("{error:?}");
        assert!(
            text.contains("alice") && text.contains("sasl.jaas.config") && !text.contains(wrong),
            "{text}"
        );
    }
    // A mechanism's listener without credentials, an unknown authority, a name that the certificate does not have.
    let failure = async |pairs: &[(&str, &str)]| {
        let short = [("default.api.timeout.ms", "5000")];
        let pairs: Vec<_> = pairs.iter().copied().chain(short).collect();
        let error = tokio::time::timeout(Duration::from_secs(25), connect_with(&pairs))
            .await
            .map(|r| r.map(|_| ()));
        error
            .unwrap_or_else(|_| panic!("no answer for {pairs:?}"))
            .unwrap_err()
            .to_string()
    };
    let bootstrap = at(tls);
    let untrusted = [
        ("bootstrap.servers", bootstrap.as_str()),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", stranger.as_str()),
    ];
    let text = failure(&untrusted.into_iter().chain(mutual).collect::<Vec<_>>()).await;
    assert!(
        text.contains("TLS handshake failed") && text.contains("trust store"),
        "{text}"
    );
    let by_address = format!("127.0.0.1:{tls}");
    let named: Vec<_> = [("bootstrap.servers", by_address.as_str())]
        .into_iter()
        .chain(trust)
        .chain(mutual)
        .collect();
    let text = failure(&named).await;
    assert!(
        text.contains("TLS handshake failed") && text.contains("not valid for name"),
        "{text}"
    );
    let any_name: Vec<_> = named
        .into_iter()
        .chain([("ssl.endpoint.identification.algorithm", "")])
        .collect();
    round_trip(&any_name).await.context("any host name")?;

    // A connector's client does not inherit the worker's credentials, as in Connect; it is told so.
    let log = connect_with(&with_tls).await?;
    let error = log
        .producer(ProducerOptions::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("producer.security.protocol"), "{error}");
    Ok(())
}

/// One record through admin client, producer and reader; a membership too.
async fn round_trip(pairs: &[(&str, &str)]) -> Result<()> {
    let log = connect_with(pairs).await?;
    assert!(!format!("{log:?}").contains(PASSWORD));
    let topic = topic(&*log, 1, &[]).await?;
    let mut producer = log
        .producer(ProducerOptions {
            client_id: "p".into(),
            settings: settings(pairs),
        })
        .await?;
    for delivery in send_all(
        &mut *producer,
        &batch(&topic, 0, std::iter::once("secret".to_owned())),
    )
    .await?
    {
        delivery.result?;
    }
    let mut reader = log
        .reader(ReaderOptions {
            client_id: "r".into(),
            from: vec![(TopicPartition::new(&*topic, 0), -2)],
            settings: settings(pairs),
        })
        .await?;
    let got = reader.next(PATIENCE).await?;
    assert_eq!(got.value(&got.records[0]), Some(&b"secret"[..]));
    let mut member = log
        .membership(crate::memberships::options("secure"))
        .await?;
    crate::memberships::assigned(&mut *member).await?;
    assert!(!format!("{member:?}").contains(PASSWORD));
    member.leave().await;
    Ok(())
}

fn add_listeners(
    dir: &Path,
    server: &str,
    ca: &str,
    tls: u16,
    sasl_tls: u16,
    sasl: u16,
) -> Result<()> {
    let file = dir.join("broker.properties");
    let mut text = std::fs::read_to_string(&file)?;
    let line = |text: &str, key: &str| {
        text.lines()
            .rev()
            .find_map(|l| l.strip_prefix(&format!("{key}=")).map(str::to_owned))
            .with_context(|| key.to_owned())
    };
    let (listeners, advertised) = (
        line(&text, "listeners")?,
        line(&text, "advertised.listeners")?,
    );
    writeln!(
        text,
        "listeners={listeners},TLS://127.0.0.1:{tls},SASLTLS://127.0.0.1:{sasl_tls},SASL://127.0.0.1:{sasl}"
    )?;
    writeln!(
        text,
        "advertised.listeners={advertised},TLS://localhost:{tls},SASLTLS://localhost:{sasl_tls},SASL://localhost:{sasl}"
    )?;
    writeln!(
        text,
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL,SASL:SASL_PLAINTEXT"
    )?;
    writeln!(
        text,
        "ssl.keystore.type=PEM\nssl.keystore.location={server}\nssl.truststore.type=PEM\nssl.truststore.location={ca}"
    )?;
    writeln!(
        text,
        "listener.name.tls.ssl.client.auth=required\nsasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
    )?;
    // In a properties file a backslash is written twice.
    let password = PASSWORD.replace('"', "\\\\\"");
    for listener in ["sasltls", "sasl"] {
        writeln!(
            text,
            "listener.name.{listener}.plain.sasl.jaas.config={PLAIN_MODULE} required user_alice=\"{password}\";"
        )?;
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            writeln!(
                text,
                "listener.name.{listener}.{mechanism}.sasl.jaas.config={SCRAM_MODULE} required;"
            )?;
        }
    }
    std::fs::write(file, text)?;
    Ok(())
}

/// What `kafka-configs.sh --add-config SCRAM-…` does, for both mechanisms.
fn create_scram_users(bootstrap: &str) -> Result<()> {
    let salt = b"some salt";
    let mut socket = std::net::TcpStream::connect(bootstrap)?;
    for (mechanism, password) in [
        (1, salted::<Sha256>(64, salt)),
        (2, salted::<Sha512>(128, salt)),
    ] {
        let upsertion = ScramCredentialUpsertion::default()
            .with_name(StrBytes::from_static_str("alice"))
            .with_mechanism(mechanism)
            .with_iterations(4_096)
            .with_salt(Bytes::from_static(salt))
            .with_salted_password(password.into());
        let response = call(
            &mut socket,
            &AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]),
        )?;
        anyhow::ensure!(
            response.results.iter().all(|r| r.error_code == 0),
            "{response:?}"
        );
    }
    Ok(())
}

fn call(
    socket: &mut std::net::TcpStream,
    request: &AlterUserScramCredentialsRequest,
) -> Result<AlterUserScramCredentialsResponse> {
    let header = RequestHeader::default()
        .with_request_api_key(AlterUserScramCredentialsRequest::KEY)
        .with_request_api_version(0)
        .with_correlation_id(1);
    let mut frame = BytesMut::from(&[0; 4][..]);
    header.encode(
        &mut frame,
        AlterUserScramCredentialsRequest::header_version(0),
    )?;
    request.encode(&mut frame, 0)?;
    let size = u32::try_from(frame.len() - 4)?;
    frame[..4].copy_from_slice(&size.to_be_bytes());
    socket.write_all(&frame)?;
    let mut size = [0; 4];
    socket.read_exact(&mut size)?;
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    socket.read_exact(&mut answer)?;
    let mut answer = Bytes::from(answer);
    ResponseHeader::decode(
        &mut answer,
        AlterUserScramCredentialsResponse::header_version(0),
    )?;
    AlterUserScramCredentialsResponse::decode(&mut answer, 0)
}

/// PBKDF2 of the password, written apart from the crate's own.
fn salted<D: Digest>(block: usize, salt: &[u8]) -> Vec<u8> {
    let hmac = |data: &[u8]| {
        let mut key = PASSWORD.as_bytes().to_vec();
        key.resize(block, 0);
        let pad = |byte: u8| key.iter().map(|k| k ^ byte).collect::<Vec<u8>>();
        let inner = D::digest([&pad(0x36)[..], data].concat());
        D::digest([&pad(0x5c)[..], &inner[..]].concat()).to_vec()
    };
    let mut round = hmac(&[salt, &[0, 0, 0, 1]].concat());
    let mut out = round.clone();
    for _ in 1..4_096 {
        round = hmac(&round);
        out.iter_mut().zip(&round).for_each(|(o, r)| *o ^= r);
    }
    out
}
