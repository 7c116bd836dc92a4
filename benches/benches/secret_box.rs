//! SecretBox, XSalsa20-Poly1305, from one block to a large message: in place both ways.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros write the functions; a bench may stop at once"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Bencher, BenchmarkId, Criterion, criterion_group, criterion_main};
use studioml_envelope::{SecretBox, SessionKey, provider};
use studioml_envelope_benches::{bare, floor_label, in_place, sized};

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
        for path in sodium::Path::ALL {
            path.take();
            group.bench_function(BenchmarkId::new(path.label(), size), |bench| bench.iter(|| sodium::seal(&mut text)));
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
                decrypt(bench, &sealed, |text| part.open_in_place(&key, &NONCE, &tag, text).unwrap());
            });
        }
        group.bench_function(BenchmarkId::new(floor_label("crypto_secretbox"), size), |bench| {
            decrypt(bench, &sealed, |text| bare::open_box("crypto_secretbox", &KEY, &NONCE, &tag, text));
        });
        #[cfg(feature = "peers")]
        for path in sodium::Path::ALL {
            path.take();
            group.bench_function(BenchmarkId::new(path.label(), size), |bench| {
                decrypt(bench, &sealed, |text| sodium::open(text, &tag));
            });
        }
    }
    group.finish();
}

/// What takes less than a microsecond is measured in batches, so that the clock is read once for many; batches that stay in the
/// first-level cache, as one message after another does.
fn decrypt(bench: &mut Bencher<'_>, sealed: &[u8], mut routine: impl FnMut(&mut [u8])) {
    if sealed.len() >= 4 << 10 {
        return in_place(bench, sealed, routine);
    }
    let mut batch = vec![sealed.to_vec(); (8 << 10) / sealed.len()];
    bench.iter_custom(|iterations| {
        let mut total = Duration::ZERO;
        let mut left = usize::try_from(iterations).unwrap();
        while left > 0 {
            batch.iter_mut().for_each(|text| text.copy_from_slice(sealed));
            let now = left.min(batch.len());
            let start = Instant::now();
            batch.iter_mut().take(now).for_each(|text| routine(black_box(text)));
            total += start.elapsed();
            left -= now;
        }
        total
    });
}

/// libsodium, called as its documentation says.
#[cfg(feature = "peers")]
mod sodium {
    use std::ffi::{c_int, c_ulonglong};
    use std::sync::atomic::{AtomicBool, Ordering};

    use libsodium_sys::{crypto_secretbox_detached, crypto_secretbox_open_detached, sodium_init};

    use super::{KEY, NONCE};

    /// What libsodium believes of the CPU.
    #[derive(Clone, Copy, PartialEq)]
    pub enum Path {
        /// What it finds.
        Best,
        /// The same without AVX-512, so that it takes its AVX2 kernels.
        Avx2,
    }

    impl Path {
        pub const ALL: [Self; 2] = [Self::Best, Self::Avx2];

        pub fn label(self) -> &'static str {
            match self {
                Self::Best => "libsodium",
                Self::Avx2 => "libsodium/avx2",
            }
        }

        /// libsodium chooses anew.
        pub fn take(self) {
            AVX512_HIDDEN.store(self == Self::Avx2, Ordering::Relaxed);
            // SAFETY: looks at what the CPU has and sets a pointer; nobody else calls libsodium meanwhile.
            unsafe {
                assert!(sodium_init() >= 0);
                _crypto_stream_salsa20_pick_best_implementation();
            }
        }
    }

    static AVX512_HIDDEN: AtomicBool = AtomicBool::new(false);

    unsafe extern "C" {
        /// What `sodium_init` calls to choose kernels for Salsa20.
        fn _crypto_stream_salsa20_pick_best_implementation() -> c_int;
        fn __real_sodium_runtime_has_avx512f() -> c_int;
    }

    /// Stands in for libsodium's function of this name: the build script tells the linker to wrap it.
    #[unsafe(no_mangle)]
    extern "C" fn __wrap_sodium_runtime_has_avx512f() -> c_int {
        // SAFETY: reads a number that `sodium_init` has set.
        if AVX512_HIDDEN.load(Ordering::Relaxed) { 0 } else { unsafe { __real_sodium_runtime_has_avx512f() } }
    }

    pub fn seal(text: &mut [u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        let length = text.len() as c_ulonglong;
        // SAFETY: text and tag are valid for their lengths and may be the same buffer (libsodium: `c` and `m` can overlap);
        // key and nonce have 32 and 24 bytes.
        let done = unsafe {
            let (out, text) = (text.as_mut_ptr(), text.as_ptr());
            crypto_secretbox_detached(out, tag.as_mut_ptr(), text, length, NONCE.as_ptr(), KEY.as_ptr())
        };
        assert_eq!(done, 0);
        tag
    }

    pub fn open(text: &mut [u8], tag: &[u8; 16]) {
        let length = text.len() as c_ulonglong;
        // SAFETY: as above.
        let done = unsafe {
            let (out, text) = (text.as_mut_ptr(), text.as_ptr());
            crypto_secretbox_open_detached(out, text, tag.as_ptr(), length, NONCE.as_ptr(), KEY.as_ptr())
        };
        assert_eq!(done, 0);
    }
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
