//! NaCl `secretbox`, XSalsa20-Poly1305 (docs/spec.md §1). Leans on `crypto_secretbox`, and for sealing piece by piece on the
//! `salsa20` and `poly1305` that it is made of.
//!
//! `crypto_secretbox` has no form that hands out ciphertext in pieces, so [`seal_chunks`](SecretBox::seal_chunks) puts the
//! same two primitives together once more. Tests hold the two to the same output at every length around a block and a piece.

use crypto_secretbox::{AeadInPlace, KeyInit, XSalsa20Poly1305};
use poly1305::{Poly1305, universal_hash::UniversalHash};
use salsa20::{
    Salsa20,
    cipher::{KeyIvInit, StreamCipher, consts::U10},
    hsalsa,
};
use studioml_envelope_core::{CHUNK, Implementation, Nonce, Part, SecretBox, SessionKey, Tag, Unauthentic};
use zeroize::Zeroizing;

/// XSalsa20-Poly1305.
pub static SECRET_BOX: CryptoSecretBox = CryptoSecretBox;

/// The type of [`SECRET_BOX`].
#[derive(Clone, Copy, Debug)]
pub struct CryptoSecretBox;

impl Part for CryptoSecretBox {
    fn implementation(&self) -> Implementation {
        Implementation { library: "crypto_secretbox", version: "0.1.1", path: "" }
    }
}

impl SecretBox for CryptoSecretBox {
    #[allow(clippy::expect_used, reason = "the library refuses nothing but associated data, and there is none")]
    fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
        let cipher = XSalsa20Poly1305::new(key.expose_secret().into());
        cipher.encrypt_in_place_detached(nonce.into(), b"", text).expect("no associated data").into()
    }

    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        let (mut cipher, mut mac) = cipher_and_mac(key, nonce);
        // not wiped: plaintext that enters is encrypted on the spot, so what stays behind is ciphertext
        let mut piece = [0; CHUNK];

        let mut full_pieces = plaintext.chunks_exact(CHUNK);
        for plaintext in &mut full_pieces {
            piece.copy_from_slice(plaintext);
            cipher.apply_keystream(&mut piece);
            // whole blocks only (`CHUNK` is a multiple of 16), so nothing is padded
            mac.update_padded(&piece);
            sink(&piece);
        }

        let rest = full_pieces.remainder();
        let (piece, _) = piece.split_at_mut(rest.len());
        piece.copy_from_slice(rest);
        cipher.apply_keystream(piece);
        if !piece.is_empty() {
            sink(piece);
        }
        mac.compute_unpadded(piece).into()
    }

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        let cipher = XSalsa20Poly1305::new(key.expose_secret().into());
        cipher.decrypt_in_place_detached(nonce.into(), b"", text, tag.into()).map_err(|_| Unauthentic)
    }
}

/// The stream cipher after its first 32 bytes, and the one-time authenticator that those are the key of.
///
/// `crypto_secretbox(m, n, k)` (*Cryptography in NaCl*, §9): XSalsa20 is Salsa20 under `HSalsa20(k, n[0..16])` with nonce
/// `n[16..24]` (§7); its first 32 bytes are the Poly1305 key `r || s`.
fn cipher_and_mac(key: &SessionKey, nonce: &Nonce) -> (Salsa20, Poly1305) {
    const { assert!(CHUNK.is_multiple_of(16)) };
    let (prefix, suffix) = nonce.split_at(16);
    let subkey: Zeroizing<[u8; 32]> = Zeroizing::new(hsalsa::<U10>(key.expose_secret().into(), prefix.into()).into());
    let mut cipher = Salsa20::new((&*subkey).into(), suffix.into());
    let mut mac_key = Zeroizing::new([0; 32]);
    cipher.apply_keystream(mac_key.as_mut());
    let mac = <Poly1305 as poly1305::universal_hash::KeyInit>::new((&*mac_key).into());
    (cipher, mac)
}

#[cfg(test)]
mod tests {
    use super::SECRET_BOX;
    use proptest::prelude::*;
    use studioml_envelope_core::{CHUNK, SecretBox as _, SessionKey, Unauthentic};

    fn seal_by_chunks(key: &SessionKey, nonce: &[u8; 24], plaintext: &[u8]) -> (Vec<u8>, [u8; 16], Vec<usize>) {
        let (mut sealed, mut lengths) = (Vec::new(), Vec::new());
        let tag = SECRET_BOX.seal_chunks(key, nonce, plaintext, &mut |piece| {
            lengths.push(piece.len());
            sealed.extend_from_slice(piece);
        });
        (sealed, tag, lengths)
    }

    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from((at * 131 + at / 256) % 256).unwrap()).collect()
    }

    /// `tests/secretbox.c` of NaCl 20110221.
    #[test]
    fn nacl_secretbox_example() {
        let unhex = |text: &str| hex::decode(text).unwrap();
        let key = unhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
        let nonce: [u8; 24] = unhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37").try_into().unwrap();
        let plaintext = unhex(concat!(
            "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc",
            "e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31",
            "0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde",
            "048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864",
            "5e0705"
        ));
        let expected = unhex(concat!(
            "8e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186a",
            "c0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738",
            "b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da",
            "99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74",
            "e355a5"
        ));
        let expected_tag = unhex("f3ffc7703f9400e52a7dfb4b3d3305d9");

        let key = SessionKey::from_bytes(key.try_into().unwrap());
        let mut text = plaintext.clone();
        let tag = SECRET_BOX.seal_in_place(&key, &nonce, &mut text);
        assert_eq!((text.as_slice(), tag.as_slice()), (expected.as_slice(), expected_tag.as_slice()));
        let (sealed, tag, _) = seal_by_chunks(&key, &nonce, &plaintext);
        assert_eq!((sealed.as_slice(), tag.as_slice()), (expected.as_slice(), expected_tag.as_slice()));
        SECRET_BOX.open_in_place(&key, &nonce, &tag, &mut text).unwrap();
        assert_eq!(text, plaintext);
    }

    #[test]
    fn pieces_join_to_what_is_sealed_in_place_at_every_edge() {
        let key = SessionKey::from_bytes([0x5a; 32]);
        let nonce = [0xc3; 24];
        let around = |middle: usize| middle.saturating_sub(17)..=middle + 17;
        let lengths = (0..=300).chain(around(CHUNK)).chain(around(2 * CHUNK)).chain([1 << 20, (1 << 20) + 7]);
        for length in lengths {
            let plaintext = sample(length);
            let mut in_place = plaintext.clone();
            let tag = SECRET_BOX.seal_in_place(&key, &nonce, &mut in_place);
            let (sealed, chunked_tag, pieces) = seal_by_chunks(&key, &nonce, &plaintext);
            assert_eq!(sealed, in_place, "{length} bytes");
            assert_eq!(chunked_tag, tag, "{length} bytes");
            assert!(pieces.iter().all(|piece| (1..=CHUNK).contains(piece)), "{length} bytes in pieces of {pieces:?}");
        }
    }

    proptest! {
        #[test]
        fn sealed_opens_and_altered_is_refused_untouched(
            key: [u8; 32],
            nonce: [u8; 24],
            plaintext in proptest::collection::vec(any::<u8>(), 0..600),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let key = SessionKey::from_bytes(key);
            let (sealed, tag, _) = seal_by_chunks(&key, &nonce, &plaintext);
            let mut opened = sealed.clone();
            prop_assert_eq!(SECRET_BOX.open_in_place(&key, &nonce, &tag, &mut opened), Ok(()));
            prop_assert_eq!(&opened, &plaintext);

            let mut wrong_tag = tag;
            wrong_tag[at.index(16)] ^= 1 << bit;
            let mut text = sealed.clone();
            prop_assert_eq!(SECRET_BOX.open_in_place(&key, &nonce, &wrong_tag, &mut text), Err(Unauthentic));
            prop_assert_eq!(&text, &sealed);

            if !sealed.is_empty() {
                let mut altered = sealed.clone();
                altered[at.index(sealed.len())] ^= 1 << bit;
                let before = altered.clone();
                prop_assert_eq!(SECRET_BOX.open_in_place(&key, &nonce, &tag, &mut altered), Err(Unauthentic));
                prop_assert_eq!(altered, before);
            }
        }
    }
}
