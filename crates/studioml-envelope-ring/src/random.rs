//! Random bytes: the operating system's generator, asked every time.

use ring::rand::{SecureRandom, SystemRandom};
use studioml_envelope_core::{Implementation, Part, Random, RandomError};

use crate::IMPLEMENTATION;

/// The part [`RANDOM`].
#[derive(Clone, Copy, Debug)]
pub struct RingRandom;

/// Random bytes fit for keys.
pub static RANDOM: RingRandom = RingRandom;

impl Part for RingRandom {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Random for RingRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        SystemRandom::new().fill(out).map_err(|_| RandomError)
    }
}
