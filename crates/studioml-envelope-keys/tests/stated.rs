//! What the crate states in words and numbers: limits, names for people, `Debug` forms.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use std::fs;

use studioml_envelope_core::TrustedSigner;
use studioml_envelope_keys::{
    Encoding, Format, Passphrase,
    directory::{DirectoryKind, IdentityDirectory, KeyDirectory, MountedIdentities, SigningKeys, Watcher},
    kubernetes::prefix_warning,
    limits, read_private,
};
use support::{PROVIDER, vector};

#[test]
fn limits_are_what_their_documentation_says() {
    assert_eq!(limits::MAX_KEY_FILE, 1_048_576);
    assert_eq!(limits::MAX_BCRYPT_ROUNDS, 256);
    assert_eq!(limits::MAX_PBKDF2_ITERATIONS, 2_000_000);
    assert_eq!(limits::MAX_PKCS12_ITERATIONS, 2_000_000);
    assert_eq!(limits::MAX_SCRYPT_MEMORY, 268_435_456);
    assert_eq!(limits::MAX_SCRYPT_WORK, 4_194_304);
}

#[test]
fn names_for_people() {
    let kinds = [DirectoryKind::Signing, DirectoryKind::Reports, DirectoryKind::Encryption];
    assert_eq!(kinds.map(DirectoryKind::name), ["signing keys", "report keys", "private keys"]);
    let formats = [Format::OpenSsh, Format::Pkcs1, Format::Sec1, Format::Pkcs8, Format::Spki, Format::SshLine];
    let names = formats.map(|format| format.to_string());
    assert_eq!(names, ["OpenSSH", "PKCS #1", "SEC 1", "PKCS #8", "SubjectPublicKeyInfo", "OpenSSH line"]);
    assert_eq!([Format::Rfc4716, Format::Seed].map(|format| format.to_string()), ["RFC 4716", "Ed25519 seed"]);
    assert_eq!([Encoding::Text, Encoding::Der].map(|encoding| encoding.to_string()), ["text", "DER"]);
}

#[test]
fn debug_forms_name_their_type() {
    let directory = tempfile::tempdir().unwrap();
    let (path, provider) = (directory.path(), PROVIDER);
    let watcher = Watcher::spawn(Vec::new(), std::time::Duration::from_secs(5), |_| {}).unwrap();
    let shown = [
        format!("{:?}", IdentityDirectory::open(path, path, provider)),
        format!("{:?}", KeyDirectory::<TrustedSigner>::open(path, provider)),
        format!("{:?}", MountedIdentities::load(path, path, provider)),
        format!("{:?}", SigningKeys::load(path, provider).unwrap()),
        format!("{watcher:?}"),
        format!("{:?}", read_private(&vector("keyfiles/ed25519.openssh"), None, provider).unwrap()),
        format!("{:?}", Passphrase::exact(b"secret".to_vec())),
    ];
    let names = [
        "IdentityDirectory",
        "KeyDirectory",
        "MountedIdentities",
        "KeyRing",
        "Watcher",
        "PrivateKeyFile",
        "Passphrase",
    ];
    for (shown, name) in shown.iter().zip(names) {
        assert!(shown.contains(name), "{shown}");
    }
}

#[test]
fn what_is_empty_says_so_and_nothing_else_does() {
    let directory = tempfile::tempdir().unwrap();
    assert!(SigningKeys::load(directory.path(), PROVIDER).unwrap().is_empty());
    fs::write(directory.path().join("rmq_a_"), vector("keyfiles/ed25519.ssh-line")).unwrap();
    let keys = SigningKeys::load(directory.path(), PROVIDER).unwrap();
    assert!(!keys.is_empty());
    assert_eq!(keys.len(), 1);
    assert!(Passphrase::from_file_contents(Vec::new()).is_empty());
    assert!(!Passphrase::from_file_contents(b"x".to_vec()).is_empty());
}

#[test]
fn a_prefix_with_an_open_end_is_warned_of() {
    assert!(prefix_warning("rmq_karl").is_some());
    assert!(prefix_warning("rmq_karl_").is_none());
}
