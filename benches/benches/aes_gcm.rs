//! AES-256-GCM, which seals the channel's records.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use studioml_envelope_benches::{floor_label, in_place, serving, sized};

const SIZES: [usize; 3] = [1 << 10, 16 << 10, 1 << 20];
const KEY: [u8; 32] = [1; 32];
const NONCE: [u8; 12] = [2; 12];

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("aes-256-gcm-seal");
    for size in SIZES {
        sized(&mut group, size);
        let mut text = vec![7; size];
        for served in serving(|provider| provider.aead.implementation()) {
            let key = served.provider.aead.load(&KEY);
            group.bench_function(BenchmarkId::new(&served.label, size), |bench| {
                bench.iter(|| key.seal_in_place(&NONCE, &[], &mut text));
            });
        }
        let aws_lc = aws_lc_key();
        group.bench_function(BenchmarkId::new(floor_label("aws-lc-rs"), size), |bench| {
            use aws_lc_rs::aead::{Aad, Nonce};
            bench.iter(|| {
                let nonce = Nonce::assume_unique_for_key(NONCE);
                aws_lc.seal_in_place_separate_tag(nonce, Aad::empty(), &mut text).unwrap()
            });
        });
        let ring = ring_key();
        group.bench_function(BenchmarkId::new(floor_label("ring"), size), |bench| {
            use ring::aead::{Aad, Nonce};
            bench.iter(|| {
                let nonce = Nonce::assume_unique_for_key(NONCE);
                ring.seal_in_place_separate_tag(nonce, Aad::empty(), &mut text).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new(floor_label("aes-gcm"), size), |bench| {
            use aes_gcm::{Aes256Gcm, KeyInit as _, aead::AeadInOut as _};
            let key = Aes256Gcm::new((&KEY).into());
            bench.iter(|| key.encrypt_inout_detached((&NONCE).into(), &[], text.as_mut_slice().into()).unwrap());
        });
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("aes-256-gcm-open");
    for size in SIZES {
        sized(&mut group, size);
        let mut sealed = vec![7; size];
        let tag = studioml_envelope::provider::default().aead.load(&KEY).seal_in_place(&NONCE, &[], &mut sealed);
        for served in serving(|provider| provider.aead.implementation()) {
            let key = served.provider.aead.load(&KEY);
            group.bench_function(BenchmarkId::new(&served.label, size), |bench| {
                in_place(bench, &sealed, |text| key.open_in_place(&NONCE, &[], &tag, text).unwrap());
            });
        }
        let aws_lc = aws_lc_key();
        group.bench_function(BenchmarkId::new(floor_label("aws-lc-rs"), size), |bench| {
            use aws_lc_rs::aead::{Aad, Nonce};
            in_place(bench, &sealed, |text| {
                let nonce = Nonce::assume_unique_for_key(NONCE);
                aws_lc.open_in_place_separate_tag(nonce, Aad::empty(), &tag, text).unwrap();
            });
        });
        let ring = ring_key();
        group.bench_function(BenchmarkId::new(floor_label("ring"), size), |bench| {
            use ring::aead::{Aad, Nonce, Tag};
            in_place(bench, &sealed, |text| {
                let nonce = Nonce::assume_unique_for_key(NONCE);
                ring.open_in_place_separate_tag(nonce, Aad::empty(), Tag::from(tag), text, 0..).unwrap();
            });
        });
        group.bench_function(BenchmarkId::new(floor_label("aes-gcm"), size), |bench| {
            use aes_gcm::{Aes256Gcm, KeyInit as _, aead::AeadInOut as _};
            let key = Aes256Gcm::new((&KEY).into());
            in_place(bench, &sealed, |text| {
                key.decrypt_inout_detached((&NONCE).into(), &[], text.into(), (&tag).into()).unwrap();
            });
        });
    }
    group.finish();
}

fn ring_key() -> ring::aead::LessSafeKey {
    ring::aead::LessSafeKey::new(ring::aead::UnboundKey::new(&ring::aead::AES_256_GCM, &KEY).unwrap())
}

fn aws_lc_key() -> aws_lc_rs::aead::LessSafeKey {
    use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap())
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
