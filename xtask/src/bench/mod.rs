//! `cargo xtask bench`: runs the criterion groups of `benches/` and writes a report that maintainers can compare.

mod chart;
mod criterion;
mod instructions;
mod machine;
mod operations;
mod page;
mod peers;
pub mod report;
mod table;
pub mod units;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::load;
use crate::process;
use crate::workspace::Workspace;
use instructions::Counts;
use report::{Measurement, Report};

/// Measure, and write target/bench-report/report.{html,md,json}
///
/// Examples:
///   cargo xtask bench
///   cargo xtask bench --quick
///   cargo xtask bench open seal
///   cargo xtask bench --add batch
///   cargo xtask bench --list
///   cargo xtask bench --instructions
///   cargo xtask bench --instructions -- --callgrind-limits=ir=2%
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Short measurements: a few minutes for everything, coarser numbers
    #[arg(long)]
    quick: bool,

    /// Print the operations there are, and the file each is measured in
    #[arg(long)]
    list: bool,

    /// Measure nothing: write the Markdown and the page again from the report.json that is there
    #[arg(long, conflicts_with_all = ["quick", "list"])]
    render: bool,

    /// Count instructions under valgrind instead of measuring time: the same on a busy machine. Says what changed since the
    /// last such run, and writes instructions.json; the next report has the counts too. What stands after -- goes to
    /// gungraun-runner
    #[arg(long, conflicts_with_all = ["quick", "list", "render"])]
    instructions: bool,

    /// Keep what the runs before measured and this one does not: a report in several sittings
    #[arg(long, conflicts_with_all = ["list", "render", "instructions"])]
    add: bool,

    /// Only these: operations, or files of benches/benches. All without
    #[arg(value_name = "OPERATION")]
    operations: Vec<String>,
}

/// How long criterion takes for each measurement. Resamples are what its confidence intervals are made of.
const QUICK: [&str; 8] =
    ["--warm-up-time", "0.2", "--measurement-time", "0.8", "--sample-size", "10", "--nresamples", "2000"];
const FULL: [&str; 2] = ["--nresamples", "20000"];

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let folder = workspace.target().join("bench-report");
    let json = folder.join("report.json");
    let counted = folder.join("instructions.json");
    if args.render {
        return write(&Report::read(&json)?, instructions::kept(&counted)?.as_ref(), &folder);
    }

    if args.instructions {
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let counts = instructions::run(&args.operations, &counted, workspace)?;
        println!("{} counts\n  {}", counts.measurements.len(), counted.display());
        return Ok(());
    }

    let programs = operations::programs(workspace);
    if programs.is_empty() {
        bail!("the benches package has no criterion program");
    }
    if args.list {
        for (operation, program) in operations::operations(workspace, &programs)? {
            println!("{operation:<28} benches/benches/{program}.rs");
        }
        return Ok(());
    }

    let machine = machine::describe(workspace)?;
    let mut command = selected(args, workspace, &programs)?;
    // Not criterion's usual folder: what earlier runs left there would be in the report too.
    let raw = folder.join("raw");
    if raw.exists() && !args.add {
        std::fs::remove_dir_all(&raw).with_context(|| raw.display().to_string())?;
    }
    process::run(command.env("CRITERION_HOME", &raw).envs(peers::find(workspace)))?;
    let mut measurements = criterion::read(&raw)?;
    if measurements.is_empty() {
        bail!("the benches ran and left no measurement in {}", raw.display());
    }

    measurements.extend(load::recorded(&folder)?);

    let report = Report { machine, measurements };
    std::fs::write(&json, serde_json::to_string_pretty(&report)? + "\n").with_context(|| json.display().to_string())?;
    write(&report, instructions::kept(&counted)?.as_ref(), &folder)
}

/// Puts measurements of `cargo xtask load` into the report, in place of earlier ones of the same operations.
pub fn join(measurements: Vec<Measurement>, workspace: &Workspace) -> Result<()> {
    let folder = workspace.target().join("bench-report");
    let json = folder.join("report.json");
    let mut report = if json.exists() {
        Report::read(&json)?
    } else {
        Report { machine: machine::describe(workspace)?, measurements: Vec::new() }
    };
    let replaced: BTreeSet<&str> = measurements.iter().map(|measurement| measurement.operation.as_str()).collect();
    report.measurements.retain(|earlier| !replaced.contains(earlier.operation.as_str()));
    report.measurements.extend(measurements);
    std::fs::write(&json, serde_json::to_string_pretty(&report)? + "\n").with_context(|| json.display().to_string())?;
    write(&report, instructions::kept(&folder.join("instructions.json"))?.as_ref(), &folder)
}

fn selected(args: &Args, workspace: &Workspace, programs: &[String]) -> Result<Command> {
    let pace: &[&str] = if args.quick { &QUICK } else { &FULL };
    let options = |mut command: Command| {
        command.args(["--", "--noplot"]).args(pace);
        command
    };
    if args.operations.is_empty() {
        return Ok(options(operations::cargo_bench(workspace.root(), programs)));
    }
    let all = operations::operations(workspace, programs)?;
    let wanted = operations::select(&all, &args.operations)?;
    let programs: BTreeSet<&String> = wanted.values().collect();
    let mut command = options(operations::cargo_bench(workspace.root(), programs));
    command.arg(operations::filter(wanted.keys()));
    Ok(command)
}

fn write(report: &Report, counts: Option<&Counts>, folder: &Path) -> Result<()> {
    for (name, text) in [("report.md", table::markdown(report, counts)), ("report.html", page::page(report, counts))] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    println!("{} measurements", report.measurements.len());
    for name in ["report.html", "report.md", "report.json"] {
        println!("  {}", folder.join(name).display());
    }
    Ok(())
}
