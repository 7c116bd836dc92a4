//! What docs/audits.md must say: each crypto crate that this project names in its manifest has an entry, and each entry is
//! of the version in Cargo.lock. An audit of another version is not one of this.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, Item};

use super::Violation;
use crate::workspace::Workspace;

const PAGE: &str = "docs/audits.md";

pub fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let root = workspace.root();
    let direct = dependencies(&read(&root.join("Cargo.toml"))?);
    let watched = watched(&read(&root.join("deny.toml"))?);
    let locked = locked(&read(&root.join("Cargo.lock"))?);
    let path = root.join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(compare(&audited(&page), &direct, &watched, &locked))
}

fn read(path: &Path) -> Result<DocumentMut> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}

fn dependencies(manifest: &DocumentMut) -> BTreeSet<String> {
    let table = manifest.get("workspace").and_then(|table| table.get("dependencies")).and_then(Item::as_table_like);
    table.into_iter().flat_map(|table| table.iter()).map(|(name, _)| name.to_owned()).collect()
}

/// The crates of which `deny.toml` allows one version only: those that handle keys, secrets and their formats.
fn watched(bans: &DocumentMut) -> BTreeSet<String> {
    let entries = bans.get("bans").and_then(|bans| bans.get("deny")).and_then(Item::as_array);
    let entries = entries.into_iter().flatten().filter_map(toml_edit::Value::as_inline_table);
    let single = entries.filter(|entry| entry.contains_key("deny-multiple-versions"));
    single.filter_map(|entry| entry.get("crate")?.as_str().map(str::to_owned)).collect()
}

fn locked(lock: &DocumentMut) -> BTreeMap<String, BTreeSet<String>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock.get("package").and_then(Item::as_array_of_tables).into_iter().flatten() {
        let word = |key| package.get(key).and_then(Item::as_str).map(str::to_owned);
        if let (Some(name), Some(version)) = (word("name"), word("version")) {
            versions.entry(name).or_default().insert(version);
        }
    }
    versions
}

/// The crates and versions of the table's first column: `| one 1.2.3, another 0.4.5 | …`.
fn audited(page: &str) -> BTreeMap<String, String> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let entries = cells.flat_map(|cell| cell.split(", "));
    let pairs = entries.filter_map(|entry| entry.split_once(' '));
    let versioned = pairs.filter(|(_, version)| version.starts_with(|first: char| first.is_ascii_digit()));
    versioned.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
}

fn compare(
    audited: &BTreeMap<String, String>,
    direct: &BTreeSet<String>,
    watched: &BTreeSet<String>,
    locked: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<Violation> {
    let missing = direct.intersection(watched).filter(|name| !audited.contains_key(*name));
    let missing = missing.map(|name| Violation::new(PAGE, format!("says nothing of {name}")));
    let other = audited.iter().filter(|(name, version)| !locked.get(*name).is_some_and(|at| at.contains(*version)));
    let other = other.map(|(name, version)| {
        let held = locked.get(name).map(|at| at.iter().cloned().collect::<Vec<_>>().join(" and "));
        let held = held.unwrap_or_else(|| "none".to_owned());
        Violation::new(PAGE, format!("is of {name} {version}, and Cargo.lock has {held}"))
    });
    missing.chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_of_the_version_that_is_locked() {
        let lock = "[[package]]\nname = \"rsa\"\nversion = \"0.10.0-rc.20\"\n\
            [[package]]\nname = \"p256\"\nversion = \"0.13.2\"\n[[package]]\nname = \"p256\"\nversion = \"0.14.0\"\n";
        let manifest =
            "[workspace.dependencies]\nrsa = \"=0.10.0-rc.20\"\nring = { version = \"0.17\" }\nserde = \"1\"\n";
        let bans = "[bans]\ndeny = [{ crate = \"rsa\", deny-multiple-versions = true },\n\
            { crate = \"ring\", deny-multiple-versions = true }, { crate = \"serde\" }]\n";
        let page = "| crate | for |\n|---|---|\n| rsa 0.10.0-rc.19, p256 0.14.0 | OAEP 1.2 |\n| des 0.9.0 | keys |\n";
        let violations = compare(
            &audited(page),
            &dependencies(&manifest.parse().unwrap()),
            &watched(&bans.parse().unwrap()),
            &locked(&lock.parse().unwrap()),
        );
        let messages: Vec<String> = violations.iter().map(ToString::to_string).collect();
        let expected = [
            "docs/audits.md: says nothing of ring",
            "docs/audits.md: is of des 0.9.0, and Cargo.lock has none",
            "docs/audits.md: is of rsa 0.10.0-rc.19, and Cargo.lock has 0.10.0-rc.20",
        ];
        assert_eq!(messages, expected);
    }
}
