//! `cargo xtask bench-compare`: what changed from one bench report to another, beyond noise.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::bench::report::{Measurement, Report};
use crate::bench::units;

/// Print what changed from one report.json to another beyond noise; fail where something got slower past the threshold
///
/// Noise: two medians whose 95 % confidence intervals meet, or that differ by less than 1 %. Exit code 1 says slower.
///
/// Example: cargo xtask bench-compare before.json target/bench-report/report.json --threshold 5
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The older report
    before: PathBuf,

    /// The newer report
    after: PathBuf,

    /// Per cent of slowdown that fails
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    threshold: f64,
}

/// Medians closer than this are the same however narrow their intervals: code layout alone moves them more.
const SAME: f64 = 0.01;

type Key<'a> = (&'a str, Option<u64>, &'a str);

/// What two reports say of each other.
#[derive(Debug, Default)]
struct Comparison<'a> {
    /// Beyond noise, with the factor of time, the most slowed first.
    changed: Vec<(Key<'a>, &'a Measurement, &'a Measurement, f64)>,
    within_noise: usize,
    gone: Vec<Key<'a>>,
    new: Vec<Key<'a>>,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    if !(args.threshold.is_finite() && args.threshold >= 0.0) {
        bail!("--threshold {}: a percentage of slowdown is zero or more", args.threshold);
    }
    let (before, after) = (Report::read(&args.before)?, Report::read(&args.after)?);
    if before.machine.cpu != after.machine.cpu {
        eprintln!("warning: different machines: {} and {}", before.machine.cpu, after.machine.cpu);
    }
    let comparison = compare(&before, &after);
    if comparison.changed.is_empty() && comparison.within_noise == 0 {
        bail!("the two reports have no measurement in common");
    }
    print!("{}", comparison.text());
    let limit = 1.0 + args.threshold / 100.0;
    let slower = comparison.changed.iter().filter(|(.., factor)| *factor > limit).count();
    if slower > 0 {
        println!("{slower} slower by more than {} %", args.threshold);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn compare<'a>(before: &'a Report, after: &'a Report) -> Comparison<'a> {
    let (old, new) = (by_key(before), by_key(after));
    let mut comparison = Comparison::default();
    for (key, older) in &old {
        let Some(newer) = new.get(key) else {
            comparison.gone.push(*key);
            continue;
        };
        let factor = newer.median_ns / older.median_ns;
        if is_noise(older, newer, factor) {
            comparison.within_noise += 1;
        } else {
            comparison.changed.push((*key, older, newer, factor));
        }
    }
    comparison.new = new.keys().filter(|key| !old.contains_key(*key)).copied().collect();
    comparison.changed.sort_by(|a, b| b.3.total_cmp(&a.3));
    comparison
}

fn by_key(report: &Report) -> BTreeMap<Key<'_>, &Measurement> {
    let keyed = report.measurements.iter().map(|m| ((m.operation.as_str(), m.size, m.implementation.as_str()), m));
    keyed.collect()
}

/// Without intervals, as in a report that another program wrote, any difference that is one counts.
fn is_noise(older: &Measurement, newer: &Measurement, factor: f64) -> bool {
    let interval = |m: &Measurement| (m.median_low_ns.unwrap_or(m.median_ns), m.median_high_ns.unwrap_or(m.median_ns));
    let ((old_low, old_high), (new_low, new_high)) = (interval(older), interval(newer));
    (factor - 1.0).abs() < SAME || (old_low <= new_high && new_low <= old_high)
}

impl Comparison<'_> {
    fn text(&self) -> String {
        let mut text = String::new();
        for (key, older, newer, factor) in &self.changed {
            let (before, after) = (units::time(older.median_ns), units::time(newer.median_ns));
            text += &format!("{:<9} {before:>9} -> {after:<9} {}\n", units::over(*factor), named(key));
        }
        for (title, keys) in [("gone", &self.gone), ("new", &self.new)] {
            keys.iter().for_each(|key| text += &format!("{title:<9} {:>22} {}\n", "", named(key)));
        }
        text + &format!("{} changed, {} within noise\n", self.changed.len(), self.within_noise)
    }
}

fn named((operation, size, implementation): &Key<'_>) -> String {
    let size = size.map(|size| format!(" {}", units::size(size))).unwrap_or_default();
    format!("{operation}{size} {implementation}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(measurements: &[(&str, u64, &str, f64, f64)]) -> Report {
        let measurements: Vec<serde_json::Value> = measurements
            .iter()
            .map(|(operation, size, implementation, median, half)| {
                serde_json::json!({"operation": operation, "size": size, "implementation": implementation,
                    "median_ns": median, "median_low_ns": median - half, "median_high_ns": median + half})
            })
            .collect();
        serde_json::from_value(serde_json::json!({"machine": {"cpu": "x"}, "measurements": measurements})).unwrap()
    }

    fn written(report: &Report) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), serde_json::to_string(report).unwrap()).unwrap();
        file
    }

    #[test]
    fn changes_beyond_noise_are_told_from_noise() {
        let before = report(&[
            ("open", 4096, "ring", 1000.0, 5.0),
            ("open", 4096, "rsa", 1000.0, 60.0),
            ("seal", 64, "ring", 10.0, 0.1),
        ]);
        let after = report(&[
            ("open", 4096, "ring", 1200.0, 5.0),
            ("open", 4096, "rsa", 1080.0, 60.0),
            ("seal", 128, "ring", 10.0, 0.1),
        ]);
        let text = compare(&before, &after).text();
        let expected = "\
+20.0 %     1.00 µs -> 1.20 µs   open 4 KiB ring
gone                             seal 64 B ring
new                              seal 128 B ring
1 changed, 1 within noise
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_difference_under_one_per_cent_is_noise_however_exact() {
        let (before, after) = (report(&[("a", 1, "x", 1000.0, 0.1)]), report(&[("a", 1, "x", 1009.0, 0.1)]));
        assert_eq!(compare(&before, &after).within_noise, 1);
    }

    #[test]
    fn only_a_slowdown_past_the_threshold_fails() {
        let before = written(&report(&[("open", 4096, "ring", 1000.0, 1.0)]));
        for (median, threshold, code) in
            [(1090.0, 10.0, ExitCode::SUCCESS), (1110.0, 10.0, ExitCode::FAILURE), (500.0, 0.0, ExitCode::SUCCESS)]
        {
            let after = written(&report(&[("open", 4096, "ring", median, 1.0)]));
            let args = Args { before: before.path().to_owned(), after: after.path().to_owned(), threshold };
            assert_eq!(format!("{:?}", run(&args).unwrap()), format!("{code:?}"), "{median}");
        }
    }

    #[test]
    fn reports_without_a_common_measurement_do_not_pass() {
        let (before, after) =
            (written(&report(&[("a", 1, "x", 1.0, 0.0)])), written(&report(&[("b", 1, "x", 1.0, 0.0)])));
        let args = Args { before: before.path().to_owned(), after: after.path().to_owned(), threshold: 10.0 };
        assert!(run(&args).is_err());
    }
}
