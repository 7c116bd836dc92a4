//! OpenSSH private keys (`PROTOCOL.key` of OpenSSH): plain, or encrypted with any cipher that `ssh-keygen` writes.
//!
//! Ciphers, bcrypt and the key pairs of RSA and Ed25519 are read by the `ssh-key` crate. The frame around them is read here:
//! the crate's 0.7.0-rc.11 refuses a P-256 scalar that an `mpint` needs fewer than 32 bytes for, one in 256 that
//! `ssh-keygen` makes.

use crypto_bigint::{BoxedUint, NonZero};
use ssh_key::{
    Cipher, Mpint, cipher,
    encoding::{Decode, Reader as _},
    private::{KeypairData, RsaKeypair},
};
use studioml_envelope_core::{
    Ed25519PublicKey, KeyError, PublicKey, RsaPrivateKey, RsaPrivateNumbers, RsaPublicKey, SecretBytes, in_wiped_frames,
};
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    material::{Material, pad_scalar},
    point, public,
};
use crate::{Kdf, KeyFileError, Protection, limits};

const MAGIC: &[u8] = b"openssh-key-v1\0";
const P256: &[u8] = b"ecdsa-sha2-nistp256";
const DAMAGED: KeyFileError = KeyFileError::Damaged { structure: "OpenSSH private key" };
const INCONSISTENT: KeyFileError = KeyFileError::Key(KeyError::Inconsistent);
/// PuTTYgen pads what is not encrypted as if its blocks were of this length, and where they are whole already too.
const PLAIN_PADDING: usize = 16;

/// An OpenSSH private key file whose clear part has been read.
pub(super) struct OpenSsh {
    pub public: PublicKey,
    pub protection: Protection,
    cipher: Cipher,
    kdf: ssh_key::Kdf,
    /// The private section, encrypted unless the cipher is `none`.
    section: SecretBytes,
    /// Of a cipher that has one.
    tag: Option<cipher::Tag>,
}

impl OpenSsh {
    /// Reads the structure; the private section stays as it is.
    ///
    /// # Errors
    /// `Unsupported` by name, `SeveralKeys`, `Damaged`, or those of the public key.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let rest = &mut bytes.strip_prefix(MAGIC).ok_or(DAMAGED)?;
        let name = String::decode(rest).map_err(damaged)?;
        let cipher: Cipher = name.parse().map_err(|_| KeyFileError::unsupported("cipher", &name))?;
        let name = String::decode(&mut &**rest).map_err(damaged)?;
        if !matches!(name.as_str(), "none" | "bcrypt") {
            return Err(KeyFileError::unsupported("key derivation", &name));
        }
        let kdf = ssh_key::Kdf::decode(rest).map_err(damaged)?;
        let protection = match (cipher, &kdf) {
            (Cipher::None, ssh_key::Kdf::None) => Protection::None,
            (Cipher::None, _) => return Err(DAMAGED),
            (cipher, ssh_key::Kdf::Bcrypt { rounds, salt }) if *rounds > 0 && !salt.is_empty() => {
                Protection::Encrypted { cipher: cipher_name(cipher), kdf: Kdf::Bcrypt { rounds: *rounds } }
            }
            _ => return Err(DAMAGED),
        };
        match u32::decode(rest).map_err(damaged)? {
            0 => return Err(DAMAGED),
            1 => {}
            several => return Err(KeyFileError::SeveralKeys { found: usize::try_from(several).unwrap_or(usize::MAX) }),
        }
        let public = PublicKey::from_ssh_blob(&string(rest)?)?;
        let section = SecretBytes::new(string(rest)?);
        let mut tag = cipher.has_tag().then(cipher::Tag::default);
        if let Some(tag) = &mut tag {
            rest.read(tag).map_err(damaged)?;
        }
        if !rest.is_empty() || !section.len().is_multiple_of(cipher.block_size()) {
            return Err(DAMAGED);
        }
        Ok(Self { public, protection, cipher, kdf, section, tag })
    }

    /// The key, and the comment, which stands in the encrypted part.
    ///
    /// # Errors
    /// `TooExpensive`, `WrongPassphrase` (the check-ints differ or the tag is not right), `Damaged`, or those of the key.
    pub(super) fn unlock(&self, passphrase: &[u8]) -> Result<(Material, Option<String>), KeyFileError> {
        let Protection::Encrypted { kdf: Kdf::Bcrypt { rounds }, .. } = self.protection else {
            return self.plain();
        };
        if rounds > limits::MAX_BCRYPT_ROUNDS {
            let (found, maximum) = (u64::from(rounds), u64::from(limits::MAX_BCRYPT_ROUNDS));
            return Err(KeyFileError::TooExpensive { kdf: "bcrypt", parameter: "rounds", found, maximum });
        }
        let section = in_wiped_frames(|| self.decrypt(passphrase)).map_err(|_| KeyFileError::WrongPassphrase)?;
        let most_padding = self.cipher.block_size().saturating_sub(1);
        self.read_section(&section, KeyFileError::WrongPassphrase, most_padding)
    }

    fn decrypt(&self, passphrase: &[u8]) -> ssh_key::Result<Zeroizing<Vec<u8>>> {
        let (key, iv) = self.kdf.derive_key_and_iv(self.cipher, passphrase)?;
        let mut section = Zeroizing::new(self.section.expose_secret().to_vec());
        self.cipher.decrypt(&key, &iv, &mut section, self.tag)?;
        Ok(section)
    }

    /// The key of a file that is not encrypted.
    ///
    /// # Errors
    /// `Damaged`, or those of the key.
    pub(super) fn plain(&self) -> Result<(Material, Option<String>), KeyFileError> {
        self.read_section(self.section.expose_secret(), DAMAGED, PLAIN_PADDING)
    }

    /// The private section in clear text: check-ints, key pair, comment, and the padding 1, 2, 3, …
    ///
    /// # Errors
    /// `unequal` if the check-ints are not the same; `Damaged`, or those of the key.
    fn read_section(
        &self,
        mut rest: &[u8],
        unequal: KeyFileError,
        most_padding: usize,
    ) -> Result<(Material, Option<String>), KeyFileError> {
        let rest = &mut rest;
        let [one, other] = [u32::decode(rest).map_err(damaged)?, u32::decode(rest).map_err(damaged)?];
        if one != other {
            return Err(unequal);
        }
        let (material, public) = in_wiped_frames(|| key_pair(rest))?;
        if public != self.public {
            return Err(INCONSISTENT);
        }
        let comment = string(rest)?;
        if rest.len() > most_padding || rest.iter().zip(1..).any(|(byte, expected)| *byte != expected) {
            return Err(DAMAGED);
        }
        Ok((material, public::comment(&comment)))
    }
}

fn damaged<E>(_: E) -> KeyFileError {
    DAMAGED
}

fn string(rest: &mut &[u8]) -> Result<Vec<u8>, KeyFileError> {
    Vec::decode(rest).map_err(damaged)
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

/// A key pair and its public half, which stands in it once more.
fn key_pair(rest: &mut &[u8]) -> Result<(Material, PublicKey), KeyFileError> {
    if string(&mut &**rest)? == P256 {
        return p256(rest);
    }
    let pair = KeypairData::decode(rest).map_err(|error| match error {
        ssh_key::Error::Crypto => INCONSISTENT, // the two public keys of an Ed25519 pair
        _ => DAMAGED,
    })?;
    match pair {
        KeypairData::Rsa(pair) => {
            let key = rsa(&pair)?;
            let public = PublicKey::Rsa(key.public_key().clone());
            Ok((Material::Rsa(key), public))
        }
        KeypairData::Ed25519(pair) => {
            let public = Ed25519PublicKey::from_bytes(pair.public.as_ref())?;
            let seed = SecretBytes::copy_from(pair.private.as_ref());
            Ok((Material::Ed25519 { seed, public: Some(public) }, PublicKey::Ed25519(public)))
        }
        // the public half before it is of a kind that is supported
        _ => Err(INCONSISTENT),
    }
}

/// `string name || string curve || string point || mpint scalar`: the scalar without its leading zeros, and with one before a
/// top bit that is set. Some writers leave it at 32 bytes.
fn p256(rest: &mut &[u8]) -> Result<(Material, PublicKey), KeyFileError> {
    let [_name, curve, point] = [string(rest)?, string(rest)?, string(rest)?];
    if curve != b"nistp256" {
        return Err(DAMAGED);
    }
    let public = point::decode(&point)?;
    let mpint = Zeroizing::new(string(rest)?);
    let zeros = mpint.iter().take_while(|byte| **byte == 0).count();
    let scalar = pad_scalar(mpint.get(zeros..).unwrap_or_default())?;
    Ok((Material::P256 { scalar, public: Some(public) }, PublicKey::P256(public)))
}

/// An OpenSSH file holds n, e, d, qInv, p and q; dP = d mod (p − 1) and dQ = d mod (q − 1) are made here.
fn rsa(pair: &RsaKeypair) -> Result<RsaPrivateKey, KeyFileError> {
    let digits = |number: &'_ Mpint| number.as_positive_bytes().map(<[u8]>::to_vec).map(Zeroizing::new).ok_or(DAMAGED);
    let public = RsaPublicKey::new(&digits(pair.public().n())?, &digits(pair.public().e())?)?;
    let (d, p, q) = (digits(pair.private().d())?, digits(pair.private().p())?, digits(pair.private().q())?);
    if [&d, &p, &q].iter().any(|number| number.len() > public.modulus().len()) {
        return Err(INCONSISTENT);
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
    let mut modulus: NonZero<BoxedUint> = Option::from(prime.into_nz()).ok_or(INCONSISTENT)?;
    let mut d = number(d)?;
    let mut remainder = d.rem(&modulus);
    let digits = Zeroizing::new(remainder.to_be_bytes().into_vec());
    d.zeroize();
    modulus.zeroize();
    remainder.zeroize();
    Ok(digits)
}
