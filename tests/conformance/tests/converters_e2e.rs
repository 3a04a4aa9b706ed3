//! Debezium's source with Confluent's converters, recorded, beside our source and converters in a real worker with its registry inside.
//!
//! ```text
//! cargo build -p millrace && cargo test -p millrace-conformance --test converters_e2e -- --nocapture
//! MILLRACE_CASES='e2e-s-env-avro,e2e-s-flat'   only the ids that begin so
//! MILLRACE_CASES_FILE=FILE                     other cases (their answers beside them, in the file with `answers` for `cases`, where it exists)
//! MILLRACE_CASES_OUT=FILE                      also writes our answers, a line each
//! ```

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Result, ensure};
use futures::StreamExt as _;
use java_idioms::Json;
use millrace_conformance::converters::e2e::{Servers, answer, differences, folder};
use millrace_conformance::converters::lines;

/// Cases side by side.
const JOBS: usize = 4;
/// Differences shown of one case.
const SHOWN: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn converters_behind_the_source_write_what_confluents_do_behind_debezium() -> Result<()> {
    let only = env::var("MILLRACE_CASES").ok();
    let files = match env::var_os("MILLRACE_CASES_FILE") {
        Some(file) => vec![PathBuf::from(file)],
        None => ["env", "flat"]
            .map(|name| folder().join(format!("{name}.cases.json")))
            .to_vec(),
    };
    let (mut cases, mut answers) = (Vec::new(), HashMap::new());
    for file in &files {
        cases.extend(lines(file)?);
        let recorded = answers_beside(file);
        if recorded.exists() {
            answers.extend(lines(&recorded)?.into_iter().map(|a| (text(&a, "id"), a)));
        }
    }
    if let Some(only) = &only {
        cases.retain(|case| only.split(',').any(|p| text(case, "id").starts_with(p)));
    }
    ensure!(!cases.is_empty(), "no case is selected");
    let levels: Vec<String> = cases.iter().map(|c| text(c, "compatibility")).collect();
    let servers = Servers::start(levels.iter().map(String::as_str)).await?;
    let outcomes: Vec<(&Json, Result<Json>)> = futures::stream::iter(&cases)
        .map(|case| {
            let servers = &servers;
            async move { (case, answer(servers, case).await) }
        })
        .buffered(JOBS)
        .collect()
        .await;
    let (mut different, mut out) = (0, String::new());
    for (case, outcome) in outcomes {
        let id = text(case, "id");
        let found = match (outcome, answers.get(&id)) {
            (Err(error), _) => vec![format!("{error:#}")],
            (Ok(got), want) => {
                writeln!(out, "{}", got.to_text())?;
                want.map_or_else(
                    || vec!["there is no recorded answer".to_owned()],
                    |want| differences(want, &got),
                )
            }
        };
        if !found.is_empty() {
            different += 1;
            println!("{id}: {} differences", found.len());
            for difference in found.iter().take(SHOWN) {
                println!("  {}", difference.replace('\n', "\n  "));
            }
        }
    }
    if let Some(file) = env::var_os("MILLRACE_CASES_OUT") {
        fs::write(file, out)?;
    }
    if different > 0 {
        println!("{}", servers.worker_logs()?);
    }
    println!(
        "{} cases equal, {different} different",
        cases.len() - different
    );
    ensure!(different == 0, "{different} cases differ");
    Ok(())
}

fn answers_beside(cases: &Path) -> PathBuf {
    let name = cases.file_name().unwrap_or_default().to_string_lossy();
    cases.with_file_name(name.replace("cases", "answers"))
}

fn text(json: &Json, member: &str) -> String {
    json.get(member)
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned()
}
