//! RSA-4096 OAEP-SHA256, the receiver's side: unwrapping a session key. This decides what a small message costs.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use studioml_envelope::{SessionKey, provider};
use studioml_envelope_benches::{bare, floor_label, rsa_4096, serving};

fn unwrap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rsa-4096-unwrap");
    group.throughput(Throughput::Elements(1));
    let key = rsa_4096();
    let (mut wrapped, mut out) = ([0; 512], [0; 512]);
    let sender = provider::default();
    let recipient = sender.key_wrap.load(key.public_key()).unwrap();
    recipient.wrap(&SessionKey::from_bytes([7; 32]), sender.random, &mut wrapped).unwrap();

    for served in serving(|provider| provider.key_unwrap.implementation()) {
        let identity = served.provider.key_unwrap.load(&key).unwrap();
        group.bench_function(&served.label, |bench| {
            bench.iter(|| assert!(identity.unwrap(&wrapped, served.provider.random).found()));
        });
        let mut bare = bare::unwrap(served.library, &key);
        group.bench_function(floor_label(served.library), |bench| {
            bench.iter(|| assert_eq!(bare(&wrapped, &mut out), [7; 32]));
        });
    }
    #[cfg(feature = "peers")]
    {
        use openssl::{encrypt::Decrypter, hash::MessageDigest, pkey::PKey, rsa::Padding};
        let key = PKey::private_key_from_der(studioml_envelope_benches::RSA_4096_PKCS1_DER).unwrap();
        let mut decrypter = Decrypter::new(&key).unwrap();
        decrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
        decrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
        decrypter.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
        let label = studioml_envelope_benches::openssl_label();
        group.bench_function(label, |bench| bench.iter(|| decrypter.decrypt(&wrapped, &mut out).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, unwrap);
criterion_main!(benches);
