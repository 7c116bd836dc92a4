//! What the library's RSA allows: unwraps a second on the gateway's cores, and nothing else.

use std::time::{Duration, Instant};

use studioml_envelope::{RsaPrivateKey, SessionKey};

use super::cores::Cores;
use super::support::provider;

const MEASURED: Duration = Duration::from_secs(5);

pub fn rsa_unwraps_per_second(key: &RsaPrivateKey, cores: &Cores) -> f64 {
    let provider = provider();
    let identity = provider.key_unwrap.load(key).unwrap();
    let recipient = provider.key_wrap.load(key.public_key()).unwrap();
    let mut wrapped = vec![0; recipient.wrapped_len()];
    recipient.wrap(&SessionKey::from_bytes([7; 32]), provider.random, &mut wrapped).unwrap();
    let unwrap_until = |end: Instant| {
        let mut count: u64 = 0;
        while Instant::now() < end {
            assert!(identity.unwrap(&wrapped, provider.random).found());
            count += 1;
        }
        count
    };
    let began = Instant::now();
    let count: u64 = cores.run_as_gateway(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..cores.gateway()).map(|_| scope.spawn(|| unwrap_until(began + MEASURED))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    });
    count as f64 / began.elapsed().as_secs_f64()
}
