//! How much memory the messages in progress of all connections may take together.
//!
//! The attacker begins large messages on many connections and ends none. Small messages are outside the budget, so that
//! whoever sends those is not disturbed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes per connection that are not counted: an envelope around a small Request fits, as it arrived and as the message.
pub(crate) const FREE: usize = 32 * 1024;

/// A number of bytes that connections share.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(bytes) })
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

/// What one connection holds of a budget; given back on drop.
#[derive(Debug, Default)]
pub(crate) struct Held {
    budget: Option<Arc<Budget>>,
    bytes: usize,
}

impl Held {
    pub(crate) const fn of(budget: Arc<Budget>) -> Self {
        Self { budget: Some(budget), bytes: 0 }
    }

    /// Makes it `bytes`, less the free ones. `false` if the budget has not that much left; then nothing changes.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        let Some(budget) = &self.budget else {
            return true;
        };
        let wanted = bytes.saturating_sub(FREE);
        let granted = match wanted.checked_sub(self.bytes) {
            Some(0) => true,
            Some(more) => {
                let take = |left: usize| left.checked_sub(more);
                budget.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
            }
            None => {
                budget.left.fetch_add(self.bytes.saturating_sub(wanted), Ordering::Relaxed);
                true
            }
        };
        if granted {
            self.bytes = wanted;
        }
        granted
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.left.fetch_add(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, FREE, Held};

    #[test]
    fn what_is_held_is_missing_and_comes_back() {
        let budget = Budget::new(1000);
        let left = || budget.left();
        let (mut one, mut other) = (Held::of(budget.clone()), Held::of(budget.clone()));
        assert!(one.hold(FREE));
        assert_eq!(left(), 1000);
        assert!(one.hold(FREE + 600));
        assert!(!other.hold(FREE + 401));
        assert!(other.hold(FREE + 400));
        assert_eq!(left(), 0);
        assert!(other.hold(FREE), "small messages need none");
        assert!(one.hold(FREE + 100));
        assert_eq!(left(), 900);
        drop(one);
        assert_eq!(left(), 1000);
        assert!(Held::default().hold(usize::MAX), "without a budget there is no limit");
    }
}
