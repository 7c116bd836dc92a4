//! AES-256-GCM (SP 800-38D) with 12-byte nonces and 16-byte tags, for the channel's records (FORMAT §8).

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use studioml_envelope_core::{Aead, AeadKey, Implementation, Part, Unauthentic};
use zeroize::Zeroize;

use crate::IMPLEMENTATION;

/// The part [`AEAD`].
#[derive(Clone, Copy, Debug)]
pub struct RingAead;

/// AES-256-GCM.
pub static AEAD: RingAead = RingAead;

/// A key with its schedule and its GHASH tables.
struct Key(LessSafeKey);

impl Part for RingAead {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Aead for RingAead {
    fn load(&self, key: &[u8; 32]) -> Box<dyn AeadKey> {
        #[allow(clippy::expect_used, reason = "32 bytes is the one length of an AES-256 key")]
        let key = UnboundKey::new(&AES_256_GCM, key).expect("an AES-256 key of 32 bytes");
        Box::new(Key(LessSafeKey::new(key)))
    }
}

impl AeadKey for Key {
    fn seal_in_place(&self, nonce: &[u8; 12], associated_data: &[u8], text: &mut [u8]) -> [u8; 16] {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        #[allow(clippy::expect_used, reason = "fails only beyond 2^36 - 32 bytes, which the contract excludes")]
        let sealed = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(associated_data), text)
            .expect("a text within the limits of GCM");
        let mut tag = [0; 16];
        tag.copy_from_slice(sealed.as_ref()); // AES_256_GCM has tags of 16 bytes
        tag
    }

    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        associated_data: &[u8],
        tag: &[u8; 16],
        text: &mut [u8],
    ) -> Result<(), Unauthentic> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        match self.0.open_in_place_separate_tag(nonce, Aad::from(associated_data), Tag::from(*tag), text, 0..) {
            Ok(_) => Ok(()),
            Err(_) => {
                text.zeroize();
                Err(Unauthentic)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 12] = *b"twelve bytes";

    /// Test case 16 of D. McGrew and J. Viega, "The Galois/Counter Mode of Operation".
    #[test]
    fn test_case_16_of_the_specification() {
        let key = hex::decode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308").unwrap();
        let key = AEAD.load(&key.try_into().unwrap());
        let nonce = hex::decode("cafebabefacedbaddecaf888").unwrap().try_into().unwrap();
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
        assert_eq!(key.open_in_place(&nonce, &associated_data, &tag, &mut text), Ok(()));
        assert_eq!(text, plaintext);
    }

    #[test]
    fn what_was_sealed_opens_at_every_length() {
        let key = AEAD.load(&[1; 32]);
        for length in [0, 1, 15, 16, 17, 255, 4096, 100_001] {
            let plaintext = vec![0xa5; length];
            let mut text = plaintext.clone();
            let tag = key.seal_in_place(&NONCE, b"", &mut text);
            assert_eq!(key.open_in_place(&NONCE, b"", &tag, &mut text), Ok(()));
            assert_eq!(text, plaintext);
        }
    }

    #[test]
    fn what_was_changed_does_not_open_and_is_wiped() {
        let key = AEAD.load(&[1; 32]);
        let mut sealed = *b"a text of more than one block";
        let tag = key.seal_in_place(&NONCE, b"associated", &mut sealed);
        let refused = |nonce: &[u8; 12], associated_data: &[u8], tag: &[u8; 16], text: &[u8]| {
            let mut text = text.to_vec();
            assert_eq!(key.open_in_place(nonce, associated_data, tag, &mut text), Err(Unauthentic));
            assert_eq!(text, vec![0; text.len()]);
        };
        for bit in 0..128 {
            let mut tag = tag;
            tag[bit / 8] ^= 1 << (bit % 8);
            refused(&NONCE, b"associated", &tag, &sealed);
        }
        for position in 0..sealed.len() {
            let mut sealed = sealed;
            sealed[position] ^= 0x80;
            refused(&NONCE, b"associated", &tag, &sealed);
        }
        refused(b"TWELVE BYTES", b"associated", &tag, &sealed);
        refused(&NONCE, b"associateD", &tag, &sealed);
        refused(&NONCE, b"", &tag, &sealed);
        refused(&NONCE, b"associated", &tag, &sealed[1..]);
        refused(&NONCE, b"associated", &tag, &[]);
        assert_eq!(key.open_in_place(&NONCE, b"associated", &tag, &mut sealed), Ok(()));
    }
}
