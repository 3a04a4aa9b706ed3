//! What the figures were measured on.

use std::process::Command;

pub(crate) fn describe() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map_or("unknown processor", |l| {
            l.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo")
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:").map(|m| m.trim().to_owned()))
        .unwrap_or_default();
    let load = read("/proc/loadavg");
    println!(
        "machine: {cores} × {model}, {memory}; load {}",
        load.split(' ').next().unwrap_or("?")
    );
    let commit = Command::new("git")
        .args(["log", "-1", "--format=%h %cs"])
        .output();
    let commit = commit
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
        .unwrap_or_default();
    println!(
        "commit: {}",
        if commit.is_empty() {
            "unknown"
        } else {
            &commit
        }
    );
}
