//! The RSA private keys of the two encryption mounts (docs/spec.md §6): `ssh-privatekey`, `ssh-privatekey.1`, …, each under
//! `ssh-passphrase.N` where there is one and else under `ssh-passphrase`.

use core::fmt;
use std::{collections::BTreeMap, path::Path, sync::Arc};

use sha2::{Digest as _, Sha256};
use studioml_envelope_core::{Identity, KeyError, PrivateKey, Provider, PublicKey, RsaPublicKey, SecretBytes};

use super::{
    finding::{Finding, Problem, Severity},
    live::State,
    scan::{DirectoryError, ScannedFile, scan},
};
use crate::{Description, Passphrase, read_private, read_public};

const PRIVATE: &str = "ssh-privatekey";
const PUBLIC: &str = "ssh-publickey";
const PASSPHRASE: &str = "ssh-passphrase";

/// One RSA private key of the mount.
#[derive(Clone)]
pub struct MountedKey {
    file: String,
    public: RsaPublicKey,
    description: Description,
    identity: Arc<dyn Identity>,
}

impl MountedKey {
    /// The name of its file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its public half.
    #[must_use]
    pub const fn public_key(&self) -> &RsaPublicKey {
        &self.public
    }

    /// What its file is.
    #[must_use]
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// The loaded key.
    #[must_use]
    pub fn identity(&self) -> Arc<dyn Identity> {
        Arc::clone(&self.identity)
    }
}

impl fmt::Debug for MountedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountedKey").field("file", &self.file).field("public", &self.public).finish_non_exhaustive()
    }
}

/// The private keys of the mounts as they were at one moment. It never changes; a newer one replaces it.
#[derive(Default)]
pub struct MountedIdentities {
    keys: Vec<MountedKey>,
    identities: Vec<Arc<dyn Identity>>,
    findings: Vec<Finding>,
    /// What became of every private key file: a failure is kept too, as a wrong passphrase costs what a right one does.
    outcomes: Vec<Outcome>,
    /// What marks are made with; fresh for every process.
    salt: Salt,
}

/// A private key file with its passphrase, and what became of it.
#[derive(Clone)]
struct Outcome {
    file: String,
    /// `None` if one of the two could not be read, or no mark could be made.
    mark: Option<Mark>,
    key: Result<MountedKey, Finding>,
}

/// A salted digest of a key file and its passphrase: to see a change without keeping either.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark([u8; 32]);

#[derive(Clone, Copy, Default)]
struct Salt(Option<[u8; 32]>);

impl MountedIdentities {
    /// Reads the mounts `encryption` and `passphrase`. Their files are readable for a group by design, which is accepted here
    /// (docs/spec.md §5.3).
    ///
    /// Never fails: whatever does not work is not held, and stands in [`findings`](Self::findings).
    #[must_use]
    pub fn load(encryption: &Path, passphrase: &Path, provider: &Provider) -> Self {
        Self::default().load_again(encryption, passphrase, provider)
    }

    /// Reads the mounts again. A key whose file and passphrase are the same stays loaded: unlocking it again would take
    /// what its passphrase is meant to cost.
    pub(super) fn load_again(&self, encryption: &Path, passphrase: &Path, provider: &Provider) -> Self {
        let salt = self.salt.or_fresh(provider);
        let read = scan(encryption).and_then(|files| Ok((files, scan(passphrase)?)));
        let (files, passphrases) = match read {
            Ok(read) => read,
            Err(error) => return Self { findings: vec![unreadable(&error)], salt, ..Self::default() },
        };
        let mut loaded = Self { salt, findings: files.findings, ..Self::default() };
        let passphrases: BTreeMap<String, ScannedFile> =
            passphrases.files.into_iter().map(|file| (file.name.clone(), file)).collect();
        let (private, others): (Vec<_>, Vec<_>) =
            files.files.into_iter().map(|file| (number_of(&file.name), file)).partition(|(number, _)| number.is_some());
        for (number, file) in in_order(private) {
            let passphrase = passphrase_of(number, &passphrases);
            let outcome = self.keep_or_load(&file, passphrase, salt, provider);
            match outcome.key.clone() {
                Ok(key) => loaded.take(key),
                // a passphrase that several keys share is told of once
                Err(finding) if loaded.findings.contains(&finding) => {}
                Err(finding) => loaded.findings.push(finding),
            }
            loaded.outcomes.push(outcome);
        }
        for (_, file) in others {
            loaded.findings.extend(loaded.look_at(&file));
        }
        loaded
    }

    fn keep_or_load(
        &self,
        file: &ScannedFile,
        passphrase: Option<&ScannedFile>,
        salt: Salt,
        provider: &Provider,
    ) -> Outcome {
        let (mark, key) = match (contents_of(file), passphrase.map(contents_of).transpose()) {
            (Ok(contents), Ok(passphrase)) => {
                let mark = salt.mark(contents, passphrase);
                let known = self.outcomes.iter().find(|known| known.file == file.name && known.mark == mark);
                if let Some(known) = known.filter(|_| mark.is_some()) {
                    return known.clone();
                }
                let key = load_key(&file.name, contents, passphrase, provider);
                (mark, key.map_err(|problem| Finding::new(&file.name, problem)))
            }
            (Err(finding), _) | (_, Err(finding)) => (None, Err(finding)),
        };
        Outcome { file: file.name.clone(), mark, key }
    }

    fn take(&mut self, key: MountedKey) {
        if key.public.is_weak() {
            self.findings.push(Finding::new(&key.file, Problem::WeakKey { bits: key.public.bits() }));
        }
        if let Some(held) = self.keys.iter().find(|held| held.public == key.public) {
            // two private key operations for every message that neither fits
            self.findings.push(Finding::new(&key.file, Problem::SameKeyAs { file: held.file.clone() }));
            return;
        }
        self.identities.push(Arc::clone(&key.identity));
        self.keys.push(key);
    }

    /// A file that is no private key: the public key, which clients are given, should be one of those held.
    fn look_at(&self, file: &ScannedFile) -> Option<Finding> {
        let is_public = file.name.strip_prefix(PUBLIC).is_some_and(|rest| number_after(rest).is_some());
        if !is_public {
            return Some(Finding::new(&file.name, Problem::UnknownName));
        }
        let contents = match &file.contents {
            Ok(contents) => contents,
            Err(problem) => return Some(Finding::new(&file.name, problem.clone())),
        };
        match read_public(contents.expose_secret()) {
            Ok(read) => {
                let held = self.keys.iter().any(|key| PublicKey::Rsa(key.public.clone()) == read.key);
                (!held && !self.keys.is_empty()).then(|| Finding::new(&file.name, Problem::PublicKeyDiffers))
            }
            Err(error) => Some(Finding::new(&file.name, error)),
        }
    }

    /// The loaded keys, to open messages with, in the order of their numbers.
    #[must_use]
    pub fn identities(&self) -> &[Arc<dyn Identity>] {
        &self.identities
    }

    /// The keys with their files and public halves.
    #[must_use]
    pub fn keys(&self) -> &[MountedKey] {
        &self.keys
    }

    /// What is wrong with files, or odd about them.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether some private key does not work.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity() == Severity::Error)
    }

    fn outcome_of(&self, file: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.file == file)
    }
}

impl State for MountedIdentities {
    fn changes_since(&self, old: &Self) -> (Vec<String>, Vec<String>, Vec<String>) {
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for outcome in &self.outcomes {
            match old.outcome_of(&outcome.file) {
                None => added.push(outcome.file.clone()),
                Some(known) if outcome.may_differ_from(known) => changed.push(outcome.file.clone()),
                Some(_) => {}
            }
        }
        let gone = old.outcomes.iter().filter(|known| self.outcome_of(&known.file).is_none());
        (added, changed, gone.map(|known| known.file.clone()).collect())
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn same_findings(&self, other: &Self) -> bool {
        self.findings == other.findings
    }
}

impl Outcome {
    /// A key that was loaded without a mark cannot be told from another, and counts as one.
    fn may_differ_from(&self, known: &Self) -> bool {
        self.mark != known.mark || (self.mark.is_none() && self.key.is_ok())
    }
}

impl fmt::Debug for MountedIdentities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountedIdentities").field("keys", &self.keys).field("findings", &self.findings).finish()
    }
}

impl Salt {
    /// None if the random source fails; then nothing is kept across reloads.
    fn or_fresh(self, provider: &Provider) -> Self {
        let fresh = || {
            let mut salt = [0; 32];
            provider.random.fill(&mut salt).ok().map(|()| salt)
        };
        Self(self.0.or_else(fresh))
    }

    fn mark(self, contents: &SecretBytes, passphrase: Option<&SecretBytes>) -> Option<Mark> {
        let salt = self.0?;
        let length = u64::try_from(contents.len()).unwrap_or(u64::MAX).to_be_bytes();
        let mut digest = Sha256::new_with_prefix(salt).chain_update(length).chain_update(contents.expose_secret());
        if let Some(passphrase) = passphrase {
            digest = digest.chain_update([1]).chain_update(passphrase.expose_secret());
        }
        Some(Mark(digest.finalize().into()))
    }
}

fn contents_of(file: &ScannedFile) -> Result<&SecretBytes, Finding> {
    file.contents.as_ref().map_err(|problem| Finding::new(&file.name, problem.clone()))
}

fn load_key(
    file: &str,
    contents: &SecretBytes,
    passphrase: Option<&SecretBytes>,
    provider: &Provider,
) -> Result<MountedKey, Problem> {
    let passphrase = passphrase.map(|bytes| Passphrase::from_file_contents(bytes.expose_secret().to_vec()));
    let read = read_private(contents.expose_secret(), passphrase.as_ref(), provider)?;
    let public = match read.key() {
        PrivateKey::Rsa(key) => key.public_key().clone(),
        other => return Err(KeyError::Kind { expected: "RSA", found: other.kind() }.into()),
    };
    let description = read.description().clone();
    Ok(MountedKey { file: file.to_owned(), public, description, identity: Arc::from(read.into_identity()?) })
}

fn unreadable(error: &DirectoryError) -> Finding {
    Finding::new("", error.problem())
}

/// The number of a private key file: 0 for `ssh-privatekey`, N for `ssh-privatekey.N`.
fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix(PRIVATE).and_then(number_after)
}

/// `""` is 0 and `".N"` is N, from 1, written without leading zeros.
fn number_after(rest: &str) -> Option<u32> {
    if rest.is_empty() {
        return Some(0);
    }
    let digits = rest.strip_prefix('.')?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    (digits == u32::to_string(&number)).then_some(number)
}

fn in_order(mut files: Vec<(Option<u32>, ScannedFile)>) -> impl Iterator<Item = (u32, ScannedFile)> {
    files.sort_by_key(|(number, _)| *number);
    files.into_iter().filter_map(|(number, file)| Some((number?, file)))
}

/// `ssh-passphrase.N`, or else `ssh-passphrase`.
fn passphrase_of(number: u32, files: &BTreeMap<String, ScannedFile>) -> Option<&ScannedFile> {
    let own = if number == 0 { None } else { files.get(&format!("{PASSPHRASE}.{number}")) };
    own.or_else(|| files.get(PASSPHRASE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_numbered() {
        assert_eq!(number_of("ssh-privatekey"), Some(0));
        assert_eq!(number_of("ssh-privatekey.1"), Some(1));
        assert_eq!(number_of("ssh-privatekey.20"), Some(20));
        for name in
            ["ssh-privatekey.", "ssh-privatekey.0", "ssh-privatekey.01", "ssh-privatekey.old", "ssh-privatekey1", "x"]
        {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}
