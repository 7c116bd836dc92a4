//! Ed25519 (RFC 8032, pure) and ECDSA P-256 with SHA-256 (FIPS 186-5), both sides (FORMAT §3).
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RANDOM;
    use studioml_envelope_core::SecretBytes;

    /// RFC 8032 §7.1, TEST 1 and TEST 3: seed, public key, message, signature.
    const RFC_8032: [[&str; 4]; 2] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            concat!(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            concat!(
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
                "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
            ),
        ],
    ];

    /// RFC 6979 §A.2.5: private scalar, public point, and `r || s` of "sample" with SHA-256. Its s is above n/2.
    const P256_SCALAR: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    const P256_POINT: &str = concat!(
        "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    );
    const P256_SIGNATURE: &str = concat!(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    );
    /// n minus the s above.
    const P256_LOW_S: &str = "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    fn ed25519(seed: &str, public: Option<&str>) -> SigningPrivateKey {
        let public = public.map(|public| Ed25519PublicKey::from_bytes(&bytes(public)).unwrap());
        SigningPrivateKey::Ed25519(Ed25519PrivateKey::new(SecretBytes::new(bytes(seed)), public).unwrap())
    }

    fn p256(scalar: &str, point: &str) -> SigningPrivateKey {
        let public = P256PublicKey::from_uncompressed(&bytes(point)).unwrap();
        SigningPrivateKey::P256(P256PrivateKey::new(SecretBytes::new(bytes(scalar)), public).unwrap())
    }

    fn p256_public(point: &str) -> SigningPublicKey {
        SigningPublicKey::P256(P256PublicKey::from_uncompressed(&bytes(point)).unwrap())
    }

    fn p256_signature(text: &str) -> Signature {
        Signature::P256(P256Signature::from_bytes(&bytes(text)).unwrap())
    }

    fn refusal(key: &SigningPrivateKey) -> Option<KeyError> {
        SIGN.load(key).err()
    }

    #[test]
    fn ed25519_vectors_of_the_rfc() {
        for [seed, public, message, signature] in RFC_8032 {
            let message = bytes(message);
            let signature = Signature::Ed25519(Ed25519Signature::from_bytes(&bytes(signature)).unwrap());
            for claimed in [None, Some(public)] {
                let signer = SIGN.load(&ed25519(seed, claimed)).unwrap();
                let expected = Ed25519PublicKey::from_bytes(&bytes(public)).unwrap();
                assert_eq!(*signer.public_key(), SigningPublicKey::Ed25519(expected));
                assert_eq!(signer.sign(&message, &RANDOM), Ok(signature));
                let verifier = VERIFY.load(signer.public_key()).unwrap();
                assert_eq!(verifier.verify(&message, &signature), Ok(()));
                assert_eq!(verifier.verify(b"another message", &signature), Err(BadSignature));
            }
        }
    }

    #[test]
    fn ed25519_claimed_public_key_of_another_is_inconsistent() {
        let [[seed, ..], [_, other, ..]] = RFC_8032;
        assert_eq!(refusal(&ed25519(seed, Some(other))), Some(KeyError::Inconsistent));
    }

    #[test]
    fn ed25519_encoding_off_the_curve_loads_and_verifies_nothing() {
        // no x belongs to y = 2: (y² − 1) / (d·y² + 1) is not a square
        let mut encoding = [0; 32];
        encoding[0] = 2;
        let key = SigningPublicKey::Ed25519(Ed25519PublicKey::from_bytes(&encoding).unwrap());
        let verifier = VERIFY.load(&key).unwrap();
        let [_, _, message, signature] = RFC_8032[1];
        let signature = Signature::Ed25519(Ed25519Signature::from_bytes(&bytes(signature)).unwrap());
        assert_eq!(verifier.verify(&bytes(message), &signature), Err(BadSignature));
    }

    #[test]
    fn p256_vector_of_the_rfc_verifies_with_high_and_low_s() {
        let verifier = VERIFY.load(&p256_public(P256_POINT)).unwrap();
        let low_s = [&P256_SIGNATURE[..64], P256_LOW_S].concat();
        for signature in [P256_SIGNATURE, &low_s] {
            assert_eq!(verifier.verify(b"sample", &p256_signature(signature)), Ok(()));
            assert_eq!(verifier.verify(b"test", &p256_signature(signature)), Err(BadSignature));
        }
        let exchanged = [&P256_SIGNATURE[64..], &P256_SIGNATURE[..64]].concat();
        assert_eq!(verifier.verify(b"sample", &p256_signature(&exchanged)), Err(BadSignature));
    }

    #[test]
    fn p256_signs_what_verifies_with_a_fresh_nonce_each_time() {
        let signer = SIGN.load(&p256(P256_SCALAR, P256_POINT)).unwrap();
        assert_eq!(*signer.public_key(), p256_public(P256_POINT));
        let verifier = VERIFY.load(signer.public_key()).unwrap();
        let one = signer.sign(b"sample", &RANDOM).unwrap();
        let other = signer.sign(b"sample", &RANDOM).unwrap();
        assert_ne!(one, other);
        for signature in [one, other] {
            assert_eq!(verifier.verify(b"sample", &signature), Ok(()));
        }
    }

    #[test]
    fn p256_scalars_out_of_range_are_refused_as_that() {
        let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        for scalar in [&"00".repeat(32), order, &"ff".repeat(32)] {
            assert_eq!(refusal(&p256(scalar, P256_POINT)), Some(KeyError::ScalarOutOfRange));
        }
    }

    #[test]
    fn p256_public_part_of_another_or_off_the_curve_is_inconsistent() {
        let one = [&"00".repeat(31), "01"].concat();
        assert_eq!(refusal(&p256(&one, P256_POINT)), Some(KeyError::Inconsistent));
        let off_the_curve = P256_POINT.replace("4462299", "446229a");
        assert_eq!(refusal(&p256(P256_SCALAR, &off_the_curve)), Some(KeyError::Inconsistent));
    }

    #[test]
    fn p256_point_off_the_curve_does_not_load() {
        let (x, y) = P256_POINT.split_at(66);
        let prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
        for point in [
            P256_POINT.replace("4462299", "446229a"),
            format!("{x}{}", "00".repeat(32)),
            format!("04{}", "00".repeat(64)),
            format!("04{prime}{y}"),
            format!("04{}", "ff".repeat(64)),
        ] {
            assert_eq!(VERIFY.load(&p256_public(&point)).err(), Some(KeyError::PointNotOnCurve), "{point}");
        }
    }

    #[test]
    fn a_signature_of_the_other_algorithm_is_bad() {
        let ed25519 = SIGN.load(&ed25519(RFC_8032[0][0], None)).unwrap();
        let p256 = SIGN.load(&p256(P256_SCALAR, P256_POINT)).unwrap();
        for (signer, other) in [(&ed25519, &p256), (&p256, &ed25519)] {
            let signature = signer.sign(b"message", &RANDOM).unwrap();
            let verifier = VERIFY.load(other.public_key()).unwrap();
            assert_eq!(verifier.verify(b"message", &signature), Err(BadSignature));
        }
    }
}
