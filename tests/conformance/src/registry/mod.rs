//! Requests to Confluent's schema registry and what it answered, in `registry/GROUP.cases.jsonl` and `.answers.json`, and the runner that puts the same requests to ours.
//!
//! A group is an ordered list of requests to a registry that is empty at first. Of some groups the registry's topic is recorded as well, in `GROUP.schemas-topic.jsonl`.

mod compare;
mod http;
mod node;
mod replay;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use java_idioms::Json;
use java_idioms::json::ReadOptions;

pub use compare::difference;
pub use node::{Node, TopicRecord, fresh_registry};
pub use replay::{Answered, reads, replay};

/// Where the groups lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("registry")
}

/// Names of all groups, sorted.
///
/// # Errors
/// The folder cannot be read.
pub fn groups() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder())? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .and_then(|name| name.strip_suffix(".cases.jsonl"))
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

/// A group's requests.
///
/// # Errors
/// The file cannot be read.
pub fn cases(group: &str) -> Result<Vec<Json>> {
    lines(&folder().join(format!("{group}.cases.jsonl")))
}

/// A group's recorded answers, in the order of its requests.
///
/// # Errors
/// The file cannot be read.
pub fn answers(group: &str) -> Result<Vec<Json>> {
    let path = folder().join(format!("{group}.answers.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    match Json::read(&text, ReadOptions::default())? {
        Json::Array(all) => Ok(all),
        _ => anyhow::bail!("{} is no list", path.display()),
    }
}

/// The records of a group's topic in their order; `None` when they are not recorded.
///
/// # Errors
/// The file cannot be read.
pub fn topic(group: &str) -> Result<Option<Vec<TopicRecord>>> {
    let path = folder().join(format!("{group}.schemas-topic.jsonl"));
    if !path.exists() {
        return Ok(None);
    }
    let text =
        |json: &Json, member: &str| json.get(member).and_then(Json::as_str).map(str::to_owned);
    let record = |json: &Json| {
        Ok(TopicRecord {
            key: text(json, "key").context("a record has a key")?,
            value: text(json, "value"),
        })
    };
    lines(&path)?
        .iter()
        .map(record)
        .collect::<Result<_>>()
        .map(Some)
}

fn lines(path: &Path) -> Result<Vec<Json>> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            Json::read(line, ReadOptions::default())
                .with_context(|| format!("a line of {}", path.display()))
        })
        .collect()
}
