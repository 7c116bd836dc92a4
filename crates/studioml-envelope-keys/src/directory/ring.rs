//! The keys of a queue directory, by prefix: signing keys and report keys.

use core::fmt;
use std::{path::Path, sync::Arc};

use studioml_envelope_core::{
    Provider, PublicKey, Recipient, RsaPublicKey, SecretBytes, SigningPublicKey, TrustedSigner,
};

use super::{
    finding::{Finding, Problem, Severity},
    live::State,
    prefix::PrefixTable,
    scan::{DirectoryError, Scan, ScannedFile, scan},
};
use crate::{KeyFileError, read_public, read_public_keys};

/// The placeholder that keeps a Kubernetes secret from being empty (docs/spec.md §6).
const PLACEHOLDER: &str = "info";
/// The shortest prefix: `rmq_`, `sqs_`.
const MIN_PREFIX: usize = 4;

/// A kind of key that queue directories hold.
pub trait QueueKey: sealed::Sealed + Sized + Send + Sync + 'static {
    /// Reads and loads all keys of a file; at least one.
    ///
    /// # Errors
    /// [`KeyFileError`] for the first that cannot be used: it spoils the file.
    fn load_file(contents: &[u8], provider: &Provider) -> Result<Vec<Arc<Self>>, KeyFileError>;

    /// The key as data.
    fn public_key(&self) -> PublicKey;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for studioml_envelope_core::TrustedSigner {}
    impl Sealed for super::ReportKey {}
}

impl QueueKey for TrustedSigner {
    /// One or several signing keys: in a rotation, old and new.
    fn load_file(contents: &[u8], provider: &Provider) -> Result<Vec<Arc<Self>>, KeyFileError> {
        let keys = read_public_keys(contents)?.into_iter();
        keys.map(|file| Ok(Arc::new(Self::load(provider, &SigningPublicKey::try_from(file.key)?)?))).collect()
    }

    fn public_key(&self) -> PublicKey {
        (*self.public_key()).into()
    }
}

/// A report key that is held: loaded, with its public key as data.
pub struct ReportKey {
    recipient: Arc<dyn Recipient>,
    public: RsaPublicKey,
}

impl ReportKey {
    /// The loaded key, to seal reports to.
    #[must_use]
    pub fn recipient(&self) -> Arc<dyn Recipient> {
        Arc::clone(&self.recipient)
    }

    /// The key as data.
    #[must_use]
    pub const fn public_key(&self) -> &RsaPublicKey {
        &self.public
    }
}

impl fmt::Debug for ReportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReportKey").field(&self.public).finish()
    }
}

impl QueueKey for ReportKey {
    /// Exactly one RSA key: a report is sealed to one.
    fn load_file(contents: &[u8], provider: &Provider) -> Result<Vec<Arc<Self>>, KeyFileError> {
        let public = RsaPublicKey::try_from(read_public(contents)?.key)?;
        let recipient = Arc::from(provider.key_wrap.load(&public)?);
        Ok(vec![Arc::new(Self { recipient, public })])
    }

    fn public_key(&self) -> PublicKey {
        PublicKey::Rsa(self.public.clone())
    }
}

/// Signing keys by queue-name prefix: `/runner/certs/queues/signing`.
pub type SigningKeys = KeyRing<TrustedSigner>;
/// Report keys by queue-name prefix: `/runner/certs/queues/response-encrypt`. Looked up by the *response* queue's name.
pub type ReportKeys = KeyRing<ReportKey>;

/// The keys of one directory as it was at one moment. It never changes; a newer one replaces it.
pub struct KeyRing<K> {
    table: PrefixTable<Held<K>>,
    findings: Vec<Finding>,
    /// Why nothing is held, where the directory itself could not be read: everything is closed then.
    closed: Option<Problem>,
    /// Whether there was no directory.
    missing: bool,
    /// Whether it holds a file, or one before it did.
    held_files: bool,
}

/// One file, and its keys once more where a lookup finds them without a look at the file.
struct Held<K> {
    file: Arc<PrefixFile<K>>,
    /// `None` if the file does not work.
    keys: Option<Arc<[Arc<K>]>>,
}

/// One file. Kept across reloads as long as its contents stay the same.
struct PrefixFile<K> {
    contents: Result<SecretBytes, Problem>,
    keys: Result<Arc<[Arc<K>]>, Problem>,
}

/// Which keys a queue takes.
#[derive(Debug)]
pub enum Selection<'r, K> {
    /// The longest prefix of the queue's name that has a file, and its keys.
    Found {
        /// The prefix: the file's name.
        prefix: &'r str,
        /// Its keys, in the file's order; at least one.
        keys: &'r [Arc<K>],
    },
    /// The longest prefix has a file that does not work. The queue is closed.
    Broken {
        /// The prefix: the file's name. Empty if the whole directory could not be read.
        prefix: &'r str,
        /// Why.
        reason: &'r Problem,
    },
    /// No prefix of the queue's name has a file.
    None,
}

impl<K: QueueKey> KeyRing<K> {
    /// Reads a directory. A missing one is empty.
    ///
    /// # Errors
    /// [`DirectoryError`] if it cannot be read. What is wrong with single files stands in [`findings`](Self::findings).
    pub fn load(directory: &Path, provider: &Provider) -> Result<Self, DirectoryError> {
        Ok(Self::from_scan(scan(directory)?, provider, &Self::empty()))
    }

    /// Reads the directory again. Files whose contents are the same keep their loaded keys.
    ///
    /// # Errors
    /// [`DirectoryError`] if it cannot be read.
    pub(super) fn load_again(&self, directory: &Path, provider: &Provider) -> Result<Self, DirectoryError> {
        Ok(Self::from_scan(scan(directory)?, provider, self))
    }

    /// No keys: every queue is closed.
    #[must_use]
    pub fn empty() -> Self {
        let table = PrefixTable::from_sorted([]);
        Self { table, findings: Vec::new(), closed: None, missing: false, held_files: false }
    }

    /// No keys, because the directory could not be read: every queue is closed and says why.
    pub(super) fn closed(problem: Problem) -> Self {
        let findings = vec![Finding::new("", problem.clone())];
        Self { findings, closed: Some(problem), ..Self::empty() }
    }

    /// As [`closed`](Self::closed), after this ring.
    pub(super) fn close(&self, problem: Problem) -> Self {
        Self { held_files: self.held_files, ..Self::closed(problem) }
    }

    fn from_scan(scan: Scan, provider: &Provider, old: &Self) -> Self {
        let mut findings = scan.findings;
        let mut files = Vec::with_capacity(scan.files.len());
        for file in scan.files {
            if file.name == PLACEHOLDER {
                continue;
            }
            if file.name.chars().count() < MIN_PREFIX {
                findings.push(Finding::new(&file.name, Problem::PrefixTooShort));
                continue;
            }
            let (name, kept) = old.keep_or_load(file, provider);
            findings.extend(kept.findings(&name));
            files.push((name, Held { keys: kept.keys.as_ref().ok().cloned(), file: kept }));
        }
        let held_files = old.held_files || !files.is_empty();
        Self { table: PrefixTable::from_sorted(files), findings, closed: None, missing: scan.missing, held_files }
    }

    fn keep_or_load(&self, file: ScannedFile, provider: &Provider) -> (Box<str>, Arc<PrefixFile<K>>) {
        if let Some(known) = self.table.exact(&file.name).filter(|known| known.file.has_contents(&file.contents)) {
            return (file.name.into(), Arc::clone(&known.file));
        }
        let keys = match &file.contents {
            Ok(contents) => K::load_file(contents.expose_secret(), provider).map(Arc::from).map_err(Problem::from),
            Err(problem) => Err(problem.clone()),
        };
        (file.name.into(), Arc::new(PrefixFile { contents: file.contents, keys }))
    }

    /// Which keys `queue` takes. O(log n) in the number of prefixes, without a lock.
    #[must_use]
    pub fn select(&self, queue: &str) -> Selection<'_, K> {
        if let Some(reason) = &self.closed {
            return Selection::Broken { prefix: "", reason };
        }
        match self.table.longest_prefix(queue) {
            None => Selection::None,
            Some((prefix, Held { keys: Some(keys), .. })) => Selection::Found { prefix, keys },
            Some((prefix, Held { file, .. })) => match &file.keys {
                Ok(keys) => Selection::Found { prefix, keys },
                Err(reason) => Selection::Broken { prefix, reason },
            },
        }
    }

    /// All prefixes in order, with their keys or why they are closed.
    pub fn prefixes(&self) -> impl Iterator<Item = (&str, Result<&[Arc<K>], &Problem>)> {
        self.table.iter().map(|(prefix, held)| (prefix, held.file.keys.as_deref()))
    }

    /// How many prefixes have a file, working or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no prefix has a file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing can be said of the keys that a queue would have: the directory is not there, cannot be read, or is empty
    /// after it held files. A mount may have failed or keys may have been revoked, so whoever lets something pass because a
    /// queue has no key must not do so now.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.missing || self.closed.is_some() || (self.held_files && self.is_empty())
    }

    /// What is wrong with files, or odd about them.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether some file, or the directory itself, does not work.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity() == Severity::Error)
    }
}

impl<K: QueueKey> State for KeyRing<K> {
    fn changes_since(&self, old: &Self) -> (Vec<String>, Vec<String>, Vec<String>) {
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for (prefix, held) in self.table.iter() {
            match old.table.exact(prefix) {
                None => added.push(prefix.to_owned()),
                Some(known) if !Arc::ptr_eq(&known.file, &held.file) => changed.push(prefix.to_owned()),
                Some(_) => {}
            }
        }
        let gone = old.table.iter().filter(|(prefix, _)| self.table.exact(prefix).is_none());
        (added, changed, gone.map(|(prefix, _)| prefix.to_owned()).collect())
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The reason for holding nothing is told too.
    fn same_findings(&self, other: &Self) -> bool {
        self.closed == other.closed && self.missing == other.missing && self.findings == other.findings
    }
}

impl<K: QueueKey> PrefixFile<K> {
    fn has_contents(&self, contents: &Result<SecretBytes, Problem>) -> bool {
        match (&self.contents, contents) {
            (Ok(mine), Ok(theirs)) => mine.expose_secret() == theirs.expose_secret(),
            (Err(mine), Err(theirs)) => mine == theirs,
            _ => false,
        }
    }

    fn findings(&self, name: &str) -> Vec<Finding> {
        let keys = match &self.keys {
            Ok(keys) => keys,
            Err(problem) => return vec![Finding::new(name, problem.clone())],
        };
        let mut findings = Vec::new();
        if !name.ends_with('_') {
            findings.push(Finding::new(name, Problem::PrefixOpenEnded));
        }
        let keys: Vec<PublicKey> = keys.iter().map(|key| key.public_key()).collect();
        for (index, key) in keys.iter().enumerate() {
            if keys.iter().take(index).any(|earlier| earlier == key) {
                findings.push(Finding::new(name, Problem::DuplicateKey));
            }
            if let PublicKey::Rsa(key) = key
                && key.is_weak()
            {
                findings.push(Finding::new(name, Problem::WeakKey { bits: key.bits() }));
            }
        }
        findings
    }
}

impl<K> fmt::Debug for KeyRing<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("prefixes", &self.table.len()).field("findings", &self.findings).finish()
    }
}
