//! SecretBox against other people's: the `xsalsa20poly1305` crate and libsodium, on keys, nonces and lengths that nobody chose.
#![allow(clippy::unwrap_used, reason = "a test stops where something is not as expected")]

use libsodium_rs::crypto_secretbox as libsodium;
use proptest::{array::uniform24, array::uniform32, collection::vec, prelude::*};
use studioml_envelope::provider;
use studioml_envelope_core::{SecretBox, SessionKey};
use xsalsa20poly1305::{AeadInPlace as _, KeyInit as _, XSalsa20Poly1305};

/// Every SecretBox part of the facade, once.
fn parts() -> Vec<&'static dyn SecretBox> {
    let mut parts: Vec<&'static dyn SecretBox> = Vec::new();
    for provider in provider::ALL {
        let library = provider.secret_box.implementation().library;
        if parts.iter().all(|part| part.implementation().library != library) {
            parts.push(provider.secret_box);
        }
    }
    assert!(parts.len() >= 2, "one part alone");
    parts
}

fn by_xsalsa20poly1305(key: &[u8; 32], nonce: &[u8; 24], plaintext: &[u8]) -> Vec<u8> {
    let mut text = plaintext.to_vec();
    let tag = XSalsa20Poly1305::new(key.into()).encrypt_in_place_detached(nonce.into(), &[], &mut text).unwrap();
    [&tag, &text[..]].concat()
}

fn by_libsodium(key: &[u8; 32], nonce: &[u8; 24], plaintext: &[u8]) -> Vec<u8> {
    let (key, nonce) = (libsodium::Key::from_bytes(key).unwrap(), libsodium::Nonce::from_bytes(*nonce));
    libsodium::seal(plaintext, &nonce, &key)
}

fn agrees(key: [u8; 32], nonce: [u8; 24], plaintext: &[u8]) {
    libsodium_rs::ensure_init().unwrap();
    let boxed = by_libsodium(&key, &nonce, plaintext);
    assert!(by_xsalsa20poly1305(&key, &nonce, plaintext) == boxed, "the two opinions differ");
    let (expected_tag, expected) = boxed.split_first_chunk::<16>().unwrap();
    let session_key = SessionKey::from_bytes(key);
    for part in parts() {
        let library = part.implementation().library;
        let mut text = plaintext.to_vec();
        let tag = part.seal_in_place(&session_key, &nonce, &mut text);
        assert!((&tag, &text[..]) == (expected_tag, expected), "{library}, {} bytes in place", plaintext.len());
        let mut chunks = Vec::new();
        let tag = part.seal_chunks(&session_key, &nonce, plaintext, &mut |piece| chunks.extend_from_slice(piece));
        assert!((&tag, &chunks[..]) == (expected_tag, expected), "{library}, {} bytes in chunks", plaintext.len());
        assert!(part.open_in_place(&session_key, &nonce, expected_tag, &mut text).is_ok(), "{library}");
        assert!(text == plaintext, "{library}, {} bytes opened", plaintext.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_part_agrees_with_both_on_short_texts(
        key in uniform32(any::<u8>()),
        nonce in uniform24(any::<u8>()),
        plaintext in vec(any::<u8>(), 0..1024),
    ) {
        agrees(key, nonce, &plaintext);
    }

    #[test]
    fn every_part_agrees_with_both_on_lengths_around_its_chunks(
        key in uniform32(any::<u8>()),
        nonce in uniform24(any::<u8>()),
        length in prop_oneof![4000_usize..4200, 16_300_usize..16_500, 32_700_usize..32_900, 65_500_usize..65_600],
        fill in any::<u8>(),
    ) {
        let plaintext: Vec<u8> = (0..length).map(|i| fill.wrapping_add(i.to_le_bytes()[0])).collect();
        agrees(key, nonce, &plaintext);
    }
}

#[test]
fn every_part_agrees_with_both_on_16_mebibytes() {
    let plaintext: Vec<u8> = (0_u32..4 << 20).flat_map(u32::to_le_bytes).collect();
    agrees([0x42; 32], [0x24; 24], &plaintext);
}
