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
