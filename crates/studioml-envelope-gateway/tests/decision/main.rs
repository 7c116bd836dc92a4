//! The decision core against a simulated broker that reorders, duplicates, delays and cuts at every step, by seed.
//!
//! `STUDIOML_GATEWAY_SEEDS` is how many seeds are run (default 3,000); `STUDIOML_GATEWAY_SEED` runs one alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod ends;
mod hand_back;
mod world;

use studioml_envelope_gateway::decision::Direction;
use world::World;

/// Runs a world through its faults, then lets it heal, and checks what has to hold.
fn run(seed: u64, direction: Direction) -> world::Outcome {
    let mut world = World::new(seed, direction);
    world.suffer();
    world.heal();
    world.judge()
}

fn seeds() -> impl Iterator<Item = u64> {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
    match number("STUDIOML_GATEWAY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("STUDIOML_GATEWAY_SEEDS").unwrap_or(3000),
    }
}

#[test]
fn requests_are_acknowledged_only_when_confirmed_or_rejected() {
    let mut total = world::Outcome::default();
    for seed in seeds() {
        total += run(seed, Direction::Requests);
    }
    // the faults happened: a simulation in which nothing goes wrong shows nothing
    total.assert_that_everything_happened(Direction::Requests);
}

#[test]
fn reports_keep_their_order_through_every_fault() {
    let mut total = world::Outcome::default();
    for seed in seeds() {
        total += run(seed, Direction::Reports);
    }
    total.assert_that_everything_happened(Direction::Reports);
}
