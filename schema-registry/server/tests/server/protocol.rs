//! What HTTP clients see besides bodies.

use reqwest::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::ground::{SOON, call, get, record, register, registry, seen};

const V1: &str = "application/vnd.schemaregistry.v1+json";

fn plain(status: u16, code: u16, reason: &str) -> (u16, Option<String>, String) {
    (
        status,
        None,
        format!(r#"{{"error_code":{code},"message":"HTTP {code} {reason}"}}"#),
    )
}

#[tokio::test]
async fn refusals_that_reach_no_resource_carry_no_media_type() {
    let (registry, _log) = registry(&[]).await;
    for path in [
        "/nosuch",
        "/subjects/x/nosuch",
        "/schemas/ids",
        "/v1/metadata",
    ] {
        assert_eq!(
            call(&registry, "GET", path, None).await,
            plain(404, 404, "Not Found"),
            "{path}"
        );
    }
    assert_eq!(
        call(&registry, "PATCH", "/config", None).await,
        plain(405, 405, "Method Not Allowed")
    );
    assert_eq!(
        call(&registry, "DELETE", "/contexts/.", None).await,
        plain(405, 405, "Method Not Allowed")
    );
    assert_eq!(
        call(&registry, "GET", "/contexts/c:d/subjects", None).await,
        (
            400,
            None,
            r#"{"error_code":400,"message":"Context name 'c:d' cannot contain a colon"}"#
                .to_owned()
        )
    );
    let number = (404, Some(V1.to_owned()), plain(404, 404, "Not Found").2);
    assert_eq!(
        call(&registry, "GET", "/schemas/ids/abc", None).await,
        number
    );
    assert_eq!(
        call(&registry, "GET", "/subjects?offset=abc", None).await,
        number
    );
    for path in [
        "/subjects/tab%09x/versions",
        "//subjects",
        "/subjects//versions",
    ] {
        let (status, media, text) = raw(
            &registry,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        )
        .await;
        assert_eq!(
            (status, media.as_deref()),
            (400, Some("text/html;charset=iso-8859-1")),
            "{path}"
        );
        assert!(text.starts_with("<html>"), "{text}");
    }
    registry.stop().await;
}

/// A request as it stands, because clients clean paths up.
async fn raw(
    registry: &schema_registry::RegistryServer,
    request: &str,
) -> (u16, Option<String>, String) {
    let mut stream = TcpStream::connect(registry.addresses()[0])
        .await
        .expect("a connection");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .expect("a status")
        .parse()
        .expect("a number");
    let media = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .map(str::to_owned);
    (status, media, body.to_owned())
}

#[tokio::test]
async fn media_types_are_negotiated_and_judged() {
    let (registry, _log) = registry(&[]).await;
    let client = Client::new();
    let url = format!("{}/subjects", registry.url());
    for (accept, status, media) in [
        ("*/*", 200, Some(V1)),
        ("application/json", 200, Some("application/json")),
        (
            "application/vnd.schemaregistry+json",
            200,
            Some("application/vnd.schemaregistry+json"),
        ),
        ("text/plain", 406, None),
    ] {
        let answer = seen(
            client
                .get(&url)
                .header("Accept", accept)
                .send()
                .await
                .expect("an answer"),
        )
        .await;
        assert_eq!((answer.0, answer.1.as_deref()), (status, media), "{accept}");
    }
    let lookup = format!("{url}/s");
    let unknown = client
        .post(&lookup)
        .header("Accept", "application/json")
        .body(record("a"));
    let answer = seen(unknown.send().await.expect("an answer")).await;
    assert_eq!(
        (answer.0, answer.1.as_deref()),
        (404, Some("application/json"))
    );
    for (media, status, answered) in [
        ("text/plain", 415, Some(V1)),
        ("nonsense", 400, Some("application/json")),
        ("application/octet-stream", 404, Some(V1)),
        ("application/json; charset=utf-8", 404, Some(V1)),
    ] {
        let request = client
            .post(&lookup)
            .header("Content-Type", media)
            .body(record("a"));
        let answer = seen(request.send().await.expect("an answer")).await;
        assert_eq!(
            (answer.0, answer.1.as_deref()),
            (status, answered),
            "{media}: {}",
            answer.2
        );
    }
    registry.stop().await;
}

#[tokio::test]
async fn subjects_travel_in_paths_and_trailing_slashes_are_nothing() {
    let (registry, _log) = registry(&[]).await;
    assert_eq!(register(&registry, "a%2Fb", "x").await.0, 200);
    assert_eq!(register(&registry, "%3A.ctx%3As", "x").await.0, 200);
    assert_eq!(get(&registry, "/subjects").await.1, r#"[":.ctx:s","a/b"]"#);
    assert_eq!(
        get(&registry, "/contexts/.ctx/subjects/").await.1,
        r#"[":.ctx:s"]"#
    );
    assert_eq!(
        get(&registry, "/contexts/ctx/subjects/s/versions/").await.1,
        "[1]"
    );
    let (status, _, text) = call(
        &registry,
        "POST",
        "/compatibility/subjects/a%2Fb/versions/",
        Some(&record("x")),
    )
    .await;
    assert_eq!((status, text.as_str()), (200, r#"{"is_compatible":true}"#));
    assert_eq!(
        call(&registry, "DELETE", "/contexts/.none", None).await.0,
        204
    );
    registry.stop().await;
}

#[tokio::test]
async fn options_head_and_request_ids() {
    let (registry, _log) = registry(&[(
        "response.http.headers.config",
        "add X-XSS-Protection: 1; mode=block",
    )])
    .await;
    let client = Client::new();
    let url = format!("{}/subjects", registry.url());
    let options = client
        .request(reqwest::Method::OPTIONS, &url)
        .send()
        .await
        .expect("an answer");
    assert_eq!(options.headers()["x-xss-protection"], "1; mode=block");
    assert_eq!(
        seen(options).await,
        (
            200,
            Some("text/plain".to_owned()),
            "HEAD, GET, OPTIONS".to_owned()
        )
    );
    let head = client
        .head(&url)
        .header("X-Request-ID", "mine")
        .send()
        .await
        .expect("an answer");
    assert_eq!(head.headers()["x-request-id"], "mine");
    assert_eq!(head.headers()["content-length"], "2");
    assert_eq!(head.text().await.expect("text"), "");
    let fresh = client.get(&url).send().await.expect("an answer");
    assert_eq!(fresh.headers()["x-request-id"].len(), 36);
    registry.stop().await;
}

#[tokio::test]
async fn long_answers_are_compressed_when_asked_for() {
    let (registry, _log) = registry(&[]).await;
    for number in 0..300 {
        assert_eq!(
            register(
                &registry,
                &format!("subject-with-a-long-name-{number}"),
                "x"
            )
            .await
            .0,
            200
        );
    }
    let client = Client::new();
    let url = format!("{}/subjects", registry.url());
    let plain = client
        .get(&url)
        .send()
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("bytes");
    let packed = client
        .get(&url)
        .header("Accept-Encoding", "gzip")
        .send()
        .await
        .expect("an answer");
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.expect("bytes");
    assert!(
        packed.len() * 3 < plain.len(),
        "{} of {}",
        packed.len(),
        plain.len()
    );
    let unpacked =
        miniz_oxide::inflate::decompress_to_vec(&packed[10..packed.len() - 8]).expect("deflate");
    assert_eq!(unpacked, plain);
    registry.stop().await;
}

#[tokio::test]
async fn large_bodies_are_refused_before_they_are_read() {
    let (registry, _log) = registry(&[
        ("size.limit.filter.enabled", "true"),
        ("size.limit.filter.max.request.body.size", "1000"),
    ])
    .await;
    let body = record(&"x".repeat(2000));
    let (status, media, text) = call(&registry, "POST", "/subjects/s/versions", Some(&body)).await;
    assert_eq!((status, media.as_deref()), (413, Some("application/json")));
    assert!(
        text.starts_with(r#"{"error_code":413,"#) && text.contains("1000"),
        "{text}"
    );
    assert_eq!(register(&registry, "s", "x").await.0, 200);
    registry.stop().await;
}

#[tokio::test]
async fn connections_that_say_nothing_are_closed() {
    let (registry, _log) = registry(&[("idle.timeout.ms", "100")]).await;
    let silent = TcpStream::connect(registry.addresses()[0])
        .await
        .expect("a connection");
    let mut half = TcpStream::connect(registry.addresses()[0])
        .await
        .expect("a connection");
    half.write_all(b"GET /subjects HTTP/1.1\r\nHost:")
        .await
        .expect("half a request");
    for mut stream in [silent, half] {
        // Closed, with an answer or without one.
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is still open");
    }
    assert_eq!(get(&registry, "/subjects").await.0, 200);
    registry.stop().await;
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let (registry, _log) =
        registry(&[("millrace.registry.metrics.listeners", "http://127.0.0.1:0")]).await;
    register(&registry, "s", "x").await;
    get(&registry, "/schemas/ids/77").await;
    let url = format!("http://{}/metrics", registry.metrics_addresses()[0]);
    let (status, media, text) =
        seen(Client::new().get(&url).send().await.expect("an answer")).await;
    assert_eq!(
        (status, media.as_deref()),
        (200, Some("text/plain; version=0.0.4; charset=utf-8"))
    );
    for line in [
        "kafka_schema_registry_master_slave_role 1",
        "kafka_schema_registry_node_count 1",
        "kafka_schema_registry_registered_count 1",
        "kafka_schema_registry_avro_schemas_created 1",
        "kafka_schema_registry_api_success_count 1",
        "kafka_schema_registry_api_failure_count 1",
        "kafka_schema_registry_request_errors{endpoint=\"schemas.ids.get-schema\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert_eq!(get(&registry, "/metrics").await.0, 404);
    registry.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_may_call_when_they_are_allowed() {
    let (registry, _log) = registry(&[
        ("access.control.allow.origin", "http://ui.example"),
        ("access.control.allow.methods", "GET,PUT"),
    ])
    .await;
    let client = Client::new();
    let url = format!("{}/config", registry.url());
    let preflight = client
        .request(reqwest::Method::OPTIONS, &url)
        .header("Origin", "http://ui.example")
        .header("Access-Control-Request-Method", "PUT")
        .send()
        .await
        .expect("an answer");
    assert_eq!(preflight.status(), 200);
    assert_eq!(
        preflight.headers()["access-control-allow-methods"],
        "GET,PUT"
    );
    let answer = client
        .get(&url)
        .header("Origin", "http://ui.example")
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "http://ui.example"
    );
    let other = client
        .get(&url)
        .header("Origin", "http://evil.example")
        .send()
        .await
        .expect("an answer");
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    registry.stop().await;
}

#[tokio::test]
async fn association_calls_obey_their_parameters() {
    let (registry, _log) = registry(&[]).await;
    let body = r#"{"resourceName":"orders","resourceNamespace":"lkc","resourceId":"id1","associations":[{"subject":"s","associationType":"value","lifecycle":"WEAK"}]}"#;
    let post = async |path: &str| call(&registry, "POST", path, Some(body)).await;
    let of_topic = async || call(&registry, "GET", "/associations/resources/-/orders", None).await;
    for subject in ["s", ":.c:s"] {
        assert_eq!(register(&registry, subject, "f").await.0, 200);
    }
    let tried = post("/associations?dryRun=true").await;
    assert_eq!(tried.0, 200, "{}", tried.2);
    assert_eq!(of_topic().await.2, "[]");
    let made = post("/contexts/.c/associations").await;
    assert_eq!(made.0, 200, "{}", made.2);
    let found = of_topic().await.2;
    assert!(found.contains(r#""subject":":.c:s""#), "{found}");
    let batch = r#"{"requests":[{"resourceName":"orders","resourceNamespace":"lkc"}]}"#;
    let with = async |query: &str| {
        let path = format!("/associations:batchGet{query}");
        call(&registry, "POST", &path, Some(batch)).await
    };
    assert!(!with("").await.2.contains(r#""schema":"#));
    let shown = with("?includeSchemas=true").await.2;
    assert!(shown.contains(r#""schema":"{"#), "{shown}");
    let listed = async |query: &str| {
        let path = format!("/schemas?subjectPrefix=:*:{query}");
        call(&registry, "GET", &path, None).await.2
    };
    assert_eq!(listed("&associationType=key").await, "[]");
    assert!(listed("&associationType=value").await.contains(":.c:"));
}
