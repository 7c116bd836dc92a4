//! Development tasks of StudioML Envelope, run as `cargo xtask <verb>`.
//!
//! One module per verb. What needs the crypto crates is run as a cargo subprocess, so that this program builds in
//! seconds and can report on a tree that does not compile.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bench;
mod bench_compare;
mod checksum;
mod claims;
mod coverage;
mod ctgrind;
mod dist;
mod features;
mod fuzz;
mod fuzz_seeds;
mod layers;
mod load;
mod msrv;
mod mutants;
mod process;
mod semver;
mod soak;
mod test;
mod timing;
mod tool;
mod vectors;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use workspace::Workspace;

/// Development tasks of StudioML Envelope.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Test(test::Args),
    Layers(layers::Args),
    Features(features::Args),
    Msrv(msrv::Args),
    Semver(semver::Args),
    Coverage(coverage::Args),
    Mutants(mutants::Args),
    Vectors(vectors::Args),
    Fuzz(fuzz::Args),
    FuzzSeeds(fuzz_seeds::Args),
    Bench(bench::Args),
    Load(load::Args),
    Soak(soak::Args),
    BenchCompare(bench_compare::Args),
    Dist(dist::Args),
    Claims(claims::Args),
    Ctgrind(ctgrind::Args),
    Timing(timing::Args),
    Tool(tool::Args),
}

fn main() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", shown(&error));
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, from the outermost cause in, and below it what to do about it.
fn shown(error: &anyhow::Error) -> String {
    let (mut causes, mut hints) = (Vec::new(), Vec::new());
    for cause in error.chain().map(ToString::to_string) {
        let (hint, text): (Vec<&str>, Vec<&str>) = cause.lines().partition(|line| line.starts_with("hint: "));
        hints.extend(hint.into_iter().map(str::to_owned));
        causes.extend((!text.is_empty()).then(|| text.join("\n")));
    }
    [vec![causes.join(": ")], hints].concat().join("\n")
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    match cli.verb {
        Verb::Test(args) => return test::run(&args, &workspace),
        Verb::Layers(args) => layers::run(&args, &workspace)?,
        Verb::Features(args) => features::run(&args, &workspace)?,
        Verb::Msrv(args) => msrv::run(&args, &workspace)?,
        Verb::Semver(args) => semver::run(&args, &workspace)?,
        Verb::Coverage(args) => coverage::run(&args, &workspace)?,
        Verb::Mutants(args) => return mutants::run(&args, &workspace),
        Verb::Vectors(args) => vectors::run(&args, &workspace)?,
        Verb::Fuzz(args) => fuzz::run(&args, &workspace)?,
        Verb::FuzzSeeds(args) => fuzz_seeds::run(&args, &workspace)?,
        Verb::Bench(args) => bench::run(&args, &workspace)?,
        Verb::Load(args) => load::run(&args, &workspace)?,
        Verb::Soak(args) => return soak::run(&args, &workspace),
        Verb::BenchCompare(args) => return bench_compare::run(&args),
        Verb::Dist(args) => dist::run(&args, &workspace)?,
        Verb::Claims(args) => claims::run(&args, &workspace)?,
        Verb::Ctgrind(args) => ctgrind::run(&args, &workspace)?,
        Verb::Timing(args) => timing::run(&args, &workspace)?,
        Verb::Tool(args) => tool::run(&args, &workspace)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn a_hint_stands_below_all_causes() {
        let error = anyhow::anyhow!("no such file").context("list.txt\nhint: write it").context("hint: or do without");
        assert_eq!(super::shown(&error), "list.txt: no such file\nhint: or do without\nhint: write it");
        let plain = anyhow::anyhow!("two lines\n  of it").context("it failed");
        assert_eq!(super::shown(&plain), "it failed: two lines\n  of it");
    }
}
