//! `cargo xtask tool`: cargo's add-ons in the versions this project pins, kept in the target folder.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Run a cargo add-on in the version this project pins, installing it into target/tools first where it is missing
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
    /// Builds of the fuzz targets
    Fuzz,
    /// Builds that carry their dependency list
    Auditable,
    /// The bill of materials
    Sbom,
    /// What `cargo xtask bench --instructions` runs the benches under; the version of the library in Cargo.toml
    Gungraun,
    /// Small changes that a test must notice
    Mutants,
    /// The public API beside an earlier one
    SemverChecks,
}

impl Tool {
    fn package(self) -> &'static str {
        match self {
            Self::Deny => "cargo-deny",
            Self::Fuzz => "cargo-fuzz",
            Self::Auditable => "cargo-auditable",
            Self::Sbom => "cargo-sbom",
            Self::Gungraun => "gungraun-runner",
            Self::Mutants => "cargo-mutants",
            Self::SemverChecks => "cargo-semver-checks",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Deny => "0.20.2",
            Self::Fuzz => "0.13.2",
            Self::Auditable => "0.7.7",
            Self::Sbom => "0.10.0",
            Self::Gungraun => "0.20.0",
            Self::Mutants => "27.1.0",
            Self::SemverChecks => "0.51.0",
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

/// The add-on in the target folder, installed there in the pinned version if it is not.
pub fn program(tool: Tool, workspace: &Workspace) -> Result<PathBuf> {
    let kept = workspace.target().join("tools");
    let installed = kept.join("bin").join(tool.package());
    if !is_pinned(tool, &kept) || !installed.is_file() {
        install(tool, &kept)?;
    }
    Ok(installed)
}

/// Cargo's own record of what it installed there; not every add-on tells its version.
fn is_pinned(tool: Tool, kept: &Path) -> bool {
    let record = std::fs::read_to_string(kept.join(".crates.toml")).unwrap_or_default();
    record.contains(&format!("\"{} {} (", tool.package(), tool.version()))
}

fn install(tool: Tool, kept: &Path) -> Result<()> {
    let build = kept.join("build");
    let mut command = Command::new(process::cargo());
    // Unoptimised: these read a few megabytes once, and their compile time is what a fresh machine waits for.
    command.args(["install", "--locked", "--debug", tool.package(), "--version", tool.version()]);
    command.arg("--root").arg(kept).arg("--target-dir").arg(&build);
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    command.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_INCREMENTAL", "0");
    process::run(&mut command)?;
    std::fs::remove_dir_all(&build)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_version_is_taken() {
        let kept = tempfile::tempdir().unwrap();
        let record =
            |version| format!("[v1]\n\"cargo-deny {version} (registry+https://example.org)\" = [\"cargo-deny\"]\n");
        assert!(!is_pinned(Tool::Deny, kept.path()));
        std::fs::write(kept.path().join(".crates.toml"), record("0.20.1")).unwrap();
        assert!(!is_pinned(Tool::Deny, kept.path()));
        std::fs::write(kept.path().join(".crates.toml"), record(Tool::Deny.version())).unwrap();
        assert!(is_pinned(Tool::Deny, kept.path()));
        assert!(!is_pinned(Tool::Fuzz, kept.path()));
    }
}
