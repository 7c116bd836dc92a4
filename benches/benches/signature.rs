//! Ed25519 and ECDSA P-256 signatures over 4 KiB and 1 MiB: the curve decides the small one, the hash the large one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use studioml_envelope::SigningPrivateKey;
use studioml_envelope_benches::{bare, ed25519, floor_label, p256, serving, sized};

const SIZES: [usize; 2] = [4 << 10, 1 << 20];

fn sign(criterion: &mut Criterion, algorithm: &str, key: &SigningPrivateKey) {
    let mut group = criterion.benchmark_group(format!("{algorithm}-sign"));
    for size in SIZES {
        sized(&mut group, size);
        let message = vec![b'A'; size];
        for served in serving(|provider| provider.sign.implementation()) {
            let signing = served.provider.sign.load(key).unwrap();
            group.bench_function(BenchmarkId::new(&served.label, size), |bench| {
                bench.iter(|| signing.sign(&message, served.provider.random).unwrap());
            });
            if matches!(key, SigningPrivateKey::Ed25519(_)) {
                let bare = bare::sign(served.library);
                group.bench_function(BenchmarkId::new(floor_label(served.library), size), |bench| {
                    bench.iter(|| bare(&message));
                });
            }
        }
        #[cfg(feature = "peers")]
        {
            let (key, digest) = peer_key(key);
            group.bench_function(BenchmarkId::new(studioml_envelope_benches::openssl_label(), size), |bench| {
                bench.iter(|| peer_signer(&key, digest).sign_oneshot_to_vec(&message).unwrap());
            });
        }
    }
    group.finish();
}

fn verify(criterion: &mut Criterion, algorithm: &str, key: &SigningPrivateKey) {
    let mut group = criterion.benchmark_group(format!("{algorithm}-verify"));
    for size in SIZES {
        sized(&mut group, size);
        let message = vec![b'A'; size];
        for served in serving(|provider| provider.verify.implementation()) {
            let signing = served.provider.sign.load(key).unwrap();
            let signature = signing.sign(&message, served.provider.random).unwrap();
            let verifying = served.provider.verify.load(signing.public_key()).unwrap();
            group.bench_function(BenchmarkId::new(&served.label, size), |bench| {
                bench.iter(|| verifying.verify(&message, &signature).unwrap());
            });
            if matches!(key, SigningPrivateKey::Ed25519(_)) {
                let signature = bare::sign(served.library)(&message);
                let bare = bare::verify(served.library);
                group.bench_function(BenchmarkId::new(floor_label(served.library), size), |bench| {
                    bench.iter(|| assert!(bare(&message, &signature)));
                });
            }
        }
        #[cfg(feature = "peers")]
        {
            let (key, digest) = peer_key(key);
            let signature = peer_signer(&key, digest).sign_oneshot_to_vec(&message).unwrap();
            group.bench_function(BenchmarkId::new(studioml_envelope_benches::openssl_label(), size), |bench| {
                bench.iter(|| {
                    use openssl::sign::Verifier;
                    let mut verifier = match digest {
                        Some(digest) => Verifier::new(digest, &key).unwrap(),
                        None => Verifier::new_without_digest(&key).unwrap(),
                    };
                    assert!(verifier.verify_oneshot(&signature, &message).unwrap());
                });
            });
        }
    }
    group.finish();
}

#[cfg(feature = "peers")]
type PeerKey = (openssl::pkey::PKey<openssl::pkey::Private>, Option<openssl::hash::MessageDigest>);

/// A key of the same algorithm, OpenSSL's own, and the digest that goes before it.
#[cfg(feature = "peers")]
fn peer_key(key: &SigningPrivateKey) -> PeerKey {
    use openssl::{
        ec::{EcGroup, EcKey},
        hash::MessageDigest,
        nid::Nid,
        pkey::PKey,
    };
    match key {
        SigningPrivateKey::Ed25519(_) => (PKey::generate_ed25519().unwrap(), None),
        SigningPrivateKey::P256(_) => {
            let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            (PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap(), Some(MessageDigest::sha256()))
        }
    }
}

#[cfg(feature = "peers")]
fn peer_signer(
    key: &openssl::pkey::PKey<openssl::pkey::Private>,
    digest: Option<openssl::hash::MessageDigest>,
) -> openssl::sign::Signer<'_> {
    match digest {
        Some(digest) => openssl::sign::Signer::new(digest, key).unwrap(),
        None => openssl::sign::Signer::new_without_digest(key).unwrap(),
    }
}

fn all(criterion: &mut Criterion) {
    for (algorithm, key) in [("ed25519", ed25519()), ("ecdsa-p256", SigningPrivateKey::P256(p256()))] {
        sign(criterion, algorithm, &key);
        verify(criterion, algorithm, &key);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
