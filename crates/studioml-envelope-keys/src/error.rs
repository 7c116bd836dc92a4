//! What can be wrong with a key file (docs/spec.md §5.4): exact about what is public, silent about what is not.
//!
//! No variant carries bytes of the file, of a key or of a passphrase; names that stand in the file in clear text (a cipher, a
//! PEM label) are cut to printable characters and to a length.

use studioml_envelope_core::{KeyError, RandomError};
use thiserror::Error;

use crate::Protection;

/// A key file cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The bytes are in none of the formats of docs/spec.md §5.
    #[error("not a key file: neither PEM, nor an OpenSSH or RFC 4716 public key, nor DER")]
    Unrecognised,
    /// The file is larger than any key.
    #[error("key file larger than {maximum} bytes")]
    TooLarge {
        /// The limit in bytes.
        maximum: usize,
    },
    /// The key is encrypted and no passphrase was given.
    #[error("the key is encrypted ({protection}) and no passphrase was given")]
    PassphraseMissing {
        /// How it is encrypted; this stands in the file in clear text.
        protection: Protection,
    },
    /// A key was to be encrypted under a passphrase of no bytes.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// A format, cipher, key derivation or kind that is not supported, by name.
    #[error("unsupported {what}")]
    Unsupported {
        /// What it is, for example `cipher BF-CBC` or `PuTTY private key`.
        what: String,
    },
    /// The file is in a known format and is broken.
    #[error("damaged {structure}")]
    Damaged {
        /// Which structure, for example `PEM` or `OpenSSH private key`.
        structure: &'static str,
    },
    /// The passphrase is wrong, where the format can tell: OpenSSH's check-ints, or an authenticated cipher.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The passphrase is wrong or the file is damaged: legacy PEM and PKCS #8 with a CBC cipher have nothing to tell by.
    #[error("wrong passphrase or damaged key file")]
    WrongPassphraseOrDamaged,
    /// The file asks for more key derivation work than [the limits](crate::limits) allow: it would stall whoever loads it.
    #[error("{kdf}: {parameter} of {found} is more than the limit of {maximum}")]
    TooExpensive {
        /// `bcrypt`, `PBKDF2`, `scrypt` or `PKCS #12 derivation`.
        kdf: &'static str,
        /// Which parameter.
        parameter: &'static str,
        /// Its value in the file.
        found: u64,
        /// The limit.
        maximum: u64,
    },
    /// The file was read, and the key in it cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A private key file where a public key is needed. It is refused: a recipient's file is copied around.
    #[error("a private key file where a public key is needed")]
    PrivateWherePublic,
    /// A public key file where a private key is needed.
    #[error("a public key file where a private key is needed")]
    PublicWherePrivate,
    /// More than one key where one is needed.
    #[error("{found} keys in the file where one is needed")]
    SeveralKeys {
        /// How many there are.
        found: usize,
    },
    /// The random source failed while a key file was made.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl KeyFileError {
    /// An unsupported thing whose name comes from the file: only printable ASCII, at most 64 characters.
    pub(crate) fn unsupported(what: &str, name: &str) -> Self {
        let name: String = name.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(64).collect();
        Self::Unsupported { what: format!("{what} {name}").trim_end().to_owned() }
    }
}
