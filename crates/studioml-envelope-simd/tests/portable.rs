//! Published bytes, with nothing but this crate: what Miri can run.
//!
//! `cargo +nightly miri test -p studioml-envelope-simd --test portable` runs the portable path: Miri's CPU has no more than a target
//! is promised. With `RUSTFLAGS="-C target-feature=+avx2,+bmi2"` before it it has what the AVX2 path needs, and runs that too;
//! the multiplications of AVX-512 IFMA it does not know.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use studioml_envelope_core::{CHUNK, Nonce, SecretBox, SessionKey, Tag, Unauthentic};
use studioml_envelope_simd::hazmat::{self, Path};

/// *Cryptography in NaCl* (D. J. Bernstein, 2009), §8 and §10: first key, nonce, message and what they make.
const KEY: &str = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
const NONCE: &str = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";
const PLAINTEXT: &str = "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc\
                         e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31\
                         0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde\
                         048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864\
                         5e0705";
const CIPHERTEXT: &str = "8e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186a\
                          c0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738\
                          b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da\
                          99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74\
                          e355a5";
const TAG: &str = "f3ffc7703f9400e52a7dfb4b3d3305d9";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Every path that there is, without a look at which should be: the other tests see to that.
fn paths() -> impl Iterator<Item = (&'static str, &'static dyn SecretBox)> {
    Path::ALL.into_iter().filter_map(|path| Some((path.name(), hazmat::secret_box(path)?)))
}

fn key() -> SessionKey {
    SessionKey::from_bytes(bytes(KEY).try_into().unwrap())
}

fn nonce() -> Nonce {
    bytes(NONCE).try_into().unwrap()
}

fn in_pieces(part: &dyn SecretBox, plaintext: &[u8]) -> (Vec<u8>, Tag) {
    let mut pieces = Vec::new();
    let tag = part.seal_chunks(&key(), &nonce(), plaintext, &mut |piece| pieces.extend_from_slice(piece));
    (pieces, tag)
}

#[test]
fn the_paper_s_message() {
    let (plaintext, ciphertext, tag): (_, _, Tag) =
        (bytes(PLAINTEXT), bytes(CIPHERTEXT), bytes(TAG).try_into().unwrap());
    for (path, part) in paths() {
        let mut text = plaintext.clone();
        assert_eq!(part.seal_in_place(&key(), &nonce(), &mut text), tag, "{path}");
        assert_eq!(text, ciphertext, "{path}");
        assert_eq!(in_pieces(part, &plaintext), (ciphertext.clone(), tag), "{path}");
        part.open_in_place(&key(), &nonce(), &tag, &mut text).unwrap();
        assert_eq!(text, plaintext, "{path}");
    }
}

#[test]
fn sealed_in_pieces_and_in_place_is_the_same_and_opens() {
    for len in [0, 1, 31, 32, 33, 64, 200, 353, 500, 1100, 1700, CHUNK + 1] {
        let plaintext: Vec<u8> = (0..len).map(|at| at as u8).collect();
        for (path, part) in paths() {
            let mut text = plaintext.clone();
            let tag = part.seal_in_place(&key(), &nonce(), &mut text);
            assert_eq!(in_pieces(part, &plaintext), (text.clone(), tag), "{path}, {len} bytes");

            let mut wrong = tag;
            wrong[7] ^= 1;
            let sealed = text.clone();
            let verdict = part.open_in_place(&key(), &nonce(), &wrong, &mut text);
            assert_eq!(verdict, Err(Unauthentic), "{path}, {len} bytes");
            assert_eq!(text, sealed, "{path}, {len} bytes");
            assert_eq!(part.open_in_place(&key(), &nonce(), &tag, &mut text), Ok(()), "{path}, {len} bytes");
            assert_eq!(text, plaintext, "{path}, {len} bytes");
        }
    }
}

/// The twin that the vector paths take for short messages, against RustCrypto's.
#[test]
fn the_scalar_poly1305_is_rustcrypto_s() {
    let twin = hazmat::kernels(Path::Portable).unwrap();
    let key: [u8; 32] = std::array::from_fn(|at| 255 - at as u8);
    for len in 0..100 {
        for byte in [0, 0xff, 0x5a] {
            let message = vec![byte; len];
            assert_eq!(hazmat::poly1305_short(&key, &message), twin.poly1305(&key, &message), "{len} bytes");
        }
    }
}
