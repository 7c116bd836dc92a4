//! Waiting before the next try: exponential, with full jitter, for ever.

use core::time::Duration;

/// How long to wait before the next try.
///
/// Full jitter (a uniform draw between nothing and the bound, which doubles): after an outage, many waiters come back spread
/// out, and none of them gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the first wait.
    pub first: Duration,
    /// The largest bound.
    pub longest: Duration,
}

impl Default for Backoff {
    /// 0.5 s to 30 s.
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait after `attempts` failures in a row, at least a millisecond.
    #[must_use]
    pub fn wait(&self, attempts: u32, random: &mut fastrand::Rng) -> Duration {
        let doublings = attempts.saturating_sub(1).min(16);
        let bound = self.first.saturating_mul(1 << doublings).min(self.longest);
        bound.mul_f64(random.f64()).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_never_beyond() {
        let backoff = Backoff::default();
        let mut random = fastrand::Rng::with_seed(1);
        for attempts in [0, 1, 2, 7, 100, u32::MAX] {
            let longest = (0..200).map(|_| backoff.wait(attempts, &mut random)).max().unwrap();
            let bound = Duration::from_millis(500 << attempts.saturating_sub(1).min(6)).min(backoff.longest);
            assert!(longest <= bound && longest > bound / 2, "{attempts}: {longest:?} of {bound:?}");
        }
    }
}
