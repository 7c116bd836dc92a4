//! The keys in force, and what a change of them sets off.

use std::io;
use std::path::Path;
use std::sync::Arc;

use studioml_envelope_core::{Provider, TrustedSigner};
use studioml_envelope_keys::directory::{
    Change, Finding, IdentityDirectory, KeyDirectory, MountedIdentities, Reload, ReportKey, ReportKeys, Selection,
    Severity, SigningKeys, Watcher,
};

use crate::config::{Config, KeysConfig};
use crate::queue::QueueName;

/// The mounted keys, kept new while the gateway runs.
pub(crate) struct KeyRing {
    identities: Arc<IdentityDirectory>,
    signing: Arc<KeyDirectory<TrustedSigner>>,
    reports: Arc<KeyDirectory<ReportKey>>,
}

/// The keys at one moment: a message is judged by one set.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) identities: Arc<MountedIdentities>,
    pub(crate) signing: Arc<SigningKeys>,
    pub(crate) reports: Arc<ReportKeys>,
}

/// Whether a queue has a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// It has, from the file of this name.
    Key(String),
    /// It had one, and the file does not work.
    Closed(String),
    /// No prefix of its name has a file.
    Nothing,
}

impl Coverage {
    /// Whether there is a key that works.
    pub(crate) const fn is_key(&self) -> bool {
        matches!(self, Self::Key(_))
    }
}

impl KeyRing {
    /// Reads the mounts for the first time. Never fails: what does not work is told by [`Keys::findings`].
    pub(crate) fn open(keys: &KeysConfig, provider: &Provider) -> Self {
        Self {
            identities: Arc::new(IdentityDirectory::open(&keys.encryption, &keys.passphrase, provider)),
            signing: Arc::new(KeyDirectory::open(&keys.signing, provider)),
            reports: Arc::new(KeyDirectory::open(&keys.reports, provider)),
        }
    }

    /// The keys now.
    pub(crate) fn current(&self) -> Keys {
        Keys { identities: self.identities.current(), signing: self.signing.current(), reports: self.reports.current() }
    }

    /// Begins to look for changes. They are picked up until the watcher is dropped.
    pub(crate) fn watch(&self, config: &Config, on_change: impl Fn(&Change) + Send + 'static) -> io::Result<Watcher> {
        let directories: [Arc<dyn Reload>; 3] =
            [Arc::clone(&self.identities) as _, Arc::clone(&self.signing) as _, Arc::clone(&self.reports) as _];
        Watcher::spawn(directories.into(), config.reload_interval(), on_change)
    }
}

impl Keys {
    /// Whether requests of a queue can be verified.
    pub(crate) fn signing_coverage(&self, queue: &QueueName) -> Coverage {
        coverage(&self.signing.select(queue.as_str()))
    }

    /// Whether reports of a response queue can be sealed. The key is looked up by that queue's own name.
    pub(crate) fn report_coverage(&self, response_queue: &QueueName) -> Coverage {
        coverage(&self.reports.select(response_queue.as_str()))
    }

    /// What is wrong with key files, or odd about them, each with the mount it is in.
    pub(crate) fn findings(&self) -> impl Iterator<Item = (&'static str, &Finding)> {
        let identities = self.identities.findings().iter().map(|finding| ("keys.encryption", finding));
        let signing = self.signing.findings().iter().map(|finding| ("keys.signing", finding));
        let reports = self.reports.findings().iter().map(|finding| ("keys.reports", finding));
        identities.chain(signing).chain(reports)
    }
}

fn coverage<K>(selection: &Selection<'_, K>) -> Coverage {
    match selection {
        Selection::Found { prefix, .. } => Coverage::Key((*prefix).to_owned()),
        Selection::Broken { prefix, .. } => Coverage::Closed((*prefix).to_owned()),
        Selection::None => Coverage::Nothing,
    }
}

/// Logs what is wrong in a mount.
pub(crate) fn log_finding(mount: &str, finding: &Finding) {
    match finding.severity() {
        Severity::Error => tracing::error!(mount, file = finding.file, "{}", finding.problem),
        Severity::Warning => tracing::warn!(mount, file = finding.file, "{}", finding.problem),
    }
}

/// Logs a change of a mount.
pub(crate) fn log_change(change: &Change) {
    let directory: &Path = &change.directory;
    tracing::info!(
        directory = %directory.display(),
        added = ?change.added,
        changed = ?change.changed,
        removed = ?change.removed,
        "keys have changed"
    );
    for finding in &change.findings {
        log_finding(&directory.display().to_string(), finding);
    }
}
