//! `cargo xtask ctgrind`: no branch and no address depends on a secret, as far as Valgrind sees.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Run SecretBox, key selection and range checks under Valgrind with secrets marked as undefined
///
/// Fails if a branch or an address depends on a secret beyond the one branch that each
/// verdict on secrets ends in. Needs Valgrind and its headers.
///
/// Examples:
///   cargo xtask ctgrind
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

/// A member of the fuzz workspace.
const PACKAGE: &str = "studioml-envelope-ctgrind";
const PROFILE: &str = "as-shipped";

pub fn run(_: &Args, workspace: &Workspace) -> Result<()> {
    let fuzz = workspace.root().join("fuzz");
    let target = workspace.target().join("fuzz");
    let mut build = Command::new(process::cargo());
    // compiled as it is handed out: what the compiler makes of a selection is what counts
    build.args(["build", "--locked", "--package", PACKAGE, "--profile", PROFILE]);
    process::run(build.arg("--target-dir").arg(&target).current_dir(&fuzz))?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=memcheck", "--error-limit=no", "--track-origins=no"]);
    valgrind.arg(target.join(PROFILE).join(PACKAGE));
    process::run(&mut valgrind)
        .context("a branch or an address depends on a secret, or Valgrind is missing\nhint: apt-get install valgrind")
}
