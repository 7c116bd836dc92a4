//! Which bench programs there are and which operations each measures, from the programs themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use cargo_metadata::TargetKind;

use crate::layers::plan;
use crate::process;
use crate::workspace::Workspace;

/// Bench programs that measure memory: no criterion in them, and no times.
const MEMORY: &str = "memory";

/// Bench programs that count instructions under valgrind: no criterion in them, and no times.
pub const INSTRUCTION_COUNTS: &str = "instructions";

/// Bench programs that measure in turns and print ratios: no criterion in them, and no times.
const RATIOS: &str = "ratios";

/// The criterion programs of the benches package.
pub fn programs(workspace: &Workspace) -> Vec<String> {
    let benches = workspace.members().filter(|package| package.name.as_str() == plan::BENCHES);
    let targets = benches.flat_map(|package| &package.targets);
    let benches = targets.filter(|target| target.kind.contains(&TargetKind::Bench));
    let names = benches.map(|target| target.name.clone());
    names.filter(|name| ![INSTRUCTION_COUNTS, MEMORY, RATIOS].iter().any(|other| name.starts_with(other))).collect()
}

/// What the bench programs are built with: libraries that serve no slot, to be measured beside those that do.
pub const FEATURES: &str = "peers";

/// `cargo bench` on these programs.
pub fn cargo_bench<'a>(root: &Path, programs: impl IntoIterator<Item = &'a String>) -> Command {
    let mut command = Command::new(process::cargo());
    command.args(["bench", "--package", plan::BENCHES, "--features", FEATURES]).current_dir(root);
    for program in programs {
        command.args(["--bench", program]);
    }
    command
}

/// Operation to the program that measures it. Asks the programs, which builds them.
pub fn operations(workspace: &Workspace, programs: &[String]) -> Result<BTreeMap<String, String>> {
    process::run(cargo_bench(workspace.root(), programs).arg("--no-run"))?;
    let mut operations = BTreeMap::new();
    for program in programs {
        let mut command = cargo_bench(workspace.root(), [program]);
        let listed = process::capture(command.args(["--quiet", "--", "--list"]))?;
        for operation in groups(&listed) {
            if let Some(other) = operations.insert(operation.clone(), program.clone()) {
                bail!("both {other} and {program} measure {operation}: one operation belongs in one file");
            }
        }
    }
    Ok(operations)
}

/// The groups in criterion's list, whose lines are `group/function/value: benchmark`.
fn groups(listed: &str) -> BTreeSet<String> {
    let ids = listed.lines().filter_map(|line| line.strip_suffix(": benchmark"));
    ids.filter_map(|id| id.split('/').next()).map(str::to_owned).collect()
}

/// The operations that `names` ask for: each an operation or a bench program.
pub fn select(operations: &BTreeMap<String, String>, names: &[String]) -> Result<BTreeMap<String, String>> {
    let mut selected = BTreeMap::new();
    for name in names {
        let mut named =
            operations.iter().filter(|(operation, program)| *operation == name || *program == name).peekable();
        if named.peek().is_none() {
            let known: Vec<&str> = operations.keys().map(String::as_str).collect();
            bail!("no operation {name}\nhint: there are {}", known.join(", "));
        }
        selected.extend(named.map(|(operation, program)| (operation.clone(), program.clone())));
    }
    Ok(selected)
}

/// Criterion's filter for these operations and no others.
pub fn filter<'a>(operations: impl Iterator<Item = &'a String>) -> String {
    let escaped: Vec<String> = operations.map(|operation| escape(operation)).collect();
    format!("^({})/", escaped.join("|"))
}

fn escape(literal: &str) -> String {
    literal
        .chars()
        .flat_map(|c| (!c.is_alphanumeric() && !"-_ ".contains(c)).then_some('\\').into_iter().chain([c]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> BTreeMap<String, String> {
        let pairs = [("base64-decode", "base64"), ("base64-encode", "base64"), ("open", "open")];
        pairs.map(|(operation, program)| (operation.to_owned(), program.to_owned())).into()
    }

    fn selected(names: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        select(&known(), &names).unwrap().into_keys().collect()
    }

    #[test]
    fn a_name_is_an_operation_or_a_program() {
        assert_eq!(selected(&["open"]), ["open"]);
        assert_eq!(selected(&["base64"]), ["base64-decode", "base64-encode"]);
        assert_eq!(selected(&["base64-encode", "base64-decode", "base64"]), ["base64-decode", "base64-encode"]);
        let error = select(&known(), &["opne".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "no operation opne\nhint: there are base64-decode, base64-encode, open");
    }

    #[test]
    fn groups_are_read_from_the_list() {
        let listed =
            "open/ring/4096: benchmark\nopen/floor: ring bare/4096: benchmark\nagree/ring: benchmark\n\n3 tests";
        assert_eq!(groups(listed), ["agree".to_owned(), "open".to_owned()].into());
    }

    #[test]
    fn a_filter_takes_no_operation_that_only_begins_alike() {
        assert_eq!(filter(["open".to_owned(), "seal+sign".to_owned()].iter()), r"^(open|seal\+sign)/");
    }
}
