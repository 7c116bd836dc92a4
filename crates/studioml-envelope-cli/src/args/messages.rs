//! `seal`, `sign`, `verify`, `open` and `inspect`: messages.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

/// `seal`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("for_whom").required(true).multiple(true).args(["recipient", "config"])),
    after_help = "Examples:\n  studioml-envelope seal --recipient studioml_message.pub.pem \\\n      --sign studioml_signing request.json -o message.json\n  \
                  studioml-envelope seal --recipient report.pub.pem report.json \\\n      -o report.payload"
)]
pub struct Seal {
    /// The recipient's RSA public key file.
    #[arg(long, value_name = "PUB")]
    pub recipient: Option<PathBuf>,
    /// Private key file to sign with, Ed25519 or P-256; implies --envelope.
    #[arg(long, value_name = "KEY")]
    pub sign: Option<PathBuf>,
    /// Write the message JSON, its headers copied from the Request, instead of a bare payload string.
    #[arg(long)]
    pub envelope: bool,
    /// Write an envelope without a signature, which everybody who checks will refuse.
    #[arg(long, conflicts_with = "sign")]
    pub unsigned: bool,
    /// StudioML configuration that names recipient and signing key (`public_key_path`, `signing_key_path`).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Pass the Request through in clear where the configuration names no `public_key_path`.
    #[arg(long, requires = "config", conflicts_with_all = ["recipient", "sign", "envelope", "unsigned"])]
    pub clear_text: bool,
    /// Input and output.
    #[command(flatten)]
    pub io: InOut,
}

/// IN and OUT.
#[derive(Debug, Args)]
pub struct InOut {
    /// Input file; standard input if not given or `-`.
    #[arg(value_name = "IN")]
    pub input: Option<PathBuf>,
    /// Output file; standard output if not given or `-`.
    #[arg(short = 'o', long = "output", value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Write over an existing file.
    #[arg(long)]
    pub force: bool,
}

/// `sign`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  studioml-envelope sign --key studioml_signing request.payload")]
pub struct Sign {
    /// Private key file, Ed25519 or P-256.
    #[arg(long, value_name = "KEY")]
    pub key: PathBuf,
    /// Input and output.
    #[command(flatten)]
    pub io: InOut,
}

/// Whose signatures count.
#[derive(Debug, Args)]
pub struct Trust {
    /// Public key file of the signer; all the keys in it count.
    #[arg(long, value_name = "PUB", conflicts_with = "signing_keys")]
    pub signer: Option<PathBuf>,
    /// Directory with one signing public key file per queue-name prefix.
    #[arg(long, value_name = "DIR", requires = "queue")]
    pub signing_keys: Option<PathBuf>,
    /// Name of the queue that the message came from.
    #[arg(long, value_name = "Q", requires = "signing_keys", conflicts_with = "signer")]
    pub queue: Option<String>,
    /// Signature of a bare payload, base64.
    #[arg(long, value_name = "B64")]
    pub signature: Option<String>,
    /// What to do about a fingerprint that is not the signer's.
    #[arg(long, value_enum, default_value_t = FingerprintRule::Refuse)]
    pub fingerprint: FingerprintRule,
}

/// Policy for mismatched and missing fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FingerprintRule {
    /// Refuse the message.
    Refuse,
    /// Say so on standard error and go on, as deployed runners do.
    Warn,
}

/// `verify`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("whose").required(true).args(["signer", "signing_keys"])),
    after_help = "Examples:\n  studioml-envelope verify --signer studioml_signing.pub message.json\n  \
                  studioml-envelope verify --signing-keys /runner/certs/queues/signing \\\n      --queue rmq_cpu_1 message.json"
)]
pub struct Verify {
    /// Whose signatures count.
    #[command(flatten)]
    pub trust: Trust,
    /// Envelope, or a payload with --signature; standard input if not given or `-`.
    #[arg(value_name = "IN")]
    pub input: Option<PathBuf>,
}

/// `open`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("with").required(true).args(["key", "secrets"])),
    group(ArgGroup::new("whose").required(true).args(["signer", "signing_keys", "unverified"])),
    after_help = "Examples:\n  studioml-envelope open --key studioml_message.pem \\\n      --signer studioml_signing.pub message.json -o opened.json\n  \
                  studioml-envelope open --key report.pem --unverified report.payload"
)]
pub struct Open {
    /// Private RSA key file.
    #[arg(long, value_name = "PRIV")]
    pub key: Option<PathBuf>,
    /// Directory with the mounted layout: encryption/ and passphrase/.
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// Whose signatures count.
    #[command(flatten)]
    pub trust: Trust,
    /// Open without a signature check, and say so on standard error.
    #[arg(long, conflicts_with_all = ["signature", "queue"])]
    pub unverified: bool,
    /// Input and output.
    #[command(flatten)]
    pub io: InOut,
}

/// `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  studioml-envelope inspect message.json")]
pub struct Inspect {
    /// Envelope or payload; standard input if not given or `-`.
    #[arg(value_name = "IN")]
    pub input: Option<PathBuf>,
}
