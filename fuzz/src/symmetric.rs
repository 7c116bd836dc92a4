//! AES-256-GCM, HKDF-SHA256 and the digests: the same bytes and the same verdicts from every provider.

use arbitrary::{Arbitrary, Unstructured};
use studioml_envelope_core::{KdfOutputTooLong, Unauthentic};

use crate::providers::agree;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    key: [u8; 32],
    nonce: [u8; 12],
    associated_data: &'a [u8],
    tag_change: [u8; 16],
    text_change: Option<(u16, u8)>,
    output: u16,
    text: &'a [u8],
}

/// One input for all of them.
pub fn symmetric(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let (sealed, tag) = agree(|provider| {
        let mut text = input.text.to_vec();
        let tag = provider.aead.load(&input.key).seal_in_place(&input.nonce, input.associated_data, &mut text);
        (text, tag)
    });

    let mut altered_tag = tag;
    altered_tag.iter_mut().zip(input.tag_change).for_each(|(byte, change)| *byte ^= change);
    let mut altered_text = sealed.clone();
    if let Some((at, change)) = input.text_change
        && !altered_text.is_empty()
    {
        let at = usize::from(at) % altered_text.len();
        altered_text[at] ^= change;
    }
    let opened = agree(|provider| {
        let mut text = altered_text.clone();
        let key = provider.aead.load(&input.key);
        let verdict = key.open_in_place(&input.nonce, input.associated_data, &altered_tag, &mut text);
        verdict.map(|()| text)
    });
    let unaltered = altered_tag == tag && altered_text == sealed;
    let expected = if unaltered { Ok(input.text.to_vec()) } else { Err(Unauthentic) };
    assert_eq!(opened, expected);

    let length = usize::from(input.output) % 9000;
    let derived = agree(|provider| {
        let mut out = vec![0; length];
        provider.kdf.hkdf_sha256(&input.key, input.text, input.associated_data, &mut out).map(|()| out)
    });
    assert_eq!(derived.is_err(), length > 8160);
    assert!(derived.is_ok() || derived == Err(KdfOutputTooLong));

    agree(|provider| (provider.digest.sha256(input.text), provider.digest.sha1(input.text)));
}
