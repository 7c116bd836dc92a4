//! The deployed programs that are measured beside: built or found, and handed to the benches by name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::test::prerequisites;
use crate::workspace::Workspace;

/// Variables that the benches look for, as `benches/src/peer.rs` says.
const PYTHON: &str = "STUDIOML_PYTHON";
const GO_RUNNER: &str = "STUDIOML_BENCH_GO_RUNNER";

/// Where Debian's golang-1.21-go puts the compiler.
const DEBIAN_GO_1_21: &str = "/usr/lib/go-1.21/bin/go";
/// Where Debian's golang-golang-x-crypto-dev puts the library.
const DEBIAN_GOPATH: &str = "/usr/share/gocode";

/// The programs that can be measured. One that cannot is named with what it would take; everything else is measured.
pub fn find(workspace: &Workspace) -> Vec<(&'static str, PathBuf)> {
    let python = prerequisites::python(workspace).context("the Python client is not measured: install python3-venv");
    let go_runner = build_go_runner(workspace)
        .context("the Go runner's calls are not measured: install golang-1.21-go and golang-golang-x-crypto-dev");
    let mut found = Vec::new();
    for (variable, program) in [(PYTHON, python), (GO_RUNNER, go_runner)] {
        match program {
            Ok(program) => found.push((variable, program)),
            Err(error) => eprintln!("note: {error:#}"),
        }
    }
    found
}

/// The compiler: what `GO` names, else Go 1.21, which the deployed runner is built with, else the one on the path.
fn go() -> OsString {
    let deployed = || Some(OsString::from(DEBIAN_GO_1_21)).filter(|go| Path::new(go).exists());
    std::env::var_os("GO").or_else(deployed).unwrap_or_else(|| "go".into())
}

fn build_go_runner(workspace: &Workspace) -> Result<PathBuf> {
    let program = workspace.target().join("bench-report/go_runner");
    let mut command = Command::new(go());
    command.args(["build", "-o"]).arg(&program).arg("main.go");
    command.current_dir(workspace.root().join("benches/peers/go_runner"));
    // the library comes from Debian and not from a module proxy
    command.env("GO111MODULE", "off").env("GOFLAGS", "").env("GOTOOLCHAIN", "local");
    if std::env::var_os("GOPATH").is_none() {
        command.env("GOPATH", Path::new(DEBIAN_GOPATH));
    }
    process::run(&mut command)?;
    Ok(program)
}
