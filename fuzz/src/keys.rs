//! Keys that targets work with, loaded once per provider.

use std::sync::LazyLock;

use studioml_envelope_core::{
    Ed25519PrivateKey, Identity, P256PrivateKey, Provider, Recipient, RsaPrivateKey, SecretBytes, SigningKey,
    SigningPrivateKey, TrustedSigner,
};

use crate::providers::{ALL, first};

/// RSA of 2048 bits, as the private operation is what a target waits for.
const RSA: &[u8] = include_bytes!("../../crates/studioml-envelope-rustcrypto/tests/data/rsa-2048.pkcs1.der");

/// The RSA key.
#[must_use]
pub fn rsa() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(RSA).expect("a key that tests load too")
}

/// The RSA key as the first provider has it.
pub static RECIPIENT: LazyLock<Box<dyn Recipient>> =
    LazyLock::new(|| first().key_wrap.load(rsa().public_key()).expect("a key that tests load too"));

/// The RSA key, loaded by every provider in the order of [`ALL`].
pub static IDENTITIES: LazyLock<Vec<[Box<dyn Identity>; 1]>> = LazyLock::new(|| {
    ALL.iter().map(|provider| [provider.key_unwrap.load(&rsa()).expect("a key that tests load too")]).collect()
});

/// The loaded RSA key of one of [`ALL`].
///
/// # Panics
/// For a provider that is none of them.
#[must_use]
pub fn identities(provider: &Provider) -> &'static [Box<dyn Identity>; 1] {
    let index = ALL.iter().position(|one| one.name == provider.name).expect("one of ALL");
    &IDENTITIES[index]
}

/// An Ed25519 key.
#[must_use]
pub fn ed25519(seed: [u8; 32]) -> SigningPrivateKey {
    let key = Ed25519PrivateKey::new(SecretBytes::copy_from(&seed), None).expect("32 bytes are a seed");
    SigningPrivateKey::Ed25519(key)
}

/// A P-256 key; `None` if the scalar is out of range.
#[must_use]
pub fn p256(scalar: [u8; 32]) -> Option<P256PrivateKey> {
    let public = first().agree_static.public_key_of(&SecretBytes::copy_from(&scalar)).ok()?;
    P256PrivateKey::new(SecretBytes::copy_from(&scalar), public).ok()
}

/// Who signs in the targets: Ed25519 and P-256.
pub static SIGNERS: LazyLock<[Box<dyn SigningKey>; 2]> = LazyLock::new(|| {
    let p256 = SigningPrivateKey::P256(p256([7; 32]).expect("a scalar in range"));
    [ed25519([7; 32]), p256].map(|key| first().sign.load(&key).expect("a consistent key"))
});

/// The same, as the receiver holds them.
pub static TRUSTED: LazyLock<[TrustedSigner; 2]> = LazyLock::new(|| {
    [0, 1].map(|index| TrustedSigner::load(first(), SIGNERS[index].public_key()).expect("a point of the curve"))
});
