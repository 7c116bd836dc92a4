//! What is wrong with a file of a key directory, or odd about it.

use core::fmt;
use std::io;

use studioml_envelope_core::KeyError;
use thiserror::Error;

use crate::{KeyFileError, disk::DiskError};

/// Whether a finding costs a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The file does not work: its prefix is closed, or its key does not open anything.
    Error,
    /// The file works, or is not meant to; somebody should look at it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file's name, without its directory; empty where it is the directory itself.
    pub file: String,
    /// What it is.
    pub problem: Problem,
}

impl Finding {
    pub(super) fn new(file: &str, problem: impl Into<Problem>) -> Self {
        Self { file: file.to_owned(), problem: problem.into() }
    }

    /// Whether it costs a key.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.problem.severity()
    }
}

/// One line for a person. Whoever names a file can put a line feed or a terminal's escape sequence into it: they are escaped.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_empty() {
            return self.problem.fmt(f);
        }
        write!(f, "{}: {}", self.file.escape_debug(), self.problem)
    }
}

/// What can be wrong with a file of a key directory, or odd about it. No variant holds bytes of the file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file's contents cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// It is neither a file nor a directory.
    #[error("not a regular file")]
    NotAFile,
    /// The name has fewer than 4 characters and is ignored: `rmq_` is the shortest prefix.
    #[error("ignored: a queue-name prefix has at least 4 characters")]
    PrefixTooShort,
    /// The name is not UTF-8 and is ignored: no queue has such a name.
    #[error("ignored: the name is not UTF-8")]
    NameNotUtf8,
    /// The prefix does not end in `_` and so covers names that go on differently, as `rmq_karl` covers `rmq_karlsruhe_1`.
    #[error("the prefix does not end in '_': it covers every queue whose name begins so")]
    PrefixOpenEnded,
    /// The same key stands twice in a file.
    #[error("the same key stands in the file more than once")]
    DuplicateKey,
    /// A private key that another file of the mount holds too. It is used once.
    #[error("the same key as in {file}")]
    SameKeyAs {
        /// The other file's name.
        file: String,
    },
    /// An RSA key below 3072 bits.
    #[error("RSA key of {bits} bits: 3072 or more is advised")]
    WeakKey {
        /// Its size.
        bits: usize,
    },
    /// The public key file beside a private key belongs to none of the private keys.
    #[error("the public key belongs to none of the private keys")]
    PublicKeyDiffers,
    /// A file in an encryption mount whose name has no meaning there.
    #[error("ignored: neither ssh-privatekey, ssh-privatekey.N nor ssh-publickey")]
    UnknownName,
    /// The whole directory cannot be read, which closes everything.
    #[error("the directory cannot be read: {0}")]
    DirectoryUnreadable(io::ErrorKind),
}

impl Problem {
    /// Whether it costs a key.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::KeyFile(_) | Self::Unreadable(_) | Self::NotAFile | Self::DirectoryUnreadable(_) => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

impl From<DiskError> for Problem {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::TooLarge { maximum } => Self::KeyFile(KeyFileError::TooLarge { maximum }),
            DiskError::Io(error) => Self::Unreadable(error.kind()),
            _ => Self::NotAFile,
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Self::KeyFile(KeyFileError::Key(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_system_does_not_read_is_said_to_be_unreadable() {
        let denied = io::ErrorKind::PermissionDenied;
        assert_eq!(Problem::from(DiskError::Io(denied.into())), Problem::Unreadable(denied));
    }
}
