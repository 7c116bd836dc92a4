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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_drawn_anew() {
        let mut seen = [[0_u8; 64]; 2];
        for out in &mut seen {
            RANDOM.fill(out).unwrap();
        }
        // each byte is the same in both with probability 1/256: 32 of 64 with less than 2^-190
        let same = seen[0].iter().zip(&seen[1]).filter(|(one, other)| one == other).count();
        assert!(same < 32);
        assert_eq!(RANDOM.fill(&mut []), Ok(()));
    }
}
