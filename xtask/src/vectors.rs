//! `cargo xtask vectors`: the vector files are the ones that were reviewed, to the byte.
//!
//! A conversion of line ends, a half-done merge or a quiet edit would change what the suite proves. What each file holds
//! and expects is the suite's own check.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::checksum;
use crate::layers::plan;
use crate::workspace::Workspace;

/// Check the vector files of the conformance suite against their list of checksums
///
/// The list is crates/studioml-envelope-conformance/vectors.sha256; `sha256sum -c`
/// reads it too. A file that it does not name fails as well.
///
/// Examples:
///   cargo xtask vectors
///   cargo xtask vectors --write
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Write the list anew, after adding or changing vectors on purpose
    #[arg(long)]
    write: bool,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let room = plan::room_of(plan::CONFORMANCE).context("the plan has no conformance suite")?;
    let base = workspace.root().join(room.folder);
    let list: PathBuf = base.join("vectors.sha256");
    let found = checksum::of_tree(&base.join("vectors"), &base)?;
    if found.is_empty() {
        bail!("{} holds no vectors", base.join("vectors").display());
    }
    if args.write {
        std::fs::write(&list, checksum::written(&found)).with_context(|| list.display().to_string())?;
        println!("{}: {} files", list.display(), found.len());
        return Ok(());
    }
    let text = std::fs::read_to_string(&list)
        .with_context(|| format!("{}\nhint: cargo xtask vectors --write makes it", list.display()))?;
    let listed = checksum::read(&text).with_context(|| list.display().to_string())?;
    let differences = differences(&listed, &found);
    if !differences.is_empty() {
        let shown = differences.join("\n  ");
        bail!(
            "the vectors are not those of vectors.sha256:\n  {shown}\nhint: cargo xtask vectors --write, if that is meant"
        );
    }
    println!("vectors: {} files as listed", found.len());
    Ok(())
}

fn differences(listed: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let mut differences = Vec::new();
    for (path, digest) in listed {
        match found.get(path) {
            None => differences.push(format!("{path}: listed and not there")),
            Some(other) if other != digest => differences.push(format!("{path}: changed")),
            Some(_) => {}
        }
    }
    let new = found.keys().filter(|path| !listed.contains_key(*path));
    differences.extend(new.map(|path| format!("{path}: there and not listed")));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(path, digest)| ((*path).to_owned(), (*digest).to_owned())).collect()
    }

    #[test]
    fn every_difference_is_named() {
        let listed = list(&[("vectors/a", "1"), ("vectors/b", "2"), ("vectors/c", "3")]);
        assert!(differences(&listed, &listed).is_empty());
        let found = list(&[("vectors/b", "2"), ("vectors/c", "4"), ("vectors/d", "5")]);
        assert_eq!(
            differences(&listed, &found),
            ["vectors/a: listed and not there", "vectors/c: changed", "vectors/d: there and not listed"]
        );
    }
}
