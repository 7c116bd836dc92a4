//! Other people's SecretBox under one signature, and bytes to try them on.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "shared by several test programs"
)]

use std::sync::Once;

use crypto_secretbox::aead::{AeadInPlace, KeyInit};
use studioml_envelope_core::{Nonce, SecretBox, Tag};
use studioml_envelope_simd::hazmat::{self, Path};

/// Every path, and the part that takes it.
pub fn paths() -> Vec<(Path, &'static dyn SecretBox)> {
    Path::ALL.into_iter().filter_map(|path| Some((path, there(path, hazmat::secret_box(path))?))).collect()
}

/// What a path has. A CPU without the path makes the test fail, so that none is green for want of its subject, unless
/// `STUDIOML_SIMD_ABSENT` names the path: `avx512ifma`, or `avx2,avx512ifma`.
pub fn there<T>(path: Path, of_path: Option<T>) -> Option<T> {
    let left_out = std::env::var("STUDIOML_SIMD_ABSENT").unwrap_or_default();
    let is_left_out = left_out.split(',').any(|name| name == path.name());
    let name = path.name();
    let cannot_be = cfg!(any(miri, not(target_arch = "x86_64")));
    assert!(
        of_path.is_some() || is_left_out || cannot_be,
        "this CPU has not the path {name}: STUDIOML_SIMD_ABSENT={name} leaves it out"
    );
    of_path
}

/// A SecretBox seal of somebody else: encrypts in place and returns the tag.
pub type Seal = fn(&[u8; 32], &Nonce, &mut [u8]) -> Tag;

/// Everybody we agree with.
pub const PEERS: [(&str, Seal); 3] =
    [("crypto_secretbox", crypto_secretbox), ("xsalsa20poly1305", xsalsa20poly1305), ("libsodium", libsodium)];

pub fn crypto_secretbox(key: &[u8; 32], nonce: &Nonce, text: &mut [u8]) -> Tag {
    let cipher = crypto_secretbox::XSalsa20Poly1305::new(key.into());
    cipher.encrypt_in_place_detached(nonce.into(), b"", text).unwrap().into()
}

pub fn xsalsa20poly1305(key: &[u8; 32], nonce: &Nonce, text: &mut [u8]) -> Tag {
    let cipher = xsalsa20poly1305::XSalsa20Poly1305::new(key.into());
    cipher.encrypt_in_place_detached(nonce.into(), b"", text).unwrap().into()
}

pub fn libsodium(key: &[u8; 32], nonce: &Nonce, text: &mut [u8]) -> Tag {
    static INIT: Once = Once::new();
    // SAFETY: `sodium_init` may be called from any thread, and is called once.
    INIT.call_once(|| assert!(unsafe { libsodium_sys::sodium_init() } >= 0));
    let mut tag = [0; 16];
    let pointer = text.as_mut_ptr();
    // SAFETY: text may be encrypted in place (its manual says so of `_detached`), is `text.len()` bytes long, and tag,
    // nonce and key have the lengths that the function wants.
    let status = unsafe {
        libsodium_sys::crypto_secretbox_detached(
            pointer,
            tag.as_mut_ptr(),
            pointer,
            text.len() as u64,
            nonce.as_ptr(),
            key.as_ptr(),
        )
    };
    assert_eq!(status, 0);
    tag
}

/// libsodium's Salsa20/20 from block `counter` on.
pub fn libsodium_salsa20_xor(key: &[u8; 32], nonce: &[u8; 8], counter: u64, text: &[u8]) -> Vec<u8> {
    let mut out = vec![0; text.len()];
    // SAFETY: both texts are `text.len()` bytes long, and nonce and key have the lengths that the function wants.
    let status = unsafe {
        libsodium_sys::crypto_stream_salsa20_xor_ic(
            out.as_mut_ptr(),
            text.as_ptr(),
            text.len() as u64,
            nonce.as_ptr(),
            counter,
            key.as_ptr(),
        )
    };
    assert_eq!(status, 0);
    out
}

/// Bytes that are different everywhere and the same on every run (splitmix64).
pub struct Bytes(pub u64);

impl Bytes {
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    pub fn vec(&mut self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.fill(&mut out);
        out
    }
}
