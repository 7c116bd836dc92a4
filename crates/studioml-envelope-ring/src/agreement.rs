//! P-256 key agreement (SP 800-56A §5.7.1.2) with key pairs for one use (FORMAT §8).
//!
//! The attacker sends a point that is not on the curve to learn the private key modulo small primes: ring checks every
//! peer's point before it multiplies (`ec/suite_b/ecdh.rs`).

use ring::{
    agreement::{self, ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey},
    rand::SystemRandom,
};
use studioml_envelope_core::{
    Agree, AgreeError, EphemeralKey, Implementation, P256PublicKey, Part, Random, RandomError, SharedSecret,
};

use crate::IMPLEMENTATION;

/// The part [`AGREE`].
#[derive(Clone, Copy, Debug)]
pub struct RingAgree;

/// P-256 agreement with key pairs for one use.
pub static AGREE: RingAgree = RingAgree;

/// A key pair; [`RingAgree`] makes it, one agreement consumes it.
pub(crate) struct Ephemeral {
    private: EphemeralPrivateKey,
    public: P256PublicKey,
}

impl Part for RingAgree {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Agree for RingAgree {
    fn generate(&self, _random: &dyn Random) -> Result<Box<dyn EphemeralKey>, RandomError> {
        Ok(Box::new(Ephemeral::generate()?))
    }
}

impl Ephemeral {
    pub(crate) fn generate() -> Result<Self, RandomError> {
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).map_err(|_| RandomError)?;
        let public = private.compute_public_key().map_err(|_| RandomError)?;
        let public = P256PublicKey::from_uncompressed(public.as_ref()).map_err(|_| RandomError)?;
        Ok(Self { private, public })
    }
}

impl EphemeralKey for Ephemeral {
    fn public_key(&self) -> &P256PublicKey {
        &self.public
    }

    fn agree(self: Box<Self>, peer: &P256PublicKey) -> Result<SharedSecret, AgreeError> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer.as_bytes());
        agreement::agree_ephemeral(self.private, &peer, |x| x.try_into().map(SharedSecret::from_bytes))
            .map_err(|_| AgreeError)?
            .map_err(|_| AgreeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RANDOM;

    /// RFC 5903 §8.1: the initiator's public key.
    const GI: &str = concat!(
        "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180",
        "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"
    );

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
    fn both_ends_agree_and_no_pair_is_made_twice() {
        let (one, other) = (AGREE.generate(&RANDOM).unwrap(), AGREE.generate(&RANDOM).unwrap());
        let (one_public, other_public) = (*one.public_key(), *other.public_key());
        assert_ne!(one_public, other_public);
        let one = one.agree(&other_public).unwrap();
        let other = other.agree(&one_public).unwrap();
        assert_eq!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn an_ephemeral_key_refuses_points_off_the_curve() {
        for peer in off_the_curve() {
            assert_eq!(AGREE.generate(&RANDOM).unwrap().agree(&peer).err(), Some(AgreeError));
        }
        assert!(AGREE.generate(&RANDOM).unwrap().agree(&point(GI)).is_ok());
    }
}
