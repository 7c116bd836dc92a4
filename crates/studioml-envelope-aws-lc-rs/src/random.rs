//! Random bytes: AWS-LC's DRBG, seeded and reseeded from the operating system.

use aws_lc_rs::rand;
use studioml_envelope_core::{Implementation, Part, Random, RandomError};

use crate::IMPLEMENTATION;

/// The part [`RANDOM`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcRandom;

/// Random bytes fit for keys. After a fork AWS-LC seeds anew, so that two processes do not draw the same (`crypto/ube`).
pub static RANDOM: AwsLcRandom = AwsLcRandom;

impl Part for AwsLcRandom {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Random for AwsLcRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        rand::fill(out).map_err(|_| RandomError)
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
