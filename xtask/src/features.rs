//! `cargo xtask features`: the facade with each of its features alone, as downstream crates may choose them.
//!
//! The manifest decides: a feature that brings a library's adapter makes a provider and must work by itself; any other
//! feature adds to a provider and must build beside each of them.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::layers::plan;
use crate::process;
use crate::workspace::Workspace;

/// Lint and test the facade with each of its features alone, and lint the sensible pairs
///
/// Examples:
///   cargo xtask features
///   cargo xtask features --list
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Print the feature sets and what is run on each
    #[arg(long)]
    list: bool,

    /// Lint only
    #[arg(long)]
    no_test: bool,
}

/// One choice of features.
#[derive(Debug, PartialEq, Eq)]
struct FeatureSet {
    features: Vec<String>,
    /// Run its tests and doctests too.
    test: bool,
}

/// Runs every set, then fails if one failed.
pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let facade = workspace.members().find(|package| package.name.as_str() == plan::FACADE);
    let facade = facade.with_context(|| format!("no package {} in the workspace", plan::FACADE))?;
    let mut failures = Vec::new();
    for set in feature_sets(&facade.features) {
        let features = set.features.join(",");
        let test = set.test && !args.no_test;
        if args.list {
            println!("{features:<24} {}", if test { "lint, test" } else { "lint" });
            continue;
        }
        let linted =
            process::run(cargo_on_facade(workspace, "clippy", &features).args(["--lib", "--", "-D", "warnings"]));
        let tested = if test { process::run(&mut cargo_on_facade(workspace, "test", &features)) } else { Ok(()) };
        failures.extend(linted.and(tested).err().map(|error| format!("{features}: {error:#}")));
    }
    if !failures.is_empty() {
        bail!("the facade does not hold with every feature alone:\n  {}", failures.join("\n  "));
    }
    Ok(())
}

fn cargo_on_facade(workspace: &Workspace, verb: &str, features: &str) -> Command {
    let mut command = Command::new(process::cargo());
    command.args([verb, "--quiet", "--package", plan::FACADE, "--no-default-features", "--features", features]);
    command.current_dir(workspace.root());
    command
}

/// Each feature alone; then each that makes no provider beside each that does. Optional dependencies that are no named
/// feature do not occur here: the manifest switches them on with `dep:`.
fn feature_sets(features: &BTreeMap<String, Vec<String>>) -> Vec<FeatureSet> {
    let named: Vec<(&String, bool)> = features
        .iter()
        .filter(|(name, _)| *name != "default")
        .map(|(name, switches)| (name, makes_provider(switches)))
        .collect();
    let (providers, additions): (Vec<_>, Vec<_>) = named.into_iter().partition(|(_, makes_provider)| *makes_provider);

    let alone = |(name, test): &(&String, bool)| FeatureSet { features: vec![(*name).clone()], test: *test };
    let mut sets: Vec<FeatureSet> = providers.iter().chain(&additions).map(alone).collect();
    let default = features.get("default").map(Vec::as_slice).unwrap_or_default();
    for (addition, _) in &additions {
        for (provider, _) in &providers {
            let test = default.contains(provider);
            sets.push(FeatureSet { features: vec![(*provider).clone(), (*addition).clone()], test });
        }
    }
    sets
}

fn makes_provider(switches: &[String]) -> bool {
    let adapters = [plan::AWS_LC_RS, plan::RUSTCRYPTO, plan::RING];
    switches.iter().any(|switch| switch.strip_prefix("dep:").is_some_and(|package| adapters.contains(&package)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(features: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        features.iter().map(|(name, switches)| ((*name).to_owned(), owned(switches))).collect()
    }

    #[test]
    fn providers_are_tested_alone_and_additions_beside_each() {
        let sets = feature_sets(&manifest(&[
            ("default", &["aws-lc-rs"]),
            ("aws-lc-rs", &["dep:studioml-envelope-aws-lc-rs"]),
            ("ring", &["dep:studioml-envelope-ring", "dep:studioml-envelope-rustcrypto"]),
            ("simd", &["dep:studioml-envelope-simd"]),
        ]));
        let shown: Vec<(String, bool)> = sets.into_iter().map(|set| (set.features.join("+"), set.test)).collect();
        let expected =
            [("aws-lc-rs", true), ("ring", true), ("simd", false), ("aws-lc-rs+simd", true), ("ring+simd", false)];
        assert_eq!(shown, expected.map(|(name, test)| (name.to_owned(), test)));
    }
}
