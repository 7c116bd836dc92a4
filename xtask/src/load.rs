//! `cargo xtask load`: loads a gateway, and puts what it takes beside what the same library's RSA allows.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::bench;
use crate::bench::report::Measurement;
use crate::process;
use crate::workspace::Workspace;

/// Load the gateway between directories and between two brokers, and add the figures to target/bench-report
///
/// Sustained requests a second against the RSA unwraps of the same library on the same cores, latency at half of that,
/// resident memory under load, and forged messages rejected a second. The load comes from this machine too: give the
/// gateway some cores with --cores, and the load and the brokers have the others.
///
/// Examples:
///   cargo xtask load
///   cargo xtask load dir --cores 0,1
///   cargo xtask load amqp --cores 0 --seconds 30
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What is on both sides of it. Both without
    kinds: Vec<Kind>,

    /// Cores of the gateway
    #[arg(long, value_delimiter = ',')]
    cores: Vec<usize>,

    /// How long each part takes, about
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Directory queues
    Dir,
    /// Two RabbitMQ nodes of its own
    Amqp,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Dir, Self::Amqp];

    fn name(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::Amqp => "amqp",
        }
    }
}

/// What the load generator of `crates/studioml-envelope-gateway/examples/load` prints.
#[derive(Debug, Deserialize, Serialize)]
struct Figures {
    /// What unwraps.
    library: String,
    gateway_cores: usize,
    request_bytes: u64,
    rsa_unwraps_per_second: f64,
    sustained_per_second: f64,
    share_of_ceiling: f64,
    half_load_per_second: f64,
    half_load_p50_ms: f64,
    half_load_p99_ms: f64,
    resident_mib: f64,
    forged_rejected_per_second: f64,
    forged_rejected_per_core_second: f64,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let program = build(workspace)?;
    let folder = workspace.target().join("bench-report");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for kind in if args.kinds.is_empty() { Kind::ALL.to_vec() } else { args.kinds.clone() } {
        let mut command = Command::new(&program);
        command.arg(kind.name()).args(["--seconds", &args.seconds.to_string()]);
        command.arg("--json").arg(record(&folder, kind));
        if !args.cores.is_empty() {
            let cores: Vec<String> = args.cores.iter().map(ToString::to_string).collect();
            command.args(["--cores", &cores.join(",")]);
        }
        process::run(&mut command)?;
    }
    bench::join(recorded(&folder)?, workspace)
}

fn build(workspace: &Workspace) -> Result<std::path::PathBuf> {
    let mut command = Command::new(process::cargo());
    command.args(["build", "--release", "-p", "studioml-envelope-gateway", "--example", "load"]);
    process::run(command.current_dir(workspace.root()))?;
    Ok(workspace.target().join("release/examples/load"))
}

fn record(folder: &Path, kind: Kind) -> std::path::PathBuf {
    folder.join(format!("gateway-{}.json", kind.name()))
}

/// The measurements of the last load of each kind.
pub fn recorded(folder: &Path) -> Result<Vec<Measurement>> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let path = record(folder, kind);
        if path.exists() {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let figures: Figures = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            all.extend(measurements(kind, &figures));
        }
    }
    Ok(all)
}

/// Rates become times, as everything in the report is one.
fn measurements(kind: Kind, figures: &Figures) -> Vec<Measurement> {
    let measurement = |what: &str, implementation: String, median_ns: f64| Measurement {
        operation: format!("gateway-{what}-{}", kind.name()),
        size: Some(figures.request_bytes),
        implementation,
        median_ns,
        median_low_ns: None,
        median_high_ns: None,
        spread_ns: None,
        samples: None,
        bytes: Some(figures.request_bytes),
        elements: Some(1),
    };
    let each = |per_second: f64| 1e9 / per_second;
    let (library, cores) = (&figures.library, figures.gateway_cores);
    vec![
        measurement("sustained", format!("{library}, gateway on {cores} cores"), each(figures.sustained_per_second)),
        measurement("sustained", format!("floor: {library} bare"), each(figures.rsa_unwraps_per_second)),
        measurement("half-load", "median latency".to_owned(), figures.half_load_p50_ms * 1e6),
        measurement("half-load", "99th percentile of latency".to_owned(), figures.half_load_p99_ms * 1e6),
        measurement("forged", "gateway, per core".to_owned(), each(figures.forged_rejected_per_core_second)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_joins_the_report() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(recorded(folder.path()).unwrap(), []);
        let text = r#"{"kind": "directory", "library": "aws-lc-rs", "gateway_cores": 2, "request_bytes": 4096,
            "rsa_unwraps_per_second": 1250.0, "sustained_per_second": 1000.0, "share_of_ceiling": 0.8,
            "half_load_per_second": 500.0, "half_load_p50_ms": 2.0, "half_load_p99_ms": 10.0, "resident_mib": 50.0,
            "forged_rejected_per_second": 9000.0, "forged_rejected_per_core_second": 5000.0}"#;
        std::fs::write(record(folder.path(), Kind::Dir), text).unwrap();
        let measurements = recorded(folder.path()).unwrap();
        let times: Vec<(&str, f64)> = measurements.iter().map(|m| (m.operation.as_str(), m.median_ns)).collect();
        assert_eq!(
            times,
            [
                ("gateway-sustained-dir", 1e6),
                ("gateway-sustained-dir", 0.8e6),
                ("gateway-half-load-dir", 2e6),
                ("gateway-half-load-dir", 10e6),
                ("gateway-forged-dir", 2e5),
            ]
        );
        // the floor is the gateway's own library's
        let report = bench::report::Report { machine: Default::default(), measurements };
        let operations = report.operations();
        let cell = &operations.iter().find(|operation| operation.name == "gateway-sustained-dir").unwrap().cells[0];
        assert_eq!(cell.over_floor(cell.rows[0]), Some(1.25));
    }
}
