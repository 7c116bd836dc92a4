//! Criterion's raw output, `<operation>/<implementation>/<size>/new/{benchmark,estimates,sample}.json`, read back.
//!
//! The convention of `benches/README.md` turns an id into a measurement; an id that does not follow it is an error,
//! so that nothing is left out of the report in silence.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use walkdir::WalkDir;

use super::report::Measurement;

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
enum Throughput {
    Bits(u64),
    Bytes(u64),
    BytesDecimal(u64),
    Elements(u64),
    ElementsAndBytes { elements: u64, bytes: u64 },
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
    median_abs_dev: Estimate,
}

/// Nanoseconds per iteration.
#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

#[derive(Deserialize)]
struct Sample {
    times: Vec<f64>,
}

/// All measurements below `folder`, in the order of their paths.
pub fn read(folder: &Path) -> Result<Vec<Measurement>> {
    let mut measurements = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.context("reading criterion's output")?;
        let of_this_run = entry.path().parent().is_some_and(|parent| parent.ends_with("new"));
        if of_this_run && entry.file_name() == "benchmark.json" {
            let run = entry.path().parent().unwrap_or(folder);
            measurements.push(measurement(run).with_context(|| run.display().to_string())?);
        }
    }
    Ok(measurements)
}

fn measurement(run: &Path) -> Result<Measurement> {
    let benchmark: Benchmark = json(&run.join("benchmark.json"))?;
    let estimates: Estimates = json(&run.join("estimates.json"))?;
    let sample: Sample = json(&run.join("sample.json"))?;

    let operation = benchmark.group_id;
    let Some(implementation) = benchmark.function_id else {
        bail!("benchmark {operation} names no implementation: benches/README.md says how ids are made");
    };
    let size = match benchmark.value_str {
        Some(value) => Some(
            value
                .parse()
                .with_context(|| format!("{operation}/{implementation}/{value}: {value} is no size in bytes"))?,
        ),
        None => None,
    };
    let (bytes, elements) = work(benchmark.throughput.as_ref());
    Ok(Measurement {
        operation,
        size,
        implementation,
        median_ns: estimates.median.point_estimate,
        median_low_ns: Some(estimates.median.confidence_interval.lower_bound),
        median_high_ns: Some(estimates.median.confidence_interval.upper_bound),
        spread_ns: Some(estimates.median_abs_dev.point_estimate),
        samples: u64::try_from(sample.times.len()).ok(),
        bytes,
        elements,
    })
}

fn work(throughput: Option<&Throughput>) -> (Option<u64>, Option<u64>) {
    match throughput {
        None => (None, None),
        Some(Throughput::Bits(bits)) => (Some(bits / 8), None),
        Some(Throughput::Bytes(bytes) | Throughput::BytesDecimal(bytes)) => (Some(*bytes), None),
        Some(Throughput::Elements(elements)) => (None, Some(*elements)),
        Some(Throughput::ElementsAndBytes { elements, bytes }) => (Some(*bytes), Some(*elements)),
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTIMATES: &str = r#"{
        "mean": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 1.0, "upper_bound": 2.0}, "point_estimate": 1.5, "standard_error": 0.1},
        "median": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 1390.0, "upper_bound": 1410.5}, "point_estimate": 1400.25, "standard_error": 3.1},
        "median_abs_dev": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 1.0, "upper_bound": 9.0}, "point_estimate": 4.5, "standard_error": 0.1},
        "slope": null,
        "std_dev": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 1.0, "upper_bound": 2.0}, "point_estimate": 1.5, "standard_error": 0.1}}"#;
    const SAMPLE: &str =
        r#"{"sampling_mode": "Flat", "iters": [10.0, 10.0, 10.0], "times": [14000.0, 14002.5, 13990.0]}"#;

    fn write_run(folder: &Path, benchmark: &str) {
        std::fs::create_dir_all(folder).unwrap();
        for (name, text) in [("benchmark.json", benchmark), ("estimates.json", ESTIMATES), ("sample.json", SAMPLE)] {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn an_id_becomes_a_measurement() {
        let root = tempfile::tempdir().unwrap();
        let benchmark = r#"{"group_id": "secret-box-seal", "function_id": "floor: libsodium bare", "value_str": "4096",
            "throughput": {"Bytes": 4096}, "full_id": "x", "directory_name": "x", "title": "x"}"#;
        write_run(&root.path().join("secret-box-seal/floor_ libsodium bare/4096/new"), benchmark);
        // what an earlier run left must not count twice
        write_run(&root.path().join("secret-box-seal/floor_ libsodium bare/4096/base"), benchmark);
        let measurements = read(root.path()).unwrap();
        let [measurement] = measurements.as_slice() else { panic!("{measurements:?}") };
        assert_eq!(measurement.operation, "secret-box-seal");
        assert_eq!(measurement.floor_of(), Some("libsodium"));
        assert_eq!((measurement.size, measurement.bytes, measurement.elements), (Some(4096), Some(4096), None));
        assert_eq!((measurement.median_ns, measurement.spread_ns), (1400.25, Some(4.5)));
        assert_eq!((measurement.median_low_ns, measurement.median_high_ns), (Some(1390.0), Some(1410.5)));
        assert_eq!(measurement.samples, Some(3));
    }

    #[test]
    fn an_operation_may_have_no_size() {
        let root = tempfile::tempdir().unwrap();
        let benchmark =
            r#"{"group_id": "agree", "function_id": "ring", "value_str": null, "throughput": {"Elements": 1}}"#;
        write_run(&root.path().join("agree/ring/new"), benchmark);
        let measurement = read(root.path()).unwrap().pop().unwrap();
        assert_eq!((measurement.size, measurement.bytes, measurement.elements), (None, None, Some(1)));
    }

    #[test]
    fn an_id_that_breaks_the_convention_is_an_error() {
        for (benchmark, says) in [
            (
                r#"{"group_id": "open", "function_id": null, "value_str": null, "throughput": null}"#,
                "names no implementation",
            ),
            (
                r#"{"group_id": "open", "function_id": "ring", "value_str": "large", "throughput": null}"#,
                "large is no size",
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            write_run(&root.path().join("open/new"), benchmark);
            let error = format!("{:#}", read(root.path()).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
