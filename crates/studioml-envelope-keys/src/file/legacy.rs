//! Encrypted PEM as SSLeay began it and OpenSSL's `-traditional` and `ssh-keygen -m PEM` still write it: the headers
//! `Proc-Type: 4,ENCRYPTED` and `DEK-Info: cipher,IV` of RFC 1421, the key from one pass of MD5 (docs/spec.md §5).
//!
//! There is no work factor and no MAC: whoever has the file may try hundreds of millions of passphrases a second. Written on
//! request only, because older runners read nothing else.

use md5::{Digest as _, Md5};
use studioml_envelope_core::SecretBytes;
use zeroize::{Zeroize as _, Zeroizing};

use super::{armor::Block, cbc::CbcCipher};
use crate::KeyFileError;

const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "DEK-Info header" };

/// A `DEK-Info` header.
pub(crate) struct DekInfo {
    pub cipher: CbcCipher,
    /// One block of the cipher; its first 8 bytes are the salt.
    pub iv: Vec<u8>,
}

impl DekInfo {
    /// From the headers of a block; `None` if it is not encrypted.
    ///
    /// # Errors
    /// `Unsupported` for another `Proc-Type` or cipher, `Damaged` if the IV is not one.
    pub(super) fn of(block: &Block<'_>) -> Result<Option<Self>, KeyFileError> {
        let Some(kind) = block.header("Proc-Type") else { return Ok(None) };
        let kind: String = kind.split_whitespace().collect();
        if kind != "4,ENCRYPTED" {
            return Err(KeyFileError::unsupported("Proc-Type", &kind));
        }
        let info = block.header("DEK-Info").ok_or(DAMAGED)?;
        let (name, iv) = info.split_once(',').ok_or(DAMAGED)?;
        let cipher = [CbcCipher::Aes128, CbcCipher::Aes192, CbcCipher::Aes256, CbcCipher::DesEde3]
            .into_iter()
            .find(|cipher| cipher.name().eq_ignore_ascii_case(name.trim()))
            .ok_or_else(|| KeyFileError::unsupported("cipher", name.trim()))?;
        let iv = hex::decode(iv.trim()).map_err(|_| DAMAGED)?;
        if iv.len() == cipher.iv_len() { Ok(Some(Self { cipher, iv })) } else { Err(DAMAGED) }
    }

    /// Decrypts. The caller checks what comes out: one wrong passphrase in 256 passes the padding.
    ///
    /// # Errors
    /// `WrongPassphraseOrDamaged`.
    pub(crate) fn decrypt(&self, ciphertext: &[u8], passphrase: &[u8]) -> Result<SecretBytes, KeyFileError> {
        let key = self.key(passphrase);
        self.cipher.decrypt(&key, &self.iv, ciphertext).map_err(|_| KeyFileError::WrongPassphraseOrDamaged)
    }

    /// `EVP_BytesToKey` with MD5, one iteration, and the first 8 bytes of the IV as salt:
    /// D_i = MD5(D_{i-1} || passphrase || salt), the key is D_1 || D_2 || … cut to length.
    pub(crate) fn key(&self, passphrase: &[u8]) -> Zeroizing<Vec<u8>> {
        let salt = self.iv.get(..8).unwrap_or(&self.iv);
        let mut key = Zeroizing::new(Vec::with_capacity(48));
        let mut previous: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(16));
        while key.len() < self.cipher.key_len() {
            let mut digest = Md5::new().chain_update(&*previous).chain_update(passphrase).chain_update(salt).finalize();
            previous.clear();
            previous.extend_from_slice(&digest);
            key.extend_from_slice(&digest);
            digest.as_mut_slice().zeroize();
        }
        key.truncate(self.cipher.key_len());
        key
    }
}
