//! The charts of the page. One implementation keeps one colour throughout, and is always named beside it.

mod bars;
mod lines;
mod overview;
mod scale;
mod svg;

use std::collections::{BTreeMap, BTreeSet};

pub use bars::bars;
pub use lines::lines;
pub use overview::overview;
pub use svg::escape;

use super::report::{Measurement, Operation, Report};
use super::units;

/// Width that charts are laid out for; the page scales them.
const WIDTH: f64 = 720.0;

/// Width of a character of a label in the widest of the page's fonts.
const CHARACTER: f64 = 7.6;

/// As many colours as people keep apart.
const COLOURS: usize = 8;

/// Which colour class an implementation has on the whole page. Two that meet in an operation never share one, as long as
/// there are colours; two that never meet may.
pub struct Palette {
    classes: BTreeMap<String, usize>,
    /// Names in the order in which they took their colours.
    names: Vec<String>,
}

impl Palette {
    /// Those that occur in most operations choose first.
    pub fn of(report: &Report) -> Self {
        let together: Vec<BTreeSet<&str>> = report.operations().iter().map(implementations).collect();
        let mut occurrences: BTreeMap<&str, usize> = BTreeMap::new();
        together.iter().flatten().for_each(|name| *occurrences.entry(name).or_default() += 1);
        let mut names: Vec<(&str, usize)> = occurrences.into_iter().collect();
        names.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));

        let mut classes: BTreeMap<String, usize> = BTreeMap::new();
        for (name, _) in &names {
            let met = together.iter().filter(|names| names.contains(name)).flatten();
            let taken: BTreeSet<usize> = met.filter_map(|other| classes.get(*other).copied()).collect();
            let uses = |class: usize| classes.values().filter(|used| **used == class).count();
            let free = (0..COLOURS).filter(|class| !taken.contains(class)).min_by_key(|class| uses(*class));
            classes.extend(free.map(|class| ((*name).to_owned(), class)));
        }
        Self { classes, names: names.into_iter().map(|(name, _)| name.to_owned()).collect() }
    }

    /// The class of the style sheet: `c0` … `c7`, or `cx`.
    pub fn class(&self, implementation: &str) -> String {
        self.classes.get(implementation).map_or_else(|| "cx".to_owned(), |index| format!("c{index}"))
    }

    /// All names, those in most operations first.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

fn implementations<'a>(operation: &Operation<'a>) -> BTreeSet<&'a str> {
    operation.cells.iter().flat_map(|cell| &cell.rows).map(|row| row.implementation.as_str()).collect()
}

/// Room that the longest of these names takes, between sensible bounds.
fn room_for<'a>(names: impl Iterator<Item = &'a str>) -> f64 {
    let longest = names.map(|name| name.chars().count()).max().unwrap_or_default();
    (longest as f64).mul_add(CHARACTER, 16.0).clamp(90.0, 230.0)
}

/// Bytes or elements per second, whichever the bench states.
pub fn rate(measurement: &Measurement) -> Option<String> {
    match (measurement.bytes, measurement.elements) {
        (_, Some(elements)) => Some(units::per_second(elements as f64, measurement.median_ns)),
        (Some(bytes), None) => Some(units::bytes_per_second(bytes as f64, measurement.median_ns)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Machine;
    use super::super::report::tests::measurement;
    use super::*;

    #[test]
    fn implementations_that_meet_differ_in_colour() {
        let meeting = ["a", "b", "c", "d", "e", "f", "g"].map(|name| measurement("open", None, name, 1.0));
        let elsewhere = ["a", "x", "y", "z"].map(|name| measurement("base64", None, name, 1.0));
        let measurements = meeting.into_iter().chain(elsewhere).collect();
        let palette = Palette::of(&Report { machine: Machine::default(), measurements });
        assert_eq!(palette.class("a"), "c0", "what occurs most chooses first");
        for together in [vec!["a", "b", "c", "d", "e", "f", "g"], vec!["a", "x", "y", "z"]] {
            let classes: BTreeSet<String> = together.iter().map(|name| palette.class(name)).collect();
            assert_eq!(classes.len(), together.len());
        }
        assert_eq!(palette.class("never measured"), "cx");
    }
}
