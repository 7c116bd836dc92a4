//! SHA-256 and SHA-1 of public data, for fingerprints and message identities (docs/spec.md §4). Leans on `sha2` and `sha1`.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use studioml_envelope_core::{Digest, Implementation, Part};

/// SHA-256 and SHA-1.
pub static DIGEST: Sha2AndSha1 = Sha2AndSha1;

/// The type of [`DIGEST`].
#[derive(Clone, Copy, Debug)]
pub struct Sha2AndSha1;

impl Part for Sha2AndSha1 {
    fn implementation(&self) -> Implementation {
        Implementation { library: "sha2+sha1", version: "0.11.1+0.11.0", path: "" }
    }
}

impl Digest for Sha2AndSha1 {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        Sha256::digest(data).into()
    }

    fn sha1(&self, data: &[u8]) -> [u8; 20] {
        Sha1::digest(data).into()
    }
}

#[cfg(test)]
mod tests {
    use super::DIGEST;
    use studioml_envelope_core::Digest as _;

    #[test]
    fn fips_180_examples() {
        let sha256 = |data: &[u8]| hex::encode(DIGEST.sha256(data));
        let sha1 = |data: &[u8]| hex::encode(DIGEST.sha1(data));
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha1(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
