//! The derived keys are the ones in the encrypted files that the peers came with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where something is not as expected")]

use studioml_envelope::provider;
use studioml_envelope_conformance::Vectors;
use studioml_envelope_core::{PublicKey, RsaPrivateKey};
use studioml_envelope_keys::{Passphrase, read_private, read_public};

#[test]
fn derived_private_keys_are_the_encrypted_ones() {
    let vectors = Vectors::bundled().unwrap();
    let provider = provider::default();
    for (derived, encrypted, passphrase) in [
        ("derived/python-rsa.pkcs1.der", "python/keys/studioml_message", "python/keys/passphrase"),
        ("derived/python-rsa.pkcs1.der", "python/keys/studioml_message.pem", "python/keys/passphrase"),
        ("derived/go-rsa.pkcs1.der", "go/keys/studioml_message.pem", "go/keys/passphrase"),
    ] {
        let derived = RsaPrivateKey::from_pkcs1_der(vectors.bytes(derived).unwrap()).unwrap();
        let passphrase = Passphrase::from_file_contents(vectors.bytes(passphrase).unwrap().to_vec());
        let file = read_private(vectors.bytes(encrypted).unwrap(), Some(&passphrase), &provider).unwrap();
        let key = RsaPrivateKey::try_from(file.into_key()).unwrap();
        assert!(key.to_pkcs1_der().expose_secret() == derived.to_pkcs1_der().expose_secret(), "{encrypted}");
    }
}

#[test]
fn the_peers_public_key_files_hold_the_public_halves() {
    let vectors = Vectors::bundled().unwrap();
    for (derived, public_files) in [
        (
            "derived/python-rsa.pkcs1.der",
            &["python/keys/studioml_message.pub", "python/keys/studioml_message.pub.pem"][..],
        ),
        ("derived/go-rsa.pkcs1.der", &["go/keys/studioml_message.pub.pem"]),
    ] {
        let derived = RsaPrivateKey::from_pkcs1_der(vectors.bytes(derived).unwrap()).unwrap();
        for file in public_files {
            let key = read_public(vectors.bytes(file).unwrap()).unwrap();
            assert_eq!(key.key, PublicKey::Rsa(derived.public_key().clone()), "{file}");
        }
    }
}
