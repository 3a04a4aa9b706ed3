//! One case on a real worker.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use java_idioms::Json;
use millrace_testkit::{Database, RestClient, unique, wait_until};
use serde_json::{Map, Value, json};

use super::answer::collect;
use super::servers::{Node, Servers};
use crate::topic_ends::TopicEnds;

/// How long any condition may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A case, taken apart.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) id: &'a str,
    pub(super) settings: Vec<(&'a str, &'a str)>,
    /// Topic of each table.
    pub(super) topics: Vec<String>,
    prefix: &'a str,
    compatibility: &'a str,
    /// By step: at least how many records each topic then has, by index in `topics`.
    counts: Vec<Vec<(usize, i64)>>,
    steps: Vec<Vec<&'a str>>,
}

impl<'a> Case<'a> {
    fn parse(json: &'a Json) -> Result<Self> {
        let text = |member: &str| {
            json.get(member)
                .and_then(Json::as_str)
                .with_context(|| format!("a case has a `{member}`"))
        };
        let list = |member: &str| {
            json.get(member)
                .and_then(Json::as_array)
                .with_context(|| format!("a case has `{member}`"))
        };
        let settings = json
            .get("connector")
            .and_then(Json::as_object)
            .context("a case has a `connector`")?
            .iter()
            .map(|(key, value)| Ok((&**key, value.as_str().context("a setting is a string")?)))
            .collect::<Result<Vec<_>>>()?;
        let prefix = settings
            .iter()
            .find(|(key, _)| *key == "topic.prefix")
            .map(|(_, value)| *value)
            .context("a connector has a topic.prefix")?;
        let tables = list("tables")?
            .iter()
            .map(|table| table.as_str().context("a table is a string"))
            .collect::<Result<Vec<_>>>()?;
        let counts = list("counts")?
            .iter()
            .map(|counts| {
                let counts = counts.as_object().context("counts are by table")?;
                counts
                    .iter()
                    .map(|(name, count)| {
                        let of = |table: &&str| {
                            table.rsplit_once('.').map_or(*table, |(_, name)| name) == &**name
                        };
                        let table = tables
                            .iter()
                            .position(of)
                            .with_context(|| format!("`{name}` is one of the tables"))?;
                        Ok((table, count.as_i64().context("a count is a number")?))
                    })
                    .collect()
            })
            .collect::<Result<Vec<_>>>()?;
        let steps = list("steps")?
            .iter()
            .map(|step| {
                step.as_array()
                    .context("a step is a list")?
                    .iter()
                    .map(|sql| sql.as_str().context("a statement is a string"))
                    .collect()
            })
            .collect::<Result<Vec<_>>>()?;
        ensure!(
            !steps.is_empty() && steps.len() == counts.len(),
            "a case has as many counts as steps"
        );
        Ok(Self {
            id: text("id")?,
            topics: tables
                .iter()
                .map(|table| format!("{prefix}.{}", topic_name(table)))
                .collect(),
            settings,
            prefix,
            compatibility: text("compatibility")?,
            counts,
            steps,
        })
    }

    /// What the case leaves open: the database, the slot, the publication, the registry.
    fn connector(&self, database: &Database, registry: &str, id: &str) -> Value {
        let mut config = Map::new();
        let mut set = |key: &str, value: &str| config.insert(key.to_owned(), json!(value));
        set("plugin.name", "pgoutput");
        for (key, value) in &self.settings {
            set(key, value);
        }
        set("database.hostname", database.host);
        set("database.port", &database.port.to_string());
        set("database.user", "postgres");
        set("database.password", "secret-of-the-source");
        set("database.dbname", &database.name);
        set("slot.name", id);
        set("slot.drop.on.stop", "true");
        set("status.update.interval.ms", "100");
        set("publication.name", id);
        set("publication.autocreate.mode", "filtered");
        set("key.converter.schema.registry.url", registry);
        set("value.converter.schema.registry.url", registry);
        Value::Object(config)
    }
}

/// Characters that no topic name has become `_`.
fn topic_name(table: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    table
        .chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

/// Runs a case; the answer has the recorded form.
///
/// # Errors
/// The case is malformed, a statement or the connector fails, or its records do not come.
pub async fn answer(servers: &Servers, case: &Json) -> Result<Json> {
    let case = Case::parse(case)?;
    let node = servers.of(case.compatibility)?;
    let id = unique("conv");
    let database = servers.postgres.create_database("conv").await?;
    let sql = database.connect().await?;
    let mut topics = TopicEnds::new(node.log.as_ref(), &format!("{}.", case.prefix));
    for (index, step) in case.steps.iter().enumerate() {
        // The connector reads the catalog when it meets a table that has changed. Held, it sees the catalog as the whole step has left it, whoever is faster.
        let held = match index {
            0 => None,
            _ => Some(node.hold().await?),
        };
        for statement in step {
            sql.batch_execute(statement)
                .await
                .with_context(|| format!("SQL: {statement}"))?;
        }
        drop(held);
        if index == 0 {
            let config = case.connector(&database, &node.registry, &id);
            node.worker.rest().create_connector(&id, &config).await?;
        }
        let what = format!("{}: all records of step {index} are there", case.id);
        wait_until(PATIENCE, &what, async || {
            must_run(node.worker.rest(), &id).await?;
            let ends = topics.ends().await?;
            let enough = case.counts[index].iter().all(|(topic, count)| {
                let have: i64 = ends
                    .iter()
                    .filter(|(at, _)| *at.topic == *case.topics[*topic])
                    .map(|(_, end)| end)
                    .sum();
                have >= *count
            });
            Ok(enough.then_some(()))
        })
        .await?;
    }
    // The slot never moves beyond what is delivered, and with nothing left to send it moves to the end.
    let end: String = sql
        .query_one("select pg_current_wal_flush_lsn()::text", &[])
        .await?
        .get(0);
    let reached = format!(
        "select count(*) from pg_replication_slots where slot_name = '{id}' and confirmed_flush_lsn >= '{end}'"
    );
    let what = format!("{}: everything is delivered", case.id);
    wait_until(PATIENCE, &what, async || {
        must_run(node.worker.rest(), &id).await?;
        let count: i64 = sql.query_one(&reached, &[]).await?.get(0);
        Ok((count > 0).then_some(()))
    })
    .await?;
    let ends = topics.ends().await?;
    let answer = collect(&case, node, ends).await?;
    remove(node, &id).await?;
    Ok(answer)
}

/// Fails with the trace as soon as the task has failed.
async fn must_run(rest: &RestClient, name: &str) -> Result<()> {
    let status = rest.get(&format!("/connectors/{name}/status")).await?.body;
    let tasks = status["tasks"].as_array();
    for task in tasks.into_iter().flatten() {
        if task["state"] == "FAILED" {
            bail!(
                "the task has failed: {}",
                task["trace"].as_str().unwrap_or_default()
            );
        }
    }
    Ok(())
}

async fn remove(node: &Node, name: &str) -> Result<()> {
    let reply = node
        .worker
        .rest()
        .delete(&format!("/connectors/{name}"))
        .await?;
    ensure!(reply.status.is_success(), "{}", reply.body);
    Ok(())
}
