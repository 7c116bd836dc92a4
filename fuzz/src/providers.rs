//! Every provider on one input: the result and the error variant must be the same.

use core::fmt::Debug;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};

use studioml_envelope::provider;
use studioml_envelope_core::{Implementation, Part, Provider, Random, RandomError};

/// Random bytes that are the same in every run, so that a finding can be replayed.
pub struct Counter(AtomicU8);

static COUNTER: Counter = Counter(AtomicU8::new(1));

impl Counter {
    /// A counter that begins anew.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU8::new(1))
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

impl Part for Counter {
    fn implementation(&self) -> Implementation {
        Implementation { library: "counter", version: "", path: "" }
    }
}

impl Random for Counter {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        let first = self.0.fetch_add(1, Ordering::Relaxed);
        for (index, byte) in out.iter_mut().enumerate() {
            // a multiplier without a pattern that a cipher or a padding could mistake for its own
            *byte = (index as u8).wrapping_mul(167).wrapping_add(first.wrapping_mul(59));
        }
        Ok(())
    }
}

/// Every provider, drawing from [`Counter`].
pub static ALL: LazyLock<Vec<Provider>> =
    LazyLock::new(|| provider::ALL.iter().map(|provider| Provider { random: &COUNTER, ..*provider }).collect());

/// The first of [`ALL`].
#[must_use]
pub fn first() -> &'static Provider {
    &ALL[0]
}

/// Runs `run` with every provider and gives what all of them give.
///
/// # Panics
/// If two of them differ.
pub fn agree<T: PartialEq + Debug>(run: impl FnMut(&'static Provider) -> T) -> T {
    all_give(ALL.iter(), run)
}

/// The same for what waits for a private RSA operation: one provider for each library that unwraps.
///
/// # Panics
/// If two of them differ.
pub fn unwrapping_libraries_agree<T: PartialEq + Debug>(run: impl FnMut(&'static Provider) -> T) -> T {
    let library = |provider: &Provider| provider.key_unwrap.implementation().library;
    let is_first = |(index, provider): &(usize, &'static Provider)| {
        ALL.iter().position(|one| library(one) == library(provider)) == Some(*index)
    };
    all_give(ALL.iter().enumerate().filter(is_first).map(|(_, provider)| provider), run)
}

fn all_give<T: PartialEq + Debug>(
    providers: impl Iterator<Item = &'static Provider>,
    mut run: impl FnMut(&'static Provider) -> T,
) -> T {
    let mut outcomes = providers.map(|provider| (provider.name, run(provider)));
    let (first_name, first) = outcomes.next().expect("there is a provider");
    for (name, outcome) in outcomes {
        assert_eq!(outcome, first, "{name} (left) and {first_name} (right) differ");
    }
    first
}

/// What an error says must be short, and must not hold the input.
///
/// # Panics
/// If it is long.
pub fn is_short(error: &dyn core::fmt::Display) {
    let text = error.to_string();
    assert!(text.len() <= 400, "an error of {} bytes: {text}", text.len());
}
