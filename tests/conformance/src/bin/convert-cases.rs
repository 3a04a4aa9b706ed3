//! Reads converter cases, a line of JSON each, and prints an answer to each, in the same order: see `millrace_conformance::converters`.
//!
//! ```text
//! cargo run -p millrace-conformance --bin convert-cases < tests/conformance/converters/cases/avro-types.json
//! ```
//! A line that cannot be run is answered too: `{"id":…,"failure":TEXT}`, and makes the exit status 1.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use java_idioms::Json;
use java_idioms::json::{Object, ReadOptions};
use millrace_conformance::converters::answer;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let mut all_ran = true;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input")?;
        if line.trim().is_empty() {
            continue;
        }
        let case = Json::read(&line, ReadOptions::default()).context("a line is no JSON")?;
        let id = case.get("id").cloned().unwrap_or(Json::Null);
        // In a task of its own: a panic is a failure of this case alone.
        let ran = tokio::spawn(async move { answer(&case).await })
            .await
            .unwrap_or_else(|panic| Err(anyhow!("{panic}")));
        let answer = ran.unwrap_or_else(|error| {
            all_ran = false;
            Object::from_iter([
                (Arc::from("id"), id),
                (Arc::from("failure"), Json::from(format!("{error:#}"))),
            ])
            .into()
        });
        writeln!(out, "{}", answer.to_text())?;
    }
    out.flush()?;
    Ok(if all_ran {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
