//! `keygen`, `fingerprint` and `keys`: key files.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::parse_bits;

/// Kinds of key pairs.
#[derive(Debug, Subcommand)]
pub enum Keygen {
    /// Make an RSA key pair for message encryption: NAME.pem and NAME.pub.pem.
    #[command(
        after_help = "Example:\n  studioml-envelope keygen encryption -o studioml_message \\\n      --passphrase-file secret_phrase"
    )]
    Encryption(EncryptionPair),
    /// Make a signing key pair: NAME (OpenSSH) and NAME.pub (one line).
    #[command(after_help = "Example:\n  studioml-envelope keygen signing -o studioml_signing")]
    Signing(SigningPair),
}

/// `keygen encryption`.
#[derive(Debug, Args)]
pub struct EncryptionPair {
    /// Name of the files to write.
    #[arg(short = 'o', long = "output", value_name = "NAME")]
    pub name: PathBuf,
    /// Size of the modulus.
    #[arg(long, default_value_t = 4096, value_parser = parse_bits)]
    pub bits: usize,
    /// Write the private key without a passphrase.
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_fd"])]
    pub no_passphrase: bool,
    /// Write `RSA PRIVATE KEY` with `DEK-Info: AES-256-CBC`, which older runners need.
    #[arg(long)]
    pub legacy_pem: bool,
    /// Write over existing files.
    #[arg(long)]
    pub force: bool,
}

/// `keygen signing`.
#[derive(Debug, Args)]
pub struct SigningPair {
    /// Name of the files to write.
    #[arg(short = 'o', long = "output", value_name = "NAME")]
    pub name: PathBuf,
    /// Signature algorithm.
    #[arg(long, value_enum, default_value_t = Algorithm::Ed25519)]
    pub algorithm: Algorithm,
    /// Comment to write into the files.
    #[arg(long, value_name = "C", default_value = "")]
    pub comment: String,
    /// Write over existing files.
    #[arg(long)]
    pub force: bool,
}

/// Signature algorithms.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA with P-256 and SHA-256.
    P256,
}

/// `fingerprint`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  studioml-envelope fingerprint studioml_signing.pub --format all")]
pub struct Fingerprint {
    /// Public or private key file of any kind; `-` for standard input.
    pub key: PathBuf,
    /// Form of the fingerprint.
    #[arg(long, value_enum, default_value_t = Form::SshSha256)]
    pub format: Form,
}

/// Forms of fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// SHA-256 of the SSH public key blob.
    SshSha256,
    /// SHA-256 of the DER SubjectPublicKeyInfo.
    SpkiSha256,
    /// SHA-1 of the SSH public key blob.
    SshSha1,
    /// SHA-1 of the DER SubjectPublicKeyInfo.
    SpkiSha1,
    /// All four, labelled.
    All,
}

/// `keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Show a key file's kind, size, protection and fingerprints; never secret bytes.
    ///
    /// No passphrase is asked for. One that is given shows what the encryption hides.
    #[command(after_help = "Example:\n  studioml-envelope keys show studioml_message.pem")]
    Show {
        /// Key file; `-` for standard input.
        file: PathBuf,
    },
    /// Write a key file in another format.
    #[command(
        after_help = "Example:\n  studioml-envelope keys convert studioml_message.pem --to legacy-pem \\\n      -o runner.pem"
    )]
    Convert(Convert),
    /// Check a mounted key directory: what loads, what does not and why. Exit 3 if anything does not.
    #[command(after_help = "Example:\n  studioml-envelope keys check /runner/certs/queues/signing")]
    Check {
        /// Directory: one file per queue-name prefix, or the key pair of the encryption mount.
        directory: PathBuf,
    },
    /// Tell which prefix owns a queue, and its key's fingerprint. Exit 1 if none does.
    #[command(after_help = "Example:\n  studioml-envelope keys select /runner/certs/queues/signing --queue rmq_cpu_1")]
    Select {
        /// Directory: one file per queue-name prefix.
        directory: PathBuf,
        /// Name of the queue.
        #[arg(long, value_name = "Q")]
        queue: String,
    },
}

/// `keys convert`.
#[derive(Debug, Args)]
pub struct Convert {
    /// Key file to read; `-` for standard input.
    pub file: PathBuf,
    /// Format to write.
    #[arg(long, value_enum)]
    pub to: KeyFormat,
    /// File to write; `-` for standard output.
    #[arg(short = 'o', long = "output", value_name = "OUT")]
    pub output: PathBuf,
    /// FILE is a bare Ed25519 seed, 32 bytes or 64 hexadecimal digits, which any file of that size could be.
    #[arg(long)]
    pub ed25519_seed: bool,
    /// Passphrase file for the key to be written; the one it was read with if not given.
    #[arg(long, value_name = "F", conflicts_with = "no_new_passphrase")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Write the private key without a passphrase.
    #[arg(long)]
    pub no_new_passphrase: bool,
    /// Write over an existing file.
    #[arg(long)]
    pub force: bool,
}

/// Formats that `keys convert` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyFormat {
    /// PKCS #8 PEM, encrypted (PBES2) where there is a passphrase.
    Pkcs8,
    /// Legacy PEM, `DEK-Info: AES-256-CBC` where there is a passphrase.
    LegacyPem,
    /// OpenSSH private key.
    Openssh,
    /// Public key as PKCS #1 PEM (RSA).
    Pkcs1Pub,
    /// Public key as SubjectPublicKeyInfo PEM.
    SpkiPub,
    /// Public key as one OpenSSH line.
    SshPub,
}
