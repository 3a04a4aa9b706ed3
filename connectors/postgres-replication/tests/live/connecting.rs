//! Start-up, authentication, TLS.

use std::time::Duration;

use pg_replication::{
    ChannelBindingMode, ConnectOptions, ReplicationConnection, ReplicationError, SslMode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::server::{Server, value};

async fn connect(options: &ConnectOptions) -> ReplicationConnection {
    ReplicationConnection::connect(options)
        .await
        .unwrap_or_else(|error| panic!("{options:?}: {error}"))
}

async fn refused(options: &ConnectOptions) -> ReplicationError {
    match ReplicationConnection::connect(options).await {
        Ok(_) => panic!("connected in spite of {options:?}"),
        Err(error) => error,
    }
}

/// Who the server thinks is there, and whether it sees TLS.
async fn assert_session(mut connection: ReplicationConnection, user: &str, encrypted: bool) {
    assert_eq!(
        value(&mut connection, "SELECT current_user")
            .await
            .as_deref(),
        Some(user)
    );
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let seen = value(&mut connection, query).await;
    assert_eq!(seen.as_deref(), Some(if encrypted { "t" } else { "f" }));
    assert_eq!(connection.is_encrypted(), encrypted);
    connection.close().await.expect("closes");
}

#[tokio::test]
async fn unix_socket_and_tcp() {
    let server = Server::shared().await;
    let mut connection = connect(&server.unix_options()).await;
    let identity = connection.identify_system().await.expect("an identity");
    assert_eq!(identity.timeline, 1);
    assert_eq!(identity.database.as_deref(), Some("postgres"));
    assert!(identity.flush_lsn.is_valid());
    assert!(
        connection.server_major() >= 15,
        "{}",
        connection.server_version()
    );

    let mut other = connect(&server.options()).await;
    let same = other.identify_system().await.expect("an identity");
    assert_eq!(identity.system_id, same.system_id);
}

#[tokio::test]
async fn values_have_one_text_form_whatever_the_server_is_set_to() {
    let server = Server::shared().await;
    let mut options = server.options();
    options.application_name = "some ünicode".into();
    options.options = Some("-c work_mem=77kB".into());
    options.parameters = vec![
        ("wal_sender_timeout".into(), "7777".into()),
        ("timezone".into(), "Asia/Tokyo".into()),
    ];
    let mut connection = connect(&options).await;
    for (setting, expected) in [
        ("client_encoding", "UTF8"),
        ("datestyle", "ISO, DMY"),
        ("intervalstyle", "postgres"),
        ("extra_float_digits", "3"),
        ("bytea_output", "hex"),
        ("work_mem", "77kB"),
        ("wal_sender_timeout", "7777ms"),
        ("timezone", "Asia/Tokyo"),
    ] {
        assert_eq!(
            connection.show(setting).await.expect(setting),
            expected,
            "{setting}"
        );
    }
    // The server replaces what is not ASCII.
    let name = connection.show("application_name").await.expect("a name");
    assert!(name.starts_with("some "), "{name}");
    let mut plain = connect(&server.options()).await;
    assert_eq!(plain.show("timezone").await.expect("a zone"), "UTC");
}

#[tokio::test]
async fn passwords() {
    let server = Server::shared().await;
    for (user, password) in [
        ("u_clear", "pässwörd clear"),
        ("u_md5", "pässwörd md5"),
        ("u_scram", "pässwörd scram"),
    ] {
        let options = server.options_for(user, Some(password));
        assert_session(connect(&options).await, user, false).await;

        let wrong = refused(&server.options_for(user, Some("wrong"))).await;
        assert_eq!(wrong.sqlstate(), Some("28P01"), "{wrong}");
        assert!(wrong.server().expect("the server's").is_class("28"));
        assert!(!format!("{wrong:?}").contains("wrong"), "{wrong:?}");

        let missing = refused(&server.options_for(user, None)).await;
        assert!(matches!(missing, ReplicationError::Auth(_)), "{missing}");
        assert!(missing.to_string().contains(user), "{missing}");
    }
}

#[tokio::test]
async fn an_unsupported_way_to_log_in_is_named() {
    let server = Server::shared().await;
    let error = refused(&server.options_for("u_gss", None)).await;
    assert!(matches!(error, ReplicationError::Auth(_)), "{error}");
    assert!(error.to_string().contains("GSSAPI"), "{error}");
    assert!(error.to_string().contains("scram-sha-256"), "{error}");
}

#[tokio::test]
async fn channel_binding() {
    let server = Server::shared().await;
    let mut options = server.options_for("u_scram", Some("pässwörd scram"));
    options.channel_binding = ChannelBindingMode::Require;
    let error = refused(&options).await;
    assert!(error.to_string().contains("not encrypted"), "{error}");

    options.ssl_mode = SslMode::Require;
    assert_session(connect(&options).await, "u_scram", true).await;
    options.channel_binding = ChannelBindingMode::Disable;
    assert_session(connect(&options).await, "u_scram", true).await;

    let mut unbound = server.options_for("u_md5", Some("pässwörd md5"));
    unbound.ssl_mode = SslMode::Require;
    unbound.channel_binding = ChannelBindingMode::Require;
    let error = refused(&unbound).await;
    assert!(error.to_string().contains("MD5"), "{error}");
    let mut trusted = server.options();
    trusted.ssl_mode = SslMode::Require;
    trusted.channel_binding = ChannelBindingMode::Require;
    let error = refused(&trusted).await;
    assert!(error.to_string().contains("without SCRAM"), "{error}");
}

#[tokio::test]
async fn ssl_modes_that_do_not_verify() {
    let server = Server::shared().await;
    for (mode, encrypted) in [
        (SslMode::Disable, false),
        (SslMode::Allow, false),
        (SslMode::Prefer, true),
        (SslMode::Require, true),
    ] {
        let mut options = server.options();
        options.ssl_mode = mode;
        assert_session(connect(&options).await, "postgres", encrypted).await;
    }
}

#[tokio::test]
async fn allow_and_prefer_try_the_other_way_when_host_rules_refuse() {
    let server = Server::shared().await;
    for (user, mode, encrypted) in [
        ("u_only_tls", SslMode::Allow, Some(true)),
        ("u_only_tls", SslMode::Disable, None),
        ("u_only_plain", SslMode::Prefer, Some(false)),
        ("u_only_plain", SslMode::Require, None),
    ] {
        let mut options = server.options_for(user, None);
        options.ssl_mode = mode;
        match encrypted {
            Some(encrypted) => assert_session(connect(&options).await, user, encrypted).await,
            None => assert_eq!(refused(&options).await.sqlstate(), Some("28000")),
        }
    }
}

#[tokio::test]
async fn verification_of_the_server() {
    let server = Server::shared().await;
    let mut options = server.options();
    options.ssl_root_cert = Some(server.certificates.authority.clone());

    // The certificate names localhost only.
    options.ssl_mode = SslMode::VerifyCa;
    assert_session(connect(&options).await, "postgres", true).await;
    options.ssl_mode = SslMode::VerifyFull;
    let error = refused(&options).await;
    assert!(matches!(error, ReplicationError::Tls(_)), "{error}");
    assert!(error.to_string().contains("verify-full"), "{error}");
    options.host = "localhost".into();
    assert_session(connect(&options).await, "postgres", true).await;

    options.ssl_root_cert = Some(server.certificates.other_authority.clone());
    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        options.ssl_mode = mode;
        let error = refused(&options).await;
        assert!(matches!(error, ReplicationError::Tls(_)), "{error}");
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    }

    options.ssl_root_cert = Some("/nonexistent/root.pem".into());
    let error = refused(&options).await;
    assert!(
        error
            .to_string()
            .contains("sslrootcert /nonexistent/root.pem"),
        "{error}"
    );
    options.ssl_root_cert = Some(server.certificates.client_key.clone());
    let error = refused(&options).await;
    assert!(error.to_string().contains("has no certificate"), "{error}");
}

#[tokio::test]
async fn client_certificates() {
    let server = Server::shared().await;
    let mut options = server.options_for("u_cert", None);
    options.ssl_mode = SslMode::Require;
    let error = refused(&options).await;
    assert_eq!(error.sqlstate(), Some("28000"), "{error}");

    options.ssl_cert = Some(server.certificates.client.clone());
    let error = refused(&options).await;
    assert!(error.to_string().contains("without sslkey"), "{error}");
    for key in [
        &server.certificates.client_key,
        &server.certificates.client_key_der,
    ] {
        options.ssl_key = Some(key.clone());
        assert_session(connect(&options).await, "u_cert", true).await;
    }
    options.ssl_key = Some(server.certificates.server_key.clone());
    let error = refused(&options).await;
    assert!(matches!(error, ReplicationError::Tls(_)), "{error}");
}

#[tokio::test]
async fn unreachable_servers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let error = refused(&ConnectOptions::new("127.0.0.1", port, "u", "d")).await;
    assert!(matches!(error, ReplicationError::Io { .. }), "{error}");
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );

    let error = refused(&ConnectOptions::new("/nonexistent", 5432, "u", "d")).await;
    assert!(
        error.to_string().contains("/nonexistent/.s.PGSQL.5432"),
        "{error}"
    );

    let server = Server::shared().await;
    let mut options = server.options();
    options.database = "no_such_database".into();
    assert_eq!(refused(&options).await.sqlstate(), Some("3D000"));
    options.database = "nul\0byte".into();
    assert!(matches!(
        refused(&options).await,
        ReplicationError::Options(_)
    ));
}

/// A server that reads once and then says `answer`.
async fn impostor(answer: &'static [u8]) -> ConnectOptions {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = socket.read(&mut request).await;
                let _ = socket.write_all(answer).await;
                // Stays open until the client goes.
                while matches!(socket.read(&mut request).await, Ok(1..)) {}
            });
        }
    });
    let mut options = ConnectOptions::new("127.0.0.1", port, "u", "d");
    options.connect_timeout = Duration::from_millis(300);
    options
}

#[tokio::test]
async fn servers_that_are_none() {
    let silent = impostor(b"").await;
    let error = refused(&silent).await;
    assert!(matches!(error, ReplicationError::Timeout { .. }), "{error}");

    let mut web = impostor(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    web.ssl_mode = SslMode::Disable;
    let error = refused(&web).await;
    assert!(matches!(error, ReplicationError::Protocol(_)), "{error}");
    assert!(
        error.to_string().contains("is this a PostgreSQL server?"),
        "{error}"
    );
    web.ssl_mode = SslMode::Prefer;
    assert!(matches!(refused(&web).await, ReplicationError::Protocol(_)));

    let mut plain = impostor(b"N").await;
    plain.ssl_mode = SslMode::Require;
    let error = refused(&plain).await;
    assert!(matches!(error, ReplicationError::Tls(_)), "{error}");
    assert!(error.to_string().contains("does not offer TLS"), "{error}");

    // Whoever removes the server's TLS must not be able to put words into its mouth.
    let mut scram = impostor(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x08\0\0\0\0").await;
    scram.ssl_mode = SslMode::Disable;
    scram.password = Some("p".into());
    let error = refused(&scram).await;
    assert!(matches!(error, ReplicationError::Auth(_)), "{error}");
    assert!(error.to_string().contains("without proving"), "{error}");
}
