//! The PostgreSQL source beside Debezium: every case of `cdc/cases.txt` is run, and what arrives is compared with what Debezium sent.
//!
//! ```text
//! cargo build -p millrace && cargo test -p millrace-conformance --test cdc -- --nocapture
//! MILLRACE_CASES='types_*,identity_full'   only these
//! MILLRACE_CASES_OUT=DIR                   also writes each outcome to DIR/NAME.json (what a deviation is recorded from)
//! ```

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use millrace_conformance::cdc::{
    Case, Scenario, Servers, Verdict, cases, differences, matches, run, scenarios,
};

/// Scenarios side by side.
const JOBS: usize = 4;
/// Differences shown of one case.
const SHOWN: usize = 16;
/// All of one scenario.
const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_events_equal_debeziums() -> Result<()> {
    let scenarios = scenarios()?;
    let only = env::var("MILLRACE_CASES").unwrap_or("*".to_owned());
    let out = env::var_os("MILLRACE_CASES_OUT").map(PathBuf::from);
    let all = cases()?;
    let selected: Vec<&Case> = all
        .iter()
        .filter(|case| !matches!(case.verdict, Verdict::Out(_)) && matches(&only, &case.name))
        .collect();
    if selected.is_empty() {
        bail!("MILLRACE_CASES={only} selects nothing");
    }
    let servers = Servers::start().await?;
    let started = Instant::now();
    let mut running = futures::stream::iter(&selected)
        .map(|case| {
            let (servers, scenario, out) = (&servers, &scenarios[&case.name], out.as_deref());
            async move {
                let started = Instant::now();
                let found = check(servers, scenario, case, out).await;
                (case, found, started.elapsed())
            }
        })
        .buffer_unordered(JOBS);
    let mut different = Vec::new();
    while let Some((case, found, took)) = running.next().await {
        let problems = found.unwrap_or_else(|error| vec![format!("{error:#}")]);
        if !problems.is_empty() {
            println!("{} ({took:.1?}): {} differences", case.name, problems.len());
            for problem in problems.iter().take(SHOWN) {
                println!("  {}", problem.replace('\n', "\n  "));
            }
            different.push(case.name.as_str());
        }
    }
    drop(running);
    let deviating = selected
        .iter()
        .filter(|case| matches!(case.verdict, Verdict::Deviation(_)));
    println!(
        "{} cases in {:.0?}: {} as recorded (of these {} deviate on purpose), {} different, {} of all cases are out",
        selected.len(),
        started.elapsed(),
        selected.len() - different.len(),
        deviating.count(),
        different.len(),
        all.iter()
            .filter(|case| matches!(case.verdict, Verdict::Out(_)))
            .count(),
    );
    if !different.is_empty()
        && let Some(out) = &out
    {
        fs::write(out.join("worker.log"), servers.worker_log()?)?;
    }
    // Not while panicking: the worker would show its log, which is of all scenarios.
    drop(servers);
    different.sort_unstable();
    assert!(different.is_empty(), "different: {}", different.join(" "));
    Ok(())
}

/// Runs a case; returns what is not as recorded.
async fn check(
    servers: &Servers,
    scenario: &Scenario,
    case: &Case,
    out: Option<&Path>,
) -> Result<Vec<String>> {
    let expected = case.expected();
    let records = expected.as_ref().map_or(0, |answer| answer.raw_records);
    let facts = expected.as_ref().map_or(&[][..], |answer| &answer.facts);
    let found = tokio::time::timeout(LIMIT, run(servers, scenario, records, facts))
        .await
        .with_context(|| format!("not finished within {LIMIT:?}"))??;
    if let Some(out) = out {
        fs::create_dir_all(out)?;
        fs::write(out.join(format!("{}.json", scenario.name)), found.write()?)?;
    }
    Ok(differences(&expected?, &found))
}
