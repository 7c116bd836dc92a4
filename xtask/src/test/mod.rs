//! `cargo xtask test`: sets up what the tests need, then runs all of them and counts.

mod outcome;
pub mod prerequisites;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;
use outcome::Outcome;

/// Run every test, doctests included, after setting up what they need
///
/// Needed and set up: a Python environment in target/python, and Debian's
/// python3-venv, rabbitmq-server and valgrind. What is there is left alone.
///
/// Examples:
///   cargo xtask test
///   cargo xtask test --no-install
///   cargo xtask test -- -p studioml-envelope-core
///   cargo xtask test -- -- --nocapture seals
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Install nothing: name what is missing and fail
    #[arg(long)]
    no_install: bool,

    /// Passed on to `cargo test`; a package selection replaces the whole workspace
    #[arg(last = true, value_name = "ARGS")]
    cargo: Vec<OsString>,
}

/// Sets up, runs, prints a summary whose last line is `N passed, N failed`.
pub fn run(args: &Args, workspace: &Workspace) -> Result<ExitCode> {
    let python = prerequisites::set_up(workspace, !args.no_install)?;

    let mut command = Command::new(process::cargo());
    command.args(["test", "--all-features", "--no-fail-fast"]).current_dir(workspace.root());
    if !selects_packages(&args.cargo) {
        command.arg("--workspace");
    }
    command.args(&args.cargo).env("STUDIOML_PYTHON", python);
    let absent = absent_paths();
    if !absent.is_empty() {
        eprintln!("not tested, this CPU has not the instructions: {}", absent.join(", "));
        command.env("STUDIOML_SIMD_ABSENT", absent.join(","));
    }
    // the system's OpenSSL is good enough to build the benches' peer against
    command.env("OPENSSL_NO_VENDOR", "1");

    let outcome = watch(&mut command)?;
    outcome.report();
    Ok(if outcome.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The vector paths of the SIMD kernels that this CPU has not: their tests fail unless they are told.
fn absent_paths() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    macro_rules! has {
        ($($feature:tt),+) => { $(std::arch::is_x86_feature_detected!($feature))&&+ };
    }
    #[cfg(target_arch = "x86_64")]
    let paths = [
        ("avx2", has!("avx2", "bmi2")),
        ("avx512ifma", has!("avx512f", "avx512vl", "avx512bw", "avx512ifma", "avx2", "bmi2")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let paths: [(&str, bool); 0] = [];
    paths.into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect()
}

/// Shows cargo's output as it comes and keeps what it says of results.
fn watch(command: &mut Command) -> Result<Outcome> {
    let line = process::shown(command);
    eprintln!("$ {line}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("could not start `{line}`"))?;
    let stdout = child.stdout.take().context("cargo has no standard output")?;

    let mut outcome = Outcome::default();
    let mut here = std::io::stdout().lock();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("reading the output of cargo test")?;
        here.write_all(&line)?;
        here.write_all(b"\n")?;
        outcome.read(&String::from_utf8_lossy(&line));
    }
    drop(here);
    outcome.cargo_succeeded = child.wait()?.success();
    Ok(outcome)
}

fn selects_packages(args: &[OsString]) -> bool {
    let before_libtest = args.iter().take_while(|word| *word != "--");
    before_libtest.map(|word| word.to_string_lossy()).any(|word| {
        let short = word.starts_with("-p") && !word.starts_with("--");
        short || word == "--package" || word.starts_with("--package=") || word == "--workspace"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(words: &[&str]) -> bool {
        selects_packages(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_package_selection_replaces_the_workspace() {
        assert!(selects(&["-p", "core"]));
        assert!(selects(&["--release", "-pcore"]));
        assert!(selects(&["--package=core"]));
        assert!(!selects(&[]));
        assert!(!selects(&["--release", "--profile", "test"]));
        assert!(!selects(&["--", "-p"]));
    }
}
