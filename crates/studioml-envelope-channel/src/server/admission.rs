//! Who gets a place: so many handshakes at once, so many connections of one address.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

/// The handshakes in progress, the oldest first.
pub(super) struct Handshakes {
    maximum: usize,
    patience: Duration,
    in_progress: Mutex<InProgress>,
    ended: Notify,
}

#[derive(Default)]
struct InProgress {
    next: u64,
    /// Dropping the sender tells the handshake to give up.
    slots: BTreeMap<u64, (Instant, oneshot::Sender<()>)>,
}

/// One handshake's place.
pub(super) struct Slot {
    number: u64,
    handshakes: Arc<Handshakes>,
    given_up: oneshot::Receiver<()>,
}

impl Handshakes {
    pub(super) fn new(maximum: usize, patience: Duration) -> Self {
        Self { maximum: maximum.max(1), patience, in_progress: Mutex::default(), ended: Notify::new() }
    }

    /// Waits until there is a place: one ends by itself, or the oldest has had its time.
    pub(super) async fn make_room(&self) {
        loop {
            let ended = self.ended.notified();
            let Some(oldest_began) = self.oldest_if_full() else {
                return;
            };
            let until = oldest_began.checked_add(self.patience).unwrap_or(oldest_began);
            tokio::select! {
                () = ended => {}
                () = sleep_until(until) => drop(self.lock().slots.pop_first()),
            }
        }
    }

    fn oldest_if_full(&self) -> Option<Instant> {
        let in_progress = self.lock();
        if in_progress.slots.len() < self.maximum {
            return None;
        }
        in_progress.slots.first_key_value().map(|(_, (began, _))| *began)
    }

    pub(super) fn begin(self: &Arc<Self>) -> Slot {
        let (give_up, given_up) = oneshot::channel();
        let mut in_progress = self.lock();
        let number = in_progress.next;
        in_progress.next = number.wrapping_add(1);
        in_progress.slots.insert(number, (Instant::now(), give_up));
        Slot { number, handshakes: Arc::clone(self), given_up }
    }

    pub(super) fn give_up_all(&self) {
        self.lock().slots.clear();
    }

    fn lock(&self) -> MutexGuard<'_, InProgress> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Ready when the place was given to somebody else.
    pub(super) async fn given_up(&mut self) {
        let _ = (&mut self.given_up).await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.handshakes.lock().slots.remove(&self.number);
        self.handshakes.ended.notify_one();
    }
}

/// Connections by address.
pub(super) struct Addresses {
    maximum: usize,
    connected: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place at its address.
pub(super) struct Place {
    network: IpAddr,
    addresses: Arc<Addresses>,
}

impl Addresses {
    pub(super) fn new(maximum: usize) -> Self {
        Self { maximum, connected: Mutex::default() }
    }

    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let count = connected.get(&network).copied().unwrap_or(0);
        if count >= self.maximum {
            return None;
        }
        connected.insert(network, count.saturating_add(1));
        Some(Place { network, addresses: Arc::clone(self) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connected = self.addresses.connected.lock().unwrap_or_else(PoisonError::into_inner);
        match connected.get_mut(&self.network) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => drop(connected.remove(&self.network)),
        }
    }
}

/// What counts as one address: an IPv6 host has a whole /64 to itself (RFC 4291 §2.5.1).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{Addresses, Handshakes};

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_stands_still_makes_room_after_its_time_and_not_before() {
        let handshakes = Arc::new(Handshakes::new(2, Duration::from_secs(1)));
        let (mut first, mut second) = (handshakes.begin(), handshakes.begin());
        let began = tokio::time::Instant::now();
        handshakes.make_room().await;
        assert_eq!(began.elapsed().as_secs(), 1);
        first.given_up().await;
        let third = handshakes.begin();
        tokio::select! {
            biased;
            () = second.given_up() => panic!("there was room for the third"),
            () = std::future::ready(()) => {}
        }
        drop((first, third));
        handshakes.make_room().await;
        assert_eq!(began.elapsed().as_secs(), 1, "one place is free");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_ends_makes_room_at_once() {
        let handshakes = Arc::new(Handshakes::new(1, Duration::from_secs(3600)));
        let slot = handshakes.begin();
        let waiting = tokio::spawn({
            let handshakes = Arc::clone(&handshakes);
            async move { handshakes.make_room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(slot);
        waiting.await.unwrap();
    }

    #[test]
    fn places_are_counted_by_network_and_given_back() {
        let addresses = Arc::new(Addresses::new(2));
        let take = |address: &str| addresses.take(address.parse().unwrap());
        let (first, second) = (take("192.0.2.1").unwrap(), take("::ffff:192.0.2.1").unwrap());
        assert!(take("192.0.2.1").is_none(), "the mapped address is the same");
        assert!(take("192.0.2.2").is_some());
        drop(first);
        assert!(take("192.0.2.1").is_some());
        drop(second);

        let (_first, _second) = (take("2001:db8::1").unwrap(), take("2001:db8::ffff:2").unwrap());
        assert!(take("2001:db8::3").is_none(), "one /64 is one host");
        assert!(take("2001:db8:0:1::3").is_some());
        drop((_first, _second));
        assert!(addresses.connected.lock().unwrap().is_empty(), "nothing is kept of who has left");
    }
}
