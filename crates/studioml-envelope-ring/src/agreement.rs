//! P-256 key agreement (SP 800-56A §5.7.1.2) with key pairs for one use (docs/spec.md §8).
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
        agreement::agree_ephemeral(self.private, &peer, |x| x.try_into().map(SharedSecret::copy_from))
            .map_err(|_| AgreeError)?
            .map_err(|_| AgreeError)
    }
}
