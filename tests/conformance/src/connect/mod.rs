//! REST calls and what a worker of Kafka Connect 4.3.1 answered, in `connect/AREA.json`.
//!
//! A call is replayed as it was made. Status, the headers in [`COMPARED_HEADERS`] and the body are compared; what differs between any two
//! workers (addresses, versions, cluster, the list of their plugins, the words of documentation and of the JVM's own messages) is
//! [masked](mask) on both sides. Calls that need a plugin that is not built are listed with the reason and not made.

mod mask;
mod replay;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

pub use replay::{COMPARED_HEADERS, replay};

/// A file of `connect`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    #[serde(rename = "area")]
    pub name: String,
    pub scenarios: Vec<Scenario>,
}

/// Calls in order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(rename = "scenario")]
    pub name: String,
    pub steps: Vec<Step>,
}

/// One call. Texts may hold `${BASE}`, `${WORKER}`, `${WORK}` and `${GROUP}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub name: String,
    pub method: String,
    pub path: String,
    /// Null: the header is not sent, not even by default.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    /// A JSON body; `Some(Null)` is the text `null`.
    #[serde(default, deserialize_with = "present")]
    pub body: Option<Value>,
    /// A body as it is sent.
    pub raw: Option<String>,
    /// Why the call is not made.
    pub out: Option<String>,
    pub answer: Option<Answer>,
}

/// What the Java worker answered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// `None`: the body is not compared; `Some(Null)`: there is none.
    #[serde(default, deserialize_with = "present")]
    pub body: Option<Value>,
}

/// Tells a null from a member that is not there.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads `connect/NAME.json`.
///
/// # Errors
/// When it cannot be read, or a step has neither or both of an answer and a reason to be out.
pub fn area(name: &str) -> Result<Area> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("connect/{name}.json"));
    let read = || -> Result<Area> {
        let area: Area = serde_json::from_str(&fs::read_to_string(&path)?)?;
        for step in area.scenarios.iter().flat_map(|s| &s.steps) {
            ensure!(
                step.out.is_some() != step.answer.is_some(),
                "step '{}' needs an answer or a reason to be out",
                step.name
            );
        }
        Ok(area)
    };
    read().with_context(|| path.display().to_string())
}
