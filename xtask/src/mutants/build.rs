//! A copy of the tree with mutants in it, and what cargo makes of that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::list::{self, Mutant};
use super::weave::{self, MODULE, Number, Woven};
use crate::process;
use crate::workspace::Workspace;

/// The copy, with a target folder of its own: cargo knows a crate by its place in the workspace, and would take what it has built
/// of one tree for what it would build of another.
pub struct Tree {
    root: PathBuf,
    original: PathBuf,
    target: PathBuf,
    package: &'static str,
}

/// One line of what cargo reports.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    message: Option<Diagnostic>,
    #[serde(default)]
    executable: Option<PathBuf>,
    #[serde(default)]
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    message: String,
    spans: Vec<Spot>,
}

#[derive(Deserialize)]
struct Spot {
    file_name: String,
    line_start: usize,
    line_end: usize,
    is_primary: bool,
}

impl Tree {
    pub fn copy(workspace: &Workspace, folder: &Path, package: &'static str) -> Result<Self> {
        let tree = Self {
            root: folder.join("tree"),
            original: workspace.root().to_owned(),
            target: folder.join("target"),
            package,
        };
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&tree.original);
        let mut copied = BTreeSet::new();
        for file in process::capture(&mut git)?.split_terminator('\0') {
            let from = tree.original.join(file);
            if from.is_file() {
                let to = tree.root.join(file);
                put(&to, &std::fs::read(&from).with_context(|| from.display().to_string())?)?;
                copied.insert(to);
            }
        }
        tree.keep_only(&copied)?;
        Ok(tree)
    }

    /// Removes what an earlier copy had and the original no longer has.
    fn keep_only(&self, files: &BTreeSet<PathBuf>) -> Result<()> {
        for entry in walkdir::WalkDir::new(&self.root) {
            let entry = entry?;
            if entry.file_type().is_file() && !files.contains(entry.path()) {
                std::fs::remove_file(entry.path()).with_context(|| entry.path().display().to_string())?;
            }
        }
        Ok(())
    }

    /// The folder of the package whose tests judge.
    pub fn package(&self) -> PathBuf {
        self.root.join("crates").join(self.package)
    }

    /// Puts a file of the copy back as it was, but for this change.
    pub fn apply(&self, mutant: &Mutant) -> Result<()> {
        let source = list::source(&self.original, &mutant.file)?;
        put(&self.root.join(&mutant.file), mutant.applied(&source)?.as_bytes())
    }

    /// Puts a file of the copy back as it was.
    pub fn restore(&self, file: &str) -> Result<()> {
        put(&self.root.join(file), list::source(&self.original, file)?.as_bytes())
    }

    /// Writes all mutants into the copy that compile together, and says at which point each stands.
    pub fn weave(&self, mutants: &[(Number, &Mutant)]) -> Result<BTreeMap<Number, Number>> {
        let mut files: BTreeMap<&str, Vec<(Number, &Mutant)>> = BTreeMap::new();
        for (number, mutant) in mutants {
            files.entry(&mutant.file).or_default().push((*number, *mutant));
        }
        let root_file = format!("crates/{}/src/lib.rs", self.package);
        files.entry(&root_file).or_default();
        let (mut without, mut needed_const) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let mut points = BTreeMap::new();
            for (file, mutants) in &files {
                let source = list::source(&self.original, file)?;
                let Woven { mut text, points: of_file } = weave::weave(&source, mutants, &without, &needed_const)?;
                if *file == root_file {
                    text += MODULE;
                }
                put(&self.root.join(file), text.as_bytes())?;
                points.extend(of_file);
            }
            let errors = self.check()?;
            if errors.is_empty() {
                return Ok(points);
            }
            let before = (without.len(), needed_const.len());
            for error in &errors {
                match error.message.split("non-const ").nth(1).and_then(|rest| rest.split('`').nth(1)) {
                    Some(path) if path != "at" && !path.ends_with("mutant::at") => {
                        let name = path.split('<').next().unwrap_or(path).rsplit("::").next().unwrap_or(path);
                        needed_const.insert(name.to_owned());
                    }
                    _ => without.extend(self.blamed(error)?),
                }
            }
            eprintln!("{} errors, {} mutants left out", errors.len(), without.len());
            if (without.len(), needed_const.len()) == before {
                let said: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
                bail!("what does not compile belongs to no mutant:\n  {}", said.join("\n  "));
            }
        }
    }

    /// The mutants on the lines of an error; where there are none, the nearest above it.
    fn blamed(&self, error: &Diagnostic) -> Result<Vec<Number>> {
        let mut blamed = Vec::new();
        for spot in error.spans.iter().filter(|spot| spot.is_primary) {
            let text = list::source(&self.root, &spot.file_name)?;
            let lines: Vec<&str> = text.lines().collect();
            let own = lines.get(spot.line_start.saturating_sub(1)..spot.line_end).unwrap_or_default();
            blamed.extend(own.iter().flat_map(|line| weave::marked(line)));
        }
        if let ([], Some(spot)) = (&blamed[..], error.spans.iter().find(|spot| spot.is_primary)) {
            let text = list::source(&self.root, &spot.file_name)?;
            let above: Vec<&str> = text.lines().take(spot.line_end).collect();
            blamed.extend(above.iter().rev().find_map(|line| weave::marked(line).last()));
        }
        Ok(blamed)
    }

    /// Whether the crate compiles as it stands in the copy.
    pub fn compiles(&self) -> Result<bool> {
        Ok(self.check()?.is_empty())
    }

    fn check(&self) -> Result<Vec<Diagnostic>> {
        let (lines, success, said) = self.cargo(&["check", "--lib"])?;
        let errors = lines.into_iter().filter_map(|line| line.message).filter(|said| said.level == "error");
        // The last one only counts the others, and stands nowhere.
        let errors: Vec<Diagnostic> = errors.filter(|error| !error.spans.is_empty()).collect();
        if !success && errors.is_empty() {
            bail!("cargo check fails and names no place: {}", said.trim());
        }
        Ok(errors)
    }

    /// Builds the test programs; nothing where they do not compile.
    pub fn programs(&self) -> Result<Option<Vec<PathBuf>>> {
        let (lines, success, _) = self.cargo(&["test", "--tests", "--no-run"])?;
        let tests = lines.into_iter().filter(|line| line.profile.as_ref().is_some_and(|profile| profile.test));
        Ok(success.then(|| tests.filter_map(|line| line.executable).collect()))
    }

    /// What cargo reports, whether it succeeds, and what it says besides.
    fn cargo(&self, args: &[&str]) -> Result<(Vec<Line>, bool, String)> {
        let mut command = Command::new(process::cargo());
        command.args(args).args(["--quiet", "--locked", "--message-format", "json", "--package", self.package]);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target).env("CARGO_INCREMENTAL", "0");
        let output = command.stdin(Stdio::null()).output().context("cargo")?;
        let lines = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(), output.status.success(), said))
    }
}

/// Writes a file unless it is that already: cargo builds again what is newer.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let named = || path.display().to_string();
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    std::fs::create_dir_all(path.parent().unwrap_or(path)).with_context(named)?;
    std::fs::write(path, bytes).with_context(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_original_no_longer_has_goes_from_the_copy() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tree");
        let [kept, gone] = ["tests/server/main.rs", "tests/server.rs"].map(|file| root.join(file));
        put(&kept, b"fn main() {}").unwrap();
        put(&gone, b"fn main() {}").unwrap();
        let tree = Tree { root, original: PathBuf::new(), target: PathBuf::new(), package: "a" };
        tree.keep_only(&BTreeSet::from([kept.clone()])).unwrap();
        assert!(kept.exists() && !gone.exists());
    }
}
