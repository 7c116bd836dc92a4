//! RSA-OAEP with SHA-256, MGF1-SHA-256 and the empty label (RFC 8017 §7.1; docs/spec.md §1), both sides, and making keys.
//!
//! The attacker of the receiver's side is Manger's: every failure of [`Identity::unwrap`] leaves here as the same value,
//! and what AWS-LC does inside (blinding, no branch on the padding before the verdict on it) is AWS-LC's.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey,
    },
};
use studioml_envelope_core::{
    Identity, Implementation, KeyError, KeyUnwrap, KeyWrap, Part, PublicKey, Random, Recipient, RsaPrivateKey,
    RsaPublicKey, SessionKey, Unwrapped, WrapError,
};
use zeroize::Zeroizing;

use crate::IMPLEMENTATION;

/// The part [`KEY_WRAP`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcKeyWrap;

/// RSA-OAEP, the sender's side.
pub static KEY_WRAP: AwsLcKeyWrap = AwsLcKeyWrap;

/// The part [`KEY_UNWRAP`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcKeyUnwrap;

/// RSA-OAEP, the receiver's side, and making keys of 2048, 3072, 4096 and 8192 bits.
pub static KEY_UNWRAP: AwsLcKeyUnwrap = AwsLcKeyUnwrap;

/// The longest modulus in bytes.
const MAX_LEN: usize = RsaPublicKey::MAX_BITS / 8;

struct LoadedPublicKey(OaepPublicEncryptingKey);

struct LoadedPrivateKey(OaepPrivateDecryptingKey);

impl Part for AwsLcKeyWrap {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl KeyWrap for AwsLcKeyWrap {
    fn load(&self, key: &RsaPublicKey) -> Result<Box<dyn Recipient>, KeyError> {
        let damaged = || KeyError::Encoding { structure: "SubjectPublicKeyInfo" };
        let der = PublicKey::Rsa(key.clone()).to_spki_der();
        let key = PublicEncryptingKey::from_der(&der).map_err(|_| damaged())?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| damaged())?;
        Ok(Box::new(LoadedPublicKey(key)))
    }
}

impl Recipient for LoadedPublicKey {
    fn wrapped_len(&self) -> usize {
        self.0.ciphertext_size()
    }

    fn wrap(&self, session_key: &SessionKey, _random: &dyn Random, out: &mut [u8]) -> Result<(), WrapError> {
        if out.len() != self.wrapped_len() {
            return Err(WrapError);
        }
        self.0
            .encrypt(&OAEP_SHA256_MGF1SHA256, session_key.expose_secret(), out, None)
            .map(|_| ())
            .map_err(|_| WrapError)
    }
}

impl Part for AwsLcKeyUnwrap {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl KeyUnwrap for AwsLcKeyUnwrap {
    fn load(&self, key: &RsaPrivateKey) -> Result<Box<dyn Identity>, KeyError> {
        // core has read the structure already: what RSA_check_key still refuses are numbers that do not belong together
        key.check_ranges()?;
        let der = key.to_pkcs8_der()?;
        let key = PrivateDecryptingKey::from_pkcs8(der.expose_secret()).map_err(|_| KeyError::Inconsistent)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| KeyError::Inconsistent)?;
        Ok(Box::new(LoadedPrivateKey(key)))
    }

    fn generate(&self, bits: usize, _random: &dyn Random) -> Result<RsaPrivateKey, KeyError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            _ => return Err(KeyError::GenerationSize { bits }),
        };
        let key = PrivateDecryptingKey::generate(size).map_err(|_| KeyError::Generation)?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| KeyError::Generation)?;
        RsaPrivateKey::from_pkcs8_der(der.as_ref())
    }
}

impl Identity for LoadedPrivateKey {
    fn wrapped_len(&self) -> usize {
        self.0.min_output_size()
    }

    fn unwrap(&self, wrapped: &[u8], _random: &dyn Random) -> Unwrapped {
        // AWS-LC wants room for the whole modulus, whatever the plaintext turns out to be
        let mut buffer = Zeroizing::new([0; MAX_LEN]);
        let output = self.0.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut *buffer, None);
        Unwrapped::from_library(output.ok().as_deref())
    }
}
