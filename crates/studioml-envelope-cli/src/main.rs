//! The program `studioml-envelope`: what cluster owners, experimenters and runners type.
#![forbid(unsafe_code)]
// they panic where the stream cannot be written, which ends what a server has still to do: `io` has others
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod failure;
mod io;
mod load;
mod log;
mod secret_input;
mod verbs;

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;

use args::Cli;
use failure::{Exit, Outcome};

fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) if error.use_stderr() => {
            let _ = error.print();
            return ExitCode::from(Exit::Usage as u8);
        }
        Err(help) => help.print().and_then(|()| std::io::stdout().flush()).map_err(|error| io::not_printed(&error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.is_said() {
                io::say(&failure);
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(mut cli: Cli) -> Outcome {
    let opened = secret_input::open_descriptor(&mut cli.global.passphrase);
    keep_memory_private();
    opened?;
    verbs::run(cli)
}

/// No core dump, and no reading of this process's memory by other processes of the same user: it holds private keys.
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // both can fail only where a sandbox forbids the call; there is nothing better to do then
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
