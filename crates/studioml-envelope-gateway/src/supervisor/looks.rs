//! Whether a queue has gone: not on the word of one look.

use std::collections::{BTreeMap, BTreeSet};

use crate::queue::QueueName;

/// A queue has gone when two looks in a row, after one that saw it, do not.
const LOOKS: u32 = 2;

/// What the last looks saw.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// The queues that were seen and have not gone, and how many looks in a row have missed them.
    missed: BTreeMap<QueueName, u32>,
    /// Queues that were seen once, whatever became of them.
    seen: BTreeSet<QueueName>,
}

impl Looks {
    /// Takes note of a look, and returns the queues that have gone with it.
    pub(super) fn look(&mut self, found: &BTreeSet<QueueName>) -> Vec<QueueName> {
        for queue in found {
            self.missed.insert(queue.clone(), 0);
            self.seen.insert(queue.clone());
        }
        let mut gone = Vec::new();
        self.missed.retain(|queue, missed| {
            if !found.contains(queue) {
                *missed = missed.saturating_add(1);
                if *missed >= LOOKS {
                    gone.push(queue.clone());
                }
            }
            *missed < LOOKS
        });
        gone
    }

    /// The connection was lost in between. A broker that comes back without its queues has lost them: nobody has deleted
    /// them, and what was carried in from them stays. Each has to be seen again before it can go.
    pub(super) fn connection_was_lost(&mut self) {
        self.missed.clear();
    }

    /// Has a queue that has gone be reported again by the next look, if that does not see it either.
    pub(super) fn look_again(&mut self, queue: &QueueName) {
        self.missed.insert(queue.clone(), LOOKS - 1);
    }

    /// Whether a queue was ever seen.
    pub(super) fn has_seen(&self, queue: &QueueName) -> bool {
        self.seen.contains(queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look that found these.
    fn look(looks: &mut Looks, names: &[&str]) -> Vec<QueueName> {
        looks.look(&names.iter().filter_map(|name| QueueName::new(name)).collect())
    }

    #[test]
    fn a_queue_has_gone_after_two_looks_and_is_told_once() {
        let mut looks = Looks::default();
        assert!(look(&mut looks, &["a", "b"]).is_empty());
        assert!(look(&mut looks, &["b"]).is_empty());
        assert!(look(&mut looks, &["a", "b"]).is_empty(), "it is back");
        assert!(look(&mut looks, &["b"]).is_empty());
        assert_eq!(look(&mut looks, &["b"]), [QueueName::new("a").unwrap()]);
        assert!(look(&mut looks, &["b"]).is_empty());
        assert!(looks.has_seen(&QueueName::new("a").unwrap()));
    }

    #[test]
    fn what_could_not_be_mirrored_is_told_again() {
        let mut looks = Looks::default();
        let a = QueueName::new("a").unwrap();
        look(&mut looks, &["a"]);
        look(&mut looks, &[]);
        assert_eq!(look(&mut looks, &[]), std::slice::from_ref(&a));
        looks.look_again(&a);
        assert_eq!(look(&mut looks, &[]), [a]);
    }

    #[test]
    fn a_broker_that_comes_back_without_its_queues_has_not_deleted_them() {
        let mut looks = Looks::default();
        look(&mut looks, &["a", "b"]);
        looks.connection_was_lost();
        for _ in 0..3 {
            assert!(look(&mut looks, &["b"]).is_empty());
        }
        // what is seen again can go again
        look(&mut looks, &[]);
        assert_eq!(look(&mut looks, &[]), [QueueName::new("b").unwrap()]);
    }

    #[test]
    fn a_queue_that_was_never_seen_never_goes() {
        assert!(look(&mut Looks::default(), &[]).is_empty());
    }
}
