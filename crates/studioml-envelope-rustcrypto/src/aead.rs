//! AES-256-GCM (SP 800-38D) with 12-byte nonces, for the channel (docs/spec.md §8). Leans on `aes-gcm`.

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit},
};
use studioml_envelope_core::{Aead, AeadKey, Implementation, Part, Unauthentic};
use zeroize::Zeroize;

/// AES-256-GCM.
pub static AEAD: AesGcm = AesGcm;

/// The type of [`AEAD`].
#[derive(Clone, Copy, Debug)]
pub struct AesGcm;

impl Part for AesGcm {
    fn implementation(&self) -> Implementation {
        Implementation { library: "aes-gcm", version: "0.11.1", path: "" }
    }
}

impl Aead for AesGcm {
    fn load(&self, key: &[u8; 32]) -> Box<dyn AeadKey> {
        Box::new(Key(Aes256Gcm::new(key.into())))
    }
}

/// The expanded key and the GHASH key, both wiped on drop by the library.
struct Key(Aes256Gcm);

impl AeadKey for Key {
    #[allow(clippy::expect_used, reason = "the role's contract limits the text to what GCM takes, 64 GiB")]
    fn seal_in_place(&self, nonce: &[u8; 12], associated_data: &[u8], text: &mut [u8]) -> [u8; 16] {
        self.0.encrypt_inout_detached(nonce.into(), associated_data, text.into()).expect("text is below 64 GiB").into()
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        associated_data: &[u8],
        tag: &[u8; 16],
        text: &mut [u8],
    ) -> Result<(), Unauthentic> {
        let opened = self.0.decrypt_inout_detached(nonce.into(), associated_data, (&mut *text).into(), tag.into());
        opened.map_err(|_| {
            text.zeroize();
            Unauthentic
        })
    }
}

#[cfg(test)]
mod tests {
    use super::AEAD;
    use proptest::prelude::*;
    use studioml_envelope_core::{Aead as _, Unauthentic};

    fn array<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test case 16.
    #[test]
    fn gcm_paper_case_16() {
        let key = AEAD.load(&array("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
        let nonce = array("cafebabefacedbaddecaf888");
        let associated_data = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
        let plaintext = hex::decode(concat!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ))
        .unwrap();
        let mut text = plaintext.clone();
        let tag = key.seal_in_place(&nonce, &associated_data, &mut text);
        assert_eq!(
            hex::encode(&text),
            concat!(
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
                "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            )
        );
        assert_eq!(hex::encode(tag), "76fc6ece0f4e1768cddf8853bb2d551b");
        key.open_in_place(&nonce, &associated_data, &tag, &mut text).unwrap();
        assert_eq!(text, plaintext);
    }

    proptest! {
        #[test]
        fn what_was_altered_is_refused_and_wiped(
            plaintext in proptest::collection::vec(any::<u8>(), 1..200),
            associated_data in proptest::collection::vec(any::<u8>(), 0..40),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let key = AEAD.load(&[7; 32]);
            let mut sealed = plaintext.clone();
            let tag = key.seal_in_place(&[1; 12], &associated_data, &mut sealed);

            let mut opened = sealed.clone();
            prop_assert_eq!(key.open_in_place(&[1; 12], &associated_data, &tag, &mut opened), Ok(()));
            prop_assert_eq!(&opened, &plaintext);

            let mut altered = sealed.clone();
            altered[at.index(plaintext.len())] ^= 1 << bit;
            prop_assert_eq!(key.open_in_place(&[1; 12], &associated_data, &tag, &mut altered), Err(Unauthentic));
            prop_assert!(altered.iter().all(|byte| *byte == 0));

            let mut wrong_tag = tag;
            wrong_tag[at.index(16)] ^= 1 << bit;
            prop_assert_eq!(key.open_in_place(&[1; 12], &associated_data, &wrong_tag, &mut sealed), Err(Unauthentic));
            prop_assert!(sealed.iter().all(|byte| *byte == 0));
        }
    }
}
