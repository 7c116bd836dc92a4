//! Sealing a payload string, and sealing and signing it, as `Sealer` and `Signer` do; beside each provider the bare calls of
//! its libraries, one after another, into one new allocation as well.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use studioml_envelope::{Sealer, Signer, provider};
use studioml_envelope_benches::{MESSAGE_SIZES, ed25519, floor::Floor, floor_label, request, rsa_4096, sized};

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    for size in MESSAGE_SIZES {
        sized(&mut group, size);
        let plaintext = request(size);
        for provider in provider::ALL {
            let sealer = Sealer::new(provider, rsa_4096().public_key()).unwrap();
            group.bench_function(BenchmarkId::new(provider.name, size), |bench| {
                bench.iter(|| sealer.seal(&plaintext).unwrap());
            });
            let mut floor = Floor::of(provider, size);
            group.bench_function(BenchmarkId::new(floor_label(provider.name), size), |bench| {
                bench.iter(|| floor.seal().len());
            });
        }
    }
    group.finish();
}

fn seal_and_sign(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal+sign");
    for size in MESSAGE_SIZES {
        sized(&mut group, size);
        let plaintext = request(size);
        for provider in provider::ALL {
            let sealer = Sealer::new(provider, rsa_4096().public_key()).unwrap();
            let signer = Signer::new(provider, &ed25519()).unwrap();
            group.bench_function(BenchmarkId::new(provider.name, size), |bench| {
                bench.iter(|| {
                    let payload = sealer.seal(&plaintext).unwrap();
                    let signature = signer.sign(&payload).unwrap();
                    (payload, signature)
                });
            });
            let mut floor = Floor::of(provider, size);
            group.bench_function(BenchmarkId::new(floor_label(provider.name), size), |bench| {
                bench.iter(|| floor.seal_and_sign().1);
            });
        }
        #[cfg(feature = "peers")]
        studioml_envelope_benches::peer::bench_deployed(&mut group, "seal+sign", size);
    }
    group.finish();
}

criterion_group!(benches, seal, seal_and_sign);
criterion_main!(benches);
