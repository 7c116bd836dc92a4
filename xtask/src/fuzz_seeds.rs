//! `cargo xtask fuzz-seeds`: what fuzzing starts from, written the same every time.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Write the seed corpora and dictionaries of the fuzz targets anew
///
/// They are made of the conformance vectors and of messages sealed on the spot with a
/// random source that counts, so the same tree gives the same bytes.
///
/// Examples:
///   cargo xtask fuzz-seeds
///   cargo xtask fuzz-seeds --check
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Write nothing; fail if fuzz/seeds or fuzz/dictionaries would change
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let mut command = Command::new(process::cargo());
    command.args(["run", "--quiet", "--locked", "--example", "seeds"]);
    // a workspace of its own, which would otherwise leave a target folder inside fuzz/
    command.arg("--target-dir").arg(workspace.target().join("fuzz"));
    if args.check {
        command.args(["--", "--check"]);
    }
    process::run(command.current_dir(workspace.root().join("fuzz")))
}
