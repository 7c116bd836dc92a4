//! Time per call at one size: one bar for each implementation, fastest on top, its floor marked on it.

use super::super::report::{Cell, Measurement, Operation};
use super::super::units;
use super::scale::Scale;
use super::svg::{Anchor, Canvas, shortened};
use super::{Palette, WIDTH, implementations, rate, room_for};

const RIGHT: f64 = 206.0;
const TOP: f64 = 30.0;
/// From one floor's label to the next one's.
const LABEL: f64 = 14.0;
const BOTTOM: f64 = 26.0;
const ROW: f64 = 22.0;
const BAR: f64 = 14.0;
const LONGEST_NAME: usize = 29;

/// The chart of one operation at one size.
pub fn bars(operation: &Operation<'_>, cell: &Cell<'_>, palette: &Palette) -> String {
    let left = room_for(implementations(operation).into_iter());
    let mut shared_floors: Vec<_> = cell.shared_floors().collect();
    // the first label stands beside the heading, each other on a line of its own; the slowest first, so that no line crosses
    // the label of one that is farther right
    shared_floors.sort_by(|one, other| other.median_ns.total_cmp(&one.median_ns));
    let top = TOP + LABEL * shared_floors.len().saturating_sub(1) as f64;
    let bottom = top + ROW * cell.rows.len() as f64;
    let mut canvas = Canvas::new(WIDTH, bottom + BOTTOM);
    let longest = cell.rows.iter().chain(&cell.floors).map(|row| row.median_ns).fold(0.0, f64::max);
    let scale = Scale::from_zero(longest, left, WIDTH - RIGHT);

    let size = cell.size.map_or_else(String::new, units::size);
    canvas.text(left, 14.0, Anchor::Start, "heading", &size);
    axis(&mut canvas, &scale, top, bottom);
    for (row, top) in cell.rows.iter().zip((0_u32..).map(|index| top + ROW * f64::from(index))) {
        bar(&mut canvas, cell, row, top, &scale, palette);
    }
    for (floor, label_at) in shared_floors.iter().zip((0_u32..).map(|index| 14.0 + LABEL * f64::from(index))) {
        let x = scale.at(floor.median_ns);
        canvas.line((x, label_at + 3.0), (x, bottom), "floor shared");
        let (anchor, x) = if x > WIDTH / 2.0 { (Anchor::End, x - 4.0) } else { (Anchor::Start, x + 4.0) };
        let label = format!("floor: {} {}", floor.floor_of().unwrap_or_default(), units::time(floor.median_ns));
        canvas.text(x.max(left + 70.0), label_at, anchor, "note", &label);
    }
    canvas.finish(&format!("time per call of {} {size}, by implementation", operation.name))
}

fn axis(canvas: &mut Canvas, scale: &Scale, top: f64, bottom: f64) {
    for mark in scale.marks(4.0) {
        let x = scale.at(mark);
        canvas.line((x, top - 2.0), (x, bottom), "grid");
        let label = if mark == 0.0 { "0".to_owned() } else { units::round(&units::time(mark)) };
        canvas.text(x, bottom + 15.0, Anchor::Middle, "mark", &label);
    }
}

fn bar(canvas: &mut Canvas, cell: &Cell<'_>, row: &Measurement, top: f64, scale: &Scale, palette: &Palette) {
    let name = &row.implementation;
    let end = scale.at(row.median_ns);
    let baseline = top + ROW / 2.0 + 4.0;
    let inset = (ROW - BAR) / 2.0;
    let floor = cell.floor(row);

    let time = units::time(row.median_ns);
    let over = cell.over_floor(row).map(units::over);
    let note = match (floor, &over) {
        (Some(floor), Some(over)) => format!("{name}: {time}, {over} over {}", units::time(floor.median_ns)),
        _ => format!("{name}: {time}"),
    };
    canvas.text(scale.from - 8.0, baseline, Anchor::End, "name", &shortened(name, LONGEST_NAME));
    canvas.rect((scale.from, top + inset), (end - scale.from, BAR), &format!("bar {}", palette.class(name)), &note);
    let mut after = end;
    if let Some(floor) = floor {
        let x = scale.at(floor.median_ns);
        canvas.line((x, top + 1.0), (x, top + ROW - 1.0), "floor");
        after = after.max(x);
    }
    let words: Vec<String> = [Some(time), rate(row), over].into_iter().flatten().collect();
    canvas.text(after + 8.0, baseline, Anchor::Start, "value", &words.join(" · "));
}
