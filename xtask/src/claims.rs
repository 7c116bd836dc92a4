//! `cargo xtask claims`: whatever SECURITY.md and docs/spec.md say is held by something, is held by something that exists and runs.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use walkdir::WalkDir;

use crate::fuzz;
use crate::workspace::Workspace;

/// Check that the tests, suites, fuzz targets and vectors that SECURITY.md and docs/spec.md cite exist and are run
///
/// A test that is ignored holds nothing, nor does a suite that is not among those that run, or a fuzz target that
/// fuzz/Cargo.toml does not name. In the specification every numbered clause must cite something after `Held by`; in
/// SECURITY.md, every row of a table with the column `held by`.
///
/// Examples:
///   cargo xtask claims
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

/// The documents, and how their claims are written.
const DOCUMENTS: [(&str, Reader); 2] = [("docs/spec.md", clauses), ("SECURITY.md", rows)];

/// Finds the claims of a document.
type Reader = fn(&str) -> Vec<Claim>;

/// Something that is said, and what is said to hold it.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    what: String,
    held_by: Vec<String>,
}

pub fn run(_: &Args, workspace: &Workspace) -> Result<()> {
    let known = Known::read(workspace.root())?;
    let mut problems = Vec::new();
    for (document, claims_of) in DOCUMENTS {
        let path = workspace.root().join(document);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let claims = claims_of(&text);
        if claims.is_empty() {
            problems.push(format!("{document}: no claim was found in it"));
        }
        println!(
            "{document}: {} claims, {} citations",
            claims.len(),
            claims.iter().map(|claim| claim.held_by.len()).sum::<usize>()
        );
        for claim in claims {
            if claim.held_by.is_empty() {
                problems.push(format!("{document}: {}: nothing holds it", claim.what));
            }
            for name in claim.held_by.iter().filter(|name| !known.holds(name, workspace.root())) {
                problems.push(format!("{document}: {}: {name} is not there, or is not run", claim.what));
            }
        }
    }
    if !problems.is_empty() {
        bail!("claims without what holds them:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

/// The numbered clauses of the specification: paragraphs that begin `**1.2**`, up to their `Held by`.
fn clauses(text: &str) -> Vec<Claim> {
    let is_clause = |paragraph: &&str| paragraph.starts_with("**") || paragraph.contains("\nHeld by ");
    let claim = |paragraph: &str| {
        let (what, held_by) = paragraph.split_once("\nHeld by ").unwrap_or((paragraph, ""));
        let number = what.split("**").nth(1).unwrap_or(what);
        Claim { what: number.chars().take(60).collect(), held_by: quoted(held_by) }
    };
    text.split("\n\n").filter(is_clause).map(claim).collect()
}

/// The rows of tables whose last column is called `held by`.
fn rows(text: &str) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut in_table = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, what, .., last, _] = cells.as_slice() else {
            in_table = false;
            continue;
        };
        if *last == "held by" {
            in_table = true;
        } else if in_table && !last.starts_with("---") {
            claims.push(Claim { what: (*what).to_owned(), held_by: quoted(last) });
        }
    }
    claims
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What can hold a claim.
struct Known {
    tests: BTreeSet<String>,
    fuzz_targets: Vec<String>,
    /// The sources of the conformance suite, in which what runs is called by module and name.
    conformance: String,
}

const CONFORMANCE: &str = "crates/studioml-envelope-conformance";

impl Known {
    fn read(root: &Path) -> Result<Self> {
        let (mut tests, mut conformance) = (BTreeSet::new(), String::new());
        let folders = ["crates", "xtask", "fuzz/tests"];
        let files = folders.iter().flat_map(|folder| WalkDir::new(root.join(folder)));
        for entry in files {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(entry.path()).with_context(|| entry.path().display().to_string())?;
                tests.extend(test_names(&text));
                if entry.path().starts_with(root.join(CONFORMANCE).join("src")) {
                    conformance += &text;
                }
            }
        }
        Ok(Self { tests, fuzz_targets: fuzz::known(&root.join("fuzz"))?, conformance })
    }

    fn holds(&self, name: &str, root: &Path) -> bool {
        match name.split_once('/') {
            Some(("suites", suite)) => suite.split_once("::").is_some_and(|(module, function)| {
                let path = root.join(CONFORMANCE).join("src/suites").join(module).with_extension("rs");
                let is_there =
                    std::fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("pub fn {function}(")));
                is_there && self.conformance.contains(&format!("{suite}("))
            }),
            Some(("fuzz", target)) => {
                let is_there = root.join("fuzz/fuzz_targets").join(target).with_extension("rs").is_file();
                is_there && self.fuzz_targets.iter().any(|known| known == target)
            }
            Some(("vectors", _)) => root.join(CONFORMANCE).join(name).is_file(),
            Some(("xtask", verb)) => root.join("xtask/src").join(verb).with_extension("rs").is_file(),
            Some(_) => false,
            None => self.tests.contains(name),
        }
    }
}

/// The functions that a line `#[test]` or `#[tokio::test…]` stands above, but for ignored ones, and what they call by bare name:
/// a test that must run alone calls its cases one after another.
fn test_names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in text.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("#[ignore") {
            is_ignored = true;
        } else if let Some(name) = function_name(line) {
            if is_test && !is_ignored {
                names.insert(name.to_owned());
            }
            (is_test, is_ignored) = (false, false);
        }
    }
    let bodies = text.split("#[test]").skip(1).filter_map(|after| after.split("\n}").next());
    let calls = bodies.flat_map(str::lines).filter_map(|line| line.trim().strip_suffix("();"));
    let called: Vec<&str> = calls.filter(|call| text.contains(&format!("\nfn {call}()"))).collect();
    names.extend(called.into_iter().map(str::to_owned));
    names
}

/// The name in a line that begins a function.
fn function_name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let name = line.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_end_with_what_holds_them() {
        let text = "# Title\n\nProse.\n\n**1.1** It must.\nHeld by `one`, `fuzz/two`.\n\n**1.2** Nobody looks.\n";
        let claim = |what: &str, held_by: &[&str]| Claim {
            what: what.to_owned(),
            held_by: held_by.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(clauses(text), [claim("1.1", &["one", "fuzz/two"]), claim("1.2", &[])]);
    }

    #[test]
    fn rows_are_those_of_tables_that_say_held_by() {
        let text =
            "| a | b |\n|---|---|\n| x | `no` |\n\n| claim | held by |\n|---|---|\n| it holds | `one`, `two` |\n";
        let claims = rows(text);
        assert_eq!(claims.len(), 1);
        assert_eq!(
            (claims[0].what.as_str(), claims[0].held_by.as_slice()),
            ("it holds", ["one".to_owned(), "two".to_owned()].as_slice())
        );
    }

    #[test]
    fn tests_are_functions_with_the_attribute_and_what_they_call() {
        let text = "#[test]\nfn one() {\n    part();\n    other(1);\n}\n\nfn part() {}\n\n#[tokio::test(start_paused = true)]\n\
                    async fn two() {}\n\n#[test]\n#[ignore = \"slow\"]\nfn never() {}\n\nproptest! {\n    #[test]\n    fn three(x in 0..4) {}\n}\n\nfn helper() {}\n";
        let names: Vec<String> = test_names(text).into_iter().collect();
        assert_eq!(names, ["one", "part", "three", "two"]);
    }

    #[test]
    fn what_is_there_and_does_not_run_holds_nothing() {
        let root = tempfile::tempdir().unwrap();
        let bin = |name| format!("[[bin]]\nname = \"{name}\"\n");
        for (path, text) in [
            (
                "crates/studioml-envelope-conformance/src/suites/one.rs",
                "pub fn runs() {}\npub fn rests() {}\n".to_owned(),
            ),
            ("crates/studioml-envelope-conformance/src/run.rs", "fn all() { one::runs(); one::gone(); }\n".to_owned()),
            ("crates/studioml-envelope-conformance/vectors/a.json", "{}".to_owned()),
            ("xtask/src/verb.rs", "#[test]\nfn a_test() {}\n".to_owned()),
            ("fuzz/tests/seeds.rs", "#[test]\n#[ignore]\nfn an_ignored_one() {}\n".to_owned()),
            ("fuzz/Cargo.toml", [bin("named"), bin("gone")].concat()),
            ("fuzz/fuzz_targets/named.rs", String::new()),
            ("fuzz/fuzz_targets/forgotten.rs", String::new()),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let known = Known::read(root.path()).unwrap();
        for name in ["suites/one::runs", "fuzz/named", "vectors/a.json", "xtask/verb", "a_test"] {
            assert!(known.holds(name, root.path()), "{name}");
        }
        for name in [
            "suites/one::rests",
            "suites/one::gone",
            "suites/two::runs",
            "fuzz/forgotten",
            "fuzz/gone",
            "vectors/b.json",
            "xtask/other",
            "an_ignored_one",
            "no_test",
            "docs/page",
        ] {
            assert!(!known.holds(name, root.path()), "{name}");
        }
    }
}
