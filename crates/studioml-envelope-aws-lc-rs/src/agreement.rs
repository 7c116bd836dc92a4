//! P-256 key agreement (SP 800-56A §5.7.1.2), with key pairs for one use and key pairs that are kept (docs/spec.md §8).
//!
//! The attacker sends a point that is not on the curve to learn the private key modulo small primes: AWS-LC checks every
//! peer's point (`EC_POINT_oct2point` and `EC_KEY_check_key`) before it multiplies.

use aws_lc_rs::{
    agreement::{self, ECDH_P256, EphemeralPrivateKey, PrivateKey, UnparsedPublicKey},
    rand::SystemRandom,
};
use studioml_envelope_core::{
    Agree, AgreeError, AgreeStatic, EphemeralKey, Implementation, KeyError, P256PrivateKey, P256PublicKey, Part,
    Random, RandomError, SecretBytes, SharedSecret, StaticKey,
};
use zeroize::Zeroizing;

use crate::IMPLEMENTATION;

/// The part [`AGREE`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcAgree;

/// P-256 agreement with key pairs for one use.
pub static AGREE: AwsLcAgree = AwsLcAgree;

/// The part [`AGREE_STATIC`].
#[derive(Clone, Copy, Debug)]
pub struct AwsLcAgreeStatic;

/// P-256 agreement with key pairs that are kept.
pub static AGREE_STATIC: AwsLcAgreeStatic = AwsLcAgreeStatic;

/// How often [`AgreeStatic::generate`] draws before it takes the source to be broken. A sound source gives a scalar out of
/// range once in 2^32 draws.
const DRAWS: usize = 8;

struct Ephemeral {
    private: EphemeralPrivateKey,
    public: P256PublicKey,
}

struct Static {
    private: PrivateKey,
    public: P256PublicKey,
}

impl Part for AwsLcAgree {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Agree for AwsLcAgree {
    fn generate(&self, _random: &dyn Random) -> Result<Box<dyn EphemeralKey>, RandomError> {
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).map_err(|_| RandomError)?;
        let public = private.compute_public_key().map_err(|_| RandomError)?;
        let public = P256PublicKey::from_uncompressed(public.as_ref()).map_err(|_| RandomError)?;
        Ok(Box::new(Ephemeral { private, public }))
    }
}

impl EphemeralKey for Ephemeral {
    fn public_key(&self) -> &P256PublicKey {
        &self.public
    }

    fn agree(self: Box<Self>, peer: &P256PublicKey) -> Result<SharedSecret, AgreeError> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer.as_bytes());
        agreement::agree_ephemeral(self.private, peer, AgreeError, shared_secret)
    }
}

impl Part for AwsLcAgreeStatic {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl AgreeStatic for AwsLcAgreeStatic {
    fn load(&self, key: &P256PrivateKey) -> Result<Box<dyn StaticKey>, KeyError> {
        let (private, public) = load_scalar(key.scalar())?;
        if public != *key.public_key() {
            return Err(KeyError::Inconsistent);
        }
        Ok(Box::new(Static { private, public }))
    }

    fn generate(&self, random: &dyn Random) -> Result<P256PrivateKey, KeyError> {
        for _ in 0..DRAWS {
            let mut scalar = Zeroizing::new([0; P256PrivateKey::LEN]);
            random.fill(&mut *scalar).map_err(|_| KeyError::Generation)?;
            let scalar = SecretBytes::copy_from(&*scalar);
            match load_scalar(&scalar) {
                Ok((_, public)) => return P256PrivateKey::new(scalar, public),
                Err(KeyError::ScalarOutOfRange) => {}
                Err(error) => return Err(error),
            }
        }
        Err(KeyError::Generation)
    }

    fn generate_loaded(&self, _random: &dyn Random) -> Result<Box<dyn StaticKey>, KeyError> {
        let private = PrivateKey::generate(&ECDH_P256).map_err(|_| KeyError::Generation)?;
        let public = private.compute_public_key().map_err(|_| KeyError::Generation)?;
        let public = P256PublicKey::from_uncompressed(public.as_ref())?;
        Ok(Box::new(Static { private, public }))
    }

    fn public_key_of(&self, scalar: &SecretBytes) -> Result<P256PublicKey, KeyError> {
        load_scalar(scalar).map(|(_, public)| public)
    }
}

impl StaticKey for Static {
    fn public_key(&self) -> &P256PublicKey {
        &self.public
    }

    fn agree(&self, peer: &P256PublicKey) -> Result<SharedSecret, AgreeError> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer.as_bytes());
        agreement::agree(&self.private, peer, AgreeError, shared_secret)
    }
}

/// The library's key of a scalar, and the public key that belongs to it.
fn load_scalar(scalar: &SecretBytes) -> Result<(PrivateKey, P256PublicKey), KeyError> {
    let scalar = P256PrivateKey::check_scalar(scalar)?;
    let private = PrivateKey::from_private_key(&ECDH_P256, scalar).map_err(|_| KeyError::ScalarOutOfRange)?;
    let public = private.compute_public_key().map_err(|_| KeyError::ScalarOutOfRange)?;
    let public = P256PublicKey::from_uncompressed(public.as_ref())?;
    Ok((private, public))
}

/// The library's x-coordinate, which it wipes, as a secret of ours.
fn shared_secret(x: &[u8]) -> Result<SharedSecret, AgreeError> {
    x.try_into().map(SharedSecret::copy_from).map_err(|_| AgreeError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::VecDeque,
        sync::{Mutex, PoisonError},
    };

    /// RFC 5903 §8.1: scalars and points of initiator and responder, and the x-coordinate they agree on.
    const I: &str = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433";
    const GI: &str = concat!(
        "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180",
        "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"
    );
    const R: &str = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53";
    const GR: &str = concat!(
        "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63",
        "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab"
    );
    const GIR: &str = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de";

    /// Gives out what it was filled with, and fails when that is used up.
    #[derive(Debug)]
    struct Replay(Mutex<VecDeque<[u8; 32]>>);

    impl Replay {
        fn new(draws: &[[u8; 32]]) -> Self {
            Self(Mutex::new(draws.iter().copied().collect()))
        }

        fn left(&self) -> usize {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
        }
    }

    impl Part for Replay {
        fn implementation(&self) -> Implementation {
            Implementation { library: "replay", version: "", path: "" }
        }
    }

    impl Random for Replay {
        fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
            let draw = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            out.copy_from_slice(&draw.ok_or(RandomError)?);
            Ok(())
        }
    }

    fn scalar(text: &str) -> SecretBytes {
        SecretBytes::new(hex::decode(text).unwrap())
    }

    fn key(text: &str, public: &str) -> P256PrivateKey {
        P256PrivateKey::new(scalar(text), point(public)).unwrap()
    }

    fn point(text: &str) -> P256PublicKey {
        P256PublicKey::from_uncompressed(&hex::decode(text).unwrap()).unwrap()
    }

    /// Points that are none: y changed, the origin, coordinates at and above the field prime.
    fn off_the_curve() -> [P256PublicKey; 5] {
        let (x, y) = GI.split_at(66);
        let prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
        [
            GI.replace("b8990bb3", "b8990bb4"),
            format!("04{}", "00".repeat(64)),
            format!("04{prime}{y}"),
            format!("{x}{prime}"),
            format!("04{}", "ff".repeat(64)),
        ]
        .map(|text| point(&text))
    }

    #[test]
    fn static_keys_agree_on_the_secret_of_the_rfc() {
        for (own, public, peer) in [(I, GI, GR), (R, GR, GI)] {
            let key = AGREE_STATIC.load(&key(own, public)).unwrap();
            assert_eq!(*key.public_key(), point(public));
            for _ in 0..2 {
                assert_eq!(hex::encode(key.agree(&point(peer)).unwrap().expose_secret()), GIR);
            }
        }
    }

    #[test]
    fn a_static_key_refuses_points_off_the_curve_and_goes_on() {
        let key = AGREE_STATIC.load(&key(I, GI)).unwrap();
        for peer in off_the_curve() {
            assert_eq!(key.agree(&peer).err(), Some(AgreeError));
        }
        assert!(key.agree(&point(GR)).is_ok());
    }

    #[test]
    fn public_keys_are_derived_and_compared() {
        assert_eq!(AGREE_STATIC.public_key_of(&scalar(I)), Ok(point(GI)));
        let off = off_the_curve();
        for public in off.iter().chain([&point(GR)]) {
            let key = P256PrivateKey::new(scalar(I), *public).unwrap();
            assert_eq!(AGREE_STATIC.load(&key).err(), Some(KeyError::Inconsistent));
        }
    }

    #[test]
    fn scalars_out_of_range_are_refused_as_that() {
        let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        for text in [&"00".repeat(32), order, &"ff".repeat(32)] {
            assert_eq!(AGREE_STATIC.load(&key(text, GI)).err(), Some(KeyError::ScalarOutOfRange));
            assert_eq!(AGREE_STATIC.public_key_of(&scalar(text)), Err(KeyError::ScalarOutOfRange));
        }
        let below = order.replace("632551", "632550");
        assert!(AGREE_STATIC.public_key_of(&scalar(&below)).is_ok());
    }

    #[test]
    fn scalars_of_another_length_are_refused_as_that() {
        for found in [0, 31, 33] {
            let error = AGREE_STATIC.public_key_of(&SecretBytes::new(vec![1; found]));
            assert_eq!(error, Err(KeyError::Length { kind: "P-256 private", expected: 32, found }));
        }
    }

    #[test]
    fn a_new_key_is_made_of_the_first_draw_in_range() {
        let draws = [[0xff; 32], [0; 32], hex::decode(I).unwrap().try_into().unwrap(), [1; 32]];
        let random = Replay::new(&draws);
        let key = AGREE_STATIC.generate(&random).unwrap();
        assert_eq!(hex::encode(key.scalar().expose_secret()), I);
        assert_eq!(*key.public_key(), point(GI));
        assert_eq!(random.left(), 1);
    }

    #[test]
    fn a_broken_source_makes_no_key() {
        assert_eq!(AGREE_STATIC.generate(&Replay::new(&[])).err(), Some(KeyError::Generation));
        let stuck = Replay::new(&[[0xff; 32]; DRAWS + 1]);
        assert_eq!(AGREE_STATIC.generate(&stuck).err(), Some(KeyError::Generation));
        assert_eq!(stuck.left(), 1);
    }
}
