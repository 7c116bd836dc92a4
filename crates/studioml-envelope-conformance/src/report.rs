//! What a conformance run says: per part and suite how many cases were run, passed, or lie in a declared gap.
//!
//! A case is left out of the count of a suite only through a [`Gap`] that the suite declares in code with a reason and an
//! exact number. A gap that is found more or less often than declared is a failure, so that nothing is skipped in silence.

use core::fmt::{self, Debug, Display};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::ASCII_MARKDOWN};
use studioml_envelope_core::Implementation;

/// What a part does. [`Provider`](Self::Provider) stands for suites that need all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// [`studioml_envelope_core::Random`]
    Random,
    /// [`studioml_envelope_core::Digest`]
    Digest,
    /// [`studioml_envelope_core::KeyWrap`]
    KeyWrap,
    /// [`studioml_envelope_core::KeyUnwrap`]
    KeyUnwrap,
    /// [`studioml_envelope_core::SecretBox`]
    SecretBox,
    /// [`studioml_envelope_core::Sign`]
    Sign,
    /// [`studioml_envelope_core::Verify`]
    Verify,
    /// [`studioml_envelope_core::Agree`]
    Agree,
    /// [`studioml_envelope_core::AgreeStatic`]
    AgreeStatic,
    /// [`studioml_envelope_core::Aead`]
    Aead,
    /// [`studioml_envelope_core::Kdf`]
    Kdf,
    /// A whole [`studioml_envelope_core::Provider`].
    Provider,
}

impl Role {
    /// Every role that a part can have, in the order of the provider's slots.
    pub const PARTS: [Self; 11] = [
        Self::Random,
        Self::Digest,
        Self::KeyWrap,
        Self::KeyUnwrap,
        Self::SecretBox,
        Self::Sign,
        Self::Verify,
        Self::Agree,
        Self::AgreeStatic,
        Self::Aead,
        Self::Kdf,
    ];

    /// The name of the provider's slot, or `provider`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Digest => "digest",
            Self::KeyWrap => "key_wrap",
            Self::KeyUnwrap => "key_unwrap",
            Self::SecretBox => "secret_box",
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::Agree => "agree",
            Self::AgreeStatic => "agree_static",
            Self::Aead => "aead",
            Self::Kdf => "kdf",
            Self::Provider => "provider",
        }
    }
}

/// Cases of a vector file that the contract leaves no room for, and how many there are: exactly.
///
/// They are run all the same, to see that they are refused the way the contract says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why the contract does not take them.
    pub reason: &'static str,
    /// How many cases there are.
    pub cases: usize,
}

/// One case that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The vector file, or what stands in for one.
    pub file: String,
    /// The case in it.
    pub case: String,
    /// What was expected and what came.
    pub what: String,
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, case {}: {}", self.file, self.case, self.what)
    }
}

/// What one suite found in one part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SuiteReport {
    /// Name of the suite.
    pub suite: String,
    /// What it looks at.
    pub role: Role,
    /// The part's library, or the provider's name.
    pub subject: String,
    /// Cases run against the vector's own expectation.
    pub run: usize,
    /// Of these, how many went as expected.
    pub passed: usize,
    /// Declared gaps, with the number of cases that really lie in each.
    pub gaps: Vec<(Gap, usize)>,
    /// What went wrong.
    pub failures: Vec<Failure>,
}

impl SuiteReport {
    /// Cases that lie in declared gaps.
    #[must_use]
    pub fn gap_cases(&self) -> usize {
        self.gaps.iter().map(|(_, found)| found).sum()
    }

    /// Whether something was run, all of it passed, and every gap has the size that was declared.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures.is_empty() && self.run > 0 && self.passed == self.run
    }
}

/// Collects the verdicts of one suite.
pub(crate) struct Cases {
    report: SuiteReport,
}

/// What a case comes to: nothing to say, or what went wrong.
pub(crate) type Verdict = Result<(), String>;

impl Cases {
    pub(crate) fn of_part(suite: &'static str, role: Role, part: Implementation, gaps: &'static [Gap]) -> Self {
        Self::new(suite, role, part.library, gaps)
    }

    pub(crate) fn new(suite: impl Into<String>, role: Role, subject: &str, gaps: &'static [Gap]) -> Self {
        let gaps = gaps.iter().map(|gap| (*gap, 0)).collect();
        let (suite, subject) = (suite.into(), subject.to_owned());
        Self { report: SuiteReport { suite, role, subject, run: 0, passed: 0, gaps, failures: Vec::new() } }
    }

    /// Records a case that was run.
    pub(crate) fn check(&mut self, file: &str, case: impl Display, verdict: Verdict) {
        self.report.run += 1;
        match verdict {
            Ok(()) => self.report.passed += 1,
            Err(what) => self.fail(file, case, what),
        }
    }

    /// Records a case that lies in a declared gap; `verdict` says whether the part refused it as the contract wants.
    pub(crate) fn gap(&mut self, gap: Gap, file: &str, case: impl Display, verdict: Verdict) {
        match self.report.gaps.iter_mut().find(|(declared, _)| *declared == gap) {
            Some((_, found)) => *found += 1,
            None => self.fail(file, &case, format!("gap that the suite does not declare: {}", gap.reason)),
        }
        if let Err(what) = verdict {
            self.fail(file, case, what);
        }
    }

    fn fail(&mut self, file: &str, case: impl Display, what: String) {
        self.report.failures.push(Failure { file: file.to_owned(), case: case.to_string(), what });
    }

    /// Closes the account: every gap must have been met as often as it was declared.
    pub(crate) fn finish(mut self) -> SuiteReport {
        for (gap, found) in self.report.gaps.clone() {
            if gap.cases != found {
                let what = format!("declared gap of {} cases has {found}: {}", gap.cases, gap.reason);
                let suite = self.report.suite.clone();
                self.fail("declared gaps", suite, what);
            }
        }
        self.report
    }
}

/// A [`Verdict`] on two values that should be equal.
pub(crate) fn expect_eq<T: PartialEq + Debug + ?Sized>(what: &str, found: &T, expected: &T) -> Verdict {
    if found == expected { Ok(()) } else { Err(format!("{what}: expected {expected:?}, found {found:?}")) }
}

/// A [`Verdict`] on two byte strings, told apart by length and first difference: they may be long.
pub(crate) fn expect_bytes(what: &str, found: &[u8], expected: &[u8]) -> Verdict {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).take_while(|(one, other)| one == other).count();
    Err(format!("{what}: {} bytes expected, {} found, first difference at byte {at}", expected.len(), found.len()))
}

/// A [`Verdict`] on a condition.
pub(crate) fn expect(what: &str, holds: bool) -> Verdict {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// A part that a library does not have, declared in code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsentPart {
    /// Which part.
    pub role: Role,
    /// Why there is none.
    pub reason: &'static str,
}

/// Everything that was run, over one library or provider or several.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// One entry for each suite and part.
    pub suites: Vec<SuiteReport>,
    /// Parts that are absent by declaration, with the library that lacks them.
    pub absent: Vec<(String, AbsentPart)>,
}

impl Report {
    /// Whether every suite succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !self.suites.is_empty() && self.suites.iter().all(SuiteReport::is_success)
    }

    /// Every failure, with the suite and the part it belongs to.
    pub fn failures(&self) -> impl Iterator<Item = (&SuiteReport, &Failure)> {
        self.suites.iter().flat_map(|suite| suite.failures.iter().map(move |failure| (suite, failure)))
    }

    /// Adds what another report says.
    pub fn extend(&mut self, other: Self) {
        self.suites.extend(other.suites);
        self.absent.extend(other.absent);
    }

    fn columns(&self) -> Vec<&str> {
        let mut subjects: Vec<&str> = Vec::new();
        let named = self.suites.iter().map(|suite| suite.subject.as_str());
        for subject in named.chain(self.absent.iter().map(|(library, _)| library.as_str())) {
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        subjects
    }

    fn cell(&self, role: Role, suite: &str, subject: &str) -> String {
        let found =
            self.suites.iter().find(|report| report.role == role && report.suite == suite && report.subject == subject);
        match found {
            Some(report) => format!("{} / {} / {}", report.run, report.passed, report.gap_cases()),
            None if self.absent.iter().any(|(library, part)| library == subject && part.role == role) => {
                "declared gap".to_owned()
            }
            None => String::new(),
        }
    }
}

impl Display for Report {
    /// The table: suites down, parts across, each cell `run / passed / declared gap`; then gaps, absent parts and failures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        let mut rows: Vec<(Role, &str)> = Vec::new();
        for suite in &self.suites {
            if !rows.contains(&(suite.role, &suite.suite)) {
                rows.push((suite.role, &suite.suite));
            }
        }
        rows.sort_by_key(|(role, _)| *role);

        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["part", "suite"].into_iter().chain(columns.iter().copied()));
        for (role, suite) in rows {
            let cells = columns.iter().map(|subject| self.cell(role, suite, subject));
            table.add_row([role.name().to_owned(), suite.to_owned()].into_iter().chain(cells));
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "cases: run / passed / declared gap\n\n{table}\n")?;

        let mut gaps: Vec<(Role, &str, Gap)> = Vec::new();
        for suite in &self.suites {
            for (gap, _) in &suite.gaps {
                if !gaps.contains(&(suite.role, &suite.suite, *gap)) {
                    gaps.push((suite.role, &suite.suite, *gap));
                }
            }
        }
        for (role, suite, gap) in gaps {
            writeln!(f, "gap: {} {suite}: {} cases: {}", role.name(), gap.cases, gap.reason)?;
        }
        for (library, part) in &self.absent {
            writeln!(f, "gap: {library} has no {}: {}", part.role.name(), part.reason)?;
        }
        for (suite, failure) in self.failures() {
            writeln!(f, "FAILED: {} {} {}: {failure}", suite.subject, suite.role.name(), suite.suite)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Gap = Gap { reason: "a test", cases: 2 };

    fn met(times: usize) -> SuiteReport {
        let mut cases = Cases::new("suite", Role::Kdf, "library", &[TWO]);
        cases.check("file", 0, Ok(()));
        for case in 0..times {
            cases.gap(TWO, "file", case, Ok(()));
        }
        cases.finish()
    }

    #[test]
    fn a_gap_met_as_often_as_declared_passes_and_any_other_number_fails() {
        for (times, succeeds) in [(0, false), (1, false), (2, true), (3, false)] {
            assert_eq!(met(times).is_success(), succeeds, "{times}");
            assert_eq!(met(times).gap_cases(), times);
        }
    }

    #[test]
    fn a_gap_that_nobody_declared_fails() {
        let mut cases = Cases::new("suite", Role::Kdf, "library", &[]);
        cases.check("file", 0, Ok(()));
        cases.gap(TWO, "file", 1, Ok(()));
        assert!(!cases.finish().is_success());
    }

    #[test]
    fn a_case_in_a_gap_that_is_not_refused_fails() {
        let mut cases = Cases::new("suite", Role::Kdf, "library", &[TWO]);
        cases.check("file", 0, Ok(()));
        cases.gap(TWO, "file", 1, Ok(()));
        cases.gap(TWO, "file", 2, Err("was accepted".to_owned()));
        assert!(!cases.finish().is_success());
    }

    #[test]
    fn a_suite_that_ran_nothing_is_no_success() {
        assert!(!Cases::new("suite", Role::Kdf, "library", &[]).finish().is_success());
        assert!(!Report::default().is_success());
    }

    #[test]
    fn the_table_shows_run_passed_gap_and_what_failed() {
        let mut cases = Cases::new("suite", Role::Kdf, "library", &[TWO]);
        cases.check("file", 0, Ok(()));
        cases.check("file", 1, Err("went wrong".to_owned()));
        cases.gap(TWO, "file", 2, Ok(()));
        cases.gap(TWO, "file", 3, Ok(()));
        let absent = AbsentPart { role: Role::Kdf, reason: "it has none" };
        let report = Report { suites: vec![cases.finish()], absent: vec![("other".to_owned(), absent)] };
        let table = report.to_string();
        for expected in [
            "| kdf  | suite | 2 / 1 / 2 | declared gap |",
            "gap: kdf suite: 2 cases: a test",
            "gap: other has no kdf: it has none",
            "FAILED: library kdf suite: file, case 1: went wrong",
        ] {
            assert!(table.contains(expected), "{expected}\n{table}");
        }
    }
    #[test]
    fn a_difference_of_bytes_is_told_by_its_place() {
        assert_eq!(expect_bytes("text", b"abc", b"abc"), Ok(()));
        for (found, said) in [
            (&b"abd"[..], "text: 3 bytes expected, 3 found, first difference at byte 2"),
            (b"xbc", "text: 3 bytes expected, 3 found, first difference at byte 0"),
            (b"ab", "text: 3 bytes expected, 2 found, first difference at byte 2"),
            (b"abcd", "text: 3 bytes expected, 4 found, first difference at byte 3"),
        ] {
            assert_eq!(expect_bytes("text", found, b"abc"), Err(said.to_owned()));
        }
    }

    #[test]
    fn a_difference_of_values_shows_both() {
        assert_eq!(expect_eq("sum", &4, &4), Ok(()));
        assert_eq!(expect_eq("sum", &5, &4), Err("sum: expected 4, found 5".to_owned()));
        assert_eq!((expect("no", true), expect("no", false)), (Ok(()), Err("no".to_owned())));
    }

    /// Two suites of one name, over other roles or subjects, stand in cells of their own.
    #[test]
    fn a_cell_belongs_to_one_part_and_suite() {
        let suite = |name: &str, role, subject, run: usize| {
            let mut cases = Cases::new(name, role, subject, &[]);
            (0..run).for_each(|case| cases.check("file", case, Ok(())));
            cases.finish()
        };
        let mut report = Report::default();
        report.extend(Report {
            suites: vec![
                suite("one", Role::Kdf, "first", 1),
                suite("one", Role::Aead, "first", 2),
                suite("two", Role::Kdf, "first", 3),
                suite("one", Role::Kdf, "second", 4),
            ],
            absent: vec![("second".to_owned(), AbsentPart { role: Role::Aead, reason: "it has none" })],
        });
        let rows: Vec<Vec<String>> = report
            .to_string()
            .lines()
            .filter(|line| line.starts_with("| ") && !line.contains("suite"))
            .map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect())
            .collect();
        assert_eq!(
            rows,
            [
                ["aead", "one", "2 / 2 / 0", "declared gap"].map(str::to_owned).to_vec(),
                ["kdf", "one", "1 / 1 / 0", "4 / 4 / 0"].map(str::to_owned).to_vec(),
                ["kdf", "two", "3 / 3 / 0"].map(str::to_owned).to_vec(),
            ]
        );
        assert!(report.is_success());
        assert_eq!(report.failures().count(), 0);
        report.extend(Report { suites: vec![suite("three", Role::Kdf, "first", 0)], absent: Vec::new() });
        assert!(!report.is_success(), "one of them ran nothing");
    }
}
