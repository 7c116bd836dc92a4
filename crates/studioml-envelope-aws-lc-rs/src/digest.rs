//! SHA-256 and SHA-1 (FIPS 180-4) of public data, for fingerprints (docs/spec.md §4).

use aws_lc_rs::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use studioml_envelope_core::{Digest, Implementation, Part};

use crate::IMPLEMENTATION;

/// The part [`DIGEST`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcDigest;

/// SHA-256 and SHA-1.
pub static DIGEST: AwsLcDigest = AwsLcDigest;

impl Part for AwsLcDigest {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Digest for AwsLcDigest {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        digest(&SHA256, data)
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        digest(&SHA1_FOR_LEGACY_USE_ONLY, data)
    }
}

fn digest<const N: usize>(algorithm: &'static Algorithm, data: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(digest::digest(algorithm, data).as_ref()); // each algorithm's digest has one length
    out
}
