//! Named places at which a test lets the process die or wait.
//!
//! `MILLRACE_FAILPOINTS=after-produce=kill@3,sink-before-put=stall` arms them; it is read once. Nothing is armed by default, and a place that is not armed costs
//! one load. `kill@N`: the N-th time (from 1) the place is reached, the process aborts, without running any destructor. `stall@N`: the N-th time and ever after
//! the caller waits for ever.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Stall,
}

#[derive(Debug)]
struct Armed {
    action: Action,
    at: u64,
    hits: AtomicU64,
}

static ARMED: LazyLock<HashMap<String, Armed>> = LazyLock::new(|| {
    let Ok(text) = std::env::var("MILLRACE_FAILPOINTS") else {
        return HashMap::new();
    };
    parse(&text).unwrap_or_else(|problem| {
        // A crash test whose failpoint is ignored would pass without having tested anything.
        tracing::error!("MILLRACE_FAILPOINTS={text}: {problem}");
        std::process::abort()
    })
});

/// All places there are, in the order in which a record passes them: for tests that kill at each.
pub const FAILPOINTS: [&str; 9] = [
    "source-after-poll",
    "source-before-produce",
    "source-after-produce",
    "source-before-offset-write",
    "source-after-offset-write",
    "source-after-committed",
    "sink-before-put",
    "sink-after-put",
    "sink-after-commit",
];

/// Reached the place `name`. See the module's documentation; used through [`failpoint!`](crate::failpoint!).
pub async fn hit(name: &str) {
    let Some(point) = ARMED.get(name) else { return };
    let hits = point.hits.fetch_add(1, Ordering::SeqCst) + 1;
    match point.action {
        Action::Kill if hits == point.at => std::process::abort(),
        Action::Stall if hits >= point.at => std::future::pending().await,
        _ => {}
    }
}

fn parse(text: &str) -> Result<HashMap<String, Armed>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let (name, what) = entry
                .split_once('=')
                .ok_or(format!("'{entry}' is not NAME=ACTION@N"))?;
            if !FAILPOINTS.contains(&name) {
                return Err(format!(
                    "no failpoint '{name}': one of {}",
                    FAILPOINTS.join(", ")
                ));
            }
            let (action, at) = match what.split_once('@') {
                Some((action, at)) => (
                    action,
                    at.parse()
                        .ok()
                        .filter(|&n| n > 0)
                        .ok_or(format!("'{at}' is no number from 1"))?,
                ),
                None => (what, 1),
            };
            let action = match action {
                "kill" => Action::Kill,
                "stall" => Action::Stall,
                _ => return Err(format!("no action '{action}': kill or stall")),
            };
            Ok((
                name.to_owned(),
                Armed {
                    action,
                    at,
                    hits: AtomicU64::new(0),
                },
            ))
        })
        .collect()
}

/// A named place at which a crash test may stop the process. Awaits nothing unless it is armed.
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        if $crate::failpoint::armed() {
            $crate::failpoint::hit($name).await;
        }
    };
}

/// Whether any place is armed.
pub fn armed() -> bool {
    !ARMED.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_parsed_and_wrong_ones_refused() {
        let armed = parse("source-after-poll=kill@3, sink-before-put=stall").expect("parses");
        assert_eq!(
            (
                armed["source-after-poll"].action,
                armed["source-after-poll"].at
            ),
            (Action::Kill, 3)
        );
        assert_eq!(
            (armed["sink-before-put"].action, armed["sink-before-put"].at),
            (Action::Stall, 1)
        );
        for wrong in [
            "source-after-poll",
            "nowhere=kill",
            "source-after-poll=kill@0",
            "source-after-poll=jump",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
