//! Named providers: which library serves which slot, in one place.
//!
//! No library has every part. Each composition here is named for what it contains, the library of most slots first, and a
//! reviewer reads the whole mix in one value. All of them are wire-identical: a feature that another crate switches on can
//! change speed, never a byte or a verdict.

use studioml_envelope_core::Provider;

/// aws-lc-rs for everything but SecretBox, which is RustCrypto's: aws-lc-rs has no Salsa20.
#[cfg(feature = "aws-lc-rs")]
pub const AWS_LC_RS_WITH_RUSTCRYPTO: Provider = Provider {
    name: "aws-lc-rs+rustcrypto",
    random: &studioml_envelope_aws_lc_rs::RANDOM,
    digest: &studioml_envelope_aws_lc_rs::DIGEST,
    key_wrap: &studioml_envelope_aws_lc_rs::KEY_WRAP,
    key_unwrap: &studioml_envelope_aws_lc_rs::KEY_UNWRAP,
    secret_box: &studioml_envelope_rustcrypto::SECRET_BOX,
    sign: &studioml_envelope_aws_lc_rs::SIGN,
    verify: &studioml_envelope_aws_lc_rs::VERIFY,
    agree: &studioml_envelope_aws_lc_rs::AGREE,
    agree_static: &studioml_envelope_aws_lc_rs::AGREE_STATIC,
    aead: &studioml_envelope_aws_lc_rs::AEAD,
    kdf: &studioml_envelope_aws_lc_rs::KDF,
};

/// aws-lc-rs for everything but SecretBox, which is this project's own SIMD kernel.
#[cfg(all(feature = "aws-lc-rs", feature = "simd"))]
pub const AWS_LC_RS_WITH_SIMD: Provider =
    Provider { name: "aws-lc-rs+simd", secret_box: studioml_envelope_simd::SECRET_BOX, ..AWS_LC_RS_WITH_RUSTCRYPTO };

/// RustCrypto for everything.
#[cfg(feature = "rustcrypto")]
pub const RUSTCRYPTO: Provider = studioml_envelope_rustcrypto::PROVIDER;

/// RustCrypto for everything but SecretBox, which is this project's own SIMD kernel.
#[cfg(all(feature = "rustcrypto", feature = "simd"))]
pub const RUSTCRYPTO_WITH_SIMD: Provider =
    Provider { name: "rustcrypto+simd", secret_box: studioml_envelope_simd::SECRET_BOX, ..RUSTCRYPTO };

/// ring for what it has (signatures, ephemeral agreement, AES-GCM, HKDF, digests, random), RustCrypto for RSA, SecretBox
/// and static agreement.
#[cfg(feature = "ring")]
pub const RING_WITH_RUSTCRYPTO: Provider = Provider {
    name: "ring+rustcrypto",
    random: &studioml_envelope_ring::RANDOM,
    digest: &studioml_envelope_ring::DIGEST,
    sign: &studioml_envelope_ring::SIGN,
    verify: &studioml_envelope_ring::VERIFY,
    agree: &studioml_envelope_ring::AGREE,
    aead: &studioml_envelope_ring::AEAD,
    kdf: &studioml_envelope_ring::KDF,
    ..studioml_envelope_rustcrypto::PROVIDER
};

/// Every provider compiled in, the best first: the order in which [`default`] chooses.
///
/// The order is by the cost of opening a message, which is one RSA private operation for most: aws-lc-rs, then RustCrypto,
/// then ring, whose RSA is RustCrypto's; and of two that share it, the one with the faster SecretBox.
pub const ALL: &[Provider] = &[
    #[cfg(all(feature = "aws-lc-rs", feature = "simd"))]
    AWS_LC_RS_WITH_SIMD,
    #[cfg(feature = "aws-lc-rs")]
    AWS_LC_RS_WITH_RUSTCRYPTO,
    #[cfg(all(feature = "rustcrypto", feature = "simd"))]
    RUSTCRYPTO_WITH_SIMD,
    #[cfg(feature = "rustcrypto")]
    RUSTCRYPTO,
    #[cfg(feature = "ring")]
    RING_WITH_RUSTCRYPTO,
];

/// The best provider compiled in: the first of [`ALL`]. Never panics for there being several.
#[cfg(any(feature = "aws-lc-rs", feature = "rustcrypto", feature = "ring"))]
#[must_use]
#[allow(clippy::panic, reason = "evaluated while compiling, where a list without a provider is already an error")]
pub const fn default() -> Provider {
    const BEST: Provider = match ALL {
        [best, ..] => *best,
        [] => panic!("the crate does not compile without a provider"),
    };
    BEST
}

/// A provider by its name, or by the name of the library of most slots (`aws-lc-rs` for the first that begins so).
#[must_use]
pub fn by_name(name: &str) -> Option<Provider> {
    let exact = ALL.iter().find(|provider| provider.name == name);
    let first_library = |provider: &&Provider| provider.name.split('+').next() == Some(name);
    exact.or_else(|| ALL.iter().find(first_library)).copied()
}
