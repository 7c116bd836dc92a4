//! Ed25519, strict, and ECDSA P-256 with SHA-256 (docs/spec.md §3). Leans on `ed25519-dalek` and `p256`.
//!
//! The attacker wants one verifier to accept what another refuses. Core's types have already refused non-canonical
//! encodings, small order and scalars out of range; `verify_strict` refuses them once more and compares `R` as bytes.

use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::{RandomizedSigner as _, Verifier as _};
use studioml_envelope_core::{
    BadSignature, Ed25519PrivateKey, Ed25519PublicKey, Ed25519Signature, Implementation, KeyError, P256PrivateKey,
    P256PublicKey, P256Signature, Part, Random, RandomError, Sign, Signature, SigningKey, SigningPrivateKey,
    SigningPublicKey, Verify, VerifyingKey, in_wiped_frames,
};
use zeroize::Zeroizing;

use crate::{
    agreement::{secret_key, uncompressed},
    random::Source,
};

/// Making Ed25519 and ECDSA P-256 signatures.
pub static SIGN: DalekAndP256Sign = DalekAndP256Sign;
/// Checking Ed25519 and ECDSA P-256 signatures.
pub static VERIFY: DalekAndP256Verify = DalekAndP256Verify;

/// The type of [`SIGN`].
#[derive(Clone, Copy, Debug)]
pub struct DalekAndP256Sign;

/// The type of [`VERIFY`].
#[derive(Clone, Copy, Debug)]
pub struct DalekAndP256Verify;

const IMPLEMENTATION: Implementation =
    Implementation { library: "ed25519-dalek+p256", version: "3.0.0+0.14.0", path: "" };

impl Part for DalekAndP256Sign {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Part for DalekAndP256Verify {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Sign for DalekAndP256Sign {
    fn load(&self, key: &SigningPrivateKey) -> Result<Box<dyn SigningKey>, KeyError> {
        // both libraries hand the secret on by value
        in_wiped_frames(|| {
            let loaded: Box<dyn SigningKey> = match key {
                SigningPrivateKey::Ed25519(key) => Box::new(Ed25519SigningKey::new(key)?),
                SigningPrivateKey::P256(key) => Box::new(P256SigningKey::new(key)?),
            };
            Ok(loaded)
        })
    }
}

impl Verify for DalekAndP256Verify {
    fn load(&self, key: &SigningPublicKey) -> Result<Box<dyn VerifyingKey>, KeyError> {
        match key {
            SigningPublicKey::Ed25519(key) => Ok(Box::new(Ed25519VerifyingKey::new(key))),
            SigningPublicKey::P256(key) => Ok(Box::new(P256VerifyingKey::new(key)?)),
        }
    }
}

/// Seed and public key; the library wipes the seed on drop.
struct Ed25519SigningKey {
    key: ed25519_dalek::SigningKey,
    public: SigningPublicKey,
}

impl Ed25519SigningKey {
    fn new(key: &Ed25519PrivateKey) -> Result<Self, KeyError> {
        let seed = key.seed().expose_secret();
        let seed: Zeroizing<[u8; Ed25519PrivateKey::LEN]> = Zeroizing::new(seed.try_into().map_err(|_| {
            KeyError::Length { kind: "Ed25519 private", expected: Ed25519PrivateKey::LEN, found: seed.len() }
        })?);
        let loaded = ed25519_dalek::SigningKey::from_bytes(&seed);
        let public = Ed25519PublicKey::from_bytes(loaded.verifying_key().as_bytes())?;
        if key.claimed_public_key().is_some_and(|claimed| *claimed != public) {
            return Err(KeyError::Inconsistent);
        }
        Ok(Self { key: loaded, public: SigningPublicKey::Ed25519(public) })
    }
}

impl SigningKey for Ed25519SigningKey {
    fn public_key(&self) -> &SigningPublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8], _: &dyn Random) -> Result<Signature, RandomError> {
        let signature = self.key.sign(message);
        // R has small order only if the nonce is a multiple of L: once in 2^252
        Ed25519Signature::from_bytes(&signature.to_bytes()).map(Signature::Ed25519).map_err(|_| RandomError)
    }
}

/// Scalar and public key; the library wipes the scalar on drop.
struct P256SigningKey {
    key: p256::ecdsa::SigningKey,
    public: SigningPublicKey,
}

impl P256SigningKey {
    fn new(key: &P256PrivateKey) -> Result<Self, KeyError> {
        let secret = secret_key(key.scalar())?;
        let public = uncompressed(&secret.public_key())?;
        if public != *key.public_key() {
            return Err(KeyError::Inconsistent);
        }
        Ok(Self { key: secret.into(), public: SigningPublicKey::P256(public) })
    }
}

impl SigningKey for P256SigningKey {
    fn public_key(&self) -> &SigningPublicKey {
        &self.public
    }

    /// RFC 6979 §3.6: the nonce comes from key and message, and from 32 random bytes beside, so that neither a weak source
    /// nor a fault repeated on the same message tells the scalar.
    fn sign(&self, message: &[u8], random: &dyn Random) -> Result<Signature, RandomError> {
        let signature: p256::ecdsa::Signature =
            self.key.try_sign_with_rng(&mut Source(random), message).map_err(|_| RandomError)?;
        // r and s are non-zero scalars by their type
        P256Signature::from_bytes(&signature.to_bytes()).map(Signature::P256).map_err(|_| RandomError)
    }
}

/// A decompressed point, or none: an encoding that is no point of the curve loads and verifies nothing.
struct Ed25519VerifyingKey(Option<ed25519_dalek::VerifyingKey>);

impl Ed25519VerifyingKey {
    fn new(key: &Ed25519PublicKey) -> Self {
        Self(ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).ok())
    }
}

impl VerifyingKey for Ed25519VerifyingKey {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let (Some(key), Signature::Ed25519(signature)) = (&self.0, signature) else {
            return Err(BadSignature);
        };
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        key.verify_strict(message, &signature).map_err(|_| BadSignature)
    }
}

/// A point of the curve.
struct P256VerifyingKey(p256::ecdsa::VerifyingKey);

impl P256VerifyingKey {
    fn new(key: &P256PublicKey) -> Result<Self, KeyError> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.as_bytes()).map_err(|_| KeyError::PointNotOnCurve)?;
        Ok(Self(key))
    }
}

impl VerifyingKey for P256VerifyingKey {
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let Signature::P256(signature) = signature else {
            return Err(BadSignature);
        };
        let signature = p256::ecdsa::Signature::from_slice(signature.as_bytes()).map_err(|_| BadSignature)?;
        self.0.verify(message, &signature).map_err(|_| BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::{SIGN, VERIFY};
    use crate::random::{
        RANDOM,
        sources::{Failing, Stuck},
    };
    use proptest::prelude::*;
    use studioml_envelope_core::{
        BadSignature, Ed25519PrivateKey, Ed25519PublicKey, Ed25519Signature, KeyError, P256PrivateKey, P256PublicKey,
        P256Signature, RandomError, SecretBytes, Sign as _, Signature, SigningKey, SigningPrivateKey, SigningPublicKey,
        Verify as _,
    };

    fn unhex<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    fn ed25519(seed: [u8; 32]) -> Box<dyn SigningKey> {
        let key = Ed25519PrivateKey::new(SecretBytes::copy_from(&seed), None).unwrap();
        SIGN.load(&SigningPrivateKey::Ed25519(key)).unwrap()
    }

    /// The example of RFC 6979 A.2.5: private key, and public key `04 || Ux || Uy`.
    fn rfc_6979_key() -> (SecretBytes, P256PublicKey) {
        let scalar = hex::decode("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721").unwrap();
        let public = hex::decode(concat!(
            "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
            "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
        ))
        .unwrap();
        (SecretBytes::new(scalar), P256PublicKey::from_uncompressed(&public).unwrap())
    }

    fn p256() -> Box<dyn SigningKey> {
        let (scalar, public) = rfc_6979_key();
        SIGN.load(&SigningPrivateKey::P256(P256PrivateKey::new(scalar, public).unwrap())).unwrap()
    }

    /// RFC 8032 §7.1, tests 1 to 3 and test SHA(abc).
    #[test]
    fn rfc_8032_examples() {
        for (seed, public, message, signature) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                concat!(
                    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
                    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
                ),
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                concat!(
                    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
                    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
                ),
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                "af82",
                concat!(
                    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
                    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
                ),
            ),
            (
                "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
                "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
                concat!(
                    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a",
                    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
                ),
                concat!(
                    "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589",
                    "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
                ),
            ),
        ] {
            let message = hex::decode(message).unwrap();
            let key = ed25519(unhex(seed));
            let public = SigningPublicKey::Ed25519(Ed25519PublicKey::from_bytes(&unhex::<32>(public)).unwrap());
            assert_eq!(*key.public_key(), public);
            let made = key.sign(&message, &RANDOM).unwrap();
            assert_eq!(made, Signature::Ed25519(Ed25519Signature::from_bytes(&unhex::<64>(signature)).unwrap()));
            assert_eq!(VERIFY.load(&public).unwrap().verify(&message, &made), Ok(()));
        }
    }

    /// RFC 6979 A.2.5, SHA-256, message "sample": made without random bytes, so it is verified here and not made.
    #[test]
    fn rfc_6979_example_verifies_with_low_and_high_s() {
        let r = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
        let s = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
        let order_minus_s = "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";
        let key = VERIFY.load(&SigningPublicKey::P256(rfc_6979_key().1)).unwrap();
        for s in [s, order_minus_s] {
            let signature = P256Signature::from_bytes(&unhex::<64>(&[r, s].concat())).unwrap();
            assert_eq!(key.verify(b"sample", &Signature::P256(signature)), Ok(()));
            assert_eq!(key.verify(b"test", &Signature::P256(signature)), Err(BadSignature));
        }
    }

    #[test]
    fn ecdsa_takes_its_random_bytes_from_the_source_and_reports_its_failure() {
        let key = p256();
        assert_eq!(key.sign(b"message", &Failing), Err(RandomError));
        assert_eq!(key.sign(b"message", &Stuck(1)), key.sign(b"message", &Stuck(1)));
        assert_ne!(key.sign(b"message", &Stuck(1)), key.sign(b"message", &Stuck(2)));
    }

    #[test]
    fn ed25519_needs_no_random_bytes() {
        assert!(ed25519([1; 32]).sign(b"message", &Failing).is_ok());
    }

    #[test]
    fn public_part_of_another_key_is_inconsistent() {
        let SigningPublicKey::Ed25519(other) = *ed25519([2; 32]).public_key() else { unreachable!() };
        let load = |seed: u8| {
            let key = Ed25519PrivateKey::new(SecretBytes::new(vec![seed; 32]), Some(other)).unwrap();
            SIGN.load(&SigningPrivateKey::Ed25519(key)).map(drop)
        };
        assert_eq!(load(1), Err(KeyError::Inconsistent));
        assert_eq!(load(2), Ok(()));

        let (_, public) = rfc_6979_key();
        let key = P256PrivateKey::new(SecretBytes::new(vec![1; 32]), public).unwrap();
        assert_eq!(SIGN.load(&SigningPrivateKey::P256(key)).map(drop), Err(KeyError::Inconsistent));
    }

    #[test]
    fn p256_scalar_out_of_range_is_refused_before_its_public_part_is_looked_at() {
        let (_, public) = rfc_6979_key();
        for scalar in ["00".repeat(32), "ff".repeat(32)] {
            let key = P256PrivateKey::new(SecretBytes::new(hex::decode(scalar).unwrap()), public).unwrap();
            assert_eq!(SIGN.load(&SigningPrivateKey::P256(key)).map(drop), Err(KeyError::ScalarOutOfRange));
        }
    }

    #[test]
    fn ed25519_encoding_that_is_no_point_loads_and_verifies_nothing() {
        // y = 2: (y^2 - 1)/(d y^2 + 1) is no square
        let mut encoding = [0; 32];
        encoding[0] = 2;
        let public = SigningPublicKey::Ed25519(Ed25519PublicKey::from_bytes(&encoding).unwrap());
        let signature = ed25519([1; 32]).sign(b"message", &RANDOM).unwrap();
        assert_eq!(VERIFY.load(&public).unwrap().verify(b"message", &signature), Err(BadSignature));
    }

    #[test]
    fn p256_point_off_the_curve_does_not_load() {
        let mut point = *rfc_6979_key().1.as_bytes();
        point[64] ^= 1;
        let public = SigningPublicKey::P256(P256PublicKey::from_uncompressed(&point).unwrap());
        assert_eq!(VERIFY.load(&public).map(drop), Err(KeyError::PointNotOnCurve));
    }

    #[test]
    fn signature_of_the_other_algorithm_is_bad() {
        let keys = [ed25519([1; 32]), p256()];
        for (signer, verifier) in [(&keys[0], &keys[1]), (&keys[1], &keys[0])] {
            let signature = signer.sign(b"message", &RANDOM).unwrap();
            let verifier = VERIFY.load(verifier.public_key()).unwrap();
            assert_eq!(verifier.verify(b"message", &signature), Err(BadSignature));
        }
    }

    fn altered(signature: &Signature, at: usize, bit: u8) -> Option<Signature> {
        let flip = |bytes: &[u8; 64]| {
            let mut bytes = *bytes;
            bytes[at] ^= 1 << bit;
            bytes
        };
        match signature {
            Signature::Ed25519(signature) => {
                Ed25519Signature::from_bytes(&flip(signature.as_bytes())).ok().map(Signature::Ed25519)
            }
            Signature::P256(signature) => {
                P256Signature::from_bytes(&flip(signature.as_bytes())).ok().map(Signature::P256)
            }
            _ => unreachable!(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_was_signed_verifies_and_nothing_else_does(
            seed: [u8; 32],
            message in proptest::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            for key in [ed25519(seed), p256()] {
                let signature = key.sign(&message, &RANDOM).unwrap();
                let verifier = VERIFY.load(key.public_key()).unwrap();
                prop_assert_eq!(verifier.verify(&message, &signature), Ok(()));
                if let Some(altered) = altered(&signature, at.index(64), bit) {
                    prop_assert_eq!(verifier.verify(&message, &altered), Err(BadSignature));
                }
                let mut longer = message.clone();
                longer.push(0);
                prop_assert_eq!(verifier.verify(&longer, &signature), Err(BadSignature));
            }
        }
    }
}
