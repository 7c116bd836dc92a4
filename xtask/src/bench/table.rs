//! The numbers behind the pictures, as rows; and the report as Markdown.

use std::fmt::Write as _;

use super::chart;
use super::instructions::{Count, Counts};
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

/// Titles of the table of instruction counts.
pub const COUNT_COLUMNS: [(&str, &str); 5] = [
    ("operation", ""),
    ("size", "number"),
    ("implementation", ""),
    ("instructions", "number"),
    ("over floor", "number"),
];

/// Every instruction count; over the floor of the same operation, size and implementation where it was counted.
pub fn count_rows(counts: &Counts) -> Vec<[String; COUNT_COLUMNS.len()]> {
    let row = |count: &Count| {
        let floor = format!("floor: {} bare", count.implementation);
        let of_same = |other: &&Count| other.operation == count.operation && other.size == count.size;
        let floor = counts.measurements.iter().filter(of_same).find(|other| other.implementation == floor);
        #[allow(clippy::cast_precision_loss, reason = "a ratio of counts far below 2^53")]
        let over = floor.map(|floor| units::over(count.instructions as f64 / floor.instructions as f64));
        [
            count.operation.clone(),
            count.size.map(units::size).unwrap_or_default(),
            count.implementation.clone(),
            units::thousands(count.instructions),
            over.unwrap_or_default(),
        ]
    };
    counts.measurements.iter().map(row).collect()
}

/// Of which commit the counts are, and when they were made.
pub fn count_caption(counts: &Counts) -> String {
    let Machine { commit, date, rustc, cpu, .. } = &counts.machine;
    format!("Counted by callgrind at commit {commit}, {date}, {rustc}, on {cpu}.")
}

/// The report as Markdown.
pub fn markdown(report: &Report, counts: Option<&Counts>) -> String {
    let mut text = String::from("# StudioML Envelope benches\n\n");
    for (name, value) in head(&report.machine) {
        let _ = writeln!(text, "- {name}: {value}");
    }
    for operation in report.operations() {
        let _ = writeln!(text, "\n## {}\n", operation.name);
        markdown_table(&mut text, &COLUMNS, rows(&operation).into_iter().map(|row| row.values));
    }
    if let Some(counts) = counts {
        let _ = writeln!(text, "\n## Instructions\n\n{}\n", count_caption(counts));
        markdown_table(&mut text, &COUNT_COLUMNS, count_rows(counts));
    }
    text
}

fn markdown_table<const N: usize>(
    text: &mut String,
    columns: &[(&str, &str); N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    let titles = columns.map(|(title, _)| title).join(" | ");
    let rules = columns.map(|(_, class)| if class == "number" { "---:" } else { "---" }).join(" | ");
    let _ = writeln!(text, "| {titles} |\n| {rules} |");
    for row in rows {
        let _ = writeln!(text, "| {} |", row.map(|value| value.replace('|', "\\|")).join(" | "));
    }
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
        let text = markdown(&Report { machine, measurements: vec![floor, open] }, None);
        assert!(text.contains("- CPU: A CPU, 4 threads\n"), "{text}");
        assert!(!text.contains("flags"), "{text}");
        assert!(text.contains("| 4 KiB | aws-lc-rs | 1.47 ms | ± 1.0 % | 2.79 MB/s | +5.0 % |"), "{text}");
        assert!(text.contains("| 4 KiB | floor: aws-lc-rs bare | 1.40 ms |  | 2.93 MB/s |  |"), "{text}");
    }

    #[test]
    fn counts_stand_over_their_own_floor() {
        let count = |implementation: &str, instructions| Count {
            operation: "open".to_owned(),
            size: Some(4096),
            implementation: implementation.to_owned(),
            instructions,
        };
        let machine = Machine { commit: "abc".to_owned(), ..Machine::default() };
        let measurements = vec![count("floor: rustcrypto bare", 1_000_000), count("rustcrypto", 1_030_000)];
        let report = Report { machine: Machine::default(), measurements: Vec::new() };
        let text = markdown(&report, Some(&Counts { machine, measurements }));
        assert!(text.contains("commit abc"), "{text}");
        assert!(text.contains("| open | 4 KiB | floor: rustcrypto bare | 1\u{a0}000\u{a0}000 |  |"), "{text}");
        assert!(text.contains("| open | 4 KiB | rustcrypto | 1\u{a0}030\u{a0}000 | +3.0 % |"), "{text}");
    }
}
