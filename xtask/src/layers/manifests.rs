//! What the manifests must say: a comment for each member, versions and lints from the workspace.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, Item, TableLike};

use super::Violation;
use crate::workspace::Workspace;

const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let root = read(&workspace.root().join("Cargo.toml"))?;
    let mut violations = check_root(&root);
    let imports = workspace.members().flat_map(|package| &package.dependencies);
    let used = imports.map(|import| import.rename.as_deref().unwrap_or(&import.name)).collect();
    violations.extend(check_used(&root, &used));
    for package in workspace.members() {
        violations.extend(check_member(&package.name, &read(package.manifest_path.as_std_path())?));
    }
    Ok(violations)
}

fn read(path: &Path) -> Result<DocumentMut> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    text.parse().with_context(|| format!("{}", path.display()))
}

fn check_root(manifest: &DocumentMut) -> Vec<Violation> {
    let mut violations = Vec::new();
    let workspace = manifest.get("workspace").and_then(Item::as_table_like);
    let list = |key| workspace.and_then(|table| table.get(key)).and_then(Item::as_array);
    for member in list("members").into_iter().flatten() {
        let before = member.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        let comments = before.lines().filter(|line| line.trim_start().starts_with('#')).count();
        if comments != 1 {
            let name = member.as_str().unwrap_or("a member");
            let what = format!("{name} has {comments} comment lines above it, one must say what it is");
            violations.push(Violation::new("Cargo.toml", what));
        }
    }
    // Fuzzing needs a nightly toolchain and a lock file that nobody else should pay for.
    if !list("exclude").into_iter().flatten().any(|entry| entry.as_str() == Some("fuzz")) {
        violations.push(Violation::new("Cargo.toml", "fuzz is not excluded from the workspace"));
    }
    violations
}

/// What nobody imports any more is a version to keep for nothing. Members may be listed for those outside.
fn check_used(manifest: &DocumentMut, used: &BTreeSet<&str>) -> Vec<Violation> {
    let declared = manifest.get("workspace").and_then(Item::as_table_like);
    let declared = declared.and_then(|table| table.get("dependencies")).and_then(Item::as_table_like);
    let entries = declared.into_iter().flat_map(|entries| entries.iter());
    let is_member = |entry: &Item| entry.as_table_like().is_some_and(|table| table.contains_key("path"));
    entries
        .filter(|(name, entry)| !is_member(entry) && !used.contains(name))
        .map(|(name, _)| {
            Violation::new("Cargo.toml", format!("[workspace.dependencies] {name} is imported by no member"))
        })
        .collect()
}

fn check_member(package: &str, manifest: &DocumentMut) -> Vec<Violation> {
    let mut violations = Vec::new();
    check_dependencies(package, manifest.as_table(), &mut violations);
    let targets = manifest.get("target").and_then(Item::as_table_like);
    for (_, target) in targets.into_iter().flat_map(|targets| targets.iter()) {
        if let Some(target) = target.as_table_like() {
            check_dependencies(package, target, &mut violations);
        }
    }
    if !from_workspace(manifest.get("lints")) {
        violations.push(Violation::new(package, "does not take the workspace's lints"));
    }
    violations
}

fn check_dependencies(package: &str, manifest: &dyn TableLike, violations: &mut Vec<Violation>) {
    for table in DEPENDENCY_TABLES {
        let entries = manifest.get(table).and_then(Item::as_table_like);
        for (name, entry) in entries.into_iter().flat_map(|entries| entries.iter()) {
            // a member that depends on this one can be tested with, by path alone: so it is left out of what is published
            let by_path = table == "dev-dependencies" && entry.get("path").is_some() && entry.get("version").is_none();
            if !from_workspace(Some(entry)) && !by_path {
                let what = format!("[{table}] {name} is not declared through [workspace.dependencies]");
                violations.push(Violation::new(package, what));
            }
        }
    }
}

fn from_workspace(entry: Option<&Item>) -> bool {
    let table = entry.and_then(Item::as_table_like);
    table.and_then(|table| table.get("workspace")).and_then(Item::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Vec<String> {
        check_root(&text.parse().unwrap()).iter().map(ToString::to_string).collect()
    }

    fn member(text: &str) -> Vec<String> {
        check_member("part", &text.parse().unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_member_needs_its_one_line() {
        let manifest = "[workspace]\nmembers = [\n  # one\n  \"a\",\n  \"b\",\n  # two\n  # three\n  \"c\",\n]\nexclude = [\"fuzz\"]";
        assert_eq!(
            root(manifest),
            [
                "Cargo.toml: b has 0 comment lines above it, one must say what it is",
                "Cargo.toml: c has 2 comment lines above it, one must say what it is",
            ]
        );
    }

    #[test]
    fn the_fuzz_workspace_stays_outside() {
        let manifest = "[workspace]\nmembers = [\n  # one\n  \"a\",\n]\nexclude = [\"deploy\"]";
        assert_eq!(root(manifest), ["Cargo.toml: fuzz is not excluded from the workspace"]);
    }

    #[test]
    fn what_is_declared_is_imported() {
        let manifest = "[workspace.dependencies]\na = \"1\"\nb = { version = \"1\" }\nmember = { path = \"member\" }";
        let violations = check_used(&manifest.parse().unwrap(), &["a"].into());
        let messages: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(messages, ["Cargo.toml: [workspace.dependencies] b is imported by no member"]);
    }

    #[test]
    fn versions_come_from_the_workspace_in_every_table() {
        let manifest = "[lints]\nworkspace = true\n[dependencies]\na = { workspace = true }\nb = \"1\"\n\
                        [dev-dependencies]\nc = { version = \"1\" }\nd.workspace = true\nf = { path = \"f\" }\n\
                        [target.'cfg(unix)'.dependencies]\ne = { path = \"e\" }";
        assert_eq!(
            member(manifest),
            [
                "part: [dependencies] b is not declared through [workspace.dependencies]",
                "part: [dev-dependencies] c is not declared through [workspace.dependencies]",
                "part: [dependencies] e is not declared through [workspace.dependencies]",
            ]
        );
    }

    #[test]
    fn lints_come_from_the_workspace() {
        assert_eq!(member("[lints.rust]\nmissing_docs = \"allow\""), ["part: does not take the workspace's lints"]);
    }
}
