//! `cargo xtask mutants`: is there a test for what the code decides?

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::layers::plan;
use crate::process;
use crate::tool::{self, Tool};
use crate::workspace::Workspace;

/// Change the code in small ways, one at a time, and see that a test notices each
///
/// Every crate is judged by its own tests. What survives must stand in docs/mutants.md, with the
/// reason why no test can or need notice it. `.cargo/mutants.toml` holds what cargo-mutants is told.
///
/// Examples:
///   cargo xtask mutants
///   cargo xtask mutants core --jobs 2 -- --file '**/payload.rs'
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Only these
    #[arg(value_name = "CRATE")]
    crates: Vec<Suspect>,

    /// How many mutants are built and tested at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    jobs: u64,

    /// What cargo-mutants is told besides
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// The crates whose tests are tested: the contract, the key files and directories, the suite that judges the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Suspect {
    Core,
    Keys,
    Conformance,
}

impl Suspect {
    const fn package(self) -> &'static str {
        match self {
            Self::Core => plan::CORE,
            Self::Keys => plan::KEYS,
            Self::Conformance => plan::CONFORMANCE,
        }
    }
}

/// Where the survivors are explained.
const EXPLAINED: &str = "docs/mutants.md";

/// What cargo-mutants writes about a run.
#[derive(Deserialize)]
struct Report {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: Summary,
}

#[derive(Deserialize)]
enum Scenario {
    Baseline,
    Mutant { name: String },
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
enum Summary {
    CaughtMutant,
    MissedMutant,
    /// A test ran into a loop that the mutant made: noticed.
    Timeout,
    /// The mutant does not compile.
    Unviable,
    Success,
    Failure,
}

/// One crate's row of the table.
#[derive(Debug, Default, PartialEq, Eq)]
struct Score {
    caught: usize,
    timeout: usize,
    unviable: usize,
    explained: usize,
    /// Survivors without a reason, with their places.
    missed: Vec<String>,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<ExitCode> {
    let all = [Suspect::Core, Suspect::Keys, Suspect::Conformance];
    let crates = if args.crates.is_empty() { &all[..] } else { &args.crates };
    let path = workspace.root().join(EXPLAINED);
    let mut explained = explanations(&std::fs::read_to_string(&path).with_context(|| path.display().to_string())?);

    let mut scores = Vec::new();
    for suspect in crates {
        let report = mutate(*suspect, args, workspace)?;
        scores.push((suspect.package(), score(&report, &mut explained)));
    }
    print!("{}", table(&scores));
    let missed: Vec<&String> = scores.iter().flat_map(|(_, score)| &score.missed).collect();
    for survivor in &missed {
        eprintln!("survived: {survivor}");
    }
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("hint: a test that notices it, or its reason in {EXPLAINED}");
    Ok(ExitCode::FAILURE)
}

fn mutate(suspect: Suspect, args: &Args, workspace: &Workspace) -> Result<Report> {
    let folder = workspace.target().join("mutants-of").join(suspect.package());
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut command = tool::command(Tool::Mutants, workspace)?;
    command.args(["--package", suspect.package(), "--jobs", &args.jobs.to_string(), "--output"]).arg(&folder);
    command.args(&args.args).current_dir(workspace.root());
    // It ends with another code than 0 where a mutant survives; what it wrote says which.
    if let Err(error) = process::run(&mut command) {
        eprintln!("{error:#}");
    }
    read(&folder.join("mutants.out").join("outcomes.json"))
}

fn read(path: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// The survivors that have a reason, and how many there are of each: items of a list that begin with a name in backticks.
fn explanations(page: &str) -> BTreeMap<String, usize> {
    let names = page.lines().filter_map(|line| line.strip_prefix("- `")?.split_once('`'));
    names.fold(BTreeMap::new(), |mut explained, (name, _)| {
        *explained.entry(name.to_owned()).or_default() += 1;
        explained
    })
}

/// A mutant's name without line and column, which every edit above it changes.
fn lasting(name: &str) -> String {
    let (place, change) = name.split_once(": ").unwrap_or(("", name));
    let file = place.split(':').next().unwrap_or_default();
    format!("{}: {change}", file.strip_prefix("crates/").unwrap_or(file))
}

fn score(report: &Report, explained: &mut BTreeMap<String, usize>) -> Score {
    let mut score = Score::default();
    for Outcome { scenario, summary } in &report.outcomes {
        let Scenario::Mutant { name } = scenario else { continue };
        match summary {
            Summary::CaughtMutant => score.caught += 1,
            Summary::Timeout => score.timeout += 1,
            Summary::Unviable => score.unviable += 1,
            Summary::MissedMutant | Summary::Success | Summary::Failure => match explained.get_mut(&lasting(name)) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    score.explained += 1;
                }
                _ => score.missed.push(name.clone()),
            },
        }
    }
    score
}

fn table(scores: &[(&str, Score)]) -> String {
    let mut text = format!(
        "{:<32} {:>7} {:>8} {:>9} {:>7} {:>9}\n",
        "crate", "caught", "timeout", "explained", "missed", "unviable"
    );
    for (package, score) in scores {
        text += &format!(
            "{package:<32} {:>7} {:>8} {:>9} {:>7} {:>9}\n",
            score.caught,
            score.timeout,
            score.explained,
            score.missed.len(),
            score.unviable
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"outcomes": [
        {"scenario": "Baseline", "summary": "Success"},
        {"scenario": {"Mutant": {"name": "crates/core/src/a.rs:1:2: replace f -> bool with true", "file": "x"}}, "summary": "CaughtMutant"},
        {"scenario": {"Mutant": {"name": "crates/core/src/a.rs:9:9: replace < with <= in f"}}, "summary": "MissedMutant"},
        {"scenario": {"Mutant": {"name": "crates/core/src/a.rs:10:9: replace < with <= in f"}}, "summary": "MissedMutant"},
        {"scenario": {"Mutant": {"name": "crates/core/src/a.rs:3:4: replace + with *"}}, "summary": "Timeout"},
        {"scenario": {"Mutant": {"name": "crates/core/src/b.rs:1:1: replace g -> T with Default::default()"}}, "summary": "Unviable"}
    ]}"#;

    #[test]
    fn a_reason_stands_for_one_survivor_wherever_it_moves() {
        let report: Report = serde_json::from_str(REPORT).unwrap();
        let mut explained =
            explanations("# Page\n- `core/src/a.rs: replace < with <= in f`\n  the bound is even\n- other\n");
        let expected = Score {
            caught: 1,
            timeout: 1,
            unviable: 1,
            explained: 1,
            missed: vec!["crates/core/src/a.rs:10:9: replace < with <= in f".to_owned()],
        };
        assert_eq!(score(&report, &mut explained), expected);
    }

    #[test]
    fn every_column_is_in_the_table() {
        let table = table(&[("core", Score { caught: 9, unviable: 2, ..Score::default() })]);
        let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["core", "9", "0", "0", "0", "2"]);
    }
}
