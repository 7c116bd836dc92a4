//! HKDF-SHA256 (RFC 5869).

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use studioml_envelope_core::{Implementation, Kdf, KdfOutputTooLong, Part};

use crate::IMPLEMENTATION;

/// The part [`KDF`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcKdf;

/// HKDF-SHA256.
pub static KDF: AwsLcKdf = AwsLcKdf;

/// How the library is told the length of the output.
struct OutputLength(usize);

impl KeyType for OutputLength {
    fn len(&self) -> usize {
        self.0
    }
}

impl Part for AwsLcKdf {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Kdf for AwsLcKdf {
    fn hkdf_sha256(&self, salt: &[u8], ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), KdfOutputTooLong> {
        let key = Salt::new(HKDF_SHA256, salt).extract(ikm);
        let info = [info];
        let output = key.expand(&info, OutputLength(out.len())).map_err(|_| KdfOutputTooLong)?;
        output.fill(out).map_err(|_| KdfOutputTooLong)
    }
}
