//! HKDF-SHA256 (RFC 5869), for the channel (docs/spec.md §8). Leans on `hkdf` and `sha2`.

use hkdf::Hkdf;
use sha2::Sha256;
use studioml_envelope_core::{Implementation, Kdf, KdfOutputTooLong, Part};
use zeroize::Zeroize;

/// HKDF-SHA256.
pub static KDF: HkdfSha256 = HkdfSha256;

/// The type of [`KDF`].
#[derive(Clone, Copy, Debug)]
pub struct HkdfSha256;

impl Part for HkdfSha256 {
    fn implementation(&self) -> Implementation {
        Implementation { library: "hkdf", version: "0.13.0", path: "" }
    }
}

impl Kdf for HkdfSha256 {
    fn hkdf_sha256(&self, salt: &[u8], ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), KdfOutputTooLong> {
        // an empty salt and RFC 5869's default, 32 zero bytes, are the same HMAC key
        let (mut pseudorandom_key, hkdf) = Hkdf::<Sha256>::extract(Some(salt), ikm);
        pseudorandom_key.as_mut_slice().zeroize();
        hkdf.expand(info, out).map_err(|_| KdfOutputTooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::KDF;
    use studioml_envelope_core::{Kdf as _, KdfOutputTooLong};

    fn derive(salt: &str, ikm: &str, info: &str, length: usize) -> String {
        let [salt, ikm, info] = [salt, ikm, info].map(|text| hex::decode(text).unwrap());
        let mut out = vec![0; length];
        KDF.hkdf_sha256(&salt, &ikm, &info, &mut out).unwrap();
        hex::encode(out)
    }

    /// RFC 5869 appendix A.1.
    #[test]
    fn rfc_5869_case_1() {
        let okm = derive(
            "000102030405060708090a0b0c",
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "f0f1f2f3f4f5f6f7f8f9",
            42,
        );
        assert_eq!(okm, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    }

    /// RFC 5869 appendix A.3: zero-length salt and info.
    #[test]
    fn rfc_5869_case_3() {
        let okm = derive("", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", 42);
        assert_eq!(okm, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    }

    #[test]
    fn empty_salt_is_32_zero_bytes() {
        assert_eq!(derive("", "aa", "", 32), derive(&"00".repeat(32), "aa", "", 32));
    }

    #[test]
    fn output_ends_at_255_blocks() {
        assert_eq!(KDF.hkdf_sha256(b"", b"ikm", b"", &mut [0; 8160]), Ok(()));
        assert_eq!(KDF.hkdf_sha256(b"", b"ikm", b"", &mut [0; 8161]), Err(KdfOutputTooLong));
        assert_eq!(KDF.hkdf_sha256(b"", b"ikm", b"", &mut []), Ok(()));
    }
}
