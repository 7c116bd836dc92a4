//! `cargo xtask coverage`: which lines and branches of the code that decides do tests run?

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::layers::plan;
use crate::process;
use crate::workspace::Workspace;

/// Run the tests of core, keys, channel and gateway, and count the lines and branches that they reach
///
/// The crates of the workspace are built once more, with counters in them; what they stand on is
/// taken as `cargo xtask test` has built it. LLVM's tools of the compiler's version read what the
/// tests leave: the component llvm-tools, or the system's package. Of the gateway the code that
/// decides is counted, by the tests beside it and the simulated broker.
///
/// Examples:
///   cargo xtask coverage
///   cargo xtask coverage keys --missing
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Only these
    #[arg(value_name = "CRATE")]
    crates: Vec<Counted>,

    /// Print the places that no test reaches
    #[arg(long)]
    missing: bool,
}

/// How the crates of the workspace, and they alone, are compiled. Counters for branches are not promised to stay as they are,
/// which is why the compiler has to be told; nothing that is built so is used for anything else.
const COMPILER: &str = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec \"$@\" -Cinstrument-coverage -Zcoverage-options=branch\n";

/// What is counted. Of the gateway the code that decides, by the tests that need no broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Counted {
    Core,
    Keys,
    Channel,
    Gateway,
}

impl Counted {
    const ALL: [Self; 4] = [Self::Core, Self::Keys, Self::Channel, Self::Gateway];

    const fn package(self) -> &'static str {
        match self {
            Self::Core => plan::CORE,
            Self::Keys => plan::KEYS,
            Self::Channel => plan::CHANNEL,
            Self::Gateway => plan::GATEWAY,
        }
    }

    /// The name in the table, and the beginning of its files' paths.
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Core => ("core", "crates/studioml-envelope-core/src/"),
            Self::Keys => ("keys", "crates/studioml-envelope-keys/src/"),
            Self::Channel => ("channel", "crates/studioml-envelope-channel/src/"),
            Self::Gateway => ("gateway decision", "crates/studioml-envelope-gateway/src/decision"),
        }
    }

    fn runs(self, test: &str) -> bool {
        self != Self::Gateway || test == "decision"
    }
}

/// They start the seed's Python, which shows nothing that the Rust peers do not.
const WITHOUT: [&str; 2] = ["the_seeds_client_with_our_server", "our_client_with_the_seeds_server"];

/// Whether tests reached the lines of a file, and its branches, which are named by their line and what lcov calls them there.
#[derive(Debug, Default, PartialEq, Eq)]
struct File {
    lines: BTreeMap<u32, bool>,
    branches: BTreeMap<(u32, String), bool>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    reached: u32,
    all: u32,
}

impl Share {
    fn add<'r>(&mut self, reached: impl IntoIterator<Item = &'r bool>) {
        for reached in reached {
            self.all += 1;
            self.reached += u32::from(*reached);
        }
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
    let tools = Tools::find()?;
    let counted = if args.crates.is_empty() { &Counted::ALL[..] } else { &args.crates };
    let folder = workspace.target().join("coverage");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut files = BTreeMap::new();
    for program in &programs(counted, !args.crates.is_empty(), workspace, &folder)? {
        let record = program.record(&tools, counted, workspace, &folder.join("counts"))?;
        read(&record, &format!("{}/", workspace.root().display()), &mut files);
    }
    print!("{}", table(&files, counted)?);
    if args.missing {
        print!("{}", missing(&files, counted));
    }
    Ok(())
}

/// A test program and the folder that its tests run in.
struct Program {
    executable: PathBuf,
    package: PathBuf,
}

impl Program {
    /// What its tests reach, in the format of lcov. Each program is read by itself: a function that two of them have may have been
    /// compiled differently, and then the counts of one say nothing of the other.
    fn record(&self, tools: &Tools, counted: &[Counted], workspace: &Workspace, counts: &Path) -> Result<String> {
        if counts.exists() {
            fs::remove_dir_all(counts).with_context(|| counts.display().to_string())?;
        }
        let mut tests = Command::new(&self.executable);
        tests.args(WITHOUT.iter().flat_map(|test| ["--skip", *test])).current_dir(&self.package);
        tests.env("CARGO_MANIFEST_DIR", &self.package).env("LLVM_PROFILE_FILE", counts.join("%p-%m.profraw"));
        process::run(&mut tests)?;
        let merged = counts.with_extension("profdata");
        let mut merge = Command::new(&tools.profdata);
        process::run(merge.args(["merge", "--sparse", "--output"]).arg(&merged).arg(counts))?;
        let mut export = Command::new(&tools.cov);
        export.args(["export", "--format=lcov", "--instr-profile"]).arg(&merged).arg("--object").arg(&self.executable);
        // these sources alone: LLVM 22 crashes over some of the gateway's others
        export.arg("--sources");
        for (_, prefix) in counted.iter().map(|counted| counted.row()) {
            export.args([prefix.to_owned(), format!("{prefix}.rs")].map(|path| workspace.root().join(path)));
        }
        process::capture(&mut export)
    }
}

/// What cargo says of something that it has built.
#[derive(Deserialize)]
struct Built {
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    executable: Option<PathBuf>,
    #[serde(default)]
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds the test programs with counters in them. Where no crate is named the whole workspace is, so that dependencies have
/// the features that they were built with.
fn programs(counted: &[Counted], named: bool, workspace: &Workspace, folder: &Path) -> Result<Vec<Program>> {
    let compiler = folder.join("rustc.sh");
    fs::write(&compiler, COMPILER).with_context(|| compiler.display().to_string())?;
    fs::set_permissions(&compiler, Permissions::from_mode(0o755))?;
    let counted_of = |package: &str| counted.iter().copied().find(|counted| counted.package() == package);
    let mut tests = BTreeSet::new();
    for package in workspace.members() {
        let Some(counted) = counted_of(&package.name) else { continue };
        let of_package = package.targets.iter().filter(|target| target.is_test() && counted.runs(&target.name));
        tests.extend(of_package.map(|target| target.name.as_str()));
    }

    let mut command = Command::new(process::cargo());
    command.args(["test", "--all-features", "--locked", "--no-run", "--message-format", "json", "--lib"]);
    if named {
        command.args(counted.iter().flat_map(|counted| ["--package", counted.package()]));
    } else {
        // without the program: it has tests of the same names, which want it built
        command.args(["--workspace", "--exclude", plan::CLI]);
    }
    command.args(tests.iter().flat_map(|name| ["--test", *name]));
    command.env("RUSTC_WORKSPACE_WRAPPER", &compiler).env("CARGO_INCREMENTAL", "0").current_dir(workspace.root());
    let line = process::shown(&command);
    eprintln!("$ {line}");
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().with_context(|| line.clone())?;
    if !output.status.success() {
        bail!("`{line}` failed ({})", output.status);
    }
    let mut programs = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(Built { manifest_path, executable: Some(executable), target: Some(target) }) =
            serde_json::from_str(line)
        else {
            continue;
        };
        let package = workspace.members().find(|package| package.manifest_path.as_std_path() == manifest_path);
        let counted = package.and_then(|package| counted_of(&package.name));
        let is_lib = target.kind.iter().any(|kind| kind == "lib");
        if counted.is_some_and(|counted| is_lib || counted.runs(&target.name)) {
            let package = manifest_path.parent().context("a manifest without a folder")?.to_owned();
            programs.push(Program { executable, package });
        }
    }
    Ok(programs)
}

/// What reads the counts that programs leave. Their form is that of one version of LLVM.
struct Tools {
    cov: PathBuf,
    profdata: PathBuf,
}

impl Tools {
    fn find() -> Result<Self> {
        let rustc = |args: &[&str]| process::capture(Command::new("rustc").args(args));
        let library = PathBuf::from(rustc(&["--print", "target-libdir"])?.trim());
        let of_toolchain = library.with_file_name("bin");
        if of_toolchain.join("llvm-cov").is_file() {
            return Ok(Self { cov: of_toolchain.join("llvm-cov"), profdata: of_toolchain.join("llvm-profdata") });
        }
        let version = rustc(&["-vV"])?;
        let major = major(&version).context("rustc names no version of LLVM")?;
        let tools = Self { cov: format!("llvm-cov-{major}").into(), profdata: format!("llvm-profdata-{major}").into() };
        for tool in [&tools.cov, &tools.profdata] {
            process::capture(Command::new(tool).arg("--version")).with_context(|| {
                format!("hint: rustup component add llvm-tools, or the system's package llvm-{major}")
            })?;
        }
        Ok(tools)
    }
}

/// The version of LLVM, as far as its records depend on it, in what `rustc -vV` says.
fn major(version: &str) -> Option<&str> {
    version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?.split('.').next()
}

/// Reads a record in the format of lcov: `SF` a file, `DA` line and count, `BRDA` line, block, branch and count. What one record
/// has as reached is reached.
fn read(record: &str, root: &str, files: &mut BTreeMap<String, File>) {
    let mut file = &mut File::default();
    for line in record.lines() {
        let Some((kind, rest)) = line.split_once(':') else { continue };
        if kind == "SF" {
            file = files.entry(rest.strip_prefix(root).unwrap_or(rest).to_owned()).or_default();
            continue;
        }
        let Some((place, count)) = rest.rsplit_once(',') else { continue };
        let (number, branch) = place.split_once(',').unwrap_or((place, ""));
        let Ok(number) = number.parse::<u32>() else { continue };
        let reached = match kind {
            "DA" => file.lines.entry(number).or_default(),
            "BRDA" => file.branches.entry((number, branch.to_owned())).or_default(),
            _ => continue,
        };
        *reached |= !["0", "-"].contains(&count);
    }
}

fn table(files: &BTreeMap<String, File>, counted: &[Counted]) -> Result<String> {
    let mut text = format!("{:<18} {:>24} {:>24}\n", "", "lines", "branches");
    for (name, prefix) in counted.iter().map(|counted| counted.row()) {
        let (mut lines, mut branches) = (Share::default(), Share::default());
        for (_, file) in files.iter().filter(|(path, _)| path.starts_with(prefix)) {
            lines.add(file.lines.values());
            branches.add(file.branches.values());
        }
        if lines.all == 0 {
            bail!("the record has nothing of {prefix}");
        }
        text += &format!("{name:<18} {:>24} {:>24}\n", lines.shown(), branches.shown());
    }
    Ok(text)
}

fn missing(files: &BTreeMap<String, File>, counted: &[Counted]) -> String {
    let is_counted = |path: &str| counted.iter().any(|counted| path.starts_with(counted.row().1));
    let mut text = String::new();
    for (path, file) in files.iter().filter(|(path, _)| is_counted(path)) {
        let lines = file.lines.iter().filter(|(_, reached)| !**reached).map(|(line, _)| line);
        let branches = file.branches.iter().filter(|(_, reached)| !**reached).map(|((line, _), _)| line);
        for (what, places) in [("lines", lines.collect::<BTreeSet<_>>()), ("branches", branches.collect())] {
            if !places.is_empty() {
                let places: Vec<String> = places.into_iter().map(u32::to_string).collect();
                text += &format!("{path} {what}: {}\n", places.join(" "));
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
    fn tools_are_of_the_compilers_version() {
        assert_eq!(major("rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22.1.2\n"), Some("22"));
        assert_eq!(major("rustc 1.95.0\n"), None);
    }

    fn of(records: &[&str]) -> BTreeMap<String, File> {
        let mut files = BTreeMap::new();
        for record in records {
            read(record, "/tree/", &mut files);
        }
        files
    }

    #[test]
    fn a_record_is_counted_by_file() {
        let files = of(&[RECORD]);
        assert_eq!(files.keys().collect::<Vec<_>>(), ["/elsewhere/b.rs", "crates/studioml-envelope-core/src/a.rs"]);
        let core = table(&files, &[Counted::Core]).unwrap();
        assert!(core.contains("2 of 3 (66.7 %)") && core.contains("1 of 3 (33.3 %)"), "{core}");
        assert_eq!(
            missing(&files, &Counted::ALL),
            "crates/studioml-envelope-core/src/a.rs lines: 2\ncrates/studioml-envelope-core/src/a.rs branches: 2 3\n"
        );
    }

    #[test]
    fn what_one_program_reaches_is_reached() {
        let other = "SF:/tree/crates/studioml-envelope-core/src/a.rs\nDA:1,0\nDA:2,1\nBRDA:3,0,0,2\nend_of_record\n";
        let files = of(&[RECORD, other]);
        assert_eq!(missing(&files, &Counted::ALL), "crates/studioml-envelope-core/src/a.rs branches: 2\n");
    }

    #[test]
    fn a_record_without_one_of_the_crates_is_an_error() {
        let error = table(&of(&[RECORD]), &Counted::ALL).unwrap_err().to_string();
        assert_eq!(error, "the record has nothing of crates/studioml-envelope-keys/src/");
    }

    #[test]
    fn a_share_of_nothing_is_no_number() {
        assert_eq!(Share::default().shown(), "-");
        assert_eq!(Share { reached: 2, all: 3 }.shown(), "2 of 3 (66.7 %)");
    }
}
