use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use registry_client::{Reference, Registries, SchemaType};

use super::server::{Answer, Server, answer};
use super::{BY_ID, client, props, text_schema};

#[tokio::test]
async fn a_request_has_the_headers_and_the_form_of_confluents_clients() {
    let server = Server::start(|_, _| answer(200, r#"{"id":7}"#)).await;
    let registry = client(
        &format!("{}/base/", server.url()),
        &[("request.header.X-Team", "blue")],
    );
    let mut schema = text_schema();
    schema.schema_type = SchemaType::Json;
    schema.references.push(Reference {
        name: "n".into(),
        subject: "r".into(),
        version: 1,
    });
    let registered = registry
        .register(":.ctx:a/b", &schema, true)
        .await
        .expect("registered");
    assert_eq!(
        (
            registered.id,
            registered.version,
            &registered.text,
            &registered.references
        ),
        (7, 0, &schema.text, &schema.references)
    );
    let asked = server.asked.lock()[0].clone();
    assert_eq!(
        asked.line,
        "POST /base/subjects/%3A.ctx%3Aa%2Fb/versions?normalize=true"
    );
    assert_eq!(
        asked.body,
        r#"{"schemaType":"JSON","references":[{"name":"n","subject":"r","version":1}],"schema":"\"string\""}"#
    );
    assert_eq!(
        asked.header("content-type"),
        Some("application/vnd.schemaregistry.v1+json")
    );
    assert_eq!(
        asked.header("accept"),
        Some(
            "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json"
        )
    );
    assert_eq!(
        asked.header("confluent-accept-unknown-properties"),
        Some("true")
    );
    assert_eq!(
        asked.header("host"),
        Some(format!("127.0.0.1:{}", server.port).as_str())
    );
    assert_eq!(asked.header("x-team"), Some("blue"));
    assert!(
        asked.header("x-request-id").is_some()
            && asked.header("confluent-client-version").is_some()
    );
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn the_first_node_may_be_chosen_by_lot() {
    let nodes = [
        Server::start(|_, _| answer(200, BY_ID)).await,
        Server::start(|_, _| answer(200, BY_ID)).await,
    ];
    let urls = format!("{},{}", nodes[0].url(), nodes[1].url());
    let ask = async |randomize: &str| {
        for _ in 0..40 {
            let registry = client(&urls, &[("schema.registry.url.randomize", randomize)]);
            registry.by_id(1, None).await.expect("found");
        }
        (nodes[0].count(), nodes[1].count())
    };
    assert_eq!(ask("false").await, (40, 0));
    let (first, second) = ask("true").await;
    assert!(first > 40 && second > 0, "{first} and {second}");
}

#[tokio::test]
async fn a_dead_node_is_passed_over_and_the_living_one_is_kept() {
    let dead = TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("an address")
        .port();
    let failing = Server::start(|_, _| answer(503, "{}")).await;
    let living = Server::start(|_, _| answer(200, BY_ID)).await;
    let registry = client(
        &format!(
            "http://127.0.0.1:{dead}, {},{}",
            failing.url(),
            living.url()
        ),
        &[],
    );
    for id in 1..=5 {
        registry.by_id(id, None).await.expect("found");
    }
    assert_eq!((failing.count(), living.count()), (1, 5));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_nothing_else() {
    let server = Server::start(|index, _| match index {
        0 => answer(503, r#"{"error_code":50003,"message":"no leader"}"#),
        1 => answer(429, ""),
        2 => answer(200, BY_ID),
        _ => answer(
            404,
            r#"{"error_code":40403,"message":"Schema 2 not found"}"#,
        ),
    })
    .await;
    let registry = client(&server.url(), &[]);
    assert_eq!(
        registry
            .by_id(1, None)
            .await
            .expect("found at last")
            .version,
        2
    );
    assert_eq!(server.count(), 3);
    let error = registry.by_id(2, None).await.expect_err("not found");
    assert_eq!(
        (
            error.status,
            error.code,
            error.to_string().as_str(),
            error.retriable
        ),
        (404, 40403, "Schema 2 not found; error code: 40403", false)
    );
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn retries_end() {
    let server =
        Server::start(|_, _| answer(500, r#"{"error_code":50001,"message":"store"}"#)).await;
    let registry = client(&server.url(), &[("schema.registry.max.retries", "2")]);
    let error = registry.by_id(1, None).await.expect_err("never");
    assert_eq!(
        (error.code, error.retriable, server.count()),
        (50001, true, 3)
    );
}

#[tokio::test]
async fn connections_are_kept_and_replaced_when_the_server_closed_them() {
    let server = Server::start(|index, _| Answer {
        close: index == 1,
        ..answer(200, BY_ID)
    })
    .await;
    let registry = client(&server.url(), &[("max.retries", "0")]);
    for id in 0..4 {
        registry.by_id(id, None).await.expect("found");
    }
    assert_eq!(
        (server.count(), server.connections.load(Ordering::SeqCst)),
        (4, 2)
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_named_without_credentials() {
    let server = Server::start_async(|_, _| Box::pin(std::future::pending())).await;
    let url = format!("http://me:s3cret@127.0.0.1:{}", server.port);
    let registry = client(
        &url,
        &[("http.read.timeout.ms", "20"), ("max.retries", "0")],
    );
    let error = registry.by_id(1, None).await.expect_err("silent");
    let text = error.to_string();
    assert!(
        text.contains(&format!(
            "http://127.0.0.1:{}: no answer within 20 ms",
            server.port
        )),
        "{text}"
    );
    assert!(
        (error.status, error.retriable) == (0, true)
            && !format!("{error:?} {registry:?}").contains("s3cret")
    );
}

#[tokio::test]
async fn answers_that_are_not_the_registrys_are_named_so() {
    let server = Server::start(|index, _| match index {
        0 => answer(403, "<html>Forbidden</html>"),
        1 => answer(200, "<html>"),
        _ => answer(200, r#"{"version":1}"#),
    })
    .await;
    let registry = client(&server.url(), &[]);
    let codes = [
        registry.by_id(1, None).await,
        registry.by_id(1, None).await,
        registry.by_id(1, None).await,
    ]
    .map(|answer| answer.expect_err("no schema"));
    assert_eq!(
        codes.each_ref().map(|error| (error.status, error.code)),
        [(403, 50005), (200, 50005), (200, 50005)]
    );
    assert!(
        codes[2].message.contains("`schema`"),
        "{}",
        codes[2].message
    );
}

#[tokio::test]
async fn redirections_are_followed_and_loops_are_not() {
    let server = Server::start(|_, asked| {
        let to = if asked.line.contains("/ids/1?") {
            "/there?x=1"
        } else {
            asked.line.trim_start_matches("GET ")
        };
        match asked.line.as_str() {
            "GET /there?x=1" => answer(200, BY_ID),
            _ => Answer {
                headers: format!("Location: {to}\r\n"),
                ..answer(307, "")
            },
        }
    })
    .await;
    let registry = client(&server.url(), &[("max.retries", "0")]);
    registry.by_id(1, None).await.expect("found there");
    assert!(
        registry
            .by_id(2, None)
            .await
            .expect_err("a loop")
            .message
            .contains("redirections")
    );
}

#[tokio::test]
async fn a_proxy_gets_the_whole_url() {
    let proxy = Server::start(|_, _| answer(200, BY_ID)).await;
    let port = proxy.port.to_string();
    let registry = client(
        "http://registry.invalid:8081/x",
        &[("proxy.host", "127.0.0.1"), ("proxy.port", &port)],
    );
    registry.by_id(3, Some("a b")).await.expect("found");
    assert_eq!(
        proxy.lines(),
        ["GET http://registry.invalid:8081/x/schemas/ids/3?fetchMaxId=false&subject=a%20b"]
    );
}

#[tokio::test]
async fn one_client_per_settings_as_long_as_it_is_used() {
    let registries = Registries::new();
    let props = props("http://127.0.0.1:1", &[("auto.register.schemas", "false")]);
    let mut other = props.clone();
    other.insert("auto.register.schemas", "true");
    let first = registries.client(&props).expect("valid");
    let second = registries.client(&other).expect("valid");
    assert!(
        Arc::ptr_eq(&first, &second),
        "settings of serializers do not make another client"
    );
    other.insert("max.retries", "9");
    assert!(!Arc::ptr_eq(
        &first,
        &registries.client(&other).expect("valid")
    ));
    let weak = Arc::downgrade(&first);
    drop((first, second));
    assert!(weak.upgrade().is_none(), "an unused client is dropped");
}

#[tokio::test]
async fn a_registry_of_this_process_is_used_without_http() {
    let server = Server::start(|_, _| answer(200, BY_ID)).await;
    let local = client(&server.url(), &[]);
    let registries = Registries::new();
    registries.add_local(
        &["http://Registry.invalid:80/".to_owned()],
        Arc::clone(&local),
    );
    let props = props("http://elsewhere.invalid,http://registry.invalid", &[]);
    assert!(Arc::ptr_eq(
        &local,
        &registries.client(&props).expect("valid")
    ));
}

#[test]
fn wrong_urls_are_refused_by_name_and_without_secrets() {
    for url in ["", "registry:8081", "mock://x", "http://me:s3cret@:81"] {
        let error = Registries::new().client(&props(url, &[])).expect_err(url);
        assert!(
            error.message.contains("schema.registry.url") && !error.message.contains("s3cret"),
            "{}",
            error.message
        );
    }
}
