//! Key files, mounted key directories and their reload for StudioML Envelope (docs/spec.md §5 and §6).
//!
//! - [`read_private`], [`read_public`] and [`inspect`] read every format of docs/spec.md §5, detected by content.
//! - [`encode_private`] and [`encode_public`] write what `openssl`, `ssh-keygen` and deployed runners read.
//! - [`directory`] holds the keys of mounted directories, by queue-name prefix, and keeps them new.
//! - [`disk`] reads and writes the files themselves, so that a private key is never readable by others for a moment.
//! - `kubernetes` writes manifests for key files, and `client_config` finds the keys that a StudioML configuration names;
//!   each is a feature, on by default.
//!
//! A queue's signing keys, from a mounted directory, while the files change:
//!
//! ```
//! use std::sync::Arc;
//! use studioml_envelope_core::{Provider, TrustedSigner};
//! use studioml_envelope_keys::directory::{DEFAULT_INTERVAL, KeyDirectory, Selection, Watcher};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mount = tempfile::tempdir()?;
//! # let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINmNoJZhtoSMX0qChR2YVuNFREiOKJJfB9oJQLLwsWSh third";
//! # std::fs::write(mount.path().join("rmq_cpu_"), line)?;
//! # let mount = mount.path();
//! let provider: Provider = studioml_envelope_rustcrypto::PROVIDER;
//! let signing = Arc::new(KeyDirectory::<TrustedSigner>::open(mount, &provider));
//! let watcher = Watcher::spawn(vec![signing.clone()], DEFAULT_INTERVAL, |change| {
//!     eprintln!("new: {:?}, gone: {:?}", change.added, change.removed);
//!     for finding in &change.findings {
//!         eprintln!("{}: {finding}", finding.severity());
//!     }
//! })?;
//!
//! match signing.current().select("rmq_cpu_andrei_q1") {
//!     Selection::Found { prefix, keys } => println!("{prefix} has {} keys", keys.len()),
//!     Selection::Broken { prefix, reason } => println!("closed: {prefix}: {reason}"),
//!     Selection::None => println!("no key: everything on this queue is refused"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! No crypto library stands below this crate but those that key *files* need (bcrypt, PBKDF2, scrypt, CBC). What has to be
//! computed with a key is done by the [`Provider`](studioml_envelope_core::Provider) that the caller passes.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "client-config")]
pub mod client_config;
mod description;
pub mod directory;
pub mod disk;
mod encode;
mod error;
mod file;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod limits;
mod openssh_encode;
mod passphrase;

pub use description::{Description, Encoding, Format, Kdf, Prf, Protection};
pub use encode::{PrivateFormat, PublicFormat, encode_private, encode_public};
pub use error::KeyFileError;
pub use file::{
    PrivateKeyFile, PublicKeyFile, inspect, read_ed25519_seed, read_private, read_public, read_public_keys,
};
pub use passphrase::Passphrase;
