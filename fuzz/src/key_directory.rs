//! The contents of a mounted key directory (docs/spec.md §6): whatever stands in it, a queue takes the key of the longest prefix of
//! its name that has a file, and a file that does not work closes its prefix.

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use studioml_envelope_core::{PublicKey, SigningPublicKey, TrustedSigner};
use studioml_envelope_keys::directory::{KeyRing, QueueKey as _, ReportKeys, Selection};
use studioml_envelope_keys::{PublicFormat, encode_public};

use crate::keys::{SIGNERS, rsa};
use crate::providers::first;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    files: Vec<(Name, Contents<'a>)>,
    queues: Vec<Name>,
}

/// A name of few letters, so that prefixes of prefixes come about.
#[derive(Arbitrary, Debug)]
struct Name {
    stem: Stem,
    letters: Vec<Letter>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Stem {
    Rabbit,
    Sqs,
    Empty,
    Placeholder,
    Dot,
    DotDot,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Letter {
    A,
    B,
    Line,
    Umlaut,
    NewLine,
}

impl Name {
    fn text(&self) -> String {
        let stem = match self.stem {
            Stem::Rabbit => "rmq_",
            Stem::Sqs => "sqs_",
            Stem::Empty => "",
            Stem::Placeholder => "info",
            Stem::Dot => ".",
            Stem::DotDot => "..2024_",
        };
        let letter = |letter: &Letter| match letter {
            Letter::A => 'a',
            Letter::B => 'b',
            Letter::Line => '_',
            Letter::Umlaut => 'ü',
            Letter::NewLine => '\n',
        };
        stem.chars().chain(self.letters.iter().take(24).map(letter)).collect()
    }
}

#[derive(Arbitrary, Debug)]
enum Contents<'a> {
    Keys(Vec<bool>),
    Report,
    Garbage(&'a [u8]),
    KeysAndGarbage(bool, &'a [u8]),
    Directory,
    DanglingLink,
    LinkTo(u8),
}

static LINES: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    [0, 1].map(|index| {
        let key = PublicKey::from(*SIGNERS[index].public_key());
        encode_public(&key, PublicFormat::SshLine, "a comment").expect("a key has a line")
    })
});

static REPORT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = PublicKey::Rsa(rsa().public_key().clone());
    encode_public(&key, PublicFormat::Pkcs1Pem, "").expect("an RSA key has this form")
});

impl Contents<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Keys(which) => which.iter().take(6).flat_map(|other| LINES[usize::from(*other)].clone()).collect(),
            Self::Report => REPORT.clone(),
            Self::Garbage(bytes) => bytes.to_vec(),
            Self::KeysAndGarbage(which, bytes) => [LINES[usize::from(*which)].as_slice(), bytes].concat(),
            _ => Vec::new(),
        }
    }
}

/// One directory, looked up by many names.
pub fn key_directory(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    // what a queue may find: by name, the keys or that there are none to be used
    let mut expected: Vec<(String, Option<Vec<SigningPublicKey>>)> = Vec::new();
    let mut written: Vec<String> = Vec::new();
    for (name, contents) in input.files.iter().take(24) {
        let name = name.text();
        let path = folder.path().join(&name);
        if matches!(name.as_str(), "" | "." | "..") || path.symlink_metadata().is_ok() {
            continue;
        }
        let keys = match contents {
            Contents::Directory => {
                std::fs::create_dir(&path).expect("a new folder");
                continue;
            }
            Contents::DanglingLink => {
                std::os::unix::fs::symlink("nowhere", &path).expect("a new link");
                None
            }
            Contents::LinkTo(other) => {
                let Some(other) = written.get(usize::from(*other)) else { continue };
                std::os::unix::fs::symlink(other, &path).expect("a new link");
                expected.iter().find(|(name, _)| name == other).and_then(|(_, keys)| keys.clone())
            }
            _ => {
                let bytes = contents.bytes();
                std::fs::write(&path, &bytes).expect("a new file");
                TrustedSigner::load_file(&bytes, first())
                    .ok()
                    .map(|keys| keys.iter().map(|key| *TrustedSigner::public_key(key)).collect())
            }
        };
        written.push(name.clone());
        expected.push((name, keys));
    }
    expected.retain(|(name, _)| !name.starts_with('.') && name.chars().count() >= 4 && name != "info");

    let ring: KeyRing<TrustedSigner> = KeyRing::load(folder.path(), first()).expect("a folder that can be read");
    let again = KeyRing::<TrustedSigner>::load(folder.path(), first()).expect("the same folder");
    assert_eq!(ring.findings(), again.findings(), "the same folder gives the same findings");
    for queue in input.queues.iter().take(24).map(Name::text).chain(expected.iter().map(|(name, _)| name.clone())) {
        let owner = expected.iter().filter(|(name, _)| queue.starts_with(name)).max_by_key(|(name, _)| name.len());
        match (ring.select(&queue), owner) {
            (Selection::None, None) => {}
            (Selection::Broken { prefix, .. }, Some((name, None))) => assert_eq!(prefix, name),
            (Selection::Found { prefix, keys }, Some((name, Some(expected)))) => {
                assert_eq!(prefix, name);
                let keys: Vec<_> = keys.iter().map(|key| *TrustedSigner::public_key(key)).collect();
                assert_eq!(keys, *expected);
            }
            (found, expected) => panic!("{queue:?} found {found:?}, expected {expected:?}"),
        }
    }
    for finding in ring.findings() {
        assert!(finding.to_string().len() <= 400 + finding.file.len());
    }
    let reports = ReportKeys::load(folder.path(), first()).expect("the same folder");
    assert_eq!(reports.prefixes().count(), expected.len());
}
