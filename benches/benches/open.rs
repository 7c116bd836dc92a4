//! Opening a payload string in its own buffer, and verifying and opening it, as `Verifier` and `Opener` do; beside each
//! provider the bare calls of its libraries, one after another on buffers that are there already.
//!
//! Both end when the plaintext can be read; that it is wiped when its owner drops it is `wipe`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use studioml_envelope::{Opener, Payload, Sealer, Signer, Verifier, provider};
use studioml_envelope_benches::{
    MAX_PLAINTEXT, MESSAGE_SIZES, ed25519, floor::Floor, floor_label, in_place, request, rsa_4096, sized,
};

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    let key = rsa_4096();
    for size in MESSAGE_SIZES {
        sized(&mut group, size);
        let sealed = Sealer::new(&provider::default(), key.public_key()).unwrap().seal(&request(size)).unwrap();
        for provider in provider::ALL {
            let opener = Opener::new(provider, [&key]).unwrap();
            group.bench_function(BenchmarkId::new(provider.name, size), |bench| {
                in_place(bench, &sealed, |payload| {
                    black_box(opener.open_report(payload, MAX_PLAINTEXT).unwrap().into_unauthenticated_plaintext());
                });
            });
            let mut floor = Floor::of(provider, size);
            group.bench_function(BenchmarkId::new(floor_label(provider.name), size), |bench| {
                in_place(bench, &sealed, |payload| {
                    floor.open(payload);
                });
            });
        }
    }
    group.finish();
}

fn verify_and_open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify+open");
    let key = rsa_4096();
    for size in MESSAGE_SIZES {
        sized(&mut group, size);
        let sealed = Sealer::new(&provider::default(), key.public_key()).unwrap().seal(&request(size)).unwrap();
        for provider in provider::ALL {
            let signer = Signer::new(provider, &ed25519()).unwrap();
            let signature = signer.sign(&sealed).unwrap();
            let verifier = Verifier::new(provider, [signer.public_key()]).unwrap();
            let opener = Opener::new(provider, [&key]).unwrap();
            group.bench_function(BenchmarkId::new(provider.name, size), |bench| {
                in_place(bench, &sealed, |payload| {
                    let payload = Payload::parse(payload, MAX_PLAINTEXT).unwrap();
                    let verified = verifier.verify_payload(payload, &signature).unwrap();
                    black_box(opener.open(verified).unwrap().into_plaintext());
                });
            });
            let mut floor = Floor::of(provider, size);
            group.bench_function(BenchmarkId::new(floor_label(provider.name), size), |bench| {
                in_place(bench, &sealed, |payload| {
                    assert!(floor.verify(payload, &signature));
                    floor.open(payload);
                });
            });
        }
        #[cfg(feature = "peers")]
        studioml_envelope_benches::peer::bench_deployed(&mut group, "verify+open", size);
    }
    group.finish();
}

fn wipe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wipe");
    let (key, provider) = (rsa_4096(), provider::default());
    let opener = Opener::new(&provider, [&key]).unwrap();
    for size in MESSAGE_SIZES {
        sized(&mut group, size);
        let sealed = Sealer::new(&provider, key.public_key()).unwrap().seal(&request(size)).unwrap();
        group.bench_function(BenchmarkId::new("studioml-envelope-core", size), |bench| {
            bench.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    let mut payload = sealed.clone();
                    let opened = opener.open_report(&mut payload, MAX_PLAINTEXT).unwrap();
                    let start = Instant::now();
                    drop(black_box(opened));
                    total += start.elapsed();
                }
                total
            });
        });
        let mut plaintext = vec![7_u8; size];
        group.bench_function(BenchmarkId::new("floor: memset bare", size), |bench| {
            bench.iter(|| black_box(&mut plaintext).fill(0));
        });
    }
    group.finish();
}

criterion_group!(benches, open, verify_and_open, wipe);
criterion_main!(benches);
