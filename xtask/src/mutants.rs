//! `cargo xtask mutants`: is there a test for what the code decides?

mod build;
mod list;
mod trial;
mod weave;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result};

use self::build::Tree;
use self::list::Mutant;
use self::trial::{Ground, Test, Verdict};
use self::weave::Number;
use crate::layers::plan;
use crate::workspace::Workspace;

/// Change the code in small ways, one at a time, and see that a test notices each
///
/// cargo-mutants says what is changed. All changes that compile together are built into one set of test
/// programs, which are told at their start which of them they have; the others are built alone. Every crate
/// is judged by its own tests. What survives must stand in docs/mutants.md, with the reason why no test can
/// or need notice it.
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

    /// How many mutants are tested at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    jobs: u64,

    /// What cargo-mutants is told besides when it lists them
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
        let verdicts = mutate(*suspect, args, workspace)?;
        scores.push((suspect.package(), score(&verdicts, &mut explained)));
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

/// Every mutant of a crate, with what became of it.
fn mutate(suspect: Suspect, args: &Args, workspace: &Workspace) -> Result<Vec<(Mutant, Verdict)>> {
    let package = suspect.package();
    let folder = workspace.target().join("mutants-of").join(package);
    let scratch = folder.join("scratch");
    std::fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    let mutants = list::mutants(package, &args.args, workspace)?;
    let numbered: Vec<(Number, &Mutant)> = (1..).zip(&mutants).collect();

    let tree = Tree::copy(workspace, &folder, package)?;
    let ground = Ground { package: tree.package(), scratch };
    let points = tree.weave(&numbered)?;
    let programs = tree.programs()?.context("the tests do not compile beside the mutants")?;
    let tests = ground.tests(&programs)?;
    eprintln!("{package}: {} mutants, {} of them together, {} tests", mutants.len(), points.len(), tests.len());
    let record = Record::begin(&folder.join("verdicts.txt"))?;
    let mut verdicts = together(&numbered, &points, &tests, &ground, &record, args.jobs)?;

    for mutant in &mutants {
        tree.restore(&mutant.file)?;
    }
    tree.restore(&format!("crates/{package}/src/lib.rs"))?;
    for (number, mutant) in numbered.iter().filter(|(number, _)| !points.contains_key(number)) {
        let verdict = alone(mutant, &tree, &tests, &ground)?;
        record.add(mutant, &verdict)?;
        verdicts.insert(*number, verdict);
        tree.restore(&mutant.file)?;
    }
    Ok(mutants.iter().cloned().zip(verdicts.into_values()).collect())
}

/// The mutants that are built into one set of programs: only the tests that pass the place of one can notice it.
fn together(
    mutants: &[(Number, &Mutant)],
    points: &BTreeMap<Number, Number>,
    tests: &[Test],
    ground: &Ground,
    record: &Record,
    jobs: u64,
) -> Result<BTreeMap<Number, Verdict>> {
    let queue =
        Mutex::new(mutants.iter().filter_map(|(number, mutant)| Some((*number, *mutant, *points.get(number)?))));
    let work = || -> Result<Vec<(Number, Verdict)>> {
        let mut judged = Vec::new();
        loop {
            let next = queue.lock().ok().and_then(|mut queue| queue.next());
            let Some((number, mutant, point)) = next else { return Ok(judged) };
            let verdict = ground.verdict(Some(number), tests.iter().filter(|test| test.passes.contains(&point)))?;
            record.add(mutant, &verdict)?;
            judged.push((number, verdict));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let mut verdicts = BTreeMap::new();
        for worker in workers {
            let judged = worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
            verdicts.extend(judged);
        }
        Ok(verdicts)
    })
}

/// One that is not built into the programs of all: by every test.
fn alone(mutant: &Mutant, tree: &Tree, tests: &[Test], ground: &Ground) -> Result<Verdict> {
    tree.apply(mutant)?;
    if !tree.compiles()? || tree.programs()?.is_none() {
        return Ok(Verdict::Unviable);
    }
    ground.verdict(None, tests.iter())
}

/// For who asks which test notices what: a line for each mutant, written when it is judged, so that a run that is ended early
/// has said what it found.
struct Record(Mutex<File>);

impl Record {
    fn begin(path: &Path) -> Result<Self> {
        Ok(Self(Mutex::new(File::create(path).with_context(|| path.display().to_string())?)))
    }

    fn add(&self, mutant: &Mutant, verdict: &Verdict) -> Result<()> {
        let line = match verdict {
            Verdict::Caught(test) => format!("caught\t{}\t{test}\n", mutant.name),
            Verdict::Timeout(test) => format!("timeout\t{}\t{test}\n", mutant.name),
            Verdict::Missed => format!("missed\t{}\n", mutant.name),
            Verdict::Unviable => format!("unviable\t{}\n", mutant.name),
        };
        if matches!(verdict, Verdict::Missed | Verdict::Timeout(_)) {
            eprint!("{line}");
        }
        let mut file = self.0.lock().map_err(|_| anyhow::anyhow!("a worker panicked"))?;
        file.write_all(line.as_bytes()).context("verdicts.txt")
    }
}

/// The survivors that have a reason, and how many there are of each: items of a list that begin with a name in backticks.
fn explanations(page: &str) -> BTreeMap<String, usize> {
    let names = page.lines().filter_map(|line| line.strip_prefix("- `")?.split_once('`'));
    names.fold(BTreeMap::new(), |mut explained, (name, _)| {
        *explained.entry(name.to_owned()).or_default() += 1;
        explained
    })
}

fn score(verdicts: &[(Mutant, Verdict)], explained: &mut BTreeMap<String, usize>) -> Score {
    let mut score = Score::default();
    for (mutant, verdict) in verdicts {
        match verdict {
            Verdict::Caught(_) => score.caught += 1,
            Verdict::Timeout(_) => score.timeout += 1,
            Verdict::Unviable => score.unviable += 1,
            Verdict::Missed => match explained.get_mut(&mutant.lasting()) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    score.explained += 1;
                }
                _ => score.missed.push(mutant.name.clone()),
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

    #[test]
    fn a_reason_stands_for_one_survivor_wherever_it_moves() {
        let source = "a < b; c < d; e + f";
        let of = |text, nth| list::tests::mutant(source, list::Genre::BinaryOperator, (text, nth), "x");
        let verdicts = [
            (of("<", 0), Verdict::Missed),
            (of("<", 1), Verdict::Missed),
            (of("+", 0), Verdict::Caught("t".to_owned())),
            (of("+", 0), Verdict::Timeout("t".to_owned())),
            (of("+", 0), Verdict::Unviable),
        ];
        let mut explained = explanations("# Page\n- `a/src/a.rs: replace`\n  the bound is even\n- other\n");
        let expected = Score {
            caught: 1,
            timeout: 1,
            unviable: 1,
            explained: 1,
            missed: vec!["crates/a/src/a.rs:1:10: replace".to_owned()],
        };
        assert_eq!(score(&verdicts, &mut explained), expected);
    }

    #[test]
    fn every_column_is_in_the_table() {
        let table = table(&[("core", Score { caught: 9, unviable: 2, ..Score::default() })]);
        let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["core", "9", "0", "0", "0", "2"]);
    }
}
