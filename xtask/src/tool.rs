//! `cargo xtask tool`: cargo's add-ons in the versions this project pins, kept in the target folder.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Run a cargo add-on in the version this project pins, installing it into target/tools first where it is missing.
///
/// Examples:
///   cargo xtask tool deny check bans licenses sources
///   cargo xtask tool deny check advisories
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Which add-on
    tool: Tool,

    /// What it is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// The add-ons in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tool {
    /// Licences, bans, sources and advisories of dependencies
    Deny,
}

impl Tool {
    fn package(self) -> &'static str {
        match self {
            Self::Deny => "cargo-deny",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Deny => "0.20.2",
        }
    }
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let mut command = command(args.tool, workspace)?;
    process::run(command.args(&args.args).current_dir(workspace.root()))
}

/// The add-on's program, told which subcommand it is, as cargo does.
pub fn command(tool: Tool, workspace: &Workspace) -> Result<Command> {
    let program = program(tool, workspace)?;
    let mut command = Command::new(program);
    command.args(tool.package().strip_prefix("cargo-"));
    // An add-on that starts cargo again must find the toolchain this program runs under.
    command.env("CARGO", process::cargo());
    Ok(command)
}

/// The add-on where it stands: on the path in the pinned version, or in the target folder.
fn program(tool: Tool, workspace: &Workspace) -> Result<PathBuf> {
    let on_path = PathBuf::from(tool.package());
    let kept = workspace.target().join("tools");
    let installed = kept.join("bin").join(tool.package());
    for candidate in [&installed, &on_path] {
        if is_pinned(tool, candidate) {
            return Ok(candidate.clone());
        }
    }
    install(tool, &kept)?;
    if !is_pinned(tool, &installed) {
        bail!("{} was installed and does not report version {}", installed.display(), tool.version());
    }
    Ok(installed)
}

fn is_pinned(tool: Tool, program: &PathBuf) -> bool {
    let said = process::capture(Command::new(program).arg("--version")).unwrap_or_default();
    said.split_whitespace().any(|word| word == tool.version())
}

fn install(tool: Tool, kept: &PathBuf) -> Result<()> {
    let build = kept.join("build");
    let mut command = Command::new(process::cargo());
    // Unoptimised: these read a few megabytes once, and their compile time is what a fresh machine waits for.
    command.args(["install", "--quiet", "--locked", "--debug", tool.package(), "--version", tool.version()]);
    command.arg("--root").arg(kept).arg("--target-dir").arg(&build);
    command.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_INCREMENTAL", "0");
    process::run(&mut command)?;
    std::fs::remove_dir_all(&build)?;
    Ok(())
}
