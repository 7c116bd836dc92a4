//! SecretBox, XSalsa20-Poly1305, from one block to a large message: in place both ways.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use studioml_envelope::{SecretBox, SessionKey, provider};
use studioml_envelope_benches::{bare, floor_label, in_place, sized};

#[cfg(feature = "peers")]
mod sodium;

/// libsodium with each of its paths.
#[cfg(feature = "peers")]
const SODIUM: [(&str, sodium::Path); 2] = [("libsodium", sodium::Path::Best), ("libsodium/avx2", sodium::Path::Avx2)];

const SIZES: [usize; 8] = [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20, 16 << 20];
const KEY: [u8; 32] = [1; 32];
const NONCE: [u8; 24] = [2; 24];

/// Every part there is, each path of the SIMD crate that this CPU has as a part of its own.
fn parts() -> Vec<(String, &'static dyn SecretBox)> {
    let mut parts: Vec<(String, &'static dyn SecretBox)> = Vec::new();
    for provider in provider::ALL {
        let library = provider.secret_box.implementation().library;
        if library != "studioml-envelope-simd" && parts.iter().all(|(known, _)| known != library) {
            parts.push((library.to_owned(), provider.secret_box));
        }
    }
    for path in studioml_envelope_simd::hazmat::Path::ALL {
        if let Some(part) = studioml_envelope_simd::hazmat::secret_box(path) {
            parts.push((format!("studioml-envelope-simd/{}", path.name()), part));
        }
    }
    parts
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("secret-box-seal");
    let key = SessionKey::from_bytes(KEY);
    for size in SIZES {
        sized(&mut group, size);
        let mut text = vec![7; size];
        for (label, part) in parts() {
            group.bench_function(BenchmarkId::new(label, size), |bench| {
                bench.iter(|| part.seal_in_place(&key, &NONCE, &mut text));
            });
        }
        group.bench_function(BenchmarkId::new(floor_label("crypto_secretbox"), size), |bench| {
            bench.iter(|| bare::seal_box("crypto_secretbox", &KEY, &NONCE, &mut text));
        });
        #[cfg(feature = "peers")]
        for (label, path) in SODIUM {
            path.take();
            group.bench_function(BenchmarkId::new(label, size), |bench| bench.iter(|| sodium::seal(&mut text)));
        }
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("secret-box-open");
    let key = SessionKey::from_bytes(KEY);
    for size in SIZES {
        sized(&mut group, size);
        let mut sealed = vec![7; size];
        let tag = bare::seal_box("crypto_secretbox", &KEY, &NONCE, &mut sealed);
        for (label, part) in parts() {
            group.bench_function(BenchmarkId::new(label, size), |bench| {
                in_place(bench, &sealed, |text| part.open_in_place(&key, &NONCE, &tag, text).unwrap());
            });
        }
        group.bench_function(BenchmarkId::new(floor_label("crypto_secretbox"), size), |bench| {
            in_place(bench, &sealed, |text| bare::open_box("crypto_secretbox", &KEY, &NONCE, &tag, text));
        });
        #[cfg(feature = "peers")]
        for (label, path) in SODIUM {
            path.take();
            group.bench_function(BenchmarkId::new(label, size), |bench| {
                in_place(bench, &sealed, |text| sodium::open(text, &tag));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
