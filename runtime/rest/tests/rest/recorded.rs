//! Requests and what a Java worker of version 4.3.1 answered to them, in `tests/data`.

use millrace_api::config::Props;
use millrace_rest::RestOptions;
use serde_json::Value;

use crate::client::{Reply, call};
use crate::fake_herder::FakeHerder;
use crate::{Fixture, serve_over};

/// Headers that are compared, absent ones too.
const HEADERS: [&str; 10] = [
    "Content-Type",
    "Location",
    "Allow",
    "Cache-Control",
    "X-Test",
    "Vary",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Max-Age",
];

/// Stands for the recording worker's folder of files, and is as long: columns in messages depend on it.
const WORK: &str = "/tmp/connect-work-recording";

async fn replay(cases: &str, options: RestOptions, herder: fn() -> FakeHerder) {
    let scenarios: Value = serde_json::from_str(cases).expect("cases");
    let mut differences = Vec::new();
    let mut steps = 0;
    for scenario in scenarios.as_array().expect("scenarios") {
        let fixture = serve_over(options.clone(), herder()).await;
        for step in scenario["steps"].as_array().expect("steps") {
            steps += 1;
            if let Err(difference) = one(&fixture, step).await {
                differences.push(format!(
                    "{} / {}: {difference}",
                    scenario["scenario"], step["name"]
                ));
            }
        }
        fixture.server.stop().await;
    }
    assert!(steps > 0);
    assert!(
        differences.is_empty(),
        "{} of {steps} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

async fn one(fixture: &Fixture, step: &Value) -> Result<(), String> {
    let body = step["raw"].as_str().map(|text| fill(fixture, text));
    let headers = step["headers"].as_object().into_iter().flatten();
    let headers: Vec<(&str, &str)> = headers
        .map(|(name, value)| (name.as_str(), value.as_str().expect("a header")))
        .collect();
    let reply = call(
        fixture.address,
        step["method"].as_str().expect("method"),
        step["path"].as_str().expect("path"),
        &headers,
        body.as_deref(),
    )
    .await;
    compare(fixture, step, &reply)
}

fn compare(fixture: &Fixture, step: &Value, reply: &Reply) -> Result<(), String> {
    if step["status"] != reply.status {
        return Err(format!(
            "status {} instead of {}: {}",
            reply.status, step["status"], reply.body
        ));
    }
    for name in HEADERS {
        let expected = step["answer_headers"][name]
            .as_str()
            .map(|text| fill(fixture, text));
        if expected != reply.header(name) {
            return Err(format!(
                "{name} {:?} instead of {expected:?}",
                reply.header(name)
            ));
        }
    }
    let expected = fill(fixture, &step["answer"].to_string());
    let expected: Value = serde_json::from_str(&expected).expect("an answer");
    let same = match &expected {
        Value::Null => reply.body.is_empty(),
        // Of the server's HTML pages the title counts.
        Value::String(page) if page.starts_with("<html>") => {
            title(page).is_some() && title(page) == title(&reply.body)
        }
        Value::String(text) => *text == reply.body,
        expected => match expected["message"].as_str() {
            // What is said about a missing body goes on after the JVM's words.
            Some(message) if message.starts_with("Cannot invoke") => {
                reply.json()["error_code"] == expected["error_code"]
                    && reply.json()["message"]
                        .as_str()
                        .is_some_and(|text| text.starts_with(message))
            }
            _ => reply.json() == *expected,
        },
    };
    if same {
        Ok(())
    } else {
        Err(format!("{} instead of {expected}", reply.body))
    }
}

/// Puts this server's values in the place of the recorded one's.
fn fill(fixture: &Fixture, text: &str) -> String {
    text.replace("${BASE}", &format!("http://{}", fixture.address))
        .replace("${WORKER}", fixture.server.worker_id())
        .replace("${WORK}", WORK)
}

fn title(page: &str) -> Option<&str> {
    page.split_once("<title>")?
        .1
        .split_once("</title>")
        .map(|(title, _)| title)
}

#[tokio::test]
async fn root() {
    replay(
        include_str!("../data/root.json"),
        RestOptions::default(),
        FakeHerder::default,
    )
    .await;
}

#[tokio::test]
async fn crud() {
    replay(
        include_str!("../data/crud.json"),
        RestOptions::default(),
        FakeHerder::default,
    )
    .await;
}

#[tokio::test]
async fn lifecycle() {
    replay(
        include_str!("../data/lifecycle.json"),
        RestOptions::default(),
        FakeHerder::default,
    )
    .await;
}

#[tokio::test]
async fn loggers() {
    replay(
        include_str!("../data/loggers.json"),
        RestOptions::default(),
        FakeHerder::default,
    )
    .await;
}

#[tokio::test]
async fn topics() {
    replay(
        include_str!("../data/topics.json"),
        RestOptions::default(),
        FakeHerder::default,
    )
    .await;
}

/// A worker whose properties name an origin, response headers, and no admin listeners.
#[tokio::test]
async fn restricted() {
    let mut worker = Props::new();
    worker.insert("admin.listeners", "");
    worker.insert("access.control.allow.origin", "http://ui.example");
    worker.insert("access.control.allow.methods", "GET,PUT,OPTIONS");
    worker.insert(
        "response.http.headers.config",
        "set X-Test: one,add Cache-Control:no-cache",
    );
    let options = RestOptions::from_properties(&worker).expect("valid");
    let herder = || {
        let mut herder = FakeHerder::default();
        herder.topic_tracking_disabled = true;
        herder
    };
    replay(include_str!("../data/restricted.json"), options, herder).await;
}
