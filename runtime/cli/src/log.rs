//! Which log a process stands on.

use std::sync::Arc;

use anyhow::{Result, bail};
use millrace_api::config::Props;
use millrace_embedded::{EmbeddedLog, EmbeddedOptions};
use millrace_kafka::{KafkaLog, KafkaOptions};
use millrace_log::null::NullLog;
use millrace_log::{Log, SourceDiscipline};

/// Kafka when `bootstrap.servers` is given, the embedded log when `log.dir` is; `millrace.log=null` counts and drops, for measurements.
pub(crate) async fn open(props: &Props) -> Result<Arc<dyn Log>> {
    let pairs: Vec<(String, String)> = props
        .iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    match props.get("millrace.log").map(str::trim) {
        None => {}
        Some("null") => {
            tracing::warn!("millrace.log=null: every record is counted and dropped");
            return Ok(NullLog::new(SourceDiscipline::AckedPrefix));
        }
        Some(other) => bail!(
            "millrace.log is '{other}': the only value is 'null' (counts and drops, for measurements); for a log give bootstrap.servers or log.dir"
        ),
    }
    match (props.get("bootstrap.servers"), props.get("log.dir")) {
        (Some(_), Some(_)) => bail!(
            "bootstrap.servers and log.dir are both given: remove one; the first means Kafka, the second a log in a directory of this machine"
        ),
        (Some(_), None) => Ok(KafkaLog::connect(KafkaOptions { properties: pairs }).await?),
        (None, Some(_)) => Ok(tokio::task::spawn_blocking(move || {
            EmbeddedLog::open(EmbeddedOptions::from_properties(&pairs)?)
        })
        .await??),
        (None, None) => bail!(
            "neither bootstrap.servers (Kafka) nor log.dir (a log in a directory of this machine) is given"
        ),
    }
}
