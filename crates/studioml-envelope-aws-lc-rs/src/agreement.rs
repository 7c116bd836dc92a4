//! P-256 key agreement (SP 800-56A §5.7.1.2), with key pairs for one use and key pairs that are kept (FORMAT §8).
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
    x.try_into().map(SharedSecret::from_bytes).map_err(|_| AgreeError)
}
