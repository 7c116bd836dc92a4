//! No error, finding or `Debug` output of any failure path shows a byte of a key or a passphrase (docs/spec.md §5, §7).
//!
//! Keys and passphrases are made of a marker, every way to fail is walked, and whatever is said is searched for the marker as
//! text, in hexadecimal, in base64 and as a list of numbers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "support/der.rs"]
mod der;
mod support;

use std::{cell::Cell, collections::HashSet, error::Error, fmt::Debug, fs};

use studioml_envelope_core::{Ed25519PrivateKey, P256PrivateKey, PrivateKey, SecretBytes, TrustedSigner};
use studioml_envelope_keys::{
    Passphrase, PrivateFormat,
    directory::{IdentityDirectory, KeyDirectory, MountedIdentities, Reload, SigningKeys, check_directory},
    disk::{self, Access, Replace},
    encode_private, inspect, read_ed25519_seed, read_private, read_public, read_public_keys,
};
use support::{PROVIDER, expected, vector};

/// Also the passphrase of the marked files.
const MARKER: &[u8; 32] = b"zqXMARKERjv+zqXMARKERjv+zqXMARKE";

fn passphrase() -> Passphrase {
    Passphrase::exact(MARKER.to_vec())
}

/// Listens to what is said.
struct Listener {
    /// Twelve characters in a row of the secret files' base64.
    windows: HashSet<Vec<u8>>,
    heard: Cell<usize>,
}

impl Listener {
    fn new(files: &[Vec<u8>]) -> Self {
        let mut windows = HashSet::new();
        for file in files.iter().filter(|file| file.starts_with(b"-----BEGIN")) {
            let body = str::from_utf8(file).unwrap().lines().filter(|line| !line.contains(['-', ':']));
            let body: String = body.collect();
            windows.extend(body.as_bytes().windows(12).map(<[u8]>::to_vec));
        }
        Self { windows, heard: Cell::new(0) }
    }

    fn hears(&self, text: &str) {
        self.heard.set(self.heard.get() + 1);
        for start in 0..MARKER.len() - 4 {
            let piece = &MARKER[start..start + 4];
            let list = piece.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
            let lines = piece.iter().map(u8::to_string).collect::<Vec<_>>().join(",\n");
            for form in [String::from_utf8_lossy(piece).into_owned(), hex::encode(piece), list, lines] {
                assert!(!text.to_ascii_lowercase().contains(&form.to_ascii_lowercase()), "{form:?} in {text}");
            }
        }
        for window in text.as_bytes().windows(12) {
            assert!(!self.windows.contains(window), "{} in {text}", String::from_utf8_lossy(window));
        }
    }

    fn hears_debug(&self, value: &dyn Debug) {
        self.hears(&format!("{value:?}"));
        self.hears(&format!("{value:#?}"));
    }

    fn hears_error(&self, error: &dyn Error) {
        self.hears(&error.to_string());
        self.hears_debug(&error);
        if let Some(source) = error.source() {
            self.hears_error(source);
        }
    }
}

/// An Ed25519 and a P-256 key whose secret is the marker.
fn marked_keys() -> [PrivateKey; 2] {
    let secret = || SecretBytes::copy_from(MARKER);
    let public = PROVIDER.agree_static.public_key_of(&secret()).unwrap();
    [
        PrivateKey::Ed25519(Ed25519PrivateKey::new(secret(), None).unwrap()),
        PrivateKey::P256(P256PrivateKey::new(secret(), public).unwrap()),
    ]
}

/// The marked keys in every format, plain and under the marker as passphrase.
fn marked_files() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for key in marked_keys() {
        for format in [PrivateFormat::Pkcs8, PrivateFormat::Pkcs8Der, PrivateFormat::LegacyPem, PrivateFormat::OpenSsh]
        {
            for passphrase in [None, Some(passphrase())] {
                let written = encode_private(&key, format, passphrase.as_ref(), "", PROVIDER);
                files.extend(written.map(|written| written.expose_secret().to_vec()));
            }
        }
    }
    files.push(MARKER.to_vec());
    files.push(hex::encode(MARKER).into_bytes());
    assert!(files.len() > 10);
    files
}

fn read_everything(listener: &Listener, bytes: &[u8], passphrase: Option<&Passphrase>) {
    match read_private(bytes, passphrase, PROVIDER) {
        Ok(read) => {
            listener.hears_debug(&read);
            listener.hears_debug(read.key());
            listener.hears_debug(read.description());
        }
        Err(error) => listener.hears_error(&error),
    }
    for result in
        [inspect(bytes, PROVIDER).map(|_| ()), read_public(bytes).map(|_| ()), read_public_keys(bytes).map(|_| ())]
    {
        if let Err(error) = result {
            listener.hears_error(&error);
        }
    }
    if let Ok(descriptions) = inspect(bytes, PROVIDER) {
        listener.hears_debug(&descriptions);
    }
    match read_ed25519_seed(bytes, PROVIDER) {
        Ok(read) => listener.hears_debug(&read),
        Err(error) => listener.hears_error(&error),
    }
}

#[test]
fn the_listener_hears_what_it_should() {
    let files = marked_files();
    for said in [
        "MARKER".to_owned(),
        hex::encode(MARKER),
        format!("{MARKER:?}"),
        format!("{MARKER:#?}").replace("    ", ""),
        String::from_utf8(files[0].clone()).unwrap(),
    ] {
        let listener = Listener::new(&files);
        let heard = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| listener.hears(&said)));
        assert!(heard.is_err(), "{said}");
    }
}

#[test]
fn reading_says_nothing_of_keys_and_passphrases() {
    let files = marked_files();
    let listener = Listener::new(&files);
    listener.hears_debug(&passphrase());
    listener.hears_debug(&marked_keys());
    for file in &files {
        for passphrase in [None, Some(passphrase()), Some(Passphrase::exact(b"wrong".to_vec()))] {
            read_everything(&listener, file, passphrase.as_ref());
        }
        // damage everywhere, with the right passphrase
        for at in (0..file.len()).step_by(7) {
            let mut damaged = file.clone();
            damaged[at] ^= 0x15;
            if !is_slow(&damaged) {
                read_everything(&listener, &damaged, Some(&passphrase()));
            }
        }
        read_everything(&listener, &file[..file.len() / 2], Some(&passphrase()));
    }
    assert!(listener.heard.get() > 1000);
}

/// Unlocking takes what it is meant to take: damage below a key derivation is looked at elsewhere, at less cost.
fn is_slow(file: &[u8]) -> bool {
    file.windows(9).any(|window| window == b"ENCRYPTED") && !file.windows(4).any(|window| window == b"Proc")
        || file.windows(7).any(|window| window == b"OPENSSH")
            && inspect(file, PROVIDER).is_ok_and(|found| found[0].protection.is_encrypted())
}

/// The passphrase is the marker, the files are those of other tools.
#[test]
fn a_wrong_passphrase_is_not_repeated() {
    let expected = expected();
    let listener = Listener::new(&[]);
    for entry in expected["keyfiles"]["files"].as_array().unwrap() {
        let bytes = vector(&format!("keyfiles/{}", entry["file"].as_str().unwrap()));
        read_everything(&listener, &bytes, Some(&Passphrase::from_file_contents([&MARKER[..], b"\n"].concat())));
    }
    assert!(listener.heard.get() > 200);
}

#[test]
fn directories_say_nothing_of_keys_and_passphrases() {
    let files = marked_files();
    let listener = Listener::new(&files);
    let root = tempfile::tempdir().unwrap();
    // private keys and passphrases where public keys should be, and the other way round
    for directory in ["queues", "encryption", "passphrase"] {
        fs::create_dir(root.path().join(directory)).unwrap();
    }
    for (number, file) in files.iter().enumerate() {
        fs::write(root.path().join(format!("queues/rmq_{number}_")), file).unwrap();
        fs::write(root.path().join(format!("encryption/ssh-privatekey.{}", number + 1)), file).unwrap();
    }
    fs::write(root.path().join("encryption/ssh-publickey"), &files[0]).unwrap();
    fs::write(root.path().join("passphrase/ssh-passphrase"), MARKER).unwrap();
    let (encryption, passphrase) = (root.path().join("encryption"), root.path().join("passphrase"));

    let signing = SigningKeys::load(&root.path().join("queues"), PROVIDER).unwrap();
    assert_eq!(signing.findings().len(), files.len());
    listener.hears_debug(&signing);
    listener.hears_debug(&signing.select("rmq_0_1"));
    let mounted = MountedIdentities::load(&encryption, &passphrase, PROVIDER);
    assert!(mounted.findings().len() >= files.len());
    listener.hears_debug(&mounted);
    for finding in signing.findings().iter().chain(mounted.findings()) {
        listener.hears(&finding.to_string());
        listener.hears_error(&finding.problem);
    }
    for directory in ["queues", "encryption", "."] {
        listener.hears_debug(&check_directory(&root.path().join(directory), None, PROVIDER).unwrap());
    }

    let queues = KeyDirectory::<TrustedSigner>::open(&root.path().join("queues"), PROVIDER);
    let identities = IdentityDirectory::open(&encryption, &passphrase, PROVIDER);
    fs::write(root.path().join("queues/rmq_0_"), MARKER).unwrap();
    fs::write(root.path().join("encryption/ssh-privatekey.1"), MARKER).unwrap();
    listener.hears_debug(&queues.reload().unwrap());
    listener.hears_debug(&identities.reload().unwrap());
    listener.hears_debug(&(queues, identities));
}

#[test]
fn files_on_disk_say_nothing_of_keys_and_passphrases() {
    use std::os::unix::fs::PermissionsExt as _;
    let listener = Listener::new(&[]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    disk::write_private(&path, MARKER, Replace::Never).unwrap();
    listener.hears_error(&disk::write_private(&path, MARKER, Replace::Never).unwrap_err());
    listener.hears_error(&disk::write_private(directory.path(), MARKER, Replace::Existing).unwrap_err());
    listener.hears_error(&disk::write_private(&path.join("x"), MARKER, Replace::Existing).unwrap_err());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    listener.hears_error(&disk::read_private(&path, Access::OwnerOnly).unwrap_err());
    listener.hears_debug(&disk::read_private(&path, Access::Anyone).unwrap());
    listener.hears_debug(&disk::read_passphrase(&path).unwrap());
}

/// Text of the file does come back in one place: the names of what is not supported, cut to printable characters.
#[test]
fn names_from_a_file_are_cut() {
    let label = "A".repeat(500);
    let block = format!("-----BEGIN {label} PRIVATE KEY-----\nMAA=\n-----END {label} PRIVATE KEY-----\n");
    let error = read_private(block.as_bytes(), None, PROVIDER).unwrap_err().to_string();
    assert!(error.len() < 100, "{error}");
    let cipher = "\u{1b}[31mX\u{7}".repeat(50);
    let block = format!(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: {cipher},00\n\nMAA=\n-----END RSA PRIVATE KEY-----\n"
    );
    let error = read_private(block.as_bytes(), Some(&passphrase()), PROVIDER).unwrap_err().to_string();
    assert!(error.len() < 100 && error.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{error:?}");
}

#[cfg(feature = "kubernetes")]
#[test]
fn manifests_say_nothing_of_keys_and_passphrases() {
    use studioml_envelope_keys::kubernetes::{QueueKeys, encryption_secrets, queue_secret};
    let files = marked_files();
    let listener = Listener::new(&files);
    let public = vector("keyfiles/rsa.pub-pkcs1.pem");
    for file in &files {
        let passphrase = passphrase();
        listener.hears_error(&encryption_secrets(file, &public, Some(&passphrase), None, PROVIDER).unwrap_err());
        listener.hears_error(&encryption_secrets(&public, file, Some(&passphrase), None, PROVIDER).unwrap_err());
        for kind in [QueueKeys::Signing, QueueKeys::Reports] {
            listener.hears_error(&queue_secret(kind, [("rmq_a_", file.as_slice())], None).unwrap_err());
        }
    }
    let private = vector("keyfiles/rsa.pkcs1-aes128.pem");
    listener.hears_error(&encryption_secrets(&private, &public, Some(&passphrase()), None, PROVIDER).unwrap_err());
}
