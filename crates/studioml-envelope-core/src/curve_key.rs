//! Ed25519 and P-256 keys as data (RFC 8032, SEC 1), with what can be checked about them without curve arithmetic.

use core::fmt;

use subtle::ConstantTimeEq;

use crate::{KeyError, SecretBytes, secret::is_below_be};

/// n, the order of P-256, big-endian (SP 800-186 §3.2.1.3).
pub(crate) const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// 2^255 − 19, little-endian.
const FIELD_PRIME: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

/// The y-coordinates of the eight points of small order, little-endian, sign bit clear: orders 4, 1, 2, 8 and 8.
/// (D. J. Bernstein, "Does the curve have small-order points?", as in libsodium's `ge25519_has_small_order`.)
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = FIELD_PRIME;
        minus_one[0] = 0xec;
        minus_one
    },
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Whether an encoded Edwards point has a y-coordinate that is not reduced modulo 2^255 − 19. Public data.
pub(crate) fn is_non_canonical_point(encoding: &[u8; 32]) -> bool {
    !is_below_le_vartime(&without_sign(encoding), &FIELD_PRIME)
}

/// Whether a canonical encoding is one of the points of small order. Public data.
pub(crate) fn is_small_order_point(encoding: &[u8; 32]) -> bool {
    SMALL_ORDER.contains(&without_sign(encoding))
}

/// Little-endian comparison of public numbers, variable-time.
pub(crate) fn is_below_le_vartime(number: &[u8; 32], limit: &[u8; 32]) -> bool {
    number.iter().rev().lt(limit.iter().rev())
}

fn without_sign(encoding: &[u8; 32]) -> [u8; 32] {
    let mut y = *encoding;
    y[31] &= 0x7f;
    y
}

/// An Ed25519 public key: canonical and not of small order. That it is a point of the curve shows when it verifies.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ed25519PublicKey([u8; Ed25519PublicKey::LEN]);

impl Ed25519PublicKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// From the encoded point (RFC 8032 §5.1.2).
    ///
    /// # Errors
    /// [`KeyError::Length`], [`KeyError::NonCanonical`] or [`KeyError::SmallOrder`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; Self::LEN] = bytes.try_into().map_err(|_| KeyError::Length {
            kind: "Ed25519 public",
            expected: Self::LEN,
            found: bytes.len(),
        })?;
        if is_non_canonical_point(&bytes) {
            return Err(KeyError::NonCanonical);
        }
        if is_small_order_point(&bytes) {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(bytes))
    }

    /// The encoded point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for Ed25519PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519PublicKey({:02x?})", self.0)
    }
}

/// An Ed25519 private key: the 32-byte seed of RFC 8032 §5.1.5, and the public key where the key file carried one.
///
/// Loading it checks that the two belong together.
pub struct Ed25519PrivateKey {
    seed: SecretBytes,
    public: Option<Ed25519PublicKey>,
}

impl Ed25519PrivateKey {
    /// Length of the seed in bytes.
    pub const LEN: usize = 32;

    /// From the seed, with the public key it is said to have.
    ///
    /// # Errors
    /// [`KeyError::Length`] if the seed is not 32 bytes.
    pub fn new(seed: SecretBytes, public: Option<Ed25519PublicKey>) -> Result<Self, KeyError> {
        if seed.len() != Self::LEN {
            return Err(KeyError::Length { kind: "Ed25519 private", expected: Self::LEN, found: seed.len() });
        }
        Ok(Self { seed, public })
    }

    /// The seed, 32 bytes.
    #[must_use]
    pub const fn seed(&self) -> &SecretBytes {
        &self.seed
    }

    /// The public key that came with it, unchecked until the key is loaded.
    #[must_use]
    pub const fn claimed_public_key(&self) -> Option<&Ed25519PublicKey> {
        self.public.as_ref()
    }
}

impl fmt::Debug for Ed25519PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519PrivateKey(..)")
    }
}

/// A P-256 public key as an uncompressed point. That it is on the curve is checked by the library that loads or uses it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct P256PublicKey([u8; P256PublicKey::LEN]);

impl P256PublicKey {
    /// Length in bytes: `04 || x || y` (SEC 1 §2.3.3).
    pub const LEN: usize = 65;

    /// From an uncompressed point. Compressed, hybrid and identity encodings are refused.
    ///
    /// # Errors
    /// [`KeyError::PointEncoding`].
    pub fn from_uncompressed(point: &[u8]) -> Result<Self, KeyError> {
        match <[u8; Self::LEN]>::try_from(point) {
            Ok(bytes) if bytes[0] == 4 => Ok(Self(bytes)),
            _ => Err(KeyError::PointEncoding),
        }
    }

    /// The uncompressed point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for P256PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P256PublicKey({:02x?})", self.0)
    }
}

/// A P-256 private key: the scalar, 32 bytes big-endian, and its public key.
///
/// Loading it checks the range of the scalar and that the two belong together. A key file without a public part gets one
/// from [`AgreeStatic::public_key_of`](crate::AgreeStatic::public_key_of).
pub struct P256PrivateKey {
    scalar: SecretBytes,
    public: P256PublicKey,
}

impl P256PrivateKey {
    /// Length of the scalar in bytes.
    pub const LEN: usize = 32;

    /// From the scalar and its public key.
    ///
    /// # Errors
    /// [`KeyError::Length`] if the scalar is not 32 bytes.
    pub fn new(scalar: SecretBytes, public: P256PublicKey) -> Result<Self, KeyError> {
        if scalar.len() != Self::LEN {
            return Err(KeyError::Length { kind: "P-256 private", expected: Self::LEN, found: scalar.len() });
        }
        Ok(Self { scalar, public })
    }

    /// Checks that a secret scalar is 32 bytes and in 1 ..= n − 1, and hands out its bytes.
    ///
    /// Every adapter asks this before its library, so that the error is the same whichever library would have refused.
    /// No branch depends on the scalar but the one on the result.
    ///
    /// # Errors
    /// [`KeyError::Length`] or [`KeyError::ScalarOutOfRange`].
    pub fn check_scalar(scalar: &SecretBytes) -> Result<&[u8; Self::LEN], KeyError> {
        let bytes: &[u8; Self::LEN] = scalar.expose_secret().try_into().map_err(|_| KeyError::Length {
            kind: "P-256 private",
            expected: Self::LEN,
            found: scalar.len(),
        })?;
        let any_bit = bytes.iter().fold(0, |bits, digit| bits | digit);
        let in_range = !any_bit.ct_eq(&0) & is_below_be(bytes, &P256_ORDER);
        if in_range.into() { Ok(bytes) } else { Err(KeyError::ScalarOutOfRange) }
    }

    /// The scalar, 32 bytes big-endian.
    #[must_use]
    pub const fn scalar(&self) -> &SecretBytes {
        &self.scalar
    }

    /// The public key that came with it, unchecked until the key is loaded.
    #[must_use]
    pub const fn public_key(&self) -> &P256PublicKey {
        &self.public
    }
}

impl fmt::Debug for P256PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256PrivateKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(scalar: [u8; 32]) -> Result<(), KeyError> {
        P256PrivateKey::check_scalar(&SecretBytes::copy_from(&scalar)).map(|_| ())
    }

    #[test]
    fn scalars_from_1_to_n_minus_1_pass_and_no_others() {
        let mut one = [0; 32];
        one[31] = 1;
        let mut high_byte_only = [0; 32];
        high_byte_only[0] = 0x80;
        let mut below = P256_ORDER;
        below[31] -= 1;
        let mut above = P256_ORDER;
        above[31] += 1;
        // less than n in a high byte, more in every lower one
        let mut borrowing = [0xff; 32];
        borrowing[4] = 0;
        borrowing[3] = 0xfe;

        for good in [one, high_byte_only, below, borrowing] {
            assert_eq!(checked(good), Ok(()));
        }
        for bad in [[0; 32], P256_ORDER, above, [0xff; 32]] {
            assert_eq!(checked(bad), Err(KeyError::ScalarOutOfRange));
        }
    }

    #[test]
    fn a_scalar_of_another_length_is_named_as_that() {
        for found in [0, 31, 33] {
            let error = P256PrivateKey::check_scalar(&SecretBytes::new(vec![1; found])).map(|_| ());
            assert_eq!(error, Err(KeyError::Length { kind: "P-256 private", expected: 32, found }));
        }
    }
}
