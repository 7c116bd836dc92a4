//! What a key file is, as far as it says without a passphrase: for `keys show`, for `fingerprint` and for error messages.

use core::fmt;

use studioml_envelope_core::PublicKey;

/// The structure that holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// OpenSSH's own private key format, `BEGIN OPENSSH PRIVATE KEY`.
    OpenSsh,
    /// PKCS #1: `BEGIN RSA PRIVATE KEY` or `BEGIN RSA PUBLIC KEY`.
    Pkcs1,
    /// SEC 1: `BEGIN EC PRIVATE KEY`.
    Sec1,
    /// PKCS #8: `BEGIN PRIVATE KEY` or `BEGIN ENCRYPTED PRIVATE KEY`.
    Pkcs8,
    /// SubjectPublicKeyInfo: `BEGIN PUBLIC KEY`.
    Spki,
    /// One line of OpenSSH: `ssh-ed25519 AAAA… comment`.
    SshLine,
    /// `BEGIN SSH2 PUBLIC KEY`.
    Rfc4716,
    /// The 32 bytes of an Ed25519 seed, raw or in hexadecimal.
    Seed,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenSsh => "OpenSSH",
            Self::Pkcs1 => "PKCS #1",
            Self::Sec1 => "SEC 1",
            Self::Pkcs8 => "PKCS #8",
            Self::Spki => "SubjectPublicKeyInfo",
            Self::SshLine => "OpenSSH line",
            Self::Rfc4716 => "RFC 4716",
            Self::Seed => "Ed25519 seed",
        })
    }
}

/// How the structure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// Base64 between BEGIN and END lines, or on an OpenSSH line.
    Text,
    /// The bytes themselves.
    Der,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Der => "DER",
        })
    }
}

/// Whether a private key is encrypted, and how. All of it stands in the file in clear text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// Not encrypted.
    None,
    /// Encrypted under a passphrase.
    Encrypted {
        /// The cipher, by the name that its format uses.
        cipher: &'static str,
        /// What makes a key of the passphrase.
        kdf: Kdf,
    },
}

impl Protection {
    /// Whether a passphrase is needed.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted { .. })
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("not encrypted"),
            Self::Encrypted { cipher, kdf } => write!(f, "{cipher}, {kdf}"),
        }
    }
}

/// What makes a key of a passphrase, with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kdf {
    /// One pass of MD5: legacy PEM. No protection against trying passphrases.
    Md5,
    /// `bcrypt_pbkdf` of OpenSSH.
    Bcrypt {
        /// Rounds.
        rounds: u32,
    },
    /// PBKDF2 (RFC 8018).
    Pbkdf2 {
        /// Its pseudorandom function.
        prf: Prf,
        /// Iterations.
        iterations: u64,
    },
    /// scrypt (RFC 7914).
    Scrypt {
        /// Cost N.
        n: u64,
        /// Block size r.
        r: u64,
        /// Parallelization p.
        p: u64,
    },
    /// PKCS #12 with SHA-1 (RFC 7292 appendix B).
    Pkcs12 {
        /// Iterations.
        iterations: u64,
    },
}

impl fmt::Display for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5 => f.write_str("one pass of MD5"),
            Self::Bcrypt { rounds } => write!(f, "bcrypt with {rounds} rounds"),
            Self::Pbkdf2 { prf, iterations } => write!(f, "PBKDF2-{prf} with {iterations} iterations"),
            Self::Scrypt { n, r, p } => write!(f, "scrypt with N = {n}, r = {r}, p = {p}"),
            Self::Pkcs12 { iterations } => write!(f, "PKCS #12 derivation with {iterations} iterations of SHA-1"),
        }
    }
}

/// The pseudorandom function of PBKDF2 (RFC 8018 appendix B.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the whole of it")]
pub enum Prf {
    HmacSha1,
    HmacSha224,
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

impl fmt::Display for Prf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha224 => "HMAC-SHA224",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha384 => "HMAC-SHA384",
            Self::HmacSha512 => "HMAC-SHA512",
        })
    }
}

/// What a key file says of itself without a passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The structure.
    pub format: Format,
    /// How it is written.
    pub encoding: Encoding,
    /// Whether it holds a private key.
    pub is_private: bool,
    /// How the private key is encrypted; `None` for a public key.
    pub protection: Protection,
    /// The public key, whose kind, size and fingerprints follow from it. Encrypted PKCS #8 and legacy PEM hide it.
    pub public_key: Option<PublicKey>,
    /// The kind as far as the format tells it: `RSA`, `Ed25519` or `P-256`.
    pub kind: Option<&'static str>,
    /// The comment, without control characters. OpenSSH encrypts it along with the private key.
    pub comment: Option<String>,
}
