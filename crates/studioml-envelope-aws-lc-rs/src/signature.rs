//! Ed25519 (RFC 8032, pure) and ECDSA P-256 with SHA-256 (FIPS 186-5), both sides (docs/spec.md §3).
//!
//! Core's types have refused what libraries disagree about: small-order and non-canonical points, scalars out of range,
//! other encodings of one signature. What is left AWS-LC judges by the cofactorless equation with R compared as bytes.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        ParsedPublicKey,
    },
};
use studioml_envelope_core::{
    BadSignature, Ed25519PrivateKey, Ed25519PublicKey, Ed25519Signature, Implementation, KeyError, P256PrivateKey,
    P256PublicKey, P256Signature, Part, Random, RandomError, Sign, Signature, SigningKey, SigningPrivateKey,
    SigningPublicKey, Verify, VerifyingKey,
};

use crate::IMPLEMENTATION;

/// The part [`SIGN`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcSign;

/// Making signatures.
pub static SIGN: AwsLcSign = AwsLcSign;

/// The part [`VERIFY`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcVerify;

/// Checking signatures.
pub static VERIFY: AwsLcVerify = AwsLcVerify;

struct Ed25519Signer {
    key_pair: Ed25519KeyPair,
    public: SigningPublicKey,
}

struct P256Signer {
    key_pair: EcdsaKeyPair,
    public: SigningPublicKey,
}

/// `None` if the encoding is no point of the curve: it loads, as the contract wants, and verifies nothing.
struct Ed25519Verifier(Option<ParsedPublicKey>);

struct P256Verifier(ParsedPublicKey);

impl Part for AwsLcSign {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Sign for AwsLcSign {
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
        let signature = self.key_pair.try_sign(message).map_err(|_| RandomError)?;
        Ed25519Signature::from_bytes(signature.as_ref()).map(Signature::Ed25519).map_err(|_| RandomError)
    }
}

impl P256Signer {
    fn load(key: &P256PrivateKey) -> Result<Self, KeyError> {
        let scalar = P256PrivateKey::check_scalar(key.scalar())?;
        let public = *key.public_key();
        // the scalar is in range: what the library may still refuse is the public part, off the curve or another key's
        let key_pair =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, scalar, public.as_bytes())
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

impl Part for AwsLcVerify {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Verify for AwsLcVerify {
    fn load(&self, key: &SigningPublicKey) -> Result<Box<dyn VerifyingKey>, KeyError> {
        match key {
            SigningPublicKey::Ed25519(key) => Ok(Box::new(Ed25519Verifier::load(key))),
            SigningPublicKey::P256(key) => Ok(Box::new(P256Verifier::load(key)?)),
        }
    }
}

impl Ed25519Verifier {
    fn load(key: &Ed25519PublicKey) -> Self {
        Self(ParsedPublicKey::new(&ED25519, key.as_bytes()).ok())
    }
}

impl VerifyingKey for Ed25519Verifier {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let (Some(key), Signature::Ed25519(signature)) = (&self.0, signature) else {
            return Err(BadSignature);
        };
        key.verify_sig(message, signature.as_bytes()).map_err(|_| BadSignature)
    }
}

impl P256Verifier {
    fn load(key: &P256PublicKey) -> Result<Self, KeyError> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.as_bytes()).map(Self).map_err(|_| KeyError::PointNotOnCurve)
    }
}

impl VerifyingKey for P256Verifier {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let Signature::P256(signature) = signature else {
            return Err(BadSignature);
        };
        self.0.verify_sig(message, signature.as_bytes()).map_err(|_| BadSignature)
    }
}
