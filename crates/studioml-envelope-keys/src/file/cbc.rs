//! The block ciphers of encrypted key files, in CBC mode with PKCS #7 padding (RFC 8018 §6.1.1): no MAC, so that a wrong
//! key shows at best by its padding.

use aes::{Aes128, Aes192, Aes256};
use cbc::{
    Decryptor, Encryptor,
    cipher::{
        BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyInit, KeyIvInit as _,
        block_padding::Pkcs7,
    },
};
use des::TdesEde3;
use studioml_envelope_core::SecretBytes;

/// A cipher by its key: the IV always comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CbcCipher {
    Aes128,
    Aes192,
    Aes256,
    DesEde3,
}

/// Wrong key or IV length, wrong input length, or wrong padding.
#[derive(Debug)]
pub(crate) struct CbcError;

impl CbcCipher {
    /// As OpenSSL writes it in `DEK-Info`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Aes128 => "AES-128-CBC",
            Self::Aes192 => "AES-192-CBC",
            Self::Aes256 => "AES-256-CBC",
            Self::DesEde3 => "DES-EDE3-CBC",
        }
    }

    /// Length of the key in bytes.
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 | Self::DesEde3 => 24,
            Self::Aes256 => 32,
        }
    }

    /// Length of the IV in bytes: one block.
    pub(crate) const fn iv_len(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
            Self::DesEde3 => 8,
        }
    }

    /// Decrypts and takes the padding off.
    ///
    /// # Errors
    /// [`CbcError`] if a length or the padding is not right.
    pub(crate) fn decrypt(self, key: &[u8], iv: &[u8], ciphertext: &[u8]) -> Result<SecretBytes, CbcError> {
        match self {
            Self::Aes128 => decrypt::<Aes128>(key, iv, ciphertext),
            Self::Aes192 => decrypt::<Aes192>(key, iv, ciphertext),
            Self::Aes256 => decrypt::<Aes256>(key, iv, ciphertext),
            Self::DesEde3 => decrypt::<TdesEde3>(key, iv, ciphertext),
        }
    }

    /// Pads and encrypts.
    ///
    /// # Errors
    /// [`CbcError`] if the length of the key or the IV is not right.
    pub(crate) fn encrypt(self, key: &[u8], iv: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CbcError> {
        match self {
            Self::Aes128 => encrypt::<Aes128>(key, iv, plaintext),
            Self::Aes192 => encrypt::<Aes192>(key, iv, plaintext),
            Self::Aes256 => encrypt::<Aes256>(key, iv, plaintext),
            Self::DesEde3 => encrypt::<TdesEde3>(key, iv, plaintext),
        }
    }
}

fn decrypt<C: BlockCipherDecrypt + KeyInit>(key: &[u8], iv: &[u8], ciphertext: &[u8]) -> Result<SecretBytes, CbcError> {
    let cipher = Decryptor::<C>::new_from_slices(key, iv).map_err(|_| CbcError)?;
    let mut buffer = zeroize::Zeroizing::new(ciphertext.to_vec());
    let length = cipher.decrypt_padded::<Pkcs7>(&mut buffer).map_err(|_| CbcError)?.len();
    buffer.truncate(length);
    Ok(SecretBytes::new(core::mem::take(&mut *buffer)))
}

fn encrypt<C: BlockCipherEncrypt + KeyInit>(key: &[u8], iv: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CbcError> {
    let cipher = Encryptor::<C>::new_from_slices(key, iv).map_err(|_| CbcError)?;
    // the plaintext lies in this buffer until it is overwritten by ciphertext, all of it
    let mut buffer = zeroize::Zeroizing::new(vec![0; plaintext.len().saturating_add(C::block_size())]);
    let (start, _) = buffer.split_at_mut_checked(plaintext.len()).ok_or(CbcError)?;
    start.copy_from_slice(plaintext);
    cipher.encrypt_padded::<Pkcs7>(&mut buffer, plaintext.len()).map(<[u8]>::to_vec).map_err(|_| CbcError)
}
