//! A sender and a receiver on RustCrypto, with keys from the vectors of the conformance crate.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::{fs, path::Path};

use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, Ed25519PrivateKey, Identity, PublicKey, Recipient, RsaPrivateKey, SecretBytes, SigningKey,
    SigningPrivateKey, SigningPublicKey, TrustedSigner, UnauthenticatedHeaders, seal, seal_envelope,
};
pub use studioml_envelope_rustcrypto::PROVIDER;

/// A file of the conformance crate's vectors.
pub fn vector(file: &str) -> Vec<u8> {
    let vectors = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../studioml-envelope-conformance/vectors"));
    fs::read(vectors.join(file)).unwrap()
}

pub fn private_key() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(&vector("keyfiles/rsa.pkcs1.der")).unwrap()
}

pub fn recipient() -> Box<dyn Recipient> {
    PROVIDER.key_wrap.load(private_key().public_key()).unwrap()
}

pub fn identities() -> [Box<dyn Identity>; 1] {
    [PROVIDER.key_unwrap.load(&private_key()).unwrap()]
}

pub fn signer() -> Box<dyn SigningKey> {
    signer_from([7; 32])
}

pub fn other_signer() -> Box<dyn SigningKey> {
    signer_from([8; 32])
}

fn signer_from(seed: [u8; 32]) -> Box<dyn SigningKey> {
    let key = Ed25519PrivateKey::new(SecretBytes::copy_from(&seed), None).unwrap();
    PROVIDER.sign.load(&SigningPrivateKey::Ed25519(key)).unwrap()
}

/// A P-256 signer, made anew.
pub fn p256_signer() -> Box<dyn SigningKey> {
    let key = PROVIDER.agree_static.generate(PROVIDER.random).unwrap();
    PROVIDER.sign.load(&SigningPrivateKey::P256(key)).unwrap()
}

pub fn trusted(signer: &dyn SigningKey) -> TrustedSigner {
    TrustedSigner::load(&PROVIDER, signer.public_key()).unwrap()
}

pub fn public(key: &SigningPublicKey) -> PublicKey {
    (*key).into()
}

/// A payload string that opens.
pub fn sealed(plaintext: &[u8]) -> Vec<u8> {
    seal(&PROVIDER, &*recipient(), plaintext, DEFAULT_MAX_PLAINTEXT).unwrap()
}

/// A payload string of the right shape that nobody has sealed.
pub fn shaped() -> String {
    format!("{},{}=", "A".repeat(344), "A".repeat(55))
}

/// An envelope around `members` of the message, which bring their own commas.
pub fn envelope(members: &str) -> Vec<u8> {
    format!(r#"{{"message":{{{members}}}}}"#).into_bytes()
}

/// A signed envelope around a Request.
pub fn signed(signer: &dyn SigningKey, plaintext: &[u8]) -> Vec<u8> {
    let headers = UnauthenticatedHeaders::default();
    seal_envelope(&PROVIDER, &*recipient(), Some(signer), &headers, plaintext, DEFAULT_MAX_PLAINTEXT).unwrap()
}

/// Replaces the first occurrence of `from`, which must be there.
pub fn replaced(text: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(text).unwrap();
    assert!(text.contains(from), "no {from}");
    text.replacen(from, to, 1).into_bytes()
}
