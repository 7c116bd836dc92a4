//! Every operation beside its floor: one row each, one dot for each implementation that has one.

use super::super::report::{Operation, Report};
use super::super::units;
use super::scale::Scale;
use super::svg::{Anchor, Canvas, shortened};
use super::{Palette, WIDTH, room_for};

const RIGHT: f64 = 240.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 10.0;
const ROW: f64 = 19.0;
/// Beyond this the exact place says nothing that the number beside it does not say better.
const FARTHEST: f64 = 1.5;
/// What the project promises of its own operations.
const PROMISE: f64 = 1.05;

struct Row<'a> {
    label: String,
    dots: Vec<(&'a str, f64)>,
}

/// The chart, where anything has a floor of its own.
pub fn overview(report: &Report, palette: &Palette) -> Option<String> {
    let operations = report.operations();
    let rows: Vec<Row<'_>> = operations.iter().flat_map(rows_of).filter(|row| !row.dots.is_empty()).collect();
    let ratios = rows.iter().flat_map(|row| row.dots.iter().map(|(_, ratio)| *ratio));
    let nearest = ratios.clone().min_by(f64::total_cmp)?;
    let farthest = ratios.max_by(f64::total_cmp)?;
    let high = farthest.clamp(1.1, FARTHEST);
    let left = room_for(rows.iter().map(|row| row.label.as_str()));
    let scale = Scale { low: nearest.clamp(0.5, 0.98), high, from: left, to: WIDTH - RIGHT, logarithmic: false };

    let bottom = TOP + ROW * rows.len() as f64;
    let mut canvas = Canvas::new(WIDTH, bottom + BOTTOM);
    for mark in scale.marks(5.0) {
        canvas.line((scale.at(mark), TOP - 6.0), (scale.at(mark), bottom), "grid");
        canvas.text(
            scale.at(mark),
            TOP - 12.0,
            Anchor::Middle,
            "mark",
            &format!("{}×", units::round(&format!("{mark:.2}"))),
        );
    }
    canvas.line((scale.at(1.0), TOP - 6.0), (scale.at(1.0), bottom), "floor");
    canvas.line((scale.at(PROMISE), TOP - 6.0), (scale.at(PROMISE), bottom), "floor shared");
    for (row, top) in rows.iter().zip((0_u32..).map(|index| TOP + ROW * f64::from(index))) {
        draw(&mut canvas, row, top + ROW / 2.0, &scale, palette);
    }
    Some(canvas.finish("time of each operation as a multiple of its floor"))
}

fn rows_of<'a>(operation: &Operation<'a>) -> Vec<Row<'a>> {
    let row = |cell: &super::super::report::Cell<'a>| {
        let size = cell.size.map(|size| format!(" · {}", units::size(size))).unwrap_or_default();
        let dots = cell.rows.iter().filter_map(|row| Some((row.implementation.as_str(), cell.over_floor(row)?)));
        Row { label: format!("{}{size}", operation.name), dots: dots.collect() }
    };
    operation.cells.iter().map(row).collect()
}

fn draw(canvas: &mut Canvas, row: &Row<'_>, middle: f64, scale: &Scale, palette: &Palette) {
    canvas.line((scale.from, middle), (WIDTH - RIGHT, middle), "row");
    canvas.text(scale.from - 8.0, middle + 4.0, Anchor::End, "name", &shortened(&row.label, 32));
    for (name, ratio) in &row.dots {
        let note = format!("{name}: {} over its floor", units::over(*ratio));
        let class = if *ratio > scale.high { "dot beyond" } else { "dot" };
        canvas.dot((scale.at(*ratio), middle), 5.0, &format!("{class} {}", palette.class(name)), &note);
    }
    if let Some((name, ratio)) = row.dots.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
        let label = format!("{} {}", units::over(*ratio), shortened(name, 24));
        canvas.text(WIDTH - RIGHT + 12.0, middle + 4.0, Anchor::Start, "value", &label);
    }
}
