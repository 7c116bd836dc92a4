//! `cargo xtask layers`: does the tree follow the plan of the house?
//!
//! Reads `cargo metadata`, the manifests and the sources; imports nothing of the workspace, so that it reports on a tree
//! that does not compile.

mod audits;
mod imports;
mod manifests;
pub mod plan;
mod sources;

use std::fmt;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// Check that the tree follows the plan: who imports whom, names, manifests, audits, unsafe code.
///
/// Example: cargo xtask layers
#[derive(clap::Args)]
pub struct Args {}

/// One departure from the plan: where, and what.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    place: String,
    what: String,
}

impl Violation {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Runs every rule, prints all violations, and fails if there is one.
pub fn run(_args: &Args, workspace: &Workspace) -> Result<()> {
    let mut violations = imports::check(workspace);
    violations.extend(manifests::check(workspace)?);
    violations.extend(audits::check(workspace)?);
    let sources = sources::check(workspace)?;
    violations.extend(sources.violations);

    for violation in &violations {
        eprintln!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} departure(s) from the plan of the house", violations.len());
    }
    println!("layers: {} members follow the plan", workspace.members().count());
    println!("unsafe in {}: {}", plan::UNSAFE_ROOM, sources.kernels);
    println!("unsafe in tests, benches and fuzz targets: {}", sources.elsewhere);
    Ok(())
}
