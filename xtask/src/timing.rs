//! `cargo xtask timing`: whether the time of opening tells why it failed.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Measure whether the time of opening a payload tells how it failed, for every library that unwraps
///
/// Prints Student's t between classes of payloads: first byte of the encoded message zero
/// or not (Manger's bit), bad OAEP or bad tag, and others. Above 4.5 is more than chance.
/// Two controls show what the method sees: one class against itself, and a receiver that
/// works a stated time longer where it found no key. Times are noisy on a machine that
/// does other things, so this passes no judgement; pinned to a core of its own it is best.
///
/// Examples:
///   cargo xtask timing
///   taskset -c 3 cargo xtask timing --rounds 20000 --only control --leak-ns 500
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Openings of each class
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..))]
    rounds: u64,

    /// Size of the RSA key: 2048, 3072 or 4096
    #[arg(long, value_name = "N", default_value_t = 2048)]
    bits: u64,

    /// How much longer the control works where it found no key, in nanoseconds
    #[arg(long, value_name = "N", default_value_t = 1000)]
    leak_ns: u64,

    /// Only this library, or `control`
    #[arg(long, value_name = "LIBRARY")]
    only: Option<String>,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let mut command = Command::new(process::cargo());
    command.args(["run", "--release", "--package", crate::layers::plan::CONFORMANCE, "--example", "unwrap_timing"]);
    command.args(["--", "--rounds", &args.rounds.to_string(), "--bits", &args.bits.to_string()]);
    command.args(["--leak-ns", &args.leak_ns.to_string()]);
    command.args(args.only.iter().flat_map(|only| ["--only", only]));
    process::run(command.current_dir(workspace.root()))
}
