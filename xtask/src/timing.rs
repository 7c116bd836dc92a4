//! `cargo xtask timing`: whether the time of opening tells why it failed.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Measure whether the time of opening a payload tells how it failed, for every provider
///
/// Prints Welch's t between classes of payloads: first byte of the encoded message zero
/// or not (Manger's bit), bad OAEP or bad tag, and others. Above 4.5 is more than chance.
/// Times are noisy on a machine that does other things, so this passes no judgement.
///
/// Examples:
///   cargo xtask timing
///   cargo xtask timing --samples 50000 --bits 4096
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Openings per class and provider
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..))]
    samples: u64,

    /// Size of the RSA key: 2048, 3072 or 4096
    #[arg(long, value_name = "N", default_value_t = 2048)]
    bits: u64,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let mut command = Command::new(process::cargo());
    command.args(["run", "--release", "--package", crate::layers::plan::CONFORMANCE, "--example", "unwrap_timing"]);
    command.args(["--", "--samples", &args.samples.to_string(), "--bits", &args.bits.to_string()]);
    process::run(command.current_dir(workspace.root()))
}
