use std::collections::HashMap;
use std::fs;
use std::ops::Sub;

use anyhow::{Context as _, Result};

/// Ticks of `/proc/PID/stat`: USER_HZ, 100 on every Linux whatever the kernel's own rate.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used so far. Subtract two to get what happened in between.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// User and system time of all threads, in seconds, in steps of 10 ms.
    pub cpu_seconds: f64,
    /// Memory resident now, in bytes. Of two subtracted, the later one's.
    pub rss: u64,
    /// The most memory it ever had resident, in bytes. Of two subtracted, the later one's.
    pub peak_rss: u64,
}

impl Sub for Usage {
    type Output = Usage;
    fn sub(self, earlier: Usage) -> Usage {
        Usage {
            cpu_seconds: self.cpu_seconds - earlier.cpu_seconds,
            rss: self.rss,
            peak_rss: self.peak_rss,
        }
    }
}

/// Of the process `pid` alone.
///
/// # Errors
/// When there is no such process.
pub fn usage_of(pid: u32) -> Result<Usage> {
    let stat = Stat::read(pid)?;
    Ok(Usage {
        cpu_seconds: stat.ticks as f64 / TICKS_PER_SECOND,
        rss: memory(pid, "VmRSS:")?,
        peak_rss: memory(pid, "VmHWM:")?,
    })
}

/// Of the process `pid`, of its living descendants, and of those that ended and were waited for: a PostgreSQL server with its backends.
/// `rss` and `peak_rss` are the largest of any one of them, because their shared memory would count many times over in a sum.
///
/// # Errors
/// When there is no such process.
pub fn usage_of_tree(pid: u32) -> Result<Usage> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        // A process may end while we look: then it is its parent's past.
        if let Some(child) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            && let Ok(stat) = Stat::read(child)
        {
            children.entry(stat.parent).or_default().push(child);
        }
    }
    let root = Stat::read(pid)?;
    let mut total = Usage {
        cpu_seconds: 0.0,
        rss: memory(pid, "VmRSS:")?,
        peak_rss: memory(pid, "VmHWM:")?,
    };
    let mut ticks = root.ticks + root.ended_children_ticks;
    let mut open = children.remove(&pid).unwrap_or_default();
    while let Some(next) = open.pop() {
        if let (Ok(stat), Ok(rss), Ok(peak)) = (
            Stat::read(next),
            memory(next, "VmRSS:"),
            memory(next, "VmHWM:"),
        ) {
            ticks += stat.ticks + stat.ended_children_ticks;
            total.rss = total.rss.max(rss);
            total.peak_rss = total.peak_rss.max(peak);
        }
        open.extend(children.remove(&next).unwrap_or_default());
    }
    total.cpu_seconds = ticks as f64 / TICKS_PER_SECOND;
    Ok(total)
}

struct Stat {
    parent: u32,
    ticks: u64,
    ended_children_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("no process {pid}"))?;
        Self::parse(&text).with_context(|| format!("unexpected /proc/{pid}/stat: {text}"))
    }

    /// The program's name, in parentheses, may hold spaces and parentheses: the fields are counted from the last one.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
        let number = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
        Some(Stat {
            parent: number(4)? as u32,
            ticks: number(14)? + number(15)?,
            ended_children_ticks: number(16)? + number(17)?,
        })
    }
}

/// A line of `/proc/PID/status`, in bytes.
fn memory(pid: u32, line_name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("no process {pid}"))?;
    let kib = status.lines().find_map(|line| {
        line.strip_prefix(line_name)?
            .trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.map(|kib| kib * 1024)
        .with_context(|| format!("process {pid} has ended"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fields_are_found_behind_a_name_with_parentheses() {
        let stat = Stat::parse("7 (a) b (c)) S 5 7 7 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 99")
            .unwrap();
        assert_eq!(
            (stat.parent, stat.ticks, stat.ended_children_ticks),
            (5, 120, 7)
        );
        assert!(Stat::parse("7 (a) S 5").is_none());
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let pid = std::process::id();
        let before = usage_of(pid).unwrap();
        let mut x = 1u64;
        while (usage_of(pid).unwrap() - before).cpu_seconds < 0.02 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).rotate_left(7);
        }
        assert!(usage_of(pid).unwrap().peak_rss > 100_000, "{x}");
        assert!(usage_of(u32::MAX).is_err());
    }
}
