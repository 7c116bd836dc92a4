//! Throughput over size: one line for each implementation, its floor dashed in the same colour.

use std::collections::BTreeMap;

use super::super::report::{Cell, Measurement, Operation};
use super::super::units;
use super::scale::{Scale, spread};
use super::svg::{Anchor, Canvas, shortened};
use super::{Palette, WIDTH};

const HEIGHT: f64 = 330.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 216.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 44.0;
const LABEL_GAP: f64 = 15.0;
/// A linear axis would press what is this much slower into its foot.
const TOO_FLAT: f64 = 8.0;

/// Points of one line: size and bytes per second.
type Points = Vec<(f64, f64)>;

/// The chart, where there are sizes enough for a line.
pub fn lines(operation: &Operation<'_>, palette: &Palette) -> Option<String> {
    let sized: Vec<&Cell<'_>> = operation.cells.iter().filter(|cell| cell.size.is_some_and(|size| size > 0)).collect();
    if sized.len() < 2 {
        return None;
    }
    let rows = series(&sized, |cell| &cell.rows);
    let floors = series(&sized, |cell| &cell.floors);
    let (x, y) = scales(rows.values().chain(floors.values()))?;

    let mut canvas = Canvas::new(WIDTH, HEIGHT);
    axes(&mut canvas, &sized, &x, &y);
    let on = |points: &Points| -> Points { points.iter().map(|(size, rate)| (x.at(*size), y.at(*rate))).collect() };
    for (name, points) in &floors {
        canvas.polyline(&on(points), &format!("line dashed {}", class_of_floor(name, &rows, palette)));
    }
    for (name, points) in &rows {
        let class = palette.class(name);
        canvas.polyline(&on(points), &format!("line {class}"));
        for ((size, rate), place) in points.iter().zip(on(points)) {
            let note = format!("{name}: {} at {}", units::rate(*rate), units::size(*size as u64));
            canvas.dot(place, 4.0, &format!("dot {class}"), &note);
        }
    }
    labels(&mut canvas, &rows, &floors, &y, palette);
    Some(canvas.finish(&format!("throughput of {} over size, by implementation", operation.name)))
}

fn series<'a, 'c>(
    cells: &[&'c Cell<'a>],
    of: impl Fn(&'c Cell<'a>) -> &'c [&'a Measurement],
) -> BTreeMap<&'a str, Points> {
    let mut series: BTreeMap<&str, Points> = BTreeMap::new();
    for cell in cells {
        let size = cell.size.unwrap_or_default() as f64;
        for measurement in of(cell) {
            let bytes = measurement.bytes.map_or(size, |bytes| bytes as f64);
            let points = series.entry(measurement.implementation.as_str()).or_default();
            points.push((size, bytes * 1e9 / measurement.median_ns));
        }
    }
    series
}

fn scales<'a>(series: impl Iterator<Item = &'a Points>) -> Option<(Scale, Scale)> {
    let points: Points = series.flatten().copied().filter(|(_, rate)| rate.is_finite() && *rate > 0.0).collect();
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let low = points.iter().map(of).min_by(f64::total_cmp)?;
        Some((low, points.iter().map(of).max_by(f64::total_cmp)?))
    };
    let (smallest, largest) = ends(|point| point.0)?;
    let (slowest, fastest) = ends(|point| point.1)?;
    let x = Scale { low: smallest, high: largest, from: LEFT, to: WIDTH - RIGHT, logarithmic: true };
    let (low, logarithmic) = if fastest / slowest > TOO_FLAT { (slowest * 0.8, true) } else { (0.0, false) };
    let y = Scale { low, high: fastest * 1.08, from: HEIGHT - BOTTOM, to: TOP, logarithmic };
    Some((x, y))
}

fn axes(canvas: &mut Canvas, sized: &[&Cell<'_>], x: &Scale, y: &Scale) {
    let (left, right, bottom) = (LEFT - 8.0, WIDTH - RIGHT + 8.0, HEIGHT - BOTTOM);
    for mark in y.marks(5.0) {
        canvas.line((left, y.at(mark)), (right, y.at(mark)), "grid");
        let label = if mark == 0.0 { "0".to_owned() } else { units::round(&units::rate(mark)) };
        canvas.text(left - 4.0, y.at(mark) + 4.0, Anchor::End, "mark", &label);
    }
    for size in sized.iter().filter_map(|cell| cell.size) {
        let place = x.at(size as f64);
        canvas.line((place, bottom), (place, bottom + 4.0), "grid");
        canvas.text(place, bottom + 18.0, Anchor::Middle, "mark", &units::size(size));
    }
    let scale = if y.logarithmic { ", logarithmic" } else { "" };
    canvas.text(left, 12.0, Anchor::Start, "note", &format!("throughput{scale}"));
    canvas.text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6.0, Anchor::Middle, "note", "size, logarithmic");
}

/// Names at the right ends of their lines. Floors lie so close to their own implementation that only those which belong
/// to none are named.
fn labels(
    canvas: &mut Canvas,
    rows: &BTreeMap<&str, Points>,
    floors: &BTreeMap<&str, Points>,
    y: &Scale,
    palette: &Palette,
) {
    let unowned = floors.iter().filter(|(name, _)| class_of_floor(name, rows, palette) == "cx");
    let ends = rows.iter().chain(unowned).filter_map(|(name, points)| Some((*name, y.at(points.last()?.1))));
    let (names, mut places): (Vec<&str>, Vec<f64>) = ends.unzip();
    spread(&mut places, LABEL_GAP, TOP, HEIGHT - BOTTOM);
    let edge = WIDTH - RIGHT + 14.0;
    for (name, place) in names.into_iter().zip(places) {
        canvas.dot((edge, place), 4.0, &format!("dot {}", palette.class(name)), name);
        canvas.text(edge + 9.0, place + 4.0, Anchor::Start, "name", &shortened(name, 27));
    }
}

/// The colour of the implementation that a floor belongs to.
fn class_of_floor(floor: &str, rows: &BTreeMap<&str, Points>, palette: &Palette) -> String {
    let library = floor.strip_prefix("floor: ").map(|rest| rest.strip_suffix(" bare").unwrap_or(rest));
    let owner = library.and_then(|library| rows.keys().find(|name| **name == library));
    owner.map_or_else(|| "cx".to_owned(), |owner| palette.class(owner))
}
