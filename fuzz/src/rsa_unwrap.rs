//! RSA-OAEP unwrap: chosen ciphertexts, chosen encoded messages and chosen lengths, by every library, down to the one error.

use arbitrary::{Arbitrary, Unstructured};
use studioml_envelope_core::{OpenError, Payload, SessionKey};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::keys::{RECIPIENT, identities};
use crate::providers::{first, unwrapping_libraries_agree};

#[derive(Arbitrary, Debug)]
enum Wrapped {
    /// Any number, below the modulus or not.
    Any(Box<[u8; 256]>),
    /// A small number: its powers are small too.
    Small(u64),
    /// A good one with some bytes changed.
    Altered(Vec<(u8, u8)>),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    wrapped: Wrapped,
    nonce: [u8; 24],
    tag_change: u8,
    plaintext: &'a [u8],
}

/// One wrapped key in one payload, through the whole of opening.
pub fn rsa_unwrap(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let session_key = SessionKey::from_bytes([3; 32]);
    let mut good = vec![0; RECIPIENT.wrapped_len()];
    RECIPIENT.wrap(&session_key, first().random, &mut good).expect("the counter never fails");
    let wrapped = match &input.wrapped {
        Wrapped::Any(bytes) => bytes.to_vec(),
        Wrapped::Small(number) => [&[0; 248], number.to_be_bytes().as_slice()].concat(),
        Wrapped::Altered(changes) => {
            let mut wrapped = good.clone();
            for (at, with) in changes {
                wrapped[usize::from(*at)] ^= with;
            }
            wrapped
        }
    };

    let mut text = input.plaintext.to_vec();
    let mut tag = first().secret_box.seal_in_place(&session_key, &input.nonce, &mut text);
    tag[15] ^= input.tag_change;
    let boxed = [&input.nonce[..], &tag, &text].concat();
    let payload = format!("{},{}", STANDARD.encode(&wrapped), STANDARD.encode(boxed));

    let opened = unwrapping_libraries_agree(|provider| {
        let mut payload = payload.clone().into_bytes();
        let payload = Payload::parse(&mut payload, usize::MAX).expect("a well-formed payload");
        let opened = payload.open_unauthenticated(provider, identities(provider));
        opened.map(|opened| opened.unauthenticated_plaintext().to_vec())
    });
    let intact = wrapped == good && input.tag_change == 0;
    let expected = if intact { Ok(input.plaintext.to_vec()) } else { Err(OpenError::CannotOpen) };
    assert_eq!(opened, expected);
}
