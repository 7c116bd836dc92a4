//! What is deployed today, run as child processes inside criterion's groups: the same machine, minutes and statistics as
//! everything beside it.
//!
//! A child gets an operation and its files on the command line, says what it is, and then answers each number of iterations
//! with the nanoseconds they took: starting it and talking to it are not measured. `peers/` has the programs. Where they
//! are is said by two variables that `cargo xtask bench` sets: [`PYTHON`] and [`GO_RUNNER`].

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use criterion::{BenchmarkGroup, BenchmarkId, measurement::WallTime};
use studioml_envelope::{Sealer, Signer, provider};

/// The variable that names a Python with PyCryptodome and PyNaCl.
pub const PYTHON: &str = "STUDIOML_PYTHON";
/// The variable that names the built program of `peers/go_runner`.
pub const GO_RUNNER: &str = "STUDIOML_BENCH_GO_RUNNER";

const PYTHON_CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/python_client.py");

const SEED_PEER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/studioml-envelope-channel/tests/python/seed_peer.py");

/// Measures the seed's own client and server over loopback TCP, a process each. Without a Python that is said on stderr.
pub fn bench_seed_handshakes(group: &mut BenchmarkGroup<'_, WallTime>, operation: &str) {
    let Some(mut peer) = Peer::seed_handshakes(1) else {
        eprintln!("{operation}: {PYTHON} names no program, its peer is not measured");
        return;
    };
    group.bench_function(peer.name.clone(), |bench| bench.iter_custom(|iterations| peer.run(iterations)));
}

/// Measures the deployed programs on messages of `size` bytes. One that is not there is named on stderr and left out.
pub fn bench_deployed(group: &mut BenchmarkGroup<'_, WallTime>, operation: &str, size: usize) {
    for mut peer in Peer::deployed(operation, size) {
        group.bench_function(BenchmarkId::new(peer.name.clone(), size), |bench| {
            bench.iter_custom(|iterations| peer.run(iterations));
        });
    }
}

/// What a child reads, in a folder that goes when this does.
struct Files(tempfile::TempDir);

impl Files {
    fn write(size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let provider = provider::default();
        let plaintext = crate::request(size);
        let sealer = Sealer::new(&provider, crate::rsa_4096().public_key()).unwrap();
        let signer = Signer::new(&provider, &crate::ed25519()).unwrap();
        let message = sealer.seal_signed_envelope(&plaintext, &signer).unwrap();
        for (name, bytes) in [("key", crate::RSA_4096_PKCS1_DER), ("plaintext", &plaintext), ("message", &message)] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        Self(folder)
    }
}

/// A deployed program that runs and measures itself.
pub struct Peer {
    name: String,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// The seed's own server and so many of its clients over loopback TCP, a process each, on the cores that this process has.
    /// None if [`PYTHON`] names no program.
    #[must_use]
    pub fn seed_handshakes(clients: u64) -> Option<Self> {
        let mut command = Command::new(std::env::var_os(PYTHON)?);
        command.args([SEED_PEER, "handshakes", "--clients", &clients.to_string()]);
        Some(Self::start(command))
    }

    /// The Python client and the Go runner, at an operation on a message of `size` bytes. One that is not there is named on
    /// stderr and left out.
    ///
    /// # Panics
    /// If one is there and does not run.
    #[must_use]
    pub fn deployed(operation: &str, size: usize) -> Vec<Self> {
        let python = std::env::var_os(PYTHON).map(|python| {
            let mut command = Command::new(python);
            command.arg(PYTHON_CLIENT);
            command
        });
        // Python writes no fingerprint and Go no envelope: what a program does not do is not measured
        let go_runner = std::env::var_os(GO_RUNNER).filter(|_| operation != "envelope-seal+sign").map(Command::new);
        let files = Files::write(size);
        let start = |(variable, command): (&str, Option<Command>)| {
            let Some(mut command) = command else {
                eprintln!("{operation}: {variable} names no program, its peer is not measured");
                return None;
            };
            command.arg(operation).args(["key", "plaintext", "message"].map(|name| files.0.path().join(name)));
            Some(Self::start(command))
        };
        [(PYTHON, python), (GO_RUNNER, go_runner)].into_iter().filter_map(start).collect()
    }

    /// What it says it is, with its versions.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut peer = Self { name: String::new(), child, questions, answers };
        peer.name = peer.answer();
        peer
    }

    /// How long it took for so many iterations.
    ///
    /// # Panics
    /// If it has ended.
    pub fn run(&mut self, iterations: u64) -> Duration {
        writeln!(self.questions, "{iterations}").unwrap();
        Duration::from_nanos(self.answer().parse().unwrap())
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "the peer has ended: its error stands above");
        line.trim_end().to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
