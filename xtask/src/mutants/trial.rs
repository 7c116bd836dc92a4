//! Which test notices a mutant: only those that pass its place are asked, the quickest first.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::weave::Number;
use crate::process;

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// By the test of this name.
    Caught(String),
    /// This test ran into a loop that the mutant made, or waits for ever: noticed.
    Timeout(String),
    Missed,
    /// The mutant does not compile.
    Unviable,
}

/// A test that passes where nothing is changed.
pub struct Test {
    program: PathBuf,
    pub name: String,
    pub took: Duration,
    /// The places that it passes.
    pub passes: BTreeSet<Number>,
}

/// Where tests run.
pub struct Ground {
    /// The package's folder, as cargo runs its tests.
    pub package: PathBuf,
    /// For what they leave.
    pub scratch: PathBuf,
}

/// A test that goes on this much longer than it does without a mutant, in time of the processor, is in a loop.
const LOOP: u32 = 20;
const LEAST: Duration = Duration::from_secs(5);
/// One that has not ended after this long waits for something that never comes.
const PATIENCE: Duration = Duration::from_secs(300);
/// A mutant that asks for memory without end is not to take the machine's.
const MEMORY: u64 = 8 << 30;

enum Ended {
    Passed,
    Failed,
    Never,
}

impl Ground {
    /// Every test of these programs, run once: each must pass, and says where it passes by.
    pub fn tests(&self, programs: &[PathBuf]) -> Result<Vec<Test>> {
        let mut tests = Vec::new();
        for program in programs {
            let listed = process::capture(Command::new(program).args(["--list", "--format", "terse"]))?;
            for name in listed.lines().filter_map(|line| line.strip_suffix(": test")) {
                tests.push(self.first_run(program, name)?);
            }
        }
        tests.sort_by_key(|test| test.took);
        Ok(tests)
    }

    fn first_run(&self, program: &Path, name: &str) -> Result<Test> {
        let record = self.scratch.join("passed");
        std::fs::write(&record, "").with_context(|| record.display().to_string())?;
        let start = Instant::now();
        let mut command = self.command(program, name, PATIENCE);
        if !matches!(ended(command.env("MUTANTS_PASSED", &record), PATIENCE)?, Ended::Passed) {
            bail!("{}: {name} fails with nothing changed", program.display());
        }
        let took = start.elapsed();
        let passed = std::fs::read_to_string(&record).with_context(|| record.display().to_string())?;
        let passes = passed.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(Test { program: program.to_owned(), name: name.to_owned(), took, passes })
    }

    /// Asks one test after the other until one notices.
    pub fn verdict<'t>(&self, mutant: Option<Number>, tests: impl Iterator<Item = &'t Test>) -> Result<Verdict> {
        for test in tests {
            let processor = (test.took * LOOP).max(LEAST);
            let mut command = self.command(&test.program, &test.name, processor);
            if let Some(number) = mutant {
                command.env("MUTANT", number.to_string());
            }
            match ended(&mut command, PATIENCE)? {
                Ended::Passed => {}
                Ended::Failed => return Ok(Verdict::Caught(test.name.clone())),
                Ended::Never => return Ok(Verdict::Timeout(test.name.clone())),
            }
        }
        Ok(Verdict::Missed)
    }

    fn command(&self, program: &Path, test: &str, processor: Duration) -> Command {
        let mut command = Command::new("prlimit");
        command.arg(format!("--cpu={}", processor.as_secs())).arg(format!("--data={MEMORY}"));
        command.arg(program).args(["--exact", test]).current_dir(&self.package);
        command.env("CARGO_MANIFEST_DIR", &self.package).env("TMPDIR", &self.scratch);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

fn ended(command: &mut Command, patience: Duration) -> Result<Ended> {
    const CPU_LIMIT: i32 = 24;
    let mut child = command.spawn().with_context(|| process::shown(command))?;
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match (status.success(), status.signal()) {
                (true, _) => Ended::Passed,
                (false, Some(CPU_LIMIT)) => Ended::Never,
                (false, _) => Ended::Failed,
            });
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Ok(Ended::Never);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(script: &str, patience: Duration) -> Ended {
        ended(Command::new("sh").args(["-c", script]), patience).unwrap()
    }

    #[test]
    fn how_a_test_ends_is_told_apart() {
        let long = Duration::from_secs(60);
        assert!(matches!(after("true", long), Ended::Passed));
        assert!(matches!(after("false", long), Ended::Failed));
        assert!(matches!(after("kill -ABRT $$", long), Ended::Failed));
        assert!(matches!(after("kill -XCPU $$", long), Ended::Never));
        assert!(matches!(after("exec sleep 60", Duration::ZERO), Ended::Never));
    }
}
