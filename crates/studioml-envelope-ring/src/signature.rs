//! Ed25519 (RFC 8032, pure) and ECDSA P-256 with SHA-256 (FIPS 186-5), both sides (docs/spec.md §3).
//!
//! Core's types have refused what libraries disagree about: small-order and non-canonical points, scalars out of range,
//! other encodings of one signature. What is left ring judges by the cofactorless equation with R compared as bytes.
//!
//! ring keeps nothing for a public key: it decompresses or checks the point again in every verification.

use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use studioml_envelope_core::{
    BadSignature, Ed25519PrivateKey, Ed25519PublicKey, Ed25519Signature, EphemeralKey, Implementation, KeyError,
    P256PrivateKey, P256PublicKey, P256Signature, Part, Random, RandomError, Sign, Signature, SigningKey,
    SigningPrivateKey, SigningPublicKey, Verify, VerifyingKey,
};

use crate::{IMPLEMENTATION, agreement::Ephemeral};

/// The part [`SIGN`].
#[derive(Clone, Copy, Debug)]
pub struct RingSign;

/// Making signatures.
pub static SIGN: RingSign = RingSign;

/// The part [`VERIFY`].
#[derive(Clone, Copy, Debug)]
pub struct RingVerify;

/// Checking signatures.
pub static VERIFY: RingVerify = RingVerify;

struct Ed25519Signer {
    key_pair: Ed25519KeyPair,
    public: SigningPublicKey,
}

struct P256Signer {
    key_pair: EcdsaKeyPair,
    public: SigningPublicKey,
}

/// An encoding that is no point of the curve stands here too: it verifies nothing.
struct Ed25519Verifier(UnparsedPublicKey<[u8; Ed25519PublicKey::LEN]>);

struct P256Verifier(UnparsedPublicKey<[u8; P256PublicKey::LEN]>);

impl Part for RingSign {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Sign for RingSign {
    fn load(&self, key: &SigningPrivateKey) -> Result<Box<dyn SigningKey>, KeyError> {
        match key {
            SigningPrivateKey::Ed25519(key) => Ok(Box::new(Ed25519Signer::load(key)?)),
            SigningPrivateKey::P256(key) => Ok(Box::new(P256Signer::load(key)?)),
        }
    }
}

impl Ed25519Signer {
    fn load(key: &Ed25519PrivateKey) -> Result<Self, KeyError> {
        let key_pair =
            Ed25519KeyPair::from_seed_unchecked(key.seed().expose_secret()).map_err(|_| KeyError::Inconsistent)?;
        let public = Ed25519PublicKey::from_bytes(key_pair.public_key().as_ref())?;
        if key.claimed_public_key().is_some_and(|claimed| *claimed != public) {
            return Err(KeyError::Inconsistent);
        }
        Ok(Self { key_pair, public: SigningPublicKey::Ed25519(public) })
    }
}

impl SigningKey for Ed25519Signer {
    fn public_key(&self) -> &SigningPublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8], _random: &dyn Random) -> Result<Signature, RandomError> {
        let signature = self.key_pair.sign(message);
        Ed25519Signature::from_bytes(signature.as_ref()).map(Signature::Ed25519).map_err(|_| RandomError)
    }
}

impl P256Signer {
    fn load(key: &P256PrivateKey) -> Result<Self, KeyError> {
        let scalar = P256PrivateKey::check_scalar(key.scalar())?;
        let public = *key.public_key();
        // the scalar is in range: what the library may still refuse is the public part, off the curve or another key's
        let key_pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            scalar,
            public.as_bytes(),
            &SystemRandom::new(),
        )
        .map_err(|_| KeyError::Inconsistent)?;
        Ok(Self { key_pair, public: SigningPublicKey::P256(public) })
    }
}

impl SigningKey for P256Signer {
    fn public_key(&self) -> &SigningPublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8], _random: &dyn Random) -> Result<Signature, RandomError> {
        let signature = self.key_pair.sign(&SystemRandom::new(), message).map_err(|_| RandomError)?;
        P256Signature::from_bytes(signature.as_ref()).map(Signature::P256).map_err(|_| RandomError)
    }
}

impl Part for RingVerify {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Verify for RingVerify {
    fn load(&self, key: &SigningPublicKey) -> Result<Box<dyn VerifyingKey>, KeyError> {
        match key {
            SigningPublicKey::Ed25519(key) => Ok(Box::new(Ed25519Verifier::load(key))),
            SigningPublicKey::P256(key) => Ok(Box::new(P256Verifier::load(key)?)),
        }
    }
}

impl Ed25519Verifier {
    fn load(key: &Ed25519PublicKey) -> Self {
        Self(UnparsedPublicKey::new(&ED25519, *key.as_bytes()))
    }
}

impl VerifyingKey for Ed25519Verifier {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let Signature::Ed25519(signature) = signature else {
            return Err(BadSignature);
        };
        self.0.verify(message, signature.as_bytes()).map_err(|_| BadSignature)
    }
}

impl P256Verifier {
    /// ring has no operation that only checks a point: one agreement with a key pair made for it and thrown away does,
    /// once per key.
    fn load(key: &P256PublicKey) -> Result<Self, KeyError> {
        let throw_away = Ephemeral::generate().map_err(|_| KeyError::Generation)?;
        Box::new(throw_away).agree(key).map_err(|_| KeyError::PointNotOnCurve)?;
        Ok(Self(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, *key.as_bytes())))
    }
}

impl VerifyingKey for P256Verifier {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let Signature::P256(signature) = signature else {
            return Err(BadSignature);
        };
        self.0.verify(message, signature.as_bytes()).map_err(|_| BadSignature)
    }
}
