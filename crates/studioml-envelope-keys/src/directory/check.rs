//! What is live in a mounted directory, for an operator: `keys check`.

use std::path::{Path, PathBuf};

use studioml_envelope_core::{Provider, PublicKey};

use super::{
    finding::{Finding, Severity},
    identities::MountedIdentities,
    ring::{KeyRing, QueueKey, ReportKeys, SigningKeys},
    scan::{DirectoryError, scan},
};
use crate::read_public_keys;

/// What a directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectoryKind {
    /// Signing keys by queue-name prefix.
    Signing,
    /// Report keys by queue-name prefix.
    Reports,
    /// The runner's RSA private keys.
    Encryption,
}

impl DirectoryKind {
    /// For people: `signing keys`, `report keys` or `private keys`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing keys",
            Self::Reports => "report keys",
            Self::Encryption => "private keys",
        }
    }
}

/// One file that works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedFile {
    /// Its name: for queue keys, the prefix.
    pub file: String,
    /// The public keys in it, or the public half of the private key.
    pub keys: Vec<PublicKey>,
}

/// What is live in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectoryReport {
    /// What the directory is for.
    pub kind: DirectoryKind,
    /// The files that work, in order.
    pub live: Vec<CheckedFile>,
    /// What does not work, and what is odd.
    pub findings: Vec<Finding>,
}

impl DirectoryReport {
    /// Whether everything in it works. Warnings do not count.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity() != Severity::Error)
    }
}

/// Looks at a mounted directory as a runner would.
///
/// `kind` says what it is for; `None` finds out: a directory with `ssh-privatekey` in it, or in its `encryption` folder, is an
/// encryption mount, whose passphrases are looked for in `passphrase` beside `ssh-privatekey`'s directory; one whose keys are
/// all RSA holds report keys; any other, an empty one too, holds signing keys.
///
/// # Errors
/// [`DirectoryError`] if it cannot be read; unlike a running verifier, for which it would be empty, one that is missing is an
/// error here.
pub fn check_directory(
    directory: &Path,
    kind: Option<DirectoryKind>,
    provider: &Provider,
) -> Result<DirectoryReport, DirectoryError> {
    std::fs::read_dir(directory)?;
    let kind = match kind {
        Some(kind) => kind,
        None => kind_of(directory)?,
    };
    match kind {
        DirectoryKind::Signing => Ok(queue_report(kind, &SigningKeys::load(directory, provider)?)),
        DirectoryKind::Reports => Ok(queue_report(kind, &ReportKeys::load(directory, provider)?)),
        DirectoryKind::Encryption => Ok(encryption_report(directory, provider)),
    }
}

fn kind_of(directory: &Path) -> Result<DirectoryKind, DirectoryError> {
    let files = scan(directory)?.files;
    let is_private = |name: &str| name == "ssh-privatekey" || name.starts_with("ssh-privatekey.");
    if files.iter().any(|file| is_private(&file.name)) || directory.join("encryption").is_dir() {
        return Ok(DirectoryKind::Encryption);
    }
    let mut keys = files
        .iter()
        .filter_map(|file| file.contents.as_ref().ok())
        .filter_map(|contents| read_public_keys(contents.expose_secret()).ok())
        .flatten()
        .peekable();
    let all_rsa = keys.peek().is_some() && keys.all(|file| matches!(file.key, PublicKey::Rsa(_)));
    Ok(if all_rsa { DirectoryKind::Reports } else { DirectoryKind::Signing })
}

fn queue_report<K: QueueKey>(kind: DirectoryKind, ring: &KeyRing<K>) -> DirectoryReport {
    let live = ring.prefixes().filter_map(|(prefix, keys)| {
        let keys = keys.ok()?.iter().map(|key| key.public_key()).collect();
        Some(CheckedFile { file: prefix.to_owned(), keys })
    });
    DirectoryReport { kind, live: live.collect(), findings: ring.findings().to_vec() }
}

fn encryption_report(directory: &Path, provider: &Provider) -> DirectoryReport {
    let inner = directory.join("encryption");
    let (encryption, passphrase) = if inner.is_dir() {
        (inner, directory.join("passphrase"))
    } else {
        (directory.to_owned(), beside(directory, "passphrase"))
    };
    let mounted = MountedIdentities::load(&encryption, &passphrase, provider);
    let live = mounted
        .keys()
        .iter()
        .map(|key| CheckedFile { file: key.file().to_owned(), keys: vec![PublicKey::Rsa(key.public_key().clone())] });
    DirectoryReport { kind: DirectoryKind::Encryption, live: live.collect(), findings: mounted.findings().to_vec() }
}

/// Another directory of the same parent. A path that ends in `.` or `..` does not name its own directory.
fn beside(directory: &Path, name: &str) -> PathBuf {
    match directory.file_name() {
        Some(_) => directory.with_file_name(name),
        None => directory.join("..").join(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_a_directory_does_so_however_it_is_named() {
        for (directory, expected) in [
            ("/mnt/encryption", "/mnt/passphrase"),
            ("/mnt/encryption/", "/mnt/passphrase"),
            ("encryption", "passphrase"),
            (".", "./../passphrase"),
            ("..", "../../passphrase"),
            ("encryption/keys/..", "encryption/keys/../../passphrase"),
        ] {
            assert_eq!(beside(Path::new(directory), "passphrase"), Path::new(expected));
        }
    }
}
