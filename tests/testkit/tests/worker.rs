//! The worker's process handling, with shell scripts in the binary's place, and the REST client against canned answers.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_testkit::{RestClient, Worker, WorkerOptions};
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn script(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("millrace");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_worker_that_refuses_is_reported_with_its_output() {
    let dir = tempfile::tempdir().unwrap();
    let binary = script(dir.path(), r#"echo "$1 $FAILPOINT"; cat "$2"; exit 3"#);
    let options = WorkerOptions::on_embedded_log(Path::new("/log dir"))
        .binary(&binary)
        .env("FAILPOINT", "here")
        .set("listeners", "http://127.0.0.1:1");

    let error = format!("{:#}", Worker::start(options.clone()).await.unwrap_err());
    assert!(
        error.contains("exit status: 3") && error.contains("standalone here"),
        "{error}"
    );

    let (status, output) = Worker::expect_refusal(options).await.unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!(
        output,
        "standalone here\nlisteners=http://127.0.0.1:1\nlog.dir=/log dir\n"
    );
}

/// Answers one request after the other with the given status and body, and returns what was asked.
async fn serve(listener: TcpListener, answers: Vec<(u16, String)>) -> Vec<String> {
    let mut asked = Vec::new();
    for (status, body) in answers {
        let (stream, _) = listener.accept().await.unwrap();
        asked.push(answer(BufReader::new(stream), status, &body).await);
    }
    asked
}

async fn answer(mut stream: BufReader<TcpStream>, status: u16, body: &str) -> String {
    let mut request = String::new();
    stream.read_line(&mut request).await.unwrap();
    let (mut length, mut line) = (0, String::new());
    while stream.read_line(&mut line).await.unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut sent = vec![0; length];
    stream.read_exact(&mut sent).await.unwrap();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await.unwrap();
    format!(
        "{} {}",
        request.trim_end().trim_end_matches(" HTTP/1.1"),
        String::from_utf8(sent).unwrap()
    )
}

#[tokio::test]
async fn a_connector_is_awaited_until_all_its_tasks_run() {
    let status = |connector: &str, tasks: &[&str]| {
        let tasks: Vec<_> = tasks
            .iter()
            .enumerate()
            .map(|(id, state)| json!({"id": id, "state": state}))
            .collect();
        (
            200,
            json!({"name": "shop", "connector": {"state": connector}, "tasks": tasks}).to_string(),
        )
    };
    let answers = vec![
        (201, json!({"name": "shop"}).to_string()),
        (404, json!({"error_code": 404}).to_string()),
        status("RUNNING", &[]),
        status("RUNNING", &["RUNNING", "UNASSIGNED"]),
        status("RUNNING", &["RUNNING", "RUNNING"]),
        (204, String::new()),
        (409, "plain".to_owned()),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rest = RestClient::new(format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(serve(listener, answers));

    rest.create_connector("shop", &json!({"tasks.max": "2"}))
        .await
        .unwrap();
    let status = rest
        .wait_connector_state("shop", "RUNNING", 2)
        .await
        .unwrap();
    assert_eq!(status["tasks"][1]["state"], "RUNNING");
    assert!(
        rest.delete("/connectors/shop")
            .await
            .unwrap()
            .body
            .is_null()
    );
    let refused = rest.get("/x").await.unwrap();
    assert_eq!(
        (refused.status, &refused.body),
        (StatusCode::CONFLICT, &json!("plain"))
    );
    assert!(refused.success().is_err());

    let asked = tokio::time::timeout(Duration::from_secs(10), server)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        asked[0],
        r#"POST /connectors {"name":"shop","config":{"tasks.max":"2"}}"#
    );
    assert_eq!(asked[4], "GET /connectors/shop/status ");
    assert_eq!(asked[5], "DELETE /connectors/shop ");
}
