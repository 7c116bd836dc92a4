//! AES-256-GCM (SP 800-38D) with 12-byte nonces and 16-byte tags, for the channel's records (docs/spec.md §8).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use studioml_envelope_core::{Aead, AeadKey, Implementation, Part, Unauthentic};
use zeroize::Zeroize;

use crate::IMPLEMENTATION;

/// The part [`AEAD`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcAead;

/// AES-256-GCM.
pub static AEAD: AwsLcAead = AwsLcAead;

/// A key with its schedule and its GHASH tables.
struct Key(LessSafeKey);

impl Part for AwsLcAead {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Aead for AwsLcAead {
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
        match self.0.open_in_place_separate_tag(nonce, Aad::from(associated_data), tag, text) {
            Ok(_) => Ok(()),
            Err(_) => {
                text.zeroize();
                Err(Unauthentic)
            }
        }
    }
}
