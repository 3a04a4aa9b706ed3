//! Time from a commit in the shop until the row is seen in the copy.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinHandle;

use super::database::Database;
use super::shop::Placed;

/// How often the copy is looked at: the resolution of the figures.
const LOOK: Duration = Duration::from_millis(5);

/// Figures so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
}

#[derive(Debug, Default)]
struct Measured {
    waiting: VecDeque<Placed>,
    times: Vec<Duration>,
}

/// Watches the copy of `orders` on a connection of its own.
#[derive(Debug)]
pub(crate) struct LatencyProbe {
    measured: Arc<Mutex<Measured>>,
    looking: JoinHandle<()>,
}

impl LatencyProbe {
    pub(crate) async fn start(database: &Database) -> Result<Self> {
        let client = database.connect().await?;
        let measured = Arc::new(Mutex::new(Measured::default()));
        let shared = Arc::clone(&measured);
        let looking = tokio::spawn(async move {
            let mut tick = tokio::time::interval(LOOK);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                let oldest = lock(&shared).waiting.front().map(|p| p.order);
                let Some(oldest) = oldest else { continue };
                // Fails until the sink has made the table.
                let Ok(row) = client
                    .query_one(
                        "SELECT max(id) FROM public.\"shop.public.orders\" WHERE id >= $1",
                        &[&oldest],
                    )
                    .await
                else {
                    continue;
                };
                let Some(seen) = row.get::<_, Option<i64>>(0) else {
                    continue;
                };
                let now = Instant::now();
                let mut measured = lock(&shared);
                while let Some(placed) = measured
                    .waiting
                    .front()
                    .copied()
                    .filter(|p| p.order <= seen)
                {
                    measured.waiting.pop_front();
                    measured.times.push(now - placed.at);
                }
            }
        });
        Ok(Self { measured, looking })
    }

    /// Starts the clock for an order.
    pub(crate) fn expect(&self, placed: Placed) {
        let mut measured = lock(&self.measured);
        // A copy that never comes must not fill the memory.
        if measured.waiting.len() == 100_000 {
            measured.waiting.pop_front();
        }
        measured.waiting.push_back(placed);
    }

    pub(crate) fn summary(&self) -> Summary {
        let mut times = lock(&self.measured).times.clone();
        times.sort_unstable();
        let at = |share: f64| {
            times
                .get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)))
                .copied()
        };
        Summary {
            count: times.len(),
            p50: at(0.50),
            p99: at(0.99),
        }
    }

    pub(crate) async fn stop(self) -> Summary {
        self.looking.abort();
        self.summary()
    }
}

fn lock(measured: &Mutex<Measured>) -> std::sync::MutexGuard<'_, Measured> {
    measured.lock().unwrap_or_else(PoisonError::into_inner)
}
