//! Values to pixels, and where the marks of an axis stand.

/// An axis from `low` to `high`, drawn from `from` to `to`.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub low: f64,
    pub high: f64,
    pub from: f64,
    pub to: f64,
    pub logarithmic: bool,
}

impl Scale {
    /// From zero, as bars need it: a bar that does not begin at zero lies.
    pub fn from_zero(high: f64, from: f64, to: f64) -> Self {
        Self { low: 0.0, high, from, to, logarithmic: false }
    }

    /// The pixel of a value; values beyond the ends stay at the ends.
    pub fn at(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.from + (self.to - self.from) * share
    }

    /// Round values to mark, about `wanted` of them.
    pub fn marks(&self, wanted: f64) -> Vec<f64> {
        if self.logarithmic { self.decades() } else { self.steps(wanted) }
    }

    fn steps(&self, wanted: f64) -> Vec<f64> {
        let rough = (self.high - self.low) / wanted;
        if !rough.is_finite() || rough <= 0.0 {
            return vec![self.low];
        }
        let power = 10_f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 5.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough * 0.999);
        let step = round.unwrap_or(10.0 * power);
        let first = (self.low / step).ceil();
        let last = (self.high / step).floor();
        let count = (last - first).max(0.0) as u64;
        (0..=count).map(|index| (first + index as f64) * step).collect()
    }

    fn decades(&self) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        // two decades or less want marks between
        let digits: &[f64] = if last - first <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let marks = (first..=last).flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
        marks.filter(|mark| (self.low * 0.999..=self.high * 1.001).contains(mark)).collect()
    }
}

/// Moves labels apart so that neighbours keep `gap` between them, in their order, as near to their places as that allows.
pub fn spread(places: &mut [f64], gap: f64, low: f64, high: f64) {
    let mut order: Vec<usize> = (0..places.len()).collect();
    let place = |places: &[f64], index: usize| places.get(index).copied().unwrap_or(low);
    order.sort_by(|a, b| place(places, *a).total_cmp(&place(places, *b)));
    let mut next = low;
    for &index in &order {
        let moved = place(places, index).max(next);
        if let Some(slot) = places.get_mut(index) {
            *slot = moved;
        }
        next = moved + gap;
    }
    // what was pushed over the far end comes back, from there
    let mut next = high;
    for &index in order.iter().rev() {
        let moved = place(places, index).min(next);
        if let Some(slot) = places.get_mut(index) {
            *slot = moved;
        }
        next = moved - gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_inside() {
        let scale = Scale::from_zero(1.42, 0.0, 100.0);
        assert_eq!(scale.marks(4.0), [0.0, 0.5, 1.0]);
        let zoomed = Scale { low: 0.95, high: 1.3, from: 0.0, to: 1.0, logarithmic: false };
        let marks: Vec<String> = zoomed.marks(4.0).iter().map(|mark| format!("{mark:.1}")).collect();
        assert_eq!(marks, ["1.0", "1.1", "1.2", "1.3"]);
        let logarithmic = Scale { low: 30.0, high: 3000.0, from: 0.0, to: 1.0, logarithmic: true };
        assert_eq!(logarithmic.marks(4.0), [100.0, 1000.0]);
    }

    #[test]
    fn values_land_between_the_ends() {
        let linear = Scale::from_zero(10.0, 100.0, 200.0);
        assert_eq!([-1.0, 0.0, 5.0, 20.0].map(|value| linear.at(value)), [100.0, 100.0, 150.0, 200.0]);
        let logarithmic = Scale { low: 1.0, high: 100.0, from: 0.0, to: 1.0, logarithmic: true };
        assert!((logarithmic.at(10.0) - 0.5).abs() < 1e-9);
        let single = Scale { low: 4096.0, high: 4096.0, from: 7.0, to: 9.0, logarithmic: true };
        assert_eq!(single.at(4096.0), 7.0);
    }

    #[test]
    fn labels_keep_apart_and_inside() {
        let mut places = [50.0, 51.0, 99.0, 100.0];
        spread(&mut places, 10.0, 0.0, 100.0);
        assert_eq!(places, [50.0, 60.0, 90.0, 100.0]);
    }
}
