//! P-256 key agreement, for one use and for many (docs/spec.md §8; SP 800-56A §5.7.1.2). Leans on `p256`.
//!
//! The attacker sends points: off the curve, to learn a scalar piece by piece. Every point is decoded by `p256`, which
//! checks the curve equation and that both coordinates are below the field prime, before a scalar meets it.

use p256::{PublicKey, SecretKey, elliptic_curve::sec1::ToSec1Point};
use studioml_envelope_core::{
    Agree, AgreeError, AgreeStatic, EphemeralKey, Implementation, KeyError, P256PrivateKey, P256PublicKey, Part,
    Random, RandomError, SecretBytes, SharedSecret, StaticKey,
};
use zeroize::Zeroizing;

/// P-256 agreement with key pairs for one use.
pub static AGREE: EphemeralP256 = EphemeralP256;
/// P-256 agreement with key pairs that are kept.
pub static AGREE_STATIC: StaticP256 = StaticP256;

/// The type of [`AGREE`].
#[derive(Clone, Copy, Debug)]
pub struct EphemeralP256;

/// The type of [`AGREE_STATIC`].
#[derive(Clone, Copy, Debug)]
pub struct StaticP256;

const IMPLEMENTATION: Implementation = Implementation { library: "p256", version: "0.14.0", path: "" };

/// How often a scalar is drawn before the source is held to be broken. One draw in 2^32 is out of range.
const MAX_DRAWS: usize = 8;

impl Part for EphemeralP256 {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Part for StaticP256 {
    fn implementation(&self) -> Implementation {
        IMPLEMENTATION
    }
}

impl Agree for EphemeralP256 {
    fn generate(&self, random: &dyn Random) -> Result<Box<dyn EphemeralKey>, RandomError> {
        let (_, secret) = draw_scalar(random)?;
        let public = uncompressed(&secret.public_key()).map_err(|_| RandomError)?;
        Ok(Box::new(KeyPair { secret, public }))
    }
}

impl AgreeStatic for StaticP256 {
    fn load(&self, key: &P256PrivateKey) -> Result<Box<dyn StaticKey>, KeyError> {
        let secret = secret_key(key.scalar())?;
        let public = uncompressed(&secret.public_key())?;
        if public != *key.public_key() {
            return Err(KeyError::Inconsistent);
        }
        Ok(Box::new(KeyPair { secret, public }))
    }

    fn generate(&self, random: &dyn Random) -> Result<P256PrivateKey, KeyError> {
        let (scalar, secret) = draw_scalar(random).map_err(|_| KeyError::Generation)?;
        P256PrivateKey::new(scalar, uncompressed(&secret.public_key())?)
    }

    fn generate_loaded(&self, random: &dyn Random) -> Result<Box<dyn StaticKey>, KeyError> {
        let (_, secret) = draw_scalar(random).map_err(|_| KeyError::Generation)?;
        let public = uncompressed(&secret.public_key())?;
        Ok(Box::new(KeyPair { secret, public }))
    }

    fn public_key_of(&self, scalar: &SecretBytes) -> Result<P256PublicKey, KeyError> {
        uncompressed(&secret_key(scalar)?.public_key())
    }
}

/// A scalar, wiped on drop, and its public key.
struct KeyPair {
    secret: SecretKey,
    public: P256PublicKey,
}

impl KeyPair {
    fn agree(&self, peer: &P256PublicKey) -> Result<SharedSecret, AgreeError> {
        let peer = PublicKey::from_sec1_bytes(peer.as_bytes()).map_err(|_| AgreeError)?;
        let shared = self.secret.diffie_hellman(&peer);
        Ok(SharedSecret::copy_from(shared.raw_secret_bytes().as_ref()))
    }
}

impl EphemeralKey for KeyPair {
    fn public_key(&self) -> &P256PublicKey {
        &self.public
    }

    fn agree(self: Box<Self>, peer: &P256PublicKey) -> Result<SharedSecret, AgreeError> {
        KeyPair::agree(&self, peer)
    }
}

impl StaticKey for KeyPair {
    fn public_key(&self) -> &P256PublicKey {
        &self.public
    }

    fn agree(&self, peer: &P256PublicKey) -> Result<SharedSecret, AgreeError> {
        Self::agree(self, peer)
    }
}

/// A scalar of 32 bytes, in 1 ..= n − 1. Core checks it: `p256` would pad a shorter one.
pub(crate) fn secret_key(scalar: &SecretBytes) -> Result<SecretKey, KeyError> {
    SecretKey::from_bytes(P256PrivateKey::check_scalar(scalar)?.into()).map_err(|_| KeyError::ScalarOutOfRange)
}

/// The uncompressed encoding of a public key.
pub(crate) fn uncompressed(key: &PublicKey) -> Result<P256PublicKey, KeyError> {
    P256PublicKey::from_uncompressed(key.to_sec1_point(false).as_bytes())
}

/// Draws 32 bytes until they are a scalar in range, so that the same source gives the same key with every library.
fn draw_scalar(random: &dyn Random) -> Result<(SecretBytes, SecretKey), RandomError> {
    for _ in 0..MAX_DRAWS {
        let mut bytes = Zeroizing::new(vec![0; P256PrivateKey::LEN]);
        random.fill(&mut bytes)?;
        let scalar = SecretBytes::new(core::mem::take(&mut *bytes));
        if let Ok(secret) = secret_key(&scalar) {
            return Ok((scalar, secret));
        }
    }
    Err(RandomError)
}

#[cfg(test)]
mod tests {
    use super::{AGREE, AGREE_STATIC};
    use crate::random::{
        RANDOM,
        sources::{Failing, Stuck},
    };
    use proptest::prelude::*;
    use studioml_envelope_core::{
        Agree as _, AgreeError, AgreeStatic as _, KeyError, P256PrivateKey, P256PublicKey, RandomError, SecretBytes,
    };

    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

    fn scalar(text: &str) -> SecretBytes {
        SecretBytes::new(hex::decode(text).unwrap())
    }

    fn private_key(text: &str) -> P256PrivateKey {
        P256PrivateKey::new(scalar(text), AGREE_STATIC.public_key_of(&scalar(text)).unwrap()).unwrap()
    }

    fn point(x: &str, y: &str) -> P256PublicKey {
        P256PublicKey::from_uncompressed(&hex::decode(["04", x, y].concat()).unwrap()).unwrap()
    }

    /// NIST CAVP, "ECC CDH Primitive (SP800-56A Section 5.7.1.2)", P-256, COUNT = 0.
    #[test]
    fn nist_ecc_cdh_p256_count_0() {
        let key = private_key("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534");
        let public = point(
            "ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b230",
            "28af61281fd35e2fa7002523acc85a429cb06ee6648325389f59edfce1405141",
        );
        assert_eq!(*key.public_key(), public);
        let peer = point(
            "700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287",
            "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac",
        );
        let shared = AGREE_STATIC.load(&key).unwrap().agree(&peer).unwrap();
        assert_eq!(
            hex::encode(shared.expose_secret()),
            "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"
        );
    }

    #[test]
    fn ephemeral_and_static_meet() {
        let ephemeral = AGREE.generate(&RANDOM).unwrap();
        let private = AGREE_STATIC.generate(&RANDOM).unwrap();
        let kept = AGREE_STATIC.load(&private).unwrap();
        let public = *ephemeral.public_key();
        let one = ephemeral.agree(kept.public_key()).unwrap();
        let other = kept.agree(&public).unwrap();
        assert_eq!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn same_random_bytes_give_the_same_key() {
        let private = AGREE_STATIC.generate(&Stuck(0x42)).unwrap();
        assert_eq!(private.scalar().expose_secret(), [0x42; 32]);
        assert_eq!(AGREE.generate(&Stuck(0x42)).unwrap().public_key(), private.public_key());
    }

    #[test]
    fn failing_or_stuck_source_is_an_error() {
        assert_eq!(AGREE.generate(&Failing).map(drop), Err(RandomError));
        assert_eq!(AGREE.generate(&Stuck(0)).map(drop), Err(RandomError));
        assert_eq!(AGREE.generate(&Stuck(0xff)).map(drop), Err(RandomError));
        assert_eq!(AGREE_STATIC.generate(&Failing).map(drop), Err(KeyError::Generation));
        assert_eq!(AGREE_STATIC.generate(&Stuck(0)).map(drop), Err(KeyError::Generation));
    }

    #[test]
    fn scalars_out_of_range_are_refused() {
        let generator = AGREE_STATIC.public_key_of(&scalar(&format!("{:064x}", 1))).unwrap();
        for text in ["00".repeat(32), ORDER.to_owned(), "ff".repeat(32)] {
            assert_eq!(AGREE_STATIC.public_key_of(&scalar(&text)), Err(KeyError::ScalarOutOfRange), "{text}");
            let key = P256PrivateKey::new(scalar(&text), generator).unwrap();
            assert_eq!(AGREE_STATIC.load(&key).map(drop), Err(KeyError::ScalarOutOfRange), "{text}");
        }
        for length in [0, 24, 31, 33] {
            let expected = KeyError::Length { kind: "P-256 private", expected: 32, found: length };
            assert_eq!(AGREE_STATIC.public_key_of(&SecretBytes::new(vec![1; length])), Err(expected));
        }
    }

    #[test]
    fn largest_scalar_is_the_negated_generator() {
        let last = ORDER.replace("2551", "2550");
        let [first, last] =
            [format!("{:064x}", 1), last].map(|text| AGREE_STATIC.public_key_of(&scalar(&text)).unwrap());
        assert_eq!(first.as_bytes()[..33], last.as_bytes()[..33]);
        assert_ne!(first, last);
    }

    #[test]
    fn public_key_of_another_is_inconsistent() {
        let other = AGREE_STATIC.generate(&RANDOM).unwrap();
        let key = P256PrivateKey::new(scalar(&"11".repeat(32)), *other.public_key()).unwrap();
        assert_eq!(AGREE_STATIC.load(&key).map(drop), Err(KeyError::Inconsistent));
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        let kept = AGREE_STATIC.load(&AGREE_STATIC.generate(&RANDOM).unwrap()).unwrap();
        let generator = AGREE_STATIC.public_key_of(&scalar(&format!("{:064x}", 1))).unwrap();
        let mut off = *generator.as_bytes();
        off[64] ^= 1;
        // p itself as a coordinate: on the curve if it were reduced to zero first
        let prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
        let root_of_b = "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4";
        for peer in [
            P256PublicKey::from_uncompressed(&off).unwrap(),
            point(&"00".repeat(32), &"00".repeat(32)),
            point(prime, root_of_b),
        ] {
            assert_eq!(kept.agree(&peer).map(drop), Err(AgreeError));
            assert_eq!(AGREE.generate(&RANDOM).unwrap().agree(&peer).map(drop), Err(AgreeError));
        }
        // the same point with its coordinate reduced is one of the curve
        assert!(kept.agree(&point(&"00".repeat(32), root_of_b)).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn agreement_is_symmetric(one in 1_u128.., other in 1_u128..) {
            let [one, other] = [one, other].map(|number| private_key(&format!("{number:064x}")));
            let [loaded_one, loaded_other] = [&one, &other].map(|key| AGREE_STATIC.load(key).unwrap());
            let here = loaded_one.agree(other.public_key()).unwrap();
            let there = loaded_other.agree(one.public_key()).unwrap();
            prop_assert_eq!(here.expose_secret(), there.expose_secret());
        }
    }
}
