//! Every route: success and failure, status, body, and what reaches the herder.

use millrace_rest::RestOptions;
use millrace_worker::herder::Health;
use serde_json::{Value, json};

use crate::client::{call, get, send};
use crate::{Fixture, serve};

async fn with_connector(name: &str) -> Fixture {
    let fixture = serve(RestOptions::default()).await;
    let reply = send(
        fixture.address,
        "POST",
        "/connectors",
        &json!({"name": name, "config": {"connector.class": "C"}}).to_string(),
    )
    .await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    fixture
}

fn error(code: u16, message: &str) -> Value {
    json!({"error_code": code, "message": message})
}

#[tokio::test]
async fn answers_have_java_s_member_order() {
    let fixture = with_connector("c").await;
    let worker = fixture.server.worker_id();
    assert_eq!(
        get(fixture.address, "/").await.body,
        r#"{"version":"4.3.1","commit":"26b251a451ce941d","kafka_cluster_id":"AyrXaki6mEjPiZ51dHCvzA"}"#
    );
    assert_eq!(
        get(fixture.address, "/connectors/c").await.body,
        r#"{"name":"c","config":{"connector.class":"C","name":"c"},"tasks":[{"connector":"c","task":0}],"type":"source"}"#
    );
    assert_eq!(
        get(fixture.address, "/connectors/c/status").await.body,
        format!(
            r#"{{"name":"c","connector":{{"state":"RUNNING","worker_id":"{worker}","version":"4.3.1"}},"tasks":[{{"id":0,"state":"RUNNING","worker_id":"{worker}","version":"4.3.1"}}],"type":"source"}}"#
        )
    );
    assert_eq!(
        get(fixture.address, "/connectors/none").await.body,
        r#"{"error_code":404,"message":"Connector none not found"}"#
    );
    let reply = get(fixture.address, "/connectors?expand=info&expand=status").await;
    assert!(
        reply.body.starts_with(r#"{"c":{"info":{"name":"c","#)
            && reply.body.contains(r#""status":{"name":"c","#),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn a_connector_without_a_status_is_left_out_of_an_expansion() {
    let fixture = with_connector("c").await;
    send(fixture.address, "PUT", "/connectors/no-status/config", "{}").await;
    assert_eq!(
        get(fixture.address, "/connectors").await.json(),
        json!(["c", "no-status"])
    );
    let expanded = get(fixture.address, "/connectors?expand=info&expand=status")
        .await
        .json();
    assert_eq!(
        expanded.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["c"]
    );
    let expanded = get(fixture.address, "/connectors?expand=info").await.json();
    assert_eq!(
        expanded.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["c", "no-status"]
    );
}

#[tokio::test]
async fn health_decides_the_status() {
    let fixture = serve(RestOptions::default()).await;
    let reply = get(fixture.address, "/health").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (
            200,
            r#"{"status":"healthy","message":"Worker has completed startup and is ready to handle requests."}"#
        )
    );
    for (health, status, word) in [
        (Health::starting(), 503, "starting"),
        (Health::unhealthy(), 500, "unhealthy"),
    ] {
        *fixture.herder.health.lock().unwrap() = Some(health);
        let reply = get(fixture.address, "/health/").await;
        assert_eq!(
            (reply.status, reply.json()["status"].as_str()),
            (status, Some(word))
        );
    }
}

#[tokio::test]
async fn metrics_are_text() {
    let fixture = serve(RestOptions::default()).await;
    let reply = call(
        fixture.address,
        "GET",
        "/metrics",
        &[("Accept", "text/plain;version=0.0.4")],
        None,
    )
    .await;
    assert_eq!(
        (reply.status, reply.header("Content-Type").as_deref()),
        (200, Some("text/plain; version=0.0.4; charset=utf-8"))
    );
    assert!(
        reply
            .body
            .contains("kafka_connect_worker_connector_count 0\n")
    );
}

#[tokio::test]
async fn create_passes_name_and_state_on() {
    let fixture = serve(RestOptions::default()).await;
    for (body, call) in [
        (r#"{"config": {}}"#, r#"create "" Started"#),
        (
            r#"{"name": null, "config": {}, "initial_state": null}"#,
            r#"create "" Started"#,
        ),
        (
            r#"{"name": " a ", "config": {}, "initial_state": "stopped"}"#,
            r#"create "a" Stopped"#,
        ),
        (
            r#"{"name": 12, "config": {}, "initial_state": "Paused"}"#,
            r#"create "12" Paused"#,
        ),
    ] {
        send(fixture.address, "POST", "/connectors", body).await;
        assert_eq!(fixture.herder.last_call(), call);
    }
    assert_eq!(
        get(fixture.address, "/connectors/a/status").await.json()["connector"]["state"],
        "STOPPED"
    );
}

#[tokio::test]
async fn a_location_is_an_absolute_url_with_an_encoded_name() {
    let fixture = serve(RestOptions::default()).await;
    let body = r#"{"name": "a b/ä", "config": {}}"#;
    let headers = [
        ("Content-Type", "application/json"),
        ("Host", "connect.example:81"),
    ];
    let reply = call(fixture.address, "POST", "/connectors", &headers, Some(body)).await;
    assert_eq!(
        reply.header("Location").as_deref(),
        Some("http://connect.example:81/connectors/a%20b/%C3%A4")
    );
    let reply = send(
        fixture.address,
        "PUT",
        "/connectors/%C3%A4%20x/config",
        "{}",
    )
    .await;
    assert_eq!(
        (reply.status, reply.json()["name"].as_str()),
        (201, Some("ä x"))
    );
    assert_eq!(
        reply.header("Location"),
        Some(format!("http://{}/connectors/%C3%A4%20x", fixture.address))
    );
    let reply = send(
        fixture.address,
        "PUT",
        "/connectors/%C3%A4%20x/config",
        "{}",
    )
    .await;
    assert_eq!((reply.status, reply.header("Location")), (200, None));
}

#[tokio::test]
async fn a_patch_sets_and_removes() {
    let fixture = with_connector("c").await;
    let reply = send(
        fixture.address,
        "PATCH",
        "/connectors/c/config",
        r#"{"connector.class": null, "n": 3}"#,
    )
    .await;
    assert_eq!(
        (reply.status, reply.json()["config"].clone()),
        (200, json!({"name": "c", "n": "3"}))
    );
    assert_eq!(
        get(fixture.address, "/connectors/c/config").await.json(),
        json!({"name": "c", "n": "3"})
    );
    let reply = send(fixture.address, "PATCH", "/connectors/none/config", "{}").await;
    assert_eq!(
        (reply.status, reply.json()),
        (404, error(404, "Connector none not found"))
    );
    let reply = send(fixture.address, "PATCH", "/connectors/c/config", "null").await;
    assert_eq!(reply.status, 500);
}

#[tokio::test]
async fn unknown_connectors_have_their_texts() {
    let fixture = serve(RestOptions::default()).await;
    for (method, path, status, message) in [
        ("GET", "/connectors/x", 404, "Connector x not found"),
        ("GET", "/connectors/x/config", 404, "Connector x not found"),
        ("GET", "/connectors/x/tasks", 404, "Connector x not found"),
        ("GET", "/connectors/x/offsets", 404, "Connector x not found"),
        (
            "DELETE",
            "/connectors/x/offsets",
            404,
            "Connector x not found",
        ),
        ("DELETE", "/connectors/x", 404, "Connector x not found"),
        (
            "GET",
            "/connectors/x/status",
            404,
            "No status found for connector x",
        ),
        (
            "GET",
            "/connectors/x/tasks/0/status",
            404,
            "No status found for task x-0",
        ),
        (
            "GET",
            "/connectors/x/tasks/-2/status",
            404,
            "No status found for task x--2",
        ),
        ("PUT", "/connectors/x/pause", 404, "Unknown connector x"),
        ("PUT", "/connectors/x/resume", 404, "Unknown connector x"),
        ("PUT", "/connectors/x/stop", 404, "Unknown connector x"),
        ("POST", "/connectors/x/restart", 404, "Unknown connector: x"),
        (
            "POST",
            "/connectors/x/restart?includeTasks=true",
            404,
            "Unknown connector: x",
        ),
        (
            "POST",
            "/connectors/x/tasks/0/restart",
            404,
            "Unknown connector: x",
        ),
        (
            "POST",
            "/connectors/x/tasks/-1/restart",
            404,
            "Unknown connector: x",
        ),
        (
            "GET",
            "/connector-plugins/Cast/config",
            404,
            "Unknown plugin Cast.",
        ),
        ("GET", "/admin/loggers/a.b", 404, "Logger a.b not found."),
    ] {
        let reply = call(fixture.address, method, path, &[], None).await;
        assert_eq!(
            (reply.status, reply.json()),
            (status, error(404, message)),
            "{method} {path}"
        );
        assert_eq!(
            reply.header("Content-Type").as_deref(),
            Some("application/json"),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn state_changes_answer_without_a_body() {
    let fixture = with_connector("c").await;
    for (method, path, status) in [
        ("PUT", "/connectors/c/pause", 202),
        ("PUT", "/connectors/c/resume", 202),
        ("PUT", "/connectors/c/stop", 204),
        ("PUT", "/connectors/c/resume/", 202),
        ("PUT", "/connectors/c/topics/reset", 202),
        ("POST", "/connectors/c/restart", 204),
        ("POST", "/connectors/c/tasks/0/restart", 204),
        ("DELETE", "/connectors/c", 204),
    ] {
        let reply = call(fixture.address, method, path, &[], None).await;
        assert_eq!(
            (
                reply.status,
                reply.body.as_str(),
                reply.header("Content-Type")
            ),
            (status, "", None),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn restart_flags_are_java_booleans() {
    let fixture = with_connector("c").await;
    for (query, status, call) in [
        ("", 204, "restart c false false"),
        (
            "?includeTasks=yes&onlyFailed=1",
            204,
            "restart c false false",
        ),
        ("?includeTasks=TRUE", 202, "restart c true false"),
        ("?onlyFailed=true", 202, "restart c false true"),
        (
            "?includeTasks=true&onlyFailed=true",
            202,
            "restart c true true",
        ),
    ] {
        let reply = crate::client::call(
            fixture.address,
            "POST",
            &format!("/connectors/c/restart{query}"),
            &[],
            None,
        )
        .await;
        assert_eq!(
            (reply.status, fixture.herder.last_call().as_str()),
            (status, call),
            "{query}"
        );
    }
}

#[tokio::test]
async fn topics_stand_under_the_name() {
    let fixture = with_connector("c").await;
    assert_eq!(
        get(fixture.address, "/connectors/c/topics").await.body,
        r#"{"c":{"topics":["t"]}}"#
    );
    assert_eq!(
        get(fixture.address, "/connectors/none/topics").await.body,
        r#"{"none":{"topics":[]}}"#
    );
    call(
        fixture.address,
        "PUT",
        "/connectors/c/topics/reset",
        &[],
        None,
    )
    .await;
    assert_eq!(fixture.herder.last_call(), "reset topics c");
}

#[tokio::test]
async fn offsets_need_a_stopped_connector() {
    let fixture = with_connector("c").await;
    let body = r#"{"offsets": [{"partition": {"f": "a"}, "offset": {"position": 4}}, {"partition": {"f": "b"}}]}"#;
    let stopped = "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/c/stop' endpoint";
    for reply in [
        send(fixture.address, "PATCH", "/connectors/c/offsets", body).await,
        call(
            fixture.address,
            "DELETE",
            "/connectors/c/offsets",
            &[],
            None,
        )
        .await,
    ] {
        assert_eq!((reply.status, reply.json()), (400, error(400, stopped)));
    }
    call(fixture.address, "PUT", "/connectors/c/stop", &[], None).await;
    let reply = send(fixture.address, "PATCH", "/connectors/c/offsets", body).await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (
            200,
            r#"{"message":"The offsets for this connector have been altered successfully"}"#
        )
    );
    assert_eq!(
        get(fixture.address, "/connectors/c/offsets").await.body,
        r#"{"offsets":[{"partition":{"f":"a"},"offset":{"position":4}},{"partition":{"f":"b"},"offset":null}]}"#
    );
    for body in ["{}", r#"{"offsets": null}"#, r#"{"offsets": []}"#] {
        let reply = send(fixture.address, "PATCH", "/connectors/c/offsets", body).await;
        assert_eq!(
            (reply.status, reply.json()),
            (
                400,
                error(
                    400,
                    "Partitions / offsets need to be provided for an alter offsets request"
                )
            )
        );
    }
    let reply = call(
        fixture.address,
        "DELETE",
        "/connectors/c/offsets",
        &[],
        None,
    )
    .await;
    assert_eq!(
        reply.json()["message"],
        "The offsets for this connector have been reset successfully"
    );
    assert_eq!(
        get(fixture.address, "/connectors/c/offsets").await.body,
        r#"{"offsets":[]}"#
    );
}

#[tokio::test]
async fn plugins_and_their_keys() {
    let fixture = serve(RestOptions::default()).await;
    let connectors =
        r#"[{"class":"a.Sink","type":"sink","version":"1"},{"class":"a.Source","type":"source"}]"#;
    for query in ["", "?connectorsOnly=true", "?connectorsOnly=TRUE"] {
        assert_eq!(
            get(fixture.address, &format!("/connector-plugins{query}"))
                .await
                .body,
            connectors
        );
    }
    for query in [
        "?connectorsOnly=false",
        "?connectorsOnly=",
        "?connectorsOnly=zzz",
    ] {
        assert_eq!(
            get(fixture.address, &format!("/connector-plugins{query}"))
                .await
                .json()[2]["type"],
            "transformation",
            "{query}"
        );
    }
    let reply = get(
        fixture.address,
        "/connector-plugins/a.Source%24Value/config?version=%5B1.0,2.0)",
    )
    .await;
    assert_eq!(
        fixture.herder.last_call(),
        r#"config of a.Source$Value Some("[1.0,2.0)")"#
    );
    assert_eq!(
        reply.body,
        r#"[{"name":"topic","type":"STRING","required":true,"default_value":null,"importance":"HIGH","documentation":"Where to.","group":null,"order_in_group":-1,"width":"NONE","display_name":"topic","dependents":[]}]"#
    );
}

#[tokio::test]
async fn validation_is_the_herder_s() {
    let fixture = serve(RestOptions::default()).await;
    let reply = send(
        fixture.address,
        "PUT",
        "/connector-plugins/Source/config/validate",
        r#"{"connector.class": "Source", "tasks.max": 1, "x": null}"#,
    )
    .await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (
            200,
            r#"{"name":"Source","error_count":0,"groups":["Common"],"configs":[]}"#
        )
    );
    assert_eq!(
        fixture.herder.last_call(),
        r#"validate Source {"connector.class": Some("Source"), "tasks.max": Some("1"), "x": None}"#
    );
    let reply = send(
        fixture.address,
        "PUT",
        "/connector-plugins/Source/config/validate",
        "{}",
    )
    .await;
    assert_eq!(reply.status, 500);
    let reply = send(
        fixture.address,
        "PUT",
        "/connector-plugins/Source/config/validate",
        "",
    )
    .await;
    assert!(reply.json()["message"].as_str().unwrap().starts_with(
        "Cannot invoke \"java.util.Map.get(Object)\" because \"connectorConfig\" is null"
    ));
}

#[tokio::test]
async fn loggers_and_their_levels() {
    let fixture = serve(RestOptions::default()).await;
    assert_eq!(
        get(fixture.address, "/admin/loggers").await.body,
        r#"{"org.reflections":{"level":"ERROR","last_modified":1700000000000},"root":{"level":"INFO","last_modified":null}}"#
    );
    assert_eq!(
        get(fixture.address, "/admin/loggers/root").await.body,
        r#"{"level":"INFO","last_modified":null}"#
    );
    for (query, status, scope) in [
        ("", 200, "Worker"),
        ("?scope=", 200, "Worker"),
        ("?scope=galaxy", 200, "Worker"),
        ("?scope=CLUSTER", 204, "Cluster"),
    ] {
        let reply = send(
            fixture.address,
            "PUT",
            &format!("/admin/loggers/a.b{query}"),
            r#"{"level": " debug "}"#,
        )
        .await;
        assert_eq!(
            (reply.status, fixture.herder.last_call()),
            (status, format!("level of a.b DEBUG {scope}")),
            "{query}"
        );
    }
}
