//! Whole messages with the JSON envelope around the payload, as they travel: sealed and signed, verified and opened. Beside
//! each provider the bare cryptographic calls, which know no JSON.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use studioml_envelope::{Message, Opener, Sealer, Signer, Verifier, provider};
use studioml_envelope_benches::{
    MAX_PLAINTEXT, MESSAGE_SIZES, ed25519, floor::Floor, floor_label, in_place, request, rsa_4096, sized,
};

fn seal_and_sign(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("envelope-seal+sign");
    for size in MESSAGE_SIZES {
        sized(&mut group, size);
        let plaintext = request(size);
        for provider in provider::ALL {
            let sealer = Sealer::new(provider, rsa_4096().public_key()).unwrap();
            let signer = Signer::new(provider, &ed25519()).unwrap();
            group.bench_function(BenchmarkId::new(provider.name, size), |bench| {
                bench.iter(|| sealer.seal_signed_envelope(&plaintext, &signer).unwrap());
            });
            let mut floor = Floor::of(provider, size);
            group.bench_function(BenchmarkId::new(floor_label(provider.name), size), |bench| {
                bench.iter(|| floor.seal_and_sign().1);
            });
        }
        #[cfg(feature = "peers")]
        studioml_envelope_benches::peer::bench_deployed(&mut group, "envelope-seal+sign", size);
    }
    group.finish();
}

fn verify_and_open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("envelope-verify+open");
    let key = rsa_4096();
    for size in MESSAGE_SIZES {
        sized(&mut group, size);
        for provider in provider::ALL {
            let signer = Signer::new(provider, &ed25519()).unwrap();
            let sealer = Sealer::new(provider, key.public_key()).unwrap();
            let message = sealer.seal_signed_envelope(&request(size), &signer).unwrap();
            let verifier = Verifier::new(provider, [signer.public_key()]).unwrap();
            let opener = Opener::new(provider, [&key]).unwrap();
            group.bench_function(BenchmarkId::new(provider.name, size), |bench| {
                in_place(bench, &message, |message| {
                    let message = Message::parse(message, MAX_PLAINTEXT).unwrap();
                    black_box(opener.open(verifier.verify(message).unwrap()).unwrap().into_plaintext());
                });
            });
            let mut floor = Floor::of(provider, size);
            let sealed = sealer.seal(&request(size)).unwrap();
            let signature = signer.sign(&sealed).unwrap();
            group.bench_function(BenchmarkId::new(floor_label(provider.name), size), |bench| {
                in_place(bench, &sealed, |payload| {
                    assert!(floor.verify(payload, &signature));
                    floor.open(payload);
                });
            });
        }
        #[cfg(feature = "peers")]
        studioml_envelope_benches::peer::bench_deployed(&mut group, "envelope-verify+open", size);
    }
    group.finish();
}

criterion_group!(benches, seal_and_sign, verify_and_open);
criterion_main!(benches);
