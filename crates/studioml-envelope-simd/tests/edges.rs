//! Where a message lies in memory makes no difference, and nothing beside it is touched: every alignment, with unreadable
//! pages right before and right behind it; and no change to a message goes unnoticed.
#![cfg(not(miri))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod peers;

use peers::{Bytes, paths};
use studioml_envelope_core::{CHUNK, Nonce, SessionKey, Tag, Unauthentic};

/// Every way through the kernels.
const LENGTHS: [usize; 26] = [
    1,
    15,
    16,
    31,
    32,
    33,
    63,
    64,
    65,
    127,
    224,
    225,
    352,
    353,
    480,
    481,
    736,
    737,
    1056,
    1057,
    1700,
    1956,
    2080,
    2081,
    CHUNK + 1,
    CHUNK + 1500,
];

struct Message {
    key: SessionKey,
    nonce: Nonce,
    plaintext: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Tag,
}

impl Message {
    fn new(len: usize) -> Self {
        let mut bytes = Bytes(len as u64);
        let (key, nonce, plaintext) = (bytes.array(), bytes.array(), bytes.vec(len));
        let mut ciphertext = plaintext.clone();
        let tag = peers::crypto_secretbox(&key, &nonce, &mut ciphertext);
        Self { key: SessionKey::from_bytes(key), nonce, plaintext, ciphertext, tag }
    }
}

#[test]
fn every_alignment() {
    const MARGIN: usize = 256;
    for len in LENGTHS {
        let message = Message::new(len);
        let mut room = vec![0_u8; len + 2 * MARGIN + 64];
        let base = room.as_ptr().align_offset(64);
        for (path, part) in paths() {
            for offset in 0..64 {
                let at = || format!("{}, {len} bytes, {offset} behind a multiple of 64", path.name());
                let range = base + MARGIN + offset..base + MARGIN + offset + len;
                room.fill(0x5a);
                room[range.clone()].copy_from_slice(&message.plaintext);
                let tag = part.seal_in_place(&message.key, &message.nonce, &mut room[range.clone()]);
                assert!(room[range.clone()] == message.ciphertext, "sealed in place, {}", at());
                assert_eq!(tag, message.tag, "{}", at());
                part.open_in_place(&message.key, &message.nonce, &tag, &mut room[range.clone()]).unwrap();
                assert!(room[range.clone()] == message.plaintext, "opened, {}", at());

                let mut pieces = Vec::with_capacity(len);
                let tag = part.seal_chunks(&message.key, &message.nonce, &room[range.clone()], &mut |piece| {
                    pieces.extend_from_slice(piece);
                });
                assert!(pieces == message.ciphertext && tag == message.tag, "sealed in pieces, {}", at());
                assert!(
                    room[..range.start].iter().chain(&room[range.end..]).all(|byte| *byte == 0x5a),
                    "written beside the text, {}",
                    at()
                );
            }
        }
    }
}

#[cfg(unix)]
mod guarded {
    use super::*;

    use std::ptr::null_mut;

    const PAGE: usize = 4096;

    /// Pages between two that may not be touched.
    struct Guarded {
        start: *mut u8,
        len: usize,
    }

    impl Guarded {
        fn new(pages: usize) -> Self {
            let len = pages * PAGE;
            // SAFETY: a new mapping of our own, of which the first and the last page stay unreadable.
            unsafe {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let map = libc::mmap(null_mut(), len + 2 * PAGE, libc::PROT_NONE, flags, -1, 0);
                assert_ne!(map, libc::MAP_FAILED);
                let start = map.cast::<u8>().add(PAGE);
                let guarded = Self { start, len };
                guarded.protect(libc::PROT_READ | libc::PROT_WRITE);
                guarded
            }
        }

        fn protect(&self, protection: libc::c_int) {
            // SAFETY: whole pages of our own mapping; what is borrowed from it is not used otherwise than it allows.
            assert_eq!(unsafe { libc::mprotect(self.start.cast(), self.len, protection) }, 0);
        }

        fn text(&mut self) -> &mut [u8] {
            // SAFETY: mapped, initialised (to zero, by the system), and borrowed from `self`.
            unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
        }

        /// `len` bytes that begin right behind the page in front, or end right before the page behind.
        fn edge(&mut self, len: usize, front: bool) -> &mut [u8] {
            let text = self.text();
            if front { &mut text[..len] } else { text.split_at_mut(PAGE_ROOM - len).1 }
        }
    }

    impl Drop for Guarded {
        fn drop(&mut self) {
            // SAFETY: our own mapping, no longer borrowed.
            unsafe { libc::munmap(self.start.sub(PAGE).cast(), self.len + 2 * PAGE) };
        }
    }

    const PAGES: usize = 10;
    const PAGE_ROOM: usize = PAGES * PAGE;

    #[test]
    fn nothing_beside_a_message_is_touched() {
        let mut memory = Guarded::new(PAGES);
        for len in (0..=1200).chain([2080, 2081, 4096, CHUNK, CHUNK + 1, CHUNK + 1500, 2 * CHUNK + 77]) {
            let message = Message::new(len);
            for (path, part) in paths() {
                for front in [true, false] {
                    let at = || format!("{}, {len} bytes, at the {}", path.name(), if front { "front" } else { "end" });
                    let text = memory.edge(len, front);
                    text.copy_from_slice(&message.plaintext);
                    let tag = part.seal_in_place(&message.key, &message.nonce, text);
                    assert!(text == message.ciphertext && tag == message.tag, "sealed, {}", at());
                    part.open_in_place(&message.key, &message.nonce, &tag, text).unwrap();
                    assert!(text == message.plaintext, "opened, {}", at());

                    // A plaintext that is only borrowed is not written, not even back as it was.
                    memory.protect(libc::PROT_READ);
                    let mut pieces = Vec::with_capacity(len);
                    let text = &*memory.edge(len, front);
                    let tag = part.seal_chunks(&message.key, &message.nonce, text, &mut |piece| {
                        pieces.extend_from_slice(piece);
                    });
                    assert!(pieces == message.ciphertext && tag == message.tag, "sealed in pieces, {}", at());
                    memory.protect(libc::PROT_READ | libc::PROT_WRITE);
                }
            }
        }
    }

    /// Nothing that is not authentic is decrypted: a refused message is not written at all.
    #[test]
    fn a_refused_message_is_not_written() {
        let mut memory = Guarded::new(PAGES);
        for len in LENGTHS {
            let message = Message::new(len);
            let mut tag = message.tag;
            tag[15] ^= 0x80;
            for (path, part) in paths() {
                memory.edge(len, false).copy_from_slice(&message.ciphertext);
                memory.protect(libc::PROT_READ);
                let text = memory.edge(len, false);
                let verdict = part.open_in_place(&message.key, &message.nonce, &tag, text);
                assert_eq!(verdict, Err(Unauthentic), "{}, {len} bytes", path.name());
                memory.protect(libc::PROT_READ | libc::PROT_WRITE);
            }
        }
    }
}

/// Every byte of messages that take each way through the kernels, and of tag, nonce and key; every bit of a short one.
#[test]
fn every_change_is_noticed() {
    for (len, bits) in [(0, 8), (1, 8), (40, 8), (224, 1), (300, 1), (700, 1), (1500, 1)] {
        let message = Message::new(len);
        for (path, part) in paths() {
            let refused = |key: &SessionKey, nonce: &Nonce, tag: &Tag, ciphertext: &[u8], what: &str, at: usize| {
                let mut text = ciphertext.to_vec();
                let verdict = part.open_in_place(key, nonce, tag, &mut text);
                assert_eq!(verdict, Err(Unauthentic), "{}, {len} bytes, byte {at} of the {what}", path.name());
                assert!(text == ciphertext, "{}, {len} bytes, byte {at} of the {what}: decrypted", path.name());
            };
            let Message { key, nonce, ciphertext, tag, .. } = &message;
            for bit in 0..bits {
                for at in 0..len {
                    let mut ciphertext = ciphertext.clone();
                    ciphertext[at] ^= 1 << bit;
                    refused(key, nonce, tag, &ciphertext, "ciphertext", at);
                }
                for at in 0..16 {
                    let mut tag = *tag;
                    tag[at] ^= 1 << bit;
                    refused(key, nonce, &tag, ciphertext, "tag", at);
                }
                for at in 0..24 {
                    let mut nonce = *nonce;
                    nonce[at] ^= 1 << bit;
                    refused(key, &nonce, tag, ciphertext, "nonce", at);
                }
                for at in 0..32 {
                    let mut key = *key.expose_secret();
                    key[at] ^= 1 << bit;
                    refused(&SessionKey::from_bytes(key), nonce, tag, ciphertext, "key", at);
                }
            }
            // A byte less and a byte more.
            refused(key, nonce, tag, &[ciphertext.as_slice(), &[0]].concat(), "end", len);
            if let Some((_, shorter)) = ciphertext.split_last() {
                refused(key, nonce, tag, shorter, "end", len - 1);
            }
        }
    }
}
