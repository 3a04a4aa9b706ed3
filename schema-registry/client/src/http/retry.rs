use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// How often and after which pauses a request is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    pub(crate) max_retries: u32,
    pub(crate) wait: Duration,
    pub(crate) max_wait: Duration,
}

impl RetryPolicy {
    /// Longest pause before retry `retry` (0 is the first): the first one's, doubled for each further one, up to the maximum.
    pub(crate) fn longest(&self, retry: u32) -> Duration {
        self.wait
            .saturating_mul(2_u32.saturating_pow(retry))
            .min(self.max_wait)
    }

    /// A pause: anything from 0 to the longest, so that clients that failed together do not come back together.
    pub(crate) fn pause(&self, retry: u32) -> Duration {
        // A fresh hasher's keys are the standard library's only source of randomness.
        let random = RandomState::new().hash_one(retry) >> 11;
        self.longest(retry)
            .mul_f64(random as f64 / (1_u64 << 53) as f64)
    }
}

/// One of `0..count`, by lot; 0 for none.
pub(crate) fn lot(count: usize) -> usize {
    let random = RandomState::new().hash_one(count);
    let picked = random.checked_rem(count as u64).unwrap_or_default();
    usize::try_from(picked).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lot_reaches_every_node() {
        let picked: std::collections::BTreeSet<usize> = (0..200).map(|_| lot(3)).collect();
        assert_eq!(picked.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(lot(0), 0);
    }

    #[test]
    fn pauses_double_up_to_the_maximum_and_vary() {
        let policy = RetryPolicy {
            max_retries: 40,
            wait: Duration::from_millis(1000),
            max_wait: Duration::from_millis(20_000),
        };
        let longest: Vec<u128> = [0, 1, 4, 5, 39]
            .iter()
            .map(|retry| policy.longest(*retry).as_millis())
            .collect();
        assert_eq!(longest, [1000, 2000, 16_000, 20_000, 20_000]);
        let pauses: Vec<Duration> = (0..100).map(|_| policy.pause(0)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(1)));
        assert!(
            pauses
                .iter()
                .any(|pause| *pause < Duration::from_millis(500))
                && pauses
                    .iter()
                    .any(|pause| *pause > Duration::from_millis(500))
        );
    }
}
