//! `cargo xtask msrv`: the stated oldest toolchain is one that was tried.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Check the workspace with the oldest Rust it promises to build with.
///
/// Every member states the same `rust-version`, no newer than the running toolchain. Where rustup has that very
/// version beside a newer running one, the workspace is checked with it.
///
/// Example: cargo xtask msrv
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, workspace: &Workspace) -> Result<()> {
    let stated = stated(workspace)?;
    let rustc = process::capture(Command::new("rustc").arg("--version"))?;
    let running = rustc.split_whitespace().nth(1).context("rustc names no version")?;
    match compare(&stated, running)? {
        Standing::Newer => bail!("rust-version {stated} is newer than the running {running}: nobody has tried it"),
        Standing::Same => println!("msrv: {stated} is the running toolchain, so every other check has tried it"),
        Standing::Older => match installed(&stated) {
            Some(toolchain) => check_with(&toolchain, workspace)?,
            None => println!("msrv: {stated} is older than the running {running} and rustup has no {stated} to try"),
        },
    }
    Ok(())
}

/// The one `rust-version` of all members.
fn stated(workspace: &Workspace) -> Result<String> {
    let mut stated: Option<String> = None;
    for package in workspace.members() {
        let version =
            package.rust_version.as_ref().with_context(|| format!("{} states no rust-version", package.name))?;
        let version = version.to_string();
        match &stated {
            Some(other) if *other != version => bail!("{} states rust-version {version}, others {other}", package.name),
            _ => stated = Some(version),
        }
    }
    stated.context("the workspace has no members")
}

fn check_with(toolchain: &str, workspace: &Workspace) -> Result<()> {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo", "check", "--quiet", "--locked", "--workspace", "--all-features"]);
    // Set by the cargo that runs this program, and would send the older one to the newer compiler.
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    process::run(command.current_dir(workspace.root()))
}

/// The name of an installed toolchain of that version.
fn installed(version: &str) -> Option<String> {
    let list = process::capture(Command::new("rustup").args(["toolchain", "list"])).ok()?;
    matching(&list, version)
}

fn matching(list: &str, version: &str) -> Option<String> {
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names
        .map(str::to_owned)
        .find(|name| name.split('-').next().is_some_and(|is| compare(version, is).is_ok_and(|s| s == Standing::Same)))
}

/// The stated version beside another.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Older,
    Same,
    Newer,
}

/// Versions of two or three numbers; one that leaves the patch number out means `.0`.
fn compare(stated: &str, other: &str) -> Result<Standing> {
    let (stated, other) = (numbers(stated)?, numbers(other)?);
    Ok(match stated.cmp(&other) {
        std::cmp::Ordering::Less => Standing::Older,
        std::cmp::Ordering::Equal => Standing::Same,
        std::cmp::Ordering::Greater => Standing::Newer,
    })
}

fn numbers(version: &str) -> Result<[u64; 3]> {
    let release = version.split('-').next().unwrap_or(version);
    let mut numbers = [0; 3];
    let parts = release.split('.');
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = part.parse().with_context(|| format!("{version} is no version"))?;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(compare("1.95", "1.95.0").unwrap(), Standing::Same);
        assert_eq!(compare("1.95.0", "1.100.0").unwrap(), Standing::Older);
        assert_eq!(compare("1.96", "1.95.3-nightly").unwrap(), Standing::Newer);
        assert!(compare("1.95", "stable").is_err());
    }

    #[test]
    fn an_installed_toolchain_is_found_by_version_only() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-x86_64-unknown-linux-gnu\n1.95.0-x86_64-unknown-linux-gnu\n";
        assert_eq!(matching(list, "1.95").as_deref(), Some("1.95.0-x86_64-unknown-linux-gnu"));
        assert_eq!(matching(list, "1.94"), None);
    }
}
