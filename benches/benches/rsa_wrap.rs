//! RSA-4096 OAEP-SHA256, the sender's side: wrapping a session key.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use studioml_envelope::SessionKey;
use studioml_envelope_benches::{bare, floor_label, rsa_4096, serving};

fn wrap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rsa-4096-wrap");
    group.throughput(Throughput::Elements(1));
    let key = rsa_4096();
    let mut out = [0; 512];
    let session_key = SessionKey::from_bytes([7; 32]);
    for served in serving(|provider| provider.key_wrap.implementation()) {
        let recipient = served.provider.key_wrap.load(key.public_key()).unwrap();
        group.bench_function(&served.label, |bench| {
            bench.iter(|| recipient.wrap(&session_key, served.provider.random, &mut out).unwrap());
        });
        let mut bare = bare::wrap(served.library, &key);
        group.bench_function(floor_label(served.library), |bench| bench.iter(|| bare(&[7; 32], &mut out)));
    }
    #[cfg(feature = "peers")]
    {
        use openssl::{encrypt::Encrypter, hash::MessageDigest, pkey::PKey, rsa::Padding};
        let key = PKey::private_key_from_der(studioml_envelope_benches::RSA_4096_PKCS1_DER).unwrap();
        let mut encrypter = Encrypter::new(&key).unwrap();
        encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
        encrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
        encrypter.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
        let label = studioml_envelope_benches::openssl_label();
        group.bench_function(label, |bench| bench.iter(|| encrypter.encrypt(&[7; 32], &mut out).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, wrap);
criterion_main!(benches);
