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

/// A queue directory and its newest [`KeyRing`].
pub struct KeyDirectory<K: QueueKey> {
    directory: PathBuf,
    provider: Provider,
    current: ArcSwap<KeyRing<K>>,
    /// One reload at a time. No lookup takes it.
    reloading: Mutex<()>,
}

impl<K: QueueKey> KeyDirectory<K> {
    /// Reads the directory for the first time. If it cannot be read, every queue is closed until it can.
    #[must_use]
    pub fn open(directory: &Path, provider: &Provider) -> Self {
        let ring = KeyRing::load(directory, provider).unwrap_or_else(|error| KeyRing::closed(error.problem()));
        Self {
            directory: directory.to_owned(),
            provider: *provider,
            current: ArcSwap::from_pointee(ring),
            reloading: Mutex::new(()),
        }
    }

    /// The newest state. Wait-free; whoever verifies one message uses one state.
    #[must_use]
    pub fn current(&self) -> Arc<KeyRing<K>> {
        self.current.load_full()
    }
}

impl<K: QueueKey> Reload for KeyDirectory<K> {
    fn reload(&self) -> Option<Change> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current();
        // a directory that cannot be read holds nothing: its keys may have been revoked
        let new = old.load_again(&self.directory, &self.provider).unwrap_or_else(|error| old.close(error.problem()));
        let (added, changed, removed) = new.changes_since(&old);
        if added.is_empty() && changed.is_empty() && removed.is_empty() && new.same_findings(&old) {
            return None;
        }
        let findings = new.findings().to_vec();
        self.current.store(Arc::new(new));
        Some(Change { directory: self.directory.clone(), added, changed, removed, findings })
    }

    fn directories(&self) -> Vec<PathBuf> {
        vec![self.directory.clone()]
    }
}

impl<K: QueueKey> fmt::Debug for KeyDirectory<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDirectory").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The two encryption mounts and their newest [`MountedIdentities`].
pub struct IdentityDirectory {
    encryption: PathBuf,
    passphrase: PathBuf,
    provider: Provider,
    current: ArcSwap<MountedIdentities>,
    /// One reload at a time. No lookup takes it.
    reloading: Mutex<()>,
}

impl IdentityDirectory {
    /// Reads the mounts for the first time.
    #[must_use]
    pub fn open(encryption: &Path, passphrase: &Path, provider: &Provider) -> Self {
        Self {
            encryption: encryption.to_owned(),
            passphrase: passphrase.to_owned(),
            provider: *provider,
            current: ArcSwap::from_pointee(MountedIdentities::load(encryption, passphrase, provider)),
            reloading: Mutex::new(()),
        }
    }

    /// The newest state. Wait-free.
    #[must_use]
    pub fn current(&self) -> Arc<MountedIdentities> {
        self.current.load_full()
    }
}

impl Reload for IdentityDirectory {
    fn reload(&self) -> Option<Change> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current();
        let new = old.load_again(&self.encryption, &self.passphrase, &self.provider);
        let (added, changed, removed) = new.changes_since(&old);
        if added.is_empty() && changed.is_empty() && removed.is_empty() && new.findings() == old.findings() {
            return None;
        }
        let findings = new.findings().to_vec();
        self.current.store(Arc::new(new));
        Some(Change { directory: self.encryption.clone(), added, changed, removed, findings })
    }

    fn directories(&self) -> Vec<PathBuf> {
        vec![self.encryption.clone(), self.passphrase.clone()]
    }
}

impl fmt::Debug for IdentityDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityDirectory").field("encryption", &self.encryption).finish_non_exhaustive()
    }
}
