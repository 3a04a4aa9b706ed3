use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::wait_until;

/// How long a connector may take to reach a state.
const STATE_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer: status and body. The body is `Null` when it is empty, a `String` when it is not JSON (`/metrics`).
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub status: StatusCode,
    pub body: Value,
}

impl Reply {
    /// The body of a 2xx answer.
    ///
    /// # Errors
    /// For any other status, with the body.
    pub fn success(self) -> Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        bail!("{}: {}", self.status, self.body)
    }
}

/// Connect's REST interface of one worker. Paths begin with a slash.
#[derive(Debug, Clone)]
pub struct RestClient {
    base: String,
    client: reqwest::Client,
}

impl RestClient {
    /// `base`: `http://127.0.0.1:8083`
    pub fn new(base: impl Into<String>) -> Self {
        RestClient {
            base: base.into(),
            client: reqwest::Client::new(),
        }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// # Errors
    /// When there is no answer at all; a 4xx or 5xx is an answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, None).await
    }

    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    /// # Errors
    /// As [`get`](Self::get).
    pub async fn put(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(Method::PUT, path, Some(body.to_string())).await
    }

    /// A PUT without a body: `/connectors/NAME/pause`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn put_empty(&self, path: &str) -> Result<Reply> {
        self.send(Method::PUT, path, None).await
    }

    /// # Errors
    /// As [`get`](Self::get).
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(Method::PATCH, path, Some(body.to_string())).await
    }

    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete(&self, path: &str) -> Result<Reply> {
        self.send(Method::DELETE, path, None).await
    }

    /// Any request; a body is sent as it is, as `application/json`, so that malformed JSON can be sent too.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> Result<Reply> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let response = request
            .send()
            .await
            .with_context(|| format!("{method} {}{path}", self.base))?;
        let status = response.status();
        let text = response
            .text()
            .await
            .with_context(|| format!("{method} {}{path}: the body", self.base))?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok(Reply { status, body })
    }

    /// `POST /connectors`; `config` without `name`. Returns the answer's body.
    ///
    /// # Errors
    /// When it is not 201.
    pub async fn create_connector(&self, name: &str, config: &Value) -> Result<Value> {
        let reply = self
            .post("/connectors", &json!({ "name": name, "config": config }))
            .await?;
        if reply.status != StatusCode::CREATED {
            bail!(
                "creating connector {name}: {}: {}",
                reply.status,
                reply.body
            );
        }
        Ok(reply.body)
    }

    /// Waits until the connector and exactly `tasks` tasks are in `state` (`"RUNNING"`, `"PAUSED"`, ...); returns the status.
    ///
    /// # Errors
    /// When that takes longer than a minute; the error has the last status with its trace.
    pub async fn wait_connector_state(
        &self,
        name: &str,
        state: &str,
        tasks: usize,
    ) -> Result<Value> {
        let what = format!("connector {name} and its {tasks} tasks are {state}");
        self.wait_status(name, &what, |status| {
            let all = status["tasks"].as_array();
            status["connector"]["state"] == state
                && all.is_some_and(|all| {
                    all.len() == tasks && all.iter().all(|task| task["state"] == state)
                })
        })
        .await
    }

    /// Waits until task `task` is in `state`, whatever the others do; returns that task's part of the status (with its `trace` when FAILED).
    ///
    /// # Errors
    /// When that takes longer than a minute; the error has the last status.
    pub async fn wait_task_state(&self, name: &str, task: u64, state: &str) -> Result<Value> {
        let what = format!("task {task} of connector {name} is {state}");
        let find = |status: &Value| {
            status["tasks"]
                .as_array()?
                .iter()
                .find(|one| one["id"] == task && one["state"] == state)
                .cloned()
        };
        let status = self
            .wait_status(name, &what, |status| find(status).is_some())
            .await?;
        find(&status).context("the task is there")
    }

    async fn wait_status(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let path = format!("/connectors/{name}/status");
        let started = Instant::now();
        let mut last = None;
        let outcome = wait_until(STATE_TIMEOUT, what, async || {
            let reply = self.get(&path).await?;
            // 404 until the status store has caught up.
            let found =
                (reply.status.is_success() && holds(&reply.body)).then(|| reply.body.clone());
            last = Some(reply);
            Ok(found)
        })
        .await;
        outcome.with_context(|| {
            format!(
                "after {:.1?} GET {path} says {}",
                started.elapsed(),
                describe(last.as_ref())
            )
        })
    }
}

fn describe(reply: Option<&Reply>) -> String {
    reply.map_or_else(
        || "nothing".to_owned(),
        |reply| format!("{}: {:#}", reply.status, reply.body),
    )
}
