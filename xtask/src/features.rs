//! `cargo xtask features`: the facade with each of its features alone, as downstream crates may choose them.
//!
//! The manifest decides: a feature that brings a library's adapter makes a provider and must work by itself; any other
//! feature adds to a provider, must build beside each of them, and is refused without one.

use std::collections::BTreeMap;
use std::fmt;
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

    /// Run no tests
    #[arg(long)]
    no_test: bool,
}

/// One choice of features, and what must come of it.
#[derive(Debug, PartialEq, Eq)]
struct FeatureSet {
    features: Vec<String>,
    must: Must,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Must {
    PassLintsAndTests,
    PassLints,
    /// No library, no provider: the facade says so when it is compiled.
    BeRefused,
}

/// What the facade says to somebody who chose no library.
const REFUSAL: &str = "needs a crypto library";

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PassLintsAndTests => "lint, test",
            Self::PassLints => "lint",
            Self::BeRefused => "is refused",
        })
    }
}

/// Runs every set, then fails if one failed.
pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let facade = workspace.members().find(|package| package.name.as_str() == plan::FACADE);
    let facade = facade.with_context(|| format!("no package {} in the workspace", plan::FACADE))?;
    let mut failures = Vec::new();
    for FeatureSet { features, must } in feature_sets(&facade.features) {
        let features = features.join(",");
        if args.list {
            println!("{:<24} {must}", if features.is_empty() { "none" } else { &features });
            continue;
        }
        let outcome = match must {
            Must::BeRefused => is_refused(workspace, &features),
            Must::PassLintsAndTests if !args.no_test => {
                lint(workspace, &features).and_then(|()| test(workspace, &features))
            }
            Must::PassLintsAndTests | Must::PassLints => lint(workspace, &features),
        };
        failures.extend(outcome.err().map(|error| format!("features {features:?}: {error:#}")));
    }
    if !failures.is_empty() {
        bail!("the facade does not hold with every feature alone:\n  {}", failures.join("\n  "));
    }
    Ok(())
}

fn lint(workspace: &Workspace, features: &str) -> Result<()> {
    process::run(cargo_on_facade(workspace, "clippy", features).args(["--lib", "--", "-D", "warnings"]))
}

fn test(workspace: &Workspace, features: &str) -> Result<()> {
    process::run(&mut cargo_on_facade(workspace, "test", features))
}

fn is_refused(workspace: &Workspace, features: &str) -> Result<()> {
    let mut command = cargo_on_facade(workspace, "check", features);
    match process::capture(command.arg("--lib")) {
        Ok(_) => bail!("compiles without a crypto library"),
        Err(error) if error.to_string().contains(REFUSAL) => Ok(()),
        Err(error) => Err(error.context("fails, but not by saying that a library is missing")),
    }
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
    let named = features.iter().filter(|(name, _)| *name != "default");
    let (providers, additions): (Vec<_>, Vec<_>) = named.partition(|(_, switches)| makes_provider(switches));
    let set =
        |names: &[&String], must| FeatureSet { features: names.iter().map(|name| (*name).clone()).collect(), must };

    let mut sets: Vec<FeatureSet> =
        providers.iter().map(|(provider, _)| set(&[provider], Must::PassLintsAndTests)).collect();
    sets.push(set(&[], Must::BeRefused));
    let default = features.get("default").map(Vec::as_slice).unwrap_or_default();
    for (addition, _) in &additions {
        sets.push(set(&[addition], Must::BeRefused));
        for (provider, _) in &providers {
            let must = if default.contains(provider) { Must::PassLintsAndTests } else { Must::PassLints };
            sets.push(set(&[provider, addition], must));
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
        let shown: Vec<String> = sets.iter().map(|set| format!("{}: {}", set.features.join("+"), set.must)).collect();
        let expected = [
            "aws-lc-rs: lint, test",
            "ring: lint, test",
            ": is refused",
            "simd: is refused",
            "aws-lc-rs+simd: lint, test",
            "ring+simd: lint",
        ];
        assert_eq!(shown, expected);
    }
}
