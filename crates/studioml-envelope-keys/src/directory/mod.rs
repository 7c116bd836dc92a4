//! Mounted key directories (docs/spec.md §6): what is in them, which key a queue takes, and how a change is picked up.
//!
//! - [`SigningKeys`] and [`ReportKeys`] are one directory as it was read once: a file per queue-name prefix, the longest prefix
//!   owns a queue. They never change, so that a lookup sees one set and takes no lock.
//! - [`MountedIdentities`] are the RSA private keys of the two encryption mounts.
//! - [`KeyDirectory`] and [`IdentityDirectory`] hold the newest of these and replace it whole; a [`Watcher`] makes them do so.
//! - [`check_directory`] tells an operator what is live.
//!
//! The attacker can add or overwrite files of one prefix and must not gain another: a file that does not parse closes its
//! prefix, and no shorter prefix's key takes over.

mod check;
mod finding;
mod identities;
mod live;
mod prefix;
mod ring;
mod scan;
mod watch;

pub use check::{CheckedFile, DirectoryKind, DirectoryReport, check_directory};
pub use finding::{Finding, Problem, Severity};
pub use identities::{MountedIdentities, MountedKey};
pub use live::{Change, IdentityDirectory, KeyDirectory, Reload};
pub use ring::{KeyRing, QueueKey, ReportKey, ReportKeys, Selection, SigningKeys};
pub use scan::DirectoryError;
pub use watch::{DEFAULT_INTERVAL, MAX_INTERVAL, Watcher};
