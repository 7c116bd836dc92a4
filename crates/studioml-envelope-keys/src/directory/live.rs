//! Directories whose newest state is always at hand: a lookup takes what is there and never waits for a reload.

use core::fmt;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use studioml_envelope_core::Provider;

use super::{
    finding::Finding,
    identities::MountedIdentities,
    ring::{KeyRing, QueueKey},
};

/// What a reload changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The directory.
    pub directory: PathBuf,
    /// Files that are new.
    pub added: Vec<String>,
    /// Files whose contents changed; their old keys are gone.
    pub changed: Vec<String>,
    /// Files that went; their keys are gone.
    pub removed: Vec<String>,
    /// What is wrong with files now, or odd about them; not only with those that changed.
    pub findings: Vec<Finding>,
}

/// Something that a [`Watcher`](super::Watcher) keeps new.
pub trait Reload: Send + Sync {
    /// Reads the directory again and replaces the state if it changed. `None` if it did not.
    fn reload(&self) -> Option<Change>;

    /// The directories to be watched.
    fn directories(&self) -> Vec<PathBuf>;
}

/// What directories held at one moment.
pub(super) trait State {
    /// The files that were added, that changed, and that went, against an older state.
    fn changes_since(&self, old: &Self) -> (Vec<String>, Vec<String>, Vec<String>);

    /// What is wrong with files, or odd about them.
    fn findings(&self) -> &[Finding];

    /// Whether there is nothing else to tell of than in another state whose files are the same.
    fn same_findings(&self, other: &Self) -> bool;
}

/// The newest state of a directory.
struct Live<S> {
    /// The directory that a [`Change`] is said to be of.
    directory: PathBuf,
    current: ArcSwap<S>,
    /// One reload at a time. No lookup takes it.
    reloading: Mutex<()>,
}

impl<S: State> Live<S> {
    fn new(directory: &Path, first: S) -> Self {
        Self { directory: directory.to_owned(), current: ArcSwap::from_pointee(first), reloading: Mutex::new(()) }
    }

    fn current(&self) -> Arc<S> {
        self.current.load_full()
    }

    /// Has `read` make a new state of the old one, and replaces that if they differ.
    fn reload(&self, read: impl FnOnce(&S) -> S) -> Option<Change> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current();
        let new = read(&old);
        let (added, changed, removed) = new.changes_since(&old);
        if added.is_empty() && changed.is_empty() && removed.is_empty() && new.same_findings(&old) {
            return None;
        }
        let findings = new.findings().to_vec();
        self.current.store(Arc::new(new));
        Some(Change { directory: self.directory.clone(), added, changed, removed, findings })
    }
}

/// A queue directory and its newest [`KeyRing`].
pub struct KeyDirectory<K: QueueKey> {
    provider: Provider,
    live: Live<KeyRing<K>>,
}

impl<K: QueueKey> KeyDirectory<K> {
    /// Reads the directory for the first time. If it cannot be read, every queue is closed until it can.
    #[must_use]
    pub fn open(directory: &Path, provider: &Provider) -> Self {
        let ring = KeyRing::load(directory, provider).unwrap_or_else(|error| KeyRing::closed(error.problem()));
        Self { provider: *provider, live: Live::new(directory, ring) }
    }

    /// The newest state. Wait-free; whoever verifies one message uses one state.
    #[must_use]
    pub fn current(&self) -> Arc<KeyRing<K>> {
        self.live.current()
    }
}

impl<K: QueueKey> Reload for KeyDirectory<K> {
    fn reload(&self) -> Option<Change> {
        self.live.reload(|old| {
            let again = old.load_again(&self.live.directory, &self.provider);
            // a directory that cannot be read holds nothing: its keys may have been revoked
            again.unwrap_or_else(|error| old.close(error.problem()))
        })
    }

    fn directories(&self) -> Vec<PathBuf> {
        vec![self.live.directory.clone()]
    }
}

impl<K: QueueKey> fmt::Debug for KeyDirectory<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDirectory").field("directory", &self.live.directory).finish_non_exhaustive()
    }
}

/// The two encryption mounts and their newest [`MountedIdentities`].
pub struct IdentityDirectory {
    passphrase: PathBuf,
    provider: Provider,
    live: Live<MountedIdentities>,
}

impl IdentityDirectory {
    /// Reads the mounts for the first time.
    #[must_use]
    pub fn open(encryption: &Path, passphrase: &Path, provider: &Provider) -> Self {
        let mounted = MountedIdentities::load(encryption, passphrase, provider);
        Self { passphrase: passphrase.to_owned(), provider: *provider, live: Live::new(encryption, mounted) }
    }

    /// The newest state. Wait-free.
    #[must_use]
    pub fn current(&self) -> Arc<MountedIdentities> {
        self.live.current()
    }
}

impl Reload for IdentityDirectory {
    fn reload(&self) -> Option<Change> {
        self.live.reload(|old| old.load_again(&self.live.directory, &self.passphrase, &self.provider))
    }

    fn directories(&self) -> Vec<PathBuf> {
        vec![self.live.directory.clone(), self.passphrase.clone()]
    }
}

impl fmt::Debug for IdentityDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityDirectory").field("encryption", &self.live.directory).finish_non_exhaustive()
    }
}
