//! `cargo xtask semver`: does the public API still serve those who depend on what was there before?

use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::tool::{self, Tool};
use crate::workspace::Workspace;

/// Compare the public API of every library crate with that of an earlier revision
///
/// Without --baseline the revision is the one that `[workspace.metadata.semver] baseline` in the
/// root Cargo.toml names: the tag of the last release, once there is one.
///
/// Examples:
///   cargo xtask semver
///   cargo xtask semver --baseline v0.1.0
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A tag, branch or commit
    #[arg(long, value_name = "REVISION")]
    baseline: Option<String>,

    /// Only these packages
    #[arg(value_name = "PACKAGE")]
    packages: Vec<String>,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let baseline = match &args.baseline {
        Some(revision) => revision.clone(),
        None => stated(workspace.stated("semver"))?,
    };
    let mut git = Command::new("git");
    git.args(["rev-parse", "--verify", "--quiet", &format!("{baseline}^{{commit}}")]).current_dir(workspace.root());
    let commit = process::capture(&mut git).with_context(|| {
        format!("no revision {baseline} in this checkout\nhint: git fetch --tags, or another --baseline")
    })?;

    let mut command = tool::command(Tool::SemverChecks, workspace)?;
    command.args(["--baseline-rev", commit.trim()]);
    for package in chosen(args, workspace) {
        command.args(["--package", &package]);
    }
    process::run(command.current_dir(workspace.root()))
}

fn stated(metadata: Option<&serde_json::Value>) -> Result<String> {
    let revision = metadata.and_then(|table| table.get("baseline")).and_then(serde_json::Value::as_str);
    Ok(revision.context("Cargo.toml has no [workspace.metadata.semver] baseline")?.to_owned())
}

/// The library crates that others may depend on: what is never published promises nobody anything.
fn chosen(args: &Args, workspace: &Workspace) -> Vec<String> {
    if !args.packages.is_empty() {
        return args.packages.clone();
    }
    let published = workspace.members().filter(|package| package.publish.as_ref().is_none_or(|to| !to.is_empty()));
    let libraries = published.filter(|package| package.targets.iter().any(cargo_metadata::Target::is_lib));
    libraries.map(|package| package.name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_is_stated_or_said_to_be_missing() {
        let table = serde_json::json!({"baseline": "v0.1.0"});
        assert_eq!(stated(Some(&table)).unwrap(), "v0.1.0");
        for table in [None, Some(&serde_json::json!({})), Some(&serde_json::json!({"baseline": 1}))] {
            assert!(stated(table).is_err());
        }
    }
}
