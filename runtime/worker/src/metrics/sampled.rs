//! Averages, maxima and rates over the last two windows of half a minute, as Kafka's metrics have them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
struct Window {
    start: Instant,
    sum: f64,
    count: u64,
    max: f64,
}

impl Window {
    fn new(start: Instant) -> Self {
        Self {
            start,
            sum: 0.0,
            count: 0,
            max: f64::NEG_INFINITY,
        }
    }
}

/// Values recorded now and then (once per batch), looked at over two windows.
#[derive(Debug, Default)]
pub struct Sampled {
    windows: Mutex<Option<(Option<Window>, Window)>>,
}

/// What is known of the last two windows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Summary {
    /// Largest value; 0 without values.
    pub max: f64,
    /// Mean value; 0 without values.
    pub avg: f64,
    /// Sum per second.
    pub rate: f64,
}

impl Sampled {
    /// Adds a value.
    pub fn record(&self, value: f64) {
        let now = Instant::now();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, current) = roll(&mut windows, now);
        current.sum += value;
        current.count += 1;
        current.max = current.max.max(value);
    }

    /// Looks at the last two windows.
    pub fn summary(&self) -> Summary {
        let now = Instant::now();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.is_none() {
            return Summary::default();
        }
        let (previous, current) = roll(&mut windows, now);
        let empty = Window::new(current.start);
        let first = previous.unwrap_or(empty);
        let count = first.count + current.count;
        if count == 0 {
            return Summary::default();
        }
        let sum = first.sum + current.sum;
        // Kafka's rule: a rate is never taken over less than all windows but one.
        let elapsed = now.duration_since(first.start).max(WINDOW);
        Summary {
            max: first.max.max(current.max),
            avg: sum / count as f64,
            rate: sum / elapsed.as_secs_f64(),
        }
    }
}

fn roll(
    windows: &mut Option<(Option<Window>, Window)>,
    now: Instant,
) -> &mut (Option<Window>, Window) {
    let pair = windows.get_or_insert_with(|| (None, Window::new(now)));
    let age = now.duration_since(pair.1.start);
    if age >= WINDOW * 2 {
        *pair = (None, Window::new(now));
    } else if age >= WINDOW {
        *pair = (Some(pair.1), Window::new(pair.1.start + WINDOW));
    }
    pair
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn old_values_are_forgotten() {
        let sampled = Sampled::default();
        assert_eq!(sampled.summary(), Summary::default());
        sampled.record(10.0);
        sampled.record(20.0);
        assert_eq!(
            sampled.summary(),
            Summary {
                max: 20.0,
                avg: 15.0,
                rate: 1.0
            }
        );
        tokio::time::advance(Duration::from_secs(40)).await;
        sampled.record(3.0);
        assert_eq!((sampled.summary().max, sampled.summary().avg), (20.0, 11.0));
        tokio::time::advance(Duration::from_secs(25)).await;
        assert_eq!(sampled.summary().max, 3.0);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(sampled.summary(), Summary::default());
    }
}
