use registry_client::Registries;

use super::server::{Server, answer};
use super::{BY_ID, client, props};

async fn authorization(url: impl Fn(u16) -> String, settings: &[(&str, &str)]) -> Option<String> {
    let server = Server::start(|_, _| answer(200, BY_ID)).await;
    client(&url(server.port), settings)
        .by_id(1, None)
        .await
        .expect("found");
    let asked = server.asked.lock()[0].clone();
    asked.header("authorization").map(str::to_owned)
}

fn plain(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[tokio::test]
async fn basic_authentication_from_every_source() {
    // me:pa:ss
    let expected = Some("Basic bWU6cGE6c3M=");
    let in_url = |port| format!("http://me:pa%3Ass@127.0.0.1:{port}");
    assert_eq!(authorization(in_url, &[]).await.as_deref(), expected);
    assert_eq!(
        authorization(in_url, &[("basic.auth.credentials.source", "URL")])
            .await
            .as_deref(),
        expected
    );
    for key in [
        "basic.auth.user.info",
        "schema.registry.basic.auth.user.info",
    ] {
        let settings = [
            ("schema.registry.basic.auth.credentials.source", "USER_INFO"),
            (key, "me:pa:ss"),
        ];
        assert_eq!(
            authorization(plain, &settings).await.as_deref(),
            expected,
            "{key}"
        );
    }
    let jaas = r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="me" password="pa:ss";"#;
    let settings = [
        ("basic.auth.credentials.source", "SASL_INHERIT"),
        ("sasl.jaas.config", jaas),
    ];
    assert_eq!(authorization(plain, &settings).await.as_deref(), expected);
    assert_eq!(
        authorization(plain, &[("basic.auth.user.info", "me:pa:ss")]).await,
        None
    );
}

#[tokio::test]
async fn a_static_token_and_its_headers() {
    let server = Server::start(|_, _| answer(200, BY_ID)).await;
    let settings = [
        ("bearer.auth.credentials.source", "STATIC_TOKEN"),
        ("bearer.auth.token", "t0ken"),
        ("bearer.auth.logical.cluster", "lsrc-1"),
        ("bearer.auth.identity.pool.id", "pool-2"),
    ];
    client(&server.url(), &settings)
        .by_id(1, None)
        .await
        .expect("found");
    let asked = server.asked.lock()[0].clone();
    assert_eq!(asked.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(
        (
            asked.header("target-sr-cluster"),
            asked.header("confluent-identity-pool-id")
        ),
        (Some("lsrc-1"), Some("pool-2"))
    );
}

const OAUTH: [(&str, &str); 4] = [
    ("bearer.auth.credentials.source", "OAUTHBEARER"),
    ("bearer.auth.client.id", "id"),
    ("bearer.auth.client.secret", "s3cret"),
    ("bearer.auth.scope", "read write"),
];

async fn issuer(expires_in: u32) -> Server {
    Server::start(move |index, _| {
        answer(
            200,
            format!(
                r#"{{"access_token":"t{index}","expires_in":{expires_in},"token_type":"Bearer"}}"#
            ),
        )
    })
    .await
}

#[tokio::test]
async fn a_token_is_fetched_once_and_replaced_when_it_ends() {
    let registry_server = Server::start(|_, _| answer(200, BY_ID)).await;
    for (expires_in, buffer, fetched) in [(3600, "300", 1), (200, "300", 1), (0, "0", 3)] {
        let issuer = issuer(expires_in).await;
        let url = format!("{}/oauth/token", issuer.url());
        let mut settings = OAUTH.to_vec();
        settings.extend([
            ("bearer.auth.issuer.endpoint.url", url.as_str()),
            ("bearer.auth.cache.expiry.buffer.seconds", buffer),
        ]);
        let registry = client(&registry_server.url(), &settings);
        for id in 0..3 {
            registry.by_id(id, None).await.expect("found");
        }
        assert_eq!(issuer.count(), fetched, "{expires_in} s");
        let asked = issuer.asked.lock()[0].clone();
        assert_eq!(
            (asked.line.as_str(), asked.body.as_str()),
            (
                "POST /oauth/token",
                "grant_type=client_credentials&scope=read%20write"
            )
        );
        // id:s3cret
        assert_eq!(asked.header("authorization"), Some("Basic aWQ6czNjcmV0"));
        assert_eq!(
            asked.header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
    }
    assert_eq!(
        registry_server.asked.lock()[0].header("authorization"),
        Some("Bearer t0")
    );
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_at_once() {
    let registry_server = Server::start(|_, asked| match asked.header("authorization") {
        Some("Bearer t1") => answer(200, BY_ID),
        _ => answer(401, r#"{"error_code":401,"message":"Unauthorized"}"#),
    })
    .await;
    let issuer = issuer(3600).await;
    let url = issuer.url();
    let mut settings = OAUTH.to_vec();
    settings.push(("bearer.auth.issuer.endpoint.url", url.as_str()));
    client(&registry_server.url(), &settings)
        .by_id(1, None)
        .await
        .expect("found with the second token");
    assert_eq!((registry_server.count(), issuer.count()), (2, 2));
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_explained_without_the_secret() {
    let issuer = Server::start(|_, _| {
        answer(
            400,
            r#"{"error":"invalid_client","error_description":"who?"}"#,
        )
    })
    .await;
    let url = issuer.url();
    let mut settings = OAUTH.to_vec();
    settings.extend([
        ("bearer.auth.issuer.endpoint.url", url.as_str()),
        ("max.retries", "0"),
    ]);
    let registry = client("http://127.0.0.1:1", &settings);
    let error = registry.by_id(1, None).await.expect_err("no token");
    assert!(
        error.message.contains(&format!(
            "no token from {url}: HTTP 400 invalid_client who?"
        )),
        "{}",
        error.message
    );
    assert!(!format!("{error:?} {registry:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_named_claim_must_be_in_the_token() {
    let issuer = issuer(3600).await;
    let url = issuer.url();
    let mut settings = OAUTH.to_vec();
    settings.extend([
        ("bearer.auth.issuer.endpoint.url", url.as_str()),
        ("bearer.auth.sub.claim.name", "who"),
        ("max.retries", "0"),
    ]);
    let error = client("http://127.0.0.1:1", &settings)
        .by_id(1, None)
        .await
        .expect_err("no claim");
    assert!(error.message.contains("`who`"), "{}", error.message);
}

#[test]
fn what_cannot_be_obeyed_is_refused_by_name_and_without_secrets() {
    let basic = "basic.auth.credentials.source";
    let bearer = "bearer.auth.credentials.source";
    let wrong: [(&[(&str, &str)], &str); 10] = [
        (&[(basic, "USER_INFO")], "basic.auth.user.info"),
        (&[(basic, "KERBEROS")], basic),
        (&[(basic, "SASL_INHERIT")], "sasl.jaas.config"),
        (
            &[
                (basic, "SASL_INHERIT"),
                ("sasl.jaas.config", r#"M required password="s3cret";"#),
            ],
            "username",
        ),
        (
            &[
                (basic, "USER_INFO"),
                ("basic.auth.user.info", "me:s3cret"),
                (bearer, "STATIC_TOKEN"),
            ],
            bearer,
        ),
        (&[(bearer, "STATIC_TOKEN")], "bearer.auth.token"),
        (
            &[(bearer, "SASL_OAUTHBEARER_INHERIT")],
            "bearer.auth.issuer.endpoint.url",
        ),
        (
            &[
                (bearer, "CUSTOM"),
                ("bearer.auth.custom.provider.class", "a.B"),
            ],
            "bearer.auth.custom.provider.class",
        ),
        (
            &[
                (bearer, "OAUTHBEARER"),
                ("bearer.auth.client.secret", "s3cret"),
            ],
            "bearer.auth.issuer.endpoint.url",
        ),
        (&[("proxy.host", "p")], "proxy.port"),
    ];
    for (settings, named) in wrong {
        let error = Registries::new()
            .client(&props("http://127.0.0.1:1", settings))
            .expect_err(named);
        assert!(
            error.message.contains(named) && !error.message.contains("s3cret"),
            "{}",
            error.message
        );
    }
}
