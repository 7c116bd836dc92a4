//! The head of a report: on what machine, of which commit, with which library versions.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use super::operations;
use super::report::Machine;
use crate::layers::plan;
use crate::process;
use crate::workspace::Workspace;

/// Instruction sets that the crypto libraries choose their code by, as Linux names them.
const CPU_FEATURES: &[&str] = &[
    "aes",
    "pclmulqdq",
    "ssse3",
    "sse4_1",
    "avx",
    "avx2",
    "bmi1",
    "bmi2",
    "adx",
    "sha_ni",
    "vaes",
    "vpclmulqdq",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512ifma",
    "avx512_vbmi",
    "asimd",
    "pmull",
    "sha1",
    "sha2",
    "sha3",
    "sha512",
];

/// Kinds of crates whose version a number depends on.
const CATEGORIES: &[&str] = &["cryptography", "encoding", "concurrency"];

pub fn describe(workspace: &Workspace) -> Result<Machine> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let metadata = resolved(workspace)?;
    Ok(Machine {
        cpu: field(&cpuinfo, "model name").unwrap_or(std::env::consts::ARCH).to_owned(),
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
        cpu_features: cpu_features(&cpuinfo),
        features: facade_features(&metadata),
        rustc: process::capture(Command::new("rustc").arg("--version"))?.trim().to_owned(),
        rustflags: std::env::var("RUSTFLAGS").unwrap_or_default(),
        commit: commit(workspace),
        command: typed(),
        date: process::capture(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]))?.trim().to_owned(),
        kernel: process::capture(Command::new("uname").args(["-sr"]))?.trim().to_owned(),
        load_before: load_average(&std::fs::read_to_string("/proc/loadavg").unwrap_or_default()),
        libraries: libraries(&metadata),
    })
}

/// The command as it was typed, as far as this program sees it.
fn typed() -> String {
    std::iter::once("cargo xtask".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ")
}

fn field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

fn cpu_features(cpuinfo: &str) -> Vec<String> {
    let flags = field(cpuinfo, "flags").or_else(|| field(cpuinfo, "Features")).unwrap_or_default();
    let flags: BTreeSet<&str> = flags.split_whitespace().collect();
    CPU_FEATURES.iter().filter(|feature| flags.contains(**feature)).map(|feature| (*feature).to_owned()).collect()
}

fn load_average(loadavg: &str) -> f64 {
    loadavg.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

fn commit(workspace: &Workspace) -> String {
    let git = |args: &[&str]| process::capture(Command::new("git").args(args).current_dir(workspace.root()));
    let Ok(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown: not a git checkout".to_owned();
    };
    let changed = git(&["status", "--porcelain"]).is_ok_and(|status| !status.trim().is_empty());
    format!("{}{}", commit.trim(), if changed { " with uncommitted changes" } else { "" })
}

/// With dependencies resolved for this machine, from the lock file as it is.
fn resolved(workspace: &Workspace) -> Result<Metadata> {
    let host = process::capture(Command::new("rustc").arg("-vV"))?;
    let host = field(&host, "host").context("rustc names no host")?.to_owned();
    let mut command = MetadataCommand::new();
    command.manifest_path(workspace.root().join("benches/Cargo.toml"));
    command.features(CargoOpt::SomeFeatures(vec![operations::FEATURES.to_owned()]));
    command.other_options(vec!["--filter-platform".to_owned(), host]);
    command.exec().context("cargo metadata")
}

fn facade_features(metadata: &Metadata) -> Vec<String> {
    let Some(resolve) = &metadata.resolve else { return Vec::new() };
    let facade = metadata.packages.iter().find(|package| package.name.as_str() == plan::FACADE);
    let node = facade.and_then(|facade| resolve.nodes.iter().find(|node| node.id == facade.id));
    node.map(|node| node.features.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

/// Crypto, encoding and threading libraries that the benches reach through workspace members, and the `-sys` crates
/// below them.
fn libraries(metadata: &Metadata) -> BTreeMap<String, String> {
    let packages: BTreeMap<&PackageId, &Package> =
        metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let members: BTreeSet<&PackageId> = metadata.workspace_members.iter().collect();
    let links = |id: &PackageId| -> Vec<&PackageId> {
        let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let of_benches = packages.get(id).is_some_and(|package| package.name.as_str() == plan::BENCHES);
        nodes
            .filter(|node| node.id == *id)
            .flat_map(|node| &node.deps)
            .filter(|dep| of_benches || dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
            .map(|dep| &dep.pkg)
            .collect()
    };

    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let benches =
        members.iter().copied().filter(|id| packages.get(id).is_some_and(|p| p.name.as_str() == plan::BENCHES));
    let mut waiting: Vec<&PackageId> = benches.collect();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(package) = packages.get(id) else { continue };
        if members.contains(id) {
            waiting.extend(links(id));
            continue;
        }
        if package.categories.iter().any(|category| CATEGORIES.contains(&category.as_str())) {
            found.insert(package.name.to_string(), package.version.to_string());
        }
        // A library that only binds another says little by its own version.
        waiting.extend(
            links(id)
                .into_iter()
                .filter(|below| packages.get(below).is_some_and(|p| p.links.is_some() && p.name.ends_with("-sys"))),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str = "processor\t: 0\nmodel name\t: A CPU @ 3 GHz\nflags\t\t: fpu sse4_1 avx2 avx512f\n\nprocessor\t: 1\nmodel name\t: Another\n";

    #[test]
    fn the_first_processor_speaks_for_all() {
        assert_eq!(field(CPUINFO, "model name"), Some("A CPU @ 3 GHz"));
        assert_eq!(cpu_features(CPUINFO), ["sse4_1", "avx2", "avx512f"]);
        assert_eq!(load_average("0.52 0.58 0.59 1/467 12345"), 0.52);
    }

    #[test]
    fn libraries_are_those_the_benches_stand_on() {
        let workspace = Workspace::load().unwrap();
        let machine = describe(&workspace).unwrap();
        assert!(machine.libraries.contains_key("base64"), "{:?}", machine.libraries);
        assert!(!machine.libraries.contains_key("clap"), "{:?}", machine.libraries);
        assert!(!machine.rustc.is_empty() && !machine.commit.is_empty());
    }
}
