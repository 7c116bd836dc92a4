//! What the benches share: keys from files, the providers and the names that measurements are reported under, and the
//! libraries called without this project ([`bare`], [`floor`]).
//!
//! `README.md` beside this says how a measurement is named.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement whose ground is missing measures nothing and stops at once"
)]

pub mod bare;
pub mod channel;
pub mod floor;
pub mod peer;
pub mod turns;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Bencher, BenchmarkGroup, SamplingMode, Throughput, measurement::WallTime};
use studioml_envelope::{
    Ed25519PrivateKey, Implementation, P256PrivateKey, Provider, RsaPrivateKey, SecretBytes, SigningPrivateKey,
    provider,
};

/// The sizes of whole messages, in bytes of plaintext.
pub const MESSAGE_SIZES: [usize; 4] = [4 << 10, 64 << 10, 1 << 20, 16 << 20];

/// The largest plaintext that the benches let through: that of a provider where nothing else is configured.
pub const MAX_PLAINTEXT: usize = studioml_envelope::DEFAULT_MAX_PLAINTEXT;

/// PKCS #1 DER of the RSA-4096 key that all benches use; made by `ssh-keygen`, never generated per run.
pub const RSA_4096_PKCS1_DER: &[u8] =
    include_bytes!("../../crates/studioml-envelope-conformance/vectors/keyfiles/rsa.pkcs1.der");

/// The private scalar of RFC 6979 §A.2.5.
const P256_SCALAR: [u8; 32] = [
    0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93, 0x4e, 0x50, 0xc3,
    0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
];

/// The seed of [`ed25519`].
pub const ED25519_SEED: [u8; 32] = [7; 32];

/// The recipient's key.
#[must_use]
pub fn rsa_4096() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(RSA_4096_PKCS1_DER).expect("the vector is an RSA key")
}

/// An Ed25519 signing key.
#[must_use]
pub fn ed25519() -> SigningPrivateKey {
    let seed = SecretBytes::copy_from(&ED25519_SEED);
    SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(seed, None).expect("a seed is 32 bytes"))
}

/// A P-256 key, to sign and to agree with.
#[must_use]
pub fn p256() -> P256PrivateKey {
    let scalar = || SecretBytes::copy_from(&P256_SCALAR);
    let public = provider::default().agree_static.public_key_of(&scalar()).expect("the scalar is in range");
    P256PrivateKey::new(scalar(), public).expect("the scalar is in range")
}

/// A provider that serves a slot, and the label of the library that does the work there.
pub struct Serving {
    /// The library's name, and its path where it chose one: `aws-lc-rs`, `studioml-envelope-simd/avx2`.
    pub label: String,
    /// The library's name alone.
    pub library: &'static str,
    /// A provider with that library in the slot.
    pub provider: Provider,
}

/// One provider for each library that serves a slot, so that no library is measured twice in one group.
#[must_use]
pub fn serving(slot: impl Fn(&Provider) -> Implementation) -> Vec<Serving> {
    let mut found: Vec<Serving> = Vec::new();
    for candidate in provider::ALL {
        let Implementation { library, path, .. } = slot(candidate);
        if found.iter().all(|known| known.library != library) {
            let label = if path.is_empty() { library.to_owned() } else { format!("{library}/{path}") };
            found.push(Serving { label, library, provider: *candidate });
        }
    }
    found
}

/// The label of a library that is called directly, beside the provider or library that it is the floor of.
#[must_use]
pub fn floor_label(of: &str) -> String {
    format!("floor: {of} bare")
}

/// Tells criterion of an operation on `size` bytes, and to measure slow ones evenly instead of ever longer.
pub fn sized(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    group.throughput(Throughput::Bytes(size as u64));
    group.sampling_mode(if size >= 64 << 10 { SamplingMode::Flat } else { SamplingMode::Auto });
}

/// Measures what changes its input in place: the input is put back each time, outside the measurement.
///
/// The same buffers serve all iterations, as in a program that takes message after message; fresh ones each time would measure
/// the system's memory management. Reading the clock costs some 40 ns, so that short inputs have their turns in batches, which
/// stay in the first-level cache.
pub fn in_place(bench: &mut Bencher<'_>, input: &[u8], mut routine: impl FnMut(&mut [u8])) {
    let together = if input.len() >= 4 << 10 { 1 } else { (8 << 10) / input.len() };
    let mut batch = vec![input.to_vec(); together];
    bench.iter_custom(|iterations| {
        let mut total = Duration::ZERO;
        let mut left = usize::try_from(iterations).expect("as many as fit a measurement");
        while left > 0 {
            batch.iter_mut().for_each(|buffer| buffer.copy_from_slice(input));
            let now = left.min(batch.len());
            let start = Instant::now();
            batch.iter_mut().take(now).for_each(|buffer| routine(black_box(buffer)));
            total += start.elapsed();
            left -= now;
        }
        total
    });
}

/// A Request of `size` bytes: a JSON object as StudioML clients send it, its last member filled up with text.
#[must_use]
pub fn request(size: usize) -> Vec<u8> {
    let front = concat!(
        r#"{"experiment":{"status":"waiting","pythonver":"3.8","time_added":1530054413.134781,"#,
        r#""resources_needed":{"cpus":1,"gpus":0,"hdd":"6gb","ram":"6gb","gpuMem":"0gb"}},"#,
        r#""config":{"experimentLifetime":"30m","filler":""#
    );
    let back = "\"}}";
    let filler = size.checked_sub(front.len() + back.len()).expect("a Request has at least its members");
    let filler: String = "All work and no play makes Jack a dull boy. ".chars().cycle().take(filler).collect();
    format!("{front}{filler}{back}").into_bytes()
}

/// The label of OpenSSL, with the version that is linked: the system's may be years older than the one built from its crate.
#[cfg(feature = "peers")]
#[must_use]
pub fn openssl_label() -> String {
    openssl::version::version().split(' ').take(2).collect::<Vec<_>>().join(" ").to_lowercase()
}
