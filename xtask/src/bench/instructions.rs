//! Instruction counts, which another machine or a busy one counts the same: callgrind by way of gungraun.
//!
//! Gungraun compares with the run before and fails past limits it is given; what it counted is kept beside the report as
//! `instructions.json`, in the same words as `report.json`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::report::Machine;
use super::{machine, operations};
use crate::layers::plan;
use crate::process;
use crate::tool::{self, Tool};
use crate::workspace::Workspace;

/// The whole of `instructions.json`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Counts {
    pub machine: Machine,
    pub measurements: Vec<Count>,
}

/// Instructions of one operation of one implementation at one size.
#[derive(Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Count {
    pub operation: String,
    /// Bytes; none where the operation has no size.
    pub size: Option<u64>,
    pub implementation: String,
    pub instructions: u64,
}

/// Names that a bench can stand for: its own is an identifier, in which a hyphen and a plus are both `_`.
const IMPLEMENTATIONS: &[&str] = &[
    "aws-lc-rs+rustcrypto",
    "aws-lc-rs+simd",
    "rustcrypto",
    "rustcrypto+simd",
    "ring+rustcrypto",
    "aws-lc-rs",
    "crypto_secretbox",
    "ed25519-dalek+p256",
    "p256",
    "ring",
    "rsa",
    "studioml-envelope-simd",
];

/// What is read of gungraun's `summary.json`.
#[derive(Deserialize)]
struct Summary {
    function_name: String,
    id: Option<String>,
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    tool: String,
    data: serde_json::Value,
}

/// Runs the program that counts; `args` are gungraun's. Writes what it counted to `json`.
pub fn run(args: &[String], json: &Path, workspace: &Workspace) -> Result<Counts> {
    let silent = Command::new("valgrind").arg("--version").output();
    silent.context("valgrind does not run: sudo apt-get install -y valgrind")?;
    let runner = tool::program(Tool::Gungraun, workspace)?;
    let machine = machine::describe(workspace)?;
    let home = workspace.target().join("gungraun");
    // a summary that an earlier run left would be taken for this one's
    for summary in summaries(&home) {
        std::fs::remove_file(&summary).with_context(|| summary.display().to_string())?;
    }

    let mut command = Command::new(process::cargo());
    command.args(["bench", "--package", plan::BENCHES, "--bench", operations::INSTRUCTION_COUNTS, "--"]);
    command.arg("--save-summary=json").args(args).env("GUNGRAUN_HOME", &home);
    // the bench looks for its runner on the path
    command.env("PATH", with_folder_of(&runner)?).current_dir(workspace.root());
    let verdict = process::run(&mut command);

    let mut measurements = Vec::new();
    for summary in summaries(&home) {
        measurements.push(read(&summary).with_context(|| summary.display().to_string())?);
    }
    if measurements.is_empty() {
        verdict?;
        bail!("the benches ran and left no summary in {}", home.display());
    }
    measurements.sort();
    let counts = Counts { machine, measurements };
    std::fs::write(json, serde_json::to_string_pretty(&counts)? + "\n").with_context(|| json.display().to_string())?;
    // past a limit the counts are what one wants to see
    verdict.map(|()| counts)
}

/// The counts of an earlier run, if there was one.
pub fn kept(json: &Path) -> Result<Option<Counts>> {
    if !json.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(json).with_context(|| json.display().to_string())?;
    serde_json::from_str(&text).map(Some).with_context(|| json.display().to_string())
}

fn with_folder_of(program: &Path) -> Result<OsString> {
    let folder = program.parent().context("a program stands in a folder")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = [folder.to_owned()].into_iter().chain(std::env::split_paths(&path)).collect();
    Ok(std::env::join_paths(folders)?)
}

fn summaries(home: &Path) -> Vec<PathBuf> {
    let entries = WalkDir::new(home).sort_by_file_name().into_iter().filter_map(Result::ok);
    entries.filter(|entry| entry.file_name() == "summary.json").map(walkdir::DirEntry::into_path).collect()
}

fn read(summary: &Path) -> Result<Count> {
    let summary: Summary = serde_json::from_str(&std::fs::read_to_string(summary)?)?;
    let callgrind = summary.profiles.iter().find(|profile| profile.tool == "Callgrind");
    let counted = callgrind.and_then(|profile| profile.data.pointer("/total/metrics/Ir/values/new"));
    let instructions = counted.and_then(serde_json::Value::as_u64).context("it has no count of instructions")?;
    let (operation, floor) = operation(&summary.function_name);
    let (implementation, size) = implementation(summary.id.as_deref().unwrap_or_default())?;
    let implementation = if floor { format!("floor: {implementation} bare") } else { implementation.to_owned() };
    Ok(Count { operation, size, implementation, instructions })
}

/// The operation that criterion measures under another name, and whether this is its floor.
fn operation(function: &str) -> (String, bool) {
    let (name, floor) = function.strip_suffix("_floor").map_or((function, false), |name| (name, true));
    (name.replace("_and_", "+").replace('_', "-"), floor)
}

/// `aws_lc_rs_simd_4096` is aws-lc-rs+simd on 4096 bytes; `aws_lc_rs` has no size.
fn implementation(id: &str) -> Result<(&'static str, Option<u64>)> {
    let (name, size) = match id.rsplit_once('_').map(|(name, last)| (name, last.parse())) {
        Some((name, Ok(size))) => (name, Some(size)),
        _ => (id, None),
    };
    let identifier = |known: &str| known.replace(['-', '+'], "_");
    let known = IMPLEMENTATIONS.iter().find(|known| identifier(known) == name);
    Ok((known.with_context(|| format!("{id} names no implementation that is known here"))?, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_report() {
        assert_eq!(operation("envelope_verify_and_open"), ("envelope-verify+open".to_owned(), false));
        assert_eq!(operation("seal_floor"), ("seal".to_owned(), true));
        assert_eq!(implementation("aws_lc_rs_simd_4096").unwrap(), ("aws-lc-rs+simd", Some(4096)));
        assert_eq!(implementation("aws_lc_rs").unwrap(), ("aws-lc-rs", None));
        assert!(implementation("openssl_4096").is_err());
    }

    #[test]
    fn a_summary_becomes_a_count() {
        let summary = r#"{"function_name": "open_floor", "id": "rustcrypto_4096", "version": "7", "profiles": [
            {"tool": "Callgrind", "data": {"parts": [], "total": {"regressions": [],
                "metrics": {"Ir": {"values": {"new": 1234}}, "L1hits": {"values": {"new": 5}}}}}}]}"#;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("summary.json"), summary).unwrap();
        let [found] = summaries(home.path()).try_into().unwrap();
        let count = read(&found).unwrap();
        let implementation = "floor: rustcrypto bare".to_owned();
        let expected = Count { operation: "open".to_owned(), size: Some(4096), implementation, instructions: 1234 };
        assert_eq!(count, expected);
    }
}
