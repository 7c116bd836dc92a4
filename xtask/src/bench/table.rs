//! The numbers behind the pictures, as rows; and the report as Markdown.

use std::fmt::Write as _;

use super::chart;
use super::report::{Cell, Machine, Measurement, Operation, Report};
use super::units;

/// Titles, and the class of the style sheet that aligns them.
pub const COLUMNS: [(&str, &str); 6] = [
    ("size", "number"),
    ("implementation", ""),
    ("median", "number"),
    ("spread", "number"),
    ("rate", "number"),
    ("over floor", "number"),
];

pub struct Row {
    pub values: [String; COLUMNS.len()],
    pub is_floor: bool,
}

/// Every measurement of an operation: by size, what is compared first, then the floors.
pub fn rows(operation: &Operation<'_>) -> Vec<Row> {
    let of_cell =
        |cell: &Cell<'_>| -> Vec<Row> { cell.rows.iter().chain(&cell.floors).map(|row| of(cell, row)).collect() };
    operation.cells.iter().flat_map(of_cell).collect()
}

fn of(cell: &Cell<'_>, row: &Measurement) -> Row {
    let spread = row.spread_ns.map(|spread| format!("± {:.1} %", spread / row.median_ns * 100.0));
    let is_floor = row.floor_of().is_some();
    let over = if is_floor { None } else { cell.over_floor(row).map(units::over) };
    let values = [
        cell.size.map(units::size).unwrap_or_default(),
        row.implementation.clone(),
        units::time(row.median_ns),
        spread.unwrap_or_default(),
        chart::rate(row).unwrap_or_default(),
        over.unwrap_or_default(),
    ];
    Row { values, is_floor }
}

/// What stands at the head of every rendering; what is not known is left out.
pub fn head(machine: &Machine) -> Vec<(&'static str, String)> {
    let libraries: Vec<String> = machine.libraries.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let load = format!("{:.2} runnable processes over the minute before", machine.load_before);
    let lines = [
        ("CPU", format!("{}, {} threads", machine.cpu, machine.cores)),
        ("CPU features", machine.cpu_features.join(" ")),
        ("load", load),
        ("kernel", machine.kernel.clone()),
        ("compiler", machine.rustc.clone()),
        ("flags", machine.rustflags.clone()),
        ("features", machine.features.join(" ")),
        ("commit", machine.commit.clone()),
        ("date", machine.date.clone()),
        ("command", machine.command.clone()),
        ("libraries", libraries.join(", ")),
    ];
    lines.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from("# StudioML Envelope benches\n\n");
    for (name, value) in head(&report.machine) {
        let _ = writeln!(text, "- {name}: {value}");
    }
    for operation in report.operations() {
        let _ = writeln!(text, "\n## {}\n", operation.name);
        let titles = COLUMNS.map(|(title, _)| title).join(" | ");
        let rules = COLUMNS.map(|(_, class)| if class == "number" { "---:" } else { "---" }).join(" | ");
        let _ = writeln!(text, "| {titles} |\n| {rules} |");
        for row in rows(&operation) {
            let _ = writeln!(text, "| {} |", row.values.map(|value| value.replace('|', "\\|")).join(" | "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::measurement;
    use super::*;

    #[test]
    fn markdown_has_a_row_for_each_measurement() {
        let mut open = measurement("open", Some(4096), "aws-lc-rs", 1_470_000.0);
        open.spread_ns = Some(14_700.0);
        let floor = measurement("open", Some(4096), "floor: aws-lc-rs bare", 1_400_000.0);
        let machine = Machine { cpu: "A CPU".to_owned(), cores: 4, ..Machine::default() };
        let text = markdown(&Report { machine, measurements: vec![floor, open] });
        assert!(text.contains("- CPU: A CPU, 4 threads\n"), "{text}");
        assert!(!text.contains("flags"), "{text}");
        assert!(text.contains("| 4 KiB | aws-lc-rs | 1.47 ms | ± 1.0 % | 2.79 MB/s | +5.0 % |"), "{text}");
        assert!(text.contains("| 4 KiB | floor: aws-lc-rs bare | 1.40 ms |  | 2.93 MB/s |  |"), "{text}");
    }
}
