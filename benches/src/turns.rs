//! Comparing within a few per cent on a machine that drifts by more: what is compared has its turn again and again, a fraction of
//! a second each, and the ratio is taken within each round.

use std::time::Duration;

/// What has its turn: a name, and what does so much work and says how long it took.
pub struct Contender<'a> {
    /// What it is called in a table.
    pub name: String,
    turn: Box<dyn FnMut() -> Duration + 'a>,
    seconds: Vec<f64>,
}

impl<'a> Contender<'a> {
    /// One that has had no turn.
    #[must_use]
    pub fn new(name: impl Into<String>, turn: impl FnMut() -> Duration + 'a) -> Self {
        Self { name: name.into(), turn: Box::new(turn), seconds: Vec::new() }
    }

    /// The median of its turns in seconds.
    ///
    /// # Panics
    /// If it had none.
    #[must_use]
    pub fn median(&self) -> f64 {
        let [_, median, _] = quartiles(self.seconds.clone());
        median
    }

    /// Its rate over that of `reference`: the median of the rounds' ratios, and their quartiles.
    ///
    /// # Panics
    /// If it had no turn.
    #[must_use]
    pub fn rate_by(&self, reference: &Self) -> String {
        let rounds = reference.seconds.iter().zip(&self.seconds);
        let [low, median, high] = quartiles(rounds.map(|(reference, mine)| reference / mine).collect());
        format!("{median:.3} ({low:.3} to {high:.3})")
    }
}

/// Gives each its turn, round after round. A round before the first fills caches.
pub fn take_turns(contenders: &mut [Contender<'_>], rounds: usize) {
    for round in 0..=rounds {
        for contender in &mut *contenders {
            let took = (contender.turn)();
            if round > 0 {
                contender.seconds.push(took.as_secs_f64());
            }
        }
    }
}

/// Lower quartile, median, upper quartile.
///
/// # Panics
/// If there are no values.
#[must_use]
pub fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| *values.get(values.len() * quarter / 4).expect("there are values"))
}
