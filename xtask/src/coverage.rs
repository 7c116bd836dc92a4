//! `cargo xtask coverage`: which lines and branches of the code that decides do tests run?

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::layers::plan;
use crate::process;
use crate::tool::{self, Tool};
use crate::workspace::Workspace;

/// Run the tests of core, keys, channel and gateway, and count the lines and branches that they reach
///
/// Branches are counted by the nightly compiler only; its component llvm-tools reads what the tests
/// leave. Of the gateway the code that decides is counted, by the tests beside it.
///
/// Examples:
///   cargo xtask coverage
///   cargo xtask coverage --missing
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Print the places that no test reaches
    #[arg(long)]
    missing: bool,
}

/// Branch coverage is a flag of the nightly compiler.
const TOOLCHAIN: &str = "nightly";

/// What is counted: a name, and the beginning of its files' paths.
const COUNTED: [(&str, &str); 4] = [
    ("core", "crates/studioml-envelope-core/src/"),
    ("keys", "crates/studioml-envelope-keys/src/"),
    ("channel", "crates/studioml-envelope-channel/src/"),
    ("gateway decision", "crates/studioml-envelope-gateway/src/decision"),
];

/// What tests reached of one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct File {
    path: String,
    lines: Share,
    branches: Share,
    unreached_lines: BTreeSet<u32>,
    /// Lines with a branch that was never taken.
    untaken: BTreeSet<u32>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    reached: u32,
    all: u32,
}

impl Share {
    fn count(&mut self, reached: bool) {
        self.all += 1;
        self.reached += u32::from(reached);
    }

    fn shown(self) -> String {
        if self.all == 0 {
            return "-".to_owned();
        }
        let percent = f64::from(self.reached) / f64::from(self.all) * 100.0;
        format!("{} of {} ({percent:.1} %)", self.reached, self.all)
    }
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    process::capture(Command::new("rustup").args(["run", TOOLCHAIN, "rustc", "--version"]))
        .context("branches are counted by the nightly compiler\nhint: rustup toolchain install nightly")?;
    llvm_cov(workspace, &["clean", "--workspace"])?;
    let whole = ["--package", plan::CORE, "--package", plan::KEYS, "--package", plan::CHANNEL, "--all-features"];
    // The seed's Python is set up by `cargo xtask test` beside another target folder.
    let without_python =
        ["--", "--skip", "the_seeds_client_with_our_server", "--skip", "our_client_with_the_seeds_server"];
    llvm_cov(workspace, &[&["--branch", "--no-report", "--tests"], &whole[..], &without_python[..]].concat())?;
    llvm_cov(workspace, &["--branch", "--no-report", "--lib", "--package", plan::GATEWAY])?;
    let record = workspace.target().join("coverage.lcov");
    llvm_cov(workspace, &["report", "--lcov", "--output-path", &record.to_string_lossy()])?;

    let text = std::fs::read_to_string(&record).with_context(|| record.display().to_string())?;
    let root = format!("{}/", workspace.root().display());
    let files = files(&text, &root);
    print!("{}", table(&files)?);
    if args.missing {
        print!("{}", missing(&files));
    }
    Ok(())
}

fn llvm_cov(workspace: &Workspace, args: &[&str]) -> Result<()> {
    let add_on = tool::command(Tool::LlvmCov, workspace)?;
    let mut command = Command::new("rustup");
    command.args(["run", TOOLCHAIN]).arg(add_on.get_program()).arg("llvm-cov").args(args);
    // Set by the stable cargo that runs this program.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    process::run(command.current_dir(workspace.root()))
}

/// Reads a record in the format of lcov: `SF` a file, `DA` line and count, `BRDA` line, block, branch and count.
fn files(record: &str, root: &str) -> Vec<File> {
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    let mut path = String::new();
    for line in record.lines() {
        let Some((kind, rest)) = line.split_once(':') else { continue };
        if kind == "SF" {
            path = rest.strip_prefix(root).unwrap_or(rest).to_owned();
            continue;
        }
        let mut fields = rest.split(',');
        let number = fields.next().and_then(|field| field.parse::<u32>().ok());
        let (Some(number), Some(count)) = (number, fields.next_back()) else { continue };
        let reached = !["0", "-"].contains(&count);
        let file = files.entry(path.clone()).or_insert_with(|| File { path: path.clone(), ..File::default() });
        let (share, places) = match kind {
            "DA" => (&mut file.lines, &mut file.unreached_lines),
            "BRDA" => (&mut file.branches, &mut file.untaken),
            _ => continue,
        };
        share.count(reached);
        if !reached {
            places.insert(number);
        }
    }
    files.into_values().collect()
}

fn table(files: &[File]) -> Result<String> {
    let mut text = format!("{:<18} {:>24} {:>24}\n", "", "lines", "branches");
    for (name, prefix) in COUNTED {
        let (mut lines, mut branches) = (Share::default(), Share::default());
        for file in files.iter().filter(|file| file.path.starts_with(prefix)) {
            for (sum, share) in [(&mut lines, file.lines), (&mut branches, file.branches)] {
                sum.reached += share.reached;
                sum.all += share.all;
            }
        }
        if lines.all == 0 {
            bail!("the record has nothing of {prefix}");
        }
        text += &format!("{name:<18} {:>24} {:>24}\n", lines.shown(), branches.shown());
    }
    Ok(text)
}

fn missing(files: &[File]) -> String {
    let counted = |file: &&File| COUNTED.iter().any(|(_, prefix)| file.path.starts_with(prefix));
    let mut text = String::new();
    for file in files.iter().filter(counted) {
        for (what, places) in [("lines", &file.unreached_lines), ("branches", &file.untaken)] {
            if !places.is_empty() {
                let places: Vec<String> = places.iter().map(u32::to_string).collect();
                text += &format!("{} {what}: {}\n", file.path, places.join(" "));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "SF:/tree/crates/studioml-envelope-core/src/a.rs\nFN:1,f\nDA:1,5\nDA:2,0\nDA:3,1\n\
        BRDA:2,0,0,0\nBRDA:2,0,1,3\nBRDA:3,0,0,-\nLF:3\nLH:2\nend_of_record\n\
        SF:/elsewhere/b.rs\nDA:1,0\nend_of_record\n";

    #[test]
    fn a_record_is_counted_by_file() {
        let files = files(RECORD, "/tree/");
        let [elsewhere, core] = &files[..] else { unreachable!() };
        assert_eq!(elsewhere.path, "/elsewhere/b.rs");
        assert_eq!(core.path, "crates/studioml-envelope-core/src/a.rs");
        assert_eq!((core.lines, core.branches), (Share { reached: 2, all: 3 }, Share { reached: 1, all: 3 }));
        assert_eq!(
            missing(&files),
            "crates/studioml-envelope-core/src/a.rs lines: 2\ncrates/studioml-envelope-core/src/a.rs branches: 2 3\n"
        );
    }

    #[test]
    fn a_record_without_one_of_the_crates_is_an_error() {
        let error = table(&files(RECORD, "/tree/")).unwrap_err().to_string();
        assert_eq!(error, "the record has nothing of crates/studioml-envelope-keys/src/");
    }

    #[test]
    fn a_share_of_nothing_is_no_number() {
        assert_eq!(Share::default().shown(), "-");
        assert_eq!(Share { reached: 2, all: 3 }.shown(), "2 of 3 (66.7 %)");
    }
}
