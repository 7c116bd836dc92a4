//! Signatures as data (docs/spec.md §3): decoded strictly, so that a value of these types is one that every library judges alike.
//!
//! Everything here is public. The attacker is somebody who varies a signature until one verifier accepts what another
//! refuses: a second encoding of the same signature, a scalar above the group order, a point of small order.

use core::cmp::Ordering;

use der::{Decode, Encode, Sequence, asn1::UintRef};

use crate::{
    SignatureError, SigningPublicKey,
    curve_key::{P256_ORDER, is_below_le_vartime, is_non_canonical_point, is_small_order_point},
    encoding::{base64_decode, base64_encode, strip_leading_zeros, take_ssh_string},
};

/// L = 2^252 + 27742317777372353535851937790883648493, little-endian (RFC 8032 §5.1).
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A signature of one of the two algorithms. The key held decides which one is decoded, never the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signature {
    /// Ed25519 (RFC 8032, pure).
    Ed25519(Ed25519Signature),
    /// ECDSA with P-256 and SHA-256.
    P256(P256Signature),
}

/// An Ed25519 signature `R || S`: `S` below L, `R` canonical and not of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ed25519Signature([u8; Ed25519Signature::LEN]);

/// An ECDSA P-256 signature `r || s`, each 32 bytes big-endian and in 1 ..= n − 1. High `s` is accepted (docs/spec.md §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct P256Signature([u8; P256Signature::LEN]);

/// `ECDSA-Sig-Value` (RFC 3279 §2.2.3).
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl Ed25519Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;
    /// Length of the SSH wire form: `string "ssh-ed25519" || string sig`.
    const SSH_LEN: usize = 83;
    const ALGORITHM: &'static str = "Ed25519";

    /// From `R || S`.
    ///
    /// # Errors
    /// [`SignatureError::Length`], [`SignatureError::Scalar`] or [`SignatureError::SmallOrderR`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bytes: [u8; Self::LEN] =
            bytes.try_into().map_err(|_| SignatureError::Length { algorithm: Self::ALGORITHM, found: bytes.len() })?;
        let (Some(r), Some(s)) = (bytes.first_chunk::<32>(), bytes.last_chunk::<32>()) else {
            return Err(SignatureError::Length { algorithm: Self::ALGORITHM, found: bytes.len() });
        };
        if !is_below_le_vartime(s, &ED25519_ORDER) {
            return Err(SignatureError::Scalar);
        }
        if is_non_canonical_point(r) || is_small_order_point(r) {
            return Err(SignatureError::SmallOrderR);
        }
        Ok(Self(bytes))
    }

    /// `R || S`.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// From the raw form or the SSH form, told apart by length.
    fn decode(bytes: &[u8]) -> Result<Self, SignatureError> {
        match bytes.len() {
            Self::LEN => Self::from_bytes(bytes),
            Self::SSH_LEN => Self::from_bytes(ssh_signature(bytes, b"ssh-ed25519", Self::ALGORITHM)?),
            found => Err(SignatureError::Length { algorithm: Self::ALGORITHM, found }),
        }
    }
}

impl P256Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;
    const ALGORITHM: &'static str = "ECDSA P-256";
    /// The longest encoding: the SSH form with two 33-byte mpints.
    const MAX_ENCODED: usize = 4 + 19 + 4 + 2 * (4 + 33);

    /// From `r || s`, fixed length.
    ///
    /// # Errors
    /// [`SignatureError::Length`] or [`SignatureError::Scalar`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bytes: [u8; Self::LEN] =
            bytes.try_into().map_err(|_| SignatureError::Length { algorithm: Self::ALGORITHM, found: bytes.len() })?;
        let (r, s) = bytes.split_at(32);
        let in_range =
            |scalar: &[u8]| scalar.iter().any(|byte| *byte != 0) && scalar.cmp(&P256_ORDER) == Ordering::Less;
        if in_range(r) && in_range(s) { Ok(Self(bytes)) } else { Err(SignatureError::Scalar) }
    }

    /// `r || s`, fixed length.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Strict DER `ECDSA-Sig-Value`.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let (r, s) = self.0.split_at(32);
        let encode = || {
            let r = UintRef::new(strip_leading_zeros(r))?;
            let s = UintRef::new(strip_leading_zeros(s))?;
            EcdsaSigValue { r, s }.to_der()
        };
        encode().unwrap_or_default() // two 32-byte integers always fit
    }

    /// From strict DER (first byte 0x30) or the SSH form (first byte 0x00).
    fn decode(bytes: &[u8]) -> Result<Self, SignatureError> {
        if bytes.len() > Self::MAX_ENCODED {
            return Err(SignatureError::Length { algorithm: Self::ALGORITHM, found: bytes.len() });
        }
        match bytes.first() {
            Some(0x30) => {
                let value = EcdsaSigValue::from_der(bytes).map_err(|_| SignatureError::Der)?;
                Self::from_scalars(value.r.as_bytes(), value.s.as_bytes())
            }
            Some(0x00) => {
                const DAMAGED: SignatureError = SignatureError::SshForm { algorithm: P256Signature::ALGORITHM };
                let mut scalars = ssh_signature(bytes, b"ecdsa-sha2-nistp256", Self::ALGORITHM)?;
                let r = take_ssh_string(&mut scalars).and_then(minimal_mpint).ok_or(DAMAGED)?;
                let s = take_ssh_string(&mut scalars).and_then(minimal_mpint).ok_or(DAMAGED)?;
                if !scalars.is_empty() {
                    return Err(DAMAGED);
                }
                Self::from_scalars(r, s)
            }
            Some(_) => Err(SignatureError::Der),
            None => Err(SignatureError::Length { algorithm: Self::ALGORITHM, found: 0 }),
        }
    }

    /// From two positive integers without leading zeros.
    fn from_scalars(r: &[u8], s: &[u8]) -> Result<Self, SignatureError> {
        let mut fixed = [0; Self::LEN];
        let (r_fixed, s_fixed) = fixed.split_at_mut(32);
        for (scalar, fixed) in [(r, r_fixed), (s, s_fixed)] {
            let start = fixed.len().checked_sub(scalar.len()).ok_or(SignatureError::Scalar)?;
            let (_, digits) = fixed.split_at_mut_checked(start).ok_or(SignatureError::Scalar)?;
            digits.copy_from_slice(scalar);
        }
        Self::from_bytes(&fixed)
    }
}

impl Signature {
    /// Decodes the `signature` member of a message for a key of a given algorithm: base64 of the raw or DER form, or of the
    /// SSH wire form that deployed signers emit.
    ///
    /// # Errors
    /// [`SignatureError`], which says what is wrong with it.
    pub fn from_base64(text: &str, key: &SigningPublicKey) -> Result<Self, SignatureError> {
        // 4/3 of the longest encoding, with room: nothing longer is worth decoding
        if text.len() > 256 {
            let algorithm = match key {
                SigningPublicKey::Ed25519(_) => Ed25519Signature::ALGORITHM,
                SigningPublicKey::P256(_) => P256Signature::ALGORITHM,
            };
            let padding = text.bytes().rev().take(2).take_while(|byte| *byte == b'=').count();
            return Err(SignatureError::Length { algorithm, found: text.len() / 4 * 3 - padding });
        }
        let bytes = base64_decode(text).ok_or(SignatureError::Base64)?;
        match key {
            SigningPublicKey::Ed25519(_) => Ed25519Signature::decode(&bytes).map(Self::Ed25519),
            SigningPublicKey::P256(_) => P256Signature::decode(&bytes).map(Self::P256),
        }
    }

    /// The `signature` member of a message: base64 of the 64 bytes, or of the DER form for ECDSA.
    #[must_use]
    pub fn to_base64(&self) -> String {
        match self {
            Self::Ed25519(signature) => base64_encode(signature.as_bytes()),
            Self::P256(signature) => base64_encode(&signature.to_der()),
        }
    }
}

/// The inner blob of `string algorithm || string blob` (RFC 4253 §6.6), with nothing after it.
fn ssh_signature<'a>(mut bytes: &'a [u8], name: &[u8], algorithm: &'static str) -> Result<&'a [u8], SignatureError> {
    let found = take_ssh_string(&mut bytes);
    let blob = take_ssh_string(&mut bytes);
    match (found, blob) {
        (Some(found), Some(blob)) if found == name && bytes.is_empty() => Ok(blob),
        _ => Err(SignatureError::SshForm { algorithm }),
    }
}

/// The digits of a positive mpint in its one shortest form (RFC 4251 §5).
fn minimal_mpint(mpint: &[u8]) -> Option<&[u8]> {
    match mpint {
        [0, digits @ ..] if digits.first().is_some_and(|byte| *byte >= 0x80) => Some(digits),
        [1..=0x7f, ..] => Some(mpint),
        _ => None,
    }
}
