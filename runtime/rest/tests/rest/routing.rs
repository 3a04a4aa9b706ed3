//! Paths, methods, types, bodies: what is decided before the herder is asked.

use millrace_api::config::Props;
use millrace_rest::{AdminListeners, RestOptions};
use serde_json::json;

use crate::client::{call, exchange, get, send};
use crate::{free_port, serve};

#[tokio::test]
async fn unknown_paths_and_methods() {
    let fixture = serve(RestOptions::default()).await;
    for (method, path, status, message) in [
        ("GET", "/nope", 404, "HTTP 404 Not Found"),
        ("GET", "/%63onnectors", 404, "HTTP 404 Not Found"),
        ("GET", "/CONNECTORS", 404, "HTTP 404 Not Found"),
        (
            "GET",
            "/connectors/x/tasks-config",
            404,
            "HTTP 404 Not Found",
        ),
        ("GET", "/connectors/x/tasks/0", 404, "HTTP 404 Not Found"),
        ("OPTIONS", "/nope", 404, "HTTP 404 Not Found"),
        ("PUT", "/connectors", 405, "HTTP 405 Method Not Allowed"),
        ("PATCH", "/connectors/x", 405, "HTTP 405 Method Not Allowed"),
        (
            "GET",
            "/connectors/x/restart",
            405,
            "HTTP 405 Method Not Allowed",
        ),
        (
            "POST",
            "/connectors/x/pause",
            405,
            "HTTP 405 Method Not Allowed",
        ),
        ("TRACE", "/connectors", 405, "HTTP 405 Method Not Allowed"),
        (
            "DELETE",
            "/admin/loggers/x",
            405,
            "HTTP 405 Method Not Allowed",
        ),
    ] {
        let reply = call(fixture.address, method, path, &[], None).await;
        assert_eq!(
            (reply.status, reply.json()),
            (status, json!({"error_code": status, "message": message})),
            "{method} {path}"
        );
        assert_eq!(reply.header("Content-Type"), None, "{method} {path}");
    }
}

#[tokio::test]
async fn a_task_that_is_no_integer_is_a_typed_404() {
    let fixture = serve(RestOptions::default()).await;
    for (method, path) in [
        ("GET", "/connectors/x/tasks/a/status"),
        ("POST", "/connectors/x/tasks/2147483648/restart"),
        ("GET", "/connectors/x/tasks/1.0/status"),
    ] {
        let reply = call(fixture.address, method, path, &[], None).await;
        assert_eq!(
            (reply.status, reply.json()["message"].as_str()),
            (404, Some("HTTP 404 Not Found")),
            "{path}"
        );
        assert_eq!(
            reply.header("Content-Type").as_deref(),
            Some("application/json"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_first_obstacle_wins() {
    let fixture = serve(RestOptions::default()).await;
    let wrong = [("Content-Type", "text/plain"), ("Accept", "text/html")];
    for (method, path, status) in [
        ("PUT", "/nope", 404),
        ("PUT", "/connectors", 405),
        ("POST", "/connectors", 415),
        ("GET", "/connectors", 415),
        ("GET", "/", 406),
    ] {
        assert_eq!(
            call(fixture.address, method, path, &wrong, Some("x"))
                .await
                .status,
            status,
            "{method} {path}"
        );
    }
    let reply = call(
        fixture.address,
        "POST",
        "/connectors",
        &[("Accept", "text/html")],
        Some("{}"),
    )
    .await;
    assert_eq!((reply.status, reply.header("Content-Type")), (406, None));
}

#[tokio::test]
async fn names_are_decoded_and_matrix_parameters_cut() {
    let fixture = serve(RestOptions::default()).await;
    for (path, name) in [
        ("/connectors/a%20b", "a b"),
        ("/connectors/a;b=c", "a"),
        ("/connectors/a%3Bb/", "a;b"),
        ("/connectors/..", ".."),
        ("/connectors/%C3%A4+x", "ä+x"),
        ("/connectors;v=1/a", "a"),
    ] {
        let reply = get(fixture.address, path).await;
        assert_eq!(
            (reply.status, reply.json()["message"].as_str()),
            (404, Some(format!("Connector {name} not found").as_str())),
            "{path}"
        );
    }
}

#[tokio::test]
async fn refused_targets_get_a_page() {
    let fixture = serve(RestOptions::default()).await;
    let long = format!("/connectors/{}", "x".repeat(9000));
    for (path, status, reason) in [
        ("/connectors/a%2Fb", 400, "Ambiguous URI path separator"),
        ("/connectors/a%25b", 400, "Ambiguous URI path encoding"),
        ("/connectors/%2e%2e", 400, "Ambiguous URI path segment"),
        ("/connectors//a", 400, "Ambiguous URI empty segment"),
        ("/connectors/a%5Cb", 400, "Suspicious Path Character"),
        ("/connectors/%zz", 400, "Bad Request"),
        (long.as_str(), 414, "URI Too Long"),
    ] {
        let reply = get(fixture.address, path).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(
            reply
                .body
                .contains(&format!("<title>Error {status} {reason}</title>")),
            "{}",
            reply.body
        );
        assert_eq!(
            reply.header("Content-Type").as_deref(),
            Some("text/html;charset=iso-8859-1")
        );
        assert_eq!(
            call(fixture.address, "DELETE", path, &[], None).await.body,
            ""
        );
    }
    let reply = call(
        fixture.address,
        "GET",
        "/connectors//a",
        &[("Host", "<script>")],
        None,
    )
    .await;
    assert!(!reply.body.contains("<script>"), "{}", reply.body);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let fixture = serve(RestOptions::default()).await;
    for path in [
        "/",
        "/health",
        "/metrics",
        "/connectors",
        "/connectors?expand=info",
        "/connectors/x",
        "/connector-plugins",
        "/nope",
    ] {
        let (head, get) = (
            call(fixture.address, "HEAD", path, &[], None).await,
            get(fixture.address, path).await,
        );
        assert_eq!(
            (head.status, head.header("Content-Type")),
            (get.status, get.header("Content-Type")),
            "{path}"
        );
        assert_eq!(
            (head.body.as_str(), head.header("Content-Length")),
            ("", get.header("Content-Length")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn options_lists_methods_as_text_unless_unwanted() {
    let fixture = serve(RestOptions::default()).await;
    for (path, allow) in [
        ("/", "HEAD,GET,OPTIONS"),
        ("/connectors/", "HEAD,POST,GET,OPTIONS"),
        ("/connectors/x/pause", "OPTIONS,PUT"),
        ("/connectors/x/restart", "POST,OPTIONS"),
        ("/connectors/x/offsets", "HEAD,DELETE,GET,OPTIONS,PATCH"),
    ] {
        let reply = call(fixture.address, "OPTIONS", path, &[], None).await;
        assert_eq!(
            (reply.status, reply.header("Allow").as_deref(), reply.body),
            (200, Some(allow), allow.replace(',', ", ")),
            "{path}"
        );
    }
    let reply = call(
        fixture.address,
        "OPTIONS",
        "/connectors",
        &[("Accept", "application/json")],
        None,
    )
    .await;
    assert_eq!(
        (
            reply.status,
            reply.body.as_str(),
            reply.header("Content-Type")
        ),
        (200, "", None)
    );
}

#[tokio::test]
async fn unreadable_bodies_are_500() {
    let fixture = serve(RestOptions::default()).await;
    for body in [
        "{",
        "{} x",
        "{'a': 1}",
        r#"{"name": "a", "extra": 1}"#,
        r#"{"name": "a", "config": {}, "initial_state": "UP"}"#,
        r#"{"config": []}"#,
        "[]",
        "1",
    ] {
        let reply = send(fixture.address, "POST", "/connectors", body).await;
        assert_eq!(
            (reply.status, reply.json()["error_code"].as_u64()),
            (500, Some(500)),
            "{body}"
        );
        assert!(
            reply.json()["message"]
                .as_str()
                .unwrap()
                .contains(" at [Source: "),
            "{}",
            reply.body
        );
    }
    for body in ["", "null", "{}", r#"{"config": null}"#] {
        let reply = send(fixture.address, "POST", "/connectors", body).await;
        assert!(
            reply.json()["message"]
                .as_str()
                .unwrap()
                .starts_with("Cannot invoke \""),
            "{}",
            reply.body
        );
    }
    assert!(fixture.herder.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_empty_body_of_no_type_is_no_body() {
    let fixture = serve(RestOptions::default()).await;
    let reply = call(fixture.address, "PUT", "/connectors/c/config", &[], None).await;
    assert_eq!(reply.status, 500, "{}", reply.body);
    let reply = call(
        fixture.address,
        "PUT",
        "/connectors/c/config",
        &[],
        Some("{}"),
    )
    .await;
    assert_eq!(
        (reply.status, reply.header("Content-Type").as_deref()),
        (415, Some("application/json"))
    );
}

#[tokio::test]
async fn a_body_above_the_limit_is_413() {
    let fixture = serve(RestOptions {
        body_limit: 1000,
        ..RestOptions::default()
    })
    .await;
    let fitting = format!(r#"{{"x": "{}"}}"#, "y".repeat(900));
    assert_eq!(
        send(fixture.address, "PUT", "/connectors/c/config", &fitting)
            .await
            .status,
        201
    );
    let reply = send(
        fixture.address,
        "PUT",
        "/connectors/c/config",
        &"y".repeat(1001),
    )
    .await;
    assert_eq!(
        (reply.status, reply.json()["error_code"].as_u64()),
        (413, Some(413))
    );
    let chunked = format!(
        "PUT /connectors/c/config HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n",
        "y".repeat(1001)
    );
    assert_eq!(
        exchange(fixture.address, chunked.as_bytes()).await.status,
        413
    );
}

#[tokio::test]
async fn admin_resources_follow_their_listeners() {
    let disabled = serve(RestOptions {
        admin: AdminListeners::Disabled,
        ..RestOptions::default()
    })
    .await;
    assert_eq!(get(disabled.address, "/admin/loggers").await.status, 404);
    let mut worker = Props::new();
    worker.insert("response.http.headers.config", "set X-Test: one");
    worker.insert("access.control.allow.origin", "*");
    let options = RestOptions {
        admin: AdminListeners::Separate(vec![free_port()]),
        ..RestOptions::from_properties(&worker).expect("valid")
    };
    let separate = serve(options).await;
    let admin = separate.server.admin_addresses()[0];
    assert_eq!(get(separate.address, "/admin/loggers").await.status, 404);
    assert_eq!(
        get(separate.address, "/connectors")
            .await
            .header("X-Test")
            .as_deref(),
        Some("one")
    );
    assert_eq!(get(admin, "/connectors").await.status, 404);
    let reply = get(admin, "/admin/loggers/root").await;
    assert_eq!(
        (reply.status, reply.header("X-Test"), reply.header("Vary")),
        (200, None, None)
    );
}
