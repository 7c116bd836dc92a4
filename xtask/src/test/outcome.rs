//! What `cargo test` printed, added up over all test programs and doctests.

/// Results of a whole run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Test programs and doctests that ran to their end.
    programs: u64,
    passed: u64,
    failed: u64,
    /// Names, as libtest prints them: nothing is left out in silence.
    ignored: Vec<String>,
    failures: Vec<String>,
    pub cargo_succeeded: bool,
}

impl Outcome {
    /// Takes in one line of libtest's output.
    pub fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.programs += 1;
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if let Some(test) = line.strip_prefix("test ") {
            if let Some((name, _)) = test.split_once(" ... ignored") {
                self.ignored.push(name.to_owned());
            } else if let Some(name) = test.strip_suffix(" ... FAILED") {
                self.failures.push(name.to_owned());
            }
        }
    }

    pub fn succeeded(&self) -> bool {
        self.cargo_succeeded && self.failed == 0 && !self.looked_at_nothing()
    }

    /// A name that no test bears would else pass as well as all of them.
    fn looked_at_nothing(&self) -> bool {
        self.programs > 0 && self.passed == 0 && self.failed == 0
    }

    /// The summary; its last line is the one that scripts read.
    pub fn report(&self) {
        println!();
        for name in &self.ignored {
            println!("ignored: {name}");
        }
        for name in &self.failures {
            println!("failed: {name}");
        }
        if !self.cargo_succeeded && self.failed == 0 {
            println!("cargo test failed without a failing test: something does not build or a test program died");
        }
        if self.cargo_succeeded && self.looked_at_nothing() {
            println!("no test ran: none has the name that was asked for");
        }
        println!("{}", self.counts());
    }

    fn counts(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }
}

/// The number before `what` in `ok. 3 passed; 1 failed; 0 ignored; …`.
fn count(counts: &str, what: &str) -> u64 {
    let mut words = counts.split([' ', ';']).filter(|word| !word.is_empty());
    let mut before = "";
    words
        .find_map(|word| {
            let number = if word == what { before.parse().ok() } else { None };
            before = word;
            number
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 3 tests
test fingerprint::tests::four_forms ... ok
test key::tests::a_short_key_is_refused ... FAILED
test soak::a_night - should panic ... ignored, takes a night

failures:

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests studioml_envelope_core

running 2 tests
test crates/core/src/lib.rs - front (line 5) ... ok
test crates/core/src/lib.rs - front (line 9) - compile fail ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.61s
";

    fn outcome(output: &str, cargo_succeeded: bool) -> Outcome {
        let mut outcome = Outcome { cargo_succeeded, ..Outcome::default() };
        output.lines().for_each(|line| outcome.read(line));
        outcome
    }

    #[test]
    fn all_programs_are_added_up() {
        let outcome = outcome(OUTPUT, false);
        assert_eq!(outcome.counts(), "3 passed, 1 failed");
        assert_eq!(outcome.failures, ["key::tests::a_short_key_is_refused"]);
        assert_eq!(outcome.ignored, ["soak::a_night - should panic"]);
        assert!(!outcome.succeeded());
    }

    #[test]
    fn a_run_that_does_not_build_has_not_succeeded() {
        assert!(!outcome("", false).succeeded());
        assert!(outcome("test result: ok. 2 passed; 0 failed; 0 ignored;", true).succeeded());
    }

    #[test]
    fn a_run_without_a_test_has_not_succeeded_unless_nothing_was_to_run() {
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored;";
        let one = "test result: ok. 1 passed; 0 failed; 0 ignored;";
        assert!(!outcome(none, true).succeeded());
        assert!(outcome(&[none, one, none].join("\n"), true).succeeded());
        assert!(outcome("", true).succeeded(), "as with --no-run");
    }
}
