//! `cargo xtask fuzz`: builds the fuzz targets, replays every past finding, then fuzzes each and sums up.

mod libfuzzer;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use toml_edit::{DocumentMut, Item};

use crate::process;
use crate::tool::{self, Tool};
use crate::workspace::Workspace;
use libfuzzer::Findings;

/// Replay every past finding, then fuzz, and print executions, coverage edges and crashes of each target
///
/// Targets are those of fuzz/Cargo.toml. For each, the committed `fuzz/regressions/<target>`,
/// `fuzz/seeds/<target>` and `fuzz/dictionaries/<target>.dict` are used where they are; what it
/// learns goes to `fuzz/corpus/<target>`, what crashes it to `fuzz/artifacts/<target>`.
///
/// Examples:
///   cargo xtask fuzz --seconds 60
///   cargo xtask fuzz --seconds 600 payload message
///   cargo xtask fuzz --replay
///   cargo xtask fuzz --light --seconds 2 --jobs 2
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// How long each target is fuzzed
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// Only replay past findings
    #[arg(long, conflicts_with = "seconds")]
    replay: bool,

    /// Compile for a run of a few seconds: without the address sanitizer and less optimised, in half the time
    #[arg(long)]
    light: bool,

    /// How many targets are fuzzed at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    jobs: u64,

    /// Print the targets there are
    #[arg(long)]
    list: bool,

    /// Only these
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Whose compiler builds the targets: coverage and sanitizers are flags that a stable one takes only when it is told to.
enum Compiler {
    /// rustup's nightly.
    Nightly,
    /// The one that runs this program, which is on every machine.
    Bootstrapped,
}

impl Compiler {
    fn found() -> Self {
        let nightly = process::capture(Command::new("rustup").args(["run", "nightly", "rustc", "--version"]));
        if nightly.is_ok() { Self::Nightly } else { Self::Bootstrapped }
    }

    /// `program` with this compiler.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Nightly => {
                let mut command = Command::new("rustup");
                command.args(["run", "nightly"]).arg(program);
                // set by the stable cargo that runs this program
                for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
                    command.env_remove(variable);
                }
                command
            }
            Self::Bootstrapped => {
                let mut command = Command::new(program);
                command.env("RUSTC_BOOTSTRAP", "1");
                command
            }
        }
    }
}

/// An input that takes longer is a finding; none takes a second, and a machine may be busy with other things for a while.
const SLOWEST_SECONDS: u64 = 60;

/// Memory that no input of the sizes fuzzed may need.
const MOST_MEMORY_MIB: u64 = 2048;

/// Where the parts of a run are.
struct House {
    fuzz: PathBuf,
    programs: PathBuf,
    logs: PathBuf,
}

/// One target's row of the summary.
struct Row {
    target: String,
    findings: Findings,
    replayed: u64,
    /// What went wrong, if anything did.
    failure: Option<String>,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let fuzz = workspace.root().join("fuzz");
    let targets = chosen(&known(&fuzz)?, &args.targets)?;
    if args.list {
        targets.iter().for_each(|target| println!("{target}"));
        return Ok(());
    }
    lock_file_is_current(&fuzz)?;
    let house = build(workspace, fuzz, &targets, args.light)?;
    let rows = in_parallel(targets, args.jobs, |target| examine(&house, target, args))?;

    print!("{}", table(&rows));
    let failures: Vec<String> =
        rows.iter().filter_map(|row| Some(format!("{}: {}", row.target, row.failure.as_ref()?))).collect();
    if !failures.is_empty() {
        bail!(
            "{} of {} targets failed:\n  {}\nhint: logs are in {}; a file copied to fuzz/regressions/<target> is replayed ever after",
            failures.len(),
            rows.len(),
            failures.join("\n  "),
            house.logs.display()
        );
    }
    Ok(())
}

/// The targets of fuzz/Cargo.toml.
pub fn known(fuzz: &Path) -> Result<Vec<String>> {
    let path = fuzz.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let manifest: DocumentMut = text.parse().with_context(|| path.display().to_string())?;
    let programs = manifest.get("bin").and_then(Item::as_array_of_tables);
    let names = programs.into_iter().flatten().filter_map(|program| program.get("name")?.as_str());
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.is_empty() {
        bail!("{} has no [[bin]]", path.display());
    }
    Ok(names)
}

fn chosen(known: &[String], wanted: &[String]) -> Result<Vec<String>> {
    if let Some(stranger) = wanted.iter().find(|target| !known.contains(target)) {
        bail!("no fuzz target {stranger}\nhint: there are {}", known.join(", "));
    }
    Ok(if wanted.is_empty() { known.to_vec() } else { wanted.to_vec() })
}

/// The lock file of fuzz/ is its own, and `cargo fuzz` would rewrite one that no longer fits without a word.
fn lock_file_is_current(fuzz: &Path) -> Result<()> {
    let mut command = Command::new(process::cargo());
    command.args(["metadata", "--locked", "--format-version", "1", "--manifest-path"]).arg(fuzz.join("Cargo.toml"));
    process::capture(&mut command).context(
        "fuzz/Cargo.lock does not fit the manifests\nhint: cargo update --workspace --manifest-path fuzz/Cargo.toml",
    )?;
    Ok(())
}

fn build(workspace: &Workspace, fuzz: PathBuf, targets: &[String], light: bool) -> Result<House> {
    let compiler = Compiler::found();
    let rustc = process::capture(compiler.command("rustc").arg("-vV"))?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;

    let folder = workspace.target().join(if light { "fuzz-light" } else { "fuzz" });
    let add_on = tool::command(Tool::Fuzz, workspace)?;
    // cargo-fuzz builds one or all; a few are built one after another.
    let names: Vec<Option<&String>> =
        if targets.len() == known(&fuzz)?.len() { vec![None] } else { targets.iter().map(Some).collect() };
    for name in names {
        let mut command = compiler.command(add_on.get_program());
        // `--release` leaves it to fuzz/Cargo.toml which crates carry debug assertions
        command.args(["fuzz", "build", "--release"]);
        command.arg("--fuzz-dir").arg(&fuzz).arg("--target-dir").arg(&folder).args(name);
        if light {
            command.args(["--sanitizer", "none", "--no-trace-compares"]);
            command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("RUSTFLAGS", "-Cdebuginfo=0");
        }
        process::run(command.current_dir(workspace.root()))?;
    }
    let logs = folder.join("logs");
    std::fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
    Ok(House { fuzz, programs: folder.join(host).join("release"), logs })
}

/// Runs `examine` on all targets, some at a time, and returns the rows in the order of the targets.
fn in_parallel(targets: Vec<String>, jobs: u64, examine: impl Fn(&str) -> Result<Row> + Sync) -> Result<Vec<Row>> {
    let order = targets.clone();
    let waiting = Mutex::new(VecDeque::from(targets));
    let rows = Mutex::new(Vec::new());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop_front());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let row = examine(&target);
                    if let Ok(mut rows) = rows.lock() {
                        rows.push(row);
                    }
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_default().into_iter().collect::<Result<Vec<Row>>>()?;
    rows.sort_by_key(|row| order.iter().position(|target| *target == row.target));
    Ok(rows)
}

fn examine(house: &House, target: &str, args: &Args) -> Result<Row> {
    let mut row = Row { target: target.to_owned(), findings: Findings::default(), replayed: 0, failure: None };
    let past = files(&house.fuzz.join("regressions").join(target))?;
    if !past.is_empty() {
        let (replay, ended_well) = libfuzzer_run(house, target, "replay", |command| {
            command.args(&past);
        })?;
        row.replayed = replay.replayed;
        if !ended_well {
            let file = replay.last_replayed.unwrap_or_else(|| "the first file".to_owned());
            row.failure = Some(format!("a past finding is back: {file}"));
            return Ok(row);
        }
    }
    if args.replay {
        return Ok(row);
    }
    eprintln!("fuzzing {target} for {} s", args.seconds);
    let (findings, ended_well) = fuzz(house, target, args.seconds)?;
    if !ended_well {
        let verdict = findings.verdict.clone().unwrap_or_else(|| "ended early and did not say why".to_owned());
        row.failure = Some([vec![verdict], findings.artifacts.clone()].concat().join(" "));
    } else if findings.executions == 0 {
        row.failure = Some("ran and executed nothing".to_owned());
    }
    row.findings = findings;
    Ok(row)
}

fn fuzz(house: &House, target: &str, seconds: u64) -> Result<(Findings, bool)> {
    let corpus = house.fuzz.join("corpus").join(target);
    let artifacts = house.fuzz.join("artifacts").join(target);
    for folder in [&corpus, &artifacts] {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    libfuzzer_run(house, target, "fuzz", |command| {
        command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        let dictionary = house.fuzz.join("dictionaries").join(format!("{target}.dict"));
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        // The first folder is the one that grows.
        command.arg(&corpus);
        let seeds = house.fuzz.join("seeds").join(target);
        if seeds.is_dir() {
            command.arg(seeds);
        }
    })
}

/// Runs a target's program, keeps its log, and tells whether it ended with 0.
fn libfuzzer_run(
    house: &House,
    target: &str,
    what: &str,
    arguments: impl FnOnce(&mut Command),
) -> Result<(Findings, bool)> {
    let log = house.logs.join(format!("{target}-{what}.log"));
    let mut command = Command::new(house.programs.join(target));
    command.arg(format!("-timeout={SLOWEST_SECONDS}")).arg(format!("-rss_limit_mb={MOST_MEMORY_MIB}"));
    arguments(&mut command);
    command.current_dir(&house.fuzz).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(&log).with_context(|| log.display().to_string())?);
    let status = command.status().with_context(|| format!("could not start `{}`", process::shown(&command)))?;
    let said = std::fs::read(&log).with_context(|| log.display().to_string())?;
    Ok((Findings::read(&String::from_utf8_lossy(&said)), status.success()))
}

/// The files of a folder in order; none where there is no folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.with_context(|| folder.display().to_string())?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.target.len()).max().unwrap_or_default().max("target".len());
    let mut text = format!(
        "{:<width$} {:>8} {:>12} {:>9} {:>15} {:>8} {:>7}\n",
        "target", "replayed", "executions", "per s", "edges", "corpus", "crashes"
    );
    let mut executions = 0;
    for row in rows {
        let found = &row.findings;
        executions += found.executions;
        let edges = format!("{} of {}", found.edges, found.all_edges);
        text += &format!(
            "{:<width$} {:>8} {:>12} {:>9} {:>15} {:>8} {:>7}\n",
            row.target,
            row.replayed,
            found.executions,
            found.per_second,
            edges,
            found.corpus,
            u8::from(row.failure.is_some())
        );
    }
    let crashes = rows.iter().filter(|row| row.failure.is_some()).count();
    text + &format!("{} targets, {executions} executions, {crashes} crashed\n", rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn targets_are_those_of_the_manifest() {
        let fuzz = tempfile::tempdir().unwrap();
        let manifest =
            "[package]\nname = \"fuzz\"\n[[bin]]\nname = \"payload\"\npath = \"a.rs\"\n[[bin]]\nname = \"pem\"\n";
        std::fs::write(fuzz.path().join("Cargo.toml"), manifest).unwrap();
        let known = known(fuzz.path()).unwrap();
        assert_eq!(known, ["payload", "pem"]);
        assert_eq!(chosen(&known, &[]).unwrap(), ["payload", "pem"]);
        assert_eq!(chosen(&known, &words(&["pem"])).unwrap(), ["pem"]);
        let error = chosen(&known, &words(&["pen"])).unwrap_err().to_string();
        assert_eq!(error, "no fuzz target pen\nhint: there are payload, pem");
    }

    #[test]
    fn rows_keep_the_order_of_the_targets() {
        let examine = |target: &str| {
            Ok(Row { target: target.to_owned(), findings: Findings::default(), replayed: 0, failure: None })
        };
        let rows = in_parallel(words(&["d", "a", "c", "b"]), 3, examine).unwrap();
        let order: Vec<&str> = rows.iter().map(|row| row.target.as_str()).collect();
        assert_eq!(order, ["d", "a", "c", "b"]);
    }

    #[test]
    fn the_table_adds_up() {
        let row = |target: &str, executions, failure: Option<&str>| Row {
            target: target.to_owned(),
            findings: Findings {
                executions,
                per_second: 100,
                edges: 40,
                all_edges: 900,
                corpus: 7,
                ..Findings::default()
            },
            replayed: 2,
            failure: failure.map(str::to_owned),
        };
        let table = table(&[row("payload", 6000, None), row("pem", 24, Some("libFuzzer: timeout"))]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["payload", "2", "6000", "100", "40", "of", "900", "7", "0"]
        );
        assert!(lines[2].ends_with('1'));
        assert_eq!(lines[3], "2 targets, 6024 executions, 1 crashed");
    }
}
