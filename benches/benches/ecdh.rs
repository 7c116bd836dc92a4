//! P-256 agreement: a fresh key pair and one agreement, as in each handshake, and one agreement with a key that is kept.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use studioml_envelope::provider;
use studioml_envelope_benches::{floor_label, p256, serving};

fn ephemeral(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("p-256-generate+agree");
    group.throughput(Throughput::Elements(1));
    let peer = *p256().public_key();
    for served in serving(|provider| provider.agree.implementation()) {
        let provider = served.provider;
        group.bench_function(&served.label, |bench| {
            bench.iter(|| provider.agree.generate(provider.random).unwrap().agree(&peer).unwrap());
        });
    }
    group.bench_function(floor_label("aws-lc-rs"), |bench| {
        use aws_lc_rs::{agreement, rand::SystemRandom};
        let random = SystemRandom::new();
        let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, peer.as_bytes());
        bench.iter(|| {
            let own = agreement::EphemeralPrivateKey::generate(&agreement::ECDH_P256, &random).unwrap();
            let public = own.compute_public_key().unwrap();
            (public, agreement::agree_ephemeral(own, peer, (), |secret| Ok(secret.to_vec())).unwrap())
        });
    });
    group.bench_function(floor_label("ring"), |bench| {
        use ring::{agreement, rand::SystemRandom};
        let random = SystemRandom::new();
        let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, peer.as_bytes());
        bench.iter(|| {
            let own = agreement::EphemeralPrivateKey::generate(&agreement::ECDH_P256, &random).unwrap();
            let public = own.compute_public_key().unwrap();
            (public, agreement::agree_ephemeral(own, &peer, <[u8]>::to_vec).unwrap())
        });
    });
    #[cfg(feature = "peers")]
    group.bench_function(studioml_envelope_benches::openssl_label(), |bench| {
        let curve = openssl_curve();
        let peer = openssl_key(&curve);
        bench.iter(|| openssl_agree(&openssl_key(&curve), &peer));
    });
    group.finish();
}

fn kept(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("p-256-agree");
    group.throughput(Throughput::Elements(1));
    let own = p256();
    let default = provider::default();
    let peer = *default.agree_static.generate(default.random).unwrap().public_key();
    for served in serving(|provider| provider.agree_static.implementation()) {
        let key = served.provider.agree_static.load(&own).unwrap();
        group.bench_function(&served.label, |bench| bench.iter(|| key.agree(&peer).unwrap()));
    }
    group.bench_function(floor_label("aws-lc-rs"), |bench| {
        use aws_lc_rs::agreement;
        let own = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, own.scalar().expose_secret()).unwrap();
        let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, peer.as_bytes());
        bench.iter(|| agreement::agree(&own, peer, (), |secret| Ok(secret.to_vec())).unwrap());
    });
    group.bench_function(floor_label("p256"), |bench| {
        let own = p256::SecretKey::from_slice(own.scalar().expose_secret()).unwrap();
        bench.iter(|| {
            let peer = p256::PublicKey::from_sec1_bytes(peer.as_bytes()).unwrap();
            p256::ecdh::diffie_hellman(own.to_nonzero_scalar(), peer.as_affine())
        });
    });
    #[cfg(feature = "peers")]
    group.bench_function(studioml_envelope_benches::openssl_label(), |bench| {
        let curve = openssl_curve();
        let (own, peer) = (openssl_key(&curve), openssl_key(&curve));
        bench.iter(|| openssl_agree(&own, &peer));
    });
    group.finish();
}

#[cfg(feature = "peers")]
type OpensslKey = openssl::pkey::PKey<openssl::pkey::Private>;

/// Made once, as the other libraries have their curve ready.
#[cfg(feature = "peers")]
fn openssl_curve() -> openssl::ec::EcGroup {
    openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap()
}

#[cfg(feature = "peers")]
fn openssl_key(curve: &openssl::ec::EcGroupRef) -> OpensslKey {
    use openssl::{ec::EcKey, pkey::PKey};
    PKey::from_ec_key(EcKey::generate(curve).unwrap()).unwrap()
}

#[cfg(feature = "peers")]
fn openssl_agree(own: &OpensslKey, peer: &OpensslKey) -> Vec<u8> {
    let mut deriver = openssl::derive::Deriver::new(own).unwrap();
    deriver.set_peer(peer).unwrap();
    deriver.derive_to_vec().unwrap()
}

criterion_group!(benches, ephemeral, kept);
criterion_main!(benches);
