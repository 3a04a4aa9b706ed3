//! Instructions per record on the hot paths, counted by valgrind: the same on every run, whatever else the machine does.
//!
//! The binary under test has the profile of the tests (no optimisation of our own crates), so a limit is no figure of speed. It is what was counted when it was
//! set and a fifth more: a path that begins to allocate, to look up names or to check twice goes beyond it.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Path and the most instructions a record may take.
const LIMITS: [(&str, u64); 3] = [
    ("json", 14_200),
    ("json-with-schema", 14_500),
    ("pgoutput", 19_400),
];

/// Instructions that a run of `count` records takes.
fn instructions(path: &str, count: u32) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env!("CARGO_BIN_EXE_hot-paths"))
        .args([path, &count.to_string()])
        .output()
        .context("running valgrind (tests/servers/install brings it)")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !String::from_utf8_lossy(&output.stdout).ends_with(" bytes\n") {
        bail!("hot-paths {path} {count} has failed: {text}");
    }
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.with_context(|| format!("valgrind tells no number: {text}"))?;
    Ok(number.trim().parse()?)
}

#[test]
fn a_record_takes_no_more_instructions_than_it_did() -> Result<()> {
    let mut over = Vec::new();
    for (path, limit) in LIMITS {
        // The difference of two runs leaves out the start and what is done once per schema.
        let per_record = (instructions(path, 3_000)? - instructions(path, 1_000)?) / 2_000;
        println!("{path}: {per_record} instructions per record, at most {limit}");
        if per_record > limit {
            over.push(format!(
                "{path}: {per_record} instructions per record, allowed are {limit}"
            ));
        }
    }
    if over.is_empty() {
        Ok(())
    } else {
        bail!("{}", over.join("\n"))
    }
}
