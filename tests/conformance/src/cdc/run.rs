use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use millrace_testkit::{RestClient, wait_until};
use serde_json::{Value, json};

use super::connector::{Connector, body_text};
use super::database::Database;
use super::json_text::split_schema;
use super::names::Names;
use super::normalise::Normaliser;
use super::scenario::{Action, RestCall, Start, Step};
use super::servers::OFFSETS_TOPIC;
use super::topics::{Received, Topics};
use super::{Answer, Record, Scenario, Servers};

/// How long any condition may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// After the walsender has sent everything: how long no record may arrive for all to have arrived.
const SILENCE: Duration = Duration::from_millis(250);
/// How long records that are expected may stay away after the last one that came.
const STALL: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(40);

/// Runs a scenario and returns what it led to. How many records and which facts are expected tells what to wait for.
///
/// # Errors
/// When a step fails or a condition does not come about; the error names it. What the scenario made is removed either way.
pub async fn run(
    servers: &Servers,
    scenario: &Scenario,
    expected_records: usize,
    expected_facts: &[(String, Value)],
) -> Result<Answer> {
    let names = Names::new(
        &servers.bootstrap,
        servers.postgres.host(),
        servers.postgres.port(),
    );
    let database = Database::create(servers.postgres, names.get("db")).await?;
    let topics = Topics::new(servers.log.as_ref(), &names.id);
    let offsets_start = topics.end_of(OFFSETS_TOPIC).await?;
    let mut connectors = vec![Connector::new(&names, false)];
    connectors[0].change(&names, &scenario.config)?;
    let mut run = Run {
        rest: servers.rest(),
        scenario,
        expected_records: expected_records as i64,
        expected_facts,
        names: &names,
        database,
        topics,
        connectors,
        created: 0,
        calls: Vec::new(),
        facts: Vec::new(),
        offsets_start,
    };
    let outcome = run.go().await;
    let removed = run.remove().await;
    let answer = outcome?;
    removed.context("removing what the scenario made")?;
    Ok(answer)
}

struct Run<'a> {
    rest: &'a RestClient,
    scenario: &'a Scenario,
    expected_records: i64,
    expected_facts: &'a [(String, Value)],
    names: &'a Names,
    database: Database,
    topics: Topics<'a>,
    connectors: Vec<Connector>,
    /// How many of `connectors` exist.
    created: usize,
    calls: Vec<Value>,
    facts: Vec<(String, Value)>,
    /// Where the offsets topic ended before.
    offsets_start: i64,
}

impl Run<'_> {
    async fn go(&mut self) -> Result<Answer> {
        let scenario = self.scenario;
        if let Some(order) = &scenario.order {
            bail!("this runner cannot compare records in the order '{order}'");
        }
        for step in &scenario.setup {
            self.step(step).await?;
        }
        let made = self.start().await?;
        for step in &scenario.steps {
            self.step(step).await?;
        }
        if made && scenario.final_drain {
            self.drain(true).await?;
        }
        let mut status = Vec::new();
        for connector in &self.connectors[..self.created] {
            status.push(connector.status(self.rest).await?);
        }
        for connector in &self.connectors[..self.created] {
            connector.call(self.rest, "stop").await?;
        }
        for connector in &self.connectors[..self.created] {
            connector.wait_state(self.rest, "STOPPED").await?;
        }
        let mut answer = self.collect().await?;
        for message in status.iter_mut().flat_map(|s| &mut s.messages) {
            *message = self.names.hide(message);
        }
        answer.status = (self.created > 0).then_some(status);
        Ok(answer)
    }

    /// Makes the first connector and waits for what the scenario wants; whether there is one.
    async fn start(&mut self) -> Result<bool> {
        let start = self.scenario.start;
        if start == Start::None || !self.create(0).await? {
            return Ok(false);
        }
        let connector = &self.connectors[0];
        match start {
            Start::Streaming => self.wait_streaming(0, None).await?,
            Start::Running => connector.wait_started(self.rest).await?,
            Start::Idle => {
                connector.wait_state(self.rest, "RUNNING").await?;
                let topics = &mut self.topics;
                wait_until(PATIENCE, "the first record arrives", async || {
                    Ok((topics.count(|_| true).await? > 0).then_some(()))
                })
                .await?;
                self.drain(false).await?;
            }
            Start::None => {}
        }
        Ok(true)
    }

    async fn create(&mut self, n: usize) -> Result<bool> {
        let reply = self.connectors[n].put(self.rest).await?;
        if !reply.status.is_success() {
            self.calls.push(json!({
                "call": "create", "status": reply.status.as_u16(), "body": body_text(&reply),
            }));
            return Ok(false);
        }
        self.created = n + 1;
        Ok(true)
    }

    async fn step(&mut self, step: &Step) -> Result<()> {
        let names = self.names;
        match step {
            Step::Sql(sql) => self.database.execute("main", &names.fill(sql)?).await,
            Step::Statement(step) => {
                let sql = names.fill(&step.sql)?;
                self.database.execute(&step.conn, &sql).await
            }
            Step::Copy(step) => {
                self.database
                    .copy(&names.fill(&step.copy)?, &step.data)
                    .await
            }
            Step::Pause(_) => self.pause().await,
            Step::Rest(step) => self.call(step).await,
            Step::WaitState(step) => {
                self.connectors[0]
                    .wait_state(self.rest, &step.wait_state)
                    .await
            }
            Step::Update(step) => {
                let slot = self.connectors[0].slot().to_owned();
                let before = self.database.walsender(&slot).await?;
                self.connectors[0].change(names, &step.update)?;
                if self.create(0).await? {
                    self.wait_streaming(0, before).await?;
                }
                Ok(())
            }
            Step::WaitCount(step) => {
                let topic = step
                    .topic
                    .as_deref()
                    .map(|topic| names.fill(topic))
                    .transpose()?;
                let counts = |name: &str| topic.as_deref().is_none_or(|topic| topic == name);
                let what = format!("{} records in {topic:?}", step.wait_count);
                let topics = &mut self.topics;
                wait_until(PATIENCE, &what, async || {
                    Ok((topics.count(counts).await? >= step.wait_count).then_some(()))
                })
                .await
            }
            Step::Produce(step) => {
                let mut record = step.produce.clone();
                record.topic = names.fill(&record.topic)?;
                record.key = record.key.map(|key| names.fill(&key)).transpose()?;
                record.value = record.value.map(|value| names.fill(&value)).transpose()?;
                self.topics.produce(&record).await
            }
            Step::Facts(step) => {
                for query in &step.facts {
                    self.fact(query).await?;
                }
                Ok(())
            }
            Step::Validate(step) => {
                let entry = self.connectors[0].validate(names, self.rest, step).await?;
                self.calls.push(entry);
                Ok(())
            }
            Step::DropSlot(_) => self.database.drop_slot(names.get("slot")).await,
            Step::KillWalsender(_) => self.database.kill_walsender(names.get("slot")).await,
            Step::Do(step) => match step.action {
                Action::Drain => self.drain(false).await,
                Action::Stop => self.stop().await,
                Action::WaitStreaming => self.wait_streaming(0, None).await,
                Action::RestartClean => {
                    self.stop().await?;
                    self.connectors[0].call(self.rest, "resume").await?;
                    self.wait_streaming(0, None).await
                }
                Action::Create2 => {
                    let mut second = Connector::new(names, true);
                    second.change(names, &self.scenario.config2)?;
                    self.connectors.push(second);
                    if self.create(1).await? {
                        self.wait_streaming(1, None).await?;
                    }
                    Ok(())
                }
            },
        }
    }

    async fn call(&mut self, step: &RestCall) -> Result<()> {
        let text = |n: usize| step.rest.get(n).and_then(Value::as_str);
        let (Some(method), Some(path)) = (text(0), text(1)) else {
            bail!("rest: [METHOD, PATH, BODY]: {:?}", step.rest);
        };
        let path = self.names.fill(path)?;
        let body = match step.rest.get(2) {
            Some(body) => Some(serde_json::from_str(&self.names.fill(&body.to_string())?)?),
            None => None,
        };
        let reply = match (method, body) {
            ("GET", None) => self.rest.get(&path).await?,
            ("DELETE", None) => self.rest.delete(&path).await?,
            ("PUT", None) => self.rest.put_empty(&path).await?,
            ("PUT", Some(body)) => self.rest.put(&path, &body).await?,
            ("POST", body) => self.rest.post(&path, &body.unwrap_or(Value::Null)).await?,
            ("PATCH", Some(body)) => self.rest.patch(&path, &body).await?,
            _ => bail!("rest: {method} with or without a body: {:?}", step.rest),
        };
        let mut entry =
            json!({"call": format!("{method} {path}"), "status": reply.status.as_u16()});
        if step.body {
            entry["body"] = body_text(&reply).into();
        }
        self.calls.push(entry);
        if let Some(state) = &step.wait_state {
            self.connectors[0].wait_state(self.rest, state).await?;
        }
        Ok(())
    }

    /// Some facts take time to come about, so what was recorded is waited for; what is there in the end counts.
    async fn fact(&mut self, query: &str) -> Result<()> {
        let sql = self.names.fill(query)?;
        let expected = self
            .expected_facts
            .get(self.facts.len())
            .map(|(_, rows)| rows);
        let deadline = Instant::now() + STALL;
        let rows = loop {
            let rows = self.database.rows(&sql).await?;
            let rows: Value = serde_json::from_str(&self.names.hide(&rows.to_string()))?;
            if expected.is_none_or(|expected| *expected == rows) || Instant::now() >= deadline {
                break rows;
            }
            tokio::time::sleep(LOOK).await;
        };
        self.facts.push((query.to_owned(), rows));
        Ok(())
    }

    /// Time for periodic records to be written: each of their topics grows by two. Where nothing periodic happens there is nothing to wait for.
    async fn pause(&mut self) -> Result<()> {
        for part in &self.scenario.collapse {
            let names = self.names;
            let topics = &mut self.topics;
            let periodic = |topic: &str| names.hide(topic).contains(part.as_str());
            let before = topics.count(periodic).await?;
            wait_until(PATIENCE, &format!("{part} grows"), async || {
                Ok((topics.count(periodic).await? >= before + 2).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        let connector = &self.connectors[0];
        connector.call(self.rest, "stop").await?;
        connector.wait_state(self.rest, "STOPPED").await?;
        self.database.wait_slot_free(connector.slot()).await
    }

    /// Waits until a server process other than `before` streams changes to a connector.
    async fn wait_streaming(&mut self, n: usize, before: Option<i32>) -> Result<()> {
        let (connector, rest) = (&self.connectors[n], self.rest);
        let database = &mut self.database;
        wait_until(PATIENCE, "the connector streams", async || {
            let walsender = database.walsender(connector.slot()).await?;
            if walsender.is_some() && walsender != before {
                return Ok(Some(()));
            }
            connector.check(rest).await?;
            Ok(None)
        })
        .await
    }

    /// Waits until all that was done has arrived in Kafka; in the end (`all`), as many records as were recorded.
    async fn drain(&mut self, all: bool) -> Result<()> {
        self.database.wait_sent(&self.names.id).await?;
        if !self.scenario.collapse.is_empty() {
            return self.pause().await;
        }
        let (mut count, mut since) = (self.topics.count(|_| true).await?, Instant::now());
        loop {
            let patience = if all && count < self.expected_records {
                STALL
            } else {
                SILENCE
            };
            if since.elapsed() >= patience {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
            let now = self.topics.count(|_| true).await?;
            if now != count {
                (count, since) = (now, Instant::now());
            }
        }
    }

    async fn collect(&mut self) -> Result<Answer> {
        let received = self.topics.read().await?;
        let offsets = self
            .topics
            .last_values(OFFSETS_TOPIC, self.offsets_start)
            .await?;
        let unranked = match self.scenario.normalise.lsn.as_deref() {
            None => false,
            Some("drop") => true,
            Some(other) => bail!("normalise.lsn is 'drop' or not there: {other}"),
        };
        let mut normaliser = Normaliser::new(self.names, unranked);
        for record in received.values().flatten() {
            record.value.iter().for_each(|value| normaliser.note(value));
        }
        let raw_records = received.values().map(Vec::len).sum();
        let mut topics = BTreeMap::new();
        for (topic, records) in received {
            let topic = self.names.hide(&topic);
            let mut records: Vec<Record> = records
                .into_iter()
                .map(|record| self.record(&mut normaliser, record))
                .collect();
            if self
                .scenario
                .collapse
                .iter()
                .any(|part| topic.contains(part))
            {
                records.dedup();
            }
            topics.insert(topic, records);
        }
        let offset = |(key, value): (String, Option<String>)| {
            (
                self.names.hide(&key),
                value.map(|value| normaliser.offset(&value)),
            )
        };
        let calls = Value::Array(std::mem::take(&mut self.calls));
        Ok(Answer {
            name: self.scenario.name.clone(),
            topics,
            offsets: offsets.into_iter().map(offset).collect(),
            status: None,
            rest: serde_json::from_str(&self.names.hide(&calls.to_string()))?,
            facts: std::mem::take(&mut self.facts),
            raw_records,
            timed: !self.scenario.collapse.is_empty(),
        })
    }

    fn record(&self, normaliser: &mut Normaliser<'_>, record: Received) -> Record {
        let part = |text: Option<String>| match text.as_deref().map(split_schema) {
            Some((schema, payload)) => (
                schema.map(|schema| self.names.hide(schema)),
                Some(normaliser.payload(payload)),
            ),
            None => (None, None),
        };
        let (key_schema, key) = part(record.key);
        let (value_schema, value) = part(record.value);
        let headers = record.headers.into_iter();
        let headers = headers.map(|(name, value)| {
            let value = value.map(|value| normaliser.header(&name, &value));
            (self.names.hide(&name), value)
        });
        Record {
            partition: record.partition,
            key,
            value,
            headers: headers.collect(),
            key_schema,
            value_schema,
        }
    }

    async fn remove(self) -> Result<()> {
        for connector in &self.connectors[..self.created] {
            self.rest
                .delete(&format!("/connectors/{}", connector.name))
                .await?;
        }
        self.database.drop(&self.names.id).await
    }
}
