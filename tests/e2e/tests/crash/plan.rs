//! Where and when the worker dies.

use std::env;
use std::hash::{BuildHasher as _, RandomState};

use anyhow::{Context as _, Result};
use millrace_e2e::PATIENCE;
use millrace_testkit::{Worker, wait_until};
use millrace_worker::failpoint::FAILPOINTS;

/// How the worker dies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kill {
    /// By itself, when it comes to this place for the n-th time.
    At { place: &'static str, hit: u64 },
    /// From outside, after so many more transactions have been committed.
    After { transactions: u64 },
}

/// xorshift64*: the same sequence for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// All kills of all crash tests: four per log during the snapshot, the rest while streaming.
pub(super) struct Budget {
    pub(super) snapshot: usize,
    pub(super) streaming: usize,
}

pub(super) fn budget() -> Result<Budget> {
    let kills = match env::var("MILLRACE_CRASH_KILLS") {
        Ok(text) if !text.is_empty() => text
            .parse()
            .with_context(|| format!("MILLRACE_CRASH_KILLS={text}: a number is needed"))?,
        _ => 64usize,
    };
    let per_log = kills.div_ceil(2).max(2);
    let snapshot = (per_log / 8).clamp(1, 40);
    Ok(Budget {
        snapshot,
        streaming: per_log - snapshot,
    })
}

pub(super) fn seed() -> Result<u64> {
    match env::var("MILLRACE_CRASH_SEED") {
        Ok(text) if text.is_empty() => Ok(RandomState::new().hash_one(0) >> 16),
        Ok(text) => text
            .parse()
            .with_context(|| format!("MILLRACE_CRASH_SEED={text}: a number is needed")),
        Err(_) => Ok(20_261_127),
    }
}

/// Every place once as early as it can be, then places at a later hit and kills at any time, in an order that the seed decides.
pub(super) fn streaming(random: &mut Random, count: usize) -> Vec<Kill> {
    let places = FAILPOINTS.len();
    let mut kills: Vec<Kill> = (0..count)
        .map(|n| match n / places {
            0 => Kill::At {
                place: FAILPOINTS[n],
                hit: 1,
            },
            1 => Kill::At {
                place: FAILPOINTS[n % places],
                hit: 2 + random.below(5),
            },
            _ if n % 3 == 0 => Kill::At {
                place: FAILPOINTS[random.below(places as u64) as usize],
                hit: 1 + random.below(8),
            },
            _ => Kill::After {
                transactions: 1 + random.below(120),
            },
        })
        .collect();
    random.shuffle(&mut kills);
    kills
}

/// Starts a worker that is down, and sees it die.
pub(super) async fn start_and_die(
    worker: &mut Worker,
    kill: Kill,
    committed: impl Fn() -> u64,
) -> Result<()> {
    match kill {
        Kill::At { place, hit } => {
            worker.set_env("MILLRACE_FAILPOINTS", Some(&format!("{place}=kill@{hit}")));
            let started = worker.start_again().await;
            // It may die before it answers.
            if worker.pid().is_some() {
                started?;
                let status = worker
                    .wait_exit(PATIENCE)
                    .await
                    .with_context(|| format!("{kill:?}"))?;
                anyhow::ensure!(
                    !status.success(),
                    "{kill:?}: the worker ended with {status}"
                );
            }
        }
        Kill::After { transactions } => {
            worker.set_env("MILLRACE_FAILPOINTS", None);
            let goal = committed() + transactions;
            worker.start_again().await?;
            wait_until(PATIENCE, "more transactions are committed", async || {
                Ok((committed() >= goal).then_some(()))
            })
            .await?;
            worker.kill().await?;
        }
    }
    Ok(())
}
