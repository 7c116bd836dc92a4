//! The command line, as clap reads it. Every verb's help ends with an example.

mod around;
mod keys;
mod messages;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use around::{Channel, ChannelMode, Demo, Gateway, Kubernetes};
pub use keys::{Algorithm, Convert, EncryptionPair, Fingerprint, Form, KeyFormat, Keygen, Keys, SigningPair};
pub use messages::{FingerprintRule, Inspect, Open, Seal, Sign, Trust, Verify};

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

/// Options that every verb takes. In its help they come after its own.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// Crypto provider to use, as `backends` lists them; the best one compiled in if not given.
    #[arg(long, global = true, value_name = "NAME")]
    pub backend: Option<String>,
    /// Largest plaintext in bytes, to seal or to open.
    #[arg(long, global = true, value_name = "BYTES", default_value_t = studioml_envelope::DEFAULT_MAX_PLAINTEXT)]
    pub max_plaintext: usize,
    /// Make the result machine-readable: one JSON object a line on standard output, from the verbs that report something.
    ///
    /// What is written elsewhere stays as it is, and so does what is a document of its own: a sealed or opened message, a
    /// manifest, a completion script, the manual page.
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
#[command(next_help_heading = "Options of every verb")]
pub struct PassphraseSource {
    /// File that holds the passphrase; without this option and --passphrase-fd, the one that the variable
    /// STUDIOML_PASSPHRASE_FILE names.
    #[arg(long, global = true, value_name = "F", conflicts_with = "passphrase_fd")]
    pub passphrase_file: Option<PathBuf>,
    /// Inherited file descriptor to read the passphrase from.
    #[arg(long, global = true, value_name = "N")]
    pub passphrase_fd: Option<u32>,
    /// That descriptor, opened.
    #[arg(skip)]
    pub descriptor: Option<std::fs::File>,
}

impl PassphraseSource {
    /// Whether the command line points to a passphrase.
    pub const fn is_on_command_line(&self) -> bool {
        self.passphrase_file.is_some() || self.passphrase_fd.is_some()
    }

    /// The file that the environment names. It stands there for every call, so it counts only where the command line says
    /// nothing; clap would take it for an option, which cannot be had with others.
    pub fn file_of_environment(&self) -> Option<PathBuf> {
        if self.is_on_command_line() {
            return None;
        }
        std::env::var_os("STUDIOML_PASSPHRASE_FILE").filter(|file| !file.is_empty()).map(PathBuf::from)
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a key pair.
    #[command(subcommand, after_help = "Example:\n  studioml-envelope keygen signing -o studioml_signing")]
    Keygen(Keygen),
    /// Print the fingerprints of a public or private key.
    Fingerprint(Fingerprint),
    /// Look at key files and mounted key directories.
    #[command(subcommand, after_help = "Example:\n  studioml-envelope keys show studioml_message.pem")]
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
    #[command(
        subcommand,
        after_help = "Example:\n  studioml-envelope kubernetes signing --key rmq_cpu_=studioml_signing.pub |\n      kubectl apply -f -"
    )]
    Kubernetes(Kubernetes),
    /// Submit messages directly to a server, without a broker.
    #[command(
        subcommand,
        after_help = "Example:\n  studioml-envelope channel send --connect 127.0.0.1:7100 --key client \\\n      --peer SHA256:… message.json"
    )]
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

fn parse_bits(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bits @ (2048 | 3072 | 4096 | 8192)) => Ok(bits),
        _ => Err("one of 2048, 3072, 4096, 8192".to_owned()),
    }
}
