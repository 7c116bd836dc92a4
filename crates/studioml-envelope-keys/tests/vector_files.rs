//! Every file of `vectors/keyfiles` loads, with the fingerprints that `ssh-keygen` and `openssl` give it, and the two that
//! are to be refused are refused by name (docs/spec.md §5).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "support/der.rs"]
mod der;
mod support;

use std::collections::BTreeSet;

use studioml_envelope_core::{Fingerprint, FingerprintForm, KeyError, PublicKey};
use studioml_envelope_keys::{
    Format, Kdf, KeyFileError, Passphrase, Protection, inspect, read_ed25519_seed, read_private, read_public,
};
use support::{PROVIDER, expected, vector, vectors};

struct Case {
    file: String,
    kind: String,
    format: String,
    passphrase: Option<Passphrase>,
    bytes: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let expected = expected();
    let files = expected["keyfiles"]["files"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    files
        .iter()
        .map(|entry| Case {
            file: text(&entry["file"]),
            kind: text(&entry["kind"]),
            format: text(&entry["format"]),
            passphrase: entry["passphrase"].as_str().map(|passphrase| Passphrase::exact(passphrase.into())),
            bytes: vector(&format!("keyfiles/{}", text(&entry["file"]))),
        })
        .collect()
}

const REFUSED: [&str; 2] = ["ec.spki-explicit.pem", "ec-p384.spki.pem"];

#[test]
fn the_list_and_the_directory_agree() {
    let listed: BTreeSet<String> = cases().into_iter().map(|case| case.file).collect();
    assert_eq!(listed.len(), 55);
    let there: BTreeSet<String> = std::fs::read_dir(vectors().join("keyfiles"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("check."))
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn every_file_loads_with_the_fingerprints_of_its_key() {
    let expected = expected();
    for case in cases().iter().filter(|case| !REFUSED.contains(&case.file.as_str())) {
        let (kind, role) = case.kind.split_once(' ').unwrap();
        let public = match role {
            "private" if case.file.starts_with("ed25519.seed") => {
                read_ed25519_seed(&case.bytes, PROVIDER).map(|file| file.public_key().clone())
            }
            "private" => {
                read_private(&case.bytes, case.passphrase.as_ref(), PROVIDER).map(|file| file.public_key().clone())
            }
            _ => read_public(&case.bytes).map(|file| file.key),
        };
        let public = public.unwrap_or_else(|error| panic!("{} ({}): {error}", case.file, case.format));
        let key = &expected["keyfiles"]["keys"][kind];
        check_fingerprints(&public, key, &case.file);
    }
}

fn check_fingerprints(public: &PublicKey, expected: &serde_json::Value, file: &str) {
    for (form, name) in [
        (FingerprintForm::SshSha256, &expected["ssh_fingerprints"]["sha256"]),
        (FingerprintForm::SpkiSha256, &expected["spki_sha256_base64"]),
        (FingerprintForm::SshSha1, &expected["ssh_fingerprints"]["sha1"]),
        (FingerprintForm::SpkiSha1, &expected["spki_sha1_base64"]),
    ] {
        let found = Fingerprint::of(public, form, PROVIDER.digest).to_string();
        assert_eq!(Some(found.as_str()), name.as_str(), "{file}: {}", form.name());
    }
    assert_eq!(Some(hex::encode(public.to_spki_der()).as_str()), expected["spki_der_hex"].as_str(), "{file}");
}

#[test]
fn other_curves_and_explicit_parameters_are_refused_by_name() {
    let error = read_public(&vector("keyfiles/ec-p384.spki.pem")).unwrap_err();
    assert_eq!(error, KeyFileError::Key(KeyError::UnsupportedCurve { curve: "P-384".into() }));
    let error = read_public(&vector("keyfiles/ec.spki-explicit.pem")).unwrap_err();
    assert_eq!(error, KeyFileError::Key(KeyError::ExplicitCurveParameters));
}

#[test]
fn raw_seeds_are_never_detected() {
    for file in ["keyfiles/ed25519.seed", "keyfiles/ed25519.seed.hex"] {
        assert_eq!(read_private(&vector(file), None, PROVIDER).unwrap_err(), KeyFileError::Unrecognised, "{file}");
        assert_eq!(inspect(&vector(file), PROVIDER).unwrap_err(), KeyFileError::Unrecognised, "{file}");
    }
}

#[test]
fn every_file_says_what_it_is_without_a_passphrase() {
    for case in cases() {
        if REFUSED.contains(&case.file.as_str()) || case.file.starts_with("ed25519.seed") {
            continue;
        }
        let descriptions = inspect(&case.bytes, PROVIDER).unwrap_or_else(|error| panic!("{}: {error}", case.file));
        let [found] = descriptions.as_slice() else { panic!("{}: {} keys", case.file, descriptions.len()) };
        assert_eq!(found.is_private, case.kind.ends_with("private"), "{}", case.file);
        assert_eq!(found.protection.is_encrypted(), case.passphrase.is_some(), "{}", case.file);
        let hidden = case.passphrase.is_some() && found.format != Format::OpenSsh;
        assert_eq!(found.public_key.is_none(), hidden, "{}", case.file);
        if let Some(passphrase) = &case.passphrase {
            let loaded = read_private(&case.bytes, Some(passphrase), PROVIDER).unwrap();
            assert_eq!(loaded.description().protection, found.protection, "{}", case.file);
        }
    }
}

#[test]
fn protections_are_named_with_their_parameters() {
    let protection = |file: &str| {
        let bytes = vector(&format!("keyfiles/{file}"));
        inspect(&bytes, PROVIDER).unwrap().remove(0).protection
    };
    for (file, cipher, kdf) in [
        ("rsa.openssh-enc", "aes256-ctr", "bcrypt with 16 rounds"),
        ("rsa.openssh-enc-aes256-gcm", "aes256-gcm@openssh.com", "bcrypt with 8 rounds"),
        ("rsa.openssh-enc-chacha20-poly1305", "chacha20-poly1305@openssh.com", "bcrypt with 8 rounds"),
        ("rsa.openssh-enc-3des-cbc", "3des-cbc", "bcrypt with 8 rounds"),
        ("rsa.openssh-enc-aes128-ctr", "aes128-ctr", "bcrypt with 8 rounds"),
        ("rsa.openssh-enc-aes192-ctr", "aes192-ctr", "bcrypt with 8 rounds"),
        ("rsa.openssh-enc-aes256-cbc", "aes256-cbc", "bcrypt with 8 rounds"),
        ("rsa.pkcs1-aes192.pem", "AES-192-CBC", "one pass of MD5"),
        ("rsa.pkcs1-des3.pem", "DES-EDE3-CBC", "one pass of MD5"),
        ("ec.sec1-aes256.pem", "AES-256-CBC", "one pass of MD5"),
        ("rsa.pkcs8-pbkdf2-sha1-aes128.pem", "AES-128-CBC", "PBKDF2-HMAC-SHA1 with 2048 iterations"),
        ("rsa.pkcs8-pbkdf2-sha512-aes256.pem", "AES-256-CBC", "PBKDF2-HMAC-SHA512 with 5000 iterations"),
        ("rsa.pkcs8-scrypt-aes256.pem", "AES-256-CBC", "scrypt with N = 16384, r = 8, p = 1"),
        ("rsa.pkcs8-pbes1-3des.pem", "DES-EDE3-CBC", "PKCS #12 derivation with 2048 iterations of SHA-1"),
    ] {
        assert_eq!(protection(file).to_string(), format!("{cipher}, {kdf}"), "{file}");
    }
    assert_eq!(protection("rsa.pkcs8.pem"), Protection::None);
    assert!(matches!(protection("rsa.openssh-enc"), Protection::Encrypted { kdf: Kdf::Bcrypt { rounds: 16 }, .. }));
}

#[test]
fn comments_are_read() {
    let comment = |file: &str| inspect(&vector(&format!("keyfiles/{file}")), PROVIDER).unwrap().remove(0).comment;
    assert_eq!(comment("rsa.openssh").as_deref(), Some("keyfiles"));
    assert_eq!(comment("rsa.ssh-line").as_deref(), Some("keyfiles"));
    assert_eq!(comment("rsa.openssh-enc"), None, "it is encrypted along with the key");
    let passphrase = Passphrase::exact(b"correct horse battery staple".to_vec());
    let loaded = read_private(&vector("keyfiles/rsa.openssh-enc"), Some(&passphrase), PROVIDER).unwrap();
    assert_eq!(loaded.description().comment.as_deref(), Some("keyfiles"));
    assert!(comment("rsa.pub-rfc4716").unwrap().starts_with("4096-bit RSA"));
}

#[test]
fn a_header_of_pem_ends_with_its_line_whatever_stands_at_its_end() {
    let pem = String::from_utf8(vector("keyfiles/rsa.pub-pkcs1.pem")).unwrap();
    let with_header = pem.replacen('\n', "\nComment: C:\\keys\\\n", 1);
    assert_ne!(with_header, pem);
    assert_eq!(read_public(with_header.as_bytes()).unwrap().key, read_public(pem.as_bytes()).unwrap().key);
}

#[test]
fn explanations_and_certificates_may_stand_beside_a_key_and_other_keys_may_not() {
    let key = vector("keyfiles/rsa.pub-pkcs1.pem");
    let plain = read_public(&key).unwrap().key;
    let block = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n").into_bytes();
    let beside = |other: &[u8]| read_public(&[other, b"\n", &key].concat());
    for other in [b"subject=/CN=a cluster\nKey: below\n".to_vec(), block("CERTIFICATE")] {
        assert_eq!(beside(&other).unwrap().key, plain, "{}", String::from_utf8_lossy(&other));
    }
    for label in ["DSA PRIVATE KEY", "X25519 PUBLIC KEY"] {
        let what = format!("PEM block {label}");
        assert_eq!(beside(&block(label)).unwrap_err(), KeyFileError::Unsupported { what });
    }
}

#[test]
fn the_der_of_a_pem_file_is_the_same_key() {
    for name in ["rsa.pub-pkcs1.pem", "ec.spki.pem"] {
        let pem = vector(&format!("keyfiles/{name}"));
        let (der, _) = der::pem::decode(&pem);
        assert_eq!(read_public(&der).unwrap().key, read_public(&pem).unwrap().key, "{name}");
    }
}

#[test]
fn keys_of_deployed_peers_load() {
    for (private, public) in [
        ("python/keys/studioml_message", "python/keys/studioml_message.pub.pem"),
        ("python/keys/studioml_message.pem", "python/keys/studioml_message.pub"),
        ("python/keys/studioml_signing", "python/keys/studioml_signing.pub"),
        ("go/keys/studioml_message.pem", "go/keys/studioml_message.pub.pem"),
        ("go/keys/studioml_signing", "go/keys/studioml_signing.pub"),
    ] {
        let folder = private.split_once('/').unwrap().0;
        let passphrase = Passphrase::from_file_contents(vector(&format!("{folder}/keys/passphrase")));
        let loaded = read_private(&vector(private), Some(&passphrase), PROVIDER)
            .unwrap_or_else(|error| panic!("{private}: {error}"));
        assert_eq!(loaded.public_key(), &read_public(&vector(public)).unwrap().key, "{private}");
    }
}
