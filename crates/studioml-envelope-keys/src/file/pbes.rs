//! Encrypted PKCS #8 (RFC 5958 §3): PBES2 with PBKDF2 or scrypt (RFC 8018, RFC 7914) and, to read old files, the PBE of
//! PKCS #12 with SHA-1 and triple DES (RFC 7292 appendix B).
//!
//! The `pkcs5` crate is not used: 0.8.1 panics on a scrypt cost of zero and on a short DES IV, takes salts of 32 bytes at
//! most, and leaves the derived key in memory. The structures are five `derive`s over `der`; the work is that of `pbkdf2`,
//! `scrypt` and `cbc`.

use der::{
    Decode as _, Sequence,
    asn1::{ObjectIdentifier, OctetStringRef},
};
use pbkdf2::{hmac::Hmac, pbkdf2};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use spki::AlgorithmIdentifierRef;
use studioml_envelope_core::SecretBytes;
use zeroize::Zeroizing;

use super::{cbc::CbcCipher, oid, pkcs12};
use crate::{Kdf, KeyFileError, Prf, limits};

const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "EncryptedPrivateKeyInfo" };

/// `EncryptedPrivateKeyInfo`.
#[derive(Sequence)]
pub(crate) struct EncryptedPrivateKeyInfo<'a> {
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub encrypted_data: &'a OctetStringRef,
}

/// `PBES2-params`.
#[derive(Sequence)]
pub(crate) struct Pbes2Params<'a> {
    pub kdf: AlgorithmIdentifierRef<'a>,
    pub cipher: AlgorithmIdentifierRef<'a>,
}

/// `PBKDF2-params`, with the salt given in the file and not by its `otherSource`.
#[derive(Sequence)]
pub(crate) struct Pbkdf2Params<'a> {
    pub salt: &'a OctetStringRef,
    pub iterations: u64,
    pub key_length: Option<u16>,
    pub prf: Option<AlgorithmIdentifierRef<'a>>,
}

/// `scrypt-params`.
#[derive(Sequence)]
pub(crate) struct ScryptParams<'a> {
    pub salt: &'a OctetStringRef,
    pub cost: u64,
    pub block_size: u64,
    pub parallelization: u64,
    pub key_length: Option<u16>,
}

/// `pkcs-12PbeParams`.
#[derive(Sequence)]
struct Pkcs12PbeParams<'a> {
    salt: &'a OctetStringRef,
    iterations: u64,
}

/// How a PKCS #8 file is encrypted. What it costs has not been compared with the limits yet.
pub(super) struct Encryption<'a> {
    pub cipher: CbcCipher,
    pub kdf: Kdf,
    salt: &'a [u8],
    /// `None` where the key derivation gives it.
    iv: Option<&'a [u8]>,
    ciphertext: &'a [u8],
}

impl<'a> Encryption<'a> {
    /// Reads the parameters; derives nothing.
    ///
    /// # Errors
    /// `Unsupported` by name or object identifier, or `Damaged`.
    pub(super) fn read(der: &'a [u8]) -> Result<Self, KeyFileError> {
        let info = EncryptedPrivateKeyInfo::from_der(der).map_err(|_| DAMAGED)?;
        let ciphertext = info.encrypted_data.as_bytes();
        let parameters = info.algorithm.parameters.ok_or(DAMAGED)?;
        match info.algorithm.oid {
            oid::PBES2 => {
                let params: Pbes2Params<'_> = parameters.decode_as().map_err(|_| DAMAGED)?;
                let (kdf, salt, key_length) = read_kdf(&params.kdf)?;
                let (cipher, iv) = read_cipher(&params.cipher)?;
                if key_length.is_some_and(|length| usize::from(length) != cipher.key_len()) {
                    return Err(DAMAGED);
                }
                Ok(Self { cipher, kdf, salt, iv: Some(iv), ciphertext })
            }
            oid::PKCS12_SHA1_DES_EDE3 => {
                let params: Pkcs12PbeParams<'_> = parameters.decode_as().map_err(|_| DAMAGED)?;
                let kdf = Kdf::Pkcs12 { iterations: params.iterations };
                Ok(Self { cipher: CbcCipher::DesEde3, kdf, salt: params.salt.as_bytes(), iv: None, ciphertext })
            }
            other => Err(KeyFileError::unsupported("PKCS #8 encryption", &other.to_string())),
        }
    }

    /// Decrypts. The caller checks what comes out: one wrong passphrase in 256 passes the padding.
    ///
    /// # Errors
    /// `TooExpensive`, `Damaged`, or `WrongPassphraseOrDamaged`.
    pub(super) fn decrypt(&self, passphrase: &[u8]) -> Result<SecretBytes, KeyFileError> {
        check_cost(&self.kdf)?;
        let mut key = Zeroizing::new(vec![0; self.cipher.key_len()]);
        derive(&self.kdf, passphrase, self.salt, &mut key)?;
        let derived_iv = match self.iv {
            Some(_) => Vec::new(),
            None => pkcs12_iv(&self.kdf, passphrase, self.salt, self.cipher.iv_len())?,
        };
        let iv = self.iv.unwrap_or(&derived_iv);
        self.cipher.decrypt(&key, iv, self.ciphertext).map_err(|_| KeyFileError::WrongPassphraseOrDamaged)
    }
}

fn read_kdf<'a>(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<(Kdf, &'a [u8], Option<u16>), KeyFileError> {
    let parameters = algorithm.parameters.ok_or(DAMAGED)?;
    match algorithm.oid {
        oid::PBKDF2 => {
            let params: Pbkdf2Params<'_> = parameters.decode_as().map_err(|_| DAMAGED)?;
            let prf = params.prf.map_or(Ok(Prf::HmacSha1), |prf| read_prf(prf.oid))?;
            Ok((Kdf::Pbkdf2 { prf, iterations: params.iterations }, params.salt.as_bytes(), params.key_length))
        }
        oid::SCRYPT => {
            let params: ScryptParams<'_> = parameters.decode_as().map_err(|_| DAMAGED)?;
            let kdf = Kdf::Scrypt { n: params.cost, r: params.block_size, p: params.parallelization };
            Ok((kdf, params.salt.as_bytes(), params.key_length))
        }
        other => Err(KeyFileError::unsupported("key derivation", &other.to_string())),
    }
}

fn read_prf(algorithm: ObjectIdentifier) -> Result<Prf, KeyFileError> {
    match algorithm {
        oid::HMAC_SHA1 => Ok(Prf::HmacSha1),
        oid::HMAC_SHA224 => Ok(Prf::HmacSha224),
        oid::HMAC_SHA256 => Ok(Prf::HmacSha256),
        oid::HMAC_SHA384 => Ok(Prf::HmacSha384),
        oid::HMAC_SHA512 => Ok(Prf::HmacSha512),
        other => Err(KeyFileError::unsupported("PBKDF2 function", &other.to_string())),
    }
}

fn read_cipher<'a>(algorithm: &AlgorithmIdentifierRef<'a>) -> Result<(CbcCipher, &'a [u8]), KeyFileError> {
    let cipher = match algorithm.oid {
        oid::AES_128_CBC => CbcCipher::Aes128,
        oid::AES_192_CBC => CbcCipher::Aes192,
        oid::AES_256_CBC => CbcCipher::Aes256,
        oid::DES_EDE3_CBC => CbcCipher::DesEde3,
        other => return Err(KeyFileError::unsupported("cipher", &other.to_string())),
    };
    let parameters = algorithm.parameters.ok_or(DAMAGED)?;
    let iv = parameters.decode_as::<&OctetStringRef>().map_err(|_| DAMAGED)?.as_bytes();
    if iv.len() == cipher.iv_len() { Ok((cipher, iv)) } else { Err(DAMAGED) }
}

/// Refuses what would take too long or too much memory, before any of it is spent.
fn check_cost(kdf: &Kdf) -> Result<(), KeyFileError> {
    let limit = |kdf, parameter, found: u64, maximum: u64| {
        if found > maximum { Err(KeyFileError::TooExpensive { kdf, parameter, found, maximum }) } else { Ok(()) }
    };
    match *kdf {
        Kdf::Pbkdf2 { iterations, .. } => limit("PBKDF2", "iterations", iterations, limits::MAX_PBKDF2_ITERATIONS),
        Kdf::Pkcs12 { iterations } => {
            limit("PKCS #12 derivation", "iterations", iterations, limits::MAX_PKCS12_ITERATIONS)
        }
        Kdf::Scrypt { n, r, p } => {
            let memory = n.saturating_add(p).saturating_mul(r).saturating_mul(128);
            limit("scrypt", "memory in bytes", memory, limits::MAX_SCRYPT_MEMORY)?;
            limit("scrypt", "work (N r p)", n.saturating_mul(r).saturating_mul(p), limits::MAX_SCRYPT_WORK)
        }
        Kdf::Md5 | Kdf::Bcrypt { .. } => Ok(()), // not a derivation of PKCS #8
    }
}

/// Derives a key, whose length is `out`'s.
///
/// # Errors
/// `Damaged` for parameters that the derivation does not have.
pub(crate) fn derive(kdf: &Kdf, passphrase: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), KeyFileError> {
    match *kdf {
        Kdf::Pbkdf2 { prf, iterations } => {
            let iterations = u32::try_from(iterations).ok().filter(|count| *count > 0).ok_or(DAMAGED)?;
            let done = match prf {
                Prf::HmacSha1 => pbkdf2::<Hmac<Sha1>>(passphrase, salt, iterations, out),
                Prf::HmacSha224 => pbkdf2::<Hmac<Sha224>>(passphrase, salt, iterations, out),
                Prf::HmacSha256 => pbkdf2::<Hmac<Sha256>>(passphrase, salt, iterations, out),
                Prf::HmacSha384 => pbkdf2::<Hmac<Sha384>>(passphrase, salt, iterations, out),
                Prf::HmacSha512 => pbkdf2::<Hmac<Sha512>>(passphrase, salt, iterations, out),
            };
            done.map_err(|_| DAMAGED)
        }
        Kdf::Scrypt { n, r, p } => {
            if !n.is_power_of_two() || n < 2 {
                return Err(DAMAGED);
            }
            let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| DAMAGED)?;
            let (r, p) = (u32::try_from(r).map_err(|_| DAMAGED)?, u32::try_from(p).map_err(|_| DAMAGED)?);
            let params = scrypt::Params::new(log_n, r, p).map_err(|_| DAMAGED)?;
            scrypt::scrypt(passphrase, salt, &params, out).map_err(|_| DAMAGED)
        }
        Kdf::Pkcs12 { iterations } => {
            pkcs12::derive(pkcs12::Purpose::Key, passphrase, salt, iterations, out).ok_or(DAMAGED)
        }
        Kdf::Md5 | Kdf::Bcrypt { .. } => Err(DAMAGED), // not a derivation of PKCS #8
    }
}

fn pkcs12_iv(kdf: &Kdf, passphrase: &[u8], salt: &[u8], length: usize) -> Result<Vec<u8>, KeyFileError> {
    let Kdf::Pkcs12 { iterations } = *kdf else { return Err(DAMAGED) };
    let mut iv = vec![0; length];
    pkcs12::derive(pkcs12::Purpose::Iv, passphrase, salt, iterations, &mut iv).ok_or(DAMAGED)?;
    Ok(iv)
}
