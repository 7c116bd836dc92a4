//! The encryption mounts: several RSA private keys, their passphrases, and a rotation (docs/spec.md §6).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "support/mount.rs"]
mod mount;
mod support;

use std::path::PathBuf;

use mount::Mount;
use studioml_envelope_core::{
    Implementation, Part, Payload, Provider, Random, RandomError, RsaPublicKey, TrustedSigner, seal,
};
use studioml_envelope_keys::{
    KeyFileError,
    directory::{
        DirectoryKind, IdentityDirectory, KeyDirectory, MountedIdentities, Problem, Reload, Selection, check_directory,
    },
    read_private, read_public,
};
use support::{PROVIDER, vector};
use tempfile::TempDir;

const PASSPHRASE: &[u8] = b"correct horse battery staple";

/// The two mounts of the seed, below one root.
struct Mounts {
    root: TempDir,
    encryption: Mount,
    passphrase: Mount,
}

impl Mounts {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mount = |name: &str| {
            let path = root.path().join(name);
            std::fs::create_dir(&path).unwrap();
            Mount::new(&path)
        };
        let (encryption, passphrase) = (mount("encryption"), mount("passphrase"));
        Self { root, encryption, passphrase }
    }

    fn paths(&self) -> (PathBuf, PathBuf) {
        (self.encryption.path().to_owned(), self.passphrase.path().to_owned())
    }

    fn load(&self) -> MountedIdentities {
        MountedIdentities::load(self.encryption.path(), self.passphrase.path(), PROVIDER)
    }
}

fn files(mounted: &MountedIdentities) -> Vec<&str> {
    mounted.keys().iter().map(|key| key.file()).collect()
}

fn findings(mounted: &MountedIdentities) -> Vec<String> {
    mounted.findings().iter().map(|finding| format!("{} {finding}", finding.severity())).collect()
}

fn recipient(file: &str) -> RsaPublicKey {
    RsaPublicKey::try_from(read_public(&vector(file)).unwrap().key).unwrap()
}

const KEY: &str = "keyfiles/rsa.pub-pkcs1.pem";
const OTHER_KEY: &str = "python/keys/studioml_message.pub.pem";

/// Seals to a key as a client does, and opens with whatever is mounted.
fn opens(mounted: &MountedIdentities, public: &str) -> bool {
    let recipient = PROVIDER.key_wrap.load(&recipient(public)).unwrap();
    let mut payload = seal(PROVIDER, &*recipient, b"{}", 1024).unwrap();
    let payload = Payload::parse(&mut payload, 1024).unwrap();
    payload.open_unauthenticated(PROVIDER, mounted.identities()).is_ok()
}

#[test]
fn the_layout_of_the_seed_opens_messages() {
    let mut mounts = Mounts::new();
    let (private, public) = (vector("keyfiles/rsa.pkcs1-aes128.pem"), vector(KEY));
    mounts.encryption.update([("ssh-privatekey", private.as_slice()), ("ssh-publickey", &public)]);
    mounts.passphrase.update([("ssh-passphrase", PASSPHRASE)]);
    let mounted = mounts.load();
    assert_eq!((files(&mounted), mounted.findings()), (vec!["ssh-privatekey"], [].as_slice()));
    assert!(opens(&mounted, KEY) && !opens(&mounted, OTHER_KEY));
    assert_eq!(mounted.keys()[0].public_key(), &recipient(KEY));
    assert!(!mounted.has_errors());
    let shown = format!("{:?}", mounted.keys()[0]);
    assert!(shown.starts_with("MountedKey { file: \"ssh-privatekey\", public: "), "{shown}");
}

#[test]
fn several_keys_take_their_own_passphrase_or_the_common_one() {
    let mut mounts = Mounts::new();
    let key = vector("keyfiles/rsa.pkcs1-aes128.pem");
    let other = vector("python/keys/studioml_message.pem");
    let other_passphrase = vector("python/keys/passphrase");
    mounts.encryption.update([
        ("ssh-privatekey", key.as_slice()),
        ("ssh-privatekey.2", &other),
        ("ssh-privatekey.10", &vector("keyfiles/rsa.pkcs8.pem")),
    ]);
    mounts.passphrase.update([("ssh-passphrase", PASSPHRASE), ("ssh-passphrase.2", &other_passphrase)]);
    let mounted = mounts.load();
    assert_eq!(files(&mounted), ["ssh-privatekey", "ssh-privatekey.2"]);
    assert_eq!(
        findings(&mounted),
        ["warning ssh-privatekey.10: the same key as in ssh-privatekey"],
        "one private key operation for a key that is mounted twice"
    );
    assert!(opens(&mounted, KEY) && opens(&mounted, OTHER_KEY));

    // the own passphrase, where there is one, is the only one tried
    mounts.passphrase.update([("ssh-passphrase", other_passphrase.as_slice()), ("ssh-passphrase.2", b"wrong")]);
    let mounted = mounts.load();
    assert!(mounted.identities().len() == 1 && mounted.has_errors(), "only the unencrypted one is left");
    assert_eq!(
        findings(&mounted),
        [
            "error ssh-privatekey: wrong passphrase or damaged key file",
            "error ssh-privatekey.2: wrong passphrase or damaged key file"
        ]
    );

    // one for all
    mounts.encryption.update([
        ("ssh-privatekey", key.as_slice()),
        ("ssh-privatekey.1", &vector("keyfiles/rsa.openssh-enc-aes128-ctr")),
    ]);
    mounts.passphrase.update([("ssh-passphrase", [PASSPHRASE, b"\n"].concat().as_slice())]);
    assert_eq!(findings(&mounts.load()), ["warning ssh-privatekey.1: the same key as in ssh-privatekey"]);
}

#[test]
fn what_does_not_work_is_said_and_the_rest_goes_on() {
    let mut mounts = Mounts::new();
    mounts.encryption.update([
        ("ssh-privatekey", b"garbage".as_slice()),
        ("ssh-privatekey.1", &vector("keyfiles/rsa.pkcs8.pem")),
        ("ssh-privatekey.2", &vector("keyfiles/rsa.pkcs1-aes256.pem")),
        ("ssh-privatekey.3", &vector("keyfiles/ed25519.openssh")),
        ("ssh-privatekey.old", &vector("keyfiles/rsa.pkcs8.pem")),
        ("ssh-publickey", &vector(OTHER_KEY)),
    ]);
    let mounted = mounts.load();
    assert_eq!(files(&mounted), ["ssh-privatekey.1"]);
    assert_eq!(
        findings(&mounted),
        [
            "error ssh-privatekey: not a key file: neither PEM, nor an OpenSSH or RFC 4716 public key, nor DER",
            "error ssh-privatekey.2: the key is encrypted (AES-256-CBC, one pass of MD5) and no passphrase was given",
            "error ssh-privatekey.3: a key of kind Ed25519 where RSA is needed",
            "warning ssh-privatekey.old: ignored: neither ssh-privatekey, ssh-privatekey.N nor ssh-publickey",
            "warning ssh-publickey: the public key belongs to none of the private keys",
        ]
    );
}

#[test]
fn missing_mounts_hold_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mounted = MountedIdentities::load(&root.path().join("encryption"), &root.path().join("passphrase"), PROVIDER);
    assert!(mounted.identities().is_empty() && mounted.findings().is_empty());
}

/// Whoever mounts a file where a directory belongs is told, and holds nothing.
#[test]
fn a_mount_that_cannot_be_read_is_said() {
    let mut mounts = Mounts::new();
    mounts.encryption.update([("ssh-privatekey", vector("keyfiles/rsa.pkcs8.pem").as_slice())]);
    let (encryption, passphrase) = mounts.paths();
    let held = IdentityDirectory::open(&encryption, &passphrase, PROVIDER);
    assert_eq!(held.current().identities().len(), 1);
    std::fs::remove_dir_all(&passphrase).unwrap();
    std::fs::write(&passphrase, b"").unwrap();
    let change = held.reload().unwrap();
    assert_eq!(
        change.findings.iter().map(|finding| finding.problem.clone()).collect::<Vec<_>>(),
        [Problem::DirectoryUnreadable(std::io::ErrorKind::NotADirectory)]
    );
    assert!(held.current().has_errors() && held.current().identities().is_empty());
    assert_eq!(held.current().findings(), change.findings);
    // it is of no file, so none is named
    assert_eq!(change.findings[0].to_string(), "the directory cannot be read: not a directory");
}

/// It is the passphrase's file that somebody has to look at, and once however many keys it is for.
#[test]
fn a_passphrase_that_cannot_be_read_is_named_and_not_its_keys() {
    let mut mounts = Mounts::new();
    let key = vector("keyfiles/rsa.pkcs1-aes128.pem");
    mounts.encryption.update([("ssh-privatekey", key.as_slice()), ("ssh-privatekey.1", &key)]);
    std::os::unix::fs::symlink("nowhere", mounts.passphrase.path().join("ssh-passphrase")).unwrap();
    let mounted = mounts.load();
    assert!(mounted.keys().is_empty() && mounted.has_errors());
    assert_eq!(findings(&mounted), ["error ssh-passphrase: cannot be read: entity not found"]);
}

/// Without random bytes there is nothing to tell a key from another by, and none may stay for that.
#[test]
fn a_key_is_replaced_while_the_random_source_fails() {
    struct Failing;
    impl Part for Failing {
        fn implementation(&self) -> Implementation {
            Implementation { library: "none", version: "", path: "" }
        }
    }
    impl Random for Failing {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError)
        }
    }
    let mut mounts = Mounts::new();
    mounts.encryption.update([("ssh-privatekey", vector("keyfiles/rsa.pkcs8.pem").as_slice())]);
    mounts.passphrase.update([("ssh-passphrase", vector("python/keys/passphrase").as_slice())]);
    let (encryption, passphrase) = mounts.paths();
    let held = IdentityDirectory::open(&encryption, &passphrase, &Provider { random: &Failing, ..*PROVIDER });
    assert!(opens(&held.current(), KEY));
    mounts.encryption.update([("ssh-privatekey", vector("python/keys/studioml_message.pem").as_slice())]);
    assert_eq!(held.reload().unwrap().changed, ["ssh-privatekey"]);
    assert!(!opens(&held.current(), KEY) && opens(&held.current(), OTHER_KEY));
}

#[test]
fn a_name_that_cannot_be_shown_is_said() {
    use std::os::unix::ffi::OsStrExt as _;
    let mounts = Mounts::new();
    let name = std::ffi::OsStr::from_bytes(b"ssh-privatekey.\xff");
    std::fs::write(mounts.encryption.path().join(name), vector("keyfiles/rsa.pkcs8.pem")).unwrap();
    let problems: Vec<_> = mounts.load().findings().iter().map(|finding| finding.problem.clone()).collect();
    assert_eq!(problems, [Problem::NameNotUtf8]);
}

#[test]
fn a_file_larger_than_any_key_is_said_to_be() {
    let mut mounts = Mounts::new();
    mounts.encryption.update([("ssh-privatekey", vec![b' '; 1_048_577].as_slice())]);
    let problems: Vec<_> = mounts.load().findings().iter().map(|finding| finding.problem.clone()).collect();
    assert_eq!(problems, [Problem::KeyFile(KeyFileError::TooLarge { maximum: 1_048_576 })]);
}

#[test]
fn a_reload_keeps_what_did_not_change_and_drops_what_went() {
    let mut mounts = Mounts::new();
    let (key, other) = (vector("keyfiles/rsa.pkcs1-aes128.pem"), vector("python/keys/studioml_message.pem"));
    mounts.encryption.update([("ssh-privatekey", key.as_slice())]);
    mounts.passphrase.update([("ssh-passphrase", PASSPHRASE), ("ssh-passphrase.1", &vector("python/keys/passphrase"))]);
    let (encryption, passphrase) = mounts.paths();
    let held = IdentityDirectory::open(&encryption, &passphrase, PROVIDER);
    assert_eq!(held.reload(), None);
    let before = held.current().identities()[0].clone();

    mounts.encryption.update([("ssh-privatekey", key.as_slice()), ("ssh-privatekey.1", &other)]);
    assert_eq!(held.reload().unwrap().added, ["ssh-privatekey.1"]);
    assert!(std::sync::Arc::ptr_eq(&before, &held.current().identities()[0]), "not unlocked again");
    assert!(opens(&held.current(), KEY) && opens(&held.current(), OTHER_KEY));

    // a wrong passphrase closes the key whose it is, and says so once
    mounts.passphrase.update([("ssh-passphrase", PASSPHRASE), ("ssh-passphrase.1", b"wrong")]);
    let change = held.reload().unwrap();
    assert_eq!((change.changed, change.findings.len()), (vec!["ssh-privatekey.1".into()], 1));
    assert!(opens(&held.current(), KEY) && !opens(&held.current(), OTHER_KEY));
    assert_eq!(held.reload(), None);

    // what is odd is told too where no key changes
    let keys = [("ssh-privatekey", key.as_slice()), ("ssh-privatekey.1", &other), ("ssh-privatekey.old", &other)];
    mounts.encryption.update(keys);
    let change = held.reload().unwrap();
    assert!(change.added.is_empty() && change.changed.is_empty() && change.removed.is_empty());
    assert_eq!(change.findings.len(), 2);

    mounts.encryption.update([]);
    assert_eq!(held.reload().unwrap().removed, ["ssh-privatekey", "ssh-privatekey.1"]);
    assert!(held.current().identities().is_empty());
}

/// A rotation of everything, step by step as `docs/rotation.md` tells it: at no step is an honest message refused.
#[test]
fn a_rotation_refuses_no_honest_message() {
    // request keys
    let mut mounts = Mounts::new();
    let (old, new) = (vector("keyfiles/rsa.pkcs1-aes128.pem"), vector("python/keys/studioml_message.pem"));
    mounts.encryption.update([("ssh-privatekey", old.as_slice())]);
    mounts.passphrase.update([("ssh-passphrase", PASSPHRASE)]);
    let (encryption, passphrase) = mounts.paths();
    let held = IdentityDirectory::open(&encryption, &passphrase, PROVIDER);
    assert!(opens(&held.current(), KEY));
    // 1: the new passphrase, 2: the new key beside the old one, 3: clients change over, 4: the old one goes
    mounts.passphrase.update([("ssh-passphrase", PASSPHRASE), ("ssh-passphrase.1", &vector("python/keys/passphrase"))]);
    assert_eq!(held.reload(), None, "a passphrase without a key changes nothing");
    mounts.encryption.update([("ssh-privatekey", old.as_slice()), ("ssh-privatekey.1", &new)]);
    held.reload().unwrap();
    assert!(opens(&held.current(), KEY) && opens(&held.current(), OTHER_KEY));
    mounts.encryption.update([("ssh-privatekey.1", new.as_slice())]);
    held.reload().unwrap();
    assert!(!opens(&held.current(), KEY) && opens(&held.current(), OTHER_KEY));

    // signing keys
    let root = tempfile::tempdir().unwrap();
    let mut signing = Mount::new(root.path());
    let (old, new) = (vector("keyfiles/ed25519.ssh-line"), vector("keyfiles/ec.spki.pem"));
    signing.update([("rmq_a_", old.as_slice())]);
    let held = KeyDirectory::<TrustedSigner>::open(root.path(), PROVIDER);
    assert!(verifies(&held, "keyfiles/ed25519.openssh") && !verifies(&held, "keyfiles/ec.pkcs8.pem"));
    let both = [old, new.clone()].concat();
    signing.update([("rmq_a_", both.as_slice())]);
    held.reload().unwrap();
    assert!(verifies(&held, "keyfiles/ed25519.openssh") && verifies(&held, "keyfiles/ec.pkcs8.pem"));
    signing.update([("rmq_a_", new.as_slice())]);
    held.reload().unwrap();
    assert!(!verifies(&held, "keyfiles/ed25519.openssh") && verifies(&held, "keyfiles/ec.pkcs8.pem"));
}

/// Signs as a client does, and verifies with whatever is held for its queue.
fn verifies(held: &KeyDirectory<TrustedSigner>, private: &str) -> bool {
    let signer = read_private(&vector(private), None, PROVIDER).unwrap().into_signing_key().unwrap();
    let recipient = PROVIDER.key_wrap.load(&recipient(KEY)).unwrap();
    let mut payload = seal(PROVIDER, &*recipient, b"{}", 1024).unwrap();
    let signature = signer.sign(&payload, PROVIDER.random).unwrap().to_base64();
    let held = held.current();
    let Selection::Found { keys, .. } = held.select("rmq_a_1") else { return false };
    Payload::parse(&mut payload, 1024).unwrap().verify(&signature, keys).is_ok()
}

mod checked {
    use super::*;

    #[test]
    fn an_operator_is_told_what_is_live() {
        let mut mounts = Mounts::new();
        mounts.encryption.update([
            ("ssh-privatekey", vector("keyfiles/rsa.pkcs1-aes128.pem").as_slice()),
            ("ssh-privatekey.1", b"garbage"),
        ]);
        mounts.passphrase.update([("ssh-passphrase", PASSPHRASE)]);
        // by the root of the layout, and by the mount itself
        for directory in [mounts.root.path(), mounts.encryption.path()] {
            let report = check_directory(directory, None, PROVIDER).unwrap();
            assert_eq!(report.kind, DirectoryKind::Encryption);
            assert_eq!(report.live.len(), 1);
            assert_eq!((report.live[0].file.as_str(), report.live[0].keys[0].kind()), ("ssh-privatekey", "RSA"));
            assert_eq!((report.findings.len(), report.is_sound()), (1, false));
        }
    }

    #[test]
    fn queue_directories_are_told_apart_by_their_keys() {
        let root = tempfile::tempdir().unwrap();
        let mut mount = Mount::new(root.path());
        let report = |kind| check_directory(root.path(), kind, PROVIDER).unwrap();
        assert_eq!(report(None).kind, DirectoryKind::Signing);
        mount.update([("rmq_a_", vector(KEY).as_slice()), ("rmq_b", &vector(OTHER_KEY))]);
        let found = report(None);
        assert_eq!((found.kind, found.live.len(), found.is_sound()), (DirectoryKind::Reports, 2, true));
        assert_eq!(found.findings[0].problem, Problem::PrefixOpenEnded);
        let asked = report(Some(DirectoryKind::Signing));
        assert_eq!((asked.live.len(), asked.findings.len(), asked.is_sound()), (0, 2, false));
        mount.update([("rmq_a_", vector(KEY).as_slice()), ("rmq_b_", &vector("keyfiles/ec.spki.pem"))]);
        let mixed = report(None);
        assert_eq!((mixed.kind, mixed.live.len(), mixed.is_sound()), (DirectoryKind::Signing, 1, false));
        assert!(check_directory(&root.path().join("missing"), None, PROVIDER).is_err());
    }
}
