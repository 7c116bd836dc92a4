//! The CipherState object (Noise §5.1) with the functions of AESGCM (Noise §12.4).

use studioml_envelope_core::{Aead, AeadKey};
use zeroize::Zeroizing;

use crate::RecordError;

/// `k` and `n`. The key is in the loaded [`AeadKey`]; `k` itself is not kept.
pub(super) struct CipherState {
    aead: &'static dyn Aead,
    k: Box<dyn AeadKey>,
    n: u64,
}

/// 2^64 − 1 is reserved for REKEY.
const MAX_NONCE: u64 = u64::MAX;

/// "32 bits of zeros followed by big-endian encoding of n".
const fn nonce(n: u64) -> [u8; 12] {
    let [n0, n1, n2, n3, n4, n5, n6, n7] = n.to_be_bytes();
    [0, 0, 0, 0, n0, n1, n2, n3, n4, n5, n6, n7]
}

impl CipherState {
    /// `InitializeKey(key)`.
    pub(super) fn new(aead: &'static dyn Aead, key: &[u8; 32]) -> Self {
        Self { aead, k: aead.load(key), n: 0 }
    }

    /// `EncryptWithAd(ad, plaintext)`, in place: the tag is returned.
    pub(super) fn encrypt_with_ad(&mut self, ad: &[u8], text: &mut [u8]) -> Result<[u8; 16], RecordError> {
        let next = self.next()?;
        let tag = self.k.seal_in_place(&nonce(self.n), ad, text);
        self.n = next;
        Ok(tag)
    }

    /// `DecryptWithAd(ad, ciphertext)`, in place. A failure leaves `n` as it was.
    pub(super) fn decrypt_with_ad(&mut self, ad: &[u8], tag: &[u8; 16], text: &mut [u8]) -> Result<(), RecordError> {
        let next = self.next()?;
        self.k.open_in_place(&nonce(self.n), ad, tag, text).map_err(|_| RecordError::Unauthentic)?;
        self.n = next;
        Ok(())
    }

    /// `Rekey()`: `k = REKEY(k)`, the first 32 bytes of `ENCRYPT(k, maxnonce, zerolen, zeros)`; `n` goes on (Noise §11.3).
    pub(super) fn rekey(&mut self) {
        let mut k = Zeroizing::new([0; 32]);
        self.k.seal_in_place(&nonce(MAX_NONCE), &[], k.as_mut_slice());
        self.k = self.aead.load(&k);
    }

    /// What `n` becomes, unless `n` is the reserved nonce.
    fn next(&self) -> Result<u64, RecordError> {
        self.n.checked_add(1).ok_or(RecordError::CounterExhausted)
    }

    #[cfg(test)]
    pub(super) const fn set_nonce(&mut self, n: u64) {
        self.n = n;
    }

    #[cfg(test)]
    pub(super) const fn nonce(&self) -> u64 {
        self.n
    }
}
