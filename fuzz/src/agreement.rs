//! P-256 key agreement: any scalar with any point, by every provider, and both directions of a pair.

use arbitrary::{Arbitrary, Unstructured};
use studioml_envelope_core::{AgreeError, KeyError, P256PrivateKey, P256PublicKey, SecretBytes};

use crate::keys::p256;
use crate::providers::agree;
use crate::public_key::of_scalar;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    scalar: [u8; 32],
    claimed: Option<[u8; 64]>,
    peer: Peer,
    other_length: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Peer {
    OfScalar([u8; 32]),
    Any([u8; 64]),
}

/// One private key, one peer.
pub fn agreement(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    if input.other_length.len() != 32 {
        assert!(matches!(of_scalar(input.other_length), Err(KeyError::Length { .. })));
    }
    let own = match (of_scalar(&input.scalar), input.claimed) {
        (Ok(own), None) => own,
        (_, Some(claimed)) => {
            let mut point = [4; 65];
            point[1..].copy_from_slice(&claimed);
            point
        }
        (Err(_), None) => [4; 65],
    };
    let private = || {
        let public = P256PublicKey::from_uncompressed(&own).expect("65 bytes beginning with 04");
        P256PrivateKey::new(SecretBytes::copy_from(&input.scalar), public).expect("32 bytes")
    };
    let peer = match input.peer {
        Peer::OfScalar(scalar) => p256(scalar).map(|key| *key.public_key()),
        Peer::Any(point) => P256PublicKey::from_uncompressed(&[&[4], point.as_slice()].concat()).ok(),
    };
    let Some(peer) = peer else { return };

    let shared = agree(|provider| -> Result<Result<[u8; 32], AgreeError>, KeyError> {
        let key = provider.agree_static.load(&private())?;
        assert_eq!(key.public_key(), private().public_key());
        Ok(key.agree(&peer).map(|shared| *shared.expose_secret()))
    });
    if let (Ok(Ok(shared)), Peer::OfScalar(scalar)) = (shared, input.peer) {
        let theirs = agree(|provider| {
            let key = provider.agree_static.load(&p256(scalar).expect("in range")).expect("consistent");
            key.agree(private().public_key()).map(|shared| *shared.expose_secret())
        });
        assert_eq!(theirs, Ok(shared), "both sides have the same secret");
    }
}
