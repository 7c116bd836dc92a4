//! Running the program in a directory of its own.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test binary uses its part; a test may stop at once"
)]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A directory that goes away, and the program in it.
pub struct Place {
    directory: tempfile::TempDir,
}

/// What the program did.
pub struct Ran {
    pub exit: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    pub fn stdout_text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// Asserts the exit code, showing what the program said where it differs.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.exit, code, "stderr: {}\nstdout: {}", self.stderr, String::from_utf8_lossy(&self.stdout));
        self
    }

    /// Asserts that standard error does not hold a text.
    #[track_caller]
    pub fn keeps_quiet_of(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "{text:?} is in {:?}", self.stderr);
        self
    }

    /// Asserts that standard error holds a text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {:?}", self.stderr);
        self
    }
}

impl Place {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// One that has the keys of the Python vectors, under the names of the README.
    pub fn with_keys_of_python() -> Self {
        let place = Self::new();
        place.copy_vector("python/keys/studioml_message.pem", "message.pem");
        place.copy_vector("python/keys/studioml_message.pub.pem", "message.pub.pem");
        place.copy_vector("python/keys/passphrase", "phrase");
        place.copy_vector("python/keys/studioml_signing", "signing");
        place.copy_vector("python/keys/studioml_signing.pub", "signing.pub");
        place
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap()
    }

    /// Copies a vector file, private to its owner as a user's own would be.
    pub fn copy_vector(&self, vector: &str, name: &str) {
        self.write(name, fs::read(vectors().join(vector)).unwrap());
        self.chmod(name, 0o600);
    }

    pub fn chmod(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The program, to be run here without a passphrase in its environment.
    pub fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_studioml-envelope"));
        command.current_dir(self.path()).env_remove("STUDIOML_PASSPHRASE_FILE");
        command
    }

    /// A command of the shell, in which `se` is the program.
    pub fn shell(&self, command: &str) -> Ran {
        let mut shell = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_studioml-envelope");
        shell.args(["-c", &format!("se() {{ '{program}' \"$@\"; }}\n{command}")]);
        ran(shell.current_dir(self.path()).env_remove("STUDIOML_PASSPHRASE_FILE"), b"")
    }

    /// Runs the program with arguments separated by spaces.
    pub fn run(&self, arguments: &str) -> Ran {
        self.run_with(arguments, b"")
    }

    /// The same with something on standard input.
    pub fn run_with(&self, arguments: &str, input: &[u8]) -> Ran {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        ran(self.program().args(arguments), input)
    }

    /// Runs another tool here and expects it to do its work.
    #[track_caller]
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// Runs a command with something on standard input.
pub fn ran(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // a program that refuses early closes its input; that is its right
    let _ = child.stdin.take().unwrap().write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Ran { exit: status.code().unwrap_or(-1), stdout, stderr: String::from_utf8(stderr).unwrap() }
}

/// The vectors of the conformance crate.
pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../studioml-envelope-conformance/vectors")
}
