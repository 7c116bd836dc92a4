//! RSA keys as data, within the limits of docs/spec.md §1: 2048 to 8192 bits, public exponent odd and below 2^33.
//!
//! Formats are those of RFC 8017 (PKCS #1) and RFC 5958 (PKCS #8). No arithmetic happens here; that the parts of a private
//! key belong together is checked by the library that loads it.

use core::fmt;

use der::{Decode, Encode, asn1::UintRef};
use pkcs8::PrivateKeyInfoRef;
use spki::{AlgorithmIdentifierRef, ObjectIdentifier};
use zeroize::Zeroize;

use crate::{KeyError, SecretBytes, encoding::strip_leading_zeros, secret::is_below_be};

/// `rsaEncryption` (RFC 8017 appendix A.1).
pub(crate) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// An RSA public key: a recipient of sealed messages.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RsaPublicKey {
    modulus: Vec<u8>,
    exponent: u64,
}

impl RsaPublicKey {
    /// The smallest modulus in bits.
    pub const MIN_BITS: usize = 2048;
    /// The largest modulus in bits.
    pub const MAX_BITS: usize = 8192;
    /// The largest public exponent, 2^33 − 1.
    pub const MAX_EXPONENT: u64 = (1 << 33) - 1;

    /// From big-endian modulus and public exponent; leading zeros are dropped.
    ///
    /// # Errors
    /// [`KeyError::ModulusSize`], [`KeyError::ModulusEven`] or [`KeyError::PublicExponent`].
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let modulus = strip_leading_zeros(modulus);
        let bits = bit_length(modulus);
        if !(Self::MIN_BITS..=Self::MAX_BITS).contains(&bits) || !bits.is_multiple_of(8) {
            return Err(KeyError::ModulusSize { bits });
        }
        if modulus.last().is_none_or(|byte| byte & 1 == 0) {
            return Err(KeyError::ModulusEven);
        }
        let digits = strip_leading_zeros(exponent);
        if digits.len() > 8 {
            return Err(KeyError::PublicExponent);
        }
        let exponent = digits.iter().fold(0_u64, |value, digit| (value << 8) | u64::from(*digit));
        if exponent & 1 == 0 || !(3..=Self::MAX_EXPONENT).contains(&exponent) {
            return Err(KeyError::PublicExponent);
        }
        Ok(Self { modulus: modulus.to_vec(), exponent })
    }

    /// The modulus, big-endian, without leading zeros.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent.
    #[must_use]
    pub const fn exponent(&self) -> u64 {
        self.exponent
    }

    /// The public exponent, big-endian, without leading zeros.
    #[must_use]
    pub fn exponent_bytes(&self) -> Vec<u8> {
        strip_leading_zeros(&self.exponent.to_be_bytes()).to_vec()
    }

    /// Size of the modulus in bits, a multiple of 8.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.modulus.len() * 8
    }

    /// Whether the modulus is below 3072 bits, which deserves a warning (NIST SP 800-57 part 1: 112 bits of security).
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.bits() < 3072
    }

    /// Reads `RSAPublicKey` (PKCS #1 DER).
    ///
    /// # Errors
    /// [`KeyError::Encoding`], or those of [`new`](Self::new).
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key =
            pkcs1::RsaPublicKeyRef::from_der(der).map_err(|_| KeyError::Encoding { structure: "RSAPublicKey" })?;
        Self::new(key.modulus.as_bytes(), key.public_exponent.as_bytes())
    }

    /// Writes `RSAPublicKey` (PKCS #1 DER).
    #[must_use]
    pub fn to_pkcs1_der(&self) -> Vec<u8> {
        let exponent = self.exponent.to_be_bytes();
        let (Ok(modulus), Ok(public_exponent)) =
            (UintRef::new(&self.modulus), UintRef::new(strip_leading_zeros(&exponent)))
        else {
            return Vec::new(); // both are far below DER's length limit
        };
        pkcs1::RsaPublicKeyRef { modulus, public_exponent }.to_der().unwrap_or_default()
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublicKey({} bits, e = {})", self.bits(), self.exponent)
    }
}

/// The numbers of a two-prime RSA private key, big-endian (RFC 8017 §3.2). Leading zeros are allowed.
#[derive(Clone, Copy)]
pub struct RsaPrivateNumbers<'a> {
    /// `d`
    pub private_exponent: &'a [u8],
    /// `p`
    pub prime_p: &'a [u8],
    /// `q`
    pub prime_q: &'a [u8],
    /// `dP = d mod (p − 1)`
    pub exponent_p: &'a [u8],
    /// `dQ = d mod (q − 1)`
    pub exponent_q: &'a [u8],
    /// `qInv = q⁻¹ mod p`
    pub coefficient: &'a [u8],
}

/// An RSA private key: what opens sealed messages. Held as the PKCS #1 DER, which is wiped on drop.
pub struct RsaPrivateKey {
    public: RsaPublicKey,
    pkcs1_der: SecretBytes,
}

impl RsaPrivateKey {
    /// From its numbers.
    ///
    /// # Errors
    /// [`KeyError::Encoding`] if a number is zero or too long for DER.
    pub fn new(public: RsaPublicKey, numbers: &RsaPrivateNumbers<'_>) -> Result<Self, KeyError> {
        let damaged = |_| KeyError::Encoding { structure: "RSAPrivateKey" };
        let exponent = public.exponent_bytes();
        let number = |digits| match strip_leading_zeros(digits) {
            [] => Err(KeyError::Encoding { structure: "RSAPrivateKey" }), // zero, which would become an INTEGER of no bytes
            digits => UintRef::new(digits).map_err(damaged),
        };
        let key = pkcs1::RsaPrivateKeyRef {
            modulus: number(&public.modulus)?,
            public_exponent: number(&exponent)?,
            private_exponent: number(numbers.private_exponent)?,
            prime1: number(numbers.prime_p)?,
            prime2: number(numbers.prime_q)?,
            exponent1: number(numbers.exponent_p)?,
            exponent2: number(numbers.exponent_q)?,
            coefficient: number(numbers.coefficient)?,
            other_prime_infos: None,
        };
        let pkcs1_der = SecretBytes::new(key.to_der().map_err(damaged)?);
        Ok(Self { public, pkcs1_der })
    }

    /// Reads `RSAPrivateKey` (PKCS #1 DER).
    ///
    /// # Errors
    /// [`KeyError::Encoding`], [`KeyError::MultiPrime`], or those of [`RsaPublicKey::new`].
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = decode_pkcs1(der)?;
        if key.other_prime_infos.is_some() {
            return Err(KeyError::MultiPrime);
        }
        let public = RsaPublicKey::new(key.modulus.as_bytes(), key.public_exponent.as_bytes())?;
        Ok(Self { public, pkcs1_der: SecretBytes::copy_from(der) })
    }

    /// Reads `PrivateKeyInfo` (PKCS #8 DER, unencrypted) of an RSA key.
    ///
    /// # Errors
    /// [`KeyError::Encoding`] or [`KeyError::UnsupportedAlgorithm`], or those of [`from_pkcs1_der`](Self::from_pkcs1_der).
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| KeyError::Encoding { structure: "PrivateKeyInfo" })?;
        if info.algorithm.oid != RSA_ENCRYPTION {
            return Err(KeyError::unsupported_algorithm(&info.algorithm.oid.to_string()));
        }
        Self::from_pkcs1_der(info.private_key.as_bytes())
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> &RsaPublicKey {
        &self.public
    }

    /// `RSAPrivateKey` (PKCS #1 DER), secret.
    #[must_use]
    pub const fn to_pkcs1_der(&self) -> &SecretBytes {
        &self.pkcs1_der
    }

    /// `PrivateKeyInfo` (PKCS #8 DER), secret.
    ///
    /// # Errors
    /// [`KeyError::Encoding`], which the limits on the modulus rule out.
    pub fn to_pkcs8_der(&self) -> Result<SecretBytes, KeyError> {
        let damaged = |_| KeyError::Encoding { structure: "PrivateKeyInfo" };
        let private_key = der::asn1::OctetStringRef::new(self.pkcs1_der.expose_secret()).map_err(damaged)?;
        let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(der::asn1::AnyRef::NULL) };
        let info = PrivateKeyInfoRef::new(algorithm, private_key);
        let mut der = Vec::with_capacity(self.pkcs1_der.len().saturating_add(64));
        let written = info.encode_to_vec(&mut der).map_err(damaged);
        if let Err(error) = written {
            der.zeroize();
            return Err(error);
        }
        Ok(SecretBytes::new(der))
    }

    /// Checks what libraries disagree about in a private key whose numbers satisfy all equations: `d` must be below `n`
    /// (RFC 8017 §3.2), and neither prime longer than half of `n` (FIPS 186-5 §A.1.1). Adapters ask this when they load a key.
    ///
    /// # Errors
    /// [`KeyError::Inconsistent`].
    pub fn check_ranges(&self) -> Result<(), KeyError> {
        let half = self.public.bits() / 2;
        self.with_numbers(|numbers| {
            let balanced = [numbers.prime_p, numbers.prime_q].iter().all(|prime| bit_length(prime) <= half);
            let reduced = is_below_be(numbers.private_exponent, &self.public.modulus);
            if balanced && reduced.into() { Ok(()) } else { Err(KeyError::Inconsistent) }
        })
    }

    /// Hands the numbers to `with`, borrowed from the key's own storage.
    ///
    /// # Errors
    /// Whatever `with` returns; [`KeyError::Encoding`] cannot happen for a key that was built by this type.
    pub fn with_numbers<T>(
        &self,
        with: impl FnOnce(&RsaPrivateNumbers<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let key = decode_pkcs1(self.pkcs1_der.expose_secret())?;
        with(&RsaPrivateNumbers {
            private_exponent: key.private_exponent.as_bytes(),
            prime_p: key.prime1.as_bytes(),
            prime_q: key.prime2.as_bytes(),
            exponent_p: key.exponent1.as_bytes(),
            exponent_q: key.exponent2.as_bytes(),
            coefficient: key.coefficient.as_bytes(),
        })
    }
}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPrivateKey({} bits, ..)", self.public.bits())
    }
}

/// The length in bits of big-endian digits without leading zeros.
fn bit_length(digits: &[u8]) -> usize {
    let spare = digits.first().map_or(0, |byte| byte.leading_zeros() as usize);
    digits.len().saturating_mul(8).saturating_sub(spare)
}

fn decode_pkcs1(der: &[u8]) -> Result<pkcs1::RsaPrivateKeyRef<'_>, KeyError> {
    pkcs1::RsaPrivateKeyRef::from_der(der).map_err(|_| KeyError::Encoding { structure: "RSAPrivateKey" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of 2048 bits whose numbers are as large as given and satisfy nothing else.
    fn key(private_exponent: &[u8], prime_p: &[u8], prime_q: &[u8]) -> RsaPrivateKey {
        let public = RsaPublicKey::new(&[0xab; 256], &[3]).unwrap();
        let numbers = RsaPrivateNumbers {
            private_exponent,
            prime_p,
            prime_q,
            exponent_p: &[1],
            exponent_q: &[1],
            coefficient: &[1],
        };
        RsaPrivateKey::new(public, &numbers).unwrap()
    }

    #[test]
    fn a_number_that_is_zero_is_refused() {
        let public = || RsaPublicKey::new(&[0xab; 256], &[3]).unwrap();
        let good = RsaPrivateNumbers {
            private_exponent: &[1],
            prime_p: &[1],
            prime_q: &[1],
            exponent_p: &[1],
            exponent_q: &[1],
            coefficient: &[1],
        };
        for zero in [&[][..], &[0], &[0, 0]] {
            for numbers in [
                RsaPrivateNumbers { private_exponent: zero, ..good },
                RsaPrivateNumbers { prime_p: zero, ..good },
                RsaPrivateNumbers { prime_q: zero, ..good },
                RsaPrivateNumbers { exponent_p: zero, ..good },
                RsaPrivateNumbers { exponent_q: zero, ..good },
                RsaPrivateNumbers { coefficient: zero, ..good },
            ] {
                let made = RsaPrivateKey::new(public(), &numbers).map(drop);
                assert_eq!(made, Err(KeyError::Encoding { structure: "RSAPrivateKey" }));
            }
        }
    }

    #[test]
    fn a_private_exponent_is_below_the_modulus_and_primes_are_balanced() {
        let prime = [0xff; 128];
        let longer = [&[1][..], &prime].concat();
        let mut below = [0xab; 256];
        below[255] -= 1;
        for good in [&below[..], &[0xab; 255], &[3]] {
            assert_eq!(key(good, &prime, &prime).check_ranges(), Ok(()));
        }
        for bad in [&[0xab; 256][..], &[0xac; 256], &[1; 257]] {
            assert_eq!(key(bad, &prime, &prime).check_ranges(), Err(KeyError::Inconsistent));
        }
        for (p, q) in [(&prime[..], &longer[..]), (&longer[..], &prime[..])] {
            assert_eq!(key(&[3], p, q).check_ranges(), Err(KeyError::Inconsistent));
        }
    }
}
