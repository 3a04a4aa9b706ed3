//! The scenario's connectors, through the REST API.

use anyhow::{Context as _, Result, bail};
use millrace_testkit::{Reply, RestClient, wait_until};
use serde_json::{Map, Value, json};

use super::Status;
use super::names::Names;
use super::run::PATIENCE;
use super::scenario::{Overlay, Validate};
use super::servers::JSON_CONVERTER;

pub(super) const CLASS: &str = "io.debezium.connector.postgresql.PostgresConnector";

/// One connector: its name and present configuration.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) name: String,
    config: Map<String, Value>,
}

impl Connector {
    /// The runner's own configuration. A `second` connector has the same database, and names of its own.
    pub(super) fn new(names: &Names, second: bool) -> Self {
        let suffix = if second { "_2" } else { "" };
        let named = |name: &str| format!("{}{suffix}", names.get(name));
        let config = json!({
            "connector.class": CLASS,
            "tasks.max": "1",
            "database.hostname": names.get("host"),
            "database.port": names.get("port"),
            "database.user": "postgres",
            "database.password": "x",
            "database.dbname": names.get("db"),
            "topic.prefix": named("prefix"),
            "plugin.name": "pgoutput",
            "slot.name": named("slot"),
            "publication.name": named("pub"),
            "poll.interval.ms": "100",
            "slot.retry.delay.ms": "400",
            "key.converter": JSON_CONVERTER,
            "value.converter": JSON_CONVERTER,
        });
        let Value::Object(config) = config else {
            unreachable!("it is written as an object")
        };
        Connector {
            name: names.get(if second { "name2" } else { "name" }).to_owned(),
            config,
        }
    }

    /// Sets and removes keys.
    pub(super) fn change(&mut self, names: &Names, overlay: &Overlay) -> Result<()> {
        for (key, value) in overlay {
            let key = names.fill(key)?;
            match value {
                Some(value) => self.config.insert(key, names.fill(value)?.into()),
                None => self.config.remove(&key),
            };
        }
        Ok(())
    }

    pub(super) fn slot(&self) -> &str {
        self.config["slot.name"].as_str().unwrap_or_default()
    }

    /// Creates the connector or gives it its present configuration.
    pub(super) async fn put(&self, rest: &RestClient) -> Result<Reply> {
        let path = format!("/connectors/{}/config", self.name);
        rest.put(&path, &Value::Object(self.config.clone())).await
    }

    pub(super) async fn call(&self, rest: &RestClient, action: &str) -> Result<()> {
        let path = format!("/connectors/{}/{action}", self.name);
        rest.put_empty(&path).await?.success()?;
        Ok(())
    }

    /// What validating the configuration says: number of errors, errors by key and, if asked for, the definitions.
    pub(super) async fn validate(
        &self,
        names: &Names,
        rest: &RestClient,
        step: &Validate,
    ) -> Result<Value> {
        let mut changed = self.clone();
        changed.change(names, &step.validate)?;
        changed
            .config
            .insert("name".to_owned(), self.name.clone().into());
        let path = format!("/connector-plugins/{CLASS}/config/validate");
        let reply = rest.put(&path, &Value::Object(changed.config)).await?;
        let mut entry =
            json!({"call": "validate", "with": step.validate, "status": reply.status.as_u16()});
        if !reply.status.is_success() {
            entry["body"] = body_text(&reply).into();
            return Ok(entry);
        }
        let configs = reply.body["configs"]
            .as_array()
            .context("configs is a list")?;
        let errors: Map<String, Value> = configs
            .iter()
            .map(|config| &config["value"])
            .filter(|value| {
                value["errors"]
                    .as_array()
                    .is_some_and(|errors| !errors.is_empty())
            })
            .map(|value| {
                let name = value["name"].as_str().unwrap_or_default();
                (name.to_owned(), value["errors"].clone())
            })
            .collect();
        entry["error_count"] = reply.body["error_count"].clone();
        entry["errors"] = errors.into();
        if step.definitions {
            // Every part but the documentation.
            const PARTS: [&str; 10] = [
                "name",
                "type",
                "required",
                "default_value",
                "importance",
                "group",
                "order_in_group",
                "width",
                "display_name",
                "dependents",
            ];
            let parts = |config: &Value| -> Map<String, Value> {
                let definition = &config["definition"];
                PARTS
                    .iter()
                    .map(|part| ((*part).to_owned(), definition[*part].clone()))
                    .collect()
            };
            entry["definitions"] = configs.iter().map(parts).map(Value::Object).collect();
            entry["groups"] = reply.body["groups"].clone();
        }
        Ok(entry)
    }

    pub(super) async fn status(&self, rest: &RestClient) -> Result<Status> {
        let reply = rest
            .get(&format!("/connectors/{}/status", self.name))
            .await?;
        let tasks = reply.body["tasks"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let state = |of: &Value| of["state"].as_str().unwrap_or_default().to_owned();
        let traces = std::iter::once(&reply.body["connector"]).chain(tasks);
        Ok(Status {
            connector: state(&reply.body["connector"]),
            tasks: tasks.iter().map(state).collect(),
            messages: traces
                .filter_map(|of| of["trace"].as_str()?.lines().next())
                .map(ToOwned::to_owned)
                .collect(),
        })
    }

    /// Waits until connector and tasks are in `state`; STOPPED has no tasks, FAILED is one of them.
    pub(super) async fn wait_state(&self, rest: &RestClient, state: &str) -> Result<()> {
        let what = format!("connector {} is {state}", self.name);
        self.wait(rest, &what, |status| match state {
            "STOPPED" => status.connector == state && status.tasks.is_empty(),
            "FAILED" => failed(status),
            _ => {
                status.connector == state
                    && !status.tasks.is_empty()
                    && status.tasks.iter().all(|task| task == state)
            }
        })
        .await
    }

    /// Waits until the first task runs or has failed.
    pub(super) async fn wait_started(&self, rest: &RestClient) -> Result<()> {
        let what = format!("the task of {} has started", self.name);
        self.wait(rest, &what, |status| {
            failed(status) || status.tasks.iter().any(|task| task == "RUNNING")
        })
        .await
    }

    async fn wait(
        &self,
        rest: &RestClient,
        what: &str,
        holds: impl Fn(&Status) -> bool,
    ) -> Result<()> {
        wait_until(PATIENCE, what, async || {
            let status = self.status(rest).await?;
            if holds(&status) {
                return Ok(Some(()));
            }
            self.refuse_failure(&status)?;
            Ok(None)
        })
        .await
    }

    /// An error when the connector has failed: what is waited for will not come.
    pub(super) async fn check(&self, rest: &RestClient) -> Result<()> {
        self.refuse_failure(&self.status(rest).await?)
    }

    fn refuse_failure(&self, status: &Status) -> Result<()> {
        if failed(status) {
            bail!(
                "connector {} failed: {}",
                self.name,
                status.messages.join("; ")
            );
        }
        Ok(())
    }
}

fn failed(status: &Status) -> bool {
    status.connector == "FAILED" || status.tasks.iter().any(|task| task == "FAILED")
}

/// The body as text.
pub(super) fn body_text(reply: &Reply) -> String {
    match &reply.body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        body => body.to_string(),
    }
}
