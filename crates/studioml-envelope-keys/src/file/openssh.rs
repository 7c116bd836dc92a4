//! OpenSSH private keys (`PROTOCOL.key` of OpenSSH), by the `ssh-key` crate: plain, or encrypted with any cipher that
//! `ssh-keygen` writes.

use crypto_bigint::{BoxedUint, NonZero};
use ssh_key::{
    Mpint,
    encoding::Decode as _,
    private::{EcdsaKeypair, KeypairData, RsaKeypair},
};
use studioml_envelope_core::{
    Ed25519PublicKey, KeyError, PublicKey, RsaPrivateKey, RsaPrivateNumbers, RsaPublicKey, SecretBytes, in_wiped_frames,
};
use zeroize::{Zeroize as _, Zeroizing};

use super::{material::Material, point};
use crate::{Kdf, KeyFileError, Protection, limits};

const MAGIC: &[u8] = b"openssh-key-v1\0";
const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "OpenSSH private key" };

/// An OpenSSH private key file whose clear part has been read.
pub(super) struct OpenSsh {
    /// On the heap, so that what moves is its address.
    file: Box<ssh_key::PrivateKey>,
    pub public: PublicKey,
    pub protection: Protection,
}

impl OpenSsh {
    /// Reads the structure, and the key itself if it is not encrypted.
    ///
    /// # Errors
    /// `Unsupported` by name, or `Damaged`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let file = in_wiped_frames(|| ssh_key::PrivateKey::from_bytes(bytes).map(Box::new))
            .map_err(|error| why_not(&error, bytes))?;
        let public = file.public_key().to_bytes().map_err(|_| DAMAGED)?;
        let public = PublicKey::from_ssh_blob(&public)?;
        let protection = match (file.cipher(), file.kdf()) {
            (ssh_key::Cipher::None, _) => Protection::None,
            (cipher, ssh_key::Kdf::Bcrypt { rounds, salt }) if *rounds > 0 && !salt.is_empty() => {
                Protection::Encrypted { cipher: cipher_name(cipher), kdf: Kdf::Bcrypt { rounds: *rounds } }
            }
            _ => return Err(DAMAGED),
        };
        Ok(Self { file, public, protection })
    }

    /// The key, and the comment, which stands in the encrypted part.
    ///
    /// # Errors
    /// `TooExpensive`, `WrongPassphrase` (the check-ints differ or the tag is not right), `Damaged`, or those of the key.
    pub(super) fn unlock(&self, passphrase: &[u8]) -> Result<(Material, Option<String>), KeyFileError> {
        let Protection::Encrypted { kdf: Kdf::Bcrypt { rounds }, .. } = self.protection else {
            return material(&self.file);
        };
        if rounds > limits::MAX_BCRYPT_ROUNDS {
            let (found, maximum) = (u64::from(rounds), u64::from(limits::MAX_BCRYPT_ROUNDS));
            return Err(KeyFileError::TooExpensive { kdf: "bcrypt", parameter: "rounds", found, maximum });
        }
        let file = in_wiped_frames(|| self.file.decrypt(passphrase).map(Box::new)).map_err(|error| match error {
            ssh_key::Error::Crypto => KeyFileError::WrongPassphrase,
            ssh_key::Error::PublicKey => KeyFileError::Key(KeyError::Inconsistent),
            _ => DAMAGED,
        })?;
        material(&file)
    }

    /// The key of a file that is not encrypted.
    ///
    /// # Errors
    /// `Damaged`, or those of the key.
    pub(super) fn plain(&self) -> Result<(Material, Option<String>), KeyFileError> {
        material(&self.file)
    }
}

/// Names what `ssh-key` does not know. Its own error does not carry it.
fn why_not(error: &ssh_key::Error, bytes: &[u8]) -> KeyFileError {
    if *error == ssh_key::Error::PublicKey {
        return KeyFileError::Key(KeyError::Inconsistent);
    }
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else { return DAMAGED };
    let Ok(cipher) = String::decode(&mut rest) else { return DAMAGED };
    let Ok(kdf) = String::decode(&mut rest) else { return DAMAGED };
    if cipher.parse::<ssh_key::Cipher>().is_err() {
        return KeyFileError::unsupported("cipher", &cipher);
    }
    if !matches!(kdf.as_str(), "none" | "bcrypt") {
        return KeyFileError::unsupported("key derivation", &kdf);
    }
    DAMAGED
}

fn cipher_name(cipher: ssh_key::Cipher) -> &'static str {
    match cipher {
        ssh_key::Cipher::Aes128Cbc => "aes128-cbc",
        ssh_key::Cipher::Aes192Cbc => "aes192-cbc",
        ssh_key::Cipher::Aes256Cbc => "aes256-cbc",
        ssh_key::Cipher::Aes128Ctr => "aes128-ctr",
        ssh_key::Cipher::Aes192Ctr => "aes192-ctr",
        ssh_key::Cipher::Aes256Ctr => "aes256-ctr",
        ssh_key::Cipher::Aes128Gcm => "aes128-gcm@openssh.com",
        ssh_key::Cipher::Aes256Gcm => "aes256-gcm@openssh.com",
        ssh_key::Cipher::ChaCha20Poly1305 => "chacha20-poly1305@openssh.com",
        ssh_key::Cipher::TdesCbc => "3des-cbc",
        _ => "an unnamed cipher",
    }
}

fn material(file: &ssh_key::PrivateKey) -> Result<(Material, Option<String>), KeyFileError> {
    let material = match file.key_data() {
        KeypairData::Rsa(pair) => Material::Rsa(rsa(pair)?),
        KeypairData::Ed25519(pair) => Material::Ed25519 {
            seed: SecretBytes::copy_from(pair.private.as_ref()),
            public: Some(Ed25519PublicKey::from_bytes(pair.public.as_ref())?),
        },
        KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private }) => Material::P256 {
            scalar: SecretBytes::copy_from(private.as_slice()),
            public: Some(point::decode(public.as_bytes())?),
        },
        other => {
            let algorithm = other.algorithm().map_err(|_| DAMAGED)?.to_string();
            return Err(KeyFileError::Key(KeyError::UnsupportedAlgorithm { algorithm }));
        }
    };
    let comment = file.comment().as_str_lossy();
    Ok((material, (!comment.is_empty()).then(|| comment.to_owned())))
}

/// An OpenSSH file holds n, e, d, qInv, p and q; dP = d mod (p − 1) and dQ = d mod (q − 1) are made here.
fn rsa(pair: &RsaKeypair) -> Result<RsaPrivateKey, KeyFileError> {
    let digits = |number: &'_ Mpint| number.as_positive_bytes().map(<[u8]>::to_vec).map(Zeroizing::new).ok_or(DAMAGED);
    let public = RsaPublicKey::new(&digits(pair.public().n())?, &digits(pair.public().e())?)?;
    let (d, p, q) = (digits(pair.private().d())?, digits(pair.private().p())?, digits(pair.private().q())?);
    if [&d, &p, &q].iter().any(|number| number.len() > public.modulus().len()) {
        return Err(KeyFileError::Key(KeyError::Inconsistent));
    }
    let numbers = RsaPrivateNumbers {
        private_exponent: &d,
        prime_p: &p,
        prime_q: &q,
        exponent_p: &exponent_of(&d, &p)?,
        exponent_q: &exponent_of(&d, &q)?,
        coefficient: &digits(pair.private().iqmp())?,
    };
    Ok(RsaPrivateKey::new(public, &numbers)?)
}

/// d mod (prime − 1), in time that depends on lengths alone.
fn exponent_of(d: &[u8], prime: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let number = |digits: &[u8]| {
        let bits = u32::try_from(digits.len().saturating_mul(8)).map_err(|_| DAMAGED)?;
        BoxedUint::from_be_slice(digits, bits).map_err(|_| DAMAGED)
    };
    let mut prime = number(prime)?;
    prime.wrapping_sub_assign(BoxedUint::one());
    let mut modulus: NonZero<BoxedUint> =
        Option::from(prime.into_nz()).ok_or(KeyFileError::Key(KeyError::Inconsistent))?;
    let mut d = number(d)?;
    let mut remainder = d.rem(&modulus);
    let digits = Zeroizing::new(remainder.to_be_bytes().into_vec());
    d.zeroize();
    modulus.zeroize();
    remainder.zeroize();
    Ok(digits)
}
