//! What is done once for a key and not once for a message: loading and precomputing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use studioml_envelope::RsaPrivateKey;
use studioml_envelope_benches::{RSA_4096_PKCS1_DER, serving};

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rsa-4096-load-private-key");
    group.throughput(Throughput::Elements(1));
    for served in serving(|provider| provider.key_unwrap.implementation()) {
        group.bench_function(&served.label, |bench| {
            bench.iter(|| {
                let key = RsaPrivateKey::from_pkcs1_der(RSA_4096_PKCS1_DER).unwrap();
                served.provider.key_unwrap.load(&key).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, load);
criterion_main!(benches);
