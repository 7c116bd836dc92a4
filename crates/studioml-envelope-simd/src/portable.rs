//! The path for every CPU: RustCrypto's `salsa20` and `poly1305`, nothing of our own but the order of the calls.
//!
//! NaCl `secretbox` (D. J. Bernstein, *Cryptography in NaCl*, §9): the first 32 bytes of the XSalsa20 stream are the
//! one-time Poly1305 key, the message is encrypted with what follows, and the MAC is over the ciphertext.

use poly1305::universal_hash::{KeyInit, UniversalHash};
use poly1305::{Block, Poly1305};
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use studioml_envelope_core::{CHUNK, Implementation, Nonce, Part, SecretBox, SessionKey, Tag, Unauthentic};
use subtle::ConstantTimeEq;
use zeroize::{Zeroizing, zeroize_stack};

use crate::dispatch::Path;
use crate::wipe::WipeStack;

/// Stack that the libraries below leave as it is: `cipher` does not wipe its block buffer, and both are moved about.
/// The test `wiped` looks for what is left.
const STACK: usize = 8 * 1024;

/// The portable path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Part for Portable {
    fn implementation(&self) -> Implementation {
        Path::Portable.implementation()
    }
}

impl SecretBox for Portable {
    fn seal_in_place(&self, key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
        let tag = seal_in_place(key, nonce, text);
        zeroize_stack::<STACK>();
        tag
    }

    fn seal_chunks(&self, key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
        // Even if the sink panics.
        let _wipe = WipeStack::<{ STACK + CHUNK }>;
        seal_chunks(key, nonce, plaintext, sink)
    }

    fn open_in_place(&self, key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
        let verdict = open_in_place(key, nonce, tag, text);
        zeroize_stack::<STACK>();
        verdict
    }
}

#[inline(never)]
fn seal_in_place(key: &SessionKey, nonce: &Nonce, text: &mut [u8]) -> Tag {
    let (mut cipher, mac) = start(key, nonce);
    cipher.apply_keystream(text);
    mac.compute_unpadded(text).into()
}

#[inline(never)]
fn seal_chunks(key: &SessionKey, nonce: &Nonce, plaintext: &[u8], sink: &mut dyn FnMut(&[u8])) -> Tag {
    let (mut cipher, mut mac) = start(key, nonce);
    let mut scratch = [0; CHUNK];
    let mut pieces = plaintext.chunks(CHUNK).peekable();
    while let Some(piece) = pieces.next() {
        let (room, _) = scratch.split_at_mut(piece.len());
        room.copy_from_slice(piece);
        cipher.apply_keystream(room);
        if pieces.peek().is_none() {
            let tag = mac.compute_unpadded(room).into();
            sink(room);
            return tag;
        }
        // A piece with another one after it is CHUNK long, which is whole blocks.
        for block in room.chunks_exact(poly1305::BLOCK_SIZE) {
            mac.update(core::slice::from_ref(Block::from_slice(block)));
        }
        sink(room);
    }
    mac.compute_unpadded(&[]).into()
}

#[inline(never)]
fn open_in_place(key: &SessionKey, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Result<(), Unauthentic> {
    let (mut cipher, mac) = start(key, nonce);
    let expected = mac.compute_unpadded(text);
    if !bool::from(expected.as_slice().ct_eq(tag)) {
        return Err(Unauthentic);
    }
    cipher.apply_keystream(text);
    Ok(())
}

/// The cipher behind the first 32 bytes of its stream, and the MAC under those.
fn start(key: &SessionKey, nonce: &Nonce) -> (XSalsa20, Poly1305) {
    let mut cipher = XSalsa20::new(key.expose_secret().into(), nonce.into());
    let mut mac_key = Zeroizing::new([0; poly1305::KEY_SIZE]);
    cipher.apply_keystream(mac_key.as_mut_slice());
    let mac = Poly1305::new(mac_key.as_slice().into());
    (cipher, mac)
}
