//! Messages to and from the deployed Python client's own libraries, PyCryptodome and PyNaCl, in processes of their own.
//!
//! Needs a Python with both: `cargo xtask test` makes one in the target directory and names it in `STUDIOML_PYTHON`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where something is not as expected")]

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use studioml_envelope::provider;
use studioml_envelope_core::{
    DEFAULT_MAX_PLAINTEXT, FingerprintClaim, Identity, Message, Payload, Policy, PrivateKey, Provider, PublicKey,
    RsaPrivateKey, SigningPrivateKey, SigningPublicKey, TrustedSigner, UnauthenticatedHeaders, seal, seal_envelope,
};
use studioml_envelope_keys::{read_ed25519_seed, read_private, read_public};
use tempfile::TempDir;

const SIZES: &[usize] = &[0, 1, MIDDLE, 65_537, 16 << 20];
const MIDDLE: usize = 4096;
const KEY_FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/keyfiles");
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/peer.py");

fn python() -> PathBuf {
    let in_target = || {
        let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
        target.join("python/bin/python")
    };
    let python = env::var_os("STUDIOML_PYTHON").map_or_else(in_target, PathBuf::from);
    let there = Command::new(&python).args(["-c", "import nacl, Crypto"]).output();
    assert!(
        there.is_ok_and(|output| output.status.success()),
        "{} has no PyNaCl and PyCryptodome: run `cargo xtask test`, which sets it up",
        python.display()
    );
    python
}

fn key_file(name: &str) -> PathBuf {
    Path::new(KEY_FILES).join(name)
}

/// Runs the peer with `input`; its output, or what it says when it refuses.
fn peer(python: &Path, arguments: &[&Path], input: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new(python)
        .arg(PEER)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        // a peer that refuses early closes its end: what it says on standard error matters then, not the broken pipe
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().unwrap()
    });
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(output.stdout),
        Some(1) if said.starts_with("refused: ") => Err(said),
        _ => panic!("{arguments:?}: {}: {said}", output.status),
    }
}

fn plaintext(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from((i * i + i / 7) % 251).unwrap()).collect()
}

/// One algorithm's keys: what the peer reads, and what we read.
struct Signer {
    private_file: PathBuf,
    public_file: PathBuf,
    private: SigningPrivateKey,
    public: SigningPublicKey,
    /// How long the plaintexts are that are sent under it. How a signature is made does not depend on them.
    sizes: &'static [usize],
}

fn signers(provider: &Provider, directory: &TempDir) -> [Signer; 2] {
    let read = |name: &str| std::fs::read(key_file(name)).unwrap();
    let public = |name: &str| {
        let key: PublicKey = read_public(&read(name)).unwrap().key;
        SigningPublicKey::try_from(key).unwrap()
    };
    let ed25519 = public("ed25519.ssh-line");
    let SigningPublicKey::Ed25519(point) = ed25519 else { panic!("{ed25519:?}") };
    let point_file = directory.path().join("ed25519.point.hex");
    std::fs::write(&point_file, point.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()).unwrap();
    let seed = read_ed25519_seed(&read("ed25519.seed.hex"), provider).unwrap().into_key();
    let ec: PrivateKey = read_private(&read("ec.pkcs8.pem"), None, provider).unwrap().into_key();
    [
        Signer {
            private_file: key_file("ed25519.seed.hex"),
            public_file: point_file,
            private: seed.try_into().unwrap(),
            public: ed25519,
            sizes: SIZES,
        },
        Signer {
            private_file: key_file("ec.pkcs8.pem"),
            public_file: key_file("ec.spki.pem"),
            private: ec.try_into().unwrap(),
            public: public("ec.ssh-line"),
            sizes: &[MIDDLE],
        },
    ]
}

fn private_key(provider: &Provider) -> RsaPrivateKey {
    let pem = std::fs::read(key_file("rsa.pkcs1.pem")).unwrap();
    read_private(&pem, None, provider).unwrap().into_key().try_into().unwrap()
}

/// Runs `check` for every provider, each in its own thread.
fn for_every_provider(check: impl Fn(&Provider) + Sync) {
    thread::scope(|scope| {
        for provider in provider::ALL {
            scope.spawn(|| check(provider));
        }
    });
}

#[test]
fn python_verifies_and_opens_what_every_provider_sends() {
    let python = python();
    for_every_provider(|provider| {
        let directory = TempDir::new().unwrap();
        let private = private_key(provider);
        let recipient = provider.key_wrap.load(private.public_key()).unwrap();
        for signer in signers(provider, &directory) {
            let key = provider.sign.load(&signer.private).unwrap();
            for &size in signer.sizes {
                let plaintext = plaintext(size);
                let headers = UnauthenticatedHeaders::default();
                let sent =
                    seal_envelope(provider, &*recipient, Some(&*key), &headers, &plaintext, DEFAULT_MAX_PLAINTEXT)
                        .unwrap();
                let arguments = [Path::new("receive"), &key_file("rsa.pkcs1.pem"), &signer.public_file];
                let received = peer(&python, &arguments, &sent).unwrap();
                assert!(received == plaintext, "{}, {size} bytes", provider.name);

                if size == MIDDLE {
                    // and refuses it when one character of the box has changed
                    let mut forged = sent;
                    let place = forged.iter().position(|byte| *byte == b',').unwrap() + 20;
                    *forged.get_mut(place).unwrap() = if forged.get(place) == Some(&b'A') { b'B' } else { b'A' };
                    peer(&python, &arguments, &forged).unwrap_err();
                }
            }
        }
    });
}

#[test]
fn every_provider_verifies_and_opens_what_python_sends() {
    let python = python();
    for_every_provider(|provider| {
        let directory = TempDir::new().unwrap();
        let identities: [Box<dyn Identity>; 1] = [provider.key_unwrap.load(&private_key(provider)).unwrap()];
        for signer in signers(provider, &directory) {
            let trusted = [TrustedSigner::load(provider, &signer.public).unwrap()];
            for &size in signer.sizes {
                let plaintext = plaintext(size);
                let arguments = [Path::new("send"), &key_file("rsa.pub-pkcs1.pem"), &signer.private_file];
                let mut sent = peer(&python, &arguments, &plaintext).unwrap();
                let message = Message::parse(&mut sent, DEFAULT_MAX_PLAINTEXT).unwrap();
                let verified = message.verify(&trusted, &Policy::default()).unwrap();
                assert_eq!(verified.verification().claim, FingerprintClaim::Matches);
                let opened = verified.open(provider, &identities).unwrap();
                assert!(opened.plaintext() == plaintext, "{}, {size} bytes", provider.name);
            }
        }
    });
}

#[test]
fn reports_go_both_ways() {
    let python = python();
    for_every_provider(|provider| {
        let private = private_key(provider);
        let recipient = provider.key_wrap.load(private.public_key()).unwrap();
        let identities: [Box<dyn Identity>; 1] = [provider.key_unwrap.load(&private).unwrap()];
        for &size in SIZES {
            let plaintext = plaintext(size);
            let ours = seal(provider, &*recipient, &plaintext, DEFAULT_MAX_PLAINTEXT).unwrap();
            let opened = peer(&python, &[Path::new("open"), &key_file("rsa.pkcs1.pem")], &ours).unwrap();
            assert!(opened == plaintext, "{}, {size} bytes", provider.name);

            let mut theirs = peer(&python, &[Path::new("seal"), &key_file("rsa.pub-spki.pem")], &plaintext).unwrap();
            let payload = Payload::parse(&mut theirs, DEFAULT_MAX_PLAINTEXT).unwrap();
            let opened = payload.open_unauthenticated(provider, &identities).unwrap();
            assert!(opened.unauthenticated_plaintext() == plaintext, "{}, {size} bytes", provider.name);
        }
    });
}
