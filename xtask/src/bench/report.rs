//! What a bench run found: the machine and the measurements, as `report.json` holds them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The whole of `report.json`. What another program wrote may leave out all but the four main fields of a measurement.
#[derive(Debug, Deserialize, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub measurements: Vec<Measurement>,
}

/// Where and of what the measurements were made.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Machine {
    pub cpu: String,
    pub cores: u64,
    /// Instruction sets the crypto libraries choose by.
    pub cpu_features: Vec<String>,
    /// Cargo features of the facade in this build.
    pub features: Vec<String>,
    pub rustc: String,
    pub rustflags: String,
    pub commit: String,
    /// What was typed.
    pub command: String,
    /// UTC, RFC 3339.
    pub date: String,
    pub kernel: String,
    /// Runnable processes over the last minute when the run began: above a fraction of a core it disturbs.
    pub load_before: f64,
    pub libraries: BTreeMap<String, String>,
}

/// One operation of one implementation at one size.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Measurement {
    pub operation: String,
    /// Bytes; none where the operation has no size.
    pub size: Option<u64>,
    /// The library that serves the slot, or `floor: <library> bare`.
    pub implementation: String,
    pub median_ns: f64,
    /// 95 % confidence interval of the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_low_ns: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_high_ns: Option<f64>,
    /// Median absolute deviation of the samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread_ns: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// Bytes that one iteration works through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Messages, handshakes and the like in one iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<u64>,
}

impl Measurement {
    /// The library whose bare call this is, for a floor.
    pub fn floor_of(&self) -> Option<&str> {
        self.implementation.strip_prefix("floor: ").map(|rest| rest.strip_suffix(" bare").unwrap_or(rest))
    }
}

/// All measurements of one operation at one size.
pub struct Cell<'a> {
    pub size: Option<u64>,
    /// What is compared, fastest first.
    pub rows: Vec<&'a Measurement>,
    pub floors: Vec<&'a Measurement>,
}

impl<'a> Cell<'a> {
    /// The floor of an implementation: the bare call of its own library. A composition stands over the library it is
    /// named for first; of two such floors the longer name is the closer one.
    pub fn floor(&self, row: &Measurement) -> Option<&'a Measurement> {
        let own =
            |floor: &&&Measurement| floor.floor_of().is_some_and(|library| is_made_of(&row.implementation, library));
        self.floors.iter().filter(own).max_by_key(|floor| floor.implementation.len()).copied()
    }

    /// How much of a floor's time the implementation takes; 1 is the floor itself.
    pub fn over_floor(&self, row: &Measurement) -> Option<f64> {
        self.floor(row).map(|floor| row.median_ns / floor.median_ns)
    }

    /// Floors that are no implementation's own: all rows stand over them alike.
    pub fn shared_floors(&self) -> impl Iterator<Item = &'a Measurement> {
        let unowned = |floor: &&Measurement| {
            let library = floor.floor_of().unwrap_or_default();
            !self.rows.iter().any(|row| is_made_of(&row.implementation, library))
        };
        self.floors.iter().copied().filter(unowned)
    }
}

fn is_made_of(implementation: &str, library: &str) -> bool {
    let rest = implementation.strip_prefix(library);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '+', '/', ',']))
}

/// One operation over all its sizes, smallest first.
pub struct Operation<'a> {
    pub name: &'a str,
    pub cells: Vec<Cell<'a>>,
}

impl Report {
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| format!("{} is no bench report", path.display()))
    }

    /// The measurements by operation and size, in the order of their names.
    pub fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations: BTreeMap<&str, BTreeMap<Option<u64>, Vec<&Measurement>>> = BTreeMap::new();
        for measurement in &self.measurements {
            let sizes = operations.entry(&measurement.operation).or_default();
            sizes.entry(measurement.size).or_default().push(measurement);
        }
        let operation =
            |(name, sizes): (_, BTreeMap<_, _>)| Operation { name, cells: sizes.into_iter().map(cell).collect() };
        operations.into_iter().map(operation).collect()
    }
}

fn cell((size, mut measurements): (Option<u64>, Vec<&Measurement>)) -> Cell<'_> {
    measurements.sort_by(|a, b| a.median_ns.total_cmp(&b.median_ns));
    let (floors, rows) = measurements.into_iter().partition(|measurement| measurement.floor_of().is_some());
    Cell { size, rows, floors }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A measurement with the four fields every report has.
    pub fn measurement(operation: &str, size: Option<u64>, implementation: &str, median_ns: f64) -> Measurement {
        let (operation, implementation) = (operation.to_owned(), implementation.to_owned());
        Measurement {
            operation,
            size,
            implementation,
            median_ns,
            median_low_ns: None,
            median_high_ns: None,
            spread_ns: None,
            samples: None,
            bytes: size,
            elements: None,
        }
    }

    fn report(measurements: Vec<Measurement>) -> Report {
        Report { machine: Machine::default(), measurements }
    }

    #[test]
    fn a_composition_stands_over_the_floor_of_its_first_library() {
        let report = report(vec![
            measurement("open", Some(4096), "aws-lc-rs + simd", 110.0),
            measurement("open", Some(4096), "aws-lc-rs", 120.0),
            measurement("open", Some(4096), "aws", 90.0),
            measurement("open", Some(4096), "floor: aws-lc-rs bare", 100.0),
            measurement("open", Some(4096), "floor: memcpy bare", 1.0),
        ]);
        let operations = report.operations();
        let cell = &operations[0].cells[0];
        let over: Vec<Option<f64>> = cell.rows.iter().map(|row| cell.over_floor(row)).collect();
        assert_eq!(over, [None, Some(1.1), Some(1.2)]);
        let shared: Vec<&str> = cell.shared_floors().filter_map(Measurement::floor_of).collect();
        assert_eq!(shared, ["memcpy"]);
    }

    #[test]
    fn sizes_and_rows_are_in_order() {
        let report = report(vec![
            measurement("seal", Some(65536), "ring", 9.0),
            measurement("seal", Some(4096), "ring", 2.0),
            measurement("seal", Some(4096), "rsa", 1.0),
            measurement("agree", None, "ring", 5.0),
        ]);
        let operations = report.operations();
        let names: Vec<&str> = operations.iter().map(|operation| operation.name).collect();
        assert_eq!(names, ["agree", "seal"]);
        let sizes: Vec<Option<u64>> = operations[1].cells.iter().map(|cell| cell.size).collect();
        assert_eq!(sizes, [Some(4096), Some(65536)]);
        let rows: Vec<&str> = operations[1].cells[0].rows.iter().map(|row| row.implementation.as_str()).collect();
        assert_eq!(rows, ["rsa", "ring"]);
    }

    #[test]
    fn four_fields_make_a_measurement() {
        let text = r#"{"machine": {}, "measurements": [{"operation": "open", "size": null, "implementation": "x", "median_ns": 3}]}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!(report.measurements, [measurement("open", None, "x", 3.0)]);
    }
}
