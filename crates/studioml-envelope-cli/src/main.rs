//! The program `studioml-envelope` (CLI.md): what cluster owners, experimenters and runners type.
#![forbid(unsafe_code)]

mod args;
mod failure;
mod io;
mod load;
mod secret_input;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

use args::Cli;
use failure::Exit;

fn main() -> ExitCode {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked_for = !error.use_stderr(); // --help and --version
            let printed = error.print();
            return if asked_for && printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Usage as u8) };
        }
    };
    let opened = secret_input::open_descriptor(&mut cli.global.passphrase);
    keep_memory_private();
    match opened.and_then(|()| verbs::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.is_said() {
                eprintln!("{failure}");
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// No core dump, and no reading of this process's memory by other processes of the same user: it holds private keys.
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // both can fail only where a sandbox forbids the call; there is nothing better to do then
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
