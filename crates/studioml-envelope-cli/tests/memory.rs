//! The program keeps its memory to itself: no core dump, and no reading by other processes of the same user.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where something is not as expected"
)]

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nobody, as root's own processes are root's to read whatever they say.
const NOBODY: u32 = 65_534;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, waiting for its input. Started without privileges where the tests run with them.
fn waiting() -> Running {
    let program = tempfile::Builder::new().permissions(permissions(0o755)).tempdir().unwrap();
    let copy = program.path().join("studioml-envelope");
    std::fs::copy(env!("CARGO_BIN_EXE_studioml-envelope"), &copy).unwrap();
    let mut command = Command::new(&copy);
    command.args(["inspect", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    if owner("self") == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let running = Running(command.spawn().unwrap());
    // it is loaded now, and a directory of nobody's that is gone bothers it no more
    drop(program);
    running
}

fn permissions(mode: u32) -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(mode)
}

/// Who owns what the kernel shows of a process: root, where it is not to be dumped, and otherwise its user.
fn owner(process: &str) -> u32 {
    std::fs::metadata(format!("/proc/{process}/environ")).unwrap().uid()
}

fn core_limit(process: &str) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line on core files");
    line.split_whitespace().skip(4).take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_program_keeps_its_memory_to_itself() {
    let running = waiting();
    let process = running.0.id().to_string();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (limit, owner) = (core_limit(&process), owner(&process));
        if limit == "0 0" && owner == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "core files: {limit}; its memory belongs to user {owner}");
        std::thread::yield_now();
    }
}
