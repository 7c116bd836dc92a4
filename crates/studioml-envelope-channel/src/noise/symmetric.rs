//! The SymmetricState object (Noise §5.2) over the slots `Digest`, `Kdf` and `Aead`.

use studioml_envelope_core::{Provider, SharedSecret};
use zeroize::Zeroizing;

use super::{PROLOGUE, PROTOCOL_NAME, TAG, cipher::CipherState};
use crate::HandshakeError;

const HASHLEN: usize = 32;

/// On the heap: when the state moves no copy of it stays behind in a frame that nobody wipes.
type ChainingKey = Box<Zeroizing<[u8; HASHLEN]>>;

/// `ck`, `h`, and the CipherState once there is a key.
pub(super) struct SymmetricState {
    provider: Provider,
    ck: ChainingKey,
    /// Of the transcript, which is public.
    h: [u8; HASHLEN],
    cipher: Option<CipherState>,
}

impl SymmetricState {
    /// `InitializeSymmetric(protocol_name)`, then `MixHash(prologue)`.
    pub(super) fn new(provider: &Provider) -> Self {
        // "If protocol_name is less than or equal to HASHLEN bytes in length, sets h equal to protocol_name with zero bytes
        // appended to make HASHLEN bytes."
        let mut h = [0; HASHLEN];
        for (to, from) in h.iter_mut().zip(PROTOCOL_NAME.as_bytes()) {
            *to = *from;
        }
        let mut state = Self { provider: *provider, ck: Box::new(Zeroizing::new(h)), h, cipher: None };
        state.mix_hash(PROLOGUE);
        state
    }

    /// `MixKey(input_key_material)`: `ck, temp_k = HKDF(ck, input_key_material, 2)`, `InitializeKey(temp_k)`.
    pub(super) fn mix_key(&mut self, input_key_material: &SharedSecret) -> Result<(), HandshakeError> {
        let output = self.hkdf(input_key_material.expose_secret())?;
        let [ck, temp_k] = &**output;
        self.ck.copy_from_slice(ck);
        self.cipher = Some(CipherState::new(self.provider.aead, temp_k));
        Ok(())
    }

    /// `MixHash(data)`: `h = HASH(h || data)`.
    pub(super) fn mix_hash(&mut self, data: &[u8]) {
        self.h = self.hash_with(data);
    }

    /// `EncryptAndHash(plaintext)`, appended to `out`.
    pub(super) fn encrypt_and_hash(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), HandshakeError> {
        let start = out.len();
        out.extend_from_slice(plaintext);
        if let Some(cipher) = &mut self.cipher {
            let text = out.get_mut(start..).unwrap_or_default();
            let tag = cipher.encrypt_with_ad(&self.h, text).map_err(|_| HandshakeError::Over)?;
            out.extend_from_slice(&tag);
        }
        self.mix_hash(out.get(start..).unwrap_or_default());
        Ok(())
    }

    /// `DecryptAndHash(ciphertext)` where there is a key: the last 16 bytes are the tag. `ciphertext` is decrypted in place.
    pub(super) fn decrypt_and_hash<'a>(&mut self, ciphertext: &'a mut [u8]) -> Result<&'a [u8], HandshakeError> {
        let h = self.hash_with(ciphertext);
        let cipher = self.cipher.as_mut().ok_or(HandshakeError::Over)?;
        let (text, tag) = ciphertext.split_last_chunk_mut::<TAG>().ok_or(HandshakeError::Unauthentic)?;
        cipher.decrypt_with_ad(&self.h, tag, text).map_err(|_| HandshakeError::Unauthentic)?;
        self.h = h;
        Ok(text)
    }

    /// `Split()`: `temp_k1, temp_k2 = HKDF(ck, zerolen, 2)`; the first is the initiator's direction.
    pub(super) fn split(&self) -> Result<(CipherState, CipherState), HandshakeError> {
        let output = self.hkdf(&[])?;
        let [temp_k1, temp_k2] = &**output;
        Ok((CipherState::new(self.provider.aead, temp_k1), CipherState::new(self.provider.aead, temp_k2)))
    }

    /// `HKDF(ck, input_key_material, 2)` is HKDF-SHA256 with `ck` as salt and nothing as info.
    fn hkdf(&self, ikm: &[u8]) -> Result<Box<Zeroizing<[[u8; HASHLEN]; 2]>>, HandshakeError> {
        let mut output = Box::new(Zeroizing::new([[0; HASHLEN]; 2]));
        self.provider
            .kdf
            .hkdf_sha256(self.ck.as_slice(), ikm, &[], output.as_flattened_mut())
            .map_err(|_| HandshakeError::Generation)?;
        Ok(output)
    }

    fn hash_with(&self, data: &[u8]) -> [u8; HASHLEN] {
        let mut input = Vec::with_capacity(HASHLEN.saturating_add(data.len()));
        input.extend_from_slice(&self.h);
        input.extend_from_slice(data);
        self.provider.digest.sha256(&input)
    }
}
