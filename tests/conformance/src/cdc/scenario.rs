use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A file of `cdc/scenarios`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioFile {
    #[expect(dead_code, reason = "for readers of the file")]
    area: String,
    pub(super) scenarios: Vec<Scenario>,
}

/// What to do with a database and a connector. Texts may hold placeholders: `{{prefix}}`, `{{slot}}`, … (see [`names`](super::names)).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// Steps before the connector exists.
    #[serde(default)]
    pub(super) setup: Vec<Step>,
    /// Added to the runner's own connector configuration; null removes a key.
    #[serde(default)]
    pub(super) config: Overlay,
    /// The same for a second connector (`{"do": "create2"}`).
    #[serde(default)]
    pub(super) config2: Overlay,
    /// What to wait for after creating the connector.
    #[serde(default)]
    pub(super) start: Start,
    #[serde(default)]
    pub(super) steps: Vec<Step>,
    /// Whether to wait for everything before the connector is stopped.
    #[serde(default = "yes")]
    pub(super) final_drain: bool,
    /// Parts of names of topics whose number of records depends on time: equal neighbours count once.
    #[serde(default)]
    pub(super) collapse: Vec<String>,
    #[serde(default)]
    pub(super) normalise: NormaliseOptions,
    /// How long a scenario has to be silent on a system that cannot be asked; conditions are waited for here.
    #[serde(default, rename = "quiet")]
    _quiet: Option<f64>,
    /// `unordered`: the order of arrival is not defined.
    #[serde(default)]
    pub(super) order: Option<String>,
}

/// Configuration keys to set, or (null) to remove.
pub(super) type Overlay = BTreeMap<String, Option<String>>;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Start {
    /// A walsender streams for the slot.
    #[default]
    Streaming,
    /// The task runs or has failed.
    Running,
    /// The task runs, has sent something and is silent.
    Idle,
    /// No connector is made.
    None,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct NormaliseOptions {
    /// `drop`: positions, transactions and times have no rank, because their number depends on time.
    #[serde(default)]
    pub(super) lsn: Option<String>,
}

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Step {
    /// A statement in the session `main`.
    Sql(String),
    Statement(Statement),
    Copy(Copy),
    Pause(#[expect(dead_code, reason = "only its presence counts")] Pause),
    Rest(RestCall),
    WaitState(WaitState),
    Update(Update),
    WaitCount(WaitCount),
    Produce(Produce),
    Facts(Facts),
    Validate(Validate),
    DropSlot(#[expect(dead_code, reason = "only its presence counts")] DropSlot),
    KillWalsender(#[expect(dead_code, reason = "only its presence counts")] KillWalsender),
    Do(Do),
}

/// A statement in a session of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) conn: String,
}

/// `COPY … FROM STDIN` and its data.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Copy {
    pub(super) copy: String,
    pub(super) data: String,
}

/// Time for something periodic to happen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    #[serde(rename = "sleep")]
    _seconds: f64,
}

/// A REST call whose status, and body if asked for, are part of the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RestCall {
    pub(super) rest: Vec<Value>,
    pub(super) wait_state: Option<String>,
    #[serde(default)]
    pub(super) body: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitState {
    pub(super) wait_state: String,
    #[serde(default, rename = "timeout")]
    _timeout: Option<f64>,
}

/// A changed configuration; the step ends when the restarted task streams.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    pub(super) update: Overlay,
}

/// Waits for records in one topic or in all.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitCount {
    pub(super) wait_count: i64,
    pub(super) topic: Option<String>,
    #[serde(default, rename = "timeout")]
    _timeout: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Produce {
    pub(super) produce: KafkaRecord,
}

/// A record to write to Kafka.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KafkaRecord {
    pub(super) topic: String,
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    #[serde(default = "any_partition")]
    pub(super) partition: i32,
}

/// Queries whose rows are part of the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) facts: Vec<String>,
}

/// A validation of the configuration with these changes; its errors are part of the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Validate {
    pub(super) validate: Overlay,
    /// Whether the definitions are part of the answer too.
    #[serde(default)]
    pub(super) definitions: bool,
}

/// Drops the slot, once nobody uses it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DropSlot {
    #[serde(rename = "drop_slot")]
    _drop_slot: bool,
}

/// Ends the server process that streams.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KillWalsender {
    #[serde(rename = "kill_walsender")]
    _kill_walsender: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Do {
    #[serde(rename = "do")]
    pub(super) action: Action,
    #[serde(default, rename = "quiet")]
    _quiet: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// Waits until all that was done has been sent to Kafka.
    Drain,
    /// Stops the connector.
    Stop,
    /// Stops and resumes it: a new task, offsets kept.
    RestartClean,
    /// Waits until a walsender streams.
    WaitStreaming,
    /// Makes the second connector.
    Create2,
}

fn yes() -> bool {
    true
}

fn any_partition() -> i32 {
    -1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_kind_of_step_is_told_apart() {
        let read = |text: &str| serde_json::from_str::<Step>(text).unwrap();
        assert!(matches!(read(r#""select 1""#), Step::Sql(_)));
        assert!(matches!(
            read(r#"{"sql": "begin", "conn": "b"}"#),
            Step::Statement(_)
        ));
        assert!(matches!(
            read(r#"{"rest": ["PUT", "/x"], "wait_state": "RUNNING"}"#),
            Step::Rest(_)
        ));
        assert!(matches!(
            read(r#"{"wait_state": "FAILED", "timeout": 30}"#),
            Step::WaitState(_)
        ));
        assert!(matches!(
            read(r#"{"do": "drain", "quiet": 0.7}"#),
            Step::Do(Do {
                action: Action::Drain,
                ..
            })
        ));
        assert!(serde_json::from_str::<Step>(r#"{"do": "dance"}"#).is_err());
        assert!(serde_json::from_str::<Step>(r#"{"slep": 1}"#).is_err());
    }
}
