//! Fingerprints in their four forms (docs/spec.md §4): what is read, what is not, and that they name keys and prove nothing.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

mod parties;

use std::str::FromStr;

use parties::{PROVIDER, p256_signer, private_key, public, signer, trusted};
use studioml_envelope_core::{Fingerprint, FingerprintError, FingerprintForm, PublicKey};

#[test]
fn every_form_is_read_as_it_is_written() {
    for key in [
        public(signer().public_key()),
        public(p256_signer().public_key()),
        private_key().public_key().clone().into_public(),
    ] {
        let all = Fingerprint::all_of(&key, PROVIDER.digest);
        for (form, fingerprint) in FingerprintForm::ALL.into_iter().zip(all) {
            assert_eq!(fingerprint.form(), form);
            assert_eq!(Fingerprint::from_str(&fingerprint.to_string()), Ok(fingerprint));
            assert_eq!(Fingerprint::of(&key, form, PROVIDER.digest), fingerprint);
        }
    }
}

trait IntoPublic {
    fn into_public(self) -> PublicKey;
}

impl IntoPublic for studioml_envelope_core::RsaPublicKey {
    fn into_public(self) -> PublicKey {
        PublicKey::Rsa(self)
    }
}

#[test]
fn the_shapes_are_those_of_the_format() {
    let all = Fingerprint::all_of(&public(signer().public_key()), PROVIDER.digest);
    let [ssh_sha256, spki_sha256, ssh_sha1, spki_sha1] = all.map(|fingerprint| fingerprint.to_string());
    assert!(ssh_sha256.starts_with("SHA256:") && ssh_sha256.len() == 7 + 43 && !ssh_sha256.ends_with('='));
    assert!(ssh_sha1.starts_with("SHA1:") && ssh_sha1.len() == 5 + 27 && !ssh_sha1.ends_with('='));
    assert!(spki_sha256.len() == 44 && spki_sha256.ends_with('='));
    assert!(spki_sha1.len() == 28 && spki_sha1.ends_with('='));
    assert_eq!(all.map(|fingerprint| fingerprint.digest().len()), [32, 32, 20, 20]);
    assert_eq!(FingerprintForm::default(), FingerprintForm::SshSha256);
    assert_eq!(FingerprintForm::ALL.map(FingerprintForm::name), ["ssh-sha256", "spki-sha256", "ssh-sha1", "spki-sha1"]);
}

#[test]
fn anything_else_is_no_fingerprint() {
    let [ssh_sha256, spki_sha256, ssh_sha1, spki_sha1] =
        Fingerprint::all_of(&public(signer().public_key()), PROVIDER.digest).map(|fingerprint| fingerprint.to_string());
    let hexadecimal = "ab".repeat(32);
    for text in [
        "",
        "x",
        "SHA256:",
        "SHA1:",
        "MD5:5b:74:e2:f4:21:ba:68:6f:bc:f6:fb:e7:92:c8:a3:23",
        &hexadecimal,
        &format!("{ssh_sha256}="),
        &format!("{ssh_sha256}\n"),
        &format!(" {ssh_sha256}"),
        &ssh_sha256.to_lowercase(),
        &ssh_sha256.replacen("SHA256:", "SHA256: ", 1),
        &ssh_sha256.replacen("SHA256:", "SHA1:", 1),
        &ssh_sha1.replacen("SHA1:", "SHA256:", 1),
        spki_sha256.trim_end_matches('='),
        spki_sha1.trim_end_matches('='),
        &format!("SHA256:{spki_sha256}"),
        &format!("SHA1:{spki_sha1}"),
        "AAAA",
        &"A".repeat(1 << 20),
    ] {
        assert_eq!(Fingerprint::from_str(text), Err(FingerprintError), "{}", text.get(..60).unwrap_or(text));
    }
}

/// Spare bits of the last character: another text for the same digest, which a comparison of texts would take for another
/// key, and a lax decoder for the same.
#[test]
fn spare_bits_are_refused() {
    let fingerprint = Fingerprint::of(&public(signer().public_key()), FingerprintForm::SshSha256, PROVIDER.digest);
    let text = fingerprint.to_string();
    let (front, last) = text.split_at(text.len() - 1);
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let index = alphabet.iter().position(|one| last.starts_with(*one)).unwrap();
    for spare in 1..4 {
        let other = alphabet.get(index | spare).unwrap();
        assert_eq!(Fingerprint::from_str(&format!("{front}{other}")), Err(FingerprintError));
    }
}

#[test]
fn a_key_is_named_by_each_of_its_four_forms_and_by_no_other_key() {
    let (one, other) = (signer(), p256_signer());
    let held = trusted(&*one);
    for fingerprint in Fingerprint::all_of(&public(one.public_key()), PROVIDER.digest) {
        assert!(held.is_named_by(&fingerprint));
    }
    for fingerprint in Fingerprint::all_of(&public(other.public_key()), PROVIDER.digest) {
        assert!(!held.is_named_by(&fingerprint));
    }
    // the same digest in another form names another thing
    let spki = Fingerprint::of(&public(one.public_key()), FingerprintForm::SpkiSha256, PROVIDER.digest).to_string();
    let disguised = Fingerprint::from_str(&format!("SHA256:{}", spki.trim_end_matches('='))).unwrap();
    assert!(!held.is_named_by(&disguised));
}
