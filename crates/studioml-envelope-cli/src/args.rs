//! The command line, as clap reads it (CLI.md). Every verb's help ends with an example.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

/// Seal, sign, verify and open StudioML messages.
///
/// Exit codes: 0 done; 1 refused (the signature does not verify, the payload cannot be opened, the policy says no); 2 usage;
/// 3 a key, passphrase, configuration or input that cannot be used; 4 input/output or network.
#[derive(Debug, Parser)]
#[command(name = "studioml-envelope", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// Options that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Crypto provider to use, as `backends` lists them; the best one compiled in if not given.
    #[arg(long, global = true, value_name = "NAME")]
    pub backend: Option<String>,
    /// Largest plaintext in bytes, to seal or to open.
    #[arg(long, global = true, value_name = "BYTES", default_value_t = studioml_envelope::DEFAULT_MAX_PLAINTEXT)]
    pub max_plaintext: usize,
    /// Make the result machine-readable: one JSON object on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// Accept a private key file that others can read.
    #[arg(long, global = true)]
    pub allow_readable_key: bool,
    /// Where a passphrase comes from.
    #[command(flatten)]
    pub passphrase: PassphraseSource,
}

/// Where a passphrase comes from. Never an argument: arguments are visible to every process on the machine.
#[derive(Debug, Args)]
pub struct PassphraseSource {
    /// File that holds the passphrase.
    #[arg(long, global = true, value_name = "F", env = "STUDIOML_PASSPHRASE_FILE", conflicts_with = "passphrase_fd")]
    pub passphrase_file: Option<PathBuf>,
    /// Inherited file descriptor to read the passphrase from.
    #[arg(long, global = true, value_name = "N")]
    pub passphrase_fd: Option<u32>,
    /// That descriptor, opened.
    #[arg(skip)]
    pub descriptor: Option<std::fs::File>,
}

impl PassphraseSource {
    /// Whether the command line or the environment points to a passphrase.
    pub const fn is_given(&self) -> bool {
        self.passphrase_file.is_some() || self.passphrase_fd.is_some()
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a key pair.
    #[command(subcommand)]
    Keygen(Keygen),
    /// Print the fingerprints of a public or private key.
    Fingerprint(Fingerprint),
    /// Look at key files and mounted key directories.
    #[command(subcommand)]
    Keys(Keys),
    /// Seal a Request or a report for a recipient.
    Seal(Seal),
    /// Sign a payload string.
    Sign(Sign),
    /// Verify the signature of a message.
    Verify(Verify),
    /// Verify and open a message.
    Open(Open),
    /// Show what a message is made of, without opening it.
    Inspect(Inspect),
    /// Run the whole story on this machine: keys, seal, sign, verify, open, and every forgery refused.
    #[command(after_help = "Example:\n  studioml-envelope demo")]
    Demo(Demo),
    /// List the providers compiled in, slot by slot.
    #[command(after_help = "Example:\n  studioml-envelope backends --json")]
    Backends,
    /// Write Kubernetes manifests for key files, to standard output.
    #[command(subcommand)]
    Kubernetes(Kubernetes),
    /// Submit messages directly to a server, without a broker.
    #[command(subcommand)]
    Channel(Channel),
    /// Take sealed requests from one side, verify and open them, and publish them in clear on the other; seal the reports.
    Gateway(Gateway),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  studioml-envelope completions bash \\\n      > /etc/bash_completion.d/studioml-envelope"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, troff.
    #[command(after_help = "Example:\n  studioml-envelope man > studioml-envelope.1")]
    Man,
}

/// Kinds of key pairs.
#[derive(Debug, Subcommand)]
pub enum Keygen {
    /// Make an RSA key pair for message encryption: NAME.pem and NAME.pub.pem.
    #[command(
        after_help = "Example:\n  studioml-envelope keygen encryption -o studioml_message \\\n      --passphrase-file secret_phrase"
    )]
    Encryption {
        /// Name of the files to write.
        #[arg(short = 'o', long = "output", value_name = "NAME")]
        name: PathBuf,
        /// Size of the modulus.
        #[arg(long, default_value_t = 4096, value_parser = parse_bits)]
        bits: usize,
        /// Write the private key without a passphrase.
        #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_fd", "legacy_pem"])]
        no_passphrase: bool,
        /// Write `RSA PRIVATE KEY` with `DEK-Info: AES-256-CBC`, which older runners need.
        #[arg(long)]
        legacy_pem: bool,
        /// Write over existing files.
        #[arg(long)]
        force: bool,
    },
    /// Make a signing key pair: NAME (OpenSSH) and NAME.pub (one line).
    #[command(after_help = "Example:\n  studioml-envelope keygen signing -o studioml_signing")]
    Signing {
        /// Name of the files to write.
        #[arg(short = 'o', long = "output", value_name = "NAME")]
        name: PathBuf,
        /// Signature algorithm.
        #[arg(long, value_enum, default_value_t = Algorithm::Ed25519)]
        algorithm: Algorithm,
        /// Comment to write into the files.
        #[arg(long, value_name = "C", default_value = "")]
        comment: String,
        /// Write over existing files.
        #[arg(long)]
        force: bool,
    },
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
    Convert {
        /// Key file to read.
        file: PathBuf,
        /// Format to write.
        #[arg(long, value_enum)]
        to: KeyFormat,
        /// File to write.
        #[arg(short = 'o', long = "output", value_name = "OUT")]
        output: PathBuf,
        /// Passphrase file for the key to be written; the one it was read with if not given.
        #[arg(long, value_name = "F", conflicts_with = "no_new_passphrase")]
        new_passphrase_file: Option<PathBuf>,
        /// Write the private key without a passphrase.
        #[arg(long)]
        no_new_passphrase: bool,
        /// Write over an existing file.
        #[arg(long)]
        force: bool,
    },
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
    #[arg(long, value_name = "Q", requires = "signing_keys")]
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
    #[arg(long, conflicts_with = "signature")]
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

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Size of the RSA keys.
    #[arg(long, default_value_t = 4096, value_parser = parse_bits)]
    pub bits: usize,
}

/// `kubernetes`.
#[derive(Debug, Subcommand)]
pub enum Kubernetes {
    /// Secrets for the encryption key pair and its passphrase, in two objects so that RBAC can split them.
    #[command(
        after_help = "Example:\n  studioml-envelope kubernetes secrets --private studioml_message.pem \\\n      --public studioml_message.pub.pem --passphrase-file secret_phrase |\n      kubectl apply -f -"
    )]
    Secrets {
        /// Private RSA key file.
        #[arg(long, value_name = "PRIV")]
        private: PathBuf,
        /// Its public key file.
        #[arg(long, value_name = "PUB")]
        public: PathBuf,
        /// Where it goes.
        #[command(flatten)]
        place: Namespace,
    },
    /// A secret with one signing or report public key per queue-name prefix.
    #[command(
        after_help = "Example:\n  studioml-envelope kubernetes signing --key rmq_cpu_=studioml_signing.pub |\n      kubectl apply -f -"
    )]
    Signing {
        /// PREFIX=FILE, once for each prefix.
        #[arg(long = "key", value_name = "PREFIX=FILE", required = true)]
        keys: Vec<String>,
        /// Report keys (response-encrypt) instead of signing keys.
        #[arg(long)]
        reports: bool,
        /// Where it goes.
        #[command(flatten)]
        place: Namespace,
    },
    /// The runner Deployment's volumes and mounts.
    #[command(after_help = "Example:\n  studioml-envelope kubernetes deployment > deployment.yaml")]
    Deployment {
        /// Container image of the runner.
        #[arg(long, default_value = "studioml/studio-go-runner:latest")]
        image: String,
        /// Allow clear-text messages: adds `CLEAR_TEXT_MESSAGES: "true"`.
        #[arg(long)]
        clear_text: bool,
        /// Mount every file of the encryption secrets, so that a rotation can add `ssh-privatekey.1`.
        #[arg(long)]
        several_keys: bool,
        /// Where it goes.
        #[command(flatten)]
        place: Namespace,
    },
}

/// The Kubernetes namespace.
#[derive(Debug, Args)]
pub struct Namespace {
    /// Namespace to put into the manifests.
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// `gateway`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  studioml-envelope gateway --config gateway.toml --check\n  studioml-envelope gateway --config gateway.toml"
)]
pub struct Gateway {
    /// Configuration file, TOML.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check the configuration and its keys, say all that is wrong, and start nothing.
    #[arg(long)]
    pub check: bool,
}

/// `channel`.
#[derive(Debug, Subcommand)]
pub enum Channel {
    /// Make a static P-256 key pair: NAME (OpenSSH) and NAME.pub; prints the fingerprint that peers pin.
    #[command(after_help = "Example:\n  studioml-envelope channel keygen -o server")]
    Keygen {
        /// Name of the files to write.
        #[arg(short = 'o', long = "output", value_name = "NAME")]
        name: PathBuf,
        /// Comment to write into the files.
        #[arg(long, value_name = "C", default_value = "")]
        comment: String,
        /// Write over existing files.
        #[arg(long)]
        force: bool,
    },
    /// Take messages from clients, until SIGTERM.
    #[command(
        after_help = "Example:\n  studioml-envelope channel serve --listen 127.0.0.1:7100 --key server \\\n      --allow clients --to queues/rmq_cpu_1"
    )]
    Serve {
        /// Address and port to listen on.
        #[arg(long, value_name = "ADDR")]
        listen: String,
        /// This server's private P-256 key file.
        #[arg(long, value_name = "K")]
        key: Option<PathBuf>,
        /// File with the fingerprints of the clients that are let in, one a line; read again when it changes.
        #[arg(long, value_name = "FILE")]
        allow: Option<PathBuf>,
        /// Directory queue to write messages into, one file each.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Mode.
        #[command(flatten)]
        mode: Mode,
    },
    /// Send messages and print their receipts. Exit 0 only if every one was accepted.
    #[command(
        after_help = "Example:\n  studioml-envelope channel send --connect 127.0.0.1:7100 --key client \\\n      --peer SHA256:… message.json"
    )]
    Send {
        /// Address and port of the server.
        #[arg(long, value_name = "ADDR")]
        connect: String,
        /// This client's private P-256 key file.
        #[arg(long, value_name = "K")]
        key: Option<PathBuf>,
        /// Fingerprint of the server's key, in any form.
        #[arg(long, value_name = "FINGERPRINT")]
        peer: Option<String>,
        /// Message files, one envelope each; standard input if not given or `-`.
        #[arg(value_name = "IN")]
        inputs: Vec<PathBuf>,
        /// Mode.
        #[command(flatten)]
        mode: Mode,
    },
}

/// The mode of a channel.
#[derive(Debug, Args)]
pub struct Mode {
    /// Noise XX with static keys, or the seed's exchange.
    #[arg(long, value_enum, default_value_t = ChannelMode::Noise)]
    pub mode: ChannelMode,
    /// Accept that the seed's exchange proves nobody's identity: anybody in the middle can read and change what is sent.
    #[arg(long)]
    pub unauthenticated: bool,
}

impl Mode {
    /// The mode, if the command line has said what it has to say for it.
    pub fn wanted(&self) -> crate::failure::Outcome<ChannelMode> {
        match (self.mode, self.unauthenticated) {
            (ChannelMode::Seed, false) => {
                Err(crate::failure::Failure::usage("the seed's exchange proves nobody's identity")
                    .hint("--mode seed needs --unauthenticated"))
            }
            (ChannelMode::Noise, true) => {
                Err(crate::failure::Failure::usage("--unauthenticated goes with --mode seed only"))
            }
            (mode, _) => Ok(mode),
        }
    }
}

/// Modes of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChannelMode {
    /// `Noise_XX_P256_AESGCM_SHA256`.
    Noise,
    /// The seed's exchange.
    Seed,
}

fn parse_bits(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bits @ (2048 | 3072 | 4096 | 8192)) => Ok(bits),
        _ => Err("one of 2048, 3072, 4096, 8192".to_owned()),
    }
}
