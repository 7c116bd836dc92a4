//! What the library's RSA allows: unwraps a second on the gateway's cores, and nothing else.

use std::time::{Duration, Instant};

use studioml_envelope::{Identity, RsaPrivateKey, SessionKey};

use super::cores::Cores;
use super::support::provider;

/// Unwraps, and how long they took.
pub struct Ceiling<'c> {
    cores: &'c Cores,
    identity: Box<dyn Identity>,
    wrapped: Vec<u8>,
    count: u64,
    time: Duration,
}

impl<'c> Ceiling<'c> {
    pub fn new(key: &RsaPrivateKey, cores: &'c Cores) -> Self {
        let provider = provider();
        let identity = provider.key_unwrap.load(key).unwrap();
        let recipient = provider.key_wrap.load(key.public_key()).unwrap();
        let mut wrapped = vec![0; recipient.wrapped_len()];
        recipient.wrap(&SessionKey::from_bytes([7; 32]), provider.random, &mut wrapped).unwrap();
        Self { cores, identity, wrapped, count: 0, time: Duration::ZERO }
    }

    /// Unwraps for a while.
    pub fn measure(&mut self, time: Duration) {
        let unwrap_until = |end: Instant| {
            let mut count: u64 = 0;
            while Instant::now() < end {
                assert!(self.identity.unwrap(&self.wrapped, provider().random).found());
                count += 1;
            }
            count
        };
        let began = Instant::now();
        let count: u64 = self.cores.run_as_gateway(|| {
            std::thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..self.cores.gateway()).map(|_| scope.spawn(|| unwrap_until(began + time))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            })
        });
        self.count += count;
        self.time += began.elapsed();
    }

    /// Over all that was measured.
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }
}
