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

#[cfg(test)]
mod tests {
    use super::*;

    fn hkdf(salt: &[u8], ikm: &[u8], info: &[u8], length: usize) -> Result<Vec<u8>, KdfOutputTooLong> {
        let mut out = vec![0; length];
        KDF.hkdf_sha256(salt, ikm, info, &mut out).map(|()| out)
    }

    /// RFC 5869 appendix A.1 and A.3.
    #[test]
    fn test_cases_of_the_rfc() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        assert_eq!(
            hex::encode(hkdf(&salt, &[0x0b; 22], &info, 42).unwrap()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
        assert_eq!(
            hex::encode(hkdf(&[], &[0x0b; 22], &[], 42).unwrap()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        );
    }

    #[test]
    fn the_default_salt_is_zeros_and_a_longer_salt_is_hashed() {
        assert_eq!(hkdf(&[], b"key", b"", 32), hkdf(&[0; 32], b"key", b"", 32));
        assert_ne!(hkdf(&[1; 65], b"key", b"", 32), hkdf(&[1; 64], b"key", b"", 32));
    }

    #[test]
    fn no_byte_and_8160_bytes_come_out_and_8161_do_not() {
        assert_eq!(hkdf(b"salt", b"key", b"info", 0), Ok(vec![]));
        let longest = hkdf(b"salt", b"key", b"info", 8160).unwrap();
        assert_eq!(longest[..100], hkdf(b"salt", b"key", b"info", 100).unwrap());
        for length in [8161, 70_000] {
            assert_eq!(hkdf(b"salt", b"key", b"info", length), Err(KdfOutputTooLong));
        }
    }
}
