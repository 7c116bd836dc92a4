//! Which messages have been seen, where, and what became of them: against replays, and against publishing twice.
//!
//! The attacker can read a queue and write to others: what was signed for one queue is offered on another, or again on the
//! same one. Only messages whose signature verified get in here, so that forged ones cannot fill it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{DeliveryId, ReasonCode};

/// SHA-256 of the payload string, which is what was signed. Whatever stands around it in the envelope can be varied by
/// anybody and is not part of it.
pub type MessageDigest = [u8; 32];

/// What the memory says of a message that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Not seen, or seen on this queue without having come to an end: go on. The memory now knows who works on it.
    New,
    /// Another delivery of it is being worked on.
    InFlight,
    /// It is confirmed downstream.
    Confirmed,
    /// It was refused before, by the same keys.
    Refused(ReasonCode),
    /// It was seen on another queue.
    OtherQueue,
}

/// A bounded memory of message digests.
#[derive(Debug)]
pub struct Memory {
    seen: HashMap<MessageDigest, Seen>,
    /// What may be forgotten, by the stamp of when it was last settled: each message once, and none that is in flight.
    forgettable: BTreeMap<u64, MessageDigest>,
    capacity: usize,
    stamp: u64,
    generation: u64,
}

#[derive(Debug)]
struct Seen {
    queue: Arc<str>,
    state: State,
    /// Its place among what may be forgotten, while it may be.
    stamp: u64,
}

#[derive(Debug)]
enum State {
    /// Somebody works on it, and began to under these keys: not to be forgotten.
    InFlight {
        by: DeliveryId,
        generation: u64,
    },
    /// Worked on without an end.
    Open,
    Confirmed,
    Refused {
        code: ReasonCode,
        generation: u64,
    },
}

impl Memory {
    /// A memory of the last `capacity` messages that came to an end. Those in flight come on top.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { seen: HashMap::new(), forgettable: BTreeMap::new(), capacity, stamp: 0, generation: 0 }
    }

    /// Asks about a message whose signature has verified, and notes who works on it if the answer is [`Offer::New`].
    pub fn offer(&mut self, digest: MessageDigest, queue: &Arc<str>, delivery: DeliveryId) -> Offer {
        let generation = self.generation;
        if let Some(seen) = self.seen.get_mut(&digest) {
            if seen.queue != *queue {
                return Offer::OtherQueue;
            }
            match seen.state {
                State::InFlight { by, .. } if by != delivery => return Offer::InFlight,
                State::Confirmed => return Offer::Confirmed,
                State::Refused { code, generation: at } if at == generation => return Offer::Refused(code),
                State::InFlight { .. } | State::Open | State::Refused { .. } => {}
            }
            self.forgettable.remove(&seen.stamp);
            seen.state = State::InFlight { by: delivery, generation };
            return Offer::New;
        }
        let state = State::InFlight { by: delivery, generation };
        self.seen.insert(digest, Seen { queue: Arc::clone(queue), state, stamp: 0 });
        Offer::New
    }

    /// The message is confirmed downstream.
    pub fn confirm(&mut self, digest: &MessageDigest) {
        self.settle(digest, State::Confirmed);
    }

    /// The message is refused for good, as far as the keys are concerned that were held when it was offered: those that came
    /// while it was worked on may think otherwise.
    pub fn refuse(&mut self, digest: &MessageDigest, code: ReasonCode) {
        let generation = match self.seen.get(digest).map(|seen| &seen.state) {
            Some(State::InFlight { generation, .. }) => *generation,
            _ => self.generation,
        };
        self.settle(digest, State::Refused { code, generation });
    }

    /// A delivery is over without an end for the message. Where it was seen is kept.
    pub fn abandon(&mut self, digest: &MessageDigest, delivery: DeliveryId) {
        let held = self.seen.get(digest).map(|seen| &seen.state);
        if matches!(held, Some(State::InFlight { by, .. }) if *by == delivery) {
            self.settle(digest, State::Open);
        }
    }

    /// Keys have changed: what they refused may be asked again.
    pub fn forget_refusals(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// How many messages are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn settle(&mut self, digest: &MessageDigest, state: State) {
        let Some(seen) = self.seen.get_mut(digest) else { return };
        self.forgettable.remove(&seen.stamp);
        self.stamp = self.stamp.wrapping_add(1);
        seen.state = state;
        seen.stamp = self.stamp;
        self.forgettable.insert(self.stamp, *digest);
        while self.forgettable.len() > self.capacity {
            let Some((_, oldest)) = self.forgettable.pop_first() else { break };
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: DeliveryId = DeliveryId(1);
    const B: DeliveryId = DeliveryId(2);

    fn digest(n: u8) -> MessageDigest {
        [n; 32]
    }

    #[test]
    fn what_is_confirmed_stays_confirmed_and_belongs_to_its_queue() {
        let (here, there): (Arc<str>, Arc<str>) = ("rmq_here".into(), "rmq_there".into());
        let mut memory = Memory::new(10);
        assert_eq!(memory.offer(digest(1), &here, A), Offer::New);
        assert_eq!(memory.offer(digest(1), &here, B), Offer::InFlight);
        assert_eq!(memory.offer(digest(1), &there, B), Offer::OtherQueue);
        memory.confirm(&digest(1));
        assert_eq!(memory.offer(digest(1), &here, B), Offer::Confirmed);
        assert_eq!(memory.offer(digest(1), &there, B), Offer::OtherQueue);
    }

    #[test]
    fn an_abandoned_message_is_new_on_its_queue_and_refused_on_others() {
        let (here, there): (Arc<str>, Arc<str>) = ("rmq_here".into(), "rmq_there".into());
        let mut memory = Memory::new(10);
        memory.offer(digest(1), &here, A);
        memory.abandon(&digest(1), A);
        assert_eq!(memory.offer(digest(1), &there, B), Offer::OtherQueue);
        assert_eq!(memory.offer(digest(1), &here, B), Offer::New);
        memory.abandon(&digest(1), A); // not A's any more
        assert_eq!(memory.offer(digest(1), &here, DeliveryId(3)), Offer::InFlight);
    }

    #[test]
    fn a_refusal_holds_until_the_keys_change() {
        let here: Arc<str> = "rmq_here".into();
        let mut memory = Memory::new(10);
        memory.offer(digest(1), &here, A);
        memory.refuse(&digest(1), ReasonCode::CannotOpen);
        assert_eq!(memory.offer(digest(1), &here, B), Offer::Refused(ReasonCode::CannotOpen));
        memory.forget_refusals();
        assert_eq!(memory.offer(digest(1), &here, B), Offer::New);
    }

    #[test]
    fn a_refusal_by_keys_that_changed_meanwhile_does_not_hold() {
        let here: Arc<str> = "rmq_here".into();
        let mut memory = Memory::new(10);
        memory.offer(digest(1), &here, A);
        memory.forget_refusals();
        memory.refuse(&digest(1), ReasonCode::CannotOpen);
        assert_eq!(memory.offer(digest(1), &here, B), Offer::New);
    }

    #[test]
    fn a_message_that_is_handed_back_again_and_again_is_one_message() {
        let here: Arc<str> = "rmq_here".into();
        let mut memory = Memory::new(3);
        for n in [1, 2] {
            memory.offer(digest(n), &here, A);
            memory.confirm(&digest(n));
        }
        for _ in 0..100 {
            memory.offer(digest(9), &here, B);
            memory.abandon(&digest(9), B);
        }
        assert_eq!(memory.offer(digest(1), &here, A), Offer::Confirmed);
        assert_eq!(memory.offer(digest(2), &here, A), Offer::Confirmed);
        assert_eq!(memory.len(), 3);
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest_but_nothing_in_flight() {
        let here: Arc<str> = "rmq_here".into();
        let mut memory = Memory::new(3);
        memory.offer(digest(0), &here, A);
        for n in 1..=200 {
            memory.offer(digest(n), &here, B);
            memory.confirm(&digest(n));
            memory.confirm(&digest(n)); // twice: it is one message nevertheless
        }
        assert!(memory.len() <= 4, "{}", memory.len());
        assert_eq!(memory.offer(digest(0), &here, B), Offer::InFlight);
        assert_eq!(memory.offer(digest(200), &here, A), Offer::Confirmed);
        assert_eq!(memory.offer(digest(1), &here, A), Offer::New);
    }
}
