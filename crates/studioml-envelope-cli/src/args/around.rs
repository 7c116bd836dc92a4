//! `demo`, `kubernetes`, `gateway` and `channel`: what stands around keys and messages.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::parse_bits;
use crate::failure::{Failure, Outcome};

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
    pub fn wanted(&self) -> Outcome<ChannelMode> {
        match (self.mode, self.unauthenticated) {
            (ChannelMode::Seed, false) => Err(Failure::usage("the seed's exchange proves nobody's identity")
                .hint("--mode seed needs --unauthenticated")),
            (ChannelMode::Noise, true) => Err(Failure::usage("--unauthenticated goes with --mode seed only")),
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
