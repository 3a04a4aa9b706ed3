use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a scenario led to, normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub name: String,
    /// Records by topic, in offset order.
    pub topics: BTreeMap<String, Vec<Record>>,
    /// Last entry of the offsets topic by key.
    pub offsets: Vec<(String, Option<String>)>,
    /// States before the connectors were stopped; `None` when there were none.
    pub status: Option<Vec<Status>>,
    /// REST calls of the scenario and what they returned.
    pub rest: Vec<Value>,
    /// Queries and their rows.
    pub facts: Vec<(String, Value)>,
    /// How many records there were before equal neighbours were counted once.
    pub raw_records: usize,
    /// Whether the last offset depends on time: with heartbeats, or because the position of an idle slot moves on.
    pub timed: bool,
}

/// One record of a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub partition: i32,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, Option<String>)>,
    /// The `schema` of a key of the form `{"schema":…,"payload":…}`; `key` is the payload then.
    pub key_schema: Option<String>,
    pub value_schema: Option<String>,
}

/// States of a connector and its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub connector: String,
    pub tasks: Vec<String>,
    /// First lines of the traces: shown, not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
}

/// An answer as it is stored: each schema once.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    name: String,
    topics: BTreeMap<String, Vec<StoredRecord>>,
    schemas: BTreeMap<String, String>,
    offsets: Vec<(String, Option<String>)>,
    status: Option<Vec<Status>>,
    rest: Vec<Value>,
    facts: Vec<(String, Value)>,
    #[serde(default)]
    timed: bool,
    raw_records: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredRecord {
    partition: i32,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_schema: Option<String>,
}

impl Answer {
    /// Reads a stored answer.
    ///
    /// # Errors
    /// When it is not one.
    pub fn read(json: &str) -> Result<Self> {
        let stored: Stored = serde_json::from_str(json)?;
        let text = |id: Option<String>| {
            id.map(|id| {
                let text = stored.schemas.get(&id).cloned();
                text.with_context(|| format!("schema {id} is not stored"))
            })
            .transpose()
        };
        let mut topics = BTreeMap::new();
        for (topic, records) in stored.topics {
            let records: Result<Vec<Record>> = records
                .into_iter()
                .map(|record| {
                    Ok(Record {
                        partition: record.partition,
                        key: record.key,
                        value: record.value,
                        headers: record.headers,
                        key_schema: text(record.key_schema)?,
                        value_schema: text(record.value_schema)?,
                    })
                })
                .collect();
            topics.insert(topic, records?);
        }
        Ok(Answer {
            name: stored.name,
            topics,
            offsets: stored.offsets,
            status: stored.status,
            rest: stored.rest,
            facts: stored.facts,
            raw_records: stored.raw_records,
            timed: stored.timed,
        })
    }

    /// The form that [`read`](Self::read) takes.
    ///
    /// # Errors
    /// Never: all keys are texts.
    pub fn write(&self) -> Result<String> {
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        let mut id = |schema: &Option<String>| {
            schema.as_ref().map(|schema| {
                let next = format!("S{}", ids.len() + 1);
                ids.entry(schema.clone()).or_insert(next).clone()
            })
        };
        let mut topics = BTreeMap::new();
        for (topic, records) in &self.topics {
            let records: Vec<_> = records
                .iter()
                .map(|record| StoredRecord {
                    partition: record.partition,
                    key: record.key.clone(),
                    value: record.value.clone(),
                    headers: record.headers.clone(),
                    key_schema: id(&record.key_schema),
                    value_schema: id(&record.value_schema),
                })
                .collect();
            topics.insert(topic.clone(), records);
        }
        let stored = Stored {
            name: self.name.clone(),
            topics,
            schemas: ids.into_iter().map(|(text, id)| (id, text)).collect(),
            offsets: self.offsets.clone(),
            status: self.status.clone(),
            rest: self.rest.clone(),
            facts: self.facts.clone(),
            timed: self.timed,
            raw_records: self.raw_records,
        };
        Ok(serde_json::to_string_pretty(&stored)? + "\n")
    }
}
