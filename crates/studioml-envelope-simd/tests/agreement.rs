//! Every path gives the bytes that `crypto_secretbox`, `xsalsa20poly1305` and libsodium give, for every length, sealed in
//! place and in pieces, and opens them again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod peers;

use peers::{Bytes, PEERS, paths};
use studioml_envelope_core::{CHUNK, Nonce, SecretBox, SessionKey, Tag};
use studioml_envelope_simd::{SECRET_BOX, hazmat::Path};

/// Seals in place and in pieces, compares, opens.
fn check(path: Path, part: &dyn SecretBox, key: &[u8; 32], nonce: &Nonce, plain: &[u8], expected: &(Vec<u8>, Tag)) {
    let at = || format!("{}, {} bytes", path.name(), plain.len());
    let key = SessionKey::from_bytes(*key);

    let mut text = plain.to_vec();
    let tag = part.seal_in_place(&key, nonce, &mut text);
    assert!(text == expected.0, "seal_in_place, {}", at());
    assert_eq!(tag, expected.1, "seal_in_place, {}", at());

    let mut pieces = Vec::with_capacity(plain.len());
    let tag = part.seal_chunks(&key, nonce, plain, &mut |piece| {
        assert!((1..=CHUNK).contains(&piece.len()), "piece of {}, {}", piece.len(), at());
        pieces.extend_from_slice(piece);
    });
    assert!(pieces == expected.0, "seal_chunks, {}", at());
    assert_eq!(tag, expected.1, "seal_chunks, {}", at());

    assert_eq!(part.open_in_place(&key, nonce, &tag, &mut text), Ok(()), "open_in_place, {}", at());
    assert!(text == plain, "open_in_place, {}", at());
}

fn agree_on(bytes: &mut Bytes, len: usize) {
    let (key, nonce, plain) = (bytes.array(), bytes.array(), bytes.vec(len));
    let mut expected: Option<(Vec<u8>, Tag)> = None;
    for (name, seal) in PEERS {
        let mut text = plain.clone();
        let tag = seal(&key, &nonce, &mut text);
        match &expected {
            None => expected = Some((text, tag)),
            Some(first) => assert!(first.0 == text && first.1 == tag, "peers differ: {name}, {len} bytes"),
        }
    }
    for (path, part) in paths() {
        check(path, part, &key, &nonce, &plain, expected.as_ref().unwrap());
    }
}

#[test]
fn every_length_to_4096() {
    let mut bytes = Bytes(1);
    for len in 0..=4096 {
        agree_on(&mut bytes, len);
    }
}

#[test]
fn lengths_around_every_chunk_boundary() {
    let mut bytes = Bytes(2);
    for boundary in [CHUNK, 2 * CHUNK, 3 * CHUNK] {
        for len in boundary - 1200..boundary + 130 {
            if len % 7 == 0 || len + 40 > boundary {
                agree_on(&mut bytes, len);
            }
        }
    }
}

#[test]
fn random_lengths_to_8_mib() {
    let mut bytes = Bytes(3);
    for round in 0..24 {
        // Half of them uniform, half spread over the orders of magnitude.
        let bits = if round % 2 == 0 { 23 } else { 12 + round % 12 };
        let len = bytes.word() as usize % (1 << bits);
        agree_on(&mut bytes, len);
    }
    agree_on(&mut bytes, 8 << 20);
}

#[test]
fn the_detected_path_is_the_best_one() {
    let (path, _) = paths().pop().unwrap();
    let implementation = SECRET_BOX.implementation();
    assert_eq!(implementation.library, "studioml-envelope-simd");
    assert_eq!(implementation.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(implementation.path, path.name());
    for (path, part) in paths() {
        assert_eq!(part.implementation().path, path.name());
    }
    let mut bytes = Bytes(4);
    let (key, nonce, plain): ([u8; 32], _, _) = (bytes.array(), bytes.array(), bytes.vec(5000));
    let mut expected = plain.clone();
    let tag = peers::libsodium(&key, &nonce, &mut expected);
    check(path, SECRET_BOX, &key, &nonce, &plain, &(expected, tag));
}
