//! What cargo-mutants would change: its list, read.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;
use crate::tool::{self, Tool};
use crate::workspace::Workspace;

/// One small change.
#[derive(Clone, Debug, Deserialize)]
pub struct Mutant {
    /// With place, as cargo-mutants says it.
    pub name: String,
    /// From the root of the tree.
    pub file: String,
    pub genre: Genre,
    /// What stands in the place of what `span` covers.
    pub replacement: String,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Span {
    pub start: Place,
    pub end: Place,
}

/// Line and column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Mutant {
    /// The name without line and column, which every edit above it changes.
    pub fn lasting(&self) -> String {
        let (place, change) = self.name.split_once(": ").unwrap_or(("", &self.name));
        let file = place.split(':').next().unwrap_or_default();
        format!("{}: {change}", file.strip_prefix("crates/").unwrap_or(file))
    }

    /// The file with this change and no other.
    pub fn applied(&self, source: &str) -> Result<String> {
        let outside = || format!("{} is not in the file", self.name);
        let start = offset(source, self.span.start).with_context(outside)?;
        let end = offset(source, self.span.end).with_context(outside)?;
        let before = source.get(..start).with_context(outside)?;
        let after = source.get(end..).with_context(outside)?;
        Ok(format!("{before}{}{after}", self.replacement))
    }
}

/// Where a place is in the text, in bytes.
fn offset(source: &str, place: Place) -> Option<usize> {
    let above = place.line.checked_sub(1)?;
    let line = source.split_inclusive('\n').nth(above)?;
    let start: usize = source.split_inclusive('\n').take(above).map(str::len).sum();
    let column = place.column.checked_sub(1)?;
    let within = line.char_indices().map(|(at, _)| at).chain([line.len()]).nth(column)?;
    Some(start + within)
}

/// Asks cargo-mutants.
pub fn mutants(package: &str, args: &[String], workspace: &Workspace) -> Result<Vec<Mutant>> {
    let mut command = tool::command(Tool::Mutants, workspace)?;
    command.args(["--list", "--json", "--package", package]).args(args).current_dir(workspace.root());
    serde_json::from_str(&process::capture(&mut command)?).context("what cargo-mutants lists")
}

/// The text of a file of the tree.
pub fn source(root: &Path, file: &str) -> Result<String> {
    let path = root.join(file);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A mutant of `source` that replaces the `nth` occurrence of `text`, counted from 0.
    pub fn mutant(source: &str, genre: Genre, (text, nth): (&str, usize), replacement: &str) -> Mutant {
        let (start, _) = source.match_indices(text).nth(nth).unwrap();
        let place = |at: usize| {
            let before = &source[..at];
            let line = before.matches('\n').count() + 1;
            Place { line, column: before.rsplit('\n').next().unwrap().chars().count() + 1 }
        };
        let span = Span { start: place(start), end: place(start + text.len()) };
        let name = format!("crates/a/src/a.rs:{}:{}: replace", span.start.line, span.start.column);
        Mutant { name, file: "crates/a/src/a.rs".to_owned(), genre, replacement: replacement.to_owned(), span }
    }

    #[test]
    fn a_change_is_made_where_it_stands() {
        let source = "fn f() {\n    \"é\"; a < b\n}\n";
        let changed = mutant(source, Genre::BinaryOperator, ("<", 0), "<=").applied(source).unwrap();
        assert_eq!(changed, "fn f() {\n    \"é\"; a <= b\n}\n");
    }

    #[test]
    fn a_place_that_is_not_there_is_an_error() {
        let change = mutant("a < b", Genre::BinaryOperator, ("<", 0), "<=");
        assert!(change.applied("a").is_err());
    }

    #[test]
    fn a_name_lasts_when_its_line_moves() {
        let change = mutant("\n\na < b", Genre::BinaryOperator, ("<", 0), "<=");
        assert_eq!(change.name, "crates/a/src/a.rs:3:3: replace");
        assert_eq!(change.lasting(), "a/src/a.rs: replace");
    }
}
