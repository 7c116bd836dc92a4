//! SHA-256 and SHA-1 (FIPS 180-4) of public data, for fingerprints (FORMAT §4).

use ring::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use studioml_envelope_core::{Digest, Implementation, Part};

use crate::IMPLEMENTATION;

/// The part [`DIGEST`].
#[derive(Clone, Copy, Debug)]
pub struct RingDigest;

/// SHA-256 and SHA-1.
pub static DIGEST: RingDigest = RingDigest;

impl Part for RingDigest {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Digest for RingDigest {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's own examples, from NIST's "Example Values" for one block and for two, and the empty message.
    #[test]
    fn digests_of_the_standard() {
        let two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        for (message, sha256, sha1) in [
            (
                "",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            ),
            (
                "abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "a9993e364706816aba3e25717850c26c9cd0d89d",
            ),
            (
                two_blocks,
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
                "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
            ),
        ] {
            assert_eq!(hex::encode(DIGEST.sha256(message.as_bytes())), sha256);
            assert_eq!(hex::encode(DIGEST.sha1(message.as_bytes())), sha1);
        }
    }
}
