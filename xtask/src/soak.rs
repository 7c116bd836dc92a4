//! `cargo xtask soak`: the gateway's tests in their long forms, one after another, and what each of them found.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process;
use crate::test::prerequisites;
use crate::workspace::Workspace;

/// Run the gateway's tests in their long forms, between directories and between real brokers, and print a report
///
/// Kills at random points, stalls, alarms, floods, rotations, and 100,000 messages over 20 queues: tens of minutes in all.
/// The report goes to target/soak-report.txt too.
///
/// Examples:
///   cargo xtask soak
///   cargo xtask soak many_messages
///   cargo xtask soak --repeat 3 kills:: faults::
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// How many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,

    /// Only tests whose names hold one of these. All without
    #[arg(value_name = "TEST")]
    tests: Vec<OsString>,
}

/// Test programs that have long forms.
const PROGRAMS: [&str; 2] = ["service", "amqp"];
/// What the tests look for.
const LONG: &str = "STUDIOML_GATEWAY_LONG";

/// One test of one round.
#[derive(Debug, PartialEq)]
struct Entry {
    test: String,
    took: Duration,
    passed: bool,
    /// What it said of itself.
    found: Vec<String>,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<ExitCode> {
    let python = prerequisites::set_up(workspace, true)?;
    let mut entries = Vec::new();
    let mut succeeded = true;
    for _ in 0..args.repeat {
        for program in PROGRAMS {
            let mut command = Command::new(process::cargo());
            command.args(["test", "-p", "studioml-envelope-gateway", "--test", program]);
            // in turn, so that what one does to the machine is not another's finding, and said as it happens
            command.args(["--", "--test-threads", "1", "--nocapture"]).args(&args.tests);
            command.env(LONG, "1").env("STUDIOML_PYTHON", &python).current_dir(workspace.root());
            succeeded &= watch(&mut command, &mut entries)?;
        }
    }
    let report = report(&entries);
    let path = workspace.target().join("soak-report.txt");
    std::fs::write(&path, &report).with_context(|| path.display().to_string())?;
    print!("\n{report}");
    succeeded &= !entries.is_empty() && entries.iter().all(|entry| entry.passed);
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows the output as it comes, and keeps what it says of each test.
fn watch(command: &mut Command, entries: &mut Vec<Entry>) -> Result<bool> {
    let line = process::shown(command);
    eprintln!("$ {line}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("could not start `{line}`"))?;
    let stdout = child.stdout.take().context("cargo has no standard output")?;
    let mut reader = Reader::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("reading the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        entries.extend(reader.read(&line, Instant::now()));
    }
    Ok(child.wait()?.success())
}

/// libtest's output of tests that run in turn and are not captured: `test NAME ... `, what the test prints, and its result.
///
/// No line ends after the name, so that it is seen only with what comes next: a test begins where the one before it ended.
#[derive(Default)]
struct Reader {
    began: Option<Instant>,
    current: Option<(String, Vec<String>)>,
}

impl Reader {
    fn read(&mut self, line: &str, now: Instant) -> Option<Entry> {
        let began = *self.began.get_or_insert(now);
        let begins = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "));
        let said = match begins {
            Some((name, said)) => {
                self.current = Some((name.to_owned(), Vec::new()));
                said
            }
            None => line,
        };
        let Some((_, found)) = self.current.as_mut() else {
            self.began = Some(now);
            return None;
        };
        match said {
            "ok" | "FAILED" => {
                let (test, found) = self.current.take()?;
                self.began = Some(now);
                let took = now.saturating_duration_since(began);
                return Some(Entry { test, took, passed: said == "ok", found });
            }
            _ if said.starts_with("ignored") => {
                self.current = None;
                self.began = Some(now);
            }
            "" => {}
            _ => found.push(said.to_owned()),
        }
        None
    }
}

/// Tests that said nothing of themselves are counted and not listed, unless they failed.
fn report(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries.iter().filter(|entry| !entry.passed || !entry.found.is_empty()) {
        let result = if entry.passed { "passed" } else { "FAILED" };
        text += &format!("{} ({result} in {:.0} s)\n", entry.test, entry.took.as_secs_f64());
        for line in &entry.found {
            text += &format!("    {line}\n");
        }
    }
    if entries.is_empty() {
        text += "no test ran: none has the name that was asked for\n";
    }
    let failed = entries.iter().filter(|entry| !entry.passed).count();
    text + &format!("{} passed, {failed} failed\n", entries.len() - failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 4 tests
test gateway_process ... ignored, not a test
test kills::many ... 100 sent
7 twice
ok
test way::quiet ... ok
test kills::lost ... FAILED

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn each_test_keeps_what_it_said() {
        let mut reader = Reader::default();
        let start = Instant::now();
        let a_line_a_second = OUTPUT.lines().zip(0..);
        let entries: Vec<Entry> = a_line_a_second
            .filter_map(|(line, second)| reader.read(line, start + Duration::from_secs(second)))
            .collect();
        let entry = |test: &str, seconds, passed, found: &[&str]| Entry {
            test: test.to_owned(),
            took: Duration::from_secs(seconds),
            passed,
            found: found.iter().map(|line| (*line).to_owned()).collect(),
        };
        let expected = [
            entry("kills::many", 3, true, &["100 sent", "7 twice"]),
            entry("way::quiet", 1, true, &[]),
            entry("kills::lost", 1, false, &[]),
        ];
        assert_eq!(entries, expected);
        assert_eq!(
            report(&entries),
            "kills::many (passed in 3 s)\n    100 sent\n    7 twice\nkills::lost (FAILED in 1 s)\n2 passed, 1 failed\n"
        );
    }
}
