//! The report as one HTML page that needs nothing beside itself: style and drawings are inside.

use std::fmt::Write as _;

use super::chart::{self, Palette, escape};
use super::instructions::Counts;
use super::report::{Cell, Machine, Operation, Report};
use super::table;

const STYLE: &str = include_str!("page.css");

/// More panels of bars than this would be a wall; the lines and the table have every size.
const PANELS: usize = 4;

/// The whole page.
pub fn page(report: &Report, counts: Option<&Counts>) -> String {
    let palette = Palette::of(report);
    let operations = report.operations();
    let mut html = String::new();
    let _ = write!(
        html,
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n\
         <meta name='viewport' content='width=device-width, initial-scale=1'>\n\
         <title>StudioML Envelope benches</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>StudioML Envelope benches</h1>\n"
    );
    html.push_str(&head(&report.machine));
    html.push_str(&navigation(&operations, counts.is_some()));
    html.push_str(&at_a_glance(report, &palette));
    html.push_str("<main>\n");
    for operation in &operations {
        html.push_str(&section(operation, &palette));
    }
    html.push_str("</main>\n");
    html.push_str(&counts.map(instructions).unwrap_or_default());
    html.push_str("</body>\n</html>\n");
    html
}

fn instructions(counts: &Counts) -> String {
    let rows: Vec<String> = table::count_rows(counts)
        .into_iter()
        .map(|row| {
            let is_floor = row.iter().any(|value| value.starts_with("floor: "));
            table_row(&row, &table::COUNT_COLUMNS, is_floor)
        })
        .collect();
    format!(
        "<section class='wide' id='instructions'>\n<h2>Instructions</h2>\n<p>{}</p>\n\
         <details><summary>every count</summary><div class='scroll'>{}</div></details>\n</section>\n",
        escape(&table::count_caption(counts)),
        table_of(&table::COUNT_COLUMNS, &rows)
    )
}

fn head(machine: &Machine) -> String {
    let mut list = String::from("<dl>\n");
    for (name, value) in table::head(machine) {
        let _ = writeln!(list, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    list.push_str("</dl>\n");
    list
}

fn navigation(operations: &[Operation<'_>], counted: bool) -> String {
    let links = operations.iter().map(|operation| {
        let name = escape(operation.name);
        format!("<a href='#{name}'>{name}</a>\n")
    });
    let counts = if counted { "<a href='#instructions'>instructions</a>\n" } else { "" };
    format!("<nav>\n{}{counts}</nav>\n", links.collect::<String>())
}

fn at_a_glance(report: &Report, palette: &Palette) -> String {
    let Some(overview) = chart::overview(report, palette) else {
        return format!("<section class='wide'>\n{}</section>\n", legend(palette));
    };
    format!(
        "<section class='wide'>\n<h2>Over the floor</h2>\n\
         <p>Time of each operation as a multiple of its floor, the bare call of the same library: 1× costs nothing over it. \
         The dashed line is 5 % over. At the right, the farthest of each row. A colour may return for implementations that no operation has in common.</p>\n{}{overview}</section>\n",
        legend(palette)
    )
}

fn legend(palette: &Palette) -> String {
    let items = palette.names().iter().map(|name| {
        let class = palette.class(name);
        format!("<li><svg viewBox='0 0 14 14' aria-hidden='true'><rect width='14' height='14' rx='3' class='bar {class}'/></svg>{}</li>\n", escape(name))
    });
    format!("<ul class='legend'>\n{}</ul>\n", items.collect::<String>())
}

fn section(operation: &Operation<'_>, palette: &Palette) -> String {
    let name = escape(operation.name);
    let mut html = format!("<section id='{name}'>\n<h2>{name}</h2>\n");
    let _ = writeln!(html, "<p>{}</p>", caption(operation));
    for cell in panels(&operation.cells) {
        html.push_str(&chart::bars(operation, cell, palette));
    }
    html.push_str(&chart::lines(operation, palette).unwrap_or_default());
    let _ = write!(
        html,
        "<details><summary>every number</summary><div class='scroll'>{}</div></details>\n</section>\n",
        numbers(operation)
    );
    html
}

fn caption(operation: &Operation<'_>) -> &'static str {
    let has_floor = operation.cells.iter().any(|cell| !cell.floors.is_empty());
    match (has_floor, operation.cells.len() > 1) {
        (true, true) => {
            "Time per call, shorter is better; ❙ marks the floor, the percentage is the time over it. Below, throughput over size, higher is better; dashed is the floor."
        }
        (true, false) => "Time per call, shorter is better; ❙ marks the floor, the percentage is the time over it.",
        (false, true) => "Time per call, shorter is better. Below, throughput over size, higher is better.",
        (false, false) => "Time per call, shorter is better.",
    }
}

/// Some sizes that span all: the first, the last, and what lies evenly between.
fn panels<'a, 'b>(cells: &'b [Cell<'a>]) -> Vec<&'b Cell<'a>> {
    if cells.len() <= PANELS {
        return cells.iter().collect();
    }
    let last = cells.len() - 1;
    (0..PANELS).filter_map(|index| cells.get((index * last + (PANELS - 1) / 2) / (PANELS - 1))).collect()
}

fn numbers(operation: &Operation<'_>) -> String {
    let rows: Vec<String> =
        table::rows(operation).iter().map(|row| table_row(&row.values, &table::COLUMNS, row.is_floor)).collect();
    table_of(&table::COLUMNS, &rows)
}

fn table_of(columns: &[(&str, &str)], rows: &[String]) -> String {
    let titles: String = columns.iter().map(|(title, class)| format!("<th class='{class}'>{title}</th>")).collect();
    format!("<table><thead><tr>{titles}</tr></thead><tbody>\n{}</tbody></table>", rows.concat())
}

fn table_row(values: &[String], columns: &[(&str, &str)], is_floor: bool) -> String {
    let cells = values.iter().zip(columns);
    let cells: String =
        cells.map(|(value, (_, class))| format!("<td class='{class}'>{}</td>", escape(value))).collect();
    format!("<tr{}>{cells}</tr>\n", if is_floor { " class='floor'" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::measurement;
    use super::*;

    fn sample() -> String {
        let mut measurements = Vec::new();
        for (size, time) in [(4096, 1.4e6), (65536, 1.5e6), (1 << 20, 2.0e6), (4 << 20, 5.0e6), (16 << 20, 20.0e6)] {
            measurements.push(measurement("open", Some(size), "aws-lc-rs <&> simd", time * 1.02));
            measurements.push(measurement("open", Some(size), "ring", time * 3.0));
            measurements.push(measurement("open", Some(size), "floor: aws-lc-rs bare", time));
        }
        measurements.push(measurement("agree", None, "ring", 55e3));
        page(&Report { machine: Machine { cpu: "A <CPU>".to_owned(), ..Machine::default() }, measurements }, None)
    }

    #[test]
    fn the_page_needs_nothing_beside_itself() {
        let page = sample();
        for outside in ["http:", "https:", "src=", "url(", "@import", "<link", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn names_are_text_and_never_markup() {
        let page = sample();
        assert!(page.contains("A &lt;CPU&gt;") && page.contains("aws-lc-rs &lt;&amp;&gt; simd"));
        assert!(!page.contains("<&>") && !page.contains("<CPU>"));
    }

    #[test]
    fn an_operation_has_bars_lines_and_every_number() {
        let page = sample();
        let open = page.split("<section id='open'>").nth(1).unwrap();
        let panels = open.matches("aria-label='time per call of open").count();
        assert_eq!(panels, PANELS, "not one for each of the five sizes");
        assert_eq!(open.matches("aria-label='throughput of open").count(), 1);
        assert_eq!(open.matches("<tr class='floor'>").count(), 5);
        let agree = page.split("<section id='agree'>").nth(1).unwrap().split("</section>").next().unwrap();
        assert!(!agree.contains("throughput over size"), "one size is no line");
    }
}
