//! `completions` and `man`, for packagers.

use crate::{
    args::Cli,
    failure::{Failure, Outcome},
    io::{Contents, write_output},
};
use clap::CommandFactory as _;

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "studioml-envelope", &mut script);
    write_output(None, &script, Contents::Public, false)
}

/// Prints the manual page: the program and then each verb.
pub fn man() -> Outcome {
    let mut program = Cli::command();
    program.build(); // gives the verbs the options that all of them take
    let mut page = Vec::new();
    render(&program, &mut page)?;
    write_output(None, &page, Contents::Public, false)
}

fn render(command: &clap::Command, page: &mut Vec<u8>) -> Outcome {
    let failed = |error| Failure::io(format!("manual page: {error}"));
    clap_mangen::Man::new(command.clone()).render(page).map_err(failed)?;
    command.get_subcommands().filter(|verb| verb.get_name() != "help").try_for_each(|verb| render(verb, page))
}
